"""The hold: a worker answers its check, says that it is ready, and waits until it may accept."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

from . import files

Answer = dict[str, Any]
Ask = Callable[[], Answer]
Pause = Callable[[], None]

LONGEST_STATUS = 100
LONGEST_TRACEBACK = 20_000
_STATUS = re.compile(r"[1-5][0-9][0-9](?: [ \t\x21-\x7e\x80-\xff]*)?")  # RFC 9112, section 4
_GATE = os.path.dirname(__file__)


class Leave(Exception):
    """This worker is to leave before it has served."""


def pausing(master: int, alive: Callable[[], bool]) -> Pause:
    """A function that waits for a moment; `alive` is what the worker's server asks for meanwhile.

    That function raises `Leave` when this worker was told to leave, or lost its `master`.
    """

    def pause() -> None:
        if not alive() or files.there("no") or os.getppid() != master:
            raise Leave
        time.sleep(files.POLL)

    return pause


def wait_for_first(pause: Pause) -> IO[str] | None:
    """Hold all workers but one until that one is ready: a bad release costs one import, not N.

    The kernel takes the lock back from a first worker that dies, and the next one tries. It has to be kept,
    and goes to `hold`.
    """
    with contextlib.suppress(OSError):  # a full disk: all of them import
        turn = open(files.path("first.lock"), "w", encoding="utf-8")  # noqa: SIM115 - see above
        while not files.there("go") and not files.there("first"):
            with contextlib.suppress(BlockingIOError, PermissionError):
                fcntl.lockf(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return turn
            pause()
        turn.close()
    return None


def hold(ask: Ask, pause: Pause, turn: IO[str] | None) -> None:
    """Come back when this worker may accept.

    Args:
        ask: asks the app the check's question, and returns what it answered.
        pause: waits for a moment.
        turn: what `wait_for_first` gave.

    Raises:
        Leave: it never may.
    """
    ready = f"ready.{os.getpid()}"
    if files.there("go"):
        # a worker of the live generation: a full disk must not keep it from serving
        with contextlib.suppress(OSError):
            files.write(ready, {})
        return
    files.write(ready, _pass_check(ask, pause))
    if turn is not None:
        files.write("first", os.getpid())
        turn.close()
    while not files.there("go"):
        pause()


def _pass_check(ask: Ask, pause: Pause) -> Answer:
    check, told = files.start()["check"], f"check.{os.getpid()}"
    while True:
        answer = ask()
        if healthy(answer):
            # an earlier bad answer is history, and must not be blamed for what goes wrong later
            with contextlib.suppress(FileNotFoundError):
                os.unlink(files.path(told))
            return answer
        files.write(told, {**answer, "settled": settled(answer)})
        until = time.monotonic() + check["interval"]
        while time.monotonic() < until:
            pause()


def healthy(answer: Answer) -> bool:
    """Whether `answer` is a success of this release and nobody else's."""
    return answer["status"][:1] == "2" and _ours(answer)


def settled(answer: Answer) -> bool:
    """Whether asking again could not change an unhealthy answer: a redirect, 4xx, another release, a hang."""
    status = answer["status"]
    later = status[:3] in ("408", "425", "429")
    return not later and (status[:1] in "34" or not _ours(answer) or status.startswith("no answer"))


def _ours(answer: Answer) -> bool:
    return answer.get("release") in (None, files.start()["release"])


def question() -> Answer:
    """What is asked, as the head of its answer."""
    check = files.start()["check"]
    return {"path": check["path"], "host": check["host"], "scheme": check["scheme"], "at": time.time()}


def answered(status: str, headers: dict[str, str]) -> Answer:
    """The answer of that `status` with those `headers`, names in lower case.

    Raises:
        ValueError: no server could send that status.
    """
    if _STATUS.fullmatch(status) is None:
        raise ValueError(f"{status[:LONGEST_STATUS]!r} is no status of HTTP")
    told = {"location": headers.get("location"), "release": headers.get("x-segue-release")}
    shown = {name: None if text is None else _printable(text) for name, text in told.items()}
    return {**question(), "status": _printable(status)[:LONGEST_STATUS], **shown}


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def demand_bytes(piece: Any, kinds: Any = bytes) -> bytes:
    """`piece`, if it is of one of the `kinds` that a server could send.

    Raises:
        TypeError: it could not.
    """
    if not isinstance(piece, kinds):
        raise TypeError(f"{type(piece).__name__} can't be sent, only bytes")
    return bytes(piece)


def raised(error: BaseException) -> Answer:
    """The answer of an app that raised `error`, or of which no server could make an answer."""
    frames = error.__traceback__
    while frames is not None and os.path.dirname(frames.tb_frame.f_code.co_filename) == _GATE:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return {**question(), "status": "500 (the app raised)", "traceback": text[-LONGEST_TRACEBACK:]}


def no_answer(stack: str) -> Answer:
    """The answer that did not come in time; `stack` says where the app is instead."""
    timeout = files.start()["check"]["timeout"]
    return {**question(), "status": f"no answer in {timeout:g} s", "traceback": stack}
