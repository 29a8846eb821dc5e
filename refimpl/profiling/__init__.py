"""What a server costs and where it breaks: loads that must hold, measured from outside.

`stand` runs a server in a process of its own and asks it what it holds; `loads` are the four loads;
`report` is what came out.
"""

from refimpl.profiling.loads import churn, idle, room, slow_reader
from refimpl.profiling.report import Report, Row

__all__ = ["Report", "Row", "churn", "idle", "room", "slow_reader"]
