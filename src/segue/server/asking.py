"""How the command line asks a server: `segue-exec`, by sudo here or by the system's ssh there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

from segue.core.errors import SegueError, Stranded, Unreachable
from segue.deploy.conversation import Answer, Conversation
from segue.deploy.protocol import encode
from segue.server.layout import Layout

# the system's own ssh, its keys and its known hosts; never a question that nobody could answer, nor a dead
# line that nobody notices
SSH = (
    "ssh",
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=4",
    "--",
)
SSH_FAILED = 255
LAST_WORD_TIMEOUT = 10.0
SUCCESSOR_TIMEOUT = 300.0
POLL = 1.0


class ServerDoor:
    """The way to a server's executor: a process that ends with this one, and nothing with it."""

    def __init__(self, host: str | None, layout: Layout, request: dict[str, Any]) -> None:
        self._host = host
        self._layout = layout
        self._request = request
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
        """See `Door`: the server is asked again until it has the receipt: the deploy goes on without us."""
        said = b"" if self._process.stderr is None else self._process.stderr.read()
        code, evidence = self._process.wait(), said.decode(errors="replace").strip()
        if deploy is not None:
            return self._receipt(deploy, evidence)
        if self._host is not None and code == SSH_FAILED:
            raise Unreachable(
                "ssh",
                f"{self._host} can't be reached by ssh.",
                evidence=evidence or "ssh said nothing",
                hint=f"does `ssh {self._host}` work?",
            )
        evidence = evidence or f"segue-exec ended with {code}"
        if deploy is not None:
            hint = "the deploy goes on; `segue history` tells how it ended"
            raise Stranded("cut", f"Nobody tells any more of {deploy}.", evidence=evidence, hint=hint)
        hint = "was it set up (`sudo segue setup`), and is this its deploy user?"
        raise Stranded("no_answer", "The server did not answer.", evidence=evidence, hint=hint)

    def _receipt(self, deploy: str, evidence: str) -> Answer:
        deadline = time.monotonic() + SUCCESSOR_TIMEOUT
        words = {key: self._request[key] for key in ("version", "app", "by")}
        request = {**words, "verb": "receipt", "args": {"to": deploy}}
        while time.monotonic() < deadline:
            with contextlib.suppress(SegueError):
                with contextlib.closing(converse(self._host, self._layout, request)) as again:
                    document, _ = again.answer(lambda _event: None)
                if "exit_code" in document:
                    return document, document["exit_code"]
            time.sleep(POLL)
        raise Unreachable(
            "cut",
            f"The line to {self._host or 'the executor'} was cut, and how {deploy} went is not known yet.",
            evidence=evidence or "nothing was said",
            hint="the deploy goes on by itself; `segue history` tells how it ended",
        )


def _argv(host: str | None, layout: Layout) -> tuple[str, ...]:
    executor = str(layout.exec)
    if host is not None:
        return (*SSH, host, f"sudo -n {executor}")
    return (executor,) if os.geteuid() == 0 else ("sudo", "-n", "--", executor)


def converse(host: str | None, layout: Layout, request: dict[str, Any]) -> Conversation:
    """Ask the server at `host`, or this machine where that is None, for what `request` says."""
    return Conversation(ServerDoor(host, layout, request))
