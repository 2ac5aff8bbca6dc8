"""The env contract, demanded before anything is touched; and what is new since the live one started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segue.core.contract import Contract, Demand
from segue.core.errors import Refused
from segue.run.environment import Difference, Environment, Fingerprint

if TYPE_CHECKING:
    from segue.deploy.run import Run, Site


@dataclass(frozen=True)
class Met:
    """A contract that the environment meets.

    Attributes:
        keys: the keys that it names.
        live: the generation that it is compared with.
        new: what is other in the environment since that started, names only; empty where nothing is.
        misread: what its file may be mistaken for, names only; empty where it is plain.
    """

    keys: tuple[str, ...]
    live: str | None = None
    new: str = ""
    misread: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the environment."""
        new = (f"in the environment since {self.live} started: {self.new}",) if self.new else ()
        return (*new, *((self.misread,) if self.misread else ()))

    def describe(self) -> str:
        """All of it, for plans; empty where there is nothing to say."""
        met = (f"{', '.join(self.keys)}: as the app needs them",) if self.keys else ()
        return "; ".join((*met, *self.notes))


def check_environment(site: Site, contract: Contract, live: str | None) -> Met:
    """See what a generation would get that starts now, beside `live`.

    Raises:
        Refused: it is not what `contract` demands.
    """
    environment = site.environment()
    broken = contract.broken_by(environment.values)
    if broken:
        raise _refused(environment, broken)
    new = _new(site, environment, contract, live)
    return Met(contract.keys, live, new, _misread(environment, contract))


def take_fingerprint(run: Run) -> Fingerprint:
    """What the candidate is about to start with, for the next deploy to compare.

    To be left in its folder once it was started: what lies there before is handed to the app's user.

    Raises:
        Refused: the environment can't be read.
    """
    return Fingerprint.of(run.site.environment().values)


def _refused(environment: Environment, broken: dict[Demand, str]) -> Refused:
    lines = [
        f"{demand.key}: {complaint}{_because(environment, demand)}" for demand, complaint in broken.items()
    ]
    optional = (
        ""
        if all(demand.configured for demand in broken)
        else '; what the app can do without is KEY = "text?" under [env] of segue.toml'
    )
    return Refused(
        "env",
        "The environment is not as the app needs it.",
        evidence="\n".join(lines),
        hint=f"{environment.remedy}{optional}; nothing was touched",
    )


def _because(environment: Environment, demand: Demand) -> str:
    if demand.key in environment.misread:
        return ", as systemd reads it; python-dotenv reads it otherwise"
    return "" if demand.configured else ", and .env.example names it"


def _new(site: Site, environment: Environment, contract: Contract, live: str | None) -> str:
    before = None if live is None else Fingerprint.read(site.generation(live).folder)
    if before is None:
        return ""
    return _told(Fingerprint.of(environment.values, before.salt).since(before), contract)


def _told(difference: Difference, contract: Contract) -> str:
    parts = {"added": difference.added, "changed": difference.changed, "removed": difference.removed}
    return "; ".join(f"{_listed(keys, contract)} {what}" for what, keys in parts.items() if keys)


def _misread(environment: Environment, contract: Contract) -> str:
    if not environment.misread:
        return ""
    listed = _listed(environment.misread, contract)
    return f"systemd and python-dotenv read {environment.file} differently: {listed}"


def _listed(keys: Iterable[str], contract: Contract) -> str:
    """`keys`, but for what may be a line of some secret that was pasted in without quotes."""
    found = sorted(keys)
    plain = [key for key in found if key in contract.keys or key in (key.upper(), key.lower())]
    more = [f"{len(found) - len(plain)} with odd names"] if len(plain) < len(found) else []
    return ", ".join(plain + more)
