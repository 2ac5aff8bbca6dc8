"""What reaches the app of how it was asked, told to the verify step: it alone knows the query to ask with."""

from __future__ import annotations

HEADER = "X-Segue-Seen"


def told(scheme: str, host: str, *addresses: str) -> str:
    """The header's value: ``https://shop.example from 192.0.2.1``, with each address that is told."""
    return f"{scheme}://{host} from {', '.join(filter(None, addresses)) or 'nobody'}"
