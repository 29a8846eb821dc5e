"""What a server costs and where it breaks: loads that must hold, measured from outside.

`stand` runs a server in a process of its own and asks it what it holds; `loads` are the four loads;
`report` is what came out.

`bench` measures servers side by side, `peers` are the servers. `traffic` loads any server and
`histogram` keeps its latencies.

`cpu` samples a running loop, `heap` and `allocs` look at memory, `taskdump` at tasks; `stacks` is
what a profile is, `flame` draws it, and `debug` serves all of them over HTTP.

The public names load what they need when first asked for: a server under test is started through
this package, and should hold no more than it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refimpl.profiling.allocs import AllocationRecorder
    from refimpl.profiling.bench_goals import goals_report
    from refimpl.profiling.bench_record import Record, Sample
    from refimpl.profiling.bench_run import bench
    from refimpl.profiling.cpu import BusyProfiler, MissingProfiler, sample_cpu
    from refimpl.profiling.debug import DebugServer, serve_debug
    from refimpl.profiling.documents import Finding
    from refimpl.profiling.flame import flame_graph, hot_path
    from refimpl.profiling.heap import HeapWatch
    from refimpl.profiling.histogram import Histogram
    from refimpl.profiling.loads import churn, idle, room, slow_reader
    from refimpl.profiling.report import Report, Row
    from refimpl.profiling.stacks import Call, Profile, hottest_table
    from refimpl.profiling.taskdump import dump_tasks, grouped
    from refimpl.profiling.traffic import Outcome, closed_loop, open_loop

__all__ = [
    "AllocationRecorder",
    "BusyProfiler",
    "Call",
    "DebugServer",
    "Finding",
    "HeapWatch",
    "Histogram",
    "MissingProfiler",
    "Outcome",
    "Profile",
    "Record",
    "Report",
    "Row",
    "Sample",
    "bench",
    "churn",
    "closed_loop",
    "dump_tasks",
    "flame_graph",
    "goals_report",
    "grouped",
    "hot_path",
    "hottest_table",
    "idle",
    "open_loop",
    "room",
    "sample_cpu",
    "serve_debug",
    "slow_reader",
]

_HOMES = {
    "AllocationRecorder": "allocs",
    "goals_report": "bench_goals",
    "Record": "bench_record",
    "Sample": "bench_record",
    "bench": "bench_run",
    "BusyProfiler": "cpu",
    "MissingProfiler": "cpu",
    "sample_cpu": "cpu",
    "DebugServer": "debug",
    "serve_debug": "debug",
    "Finding": "documents",
    "flame_graph": "flame",
    "hot_path": "flame",
    "HeapWatch": "heap",
    "Histogram": "histogram",
    "churn": "loads",
    "idle": "loads",
    "room": "loads",
    "slow_reader": "loads",
    "Report": "report",
    "Row": "report",
    "Call": "stacks",
    "Profile": "stacks",
    "hottest_table": "stacks",
    "dump_tasks": "taskdump",
    "grouped": "taskdump",
    "Outcome": "traffic",
    "closed_loop": "traffic",
    "open_loop": "traffic",
}


def __getattr__(name: str) -> object:
    """Return a public name, loading its module the first time (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'refimpl.profiling' has no attribute {name!r}")
    value = getattr(import_module(f"refimpl.profiling.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
