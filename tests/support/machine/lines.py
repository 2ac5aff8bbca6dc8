"""Lines for segue-exec as anybody could write them, and what has to be true after each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.machine.host import CHECKOUT, Host
from tests.support.machine.served import Served
from tests.support.site import Outcome

from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.server.request import Request

EXEC = "/opt/segue/bin/segue-exec"
CONFIG = AppConfig.model_validate({"name": "shop", "module": "wsgi:app", "check": "/healthz"})
ASKED = Request("shop", "deploy", {}, "somebody", CONFIG, Source(Path(CHECKOUT)), "wsgi:app")


def tried(host: Host, *words: str, user: str = "deploy", **options: Any) -> Outcome:
    return host.run(*words, user=user, check=False, **options)


def demand_harmless(app: Served) -> None:
    assert not app.host.exists("/root/harm")
    assert app.answer() == "good"


def told(app: Served, document: object, user: str = "deploy") -> Outcome:
    """What segue-exec answers to that line, or to what is one as JSON."""
    line = document if isinstance(document, str) else json.dumps(document)
    return tried(app.host, "sudo", "-n", EXEC, user=user, input=f"{line}\n", timeout=120)


def refusal(outcome: Outcome, code: int) -> dict[str, Any]:
    assert outcome.code == code, outcome
    error: dict[str, Any] = json.loads(outcome.out.splitlines()[-1])["document"]["error"]
    return error
