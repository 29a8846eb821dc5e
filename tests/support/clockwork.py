"""An event loop whose clock jumps: time passes only when nothing else is left to do.

A test that waits ten seconds for a deadline takes no time and always sees the same order of things.
`@virtual_time` runs an async test on such a loop; there is no network on it, only memory.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class JumpingSelector(selectors.SelectSelector):
    """A selector that never sleeps: where the loop would wait, its clock moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: every task waits, and no timer is set")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a `JumpingSelector`'s clock."""

    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a loop whose clock jumps.

    It fails where it leaves a task or a timer behind, and where a callback of the loop raised.
    """

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        errors: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: errors.append(context))
            await test(*args, **kwargs)
            await settle()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, f"tasks left behind: {others}"
            assert not timers(), f"timers left behind: {timers()}"
            assert not errors, f"errors in callbacks: {errors}"

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(main())

    return run


def timers() -> list[asyncio.TimerHandle]:
    """Return the timers of the running loop that are still to fire."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer for timer in scheduled if not timer.cancelled()]


async def settle() -> None:
    """Return when nothing is left to do but wait: a moment passes only then."""
    await asyncio.sleep(1e-6)
