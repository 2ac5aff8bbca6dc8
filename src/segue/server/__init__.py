"""An app on a server: systemd keeps its generations, nginx is its front, the executor carries out deploys."""
