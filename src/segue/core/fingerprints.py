"""Names that carry a fingerprint of what is in their file: other content has another name, for ever.

By a fingerprint that is none, browsers would keep what has changed since; by one that is missed, they only
ask again. So a name has to look like chance: ``theme-DarkBlue.css`` and ``report-20261121.pdf`` do not.
"""

from __future__ import annotations

import re

# as Django, webpack, Parcel and Next.js name files: app.0123456789ab.css, main-8d2f1c3a.chunk.js
_HEX = r"[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}"
# as Vite and Rollup do: index-BxT3kd9Q.js; not a word or two with a number
_BASE64 = (
    r"-(?!(?:[A-Z]?[a-z]*[0-9]*[-_]?){1,2}[.])(?=[A-Za-z_-]*[0-9])(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])"
    r"[A-Za-z0-9_-]{8}"
)
# as esbuild and Angular do: main-5EHPI6QS.js
_BASE32 = r"-(?![A-Z]+[2-7]+[.])(?=[A-Z]*[2-7])(?=[2-7]*[A-Z])[A-Z2-7]{8}"

# in the words that Python and PCRE share, without backslashes: nginx's config has a meaning for those
FINGERPRINT = rf"[^/](?:{_HEX}|{_BASE64}|{_BASE32})(?:[.][A-Za-z][A-Za-z0-9]*){{1,3}}$"

_FINGERPRINT = re.compile(FINGERPRINT.removesuffix("$") + r"\Z")


def is_fingerprinted(name: str) -> bool:
    """Whether the file that `name` leads to can't change without another name."""
    return _FINGERPRINT.search(name) is not None
