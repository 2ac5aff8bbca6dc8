"""Releases on disk: each has one file beside its folder that says in which state it is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from segue.core.contract import Contract
from segue.core.errors import Refused, UsageError
from segue.core.ids import generation_number, release_of
from segue.core.record import Record
from segue.disk.atomic import read_json, write_json
from segue.disk.forms import MAYBE_TEXT, Form
from segue.disk.home import Home

FAILED_KEPT = 2

# one line of a contract, as `Contract.as_list` writes it
CONTRACT: Form = {"key": str, "kind": str, "example": MAYBE_TEXT, "configured": bool}

_FACTS: Form = {
    **dict.fromkeys(
        (
            "state",
            "created",
            "by",
            "revision",
            "commit",
            "live_at",
            "module",
            "python",
            "server",
            "interface",
            "migrated_from",
            "barred_by",
            "static",
            "static_url",
            "static_sample",
        ),
        MAYBE_TEXT,
    ),
    "starts": (int, None),
    "env": ([CONTRACT], None),  # older releases have none
}


class State(StrEnum):
    """What is known of a release."""

    BUILDING = "building"
    READY = "ready"
    GOOD = "good"
    BAD = "bad"
    FAILED = "failed"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Releases:
    """The releases of one project."""

    home: Home

    def read(self, release: str) -> dict[str, Any]:
        """What is known of `release`; only its state where its file is damaged."""
        try:
            document: dict[str, Any] | None = read_json(self.home.release_state(release), _FACTS)
        except ValueError:
            return {"state": State.DAMAGED}
        return document or {}

    def update(self, release: str, **facts: Any) -> None:
        """Write down `facts` about `release`."""
        write_json(self.home.release_state(release), {"id": release, **self.read(release), **facts})

    def python(self, release: str) -> Path:
        """The interpreter that runs `release`.

        Raises:
            Refused: nobody knows.
        """
        return Path(self._needed(release, "python"))

    def module(self, release: str) -> str:
        """The app in `release`, ``wsgi:app``.

        Raises:
            Refused: nobody knows.
        """
        return self._needed(release, "module")

    def contract(self, release: str) -> Contract:
        """What `release` demands of its environment.

        Raises:
            Refused: nobody knows.
        """
        try:
            return Contract.from_list(self.read(release).get("env") or [])
        except ValueError:
            raise self._unknown(release, "env") from None

    def _needed(self, release: str, fact: str) -> str:
        facts = self.read(release)
        if facts.get(fact) is None:
            raise self._unknown(release, fact)
        return str(facts[fact])

    def _unknown(self, release: str, fact: str) -> Refused:
        return Refused(
            "release_file",
            f"{self.home.release_state(release)} does not say how {release} is started.",
            evidence=f"its state: {self.read(release).get('state')}, its {fact}: unknown",
            hint="it was damaged on the disk; `segue deploy` makes a new release",
        )

    def next_start(self, release: str) -> int:
        """The number of the next start of `release`."""
        names = [name for name in self.home.generations() if release_of(name) == release]
        return max([self.read(release).get("starts") or 0, *map(generation_number, names)]) + 1

    def all(self) -> list[dict[str, Any]]:
        """What is known of every release, oldest first."""
        return [self.read(release) for release in self.home.releases()]

    def in_state(self, *states: State) -> list[str]:
        """The releases in one of `states`, oldest first."""
        return [release for release in self.home.releases() if self.read(release).get("state") in states]

    def rollback_target(self, record: Record, wish: str | None) -> str:
        """The release to go back to: `wish`, or the good one that was live last before the present.

        Raises:
            UsageError: there is no release `wish`.
            Refused: it can't serve, it is live already, or nothing good is left; or the database has left it.
        """
        target = self._rollback_target(record, wish)
        self._demand_no_contract_since(target)
        return target

    def bar_rollbacks(self, past: str) -> None:
        """Have no rollback lead to what is on disk beside `past`, which takes the database away from it."""
        for release in self.home.releases():
            if release != past and self.read(release).get("barred_by") is None:
                self.update(release, barred_by=past)

    def bars_rollbacks(self, past: str) -> bool:
        """Whether `bar_rollbacks` holds for `past`."""
        return any(self.read(release).get("barred_by") == past for release in self.home.releases())

    def allow_rollbacks(self, past: str) -> None:
        """Undo what `bar_rollbacks` did: the database was not changed after all."""
        for release in self.home.releases():
            if self.read(release).get("barred_by") == past:
                self.update(release, barred_by=None)

    def _demand_no_contract_since(self, target: str) -> None:
        if (by := self.read(target).get("barred_by")) is not None:
            raise Refused(
                "contract",
                f"{target} may not find in the database what it needs.",
                evidence=f"{by} ran a migration that older code may not live with",
                hint="a migration is not taken back: deploy code that can live with it",
            )

    def _rollback_target(self, record: Record, wish: str | None) -> str:
        live = None if record.live is None else release_of(record.live)
        if wish is not None:
            return self._wished(wish, live)
        good = [release for release in self.in_state(State.GOOD) if release != live]
        if not good:
            raise Refused(
                "no_release",
                "There is no good release to go back to.",
                evidence=self._listed(),
                hint="`segue rollback --to RELEASE` takes any of `segue releases` that was built",
            )
        before = None if record.previous is None else release_of(record.previous)
        # the clock may have jumped since; the record knows the last one without it
        return max(
            good, key=lambda release: (release == before, self.read(release).get("live_at") or "", release)
        )

    def _wished(self, wish: str, live: str | None) -> str:
        known = self.home.releases()
        if wish not in known:
            hint = "name one of these; `segue releases` tells more of them"
            raise UsageError("release", f"There is no release {wish!r}.", evidence=self._listed(), hint=hint)
        if wish == live:
            evidence = f"live since {self.read(wish).get('live_at')}"
            hint = "`segue restart` starts it anew"
            raise Refused("live", f"{wish} is live already.", evidence=evidence, hint=hint)
        if (state := self.read(wish).get("state")) in (State.BUILDING, State.FAILED, State.DAMAGED):
            why = "is damaged" if state == State.DAMAGED else "could not be built"
            hint = "name one that is good, or only ready"
            raise Refused("unfit", f"{wish} {why}, so it can't serve.", evidence=self._listed(), hint=hint)
        if self.read(wish).get("server") is None:
            hint = "name one that is good, or was taken back later than that"
            raise Refused(
                "unfit", f"{wish} was never imported, so it can't serve.", evidence=self._listed(), hint=hint
            )
        return wish

    def _listed(self) -> str:
        lines = (f"{release}  {self.read(release).get('state')}" for release in self.home.releases())
        return "\n".join(lines) or "no releases"

    def sweep(self) -> list[str]:
        """Take away what a build that died left behind; the releases that it took."""
        # a folder without a state is one whose removal was cut short
        left = [*self.in_state(State.BUILDING), *self.home.stray_releases()]
        for release in left:
            self.remove(release)
        return left

    def prune(self, keep: int, record: Record) -> list[str]:
        """Keep `keep` good releases, the newest failures, and whatever the record names; what was removed."""
        needed = {release_of(name) for name in (record.live, record.previous) if name is not None}
        good = sorted(
            self.in_state(State.GOOD, State.READY), key=lambda name: self.read(name).get("live_at") or ""
        )
        failed = self.in_state(State.BAD, State.FAILED)
        spare = [*good[: max(0, len(good) - keep)], *failed[: max(0, len(failed) - FAILED_KEPT)]]
        removed = [release for release in spare if release not in needed]
        for release in removed:
            self.remove(release)
        return removed

    def remove(self, release: str) -> None:
        """Take `release` and its generations off the disk, its state first so that nobody starts it."""
        self.home.release_state(release).unlink(missing_ok=True)
        for generation in self.home.generations():
            if release_of(generation) == release:
                shutil.rmtree(self.home.generation(generation))
        shutil.rmtree(self.home.release(release), ignore_errors=True)
