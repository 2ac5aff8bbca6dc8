"""The controller: the logic of the embedded keeper. It may die at any instant; its successor converges."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segue import __version__
from segue.config.load import load_config
from segue.config.schema import AppConfig
from segue.core.address import Address
from segue.core.errors import Interrupted, Refused, SegueError, Stranded, UsageError
from segue.core.record import Phase, Record
from segue.deploy import protocol
from segue.deploy.apply import apply_record
from segue.deploy.clock import SystemClock
from segue.deploy.execute import execute
from segue.deploy.prepare import Wish, look_up, prepare
from segue.deploy.recovered import write_interrupted_receipt
from segue.deploy.run import Run, Site
from segue.deploy.scale import scale_live
from segue.disk.atomic import write_json
from segue.disk.events import Event, append_event
from segue.disk.home import Home
from segue.disk.lock import hold
from segue.disk.processes import myself
from segue.embedded.environment import environment_of
from segue.embedded.later import until_done
from segue.embedded.listener import BACKLOG
from segue.embedded.masters import Masters
from segue.embedded.server import Asker, Server
from segue.embedded.supervisor import Supervisor
from segue.embedded.tasks import OwnTasks
from segue.embedded.watching import BY, Watching
from segue.proof.receipt import Receipt

POLL = 0.1
LOCK_HINT = "wait for it, or give --wait to queue behind it"

Answer = tuple[dict[str, Any], int]


@dataclass
class Keeper:
    """One project's keeper, while this process is it.

    Attributes:
        home: where everything lies.
        listener: the socket that users come in by.
        address: its address.
        app: the app's name.
        overrides: the flags of `segue up`, which beat the config.
        print_event: shows an event to whoever looks at the keeper's terminal.
        taken_over: whether `listener` is that of a keeper that was killed, and what it kept goes on.
        watch: whether every save is deployed.
        environ: what generations start from.
    """

    home: Home
    listener: socket.socket
    address: Address
    app: str
    overrides: Mapping[str, Any]
    print_event: Callable[[Event], None]
    taken_over: bool = False
    watch: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __post_init__(self) -> None:
        self.masters = Masters(self.home, self.listener.fileno(), self.environ)
        clock, tasks = SystemClock(), OwnTasks()
        environment = functools.partial(environment_of, self.home, self.environ)
        self.site = Site(
            self.home, self.masters, clock, self.address, self.environ, self._say, tasks, environment
        )
        self._turn = asyncio.Lock()
        self._supervisor = Supervisor(self.home, self.masters, self._note, self._settle)
        self._recovering = True
        self._leaving = False
        self._code = 0
        self._handed_over = asyncio.Event()
        self._followers: list[Asker] = []
        self._run: Run | None = None
        self._deploying: asyncio.Task[Receipt] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._scaling: asyncio.Task[dict[str, Any]] | None = None
        self._watching = Watching(self.home, self._shared, self._deploy_saved, self._note)
        self._saves: asyncio.Task[None] | None = None

    # life

    async def live(self, *, stops: int) -> int:
        """Keep the app serving until told to stop; the exit code of `segue up`.

        Args:
            stops: how often a predecessor was told to stop: once is to drain, twice is to leave at once.
        """
        stopping = asyncio.Event()
        _on_signal(signal.SIGTERM, stopping.set)
        _on_signal(signal.SIGINT, self._leave_at_once)
        if stops > 1:
            self._leave_at_once()
        if not self.taken_over and not self._succeeds():
            self._begin_anew()
        if stops:
            self._code = _code_of_stop(self.home.read_record())
            await self._recover()
            await self._stop()
            return self._code
        server = Server(self._answer, self._cancel)
        listening = await server.listen(self._socket())
        self._announce()
        self._code = await self._serve(stopping)
        if not self._handed_over.is_set():
            await self._stop()
        listening.close()
        await server.finish()
        return self._code

    async def _serve(self, stopping: asyncio.Event) -> int:
        told, handed_over = (asyncio.create_task(event.wait()) for event in (stopping, self._handed_over))
        supervising = asyncio.create_task(self._supervisor.supervise())
        try:
            code = await self._begin(told)
            if code == 0:
                if self.watch:
                    self._saves = asyncio.create_task(self._watching.watch())
                ends = (told, handed_over, supervising)
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leaving = True
            supervising.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await supervising
        return code

    async def _begin(self, told: asyncio.Task[bool]) -> int:
        """Finish what a predecessor left unfinished; where nothing is live, deploy."""
        async with self._turn:
            await self._recover()
            self._recovering = False
            return 0 if self.home.read_record().live else await self._first_deploy(told)

    async def _first_deploy(self, told: asyncio.Task[bool]) -> int:
        first = asyncio.create_task(self._carry_out(Asker({"verb": "up"})))
        await asyncio.wait((first, told), return_when=asyncio.FIRST_COMPLETED)
        while not first.done():
            self._code = Interrupted.exit_code
            self._cancel_deploy()
            await asyncio.wait((first,), timeout=POLL)
        try:
            _, code = await first
        except SegueError as error:
            self._show({"event": "end", "ok": False, "error": error.as_dict()})
            code = error.exit_code
        return code

    def _socket(self) -> Path:
        return self.home.runtime_folder() / "keeper.sock"

    def _succeeds(self) -> bool:
        """Whether a controller of the same parent's was here before: `segue up` begins without the file."""
        return self.home.keeper.exists()

    def _begin_anew(self) -> None:
        """What an earlier keeper kept is not what is to be served now, but can be rolled back to."""
        record = self.home.read_record()
        if record.phase is not Phase.REST:
            write_interrupted_receipt(self.site, record)
        self.home.write_record(record.settle().retire())

    def _announce(self) -> None:
        me = myself()
        write_json(
            self.home.keeper,
            {
                "pid": me.pid,
                "started": me.started,
                "parent": os.getppid(),
                "version": __version__,
                "socket": str(self._socket()),
                "bind": str(self.address),
                "app": self.app,
                "since": self.site.timestamp(),
            },
        )

    async def _stop(self) -> None:
        """Drain everything and leave."""
        self._leaving = True
        self._cancel_deploy()
        # whatever is under way, a recovery too, comes to rest first; who waits for a turn is refused
        async with self._turn:
            self.home.write_record(self.home.read_record().retire())
        if self._saves is not None:
            self._saves.cancel()
        if left := self.masters.observe():
            self._show({"event": "note", "text": "draining; press Ctrl-C again to leave at once"})
            await asyncio.gather(*(self.masters.drain(name) for name in left))
        self._leave_no_address()

    def _leave_at_once(self) -> None:
        code = self._code
        try:
            if self._handed_over.is_set():
                return
            for name in self.home.generations():
                with contextlib.suppress(Stranded):
                    self.masters.kill(name)
            record = self.home.read_record()
            code = 0 if record.live else self._code or _code_of_stop(record)
            if record.phase is not Phase.REST:
                write_interrupted_receipt(self.site, record)
            self.home.write_record(record.settle().retire())
            self._leave_no_address()
        finally:
            os._exit(code)

    def _leave_no_address(self) -> None:
        self.home.keeper.unlink(missing_ok=True)
        if self.address.path:
            Path(self.address.path).unlink(missing_ok=True)

    # the record

    async def _recover(self) -> tuple[Record, tuple[str, ...], SegueError | None]:
        """Come to rest, whatever the last executor was doing when it ended.

        The record comes to rest last: until then every further successor would do all of this again.
        """
        record = self.home.read_record()
        with hold(self.home.lock, "A recovery", hint=LOCK_HINT):
            done, error = await self._rest(record.settle())
            if record.phase is not Phase.REST:
                write_interrupted_receipt(self.site, record)
            await asyncio.to_thread(self.site.releases.sweep)
            self.home.write_record(record.settle())
        return record.settle(), done, error

    async def _rest(self, record: Record) -> tuple[tuple[str, ...], SegueError | None]:
        try:
            actions = await apply_record(record, self.masters)
            if record.live is not None:
                await self.masters.finish_scaling(record.live)
        except SegueError as error:
            # the supervisor tries again; nothing that serves was taken away
            self._note(error.message)
            return (), self.site.secrets().hide_in_error(error)
        self.home.point_current(record)
        return tuple(f"{type(action).__name__.lower()} {action.generation}" for action in actions), None

    async def _settle(self) -> None:
        """The live master is back: what could not leave without it can now. A deploy sees to that itself."""
        if not self._turn.locked():
            async with self._turn:
                await self._rest(self.home.read_record().settle())

    async def _settled(self, receipt: Receipt) -> bool:
        """Whether a deploy that could not come to rest has now, and its receipt is written."""
        async with self._turn:
            if self._leaving:
                return True
            write_json(self.home.receipt(receipt.plan.generation), receipt.as_dict())
            _, _, error = await self._recover()
        return error is None

    def _note(self, text: str) -> None:
        self._say({"at": self.site.timestamp(), "event": "note", "text": text})

    # askers

    async def _answer(self, asker: Asker) -> Answer:
        match asker.verb:
            case "up" | "deploy" | "rollback" | "restart":
                return await self._deploy(asker)
            case "scale":
                return await self._scale(asker)
            case "recover":
                return await self._recover_when_free(asker)
            case protocol.HANDOVER:
                return await self._hand_over(asker)
            case _:
                raise UsageError("verb", f"The keeper knows no verb {asker.verb[:40]!r}.")

    async def _recover_when_free(self, asker: Asker) -> Answer:
        async with self._my_turn(asker):
            record, actions, error = await self._recover()
        document = {"record": record.as_dict(), "actions": list(actions)}
        if error is None:
            return {"ok": True, **document}, 0
        stranded = Stranded("stranded", error.message, evidence=error.evidence, hint=error.hint)
        return {"ok": False, **document, "error": stranded.as_dict()}, stranded.exit_code

    async def _hand_over(self, asker: Asker) -> Answer:
        """Leave what serves to another `segue up`, which has the listening socket already."""
        async with self._my_turn(asker):
            self._leaving = True
            self._handed_over.set()
        self._note("another `segue up` takes over, and what serves goes on; this one ends")
        return {"ok": True}, 0

    async def _scale(self, asker: Asker) -> Answer:
        async with self._my_turn(asker):
            self._followers.append(asker)
            try:
                with hold(self.home.lock, "A scaling", hint=LOCK_HINT):
                    config = load_config(self.home.project, self.overrides)
                    scaling = scale_live(self.site, config, int(asker.args.get("workers") or 0), asker.by)
                    asker.queued = self._scaling = asyncio.create_task(scaling)
                    return await self._scaling, 0
            finally:
                self._followers.remove(asker)
                asker.queued = self._scaling = None

    async def _deploy(self, asker: Asker) -> Answer:
        if asker.args.get("dry_run"):
            return (await asyncio.to_thread(self._prepare, asker)).plan.as_dict(), 0
        async with self._my_turn(asker):
            return await self._carry_out(asker)

    async def _deploy_saved(self) -> None:
        asker = Asker({"by": BY, "args": {"wait": True}})
        try:
            async with self._my_turn(asker):
                asker.verb = await self._watching.wanted() or ""
                if asker.verb:
                    await self._carry_out(asker)
        except SegueError as error:
            if not self._leaving:
                self._show({"event": "end", "ok": False, "error": error.as_dict()})

    async def _carry_out(self, asker: Asker) -> Answer:
        async with self._watching.remembering(asker) if self.watch else contextlib.nullcontext():
            # git may take its time; what keeps the site up must not wait for it
            run = await asyncio.to_thread(self._prepare, asker)
            with hold(self.home.lock, f"The {run.plan.verb} of {run.plan.generation}", hint=LOCK_HINT):
                receipt = await self._execute(run, asker)
        return receipt.as_dict(), receipt.exit_code

    def _shared(self) -> tuple[str, ...]:
        return tuple(map(str, load_config(self.home.project, self.overrides).shared))

    async def _execute(self, run: Run, asker: Asker) -> Receipt:
        self._run = run
        self._followers.append(asker)
        self._deploying = asyncio.create_task(execute(run))
        try:
            receipt = await asyncio.shield(self._deploying)
        finally:
            self._followers.remove(asker)
            self._run = self._deploying = None
        if not run.at_rest:
            self._settling = asyncio.create_task(until_done(lambda: self._settled(receipt)))
        return receipt

    @contextlib.asynccontextmanager
    async def _my_turn(self, asker: Asker) -> Any:
        if self._turn.locked() and not asker.args.get("wait") and not self._recovering:
            raise self._locked()
        asker.queued = asyncio.current_task()
        try:
            await self._turn.acquire()
        except asyncio.CancelledError:
            raise Interrupted(
                "interrupted",
                "Interrupted before its turn came; nothing was touched.",
                evidence="it waited for another command",
                hint="that one goes on: `segue status` says how far it is",
            ) from None
        finally:
            asker.queued = None
        try:
            self._refuse_when_leaving()
            yield
        finally:
            self._turn.release()

    def _refuse_when_leaving(self) -> None:
        if self._leaving:
            raise Refused(
                "leaving",
                "The keeper leaves.",
                evidence=f"pid {os.getpid()} was told to stop, or to hand over to another",
                hint="ask that one, if it was replaced; else start `segue up` again",
            )

    def _prepare(self, asker: Asker) -> Run:
        config = load_config(self.home.project, self.overrides)
        run = prepare(self.site, config, self._wish(config, asker))
        if replace(config.bind, port=config.bind.port or self.address.port) != self.address:
            run.notes.append(
                f"bind is {config.bind} now: that needs a new `segue up`; this one stays on {self.address}"
            )
        return run

    def _wish(self, config: AppConfig, asker: Asker) -> Wish:
        wish = Wish(asker.verb, asker.by, asker.args.get("to"), asker.args.get("strategy"))
        if asker.verb not in ("up", "deploy"):
            return wish
        path, rev = asker.args.get("path"), asker.args.get("rev")
        source, module, contract = look_up(self.home.project, config, path, rev)
        allowed = bool(asker.args.get("allow_contract"))
        return replace(wish, source=source, module=module, contract=contract, allow_contract=allowed)

    def _locked(self) -> Refused:
        if self._run is None:
            return Refused("locked", "Another command is under way.", hint=LOCK_HINT)
        plan, steps = self._run.plan, self._run.steps
        done = (
            f"its last step, {steps[-1]['name']}, is {steps[-1]['status']}" if steps else "it has just begun"
        )
        return Refused(
            "locked",
            f"The {plan.verb} of {plan.generation} is under way.",
            evidence=f"asked for by {self._run.by or 'segue up'}; {done}",
            hint=LOCK_HINT,
        )

    def _cancel(self, asker: Asker) -> None:
        if asker.queued is not None:
            asker.queued.cancel()
            asker.queued = None
        elif asker in self._followers:
            self._cancel_deploy()

    def _cancel_deploy(self) -> None:
        """Ask for the deploy, or the scaling, to be taken back; what comes to rest already is not."""
        if self._scaling is not None:
            self._scaling.cancel()
            self._scaling = None
        if self._run is not None and self._deploying is not None and self._run.can_be_cancelled:
            self._run.can_be_cancelled = False
            self._deploying.cancel()

    def _say(self, event: Event) -> None:
        event = self.site.secrets().hide_in_event(event)
        try:
            append_event(self.home.events, event)
        except OSError as error:
            # the log is for people; a full disk must not stop what keeps the site up
            self._show({"event": "note", "text": f"{self.home.events} can't be written: {error.strerror}"})
        for follower in self._followers:
            follower.tell(event)
        if event.get("name") == "commit" and event.get("status") == "done":
            self._supervisor.changed.set()
        if event.get("event") == "end" or event.get("name") == "switch":
            self.listener.listen(BACKLOG)
        self._show(event)

    def _show(self, event: Event) -> None:
        # a terminal that is gone must not stop what keeps the site up
        with contextlib.suppress(OSError):
            self.print_event(event)


def _code_of_stop(record: Record) -> int:
    """What a keeper that is told to stop ends with: it was interrupted where nothing is live yet."""
    return 0 if record.live or record.phase is Phase.REST else Interrupted.exit_code


def _on_signal(number: int, callback: Callable[[], None]) -> None:
    asyncio.get_running_loop().add_signal_handler(number, callback)
