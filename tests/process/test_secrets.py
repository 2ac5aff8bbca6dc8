"""What an app prints and raises is shown when it fails, but not the secrets in it: nowhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from tests.support.apps import make_app
from tests.support.bad import append
from tests.support.site import Site, configure, serving, until

from segue.core.secrets import HIDDEN

ENV = {
    "SECRET_KEY": "in-the-environment-1",
    "DATABASE_URL": "postgres://shop:in-a-url-2@db.example/shop",
}
ENV_FILE = "API_TOKEN=in-the-env-file-3\n"
SECRETS = ("in-the-environment-1", "in-a-url-2", "in-the-env-file-3")
TELLS = """
import os
import sys
told = " ".join((os.environ["SECRET_KEY"], os.environ["DATABASE_URL"], (HERE / ".env").read_text()))
"""
WAYS = {
    "an_import_that_raises": f"{TELLS}\nraise RuntimeError(told)",
    "an_import_that_prints_and_ends": f"{TELLS}\nprint(told, flush=True)\nos._exit(4)",
    "a_worker_that_prints_and_raises": (
        f"{TELLS}\nif 'gunicorn' in sys.modules:\n    print(told, flush=True)\n    raise RuntimeError(told)"
    ),
    "a_check_that_raises": f"{TELLS}\ndef app(environ, start_response):\n    raise RuntimeError(told)",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secrets") / "project"
    make_app(folder, version="v1")
    configure(folder, ready_timeout="6s")
    (folder / ".env").write_text(ENV_FILE)
    with serving(folder, env={**os.environ, **ENV}) as site:
        yield site


def kept(site: Site) -> tuple[str, str]:
    """What the keeper printed, and what it wrote down."""
    return site.keeper_log(), site.home.events.read_text()


def demand_no_secret(*texts: str) -> None:
    """None of `texts` has one."""
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text], text


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_of_a_failing_app_is_repeated_anywhere(site: Site, way: str) -> None:
    make_app(site.folder, version="v2")
    append(site.folder, WAYS[way])
    outcome = site.segue("deploy", "--json")
    assert outcome.code == 1, outcome
    evidence = outcome.document["error"]["evidence"]
    assert evidence.count(HIDDEN) >= len(SECRETS), outcome.document["error"]
    generation = outcome.document["generation"]
    shown = [
        site.segue(*words)
        for words in (
            ("receipt", generation),
            ("receipt", generation, "--json"),
            ("receipt", generation, "--html", "-"),
            ("history",),
        )
    ]
    texts = [one.out + one.err for one in (outcome, *shown)]
    demand_no_secret(*texts, site.home.receipt(generation).read_text(), *kept(site))


def test_the_last_words_of_a_master_are_repeated_without_its_secrets(site: Site) -> None:
    live = site.live()
    with live.log.open("a") as log:
        log.write(" ".join(SECRETS) + "\n")
    master = live.master()
    assert master is not None
    master.signal(signal.SIGKILL)
    until(lambda: all("Its last words" in text for text in kept(site)), what="the note")
    demand_no_secret(*kept(site))
    until(site.at_rest)
