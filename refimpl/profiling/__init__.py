"""What a server costs and where it breaks: loads that must hold, measured from outside.

`stand` runs a server in a process of its own and asks it what it holds; `loads` are the four loads;
`report` is what came out.

`bench` measures servers side by side, `peers` are the servers.

`cpu` samples a running loop, `stacks` is what a profile is, `flame` draws it.
"""

from refimpl.profiling.bench import bench
from refimpl.profiling.bench_goals import goals_report
from refimpl.profiling.bench_record import Record, Sample
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
    "Record",
    "Report",
    "Row",
    "Sample",
    "bench",
    "churn",
    "flame_graph",
    "goals_report",
    "hot_path",
    "hottest_table",
    "idle",
    "room",
    "sample_cpu",
    "slow_reader",
]
