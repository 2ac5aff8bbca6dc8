"""Answers of an ASGI app that never end by themselves, known by their headers."""

from __future__ import annotations


def is_endless(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether this is the head of a stream of server-sent events."""
    for name, value in headers:  # in every answer of the app's: `any` would cost twice as much
        if name.lower() == b"content-type" and value.startswith(b"text/event-stream"):
            return True
    return False


def unbuffered(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What has nginx pass on each event when it comes; nothing where the app has a word of its own."""
    if any(name.lower() == b"x-accel-buffering" for name, _ in headers):
        return []
    return [(b"x-accel-buffering", b"no")]
