"""CPU time, measured so that a busy machine does not turn a test red."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def quickest(action: Callable[[], object], times: int = 5) -> float:
    """Return the CPU seconds of the quickest of several runs: other load only ever adds."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        action()
        spent.append(time.process_time() - began)
    return min(spent)


def is_traced() -> bool:
    """Whether a tracer slows Python down, so that limits on time mean nothing: coverage, mostly."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later
    tools = monitoring and any(monitoring.get_tool(number) for number in range(6))
    return bool(tools) or sys.gettrace() is not None
