"""The embedded keeper: a tiny parent, a controller, and the socket they are asked by."""
