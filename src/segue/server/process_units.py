"""The systemd form of `Background`: one transient unit for each of the app's other processes.

Transient, because only the release knows how many there are and what they run: no deploy needs a setup
before it. After a boot there are none, and the keeper starts them as the live generation says.
"""

from __future__ import annotations

import asyncio
from typing import Any

from segue.config.schema import Process
from segue.core.errors import Failed
from segue.deploy.background import processes_of
from segue.deploy.seams import Key
from segue.run.generation import EVIDENCE_LINES, MARK, Generation, words_of
from segue.server import systemd
from segue.server.home import ServerHome
from segue.server.installed import Installed
from segue.server.sandbox import Directive, as_words, process_confinement
from segue.server.tasks import in_environment

POLL = 0.2


class ProcessUnits:
    """Starts and ends them."""

    def __init__(self, home: ServerHome, installed: Installed) -> None:
        self._home = home
        self._layout = home.layout
        self._installed = installed

    def running(self) -> dict[Key, bool]:
        """See `Background`."""
        states = systemd.alive(self._layout.process_units)
        return {self._layout.process_of(unit): state == systemd.LEAVING for unit, state in states.items()}

    def look(self, live: str | None) -> list[dict[str, Any]]:
        """What there is to say of each that runs, or that `live` wants, for people."""
        wanted = {} if live is None else processes_of(self._generation(live))
        keys = dict.fromkeys([*((str(live), name) for name in wanted), *self.running()])
        return [self._seen(key) for key in keys]

    def _generation(self, name: str) -> Generation:
        return Generation(name, self._home.generation(name))

    def _seen(self, key: Key) -> dict[str, Any]:
        unit = self._layout.process_unit(*key)
        told = systemd.show(unit, "ActiveState", "MainPID", "NRestarts")
        facts = {"pid": int(told["MainPID"]), "restarts": int(told["NRestarts"])}
        return {"name": key[1], "generation": key[0], "state": told["ActiveState"], **facts}

    async def start(self, key: Key, process: Process) -> None:
        """See `Background`."""
        unit = self._layout.process_unit(*key)
        # one that was told to stop a moment ago has that name still
        await self.stop(key, wait=True)
        await systemd.run(unit, *self._words(key, process))
        clock = asyncio.get_running_loop().time
        deadline = clock() + process.steady
        while clock() < deadline:
            await asyncio.sleep(POLL)
            self._demand_steady(key, unit)

    def _words(self, key: Key, process: Process) -> tuple[str, ...]:
        generation, name = key
        start = self._generation(generation).start()
        environ = {word: value for word, value in start["environ"].items() if word != MARK}
        directives: list[Directive] = [
            ("WorkingDirectory", start["root"]),
            ("Restart", "always"),
            ("RestartSec", "1s"),
            ("StartLimitIntervalSec", "0"),
            ("KillMode", "mixed"),
            ("TimeoutStopSec", f"{process.drain_timeout}s"),
            ("OOMPolicy", "continue"),
            ("LimitNOFILE", "65536"),
            *process_confinement(self._layout, self._installed),
        ]
        return (
            f"--description={name} of {self._layout.app}, generation {generation}",
            *as_words(directives),
            *("--", *in_environment(process.command, environ)),
        )

    def _demand_steady(self, key: Key, unit: str) -> None:
        # a crashed one counts as "activating" until it runs again
        state = systemd.show(unit, "SubState", "NRestarts")
        if (state.get("SubState"), state.get("NRestarts")) == ("running", "0"):
            return
        generation, name = key
        raise Failed(
            "process",
            f"{name} of {generation} did not stay up.",
            evidence=words_of(unit, EVIDENCE_LINES) or "it printed nothing",
            hint=f"its whole log: `journalctl -u {unit}`",
        )

    async def stop(self, key: Key, *, wait: bool) -> bool:
        """See `Background`."""
        unit = self._layout.process_unit(*key)
        if not wait:
            await systemd.systemctl("stop", "--no-block", unit, check=False)
            return True
        await systemd.systemctl("stop", unit, check=False)
        result = systemd.show(unit, "Result").get("Result")
        # else a failed one would stay in systemd's memory
        await systemd.systemctl("reset-failed", "--quiet", unit, check=False)
        return result != "timeout"
