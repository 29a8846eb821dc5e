"""One deadline for a whole operation, however many calls and tasks it is made of.

Time limits that are handed down call by call add up: three calls with 5 s each are 15 s. A deadline
is a point in time. It is set once, every call below sees it, in child tasks too, and a call that
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

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@asynccontextmanager
async def deadline(seconds: float | None) -> AsyncIterator[None]:
    """Cancel what the block does and raise TimeoutError, in seconds or at the outer deadline.

    None adds no limit of its own. Child tasks made inside a TaskGroup of the block end with it.
    """
    outer = _deadline.get()
    own = None if seconds is None else asyncio.get_running_loop().time() + seconds
    when = min((each for each in (outer, own) if each is not None), default=None)
    token = _deadline.set(when)
    try:
        async with asyncio.timeout_at(when):
            yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Return the seconds left until the innermost deadline, at least 0; None without one."""
    when = _deadline.get()
    return None if when is None else max(0.0, when - asyncio.get_running_loop().time())
