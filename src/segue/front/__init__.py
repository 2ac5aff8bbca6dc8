"""The proxy before the app: the link that routes to a generation, nginx's site, and what nginx says of it."""
