"""Strategies for what a disk, a crash or an editor may make of a small JSON file."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

_NUMBERS = st.integers() | st.sampled_from([-1, 0, 2**31, 2**64, 10**400]) | st.floats()
_TEXTS = st.text(max_size=20) | st.sampled_from(["", "\0", "\ud800", "../..", "\x1b[2J", "a" * 5000])
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)


def _places(document: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in `document`, its own included."""
    keys = (
        document if isinstance(document, dict) else range(len(document) if isinstance(document, list) else 0)
    )
    return [place] + [found for key in keys for found in _places(document[key], (*place, key))]


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """`document` with one of its values replaced or taken away, or with one more."""
    place: tuple[Any, ...] = (None, *draw(st.sampled_from(_places(document))))
    way, last = place[:-1], place[-1]
    root = {None: copy.deepcopy(document)}
    table: Any = root
    for key in way:
        table = table[key]
    if way and draw(st.integers(0, 3)) == 0:
        del table[last]
    else:
        table[last] = draw(VALUES)
    return root.get(None)


@st.composite
def overwritten(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` with something else in place of a part of it, or of nothing."""
    at, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    return whole[:at] + draw(st.binary(max_size=20) | st.just(whole[:end])) + whole[end:]


def damaged(document: Any) -> st.SearchStrategy[bytes]:
    """The bytes of `document`'s file, cut short, overwritten, repeated, or altered in one place."""
    whole = json.dumps(document, indent=1).encode()
    deep, long = b"[" * 100_000, b"9" * 5000
    return (
        st.binary(max_size=50)
        | st.integers(0, len(whole)).map(lambda end: whole[:end])
        | st.sampled_from([deep, long, b"\xef\xbb\xbf" + whole, whole * 2, bytes(len(whole))])
        | overwritten(whole)
        | altered(document).map(lambda other: json.dumps(other).encode())
    )
