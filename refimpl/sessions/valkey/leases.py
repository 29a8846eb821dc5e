"""The leases of nodes in Valkey: who lives, who does not, and who has to be cleared away.

A node holds one lease of its own; its connections live as long as it does. What it is going to
write anywhere is noted in its own slot first, which a life that was declared dead cannot do any
more. So whoever clears a life away finds all that it wrote.
"""

import asyncio

from refimpl.sessions.errors import StoreFull
from refimpl.sessions.records import Lease, check_node
from refimpl.sessions.store import Limits
from refimpl.sessions.valkey.answers import number_of, reading
from refimpl.sessions.valkey.calls import Calls
from refimpl.sessions.valkey.keys import held_key, ms, node_key
from refimpl.sessions.valkey.sweeping import clear_away

__all__ = ["Leases"]

MOST_NODES = 10_000  # whose lives are remembered for a moment


class Leases:
    """The lives of nodes, as one store's calls see them."""

    def __init__(self, calls: Calls, prefix: str, limits: Limits) -> None:
        self._calls, self._prefix, self._limits = calls, prefix, limits
        self._calls.listeners.append(self._forget_notes)
        self._noted: set[tuple[Lease, str]] = set()
        self._alive: dict[str, tuple[int, float]] = {}  # node: epoch, and until when that is taken

    async def begin(self, node: str, *, after: int = 0) -> Lease:
        """Start a life of a node."""
        key = node_key(self._prefix, check_node(node))
        answer = await self._calls.run("begin", [key], ms(self._limits.lease), str(after))
        with reading():
            lease = Lease(node, int(answer))
        await self._enlist(lease)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """Live on; False where the store had forgotten the node. Raises Fenced."""
        answer = await self._renew(lease)
        try:
            await self._enlist(lease)
        except StoreFull:
            pass  # it stands there already, or will when there is room; the lease itself is renewed
        return answer == b"OK"

    async def retire(self, lease: Lease) -> None:
        """End a life in good order."""
        key = node_key(self._prefix, lease.node)
        remember = ms(self._limits.remember_dead)
        await self._calls.run("retire", [key], str(lease.epoch), remember)

    async def sweep(self, *, every: float = 0.0) -> int:
        """Remove what dead nodes left behind; return how many were cleared away."""
        if every:
            turn = f"{self._prefix}{{nodes}}:turn"
            words = ("SET", turn, "1", "NX", "PX", ms(every))
            if await self._calls.command(*words) is None:
                return 0
        listed = await self._calls.command("SMEMBERS", self._nodes)
        with reading():
            names = [each.decode().split(" ") for each in listed]
            leases = [Lease(node, int(epoch)) for node, epoch in names]
        cleared = [await self._sweep_one(lease) for lease in leases]
        return sum(cleared)

    async def _sweep_one(self, lease: Lease) -> bool:
        """Clear a life away if it is over; return whether it was."""
        limits, key = self._limits, node_key(self._prefix, lease.node)
        times = (limits.lease, limits.renew, limits.remember_dead)
        found = await self._calls.run("examine", [key], str(lease.epoch), *map(ms, times))
        if found != b"DEAD":
            return False
        await clear_away(self._calls, self._prefix, limits, lease)
        await self._calls.command("SREM", self._nodes, f"{lease.node} {lease.epoch}")
        return True

    async def _renew(self, lease: Lease, *held: str) -> bytes:
        """Renew a lease, and note what the node is going to hold: field, value, ..."""
        keys = [node_key(self._prefix, lease.node), held_key(self._prefix, lease)]
        length = ms(self._limits.lease)
        answer = await self._calls.run("renew", keys, str(lease.epoch), length, *held)
        if answer == b"NEW":
            self._noted.clear()
        return bytes(answer)

    async def note(self, lease: Lease, field: str, value: str = "1") -> None:
        """Have it stand in the node's own slot before it stands anywhere else."""
        if (lease, field) in self._noted:
            return
        if await self._renew(lease, field, value) == b"NEW":
            self._calls.tell(True)
        self._noted.add((lease, field))

    def doubt(self, lease: Lease, field: str) -> None:
        """Note it again before it is written the next time."""
        self._noted.discard((lease, field))

    async def forget(self, lease: Lease, field: str) -> None:
        """It stands nowhere else any more."""
        self.doubt(lease, field)
        await self._calls.command("HDEL", held_key(self._prefix, lease), field)

    async def _enlist(self, lease: Lease) -> None:
        await self._calls.command("SADD", self._nodes, f"{lease.node} {lease.epoch}")

    def _forget_notes(self, within_reach: bool) -> None:
        """The store may be another one than before: nothing is taken to stand there."""
        self._noted.clear()
        self._alive.clear()

    async def living(self, nodes: set[str]) -> dict[str, int]:
        """Return the epoch that holds each node's lease now, asked a moment ago at most."""
        now = asyncio.get_running_loop().time()
        held = {node: self._alive.get(node, (0, 0.0)) for node in nodes}
        unknown = [node for node, (_, until) in held.items() if until <= now]
        if unknown:
            if len(self._alive) > MOST_NODES:
                self._alive.clear()
            until = now + self._limits.lease / 15
            epochs = await self._calls.all(self._epoch, unknown)
            found = {node: (epoch, until) for node, epoch in zip(unknown, epochs, strict=True)}
            self._alive.update(found)
            held.update(found)
        return {node: epoch for node, (epoch, _) in held.items()}

    async def _epoch(self, node: str) -> int:
        return number_of(await self._calls.run("lease", [node_key(self._prefix, node)]))

    @property
    def _nodes(self) -> str:
        return f"{self._prefix}{{nodes}}"
