"""The smallest apps there are: whatever is added to them shows most. Copied into a project."""

from __future__ import annotations

from typing import Any

BODY = b"Hello, world!"
LENGTH = str(len(BODY))


def wsgi(_environ: Any, start_response: Any) -> Any:
    """Say hello."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", LENGTH)])
    return [BODY]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Say hello; any scope but that of a request is unknown here."""
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    headers = [(b"content-type", b"text/plain"), (b"content-length", LENGTH.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
