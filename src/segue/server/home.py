"""Where everything of one app's lies on a server: the same files as a project's, in a server's places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segue.disk.home import Home
from segue.server.layout import Layout


@dataclass(frozen=True)
class ServerHome(Home):
    """The home of an app on a server.

    Attributes:
        project: the folder that a release's shared paths lead to.
        layout: the places.
    """

    layout: Layout

    @property
    def root(self) -> Path:
        """See `Home`."""
        return self.layout.state

    @property
    def code(self) -> Path:
        """See `Home`."""
        return self.layout.home

    @property
    def cache(self) -> Path:
        """See `Home`; the deploy user's, who builds."""
        return self.layout.releases / ".cache"

    @property
    def env_file(self) -> Path:
        """See `Home`."""
        return self.layout.env_file

    def unit(self, generation: str) -> str:
        """See `Home`."""
        return self.layout.service(generation)


def home_of(layout: Layout) -> ServerHome:
    """The home of the app that `layout` is of."""
    return ServerHome(layout.shared, layout)
