"""One connection to a store: answers in order, whoever was cancelled, and nothing for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import hiredis
import pytest

from refimpl.sessions import BadAnswer, BadValue, Busy, StoreRefused, StoreUnavailable, ValkeyStore
from refimpl.sessions.valkey.endpoint import Address
from refimpl.sessions.valkey.link import Link
from refimpl.sessions.valkey.slots import slot_of
from tests.support.stores import until


class Wire(asyncio.Transport):
    """A transport in memory: what was written, in which pieces."""

    def __init__(self, protocol: Link) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False
        self.protocol = protocol

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def abort(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


@pytest.fixture
async def pushes() -> list[Any]:
    return []


@pytest.fixture
async def lost() -> list[bool]:
    return []


@pytest.fixture
async def link(pushes: list[Any], lost: list[bool]) -> AsyncIterator[Link]:
    link = Link(on_push=pushes.append, on_lost=lambda: lost.append(True), timeout=0.2, most=5)
    link.connection_made(Wire(link))
    yield link
    link.close()
    await until(lambda: lost)


def wire(link: Link) -> Wire:
    assert isinstance(link._transport, Wire)
    return link._transport


class TestAnswers:
    async def test_commands_of_one_turn_are_one_write(self, link: Link) -> None:
        futures = [link.call("ECHO", str(number)) for number in range(3)]
        assert wire(link).written == []
        await asyncio.sleep(0)
        assert wire(link).written == [
            b"*2\r\n$4\r\nECHO\r\n$1\r\n0\r\n*2\r\n$4\r\nECHO\r\n$1\r\n1\r\n"
            b"*2\r\n$4\r\nECHO\r\n$1\r\n2\r\n"
        ]
        link.data_received(b"$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n")
        assert await asyncio.gather(*futures) == [b"0", b"1", b"2"]

    async def test_a_cancelled_command_keeps_its_place(self, link: Link) -> None:
        first, second, third = (link.call("GET", name) for name in "abc")
        second.cancel()
        link.data_received(b":1\r\n:2\r\n")
        link.data_received(b":3\r\n")
        assert (await first, await third) == (1, 3)
        assert second.cancelled()

    async def test_any_split_of_the_bytes_gives_the_same(self, link: Link) -> None:
        stream = b"$3\r\nabc\r\n>3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n-ERR no\r\n_\r\n"
        chance = random.Random(10)
        for _ in range(50):
            futures = [link.call("X") for _ in range(3)]
            rest = stream
            while rest:
                size = chance.randint(1, len(rest))
                link.data_received(rest[:size])
                rest = rest[size:]
            text, error, nothing = await asyncio.gather(*futures)
            assert (text, str(error), nothing) == (b"abc", "ERR no", None)
            assert isinstance(error, hiredis.ReplyError)

    async def test_a_confirmation_is_the_answer_to_its_command(
        self, link: Link, pushes: list[Any]
    ) -> None:
        before = link.call("GET", "a")
        joined = link.call("SSUBSCRIBE", "c")
        after = link.call("GET", "b")
        message = b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
        confirmed = b">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n"
        link.data_received(message + b":1\r\n" + confirmed + message + b":2\r\n")
        assert (await before, await after) == (1, 2)
        assert (await joined)[0] == b"ssubscribe"
        assert [push[2] for push in pushes] == [b"m", b"m"]

    async def test_a_refused_subscription_is_an_answer_too(self, link: Link) -> None:
        joined, after = link.call("SSUBSCRIBE", "c"), link.call("GET", "b")
        link.data_received(b"-MOVED 1 127.0.0.1:7000\r\n:2\r\n")
        assert str(await joined).startswith("MOVED")
        assert await after == 2

    async def test_a_channel_that_moved_away_answers_nobody(
        self, link: Link, pushes: list[Any]
    ) -> None:
        waiting = link.call("GET", "a")
        link.data_received(b">3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n:1\r\n")
        assert await waiting == 1
        assert pushes == [[b"sunsubscribe", b"c", 0]]


class TestEnds:
    async def test_whoever_waits_is_told_of_the_loss(self, link: Link, lost: list[bool]) -> None:
        futures = [link.call("GET", "a"), link.call("SSUBSCRIBE", "c")]
        wire(link).abort()
        for future in futures:
            with pytest.raises(StoreUnavailable):
                await future
        assert lost == [True]
        with pytest.raises(StoreUnavailable):
            link.call("GET", "a")

    async def test_more_than_most_are_refused(self, link: Link) -> None:
        for _ in range(5):
            link.call("GET", "a")
        with pytest.raises(Busy, match="5 commands wait"):
            link.call("GET", "a")
        link.data_received(b":1\r\n")
        link.call("GET", "a")
        assert link.waiting == 5

    async def test_more_than_the_network_takes_is_refused(self, link: Link) -> None:
        assert wire(link).high == 8 * 2**20
        link.pause_writing()
        with pytest.raises(Busy):
            link.call("GET", "a")
        link.resume_writing()
        link.call("GET", "a")

    async def test_silence_while_an_answer_is_due_ends_it(self, link: Link) -> None:
        with pytest.raises(StoreUnavailable, match=r"said nothing for 0\.2 s"):
            await link.call("GET", "a")

    async def test_silence_while_nothing_is_due_does_not(self, link: Link) -> None:
        answered = link.call("GET", "a")
        link.data_received(b":1\r\n")
        assert await answered == 1
        await until(lambda: link._watch is None)
        assert not wire(link).closing

    @pytest.mark.parametrize(
        "nonsense", [b"HTTP/1.1 400 Bad Request\r\n", b"\0\0\0", b"*-7\r\n", b":1\r\n:2\r\n"]
    )
    async def test_nonsense_ends_it_and_says_so(
        self, link: Link, lost: list[bool], nonsense: bytes
    ) -> None:
        waiting = link.call("GET", "a")
        link.data_received(nonsense)
        await until(lambda: lost)
        if not nonsense.startswith(b":1"):
            with pytest.raises(BadAnswer):
                await waiting


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


class TestStrangers:
    """Whoever answers at the address is no store of ours: a clear error, and no endless start."""

    async def ask(self, answer: Answer) -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with ValkeyStore(f"redis://127.0.0.1:{port}", timeout=0.3):
                pass

    @staticmethod
    def saying(text: bytes) -> Answer:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(text)
            await writer.drain()
            await reader.read()
            writer.close()

        return answer

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", BadAnswer),
            (
                b"-NOAUTH HELLO must be called with the client already authenticated\r\n" * 20,
                StoreRefused,
            ),
            (b"-ERR unknown command 'HELLO'\r\n" * 20, StoreRefused),
            (b"+OK\r\n" * 20, BadAnswer),
            (b"-LOADING Redis is loading the dataset in memory\r\n" * 20, StoreUnavailable),
            (b"", StoreUnavailable),
        ],
    )
    async def test_what_it_says(self, text: bytes, error: type[Exception]) -> None:
        with pytest.raises(error):
            await self.ask(self.saying(text))

    async def test_nobody_there(self) -> None:
        with pytest.raises(StoreUnavailable, match=r"found no store at 127\.0\.0\.1:1"):
            async with ValkeyStore("redis://127.0.0.1:1", timeout=0.3):
                pass


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        ["", "http://a", "redis://", "redis://a:b", "redis://a:99999", "redis://a/x", "localhost"],
    )
    def test_bad_ones(self, url: str) -> None:
        with pytest.raises(BadValue):
            Address.parse(url)

    def test_a_password_stands_in_no_error(self) -> None:
        with pytest.raises(BadValue) as caught:
            Address.parse("http://ada:secret@a")
        assert "secret" not in str(caught.value)

    def test_slots_are_those_of_the_specification(self) -> None:
        assert slot_of(b"123456789") == 12739
        assert slot_of(b"foo") == 12182
        assert slot_of(b"{user1000}.following") == slot_of(b"user1000")
        assert slot_of(b"foo{}{bar}") == slot_of(b"foo{}{bar}") != slot_of(b"bar")
        assert slot_of(b"foo{{bar}}zap") == slot_of(b"{bar")
