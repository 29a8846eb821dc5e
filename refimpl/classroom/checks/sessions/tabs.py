"""Send to all tabs of a user, on whatever nodes they are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, raises
from refimpl.sessions import MemoryStore

PATIENCE = 0.5  # seconds in which all sends of a case have begun


class Nodes:
    """The nodes to send to: which of them are down, and what each was sent."""

    def __init__(self, down: tuple[str, ...], expected: int, fault: type[Exception]) -> None:
        self.sent: dict[str, list[str]] = {}
        self._down, self._fault = down, fault
        self._all = asyncio.Event()
        self._expected = expected

    async def send(self, node: str, ids: Any, text: str) -> None:
        """Take one message for one node; answer when all nodes have theirs."""
        if node in self.sent:
            raise Wrong(f"two sends to {node}: name all its connections in one")
        if not isinstance(ids, list) or text != "ahoy":
            raise Wrong(f"send({node!r}, {ids!r}, {text!r}): wants a node, a list of ids, the text")
        self.sent[node] = sorted(ids)
        if len(self.sent) >= self._expected:
            self._all.set()
        try:
            await asyncio.wait_for(self._all.wait(), PATIENCE)
        except TimeoutError:
            raise Wrong(
                f"sends one after the other: until {node} answers, the other nodes wait"
            ) from None
        if node in self._down:
            raise self._fault(f"{node} does not answer")


def _sends(
    *nodes: str, down: tuple[str, ...] = (), fault: type[Exception] = ConnectionError
) -> Any:
    """Open a tab of Ada on each node, and one of Ben's; send to Ada's.

    Returns what each node was sent and what could not be reached, as "node: how many".
    """

    async def drive(send_to_tabs: Callable[..., Awaitable[object]]) -> object:
        store, places = MemoryStore(), {}
        for node in sorted({*nodes, "node-9"}):
            places[node] = await store.begin(node)
        await store.open(places["node-9"], "ben")
        opened = [await store.open(places[node], "ada") for node in nodes]
        fleet = Nodes(down, len(set(nodes)), fault)
        try:
            answer = await send_to_tabs(store, "ada", fleet.send, "ahoy")
        except BaseExceptionGroup as group:  # of a TaskGroup
            raise group.exceptions[0] from None
        if answer is ...:
            return answer
        named = {node: sorted(each.id for each in opened if each.node == node) for node in nodes}
        if fleet.sent != named:
            got = {node: len(ids) for node, ids in sorted(fleet.sent.items())}
            raise Wrong(f"sent to {got}, as node: number of ids")
        lost = sorted(id for node in down for id in named[node])
        if answer != lost:
            ids = {each.id: f"tab {number} on {each.node}" for number, each in enumerate(opened)}
            if isinstance(answer, list):
                raise Wrong(f"{[ids.get(id, id) for id in answer]} as not reached")
            raise Wrong(f"{answer!r}, no list of ids")
        return "all told"

    return drive


def _case(name: str, shown: str, *nodes: str, why: str = "", **settings: Any) -> Case:
    text = f"await send_to_tabs(store, 'ada', send, 'ahoy'), {shown}"
    return Case(name, drive=_sends(*nodes, **settings), shown=text, expect="all told", why=why)


SEND_TO_TABS = Exercise(
    "send_to_tabs",
    points=3,
    rule="one message a node, to all at once, and a node that is down holds up nobody",
    is_async=True,
    hints=(
        "Ask the store for the connections, sort them by node, send to all nodes at the same time.",
        "With connections n1.1.a, n1.1.b and n2.1.c there are two sends: send('n1', ['n1.1.a', "
        "'n1.1.b'], text) and send('n2', ['n2.1.c'], text). If n2 is down: ['n2.1.c'].",
        "1. connections = await store.connections(user)\n"
        "2. A dict of lists: ids by node, with setdefault.\n"
        "3. An inner coroutine sends to one node, returns [] or, on ConnectionError, the ids.\n"
        "4. asyncio.gather runs it for all nodes; join the lists, sort them.",
    ),
    cases=(
        _case("one tab", "with one tab", "node-1"),
        _case("two nodes", "with tabs on two nodes", "node-1", "node-2"),
        _case(
            "two tabs on one node",
            "with two tabs on node-1 and one on node-2",
            "node-1",
            "node-1",
            "node-2",
            why="a network message costs more than a longer list",
        ),
        _case("no tab", "with no tab", why="nobody to tell: no send, and an empty list"),
        _case(
            "a node is down",
            "with node-1 down",
            "node-1",
            "node-2",
            "node-2",
            down=("node-1",),
            why="the others are told, and the ids of those who were not are returned",
        ),
        _case(
            "all nodes are down",
            "with both nodes down",
            "node-2",
            "node-1",
            "node-1",
            down=("node-1", "node-2"),
            why="all ids, sorted",
        ),
        Case(
            "a bug in send",
            drive=_sends("node-1", down=("node-1",), fault=KeyError),
            shown="await send_to_tabs(store, 'ada', send, 'ahoy'), where send raises KeyError",
            error=raises(KeyError),
            why="a KeyError is no network failure: catch ConnectionError and nothing wider",
        ),
        Case(
            "an error of the system in send",
            drive=_sends("node-1", down=("node-1",), fault=OSError),
            shown="await send_to_tabs(store, 'ada', send, 'ahoy'), where send raises OSError",
            error=raises(OSError),
            why="ConnectionError is one kind of OSError. Other kinds, such as too many open files, "
            "say nothing about the node: catch ConnectionError alone",
        ),
    ),
)
