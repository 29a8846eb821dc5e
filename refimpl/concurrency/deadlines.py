"""One deadline for a whole operation, however many calls and tasks it takes.

Time limits that are passed from call to call add up: three calls with 5 s each are 15 s. A deadline
is a point in time. It is set once, and every call below sees it, in child tasks too. A call that
asks for more time than is left gets what is left.

>>> async def main():
...     async with deadline(60):
...         async with deadline(3600):
...             return remaining() <= 60
>>> asyncio.run(main())
True
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

__all__ = ["deadline", "remaining"]

# One for each block that has one. A block takes its own away, whichever of them ends first.
_deadline: ContextVar[tuple[float, ...]] = ContextVar("deadline", default=())


@asynccontextmanager
async def deadline(seconds: float | None) -> AsyncIterator[None]:
    """Cancel what the block does and raise TimeoutError, in seconds or at the outer deadline.

    None adds no limit of its own. Child tasks made inside a TaskGroup of the block end with it.
    """
    own = () if seconds is None else (asyncio.get_running_loop().time() + seconds,)
    every = (*_deadline.get(), *own)
    _deadline.set(every)
    try:
        async with asyncio.timeout_at(min(every, default=None)):
            yield
    finally:
        left = list(_deadline.get())
        for when in own:
            if when in left:  # not where another task ends the block, in a context of its own
                left.remove(when)
        _deadline.set(tuple(left))


def remaining() -> float | None:
    """Return the seconds left until the first deadline to come, at least 0; None without one."""
    every = _deadline.get()
    return max(0.0, min(every) - asyncio.get_running_loop().time()) if every else None
