"""What a generation gets as its environment, and what is remembered of that: never a value."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segue.disk.atomic import read_if_whole, write_json
from segue.disk.forms import Form

_FILE = "env.json"
_KEYS: Form = {"salt": str, "keys": [{"key": str, "digest": str}]}


@dataclass(frozen=True)
class Environment:
    """What a generation that starts now gets, as far as people decide it.

    Attributes:
        values: all of it.
        misread: the keys of the app's own file that python-dotenv reads otherwise than who starts the app.
        file: the app's own file.
        remedy: how people set a key.
    """

    values: Mapping[str, str]
    misread: frozenset[str]
    file: Path
    remedy: str


@dataclass(frozen=True)
class Difference:
    """How one environment differs from another, by key."""

    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fingerprint:
    """The keys of an environment, and for each what tells another value from it, but not the value.

    Attributes:
        salt: what the digests are made with.
        digests: by key.
    """

    salt: str
    digests: Mapping[str, str]

    @classmethod
    def of(cls, values: Mapping[str, str], salt: str = "") -> Fingerprint:
        """That of `values`."""
        salt = salt or secrets.token_hex(32)
        return cls(salt, {key: _digest(salt, value) for key, value in values.items()})

    @classmethod
    def read(cls, folder: Path) -> Fingerprint | None:
        """What was left in the `folder` of a generation; None where nobody knows."""
        document = read_if_whole(folder / _FILE, _KEYS)
        if document is None:
            return None
        return cls(document["salt"], {one["key"]: one["digest"] for one in document["keys"]})

    def leave(self, folder: Path) -> None:
        """Leave it in the `folder` of a generation, for its keeper alone."""
        keys = [{"key": key, "digest": digest} for key, digest in self.digests.items()]
        write_json(folder / _FILE, {"salt": self.salt, "keys": keys})

    def since(self, before: Fingerprint) -> Difference:
        """How this one, which has the same salt, differs from the one `before`."""
        now, then = self.digests, before.digests
        return Difference(
            added=frozenset(now.keys() - then.keys()),
            changed=frozenset(key for key in now.keys() & then.keys() if now[key] != then[key]),
            removed=frozenset(then.keys() - now.keys()),
        )


def _digest(salt: str, value: str) -> str:
    key, text = (one.encode(errors="surrogatepass") for one in (salt, value))
    return hmac.new(key, text, hashlib.sha256).hexdigest()
