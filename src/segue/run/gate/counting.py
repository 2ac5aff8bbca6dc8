"""What each worker has served, in memory that other processes read, and the account of workers that ended."""

from __future__ import annotations

import array
import contextlib
import itertools
import mmap
import os
import threading
import time

from . import files

SERVER_ERROR = 500

# One slot of 64-bit cells per thread, so that no two threads ever write the same cell.
STARTED, FINISHED, ERRORS, GOODBYE, DRAINED, LATENCY = range(6)
BUCKETS = 32
CELLS = LATENCY + BUCKETS


class Counters:
    """What one worker has served; other processes read it while it counts."""

    def __init__(self, path: str, slots: int) -> None:
        self.cells = memoryview(_shared_memory(path, 8 * CELLS * slots)).cast("Q")
        self._next_slot = itertools.count()
        self._last_slot = slots - 1
        self._thread = threading.local()

    def _slot(self) -> int:
        try:
            slot: int = self._thread.slot
        except AttributeError:
            slot = self._thread.slot = CELLS * min(next(self._next_slot), self._last_slot)
        return slot

    def begin(self) -> int:
        """A request has reached the app; the time, for its end."""
        self.cells[self._slot() + STARTED] += 1
        return time.perf_counter_ns()

    def end(self, since: int | None, *, failed: bool) -> None:
        """The app is done with a request that began at `since`; None where its length says nothing."""
        slot = self._slot()
        self.cells[slot + FINISHED] += 1
        if since is not None:
            bits = ((time.perf_counter_ns() - since) // 1000).bit_length()
            self.cells[slot + LATENCY + (bits if bits < BUCKETS else BUCKETS - 1)] += 1
        if failed:
            self.cells[slot + ERRORS] += 1

    def drained(self) -> None:
        """A stream or a WebSocket was closed in order, because this worker leaves."""
        self.cells[self._slot() + DRAINED] += 1

    def goodbye(self) -> None:
        """This worker leaves in order: what it held, it finished."""
        self.cells[GOODBYE] = 1


def counters(threads: int) -> Counters:
    """This worker's own counters, for as many `threads`."""
    return Counters(files.path(f"counters.{os.getpid()}"), threads + 1)


def _shared_memory(path: str, size: int) -> mmap.mmap:
    """Memory that other processes can read; where the disk is full, memory that nobody reads.

    The room is taken at once: a page that can't be had later would kill the worker with SIGBUS.
    """
    with contextlib.suppress(OSError), open(path, "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return mmap.mmap(file.fileno(), size)
    # an empty one would say that this worker crashed
    with contextlib.suppress(OSError):
        os.unlink(path)
    return mmap.mmap(-1, size)


def totals(path: str) -> list[int]:
    """The sums over all slots of the counters in `path`: one list of `CELLS` numbers."""
    with open(path, "rb") as file:
        content = file.read()
    # the app can write there too, and what is left of a cut file is counted
    cells = array.array("Q", content[: len(content) // 8 * 8])
    return [sum(cells[cell::CELLS]) for cell in range(CELLS)]


def account_for(pid: int | None, *, aborted: bool = False) -> None:
    """In the master, after the end of worker `pid`: add up what it served, and tell what it held.

    Args:
        pid: the worker.
        aborted: whether its server ended it because it hung: whatever it said, that was no goodbye.
    """
    # a full disk may cost the account, never the master
    with contextlib.suppress(OSError):
        _account(pid, aborted=aborted)


def _account(pid: int | None, *, aborted: bool) -> None:
    path = files.path(f"counters.{pid}")
    sums = totals(path)
    if aborted or not sums[GOODBYE]:
        files.write(f"crashed.{pid}", {"held": sums[STARTED] - sums[FINISHED], "at": time.time()})
    _fold(path, sums)
    os.unlink(files.path(f"ready.{pid}"))


def _fold(path: str, sums: list[int]) -> None:
    """Add the counters of an ended worker to those of all that ended before it."""
    ended = files.path("counters.ended")
    if os.path.exists(ended):
        sums = [one + other for one, other in zip(sums, totals(ended), strict=True)]
    with open(ended + ".new", "wb") as file:
        array.array("Q", [number % 2**64 for number in sums]).tofile(file)
    os.rename(ended + ".new", ended)
    os.unlink(path)
