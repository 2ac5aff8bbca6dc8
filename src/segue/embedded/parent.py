"""The tiny parent: holds the listening socket, keeps a controller running, reaps. All logic is elsewhere.

It reaps whatever its descendants leave behind (it is their subreaper), so masters outlive their controller,
and it only ever waits for signals, so there is next to nothing in it that could fail.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass, field

from segue.core.errors import Bug

PR_SET_CHILD_SUBREAPER = 36
FASTEST, SLOWEST, STEADY = 0.05, 5.0, 10.0

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SIGNALS = {signal.SIGCHLD, *_STOP}


@dataclass
class Parent:
    """Keeps `argv` running until it ends by its own wish.

    Attributes:
        argv: the controller's command; ``--stop`` is added for each time that it was told to.
        listener: the descriptor that the controller inherits.
    """

    argv: tuple[str, ...]
    listener: int
    stops: int = 0
    controller: int = 0
    started: float = field(default=0.0)
    pause: float = FASTEST

    def keep(self) -> int:
        """Run until the controller ends by its own wish; its exit code."""
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        os.set_inheritable(self.listener, True)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._start()
        while True:
            caught = signal.sigtimedwait(_SIGNALS, 60.0)
            if caught is not None and caught.si_signo in _STOP:
                self._stop()
            code = self._reap()
            if code is not None:
                return code

    def _start(self) -> None:
        argv = (*self.argv, *("--stop",) * self.stops)
        self.controller = os.posix_spawn(argv[0], argv, os.environ, setsid=True, setsigmask=())
        self.started = time.monotonic()

    def _stop(self) -> None:
        self.stops += 1
        # the first asks for the drain, the next to leave at once
        os.kill(self.controller, signal.SIGTERM if self.stops == 1 else signal.SIGINT)

    def _reap(self) -> int | None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            if pid != self.controller:
                continue
            if os.WIFEXITED(status) and os.WEXITSTATUS(status) != Bug.exit_code:
                return os.WEXITSTATUS(status)
            self._restart(os.waitstatus_to_exitcode(status))

    def _restart(self, code: int) -> None:
        _say(f"the controller ended with {code}; starting another")
        self.pause = FASTEST if time.monotonic() - self.started > STEADY else min(SLOWEST, self.pause * 2)
        while True:
            time.sleep(self.pause)
            try:
                return self._start()
            except OSError as error:
                _say(f"no controller can be started: {error.strerror}; trying again")
                self.pause = SLOWEST


def _say(text: str) -> None:
    # a terminal that is gone must not end the one process that all others rest on
    with contextlib.suppress(OSError):
        sys.stderr.write(f"segue: {text}\n")
        sys.stderr.flush()
