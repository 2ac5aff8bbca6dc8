"""What must not be repeated: values whose names say that they are secret, and passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from segue.core.errors import SegueError

HIDDEN = "[redacted]"
SHORTEST = 6  # characters; hiding shorter ones would hide half of every message

_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSW|PASSPHRASE|KEY|DSN|CREDENTIAL", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)([^\s/@]+)(?=@)")
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE | re.ASCII)
# where events and errors have text that others may have written
_FREE_TEXT = ("message", "evidence", "hint", "text", "detail")


class Secrets:
    """The values that `environ` and the text of a ``.env`` file keep secret."""

    def __init__(self, environ: Mapping[str, str], env_file: str = "") -> None:
        assigned = [(name, value.strip("'\"")) for name, value in _ASSIGNMENT.findall(env_file)]
        found = {
            form
            for name, value in (*environ.items(), *assigned)
            for secret in _secrets(name, value)
            for form in (secret, repr(secret)[1:-1])
            if len(form) >= SHORTEST
        }
        # of two that begin alike, the longer goes first
        in_turn = sorted(found, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, in_turn))) if found else None

    def hide(self, text: str) -> str:
        """`text` without them, and without the password of any URL in it."""
        text = _URL_PASSWORD.sub(rf"\1{HIDDEN}", text)
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def hide_in_error(self, error: SegueError) -> SegueError:
        """`error` without them."""
        evidence, hint = self.hide(error.evidence), self.hide(error.hint)
        return type(error)(error.kind, self.hide(error.message), evidence=evidence, hint=hint)

    def hide_in_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """`event` without them, names and ids as they are."""
        return {key: self._hide_at(key, value) for key, value in event.items()}

    def _hide_at(self, key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.hide_in_event(value)
        return self.hide(value) if key in _FREE_TEXT and isinstance(value, str) else value


def _secrets(name: str, value: str) -> Iterator[str]:
    if _SECRET_NAME.search(name):
        # a key of many lines may be shown one line at a time
        yield from (value, *value.splitlines())
    for _, password in _URL_PASSWORD.findall(value):
        yield from (password, unquote(password))
