"""segue: zero-downtime deploys for Python web apps, proved by measurement."""

__version__ = "0.1.0"
