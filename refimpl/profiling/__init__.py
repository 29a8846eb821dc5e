"""Profiles of a live process: its CPU time, its memory, its tasks and its delays.

`cpu` samples a running loop, `heap` and `allocs` look at memory, `taskdump` at tasks; `stacks` is
what a profile is, `flame` draws it, and `debug` serves all of them over HTTP. `histogram` keeps
latencies, `lag` measures how late the loop is.

`refimpl.bench` measures from outside: what a server costs compared with its peers, and under load.

A public name loads its module on first use, so that a profiled server holds no more than it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refimpl.profiling.allocs import AllocationRecorder
    from refimpl.profiling.cpu import BusyProfiler, MissingProfiler, sample_cpu
    from refimpl.profiling.debug import DebugServer, serve_debug
    from refimpl.profiling.flame import flame_graph, hot_path
    from refimpl.profiling.heap import HeapWatch
    from refimpl.profiling.histogram import Histogram
    from refimpl.profiling.render import Finding
    from refimpl.profiling.stacks import Call, Profile, hottest_table
    from refimpl.profiling.taskdump import dump_tasks, grouped

__all__ = [
    "AllocationRecorder",
    "BusyProfiler",
    "Call",
    "DebugServer",
    "Finding",
    "HeapWatch",
    "Histogram",
    "MissingProfiler",
    "Profile",
    "dump_tasks",
    "flame_graph",
    "grouped",
    "hot_path",
    "hottest_table",
    "sample_cpu",
    "serve_debug",
]

_HOMES = {
    "AllocationRecorder": "allocs",
    "BusyProfiler": "cpu",
    "MissingProfiler": "cpu",
    "sample_cpu": "cpu",
    "DebugServer": "debug",
    "serve_debug": "debug",
    "Finding": "render",
    "flame_graph": "flame",
    "hot_path": "flame",
    "HeapWatch": "heap",
    "Histogram": "histogram",
    "Call": "stacks",
    "Profile": "stacks",
    "hottest_table": "stacks",
    "dump_tasks": "taskdump",
    "grouped": "taskdump",
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
