"""How the command line asks a server: `segue-exec`, by sudo here or by the system's ssh there."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

from segue.core.errors import Stranded, Unreachable
from segue.deploy.conversation import Answer, Conversation
from segue.deploy.protocol import encode
from segue.server.layout import Layout

SSH_FAILED = 255
LAST_WORD_TIMEOUT = 10.0


class ServerDoor:
    """The way to a server's executor: a process that ends with this one, and nothing with it."""

    def __init__(self, host: str | None, layout: Layout, request: dict[str, Any]) -> None:
        self._host = host
        self._process = subprocess.Popen(
            _argv(host, layout), stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        self.send(request)

    def send(self, document: dict[str, Any]) -> None:
        """See `Door`."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(encode(document))
                self._process.stdin.flush()

    def received(self) -> Iterator[bytes]:
        """See `Door`."""
        if self._process.stdout is not None:
            while (line := self._process.stdout.readline()).endswith(b"\n"):
                yield line

    def close(self) -> None:
        """See `Door`."""
        # the end of its input is what it goes by
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(LAST_WORD_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def verdict(self, deploy: str | None) -> Answer:
        """See `Door`: without a last word, what sudo or ssh said tells why."""
        said = b"" if self._process.stderr is None else self._process.stderr.read()
        code, evidence = self._process.wait(), said.decode(errors="replace").strip()
        if self._host is not None and code == SSH_FAILED:
            raise Unreachable(
                "ssh",
                f"{self._host} can't be reached by ssh."
                if deploy is None
                else f"The ssh to {self._host} was cut.",
                evidence=evidence,
                hint=f"does `ssh {self._host}` work?"
                if deploy is None
                else "the deploy goes on; `segue history` tells how it ended",
            )
        raise Stranded(
            "no_answer",
            "The server did not answer.",
            evidence=evidence or f"segue-exec ended with {code}",
            hint="was it set up (`sudo segue setup`), and is this its deploy user?",
        )


def _argv(host: str | None, layout: Layout) -> tuple[str, ...]:
    executor = str(layout.exec)
    if host is not None:
        return ("ssh", "-T", "-o", "BatchMode=yes", "--", host, f"sudo -n {executor}")
    return (executor,) if os.geteuid() == 0 else ("sudo", "-n", "--", executor)


def converse(host: str | None, layout: Layout, request: dict[str, Any]) -> Conversation:
    """Ask the server at `host`, or this machine where that is None, for what `request` says."""
    return Conversation(ServerDoor(host, layout, request))
