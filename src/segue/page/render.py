"""Templates to pages. What stands in a receipt is text of others': all of it is escaped.

The page's policy lets in its own style and scripts, by their hashes, and no request to anywhere.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segue import __version__
from segue.page.words import count, plain

LIBRARY, DRAWING = "uPlot.iife.min.js", "receipt.js"


def render(template: str, **values: Any) -> str:
    """The page that `template` makes of `values`."""
    style = _asset("uPlot.min.css") + _asset("page.css")
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(style),
            style=Markup(style),  # noqa: S704 - files of this package
            library=Markup(_asset(LIBRARY)),  # noqa: S704
            drawing=Markup(_asset(DRAWING)),  # noqa: S704
            version=__version__,
            **values,
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("segue.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = count
    return environment


def _shown(value: Any) -> Any:
    """What a template's expression comes to."""
    return plain(value) if type(value) is str else value


@functools.cache
def _asset(name: str) -> str:
    return files("segue.page").joinpath("assets", name).read_text(encoding="utf-8")


def _policy(style: str) -> str:
    scripts = " ".join(_hashed(_asset(name)) for name in (LIBRARY, DRAWING))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hashed(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
