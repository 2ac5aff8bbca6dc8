"""What a refused deploy has to leave behind, and what a good error looks like."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.site import Outcome, Site, Traffic, demand_no_loss, segue, traffic, until

from segue.core.record import Record
from segue.disk.home import Home


def append(folder: Path, text: str) -> None:
    """Add `text` to the end of the project's wsgi.py."""
    with (folder / "wsgi.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def processes_of(home: Home, generation: str) -> list[str]:
    """The pids of all processes that were started for `generation`: its servers, its import, its hooks."""
    wanted, found = f"SEGUE_GENERATION={generation}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # other projects' generations may have the same name
            ours = (process / "cwd").readlink().is_relative_to(home.project)
            if ours and wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


def demand_good_error(error: dict[str, Any]) -> None:
    """One clear sentence, evidence, a hint."""
    assert set(error) == {"kind", "message", "evidence", "hint"}
    assert error["message"].endswith(".")
    assert "\n" not in error["message"]
    assert error["kind"].isidentifier()
    assert error["evidence"], error
    assert error["hint"], error


def demand_shown(error: dict[str, Any], text: str) -> None:
    """`text` is how the command line shows `error` to people: sentence, evidence, blank line, hint."""
    shown = text[text.index(f"error: {error['message']}\n") :]
    assert shown.endswith(f"\n\nhint: {error['hint']}\n"), shown
    for line in error["evidence"].splitlines():
        assert f"  {line}".rstrip() in [one.rstrip() for one in shown.splitlines()]


@dataclass(frozen=True)
class Refused:
    """A deploy that was taken back, all of whose traces were looked at."""

    receipt: dict[str, Any]
    load: Traffic

    @property
    def error(self) -> dict[str, Any]:
        """Why."""
        error: dict[str, Any] = self.receipt["error"]
        return error


def deploy_refused(site: Site, *words: str, lossless: bool = True, rate: float = 100) -> Refused:
    """Deploy under traffic, and demand what P3 promises: refused, nothing lost, nothing of it left."""
    before = site.home.read_record()
    assert before.live is not None
    assert processes_of(site.home, before.live)
    with traffic(f"{site.url}/", rate=rate) as load:
        outcome = site.segue("deploy", "--json", *words)
    assert outcome.code == 1, f"{outcome.out}\n{outcome.err}\n{site.keeper_log()}"
    refused = Refused(outcome.document, load)
    if lossless:
        demand_no_loss(load)
    assert set(load.report["generations"]) == {before.live}
    demand_good_error(refused.error)
    _demand_nothing_left(site, refused.receipt, before)
    _demand_history(site, refused)
    return refused


def _demand_nothing_left(site: Site, receipt: dict[str, Any], before: Record) -> None:
    assert site.home.read_record() == before
    assert site.at_rest()
    assert receipt["generation"] != before.live
    until(lambda: not processes_of(site.home, receipt["generation"]), what="the end of the candidate")


def _demand_history(site: Site, refused: Refused) -> None:
    """The receipt that is kept says the same to machines and to people."""
    name = refused.receipt["generation"]
    assert site.segue("receipt", name, "--json").document == refused.receipt
    shown = site.segue("receipt", name)
    assert f"{refused.receipt['previous']} serves" in shown.out
    demand_shown(refused.error, shown.err)


def state_of(site: Site, receipt: dict[str, Any]) -> str:
    """The state of the release of a deploy."""
    return str(json.loads(site.home.release_state(receipt["release"]).read_text())["state"])


def on_disk(folder: Path) -> tuple[str | None, list[str], list[str]]:
    """Everything that a command which touches nothing must leave alone: record, releases, generations."""
    home = Home(folder.resolve())
    record = home.root / "record.json"
    text = record.read_text() if record.exists() else None
    return text, home.releases(), home.generations()


def demand_untouched(folder: Path, code: int, *words: str, **options: Any) -> dict[str, Any]:
    """Run a command that must end with `code` and touch nothing, for machines and for people; its error."""
    before = on_disk(folder)
    shown = segue(folder, *words, **options)
    told = segue(folder, *words, "--json", **options)
    assert (shown.code, told.code) == (code, code), f"{shown}\n{told}"
    assert on_disk(folder) == before
    assert told.document["ok"] is False
    error: dict[str, Any] = told.document["error"]
    demand_good_error(error)
    demand_shown(error, shown.err)
    assert shown.out == ""
    return error


def up_refused(folder: Path, code: int, *flags: str, prefix: tuple[str, ...] = ()) -> Outcome:
    """`segue up` that must end with `code` by itself, and touch nothing that was there."""
    before = on_disk(folder)
    outcome = segue(folder, "up", *flags, prefix=prefix, timeout=60)
    assert outcome.code == code, outcome
    assert on_disk(folder) == before
    assert outcome.err.count("error: ") == 1, outcome.err
    assert "Traceback" not in outcome.err
    return outcome
