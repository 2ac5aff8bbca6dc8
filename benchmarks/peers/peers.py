"""All peers, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.peers import alone, fronted, segues
from benchmarks.peers.alone import Alone, Way, forked
from benchmarks.peers.place import ONE_EACH, SYNC_WORKERS, WORKERS, Peer, Place, Start, Starts

_GUNICORN = ("gunicorn",)


def _server(
    words: tuple[str, ...], way: Way, leaving: str = "", program: str = ""
) -> Callable[[Place], Alone]:
    return lambda place: Alone(place, words, program, way=way, leaving=leaving)


def _alone(make: Callable[[Place], Alone]) -> Starts:
    def starts(place: Place, /) -> Start:
        return alone.serving(make(place))

    return starts


def _proxied(make: Callable[[Place], Alone]) -> Starts:
    def starts(place: Place, /) -> Start:
        return fronted.proxied(make(place))

    return starts


_HUP_SYNC = _server(alone.SYNC, "hup", forked(SYNC_WORKERS))
_HUP_GTHREAD = _server(alone.GTHREAD, "hup", forked(WORKERS))

PEERS = (
    Peer("segue, handoff, Gunicorn gthread", "segue", segues.handoff(segues.GTHREAD), ()),
    Peer("segue, handoff, Uvicorn", "segue-uvicorn", segues.handoff(segues.UVICORN), (), "asgi"),
    Peer("segue, blue-green by a link, behind nginx", "segue-link", segues.linked, (), needs_nginx=True),
    Peer("stop and start, Gunicorn gthread", "restart", _alone(_server(alone.GTHREAD, "restart")), _GUNICORN),
    Peer("Gunicorn HUP, sync", "hup-sync", _alone(_HUP_SYNC), _GUNICORN, kinds=ONE_EACH),
    Peer("Gunicorn HUP, gthread", "hup", _alone(_HUP_GTHREAD), _GUNICORN),
    Peer(
        "Gunicorn HUP, sync, behind nginx", "hup-sync-nginx", _proxied(_HUP_SYNC), _GUNICORN, needs_nginx=True
    ),
    Peer(
        "Gunicorn HUP, gthread, behind nginx",
        "hup-nginx",
        _proxied(_HUP_GTHREAD),
        _GUNICORN,
        needs_nginx=True,
    ),
    Peer(
        "Gunicorn HUP, gthread, `--preload`",
        "hup-preload",
        _alone(_server(alone.PRELOADED, "hup", forked(WORKERS))),
        _GUNICORN,
    ),
    Peer("Gunicorn USR2, gthread", "usr2", _alone(_server(alone.GTHREAD, "usr2")), _GUNICORN),
    Peer(
        "Uvicorn HUP",
        "uvicorn",
        _alone(_server(alone.UVICORN, "hup", "Terminated child process")),
        ("uvicorn",),
        "asgi",
    ),
    Peer(
        "Granian HUP",
        "granian",
        _alone(_server(alone.GRANIAN, "hup", "Stopping old worker")),
        ("granian",),
        "asgi",
    ),
    Peer("Hypercorn HUP", "hypercorn", _alone(_server(alone.HYPERCORN, "hup")), ("hypercorn",), "asgi"),
    Peer(
        "uWSGI chain reload",
        "uwsgi",
        _alone(_server(alone.UWSGI, "chain", "chain next victim", "uwsgi")),
        ("uwsgi",),
        # --http-socket keeps no connection
        kinds=ONE_EACH,
    ),
    Peer(
        "blue-green by nginx reload, Gunicorn gthread",
        "blue-green",
        fronted.blue_green,
        _GUNICORN,
        needs_nginx=True,
    ),
)
