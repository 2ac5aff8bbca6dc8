"""nginx's site of one app, as text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from segue.config.schema import Target
from segue.core.errors import UsageError
from segue.core.fingerprints import FINGERPRINT

LOGS = Path("/var/log/nginx")
LONGEST_SOCKET_PATH = 107

_APP = re.compile(r"[a-z][a-z0-9-]{0,30}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(r"(?:/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+")
_URL = re.compile(r"/(?:(?![.]{1,2}/)[A-Za-z0-9._-]+/)+")
_SIZE = re.compile(r"[1-9][0-9]{0,8}[km]?")

_LOG_FORMAT = """\
log_format segue_{name} escape=json
    '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","host":"$host","path":"$uri",'
    '"status":"$status","release":"$upstream_http_x_segue_release",'
    '"generation":"$upstream_http_x_segue_generation","upstream_status":"$upstream_status",'
    '"upstream_seconds":"$upstream_response_time","seconds":"$request_time",'
    '"request_bytes":"$request_length","bytes":"$bytes_sent"}}';
"""

# nginx's own $http_host is empty in HTTP/1.0; $host has no port, and apps compare it with Origin
_MAPS = """\
map $http_host ${name}_host {{
    default $http_host;
    "" $host;
}}

# nothing but WebSocket is upgraded: an app server may know h2c, which nginx could not look into
map $http_upgrade ${name}_up {{
    default "";
    websocket websocket;
}}

map ${name}_up ${name}_conn {{
    default upgrade;
    "" close;
}}
"""

# No upstream block: only there newer versions of nginx keep connections alive by themselves. One that is kept
# stays with the old generation after the switch, and a POST on one that has just been closed fails.
_TO_APP = """\
    location {place} {{
        proxy_pass http://unix:{socket};
        proxy_http_version 1.1;
        proxy_set_header Host ${name}_host;
        proxy_set_header Upgrade ${name}_up;
        proxy_set_header Connection ${name}_conn;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host ${name}_host;
        proxy_set_header X-Forwarded-Port $server_port;

        # a client could claim these, and app servers believe them
        proxy_set_header Forwarded "";
        proxy_set_header X-Forwarded-Prefix "";
        proxy_set_header X-Forwarded-Protocol "";
        proxy_set_header X-Forwarded-Ssl "";
        proxy_set_header Proxy "";

        # nothing is ever sent twice
        proxy_next_upstream off;
        proxy_redirect off;

        # how long a request may take is the app server's to say; a quiet WebSocket is no fault
        proxy_read_timeout 1h;
        proxy_send_timeout 1h;
    }}
"""

_AGE = """\
# a name that carries a fingerprint of its file never leads to anything else; all others are asked for again,
# and answered by 304 where nothing has changed
map $uri ${name}_age {{
    default no-cache;
    "~{fingerprint}" "public, max-age=31536000, immutable";
}}
"""

# The link leads to the live release's folder, which has the files of all releases on disk. Nothing is served
# that a link takes to somebody else's. What is not there is the app's to answer.
_STATIC = """\
    location ^~ {url} {{
        alias {folder}/;
        try_files $uri @app;
        disable_symlinks if_not_owner;
        add_header Cache-Control ${name}_age;

        location ~ /[.] {{
            return 404;
        }}
    }}

"""

_TO_HTTPS = """\
    location / {{
        return 308 https://$host{port}$request_uri;
    }}
"""

_ACME = """\
    location ^~ /.well-known/acme-challenge/ {{
        root {root};
        default_type text/plain;
        try_files $uri =404;
    }}

"""


@dataclass(frozen=True)
class Doors:
    """Where users come in: the ports, and whether by IPv6 too."""

    http: int = 80
    https: int = 443
    ipv6: bool = True

    def listen(self, port: int, *words: str) -> list[str]:
        """The directives that open `port`."""
        addresses = [f"{port}", *([f"[::]:{port}"] if self.ipv6 else [])]
        return [" ".join(("listen", address, *words)) + ";" for address in addresses]


@dataclass(frozen=True)
class StaticPlace:
    """Static files that nginx serves by itself.

    Attributes:
        url: where users find them; begins and ends with a slash.
        folder: the link that leads to those of the live release.
    """

    url: str
    folder: Path


def render_site(
    app: str,
    target: Target,
    socket: Path,
    *,
    doors: Doors,
    logs: Path = LOGS,
    static: StaticPlace | None = None,
) -> str:
    """The file for sites-available.

    Args:
        app: its name; unique on the server, and so is everything that the file defines.
        target: what is asked for; has a domain.
        socket: the link that leads to the live generation's socket.
        doors: the ports.
        logs: the folder of nginx's logs.
        static: what nginx is to serve by itself; None for nothing.

    Raises:
        UsageError: something would not be in the config what it is outside of it.
    """
    _demand(_APP, app, "app's name on a server")
    _demand(_PATH, str(socket), "path of a socket")
    _demand(_PATH, str(logs), "path of a folder of logs")
    if len(str(socket)) > LONGEST_SOCKET_PATH:
        raise UsageError("site", f"The path {socket} is too long for a socket.", hint="choose a shorter name")
    name = variable_prefix(app)
    head = f"# nginx's site of {app}, written by segue; the next `segue setup` replaces it\n\n"
    parts = [head + _LOG_FORMAT.format(name=app), _MAPS.format(name=name)]
    to_app = _TO_APP.format(name=name, socket=socket, place="/")
    if static is not None:
        parts.append(_AGE.format(name=name, fingerprint=FINGERPRINT))
        url, folder = _demand(_URL, static.url, "path of a folder"), _path(static.folder)
        by_nginx = _STATIC.format(name=name, url=url, folder=folder)
        to_app = "\n".join((by_nginx + to_app, _TO_APP.format(name=name, socket=socket, place="@app")))
    return "\n".join([*parts, *_servers(app, target, doors, logs, to_app)])


def access_log(app: str, logs: Path = LOGS) -> Path:
    """The log with one line of JSON for each request to `app`."""
    return logs / f"segue-{app}.access.log"


def error_log(app: str, logs: Path = LOGS) -> Path:
    """Where nginx says what went wrong with requests to `app`."""
    return logs / f"segue-{app}.error.log"


def variable_prefix(app: str) -> str:
    """How the names of an app's variables begin; short, for nginx as it comes takes 46 letters at most."""
    return f"segue_{app.replace('-', '_')}"


def _servers(app: str, target: Target, doors: Doors, logs: Path, to_app: str) -> list[str]:
    common = [
        f"server_name {' '.join(_names(target))};",
        f"client_max_body_size {_demand(_SIZE, target.body_limit, 'size')};",
        f"access_log {access_log(app, logs)} segue_{app};",
        f"error_log {error_log(app, logs)};",
    ]
    acme = _ACME.format(root=_path(target.acme_root)) if target.acme_root else ""
    if target.certificate is None and target.certificate_key is None:
        return [_server([*doors.listen(doors.http), *common], acme + to_app)]
    tls = [
        f"ssl_certificate {_path(target.certificate)};",
        f"ssl_certificate_key {_path(target.certificate_key)};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
    ]
    to_https = _TO_HTTPS.format(port="" if doors.https == Doors.https else f":{doors.https}")
    return [
        _server([*doors.listen(doors.http), *common], acme + to_https),
        _server([*doors.listen(doors.https, "ssl"), *common, *tls], to_app),
    ]


def _names(target: Target) -> list[str]:
    if target.domain is None:
        raise UsageError("site", "A site needs a name.", hint='set domain = "shop.example" in the target')
    names = [_demand(_DOMAIN, name, "domain name").lower() for name in (target.domain, *target.aliases)]
    return list(dict.fromkeys(names))


def _path(path: Path | None) -> str:
    if path is None:
        raise UsageError(
            "site", "A certificate and its key go together.", hint="set certificate and certificate_key"
        )
    return _demand(_PATH, str(path), "full path")


def _server(directives: list[str], locations: str) -> str:
    lines = "".join(f"    {directive}\n" for directive in directives)
    return f"server {{\n{lines}\n{locations}}}\n"


def _demand(form: re.Pattern[str], text: str, what: str) -> str:
    if form.fullmatch(text) is None:
        raise UsageError("site", f"{text!r} is no {what} that nginx's config can hold.")
    return text
