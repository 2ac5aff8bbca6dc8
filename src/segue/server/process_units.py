"""The systemd form of `Background`: one transient unit for each of the app's other processes.

Transient, because only the release knows how many there are and what they run: no deploy needs a setup
before it. After a boot there are none, and the keeper starts them as the live generation says.
"""

from __future__ import annotations

import asyncio
from typing import Any

from segue.config.schema import Process
from segue.core.errors import Failed
from segue.deploy.seams import Key
from segue.run.generation import EVIDENCE_LINES, MARK, Generation, words_of
from segue.server import systemd
from segue.server.home import ServerHome
from segue.server.installed import Installed
from segue.server.sandbox import Directive, as_words, process_confinement

POLL = 0.2


class ProcessUnits:
    """Starts and ends them."""

    def __init__(self, home: ServerHome, installed: Installed) -> None:
        self._home = home
        self._layout = home.layout
        self._installed = installed

    def running(self) -> list[Key]:
        """See `Background`."""
        return [self._layout.process_of(unit) for unit in systemd.alive(self._layout.process_units)]

    def look(self) -> list[dict[str, Any]]:
        """What there is to say of each, for people."""
        return [self._seen(key) for key in self.running()]

    def _seen(self, key: Key) -> dict[str, Any]:
        unit = self._layout.process_unit(*key)
        told = systemd.show(unit, "ActiveState", "MainPID", "NRestarts")
        facts = {"pid": int(told["MainPID"]), "restarts": int(told["NRestarts"])}
        return {"name": key[1], "generation": key[0], "state": told["ActiveState"], **facts}

    async def start(self, key: Key, process: Process) -> None:
        """See `Background`."""
        unit = self._layout.process_unit(*key)
        # one that was told to stop a moment ago has that name still
        await self.stop(key)
        await systemd.run(unit, *self._words(key, process))
        clock = asyncio.get_running_loop().time
        deadline = clock() + process.steady
        while clock() < deadline:
            await asyncio.sleep(POLL)
            self._demand_steady(key, unit)

    def _words(self, key: Key, process: Process) -> tuple[str, ...]:
        generation, name = key
        start = Generation(generation, self._home.generation(generation)).start()
        environ = {word: value for word, value in start["environ"].items() if word != MARK}
        directives: list[Directive] = [
            ("WorkingDirectory", start["root"]),
            ("Restart", "always"),
            ("RestartSec", "1s"),
            ("StartLimitIntervalSec", "0"),
            ("KillMode", "mixed"),
            ("TimeoutStopSec", f"{process.drain_timeout}s"),
            ("OOMPolicy", "continue"),
            *process_confinement(self._layout, self._installed),
        ]
        return (
            f"--description={name} of {self._layout.app}, generation {generation}",
            *as_words(directives),
            *(f"--setenv={word}={value}" for word, value in environ.items()),
            # env(1) looks the word up in the release's own PATH, where systemd would look in its own
            *("--", "/usr/bin/env", "--", *(word.replace("$", "$$") for word in process.command)),
        )

    def _demand_steady(self, key: Key, unit: str) -> None:
        state = systemd.show(unit, "ActiveState", "NRestarts")
        if state.get("ActiveState") in systemd.ACTIVE and state.get("NRestarts") == "0":
            return
        generation, name = key
        raise Failed(
            "process",
            f"{name} of {generation} did not stay up.",
            evidence=words_of(unit, EVIDENCE_LINES) or "it printed nothing",
            hint=f"its whole log: `journalctl -u {unit}`",
        )

    async def stop(self, key: Key) -> bool:
        """See `Background`."""
        unit = self._layout.process_unit(*key)
        await systemd.systemctl("stop", unit, check=False)
        result = systemd.show(unit, "Result").get("Result")
        # else a failed one would stay in systemd's memory
        await systemd.systemctl("reset-failed", "--quiet", unit, check=False)
        return result != "timeout"
