"""Where pages are put, and how they come before somebody's eyes."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Any

import click

from segue.cli.project import LOCAL, home_here
from segue.core.errors import Refused
from segue.core.ids import is_receipt_id
from segue.disk.atomic import write_text
from segue.page.pages import INDEX, history_page, page_name, receipt_page
from segue.proof.told import receipt_id

Document = dict[str, Any]

# one of them says that there is something to open a page in; else a text browser would take the terminal
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def present(target: str | None, receipt: Document, file: str | None, *, opened: bool) -> None:
    """Put the page of `receipt` into `file`, or beside the others of its `target`; print where, and open it.

    Raises:
        Refused: it can't be written.
    """
    page = receipt_page(receipt, receipt["timeline"])
    if file == "-":
        click.echo(page, nl=False)
        return
    path = _pages_of(target) / _name(receipt) if file is None else Path(file)
    _write(path, page)
    show_path(path, opened=opened)


def write_history(target: str | None, told: Document) -> Path:
    """Write the page over all deploys of `target`, and one for each beside it; where the first is.

    Raises:
        Refused: they can't be written.
    """
    folder, receipts = _pages_of(target), told["receipts"]
    for receipt in receipts:
        _write(folder / _name(receipt), receipt_page(receipt, receipt["timeline"], back=INDEX))
    app = next((receipt["app"] for receipt in receipts if receipt.get("app")), home_here().project.name)
    _write(folder / INDEX, history_page(app, target or LOCAL, receipts, told["damaged"]))
    return folder / INDEX


def _name(receipt: Document) -> str:
    """The file of its page; what a receipt says of itself is not trusted with a path."""
    if not is_receipt_id(receipt_id(receipt)):
        evidence = repr(receipt_id(receipt))
        raise Refused("receipt", "A receipt is of no generation.", evidence=evidence, hint="was it edited?")
    return page_name(receipt)


def _pages_of(target: str | None) -> Path:
    """The folder for the pages of `target`, in the project's `.segue`; made where it is missing."""
    home = home_here()
    folder = home.pages / (target or LOCAL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (home.root / ".gitignore").exists():
            (home.root / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _write(path: Path, page: str) -> None:
    try:
        # for its user alone: what an app prints and raises may stand in it
        write_text(path, page)
    except OSError as error:
        raise _unwritable(path, error) from error


def show_path(path: Path, *, opened: bool) -> None:
    """Print where a page is, and open it where there is a screen and that is wanted."""
    click.echo(str(path))
    if opened and not (any(map(os.environ.get, _SCREENS)) and webbrowser.open(path.absolute().as_uri())):
        click.echo("note: there is no browser here; open that file in one", err=True)


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(
        "unwritable",
        f"{path} can't be written: {error.strerror}.",
        evidence=str(error),
        hint="`segue receipt --html FILE` writes a page anywhere",
    )
