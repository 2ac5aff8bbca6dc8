"""Everything that a deploy on this server works on, put together."""

from __future__ import annotations

import functools

from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.deploy.clock import SystemClock
from segue.deploy.run import Say, Site
from segue.deploy.static import demand_served
from segue.server.environment import environment_of
from segue.server.home import home_of
from segue.server.installed import Installed
from segue.server.layout import Layout
from segue.server.process_units import ProcessUnits
from segue.server.request import Request
from segue.server.services import Services
from segue.server.signpost import Signpost
from segue.server.tasks import ConfinedTasks

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def site_of(layout: Layout, installed: Installed, config: AppConfig, unit: str, say: Say) -> Site:
    """The site of the app of `layout`, for who runs as `unit`."""
    home = home_of(layout)
    port = installed.https_port if installed.certificate else installed.http_port
    return Site(
        home=home,
        processes=Services(home, installed),
        clock=SystemClock(),
        address=Address("127.0.0.1", port),
        environ={"PATH": PATH, "LANG": "C.UTF-8"},
        say=say,
        tasks=ConfinedTasks(layout, installed, unit),
        environment=functools.partial(environment_of, layout.env_file, installed.user, PATH),
        target=installed.target,
        front=Signpost(home, installed, config),
        background=ProcessUnits(home, installed),
    )


def demand_fit(installed: Installed, request: Request) -> None:
    """See that the server was set up for what is to be deployed; what serves can always be gone back to.

    Raises:
        Refused: it was not.
    """
    if request.verb == "deploy" and request.config is not None:
        demand_served(request.config, installed.static_url)


def config_on(installed: Installed, config: AppConfig) -> AppConfig:
    """`config` with what the server decides: users come in by its domain, and by TLS where it has that."""
    scheme = "https" if installed.certificate else config.check_scheme
    return config.model_copy(
        update={"check_host": config.check_host or installed.domain, "check_scheme": scheme}
    )
