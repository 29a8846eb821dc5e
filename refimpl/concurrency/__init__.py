"""Many connections at once, and nothing left behind.

`tasks` reports which tasks still run and why, `deadlines` gives a whole operation one time limit,
`hub` sends to many without waiting for the slowest, `pool` shares what is costly to open.
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
