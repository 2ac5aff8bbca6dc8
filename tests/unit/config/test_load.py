import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.config.load import load_config, load_target
from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.errors import UsageError

workers = st.none() | st.integers(1, 1000)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def refusal(project: Path, overrides: dict[str, Any] | None = None, target: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_config(project, overrides or {}, target)
    assert caught.value.exit_code == 2
    return caught.value


def test_nothing_is_required(project: Path) -> None:
    config = load_config(project, {})
    assert config == AppConfig.model_validate({"name": "shop"})
    assert config.bind == Address("127.0.0.1", 8000)
    assert (config.check, config.check_interval, config.check_timeout) == ("/", 1, 5)
    assert (config.ready_timeout, config.linger, config.drain_timeout) == (60, 1, 30)
    assert (config.watch, config.watch_limit, config.watch_requests) == (10, 60, 50)
    assert (config.module, config.threads, config.worker_class, config.preload) == (None, None, None, None)
    assert (config.probe_rate, config.keep, config.auto_rollback, config.shared) == (10, 5, True, ())


def test_every_key_can_be_set(project: Path) -> None:
    (project / "segue.toml").write_text("""\
[app]
name = "store"
module = "shop.web:create_app('x')"
server = "gunicorn"
server_args = ["--reuse-port"]
bind = "[::1]:0"
workers = 4
threads = 8
worker_class = "gthread"
preload = true
gunicorn_config = "conf/gunicorn.py"
python = "/usr/bin/python3"
extras = ["postgres"]
groups = ["production"]
check = "/healthz?deep=1"
check_host = "shop.example:8443"
check_scheme = "https"
check_interval = "250ms"
check_timeout = "2s"
ready_timeout = "2m"
watch = "0s"
watch_limit = "1h"
watch_requests = 0
linger = "1.5s"
drain_timeout = "24h"
probe_rate = 1000
wrap = false
standby = "5m"
smoke = ["/cart", "/api/v1/items?page=1"]
smoke_commands = ["flask smoke", ["python", "smoke.py", "a b"]]
migrate = "flask db upgrade"
migrate_timeout = "1h"
keep = 1
auto_rollback = false
shared = ["media", "var/uploads"]

[processes]
worker = "celery -A 'the shop' worker"
beat = { command = ["celery", "beat"], drain_timeout = "2m", steady = "0s", single = true, required = true }

[hooks]
after_build = ["flask warm", ["python", "-m", "warm"]]
timeout = "5m"

[env]
DATABASE_URL = "url"
_sentry2 = "secret?"

[static]
url = "/assets/v1/"
folder = "shop/dist"
build = ["npm ci", ["npm", "run", "build"]]
collect = false
timeout = "2m"
""")
    assert load_config(project, {}).model_dump(mode="json") == {
        "name": "store",
        "module": "shop.web:create_app('x')",
        "server": "gunicorn",
        "server_args": ["--reuse-port"],
        "bind": "[::1]:0",
        "workers": 4,
        "threads": 8,
        "worker_class": "gthread",
        "preload": True,
        "gunicorn_config": "conf/gunicorn.py",
        "python": "/usr/bin/python3",
        "extras": ["postgres"],
        "groups": ["production"],
        "check": "/healthz?deep=1",
        "check_host": "shop.example:8443",
        "check_scheme": "https",
        "check_interval": "0.25s",
        "check_timeout": "2s",
        "ready_timeout": "120s",
        "watch": "0s",
        "watch_limit": "3600s",
        "watch_requests": 0,
        "linger": "1.5s",
        "drain_timeout": "86400s",
        "probe_rate": 1000,
        "wrap": False,
        "standby": "300s",
        "smoke": ["/cart", "/api/v1/items?page=1"],
        "smoke_commands": [["flask", "smoke"], ["python", "smoke.py", "a b"]],
        "migrate": ["flask", "db", "upgrade"],
        "migrate_timeout": "3600s",
        "keep": 1,
        "auto_rollback": False,
        "shared": ["media", "var/uploads"],
        "env": {"DATABASE_URL": "url", "_sentry2": "secret?"},
        "processes": {
            "worker": {
                "command": ["celery", "-A", "the shop", "worker"],
                "drain_timeout": "60s",
                "steady": "5s",
                "single": False,
                "required": False,
            },
            "beat": {
                "command": ["celery", "beat"],
                "drain_timeout": "120s",
                "steady": "0s",
                "single": True,
                "required": True,
            },
        },
        "hooks": {
            "after_build": [["flask", "warm"], ["python", "-m", "warm"]],
            **{key: [] for key in ("before_switch", "after_commit", "after_rollback", "on_failure")},
            "timeout": "300s",
        },
        "static": {
            "url": "/assets/v1/",
            "folder": "shop/dist",
            "build": [["npm", "ci"], ["npm", "run", "build"]],
            "collect": False,
            "timeout": "120s",
        },
    }


@pytest.mark.parametrize("url", ["/static", "static/", "/", "/a/../b/", "/./", "/a b/", "/é/", "http://cdn/"])
def test_static_files_are_at_a_path_that_nginx_can_be_told(url: str) -> None:
    with pytest.raises(ValueError, match="should"):
        AppConfig.model_validate({"name": "shop", "static": {"url": url}})


def test_a_server_has_keys_of_its_own(project: Path) -> None:
    (project / "segue.toml").write_text("""\
[targets.production]
host = "deploy@web1"
domain = "shop.example"
aliases = ["www.shop.example"]
certificate = "/etc/ssl/shop/fullchain.pem"
certificate_key = "/etc/ssl/shop/key.pem"
body_limit = "1m"
unconfined = ["MemoryDenyWriteExecute"]
watch = "2s"
""")
    target = load_target(project, "production")
    assert (target.host, target.domain, target.aliases) == (
        "deploy@web1",
        "shop.example",
        ("www.shop.example",),
    )
    assert (target.user, target.deploy_user, target.body_limit) == (None, "deploy", "1m")
    assert target.unconfined == ("MemoryDenyWriteExecute",)
    assert load_config(project, {}, "production").watch == 2
    assert load_target(project, "local").domain is None


@given(digits=st.integers(0, 10**6), unit=st.sampled_from(["ms", "s"]), fraction=st.integers(0, 999))
def test_a_config_is_written_and_read_back(digits: int, unit: str, fraction: int) -> None:
    words = {"name": "shop", "linger": f"{digits % 86400}.{fraction}{unit}"}
    config = AppConfig.model_validate(words)
    assert AppConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_config_does_not_change(project: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config(project, {}).workers = 3


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("my shop!", "my-shop"),
        (".hidden", "hidden"),
        ("-x", "x"),
        ("é", "app"),
        ("x" * 99, "x" * 64),
    ],
)
def test_the_name_comes_from_the_folder(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    assert load_config(tmp_path / folder, {}).name == name


def test_the_root_folder_has_no_name() -> None:
    assert load_config(Path("/"), {}).name == "app"


@given(default_target=st.booleans(), app=workers, overlay=workers, flag=workers)
@settings(deadline=None)  # a busy disk is no failure
def test_flags_beat_the_target_which_beats_app_which_beats_defaults(
    tmp_path_factory: pytest.TempPathFactory,
    default_target: bool,
    app: int | None,
    overlay: int | None,
    flag: int | None,
) -> None:
    target = "local" if default_target else "production"
    tables = {"[app]": app, f"[targets.{target}]": overlay, "[targets.other]": 999}
    project = tmp_path_factory.mktemp("shop")
    lines = [f"{head}\nworkers = {count}\n" for head, count in tables.items() if count is not None]
    (project / "segue.toml").write_text("".join(lines) + ("" if overlay else f"[targets.{target}]\n"))
    config = load_config(project, {"workers": flag}, None if default_target else target)
    assert config.workers == next((count for count in (flag, overlay, app) if count is not None), None)


def test_a_flag_beats_with_a_false_value(project: Path) -> None:
    (project / "segue.toml").write_text("[app]\npreload = true\n")
    assert load_config(project, {"preload": False}).preload is False


def test_a_target_keeps_what_only_targets_have(project: Path) -> None:
    (project / "segue.toml").write_text(
        '[targets.production]\nhost = "deploy@web1"\ndomain = "shop.example"\nwatch = "20s"\n'
    )
    assert load_config(project, {}, "production").watch == 20
    assert load_config(project, {}).watch == 10


def test_pyproject_will_do(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        "[tool.segue.app]\nworkers = 3\n[tool.segue.targets.big]\nworkers = 9\n"
    )
    assert load_config(project, {}).workers == 3
    assert load_config(project, {}, "big").workers == 9


@pytest.mark.parametrize("pyproject", ["", "tool = 3\n", "[tool.ruff]\n"])
def test_a_pyproject_without_segue_is_left_alone(project: Path, pyproject: str) -> None:
    (project / "pyproject.toml").write_text(pyproject)
    (project / "segue.toml").write_text("[app]\nworkers = 3\n")
    assert load_config(project, {}).workers == 3


def test_two_configs_are_one_too_many(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.segue]\n")
    (project / "segue.toml").touch()
    error = refusal(project)
    assert error.message == "segue.toml and [tool.segue] in pyproject.toml both configure this app."
    assert "keep one" in error.hint


def test_an_unknown_target_is_refused_with_the_known_ones(project: Path) -> None:
    (project / "segue.toml").write_text("[targets.staging]\n[targets.production]\n")
    error = refusal(project, target="prod")
    assert error.message == 'There is no target "prod".'
    assert error.evidence == "known targets: local, staging, production"
    assert load_config(project, {}, "local").workers is None


def test_settings_that_are_wrong_only_together(project: Path) -> None:
    (project / "segue.toml").write_text('[app]\nwatch = "30s"\n[targets.fast]\nwatch_limit = "5s"\n')
    assert load_config(project, {}).watch == 30
    error = refusal(project, target="fast")
    assert error.message == "The settings for target fast contradict each other."
    assert error.evidence == "watch_limit (5.0 s) is shorter than watch (30.0 s)"
    assert load_config(project, {"watch": "5s"}, "fast").watch == 5


@pytest.mark.parametrize("name", ["segue.toml", "pyproject.toml"])
class TestFilesThatCannotBeRead:
    def test_a_folder(self, project: Path, name: str) -> None:
        (project / name).mkdir()
        assert refusal(project).message == f"{name} can't be read: Is a directory."

    def test_a_dangling_link(self, project: Path, name: str) -> None:
        (project / name).symlink_to("nowhere")
        assert refusal(project).message == f"{name} can't be read: No such file or directory."

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
    def test_a_forbidden_file(self, project: Path, name: str) -> None:
        (project / name).touch(mode=0o000)
        assert refusal(project).message == f"{name} can't be read: Permission denied."

    def test_bytes_that_are_no_text(self, project: Path, name: str) -> None:
        (project / name).write_bytes(b"[app]\nname = '\xff'\n")
        error = refusal(project)
        assert error.message == f"{name} is not valid TOML."
        assert error.evidence == "line 2: byte 0xff is not UTF-8"

    @pytest.mark.parametrize(
        ("text", "evidence"),
        [
            ("[app]\nworkers =\n", "line 2, column 10"),
            ("[app]\n[app]\n", "line 2, column"),
            ("x = " + "9" * 5000, "digits"),
            ("x = " + "[" * 50_000, "nested too deeply"),
        ],
    )
    def test_broken_toml(self, project: Path, name: str, text: str, evidence: str) -> None:
        (project / name).write_text(text)
        error = refusal(project)
        assert error.message == f"{name} is not valid TOML."
        assert evidence in error.evidence
        assert name in error.hint
