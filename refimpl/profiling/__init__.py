"""What a server costs and where it breaks: loads that must hold, measured from outside.

`stand` runs a server in a process of its own and asks it what it holds; `loads` are the four loads;
`report` is what came out.

`cpu` samples a running loop, `stacks` is what a profile is, `flame` draws it.
"""

from refimpl.profiling.cpu import BusyProfiler, MissingProfiler, sample_cpu
from refimpl.profiling.flame import flame_graph, hot_path
from refimpl.profiling.loads import churn, idle, room, slow_reader
from refimpl.profiling.report import Report, Row
from refimpl.profiling.stacks import Call, Profile, hottest_table

__all__ = [
    "BusyProfiler",
    "Call",
    "MissingProfiler",
    "Profile",
    "Report",
    "Row",
    "churn",
    "flame_graph",
    "hot_path",
    "hottest_table",
    "idle",
    "room",
    "sample_cpu",
    "slow_reader",
]
