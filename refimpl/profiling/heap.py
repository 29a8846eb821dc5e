"""Heap profiles: what holds memory, line by line, and what grew between two snapshots.

>>> watch = HeapWatch()
>>> watch.start()
>>> kept = [bytearray(1000) for _ in range(100)]
>>> finding = watch.difference()
>>> watch.stop()
>>> 100_000 < finding.profile.total < 200_000
True

The profiler is tracemalloc, of the standard library: it knows the line of every block that was
allocated since it was started and still lives. It does not see older blocks, so the question it
answers best is "what came since?", which is the one that finds a leak. Its cost for an echo server
of 7 us a message: 2.7 times the CPU while it is on, and a pause of the whole process, 0.3 s for a
million blocks, when a snapshot is taken.

For older objects, `census` counts what the garbage collector knows, by type, with no tracing: 0.1
us an object, in slices between which the loop runs, and one pause of 30 ms for a million objects.
It does not see bytes and str, only the objects that hold them.
"""

import gc
import os
import sys
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from refimpl.profiling.render import Finding
from refimpl.profiling.stacks import Call, Profile, Sample, measured, place

__all__ = ["Heap", "HeapWatch", "census", "rss"]

LINES = 25  # of each table
OURS = ("refimpl/profiling/", "tracemalloc.py")
BATCH = 10_000  # objects counted before other threads are let in


@dataclass(frozen=True, slots=True)
class Heap:
    """One snapshot. lines: (bytes, blocks) by file and line; types: objects by type."""

    lines: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    rss: int = 0
    taken: float = 0.0


class HeapWatch:
    """Two snapshots of the heap of this process, and the tracing between them.

    Any thread may call it, one at a time. A trace that is running already is used, and left
    running.
    """

    def __init__(self) -> None:
        self._base: Heap | None = None
        self._started = False

    @property
    def base_age(self) -> float | None:
        """Seconds since `start`; None where there is no base snapshot."""
        return None if self._base is None else monotonic() - self._base.taken

    def start(self) -> None:
        """Begin to trace, and take the base snapshot."""
        if not tracemalloc.is_tracing():
            tracemalloc.start(1)
            self._started = True
        self._base = measure_heap()

    def stop(self) -> None:
        """Drop the base snapshot, and end the tracing if `start` began it."""
        if self._started:
            tracemalloc.stop()
        self._base, self._started = None, False

    def difference(self) -> Finding:
        """Return what is alive now and was not at the base snapshot; ValueError without one."""
        if self._base is None:
            raise ValueError("there is no base snapshot to compare with")
        base, now = self._base, measure_heap()
        grown = {
            line: (size - base.lines.get(line, (0, 0))[0], count - base.lines.get(line, (0, 0))[1])
            for line, (size, count) in now.lines.items()
        }
        for line, (size, count) in base.lines.items():
            grown.setdefault(line, (-size, -count))
        types = Counter(now.types)
        types.subtract(base.types)
        seconds = now.taken - base.taken
        text = "\n".join(
            [
                f"RSS {measured(now.rss, 'bytes')}, {_signed(now.rss - base.rss)} "
                f"in {seconds:.3g} s",
                *_line_table(grown, "allocated since, and still held:", signed=True),
                *_type_table(types, "objects more than before:", signed=True),
            ]
        )
        profile = Profile(_samples(grown), "bytes", seconds)
        return Finding("heap", f"Heap: what {seconds:.3g} s added", profile, text)

    def snapshot(self) -> Finding:
        """Return what is alive now: by type, and by line if a trace runs."""
        now = measure_heap()
        lines = [f"RSS {measured(now.rss, 'bytes')}"]
        if tracemalloc.is_tracing():
            lines += _line_table(now.lines, "held, of what was allocated since tracing began:")
        else:
            lines += ["No trace runs, so there are no lines; ask with base=1 to begin one."]
        lines += _type_table(now.types, "objects, by type:")
        return Finding("heap", "Heap", Profile(_samples(now.lines), "bytes"), "\n".join(lines))


def measure_heap() -> Heap:
    """Return the heap as it is now; without lines if no trace runs."""
    lines: dict[tuple[str, int], tuple[int, int]] = {}
    if tracemalloc.is_tracing():
        for statistic in tracemalloc.take_snapshot().statistics("lineno"):
            frame = statistic.traceback[0]
            file = place(frame.filename)[0]
            if not file.startswith(OURS):
                lines[frame.filename, frame.lineno] = statistic.size, statistic.count
    return Heap(lines, census(), rss(), monotonic())


def census() -> Counter[str]:
    """Return how many objects of each type the garbage collector knows."""
    found: Counter[str] = Counter()
    objects = gc.get_objects()
    for start in range(0, len(objects), BATCH):  # by type first: its name costs ten times as much
        kinds = Counter(map(type, objects[start : start + BATCH]))
        for kind, count in kinds.items():
            found[f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")] += count
    return found


def rss() -> int:
    """Return the memory of this process that is in RAM, in bytes; 0 where it is unknown.

    Outside Linux it is the highest value so far, which is all that POSIX tells.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _samples(lines: dict[tuple[str, int], tuple[int, int]]) -> list[Sample]:
    """Return lines as stacks of two calls, file and line; lines that shrank are left out."""
    samples: list[Sample] = []
    for (path, number), (size, _) in lines.items():
        file, origin = place(path)
        if size > 0:
            stack = Call(file, file, 0, origin), Call(f"line {number}", file, number, origin)
            samples.append((stack, float(size)))
    return samples


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{measured(abs(size), 'bytes')}"


def _line_table(
    lines: dict[tuple[str, int], tuple[int, int]], title: str, signed: bool = False
) -> list[str]:
    """Return the lines with most bytes as a table, its title first."""
    top = sorted(lines.items(), key=lambda item: (-item[1][0], item[0]))[:LINES]
    rows = [
        f"{_signed(size) if signed else measured(size, 'bytes'):>12}{count:>10,}  "
        f"{place(path)[0]}:{number}"
        for (path, number), (size, count) in top
        if size > 0
    ]
    head = f"{'bytes':>12}{'blocks':>10}  line"
    return ["", title, head, *rows] if rows else ["", title, "  none"]


def _type_table(types: Counter[str], title: str, signed: bool = False) -> list[str]:
    """Return the most frequent types as a table, its title first."""
    rows = [
        f"{f'{count:+,}' if signed else f'{count:,}':>12}  {name}"
        for name, count in types.most_common(LINES)
        if count > 0
    ]
    return ["", title, *rows] if rows else ["", title, "  none"]
