"""`segue init` writes a file that segue itself reads, whatever the project's names are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from segue.cli.main import cli
from segue.config.load import load_config, load_target

APP = "from flask import Flask\napp = Flask(__name__)\n@app.get('/healthz')\ndef healthz(): ...\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Flask project, and where we stand."""
    folder = tmp_path / "tea"
    folder.mkdir()
    (folder / "wsgi.py").write_text(APP)
    (folder / "requirements.txt").write_text("flask\ngunicorn\n")
    monkeypatch.chdir(folder)
    return folder


def init(*words: str) -> Result:
    return CliRunner().invoke(cli, ["init", *words])


def uncomment(text: str) -> str:
    """`text` with every key and table in force that is commented out."""
    return re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)


def test_what_it_writes_is_what_it_found(project: Path) -> None:
    result = init()
    assert result.exit_code == 0, result.output
    config = load_config(project, {})
    assert (config.name, config.module, config.check) == ("tea", "wsgi:app", "/healthz")
    assert config.model_fields_set == {"name", "module", "check"}
    assert "wsgi:app: Flask app, in wsgi.py" in result.stdout
    assert result.stdout.endswith(f"wrote {project}/segue.toml\n\nhint: `segue up` serves it\n")


def test_every_key_that_is_commented_out_can_be_used(project: Path) -> None:
    init()
    file = project / "segue.toml"
    text = uncomment(file.read_text())
    file.write_text(text)
    assert "\n# [" not in text
    config, target = load_config(project, {}, "production"), load_target(project, "production")
    assert config.model_fields_set > {"bind", "workers", "threads", "watch", "drain_timeout", "keep"}
    assert (target.domain, target.host) == ("shop.example", "deploy@web1")
    defaults = load_config(project.parent, {})
    assert all(
        getattr(config, key) == getattr(defaults, key) for key in ("bind", "watch", "drain_timeout", "keep")
    )


def test_what_migrates_and_what_the_environment_needs_stand_there_commented_out(project: Path) -> None:
    (project / ".env.example").write_text(
        "DATABASE_URL=sqlite:///a.db\nAPI_KEY=\nPORT=80\nDEBUG=no\nMAIL_FROM=me\n# OFF=1\nodd-name=1\n"
    )
    (project / "migrations").mkdir()
    (project / "migrations" / "alembic.ini").touch()
    init()
    file = project / "segue.toml"
    text = file.read_text()
    # the migrations are run as they are found, and the example's keys are demanded already
    assert load_config(project, {}).model_fields_set == {"name", "module", "check"}
    assert "# a deploy migrates the database, by Alembic, in migrations/alembic.ini; so it does not" in text
    file.write_text(uncomment(text))
    config = load_config(project, {}, "production")
    assert config.migrate is False
    kinds = {"DATABASE_URL": "url", "API_KEY": "secret", "PORT": "int", "DEBUG": "bool", "MAIL_FROM": "text"}
    assert config.env == kinds


def test_the_web_command_is_kept_to(project: Path) -> None:
    (project / "Procfile").write_text(
        "web: gunicorn -w 3 --threads 8 -k gthread -c 'a \"b\" \\.py' wsgi:app\n"
    )
    (project / 'a "b" \\.py').write_text("")
    init()
    config = load_config(project, {})
    assert (config.workers, config.threads, config.worker_class) == (3, 8, "gthread")
    assert str(config.gunicorn_config) == 'a "b" \\.py'


def test_the_apps_own_gunicorn_config_is_left_to_say_it(project: Path) -> None:
    (project / "Procfile").write_text("web: gunicorn -w 3 wsgi:app\n")
    (project / "gunicorn.conf.py").write_text("workers = 5\n")
    init()
    assert load_config(project, {}).workers is None


HOSTILE = ['"', '"""\n[app]\nx = 1', "\\", "é ☕", "\x07\x7f", "\udcff", "# [", "a'b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_end_in_a_good_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / f"x{name}"
    (folder / "static").mkdir(parents=True)
    (folder / "static" / name.replace("/", "")).write_text("")
    (folder / "app.py").write_text(APP + f"@app.get({name!r})\ndef odd(): ...\n", errors="surrogatepass")
    (folder / f"{name}.py").write_text("app = 1\n")
    monkeypatch.chdir(folder)
    assert init().exit_code == 0
    assert load_config(folder, {}).module == "app:app"
    (folder / "segue.toml").write_text(uncomment((folder / "segue.toml").read_text()))
    assert load_config(folder, {}, "production").check == "/healthz"


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("segue.toml", "", "segue.toml configures this app already."),
        (
            "pyproject.toml",
            "[tool.segue.app]\n",
            "[tool.segue] in pyproject.toml configures this app already.",
        ),
    ],
)
def test_a_config_that_is_there_is_left_alone(project: Path, file: str, text: str, told: str) -> None:
    (project / file).write_text(text)
    result = init("--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["message"] == told
    assert (project / file).read_text() == text
    assert {path.name for path in project.iterdir()} == {"wsgi.py", "requirements.txt", file}


def test_no_app_is_a_question(project: Path) -> None:
    (project / "wsgi.py").unlink()
    result = init("--json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert (document["ok"], document["file"], document["found"]) == (False, None, None)
    assert "Procfile" in document["error"]["evidence"]
    assert not (project / "segue.toml").exists()


def test_machines_are_told_in_one_document(project: Path) -> None:
    document = json.loads(init("--json").stdout)
    assert document["ok"] is True
    assert document["file"] == str(project / "segue.toml")
    assert document["found"]["module"] == "wsgi:app"
    assert document["found"]["server"] == "gunicorn, in requirements.txt"


def test_a_server_that_lacks_is_told(project: Path) -> None:
    (project / "requirements.txt").write_text("flask\n")
    result = init()
    assert "none found" in result.stdout
    assert "hint: add the server" in result.stdout
