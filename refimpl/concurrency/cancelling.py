"""Cancelling a task from outside, and withdrawing the request once it has done its work.

A task counts the calls of `cancel`. Code that swallows the CancelledError has to call `uncancel` as
often. Otherwise the task counts as cancelled for the rest of its life, and a TaskGroup or a time
limit in it can no longer tell its own cancellation from this one.

>>> async def main():
...     task = asyncio.create_task(asyncio.sleep(3600))
...     ours = Cancellation(task)
...     ours.ask()
...     ours.ask()
...     return task.cancelling(), ours.take_back(), task.cancelling()
>>> asyncio.run(main())
(2, True, 0)
"""

import asyncio
from typing import Any

__all__ = ["Cancellation"]


class Cancellation:
    """One caller's requests to cancel one task. `asked`: how many are not withdrawn."""

    __slots__ = ("asked", "task")

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.task = task
        self.asked = 0

    def ask(self) -> None:
        """Cancel the task; again if it swallowed the request before."""
        self.asked += 1
        self.task.cancel()

    def take_back(self) -> bool:
        """Withdraw the requests; return whether there were any, and none by anybody else.

        The task itself calls this, when it has caught the CancelledError or ends without one.
        """
        asked, self.asked = self.asked, 0
        for _ in range(asked):
            self.task.uncancel()
        return asked > 0 and self.task.cancelling() == 0
