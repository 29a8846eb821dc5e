"""Repair a lost update with a script, on a real store."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from refimpl.classroom.checking.cases import Case, Exercise, Wrong
from refimpl.lab import valkey

Add = Callable[[Any, str, str], Awaitable[object]]
APPEND = """
local text = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], text and text .. ',' .. ARGV[1] or ARGV[1])
"""

LINE = "the number after user_script: is a line of the script; line 1 is that of the opening quotes"


class Store:
    """A store with three calls.

    What node B adds, once: `meanwhile` behind the first read or before the first script, whichever
    comes first; `afterwards` behind the first script.
    """

    def __init__(self, client: Any, meanwhile: str = "", afterwards: str = "") -> None:
        self._client = client
        self.meanwhile, self.afterwards = meanwhile, afterwards

    def __getattr__(self, name: str) -> Any:
        raise Wrong(f"store.{name}: this store has get, set and eval, and old nodes read the list")

    async def other_node(self, key: str, moment: str) -> None:
        """Let node B add the tab that it has for a moment, once."""
        tab = getattr(self, moment)
        setattr(self, moment, "")
        if tab:
            await self._client.eval(APPEND, 1, key, tab)

    async def get(self, key: str) -> Any:
        """Read, and then node B comes."""
        found = await self._client.get(key)
        await self.other_node(key, "meanwhile")
        return found

    async def set(self, key: str, value: str) -> Any:
        """Write."""
        return await self._client.set(key, value)

    async def eval(self, script: str, numkeys: int, *words: Any) -> Any:
        """Run a script, whose keys must be named. Raises Wrong, with the store's words."""
        from redis.exceptions import ResponseError

        keys = words[:numkeys]
        if not keys:
            raise Wrong("a script that names no keys: a cluster would not know where to run it")
        await self.other_node(keys[0], "meanwhile")
        try:
            answer = await self._client.eval(script, numkeys, *words)
        except ResponseError as error:
            reason = str(error)
            compiles = not reason.startswith("Error compiling")
            what = "failed as it ran" if compiles else "did not compile"
            raise Wrong(f"the script {what}. The store says: {reason}", why=LINE) from None
        await self.other_node(keys[0], "afterwards")
        return answer


def _adds(*tabs: str, before: str = "", user: str = "ada", **other_node: str) -> Any:
    """Add tabs, one after the other; return the last answer, and the list. other_node: see Store"""

    async def drive(add_tab: Add) -> object:
        import redis.asyncio as redis

        answer: object = None
        with valkey() as url:
            async with redis.Redis.from_url(url, decode_responses=True) as client:
                key = f"user:{user}:conns"
                await client.delete(key)
                if before:
                    await client.set(key, before)
                for tab in tabs:
                    answer = await add_tab(Store(client, **other_node), user, tab)
                    if answer is ... or inspect.isawaitable(answer):
                        return answer
                if await client.type(key) not in ("string", "none"):
                    raise Wrong("another type in place of the list: old nodes read it with GET")
                text = await client.get(key)
                await client.delete(key)
        return answer, text

    return drive


ONE_STEP = (
    "node B wrote between your read and your write: what reads and writes has to be inside of one "
    "script; a lock in your node stops nobody on node B"
)
WHOLE = "compare whole ids: split the list at its commas"

ADD_TAB = Exercise(
    "add_tab",
    points=3,
    rule="what many nodes change must change in one step",
    is_async=True,
    hints=(
        "Between GET and SET another node can write. In a script nobody can come between.",
        "store.eval(\"return redis.call('GET', KEYS[1])\", 1, 'user:ada:conns') gives the list: 1 "
        "is how many keys follow. Further words are ARGV[1], ARGV[2] in the script.",
        "1. In Lua: local text = redis.call('GET', KEYS[1]) or ''\n"
        "2. for each in string.gmatch(text, '[^,]+') do ... end counts the tabs, and compares each "
        "with ARGV[1].\n"
        "3. Where it was not there, SET the list with it, and count one more.\n"
        "4. return the count. In Python: return await store.eval(SCRIPT, 1, key, tab).",
    ),
    cases=(
        Case(
            "a first tab",
            drive=_adds("c1"),
            shown="await add_tab(store, 'ada', 'c1')",
            expect=(1, "c1"),
            why="return how many tabs the user has then",
        ),
        Case(
            "a second tab",
            drive=_adds("c1", "c2"),
            shown="await add_tab(store, 'ada', 'c1'), then 'c2'",
            expect=(2, "c1,c2"),
        ),
        Case(
            "another node at the same moment",
            drive=_adds("c2", before="c1", meanwhile="b1"),
            shown="await add_tab(store, 'ada', 'c2'), while node B adds b1 to the list c1",
            expect=(3, "c1,b1,c2"),
            why=ONE_STEP,
        ),
        Case(
            "the same tab twice",
            drive=_adds("c1", "c1"),
            shown="await add_tab(store, 'ada', 'c1'), twice",
            expect=(1, "c1"),
            why="a node that got no answer asks again: the tab is there once",
        ),
        Case(
            "the same tab on another node at the same moment",
            drive=_adds("c2", before="c1", meanwhile="c2"),
            shown="await add_tab(store, 'ada', 'c2'), while node B adds c2 to the list c1",
            expect=(2, "c1,c2"),
            why="node B added the same tab after you had looked: look for it inside of the script",
        ),
        Case(
            "another node a moment later",
            drive=_adds("c1", afterwards="b1"),
            shown="await add_tab(store, 'ada', 'c1'), and node B adds b1 right behind it",
            expect=(1, "c1,b1"),
            why="count inside of the script: if both nodes count later, both get 2, and neither "
            "knows that its tab was the first",
        ),
        Case(
            "an id as the package makes them, twice",
            drive=_adds("node-2.17.5e", "node-2.17.5e"),
            shown="await add_tab(store, 'ada', 'node-2.17.5e'), twice",
            expect=(1, "node-2.17.5e"),
            why=f"- and . mean something in a Lua pattern; {WHOLE}",
        ),
        Case(
            "a tab that is a piece of another",
            drive=_adds("c1", before="c10"),
            shown="await add_tab(store, 'ada', 'c1'), with the list c10",
            expect=(2, "c10,c1"),
            why=WHOLE,
        ),
        Case(
            "another user",
            drive=_adds("c1", user="ben"),
            shown="await add_tab(store, 'ben', 'c1')",
            expect=(1, "c1"),
            why="the key is made from the user that was given",
        ),
    ),
)
