"""What `segue setup` decided: the one source of all that root does for an app, whoever asks for it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from segue.core.errors import Refused
from segue.disk.atomic import read_json
from segue.disk.forms import MAYBE_TEXT, Form
from segue.server.layout import Layout

_FORM: Form = {
    **dict.fromkeys(("app", "target", "user", "deploy_user", "domain", "body_limit", "version"), str),
    **dict.fromkeys(("certificate", "certificate_key", "acme_root", "static_url"), MAYBE_TEXT),
    **{key: [str] for key in ("aliases", "writable", "unconfined")},
    **dict.fromkeys(("http_port", "https_port"), range(1, 65536)),
    **dict.fromkeys(("start_timeout", "stop_timeout"), range(1, 1_000_000)),
}


@dataclass(frozen=True)
class Installed:
    """What setup decided for one app.

    Attributes:
        app: the app's name.
        target: the name of the target in the app's config.
        user: who the app runs as.
        deploy_user: who may ask for deploys, and builds.
        domain: the name that users reach it by.
        version: the version of segue that did the setup.
        aliases: further such names.
        certificate: the TLS certificate with its chain; None for plain HTTP.
        certificate_key: its key.
        acme_root: the folder of an ACME client's challenges.
        body_limit: the largest request body, in nginx's words.
        http_port: where plain HTTP comes in.
        https_port: where TLS comes in, with a certificate.
        writable: folders that the app may write to, besides its own.
        unconfined: directives of the sandbox that are left out.
        static_url: where nginx serves the app's static files; None where the app does.
        start_timeout: seconds that a boot or a restart of everything may take.
        stop_timeout: seconds that systemd gives a generation to end.
    """

    app: str
    target: str
    user: str
    deploy_user: str
    domain: str
    version: str
    aliases: tuple[str, ...] = ()
    certificate: str | None = None
    certificate_key: str | None = None
    acme_root: str | None = None
    body_limit: str = "10m"
    http_port: int = 80
    https_port: int = 443
    writable: tuple[str, ...] = ()
    unconfined: tuple[str, ...] = ()
    static_url: str | None = None
    start_timeout: int = 180
    stop_timeout: int = 41

    def as_text(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_installed(layout: Layout) -> Installed:
    """What setup decided for the app of `layout`.

    Raises:
        Refused: the app was not set up here; or the file is damaged.
    """
    installed = find_installed(layout)
    if installed is None:
        raise Refused(
            "not_set_up",
            f"{layout.app} is not set up on this server.",
            evidence=f"there is no {layout.installed}",
            hint="sudo segue setup, in the app's project on the server",
        )
    return installed


def find_installed(layout: Layout) -> Installed | None:
    """What setup decided for the app of `layout`; None where it was not set up here.

    Raises:
        Refused: the file is damaged.
    """
    try:
        document = read_json(layout.installed, _FORM)
        return None if document is None else _from_document(document, layout.app)
    except ValueError as error:
        raise Refused(
            "damaged",
            f"{layout.installed} is damaged.",
            evidence=str(error),
            hint="what serves still serves; move the file away, then `sudo segue setup`",
        ) from error


def _from_document(document: dict[str, Any], app: str) -> Installed:
    # of an earlier version, which asked for no static files
    document = {"static_url": None, **document}
    if set(document) != {field.name for field in fields(Installed)}:
        raise ValueError("it has other keys than it should have")
    if document["app"] != app:
        raise ValueError(f"it speaks of {document['app']!r}")
    lists = {key: tuple(value) for key, value in document.items() if isinstance(value, list)}
    return Installed(**{**document, **lists})


def installed_apps(layout: Layout) -> list[Installed]:
    """What setup decided for every app of the server, by name.

    Raises:
        Refused: the file of one of them is damaged.
    """
    names = sorted(path.parent.name for path in layout.states.glob("*/target.json"))
    return [read_installed(Layout(name, layout.root)) for name in names]
