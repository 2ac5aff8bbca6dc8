"""The running nginx: its master, its workers, what it says in its error log."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from segue.core.errors import Failed, Refused, Stranded
from segue.disk.processes import ProcessId, in_sessions, parent_of, process

_MASTER = "nginx: master process"
_WORKER = "nginx: worker process"
_LEAVING = "nginx: worker process is shutting down"
_POLL = 0.02
_MOST_EVIDENCE = 10
# nginx tries five times to bind, and says this at each, before it gives up
_MAY_PASS = "bind() to "  # noqa: S105 - no password


@dataclass(frozen=True)
class Master:
    """nginx's master process.

    Attributes:
        process: the process.
        error_log: where it says what goes wrong; None where that is no file.
    """

    process: ProcessId
    error_log: Path | None

    def serving(self) -> set[ProcessId]:
        """The workers that take new connections."""
        return {worker for worker in self.workers() if not _title(worker).startswith(_LEAVING)}

    def workers(self) -> set[ProcessId]:
        """All workers, those that finish what they hold as well."""
        session = {os.getsid(self.process.pid)} if self.process.alive() else set()
        children = {child for child in in_sessions(session) if parent_of(child.pid) == self.process.pid}
        return {child for child in children if _title(child).startswith(_WORKER)}

    def serving_since(self) -> float:
        """When the oldest worker that serves began, in seconds of the epoch; now, where there is none."""
        now, since_boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
        begun = (worker.started / os.sysconf("SC_CLK_TCK") for worker in self.serving())
        return now - since_boot + min(begun, default=since_boot)

    def reload(self, timeout: float) -> None:
        """Have it read its config, and see new workers take over from all the old ones.

        Raises:
            Failed: the config is not what runs: nginx could not use it, and kept the one from before.
            Stranded: nginx ended.
        """
        old, said_before = self.workers(), self._size_of_log()
        deadline = time.monotonic() + timeout
        self.process.signal(SIGHUP)
        while not self._has_replaced(old):
            self._demand_no_failure(self._complaints(said_before), is_over=time.monotonic() > deadline)
            time.sleep(_POLL)

    def _has_replaced(self, old: set[ProcessId]) -> bool:
        serving = self.serving()
        return bool(serving) and not serving & old

    def _demand_no_failure(self, complaints: list[str], *, is_over: bool) -> None:
        evidence = "\n".join(complaints[-_MOST_EVIDENCE:])
        if not self.process.alive():
            raise Stranded("nginx_ended", "nginx ended as it read its config.", evidence=evidence)
        if is_over or any(_MAY_PASS not in line for line in complaints):
            raise Failed(
                "nginx_reload",
                "nginx could not use its config, and goes on with the one from before.",
                evidence=evidence or "its old workers still take new connections",
                hint="who listens on the port? `ss -ltnp`" if _MAY_PASS in evidence else "",
            )

    def _size_of_log(self) -> int:
        try:
            return self.error_log.stat().st_size if self.error_log else 0
        except FileNotFoundError:
            return 0

    def _complaints(self, since: int) -> list[str]:
        if self.error_log is None or not self.error_log.exists():
            return []
        with self.error_log.open("rb") as file:
            # rotated meanwhile: all of it is new
            file.seek(since if since <= os.fstat(file.fileno()).st_size else 0)
            lines = file.read().decode(errors="replace").splitlines()
        return [line for line in lines if f"[emerg] {self.process.pid}#" in line]


def find_master(pid_file: Path, error_log: Path | None) -> Master:
    """The master whose pid nginx wrote into `pid_file`.

    Raises:
        Refused: nginx does not run.
    """
    try:
        found = process(int(pid_file.read_text()))
    except (OSError, ValueError) as error:
        raise _does_not_run(f"{pid_file}: {error}") from None
    if found is None or not _title(found).startswith(_MASTER):
        raise _does_not_run(f"{pid_file} names a process that is no master of nginx's")
    return Master(found, error_log)


def _does_not_run(evidence: str) -> Refused:
    return Refused("no_nginx", "nginx does not run.", evidence=evidence, hint="systemctl enable --now nginx")


def _title(of: ProcessId) -> str:
    try:
        return Path(f"/proc/{of.pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
