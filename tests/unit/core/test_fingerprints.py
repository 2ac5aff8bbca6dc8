"""Which names carry a fingerprint: a missed one costs a question, a false one a year of old content."""

from __future__ import annotations

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.core.fingerprints import FINGERPRINT, is_fingerprinted

YES = (
    "css/app.0123456789ab.css",  # Django
    "app.min.0123456789ab.js",
    "main.8d2f1c3a.chunk.js",  # webpack
    "vendors~main.8d2f1c3a.js.map",
    "framework-2c79e2a64abdb08b.js",  # Next.js
    "index.a1b2c3d4.css",  # Parcel
    "app-5d41402abc4b2a76b9719d911017c592.css",  # Flask-Static-Digest
    "assets/index-BxT3kd9Q.js",  # Vite
    "index-B_x3-d9Q.js",
    "main-5EHPI6QS.js",  # esbuild, Angular
)
NO = (
    "app.css", "jquery-3.7.1.min.js", "bootstrap-5.3.0.min.css", "report-20261121.pdf", "IMG_20261121.jpg",
    "theme-DarkBlue.css", "Chart-Q3Report.svg", "Inter-Latin400.woff2", "LOGO-VERSION2.png",
    "logo-original.png", "my-Button-2.css", "x.deadbeef.js", "12345678.12345678.js",
    "app.0123456.css", "app.0123456789AB.css",
    "app.0123456789ab", "0123456789ab.css", ".0123456789ab.css", "0123456789ab/app.css",
    "app.0123456789ab.css/x", "app.0123456789ab.css\n", "app.0123456789ab.", "",
)  # fmt: skip


@pytest.mark.parametrize("name", YES)
def test_it_has_one(name: str) -> None:
    assert is_fingerprinted(name)


@pytest.mark.parametrize("name", NO)
def test_it_has_none(name: str) -> None:
    assert not is_fingerprinted(name)


@given(st.from_regex(r"[a-z]{1,9}(-[A-Z]?[a-z]{1,9}[0-9]{0,4}){0,2}\.[a-z]{2,4}", fullmatch=True))
def test_no_name_of_words_and_numbers_has_one(name: str) -> None:
    chance = re.search(r"-(?=[a-f]*[0-9])[a-f0-9]{8,}\.", name)  # such as -beef1234, which nobody can tell
    assert is_fingerprinted(name) == (chance is not None)


def test_nginx_can_be_told_without_quotes_or_backslashes() -> None:
    assert not set(FINGERPRINT) & set("\"'\\; \n")


@pytest.mark.parametrize(
    ("before", "letters", "length", "share"),
    [
        ("main.", "0123456789abcdef", 8, 0.976),
        ("main.", "0123456789abcdef", 12, 0.996),
        ("index-", f"{string.ascii_letters}{string.digits}-_", 8, 0.70),  # Vite
        ("main-", f"{string.ascii_uppercase}234567", 8, 0.75),  # esbuild
    ],
)
def test_of_names_made_by_chance_most_are_seen(before: str, letters: str, length: int, share: float) -> None:
    chance = random.Random(1)
    names = [f"{before}{''.join(chance.choices(letters, k=length))}.js" for _ in range(5000)]
    seen = sum(map(is_fingerprinted, names)) / len(names)
    assert seen == pytest.approx(share, abs=0.03)
