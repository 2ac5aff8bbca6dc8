"""Everything that can go wrong, each with the exit code that the command line documents.

::

    SegueError
    ├── UsageError        2    wrong words or config; nothing was touched
    ├── Refused           3    can't be done now (locked, no keeper, port in use); nothing was touched
    ├── Failed            1    tried and taken back; the old release serves
    ├── Unreachable       4    the host could not be reached
    ├── Stranded          5    could not be taken back; somebody has to look
    ├── Interrupted     130    asked to stop; taken back
    └── Bug              70    segue's own fault
"""

from __future__ import annotations

from typing import Any, ClassVar


class SegueError(Exception):
    """One sentence, the evidence for it, and a hint what to do.

    Attributes:
        kind: a short stable word for machines, such as ``import`` or ``no_keeper``.
        message: one sentence.
        evidence: lines that prove it: the end of a log, a traceback, an answer's status line.
        hint: what to do next; may be empty.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, kind: str, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.evidence = evidence.rstrip()
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of ``--json`` documents and receipts."""
        return {"kind": self.kind, "message": self.message, "evidence": self.evidence, "hint": self.hint}


class UsageError(SegueError):
    """Wrong words on the command line, or a config that can't be used; nothing was touched."""

    exit_code = 2


class Refused(SegueError):
    """As things stand it can't be done (locked, no keeper, port in use, …); nothing was touched."""

    exit_code = 3


class Failed(SegueError):
    """It was tried and taken back; the old release serves."""

    exit_code = 1


class Unreachable(SegueError):
    """The host could not be reached."""

    exit_code = 4


class Stranded(SegueError):
    """It could not be taken back; somebody has to look now."""

    exit_code = 5


class Interrupted(SegueError):
    """Somebody asked for it to stop; it was taken back."""

    exit_code = 130


class Bug(SegueError):
    """segue's own fault."""

    exit_code = 70


ERRORS_BY_EXIT_CODE: dict[int, type[SegueError]] = {
    error.exit_code: error for error in (Failed, UsageError, Refused, Unreachable, Stranded, Bug, Interrupted)
}


def error_from_dict(data: dict[str, Any], exit_code: int) -> SegueError:
    """The error that another process of segue's described with `SegueError.as_dict`."""
    error_type = ERRORS_BY_EXIT_CODE.get(exit_code, Bug)
    return error_type(
        str(data.get("kind", "bug")),
        str(data.get("message", "no message")),
        evidence=str(data.get("evidence", "")),
        hint=str(data.get("hint", "")),
    )
