"""The pages of the docs as tests read them: their blocks, their links, and the commands in their consoles.

```LANGUAGE NAME is a file, and ```console holds commands with what they print: after `$ ` a normal user's,
after `# ` root's. `echo $?` tells the exit code of the command before it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))

CONSOLE = "console"
_BLOCK = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_PROMPTS = ("$ ", "# ")
_STATUS = "echo $?"
# what is another at every run, and what a busy machine adds
_VARYING = (
    (re.compile(r"\d{8}T\d{6}-\w+"), "ID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "HASH"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+\S*"), "WHEN"),
    (re.compile(r" \(the probe itself was late: .*\)"), ""),
    (re.compile(r"\b[\d.]+ (ms|s|min)\b"), "TIME"),
    # a nought, a version behind its letter and a number that begins its line have to be what the page says
    (re.compile(r"(?<=[^\w.])[1-9][\d.]*"), "N"),
    (re.compile(r"\s+"), " "),
)


class Block(NamedTuple):
    """A block of a page.

    Attributes:
        language: what stands behind its fence; may be empty.
        name: the file that it is; empty where it is none.
        text: its lines.
    """

    language: str
    name: str
    text: str


@dataclass
class Command:
    """A command of a page, and what the page says comes of it."""

    words: str
    as_root: bool
    output: list[str] = field(default_factory=list)
    code: int = 0


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(text: str) -> list[Command]:
    """The commands of one console block."""
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith(_PROMPTS):
            found.append(Command(line[2:], as_root=line.startswith("#")))
        else:
            found[-1].output.append(line)
    for before, after in itertools.pairwise(found):
        if after.words == _STATUS:
            before.code = int(after.output[0])
    return [command for command in found if command.words != _STATUS]


def demand_output(command: Command, printed: str, folder: str, user: str) -> None:
    """Every line that the page shows was printed, in its order; `folder` is a name, and `user` who it was."""
    lines = iter([_plain(line, folder, user) for line in printed.splitlines()])
    for line in command.output:
        wanted = _plain(line, folder, user)
        assert wanted in lines, f"{command.words} did not print {line!r}, or not there, but:\n{printed}"


def _plain(line: str, folder: str, user: str) -> str:
    """`line` without what differs from run to run."""
    line = re.sub(rf"/\S+/{folder}\b|\b(you|{re.escape(user)})\b", "", line)
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line.strip()


def links(page: Path) -> Iterator[str]:
    """Where a page's links and pictures lead."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    yield from _LINK.findall(_CODE.sub("", text))


def anchors(page: Path) -> set[str]:
    """What can stand after `#` in a link to that page, as the usual code hosts make it of its headings."""
    found: list[str] = []
    for heading in _HEADING.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        said = re.sub(r"\]\([^)]*\)", "", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", said).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)
