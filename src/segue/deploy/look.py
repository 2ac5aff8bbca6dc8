"""What is on disk, as documents: what runs, which releases there are, how deploys went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segue.core.errors import Refused, UsageError
from segue.core.ids import generation_of, release_of
from segue.core.record import Record
from segue.deploy.releases import Releases
from segue.disk.home import Home
from segue.disk.space import taken
from segue.proof.receipt import read_receipt
from segue.proof.timeline import read_timeline
from segue.run.generation import Generation

ROLES = ("live", "previous", "candidate")


def roles(home: Home) -> dict[str, Any]:
    """The phase, and what is known of each generation that the record names."""
    record = home.read_record()
    told = {role: _generation(home, getattr(record, role)) for role in ROLES}
    return {"phase": record.phase.value, **told, "standby": record.standby}


def _generation(home: Home, name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    generation = Generation(name, home.generation(name), home.unit(name))
    if not generation.folder.exists():
        return {"generation": name, "release": release_of(name), "alive": False}
    master, counts = generation.master(), generation.counts()
    return {
        "generation": name,
        "release": release_of(name),
        "alive": master is not None and master.alive(),
        "pid": master and master.pid,
        "workers": len(generation.ready_workers()),
        "scaled": generation.scaled(),
        "requests": counts.finished,
        "errors": counts.errors,
        "latency": list(counts.latency),
    }


def on_disk(home: Home) -> dict[str, Any]:
    """Every release, newest first; and how many bytes the cache takes that no release shares."""
    folder = home.cache
    # on a server it is the deploy user's, and root who looks
    number = 0 if folder.is_symlink() else taken(folder)
    return {"releases": releases(home), "cache": {"folder": str(folder), "bytes": number}}


def releases(home: Home) -> list[dict[str, Any]]:
    """Every release, newest first."""
    record = home.read_record()
    return [_release(home, name, record) for name in reversed(home.releases())]


def _release(home: Home, name: str, record: Record) -> dict[str, Any]:
    facts = Releases(home).read(name)
    found = [
        role
        for role in ("live", "candidate", "previous")
        if (generation := getattr(record, role)) is not None and release_of(generation) == name
    ]
    keys = ("state", "created", "by", "revision", "commit", "dirty", "live_at")
    return {"id": name, "role": found[0] if found else None, **{key: facts.get(key) for key in keys}}


def receipt_document(home: Home, wanted: str | None, *, timeline: bool) -> dict[str, Any]:
    """The receipt of the generation or release `wanted`; of the last deploy where that is None.

    Args:
        home: where it is kept.
        wanted: whose.
        timeline: whether to add the probe's requests one by one, as ``timeline``.

    Raises:
        UsageError: there is none.
        Refused: it is damaged.
    """
    files = home.receipts()
    # not by the generation of an earlier one: that is what the receipt to come will go by
    matching = [path for path in files if wanted in (None, path.stem, release_of(generation_of(path.stem)))]
    if not matching:
        what = "Nothing was deployed yet." if wanted is None else f"There is no receipt {wanted!r}."
        newest = f"the newest is {files[0].stem}" if files else f"looked in {home.root / 'receipts'}"
        raise UsageError("receipt", what, evidence=newest, hint="`segue history` lists all of them")
    try:
        return _read(matching[0], timeline=timeline)
    except ValueError as error:
        hint = "`segue history` lists those that are whole"
        raise Refused("receipt", f"{matching[0]} is damaged.", evidence=str(error), hint=hint) from error


def history_document(home: Home, *, timelines: bool) -> dict[str, Any]:
    """Every receipt as `receipt_document` gives it, newest first, and what is to be said of damaged ones."""
    found, damaged = [], []
    for path in home.receipts():
        try:
            found.append(_read(path, timeline=timelines))
        except ValueError as error:
            damaged.append(f"{path} is damaged, and left out: {error}")
    return {"receipts": [receipt for receipt in found if receipt], "damaged": damaged}


def _read(path: Path, *, timeline: bool) -> dict[str, Any]:
    found = read_receipt(path)
    if found is None:  # gone since it was listed
        return {}
    # the last one of its generation goes by that
    named = found if path.stem == generation_of(path.stem) else {**found, "id": path.stem}
    return {**named, "timeline": read_timeline(path.with_suffix(".timeline"))} if timeline else named
