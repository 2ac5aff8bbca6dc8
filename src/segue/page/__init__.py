"""Receipts as pages: each one HTML file that needs nothing but itself."""
