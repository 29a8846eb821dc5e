"""Many connections at once, and nothing left behind.

`tasks` tells who is still running and why, `deadlines` gives an operation one end, `hub` speaks to
a crowd without waiting for the slowest, `pool` shares what is costly to open.
"""

from refimpl.concurrency.deadlines import deadline, remaining
from refimpl.concurrency.hub import Hub, Slow
from refimpl.concurrency.pool import Pool, PoolClosed, PoolTimeout, Stats
from refimpl.concurrency.tasks import (
    LeakedTasks,
    TaskReport,
    leak_check,
    live_tasks,
    table,
    trace_tasks,
)

__all__ = [
    "Hub",
    "LeakedTasks",
    "Pool",
    "PoolClosed",
    "PoolTimeout",
    "Slow",
    "Stats",
    "TaskReport",
    "deadline",
    "leak_check",
    "live_tasks",
    "remaining",
    "table",
    "trace_tasks",
]
