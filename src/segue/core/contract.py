"""The env contract: which keys an app's environment has to have, and what their values have to look like."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SHORTEST_SECRET = 16
MAY_BE_MISSING = "?"

# what a value of each kind looks like, and what is said of one that does not
_FORMS = {
    "url": (r"[A-Za-z][A-Za-z0-9+.-]*://\S*", "is no URL: SCHEME://..., without spaces"),
    "secret": (rf"(?s:.{{{SHORTEST_SECRET},}})", f"has fewer than {SHORTEST_SECRET} characters"),
    "int": (r"[+-]?[0-9]+", "is no whole number"),
    "bool": (r"(?i:true|false|yes|no|on|off|1|0)", "is none of true, false, yes, no, on, off, 1 and 0"),
    "text": (r"(?s:.*)", ""),
}
KINDS = tuple(_FORMS)
_SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|_KEY$")
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def kind_of(key: str, value: str) -> str:
    """The kind that `key` of an example is most likely meant to be, by its name and its `value` there."""
    if _SECRET.search(key.upper()):
        return "secret"
    return next(
        kind for kind in ("url", "int", "bool", "text") if re.fullmatch(_FORMS[kind][0], value, re.ASCII)
    )


def digest(value: str) -> str:
    """What an example's value is known by, without repeating it."""
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Demand:
    """What is demanded of one key.

    Attributes:
        key: its name.
        kind: one of `KINDS`; with a question mark where the key may be missing, or empty.
        example: the `digest` of its value in the source's ``.env.example``; None where that does not name it.
        configured: whether the config says so; else only the example does.
    """

    key: str
    kind: str
    example: str | None = None
    configured: bool = True

    def __post_init__(self) -> None:
        if KEY.fullmatch(self.key) is None or self.kind.removesuffix(MAY_BE_MISSING) not in KINDS:
            raise ValueError("that is no demand on a key")

    def broken_by(self, value: str | None) -> str:
        """What is wrong with `value`, without a part of it; empty where nothing is."""
        kind, optional = self.kind.removesuffix(MAY_BE_MISSING), self.kind.endswith(MAY_BE_MISSING)
        if value is None:
            return "" if optional else "is missing"
        if value == "" and optional:
            return ""
        if kind == "secret" and digest(value) == self.example:
            return "still has the value of .env.example"
        form, complaint = _FORMS[kind]
        return "" if re.fullmatch(form, value, re.ASCII) else complaint


@dataclass(frozen=True)
class Contract:
    """What an app demands of its environment, by key."""

    demands: tuple[Demand, ...] = ()

    @classmethod
    def of(cls, configured: Mapping[str, str], example: Mapping[str, str]) -> Contract:
        """The contract that the config's `[env]` and the values in ``.env.example`` make."""
        kinds = {**dict.fromkeys(example, "text"), **configured}
        return cls(
            tuple(
                Demand(key, kind, digest(example[key]) if key in example else None, key in configured)
                for key, kind in kinds.items()
            )
        )

    @classmethod
    def from_list(cls, document: list[dict[str, Any]]) -> Contract:
        """The contract that `as_list` wrote.

        Raises:
            ValueError: it is none.
        """
        words = ("key", "kind", "example", "configured")
        return cls(tuple(Demand(*(one[word] for word in words)) for one in document))

    def as_list(self) -> list[dict[str, Any]]:
        """The contract as requests and releases have it."""
        return [asdict(demand) for demand in self.demands]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it names."""
        return tuple(demand.key for demand in self.demands)

    def broken_by(self, values: Mapping[str, str]) -> dict[Demand, str]:
        """What is wrong with `values`, without a part of any: the demands that they don't meet."""
        found = {demand: demand.broken_by(values.get(demand.key)) for demand in self.demands}
        return {demand: complaint for demand, complaint in found.items() if complaint}
