"""What a probe has seen: counted while it runs, reported at any time."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from segue.proof.failures import EXHAUSTED
from segue.proof.percentile import percentile
from segue.proof.timeline import OK, Timeline

if TYPE_CHECKING:
    from segue.proof.connection import Answer

SPOILT_LAG_MS = 50
_MOST_SAMPLES = 20
_FIRST_FAILURE = 400
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the planned start to the last byte, of the requests that succeeded; None of none."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One failed request.

    Attributes:
        at_s: seconds from the probe's start to its end.
        kind: of the failure.
        detail: what was seen.
        shot: what was asked.
        idle_s: for how many seconds its connection, kept alive, had idled before; None of a new one,
            and where a full answer came.
    """

    at_s: float
    kind: str
    detail: str
    shot: str
    idle_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A probe's numbers.

    Attributes:
        url: what was asked.
        rate: requests per second.
        sent: requests whose outcome is known: `ok` and `failed` together.
        ok: full answers with a status below 400.
        failed: all others.
        in_flight: requests on their way; 0 in a last report.
        reused: requests that went over a connection that had carried one before.
        failures: kind -> count.
        statuses: status -> count of full answers.
        latency_ms: of the requests that succeeded.
        longest_gap_ms: the longest time without a success.
        releases: release -> count of full answers.
        generations: generation -> count of full answers.
        errors: generation -> count of full answers with a status of 500 or more.
        duration_s: how long requests were sent.
        lag_ms: how late the probe itself started a request at worst.
        samples: the first failures.
    """

    url: str
    rate: float
    sent: int
    ok: int
    failed: int
    in_flight: int
    reused: int
    failures: dict[str, int]
    statuses: dict[str, int]
    latency_ms: Latency
    longest_gap_ms: float
    releases: dict[str, int]
    generations: dict[str, int]
    errors: dict[str, int]
    duration_s: float
    lag_ms: float
    samples: tuple[Sample, ...]

    @property
    def is_spoilt(self) -> bool:
        """Whether the probe was too short of CPU, descriptors or ports for its numbers to be trusted."""
        return self.lag_ms > SPOILT_LAG_MS or EXHAUSTED in self.failures

    def as_dict(self) -> dict[str, Any]:
        """The ``traffic`` object of ``--json`` documents and receipts."""
        return {
            **asdict(self),
            "samples": [asdict(sample) for sample in self.samples],
            "spoilt": self.is_spoilt,
        }


class Tally:
    """Counts outcomes; every time is in seconds after the start.

    Attributes:
        timeline: the requests one by one; None where nobody wants them.
    """

    def __init__(self, url: str, rate: float, timeline: Timeline | None = None) -> None:
        self._url = url
        self._rate = rate
        self.timeline = timeline
        self._started = self._ok = self._failed = self._reused = 0
        self._lag = self._last_success = self._longest_gap = 0.0
        self._latencies: list[float] = []
        self._failures: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._releases: Counter[str] = Counter()
        self._generations: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._samples: list[Sample] = []

    def start(self, late: float) -> None:
        """A request starts, `late` seconds after it should have."""
        self._started += 1
        self._lag = max(self._lag, late)

    def reuse(self) -> None:
        """A request goes over a connection that has carried one before."""
        self._reused += 1

    def answer(self, answer: Answer, *, planned: float, now: float, shot: str) -> None:
        """A full answer came."""
        self._statuses[str(answer.status)] += 1
        if answer.release:
            self._releases[answer.release] += 1
        if answer.generation:
            self._generations[answer.generation] += 1
        if answer.generation and answer.status >= _FIRST_SERVER_ERROR:
            self._errors[answer.generation] += 1
        if answer.status < _FIRST_FAILURE:
            self._succeed(planned, now, answer.generation)
            return
        kind = f"status_{answer.status}"
        self.fail(kind, "a full answer", planned=planned, now=now, shot=shot, side=answer.generation)

    def _succeed(self, planned: float, now: float, side: str) -> None:
        if self.timeline is not None:
            self.timeline.add(planned, now, OK, side)
        self._ok += 1
        self._latencies.append((now - planned) * 1000)
        self._longest_gap = max(self._longest_gap, now - self._last_success)
        self._last_success = now

    def fail(
        self,
        kind: str,
        detail: str,
        *,
        planned: float,
        now: float,
        shot: str,
        side: str = "",
        idle: float | None = None,
    ) -> None:
        """A request failed; `side` is the generation that answered, where one did; `idle`: see `Sample`."""
        if self.timeline is not None:
            self.timeline.add(planned, now, kind, side)
        self._failed += 1
        self._failures[kind] += 1
        if len(self._samples) < _MOST_SAMPLES:
            idled = None if idle is None else round(idle, 3)
            self._samples.append(Sample(round(now, 3), kind, detail, shot, idled))

    def report(self, duration: float) -> Report:
        """The numbers after `duration` seconds of traffic."""
        self._latencies.sort()
        return Report(
            url=self._url,
            rate=self._rate,
            sent=self._ok + self._failed,
            ok=self._ok,
            failed=self._failed,
            in_flight=self._started - self._ok - self._failed,
            reused=self._reused,
            failures=dict(self._failures),
            statuses=dict(self._statuses),
            latency_ms=Latency(*(percentile(self._latencies, share) for share in (0.5, 0.95, 0.99, 1))),
            longest_gap_ms=round(max(self._longest_gap, duration - self._last_success) * 1000, 2),
            releases=dict(self._releases),
            generations=dict(self._generations),
            errors=dict(self._errors),
            duration_s=round(duration, 3),
            lag_ms=round(self._lag * 1000, 2),
            samples=tuple(self._samples),
        )
