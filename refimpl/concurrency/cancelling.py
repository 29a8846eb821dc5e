"""Cancelling a task from outside, and taking the request back when it has done its work.

`Task.cancel` is counted. Whoever asks for it and then swallows the CancelledError has to call
`uncancel` as often; else the task counts as cancelled for as long as it lives, and a TaskGroup or a
time limit in it can no longer tell its own cancellation from this one.

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
    """What one caller has asked of one task. `asked`: how often, and not taken back."""

    __slots__ = ("asked", "task")

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.task = task
        self.asked = 0

    def ask(self) -> None:
        """Cancel the task; once more where it swallowed the one before."""
        self.asked += 1
        self.task.cancel()

    def take_back(self) -> bool:
        """Take back what was asked; return whether it was, and nobody else asks for it too.

        The task itself calls it: when it has caught the CancelledError, or ends without one.
        """
        asked, self.asked = self.asked, 0
        for _ in range(asked):
            self.task.uncancel()
        return asked > 0 and self.task.cancelling() == 0
