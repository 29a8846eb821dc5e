"""CPU time, measured so that a busy machine does not turn a test red."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable


def quickest(action: Callable[[], object], times: int = 5) -> float:
    """Return the CPU seconds of the quickest of several runs: other load only ever adds.

    The garbage collector rests: its cost grows with what all tests of the process have left behind.
    """
    spent = []
    for _ in range(times):
        gc.disable()
        try:
            began = time.process_time()
            action()
            spent.append(time.process_time() - began)
        finally:
            gc.enable()
    return min(spent)


def assert_linear(
    prepare: Callable[[int], Callable[[], object]], size: int, *, times: int = 4
) -> None:
    """Fail where `times` times the input costs more than twice as many times the CPU.

    prepare: given a size, returns what is measured. A quadratic cost would be `times` squared; the
    best of three tries counts, and each is the quickest of three runs.
    """
    for _ in range(3):
        small, large = (quickest(prepare(size * factor), 3) for factor in (1, times))
        if large < 2 * times * small:
            return
    raise AssertionError(f"{times} times the input took {large / small:.1f} times as long")


def is_traced() -> bool:
    """Whether a tracer slows Python down, so that limits on time mean nothing: coverage, mostly."""
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12 and later
    tools = monitoring and any(monitoring.get_tool(number) for number in range(6))
    return bool(tools) or sys.gettrace() is not None
