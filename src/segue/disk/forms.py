"""What a document has to look like before anything is read out of it: its file may be damaged."""

from __future__ import annotations

from typing import Any

_LARGEST = 2**63

# A type; None; a range of whole numbers; a table with at least these keys, where a missing one counts as
# null; a list of one form; or a tuple of forms, any of which will do.
Form = type | range | None | dict[str, "Form"] | list["Form"] | tuple["Form", ...]

MAYBE_TEXT: Form = (str, None)
MAYBE_NUMBER: Form = (float, None)


def fits(document: Any, form: Form) -> bool:
    """Whether `document` has `form`. A number has to be one that can be counted with: finite, of 64 bits."""
    match form:
        case None:
            return document is None
        case dict():
            return isinstance(document, dict) and all(fits(document.get(key), form[key]) for key in form)
        case list():
            return isinstance(document, list) and all(fits(one, form[0]) for one in document)
        case tuple():
            return any(fits(document, one) for one in form)
        case range():
            return _is(document, int) and document in form
    return _is(document, form)


def _is(document: Any, wanted: type) -> bool:
    if wanted in (int, float):
        kinds = (int, float) if wanted is float else int
        number = isinstance(document, kinds) and not isinstance(document, bool)
        return number and -_LARGEST < document < _LARGEST
    return isinstance(document, wanted)
