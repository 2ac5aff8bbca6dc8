"""The nginx form of `Front`: a link that nginx follows at each connect leads to one generation's socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.errors import Failed
from segue.core.ids import release_of
from segue.deploy.releases import Releases
from segue.front.link import Link, StaticLink
from segue.front.log import AccessLog, Answers
from segue.front.queue import connected
from segue.proof.ask import ask
from segue.proof.connection import Answer
from segue.proof.verdict import Tally
from segue.server.home import ServerHome
from segue.server.installed import Installed

POLL = 0.1
SAMPLES = 3
HIGHEST_GOOD = 299


class Signpost:
    """Which generation nginx leads to."""

    def __init__(self, home: ServerHome, installed: Installed, config: AppConfig) -> None:
        self._layout = layout = home.layout
        self._releases = Releases(home)
        self._url = installed.static_url
        self._config = config
        self._link = Link(layout.front)
        self._static = StaticLink(layout.front, installed.deploy_user)
        self._log = AccessLog(layout.access_log)
        self._begun = self._log.position()

    def address(self, generation: str) -> Address:
        """See `Front`."""
        return Address(path=str(self._layout.socket_path(generation)))

    def routed(self) -> str | None:
        """See `Front`: a death may have come between the two links."""
        generation = self._link.routed()
        if generation is None or self._static.leads_to() != self._static_of(generation):
            return None
        return generation

    def route(self, generation: str) -> None:
        """See `Front`: each release has the other's static files, so which link is first does not matter."""
        self._static.lead(self._static_of(generation))
        self._link.route(generation)

    def _static_of(self, generation: str) -> Path | None:
        """What nginx serves by itself while `generation` is live; None where the app serves all."""
        release = release_of(generation)
        facts = self._releases.read(release)
        if self._url is None or facts.get("static") is None or facts.get("static_url") != self._url:
            return None
        return self._layout.release(release) / str(facts["static"])

    def served(self, generation: str) -> Tally:
        """See `Front`: what nginx's log says of it."""
        found = self._log.tally(self._begun).get(generation, Answers())
        return Tally(found.answers, found.errors)

    async def deserted(self, generation: str, limit: float) -> bool:
        """See `Front`: nobody at all, `SAMPLES` times in a row."""
        loop, path = asyncio.get_running_loop(), self._layout.socket_path(generation)
        deadline, quiet = loop.time() + limit, 0
        while quiet < SAMPLES:
            quiet = 0 if connected(path) else quiet + 1
            if loop.time() > deadline:
                return False
            await asyncio.sleep(POLL)
        return True

    async def healthy(self, generation: str) -> None:
        """See `Front`: the check has to be answered within the ready timeout, as nginx would ask for it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.ready_timeout
        while True:
            trouble = await self._trouble(generation)
            if trouble is None:
                return
            if loop.time() > deadline:
                raise trouble
            await asyncio.sleep(self._config.check_interval)

    async def _trouble(self, generation: str) -> Failed | None:
        try:
            async with asyncio.timeout(self._config.check_timeout):
                answer = await self._ask(generation)
        except OSError as error:
            why = str(error) or "no answer in time"
            return _unhealthy(generation, self._config.check, why)
        if answer.status > HIGHEST_GOOD:
            return _unhealthy(generation, self._config.check, f"answer: {answer.status}")
        return None

    async def _ask(self, generation: str) -> Answer:
        config = self._config
        headers = (
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Proto", config.check_scheme),
            ("X-Forwarded-Host", str(config.check_host)),
        )
        return await ask(f"http://{config.check_host}{config.check}", str(self.address(generation)), headers)


def _unhealthy(generation: str, path: str, why: str) -> Failed:
    return Failed(
        "check",
        f"{generation} did not answer {path} on its own socket as a healthy release does.",
        evidence=f"GET {path}\n{why}",
        hint="the release is not healthy; it never saw a user's request",
    )
