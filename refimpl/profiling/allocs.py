"""Allocation profiles: all that is allocated while a server runs, even what is freed at once.

A heap profile shows what stayed. An allocation profile also shows what came and went: a buffer made
and dropped for each message holds no memory, but costs time. tracemalloc forgets a freed block, so
this takes memray, which records each allocation with its stack in a file.

>>> recorder = AllocationRecorder()
>>> recorder.start()
>>> for _ in range(100):
...     dropped = bytearray(100_000)
>>> recorder.stop()
>>> finding = recorder.finding()
>>> finding.profile.total > 10_000_000
True

The loop of an echo server (7 us a message) took two to three times the CPU while memray traced
every object. Reading the file costs more, 1 us an allocation, so another process does that, and a
recording ends early when its file has grown to MAX_RECORD. memray does not run on Windows.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from refimpl.profiling.cpu import BusyProfiler, MissingProfiler, above_the_loop
from refimpl.profiling.render import Finding
from refimpl.profiling.stacks import Call, Profile, hottest_table, place

if TYPE_CHECKING:
    from memray import AllocationRecord, Tracker

__all__ = ["MAX_RECORD", "AllocationRecorder", "main"]

MAX_RECORD = 32 * 1024 * 1024
"""Bytes at which a recording ends; a busy server writes 10 MiB a second."""

DEEPEST = 48  # calls kept of a stack
NAMES = ("allocs", "debug", "debug_request", "profiles")
OURS = tuple(f"refimpl/profiling/{name}.py" for name in NAMES)
READ = "import sys; from refimpl.profiling.allocs import main; main(sys.argv[1])"
READ_LIMIT = 120.0  # seconds for the process that reads a recording


class AllocationRecorder:
    """Records the allocations of this process between `start` and `stop`.

    Call both in the thread to be profiled, since memray follows the calls of the thread that starts
    it. Call `finding` in another one: it waits for the process that reads the recording.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tracker: Tracker | None = None
        self._reader: subprocess.Popen[bytes] | None = None
        self._started = self._ended = 0.0

    @property
    def _file(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "allocations.bin"

    @property
    def size(self) -> int:
        """The bytes recorded so far."""
        return self._file.stat().st_size

    def start(self) -> None:
        """Begin to record.

        Raises MissingProfiler if memray is not installed, BusyProfiler if it is recording already.
        """
        if find_spec("memray") is None:
            where = "" if sys.platform != "win32" else ", which does not run on Windows"
            raise MissingProfiler(f"allocation profiles need memray{where}: pip install memray")
        from memray import FileDestination, Tracker

        self._folder = tempfile.TemporaryDirectory(prefix="refimpl-allocs-")
        destination = FileDestination(self._file, compress_on_exit=False)
        tracker = Tracker(destination=destination, trace_python_allocators=True)
        try:
            tracker.__enter__()
        except RuntimeError as error:
            self.discard()
            raise BusyProfiler(f"memray cannot start: {error}") from error
        self._tracker, self._started = tracker, monotonic()

    def stop(self) -> None:
        """End the recording; further calls do nothing."""
        if self._tracker is not None:
            self._tracker.__exit__(None, None, None)
            self._tracker, self._ended = None, monotonic()

    def discard(self) -> None:
        """Delete the recording, and end the process that is reading it, if any."""
        if self._reader is not None and self._reader.poll() is None:
            self._reader.kill()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def finding(self) -> Finding:
        """Return what was allocated, by stack, and delete the recording.

        Raises TimeoutError if it cannot be read in READ_LIMIT seconds, ConnectionAbortedError if
        `discard` was called meanwhile.
        """
        command = [sys.executable, "-c", READ, str(self._file)]
        self._reader = subprocess.Popen(command, stdout=subprocess.PIPE)
        with self._reader:
            try:
                rows, _ = self._reader.communicate(timeout=READ_LIMIT)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError("the recording is too large: ask for fewer seconds") from error
            finally:
                self.discard()
        if self._reader.returncode:
            raise ConnectionAbortedError("the recording was not read to its end")
        return _finding(json.loads(rows), self._ended - self._started)


def _finding(rows: Iterable[tuple[list[tuple[str, str, int]], int, int]], took: float) -> Finding:
    """Return rows of (stack, bytes, allocations) as a finding, without the profiler's own calls."""
    sizes: Counter[tuple[Call, ...]] = Counter()
    counts: Counter[tuple[Call, ...]] = Counter()
    for frames, size, count in rows:
        calls = [_call(*frame, inner=not depth) for depth, frame in enumerate(frames)]
        if not any(call.file in OURS for call in calls):
            stack = above_the_loop(calls[::-1])
            sizes[stack] += size
            counts[stack] += count
    profile = Profile([(stack, float(size)) for stack, size in sizes.items()], "bytes", took)
    numbers = Profile([(stack, float(each)) for stack, each in counts.items()], "allocations")
    text = "\n".join(
        [
            f"{counts.total():,} allocations in {took:.3g} s",
            hottest_table(profile, 15),
            "",
            "by number of allocations:",
            hottest_table(numbers, 15),
        ]
    )
    return Finding("allocs", f"Allocations in {took:.3g} s, freed ones too", profile, text)


def _call(function: str, file: str, line: int, inner: bool) -> Call:
    """Return a call; only the innermost keeps its line, so that a function is one box."""
    short, origin = place(file)
    return Call(function, short, line if inner else 0, origin)


def main(file: str) -> None:
    """Print a recording as JSON: rows of (stack from the inside out, bytes, allocations).

    Runs in a process of its own. The freed blocks are those that memray calls temporary, however
    late they were freed; the others are still held.
    """
    from memray import FileReader

    reader = FileReader(file)
    freed = reader.get_temporary_allocation_records(merge_threads=True, threshold=sys.maxsize)
    rows = [*_rows(freed), *_rows(reader.get_leaked_allocation_records(merge_threads=True))]
    json.dump(rows, sys.stdout)


def _rows(
    records: "Iterable[AllocationRecord]",
) -> Iterable[tuple[list[tuple[str, str, int]], int, int]]:
    for record in records:
        yield list(record.stack_trace(max_stacks=DEEPEST)), record.size, record.n_allocations
