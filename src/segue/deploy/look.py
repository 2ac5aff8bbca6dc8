"""What is on disk, as documents: what runs, which releases there are, how deploys went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segue.core.errors import Refused, UsageError
from segue.core.ids import is_generation_id, release_of
from segue.core.record import Record
from segue.deploy.releases import Releases
from segue.disk.home import Home
from segue.proof.receipt import read_receipt
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
    }


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


def history(home: Home) -> tuple[list[dict[str, Any]], list[str]]:
    """Every receipt, newest first; and what is to be said of those that are damaged."""
    found, damaged = [], []
    for path in _receipt_files(home):
        try:
            found.append(read_receipt(path) or {})
        except ValueError as error:
            damaged.append(f"{path} is damaged, and left out: {error}")
    return [receipt for receipt in found if receipt], damaged


def receipt(home: Home, wanted: str | None) -> dict[str, Any]:
    """The receipt of the generation or release `wanted`; of the last deploy where that is None.

    Raises:
        UsageError: there is none.
        Refused: it is damaged.
    """
    files = _receipt_files(home)
    matching = [path for path in files if wanted in (None, path.stem, release_of(path.stem))]
    if not matching:
        what = "Nothing was deployed yet." if wanted is None else f"There is no receipt {wanted!r}."
        newest = f"the newest is {files[0].stem}" if files else f"looked in {home.root / 'receipts'}"
        raise UsageError("receipt", what, evidence=newest, hint="`segue history` lists all of them")
    try:
        return read_receipt(matching[0]) or {}
    except ValueError as error:
        hint = "`segue history` lists those that are whole"
        raise Refused("receipt", f"{matching[0]} is damaged.", evidence=str(error), hint=hint) from error


def _receipt_files(home: Home) -> list[Path]:
    files = [path for path in (home.root / "receipts").glob("*.json") if is_generation_id(path.stem)]
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
