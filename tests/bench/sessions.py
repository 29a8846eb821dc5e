"""What a message costs between two nodes: `python -m tests.bench.sessions [AT_ONCE] [ROOMS]`.

Two nodes in this process, each with its own connection to a Valkey of its own process. AT_ONCE
tasks publish 125 bytes each, again when the last one is acknowledged; both nodes deliver. Printed
is the CPU of this process for one message: published, numbered by the store, heard by both nodes,
made JSON by each, handed to one member at each. The median of five rounds of 10,000.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Collection

from refimpl.lab import valkey
from refimpl.sessions import Node, ValkeyStore

MESSAGES = 10_000
ROUNDS = 5


async def main(url: str, at_once: int, rooms: int) -> None:
    delivered, goal, all_delivered = 0, 0, asyncio.Event()

    def deliver(members: Collection[str], payload: str | bytes) -> None:
        nonlocal delivered
        delivered += len(members)
        if delivered == goal:
            all_delivered.set()

    settings = {"deliver": deliver, "close": lambda *_: None}
    async with (
        ValkeyStore(url, prefix="bench:") as first,
        ValkeyStore(url, prefix="bench:") as second,
        Node[str](first, "one", **settings) as one,
        Node[str](second, "two", **settings) as two,
    ):
        nodes = one, two
        for node in nodes:
            connection = await node.connect(node.name, f"member of {node.name}")
            for room in range(rooms):
                await node.join(connection, f"room-{room}")

        async def talk(task: int, round_: int) -> None:
            for number in range(MESSAGES // at_once):
                id = f"{round_}-{task}-{number}"
                await nodes[task % 2].publish(f"room-{task % rooms}", id, b"x" * 125)

        found = []
        for round_ in range(ROUNDS):
            goal = delivered + 2 * (MESSAGES // at_once) * at_once
            all_delivered.clear()
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*(talk(task, round_) for task in range(at_once)))
            await all_delivered.wait()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            found.append((cpu / MESSAGES * 1e6, MESSAGES / wall))
        cost, rate = (statistics.median(column) for column in zip(*found, strict=True))
        print(
            f"{at_once} at once, {rooms} rooms: {cost:.1f} us CPU a message, {rate:,.0f} a second"
        )


if __name__ == "__main__":
    with valkey() as url:
        given = dict(enumerate(map(int, sys.argv[1:])))
        asyncio.run(main(url, given.get(0, 200), given.get(1, 1)))
