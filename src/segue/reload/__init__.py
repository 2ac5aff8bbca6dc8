"""``segue reload``: a graceful reload made true for a service that segue did not set up."""
