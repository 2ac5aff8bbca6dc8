"""A file that systemd would not read: the app would not start, so nothing else is begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from segue.core.errors import Refused
from segue.server.environment import environment_of


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file or directory"),
        (b"A=1\n\nB=s3cret\xff\n", "line 3 is not UTF-8"),
        (b"A=1\nB=s3cret\0\n", "line 2 has a zero byte"),
    ],
)
def test_a_file_that_systemd_would_not_read_is_refused(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "shop.env"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused) as caught:
        environment_of(file, "root", "/usr/bin")
    assert (caught.value.kind, caught.value.evidence) == ("env", why)
    assert f"sudoedit {file}" in caught.value.hint
    assert "s3cret" not in str(caught.value.as_dict())
