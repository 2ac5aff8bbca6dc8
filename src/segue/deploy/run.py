"""One deploy under way: its plan, what it works on, and what its steps have found out so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from segue.build.source import Source
from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.contract import Contract
from segue.core.plan import Plan, Step
from segue.core.record import Record
from segue.core.secrets import Secrets
from segue.deploy.judge import Batch
from segue.deploy.measure import Measurement
from segue.deploy.plan import BLUE_GREEN, CONTRACT, HANDOFF
from segue.deploy.releases import Releases
from segue.deploy.seams import Background, Clock, Front, Processes, Tasks
from segue.disk.events import Event
from segue.disk.home import Home
from segue.run.environment import Environment
from segue.run.generation import Generation

Say = Callable[[Event], None]


@dataclass(frozen=True)
class Site:
    """What every deploy of one project works on.

    Attributes:
        home: where everything lies.
        processes: the app server's processes.
        clock: the time.
        address: where users come in.
        environ: the environment that generations start from.
        say: takes every event.
        tasks: runs what a deploy runs beside the app's processes.
        environment: what a generation that starts now gets as its environment.
        target: its name.
        front: the proxy before the app; None where the app's own processes accept what users send.
        background: the app's other processes; None where it has none.
    """

    home: Home
    processes: Processes
    clock: Clock
    address: Address
    environ: Mapping[str, str]
    say: Say
    tasks: Tasks
    environment: Callable[[], Environment]
    target: str = "local"
    front: Front | None = None
    background: Background | None = None

    @property
    def strategy(self) -> str:
        """How new requests change sides here."""
        return HANDOFF if self.front is None else BLUE_GREEN

    @property
    def releases(self) -> Releases:
        """The releases on disk."""
        return Releases(self.home)

    def generation(self, name: str) -> Generation:
        """The generation of that name."""
        return Generation(name, self.home.generation(name), self.home.unit(name))

    def secrets(self) -> Secrets:
        """What nothing that an app prints or raises may tell, as things stand."""
        try:
            env_file = self.home.env_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            env_file = ""
        return Secrets(self.environ, env_file)

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def timestamp(self) -> str:
        """Now, as events and receipts write it."""
        return self.now().isoformat(timespec="milliseconds")


@dataclass
class Run:
    """A deploy that is being carried out.

    Attributes:
        plan: what it does.
        config: the config it goes by.
        site: what it works on.
        record: the record as it last was written.
        module: the app, ``wsgi:app``.
        source: what its release is built from; None where the release is on disk.
        contract: what its release demands of its environment.
        by: who asked for it.
        allow_contract: whether migrations that what serves may not live with are run once it has stopped.
        migrated: what was done to the database, for people.
        later: the migrations that run once the old generation has stopped.
        steps: how its steps went, as the receipt lists them.
        notes: what people should know though nothing failed.
        outputs: how the hooks went, and what they printed.
        changes: what is other than in the release that served before, as the receipt has it.
        began: the clock's monotonic time at its begin.
        watched: what the watch saw.
        drained: streams and WebSockets that were closed in order when the old generation left.
        held: requests that workers held when they died.
        cut: requests that outlasted the drain.
        uncommitted: the record before the commit, and what was known of the releases that it concerned.
        measurement: the probe, while it runs and after.
        can_be_cancelled: whether it can still be taken back by a wish.
        at_rest: whether, at its end, the machine matches the record, and the record could be written.
    """

    plan: Plan
    config: AppConfig
    site: Site
    record: Record
    module: str
    by: str
    source: Source | None = None
    contract: Contract = field(default_factory=Contract)
    allow_contract: bool = False
    migrated: str = ""
    later: Batch | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    watched: dict[str, Any] | None = None
    drained: int = 0
    held: int = 0
    cut: int = 0
    uncommitted: tuple[Record, dict[str, dict[str, Any]]] | None = None
    measurement: Measurement | None = None
    can_be_cancelled: bool = True
    at_rest: bool = True
    _known_lost: dict[str, int] = field(default_factory=dict)

    @property
    def committed(self) -> bool:
        """Whether the candidate is the live generation."""
        return self.record.live == self.plan.generation

    def needs(self, step: Step) -> bool:
        """Whether `step` of the plan is to be taken, by what those before it have found."""
        return step.name != CONTRACT or self.later is not None

    @property
    def candidate(self) -> Generation:
        """The generation that is brought in."""
        return self.site.generation(self.plan.generation)

    @property
    def named(self) -> bool:
        """Whether the candidate's answers say whose they are."""
        return self.config.wrap and self.candidate.gated()

    def newly_lost(self, generation: str | None) -> int:
        """How many requests workers of `generation` lost by their end, since this was last asked."""
        if generation is None or not self.site.generation(generation).folder.exists():
            return 0
        try:
            lost = self.site.generation(generation).lost()
        except OSError as failure:
            self.note(f"nobody knows what workers of {generation} held at their end: {failure}")
            return 0
        before = self._known_lost.get(generation, 0)
        self._known_lost[generation] = lost
        return max(0, lost - before)

    def write(self, record: Record) -> None:
        """Make `record` the durable truth."""
        self.site.home.write_record(record)
        self.record = record

    def say(self, event: str, **data: Any) -> None:
        """Tell everybody who follows."""
        self.site.say({"at": self.site.timestamp(), "deploy": self.plan.generation, "event": event, **data})

    def note(self, text: str) -> None:
        """Tell what people should know though nothing failed."""
        self.notes.append(self.site.secrets().hide(text))
        self.say("note", text=text)
