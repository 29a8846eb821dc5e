"""The cost of a server and its limits, measured from outside. No floor imports this package.

`run` measures servers side by side in the `workloads`; `peers` are the servers, `record` holds the
results, `goals` says what they should be, `records` is the folder of committed results.

`server_process` runs a server in a process of its own and asks it for its memory and tasks;
`scenarios` are four loads with limits to keep, `fleet_load` is one of two nodes, `load` loads any
server, `crowd` opens idle connections; `report` holds the results.

A public name loads its module on first use: a server under test is started through this package,
and should hold no more than it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refimpl.bench.fleet_load import fleet
    from refimpl.bench.goals import goals_report
    from refimpl.bench.load import Outcome, closed_loop, open_loop
    from refimpl.bench.record import Record, Sample
    from refimpl.bench.report import Report, Row
    from refimpl.bench.run import bench
    from refimpl.bench.scenarios import churn, idle, room, slow_reader

__all__ = [
    "Outcome",
    "Record",
    "Report",
    "Row",
    "Sample",
    "bench",
    "churn",
    "closed_loop",
    "fleet",
    "goals_report",
    "idle",
    "open_loop",
    "room",
    "slow_reader",
]

_HOMES = {
    "fleet": "fleet_load",
    "goals_report": "goals",
    "Outcome": "load",
    "closed_loop": "load",
    "open_loop": "load",
    "Record": "record",
    "Sample": "record",
    "Report": "report",
    "Row": "report",
    "bench": "run",
    "churn": "scenarios",
    "idle": "scenarios",
    "room": "scenarios",
    "slow_reader": "scenarios",
}


def __getattr__(name: str) -> object:
    """Return a public name, loading its module the first time (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'refimpl.bench' has no attribute {name!r}")
    value = getattr(import_module(f"refimpl.bench.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
