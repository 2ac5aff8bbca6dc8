"""How a Gunicorn was started is read from its arguments; what is none is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.bad import demand_good_error

from segue.reload.master import gunicorn_command, is_shell
from segue.reload.others import refusal_of


@pytest.mark.parametrize(
    ("argv", "python", "arguments"),
    [
        ("/v/bin/python3 /v/bin/gunicorn -w 2 a:b", "/v/bin/python3", "-w 2 a:b"),
        ("/v/bin/python -m gunicorn a:b", "/v/bin/python", "a:b"),
        (
            "/v/bin/python -u -X dev -W error -m gunicorn.app.wsgiapp a:b",
            "/v/bin/python -u -X dev -W error",
            "a:b",
        ),
        ("/v/bin/python -I /v/bin/gunicorn", "/v/bin/python -I", ""),
    ],
)
def test_a_command_of_gunicorns_comes_apart(argv: str, python: str, arguments: str) -> None:
    command = gunicorn_command(tuple(argv.split()))
    assert command is not None
    assert command.python == tuple(python.split())
    assert command.arguments == tuple(arguments.split())


def test_a_script_is_run_by_what_its_first_line_says(tmp_path: Path) -> None:
    script = tmp_path / "gunicorn"
    script.write_text("#!/srv/venv/bin/python3 -s\nimport sys\n")
    command = gunicorn_command((str(script), "a:b"))
    assert command is not None
    assert command.python == ("/srv/venv/bin/python3", "-s")
    assert command.path == str(tmp_path)


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ("/v/bin/python /v/bin/uvicorn a:b", "Uvicorn"),
        ("/v/bin/python -m uvicorn a:b", "Uvicorn"),
        ("/v/bin/python /v/bin/granian a:b", "Granian"),
        ("/usr/bin/uwsgi --ini shop.ini", "uWSGI"),
        ("/usr/bin/java -jar shop.jar", "no app server"),
    ],
)
def test_other_servers_are_refused_each_with_its_reason(argv: str, word: str) -> None:
    words = tuple(argv.split())
    assert gunicorn_command(words) is None
    refusal = refusal_of("shop.service", words)
    demand_good_error(refusal.as_dict())
    assert word in refusal.message
    assert refusal.exit_code == 3


def test_a_shell_is_known_as_one() -> None:
    assert is_shell(("/bin/sh", "/srv/start.sh"))
    assert is_shell(("-bash",))
    assert not is_shell(("/v/bin/python", "/v/bin/gunicorn"))
