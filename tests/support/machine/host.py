"""A real host: Debian with systemd as its init, nginx, sudo and sshd, booted in about a second by nspawn.

Its disk is a layer in memory over the lab's layers, so every host is new, and gone with its block. Commands
run in it by nsenter. What users and laptops do runs on the clients' side of its way:
`traffic(..., way=host.way)`, or `(*host.way.client, "ssh", ...)`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from tests.support.apps import Interface
from tests.support.far import near
from tests.support.machine import room, shop
from tests.support.machine.layers import layers, place, unfit
from tests.support.site import Outcome, until
from tests.support.way import Way

BOOT_TIMEOUT, POWEROFF_TIMEOUT, ROOM_TIMEOUT = 90.0, 90.0, 90.0
DEPLOY, CHECKOUT = "deploy", "/home/deploy/shop"
_ME = ("-c", "user.name=Deploy", "-c", "user.email=deploy@shop.example", "-c", "init.defaultBranch=main")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


# for the reports of failed tests
RUNNING: list[Host] = []


@dataclass(eq=False)
class Host:
    """One host, and the way to it.

    Attributes:
        way: its network: `way.host` is its address, `way.client` enters where its clients are.
        pid: its init's, as this machine sees it.
    """

    way: Way
    _room: IO[str]
    _console: IO[str]
    pid: int = 0

    @property
    def address(self) -> str:
        """Its IPv4 address on the clients' side of the way."""
        return self.way.host

    def argv(self, *words: str, user: str = "root", cwd: str = "/") -> tuple[str, ...]:
        """The command that runs `words` in the host, with a login's plain environment."""
        enter = ("nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--")
        become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env")
        return (*enter, *(() if user == "root" else become), "env", f"--chdir={cwd}", "LANG=C.UTF-8", *words)

    def run(
        self,
        *words: str,
        user: str = "root",
        cwd: str = "/",
        input: str | None = None,  # noqa: A002 - subprocess's word
        check: bool = True,
        timeout: float = 60.0,
    ) -> Outcome:
        """Run a command in the host to its end.

        Raises:
            AssertionError: it failed, and `check`.
            subprocess.TimeoutExpired: it took longer than `timeout` seconds.
        """
        argv = self.argv(*words, user=user, cwd=cwd)
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done = subprocess.run(
            argv, **given, capture_output=True, text=True, timeout=timeout, check=False, env=ENVIRONMENT
        )
        assert not check or done.returncode == 0, (
            f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, user: str = "root", cwd: str = "/") -> subprocess.Popen[str]:
        """Start a command in the host, and leave it running; its standard input stays open."""
        return subprocess.Popen(
            self.argv(*words, user=user, cwd=cwd),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=ENVIRONMENT,
        )

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: str = "root") -> None:
        """Write a file, and make the folders above it."""
        install = ("install", "-D", "-o", owner, "-g", owner, "-m", f"{mode:o}", "/dev/stdin", path)
        self.run(*install, input=text)

    def read(self, path: str) -> str:
        """The text of a file."""
        return self.run("cat", path).out

    def exists(self, path: str) -> bool:
        """Whether anything is there, a dangling link too."""
        return self.run("find", path, "-maxdepth", "0", check=False).code == 0

    def make_app(
        self,
        *,
        settings: dict[str, Any] | None = None,
        target: dict[str, Any] | None = None,
        files: dict[str, str] | None = None,
        interface: Interface = "wsgi",
        folder: str = CHECKOUT,
        version: str,
        **behaviour: Any,
    ) -> str:
        """Put the sample app on the host as the deploy user's git checkout, or commit its next version there.

        Args:
            settings: Of `[app]` in its segue.toml, over short times.
            target: Of `[targets.production]`, over its domain.
            files: More files, by their path in the project.
            interface: What kind of app it is.
            folder: Where.
            version: What its `/` answers.
            behaviour: What else `tests.support.apps.make_app` takes.

        Returns:
            The commit.
        """
        tables = {"settings": settings or {}, "target": target or {}}
        project = shop.packed(**tables, files=files or {}, interface=interface, version=version, **behaviour)
        self._unpack(project, folder)
        self._git(folder, "init", "--quiet")
        self._git(folder, "add", "--all")
        self._git(folder, "commit", "--quiet", "--allow-empty", f"--message={version}")
        return self._git(folder, "rev-parse", "HEAD")

    def _unpack(self, archive: bytes, folder: str) -> None:
        self.run("mkdir", "-p", folder, user=DEPLOY)
        argv = self.argv("tar", "-x", user=DEPLOY, cwd=folder)
        subprocess.run(argv, input=archive, check=True, timeout=60, env=ENVIRONMENT)

    def _git(self, folder: str, *words: str) -> str:
        return self.run("git", *_ME, *words, user=DEPLOY, cwd=folder).out.strip()

    def admit(self, public_key: str) -> None:
        """Let the owner of that key in by ssh, as the deploy user."""
        self.write(f"/home/{DEPLOY}/.ssh/authorized_keys", f"{public_key.strip()}\n")

    def journal(self, unit: str = "") -> str:
        """What the journal has of that unit, or of everything, since the last boot."""
        which = ("--unit", unit) if unit else ()
        return self.run("journalctl", "--no-pager", "--output=short-monotonic", "--boot", *which).out

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Those properties of a unit, as systemd says them."""
        lines = self.run("systemctl", "show", unit, f"--property={','.join(properties)}").out.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def last_words(self) -> str:
        """What its console and its journal say, dead or alive; for people."""
        with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
            return f"{self.console()}\n{self.run('journalctl', '--no-pager', '--lines=300').out}"
        return self.console()

    def boot(self) -> None:
        """Boot it, and wait until systemd has nothing more to start.

        Raises:
            AssertionError: it did not come up.
        """
        said = self._ask("boot")
        assert "init" in said, f"{said['refused']}\n{self.console()}"
        self.pid = said["init"]
        self._until(self._is_up, BOOT_TIMEOUT, "the end of the boot")

    def reboot(self) -> None:
        """What `systemctl reboot` does: everything is stopped in order, and it boots again."""
        self._leave("reboot")
        self.boot()

    def poweroff(self) -> None:
        """Stop everything in order; `boot` starts it again.

        Raises:
            AssertionError: it did not end in time; with the journal.
        """
        self._leave("poweroff")

    def cut_power(self) -> None:
        """End it at once, as a power cut does; what was written is there when it boots again."""
        self._ask("cut")

    def console(self) -> str:
        """What its boots printed."""
        self._console.seek(0)
        return self._console.read()

    def _is_up(self) -> bool:
        # while systemd is not yet there to be asked, this does not wait
        said = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=BOOT_TIMEOUT).out
        return said.strip() in {"running", "degraded"}

    def _leave(self, verb: str) -> None:
        init = Path("/proc", str(self.pid))
        self.run("systemctl", verb)
        self._until(lambda: not init.exists(), POWEROFF_TIMEOUT, verb)

    def _until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        try:
            until(condition, timeout, what)
        except AssertionError as error:
            error.add_note(self.last_words())
            raise

    def _ask(self, verb: str) -> dict[str, Any]:
        print(verb, file=self._room, flush=True)
        line = self._room.readline()
        assert line, f"the host's room is gone:\n{self.console()}"
        said: dict[str, Any] = json.loads(line)
        return said


@contextlib.contextmanager
def booted(way: Way | None = None) -> Iterator[Host]:
    """A new host at the end of `way`, or of a cable of its own, for as long as the block.

    Where there can be no lab, the test is skipped.
    """
    if reason := unfit():
        pytest.skip(f"no lab: {reason}")
    with contextlib.ExitStack() as stack:
        way = way or stack.enter_context(near())
        console = stack.enter_context(tempfile.TemporaryFile("w+"))
        host = Host(way, stack.enter_context(_room(way, console)), console)
        RUNNING.append(host)
        stack.callback(RUNNING.remove, host)
        host.boot()
        yield host


@contextlib.contextmanager
def _room(way: Way, console: IO[str]) -> Iterator[IO[str]]:
    ours, theirs = socket.socketpair()
    argv = (
        *(*way.server, "unshare", "--mount", "--propagation", "private", "--"),
        *(sys.executable, room.__file__, str(place()), *map(str, layers())),
    )
    with (
        theirs,
        subprocess.Popen(
            argv, stdin=theirs.fileno(), stdout=console, stderr=console, start_new_session=True
        ) as process,
    ):
        theirs.close()
        ours.settimeout(ROOM_TIMEOUT)
        with ours, ours.makefile("rw") as lines:
            try:
                yield lines
            finally:
                ours.shutdown(socket.SHUT_RDWR)
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(ROOM_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
