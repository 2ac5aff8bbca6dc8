"""Runs in the service's own interpreter: Gunicorn as the service starts it, on a private socket, reporting.

``PYTHON inside.py REPORT SOCKET CWD PATH -- ARGUMENTS``, the last ones being Gunicorn's. It needs Python 3.8,
the standard library and Gunicorn alone. Without SOCKET (``-``) it reads the settings, imports nothing of the
app's, and ends. CWD is where a worker that the running master forks would be, empty where that is Gunicorn's
to say; PATH begins its sys.path.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

from gunicorn import __version__
from gunicorn.app.wsgiapp import WSGIApplication

REPORT, SOCKET, CWD, PATH, _, *ARGUMENTS = sys.argv[1:]
PLAIN = (bool, int, float, str, type(None))
# a master's own doings, what must not be shared with the service, and what would hide from us how it goes
AS_BY_DEFAULT = (
    *("on_starting", "on_reload", "when_ready", "on_exit", "nworkers_changed"),
    *("pidfile", "daemon", "reload", "reuse_port", "preload_app", "certfile", "keyfile", "max_requests"),
    *("statsd_host", "syslog", "dirty_workers", "dirty_apps"),
    *("logger_class", "logconfig", "logconfig_dict", "logconfig_json", "accesslog"),
)
OURS = {"workers": 1, "errorlog": "-", "control_socket_disable": True}


def modules() -> dict[str, str]:
    """The file of every module that is loaded, by name."""
    found = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return {name: os.path.realpath(file) for name, file in found.items() if isinstance(file, str)}


class Shadow(WSGIApplication):  # type: ignore[misc]
    """The service's own application of Gunicorn's."""

    def load_config(self) -> None:
        """Read the settings, and remember them as they are."""
        super().load_config()
        config = self.cfg
        self.report = {
            "settings": {
                name: setting.get()
                for name, setting in config.settings.items()
                if isinstance(setting.get(), PLAIN)
            },
            "worker_class": config.worker_class_str,
            "bind": [str(address) for address in config.settings["bind"].get()],
            "raw_env": sorted(config.env),
            "held": modules(),
            "module": self.app_uri,
        }

    def load(self) -> Any:
        """Load the app, and report from where."""
        if CWD:
            os.chdir(CWD)
        before = modules()
        app = super().load()
        now = modules()
        loaded = {name: now[name] for name in now if name not in before}
        write({**self.report, "loaded": loaded, "cwd": os.getcwd()})
        return app

    def keep_apart(self) -> None:
        """Have nothing in common with the service."""
        settings = self.cfg.settings
        values = {name: settings[name].default for name in AS_BY_DEFAULT if name in settings}
        values.update(
            {name: value for name, value in OURS.items() if name in settings}, bind="unix:" + SOCKET
        )
        for name, value in values.items():
            self.cfg.set(name, value)

    def where(self) -> str | None:
        """The file that the app's first package would come from; none of it is imported."""
        for path in (self.cfg.pythonpath or "").split(","):
            if path and os.path.abspath(path) not in sys.path:
                sys.path.insert(0, os.path.abspath(path))
        if CWD:
            os.chdir(CWD)
        name = (self.app_uri or "").partition(":")[0].partition(".")[0]
        spec = importlib.util.find_spec(name) if name else None
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        return next((os.path.realpath(place) for place in places if place and place != "frozen"), None)


def write(report: dict[str, Any]) -> None:
    """Replace the report, so that it is never read half."""
    # a master may be root in a folder of its workers' user: what lies there is not to be followed
    if os.path.lexists(REPORT + ".new"):
        os.unlink(REPORT + ".new")
    with open(REPORT + ".new", "x") as file:
        json.dump(report, file)
    os.rename(REPORT + ".new", REPORT)


def main() -> None:
    """Do what the arguments say."""
    sys.path[0] = PATH
    sys.argv = ["gunicorn", *ARGUMENTS]
    shadow = Shadow("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn")
    if SOCKET == "-":
        write({**shadow.report, "version": __version__, "prefix": sys.prefix, "where": shadow.where()})
        return
    shadow.keep_apart()
    shadow.run()


if __name__ == "__main__":
    main()
