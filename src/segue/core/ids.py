"""Names of releases and generations.

A release is named by UTC time and short revision, ``20261121T013455-8c1f2e9``. A generation is one
start of it: ``20261121T013455-8c1f2e9.1``. Names sort by time, and are safe in paths and unit names.
A receipt goes by its generation, ``….1``, or is an earlier one of it, ``….1~1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

NO_REVISION = "tree"

_RELEASE = re.compile(r"\d{8}T\d{6}-[0-9a-z]{1,40}", re.ASCII)
_RECEIPT = re.compile(r"(.+?)(?:~[1-9]\d{0,8})?", re.ASCII)
_GENERATION = re.compile(r"(\d{8}T\d{6}-[0-9a-z]{1,40})\.([1-9]\d{0,8})", re.ASCII)


def new_release_id(now: datetime, revision: str, known: Iterable[str]) -> str:
    """The id of a release made at `now` (UTC) from `revision`; later than all `known`, or it would seem old.

    The newest, by their ids, are kept.
    """
    return f"{max([_second(now), *map(_second_after, known)])}-{revision}"


def _second(time: datetime) -> str:
    return f"{time:%Y%m%dT%H%M%S}"


def _second_after(release: str) -> str:
    """The second after the one that `release` is named by; empty where no calendar has it."""
    try:
        return _second(datetime.fromisoformat(release.partition("-")[0]) + timedelta(seconds=1))
    except (ValueError, OverflowError):
        return ""


def is_release_id(text: str) -> bool:
    """Whether `text` has the form of a release's id."""
    return _RELEASE.fullmatch(text) is not None


def is_generation_id(text: str) -> bool:
    """Whether `text` has the form of a generation's id."""
    return _GENERATION.fullmatch(text) is not None


def generation_id(release: str, number: int) -> str:
    """The id of the `number`th start (from 1) of `release`."""
    return f"{release}.{number}"


def release_of(generation: str) -> str:
    """The release that `generation` is a start of.

    Raises:
        ValueError: `generation` is no generation's id.
    """
    return _parts(generation)[1]


def earlier_id(generation: str, number: int) -> str:
    """The id of the `number`th receipt of `generation` (from 1) that was followed by another one.

    The last one has the id of its generation. One that was kept warm is brought in again as it is.
    """
    return f"{generation}~{number}"


def is_receipt_id(text: str) -> bool:
    """Whether `text` has the form of a receipt's id."""
    return is_generation_id(generation_of(text))


def generation_of(receipt: str) -> str:
    """The id of the generation that the receipt with the id `receipt` is of."""
    match = _RECEIPT.fullmatch(receipt)
    return match[1] if match else ""


def generation_number(generation: str) -> int:
    """Which start of its release `generation` is, from 1.

    Raises:
        ValueError: `generation` is no generation's id.
    """
    return int(_parts(generation)[2])


def _parts(generation: str) -> re.Match[str]:
    match = _GENERATION.fullmatch(generation)
    if match is None:
        raise ValueError(f"{generation!r} is no generation's id")
    return match
