"""Sending what is neither str nor bytes: bytes-like objects, and messages in fragments.

A fragmented message is one message: while it is on its way no other may begin (RFC 6455 section
5.4), so other `send` calls wait. When its source fails or is cancelled half-way nothing can
complete the message, and the connection closes with 1011.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Protocol

from refimpl import messages
from refimpl.framing import CloseCode, Opcode
from refimpl.messages.utf8 import encode_text

__all__ = ["Waiting", "send_other"]

Data = str | bytes | bytearray | memoryview


class Sender(Protocol):
    """What sending fragments needs of a connection."""

    core: messages.Protocol
    fragmenting: asyncio.Future[None] | None

    async def sent(self, size: int) -> None:
        """Let what the core has queued leave."""

    def push_waiting(self) -> None:
        """Send what was pushed while a fragmented message was on its way."""

    def start_close(self, code: int, reason: str) -> None:
        """Send Close without waiting."""

    async def why_closed(self) -> Exception:
        """Return the error for a call on a connection that is not open any more."""


class Waiting:
    """Messages pushed behind a fragmented one, and their size on the wire, as servers send them."""

    __slots__ = ("pushed", "size")

    def __init__(self) -> None:
        self.pushed: list[tuple[str | bytes, bytes]] = []
        self.size = 0

    def add(self, message: str | bytes, frame: bytes) -> None:
        """Let one more wait."""
        self.pushed.append((message, frame))
        self.size += len(frame)


async def send_other(sender: Sender, message: Data | Iterable[Data] | AsyncIterable[Data]) -> None:
    """Send a str or bytes-like object whole, an iterable of them as one fragmented message.

    Raises TypeError for anything else, a dict among them: its keys are hardly what was meant.
    """
    if isinstance(message, str):
        sender.core.send_text(message)
        await sender.sent(len(message))
    elif isinstance(message, bytes | bytearray | memoryview):
        sender.core.send_binary(bytes(message))
        await sender.sent(len(message))
    elif isinstance(message, AsyncIterable):
        await send_fragments(sender, aiter(message))
    elif isinstance(message, Iterable) and not isinstance(message, Mapping):
        await send_fragments(sender, _walk(message))
    else:
        raise TypeError(
            f"got {type(message).__name__}, expected str, bytes or an iterable of either"
        )


async def _walk(fragments: Iterable[Data]) -> AsyncIterator[Data]:
    for fragment in fragments:
        yield fragment


async def send_fragments(sender: Sender, fragments: AsyncIterator[Data]) -> None:
    """Send fragments as they come, all text or all binary, then an empty one that ends the message.

    Which fragment is the last is known only once it is gone, hence the empty one. No fragments, no
    message.
    """
    begun = False
    text = False
    sender.fragmenting = asyncio.get_running_loop().create_future()
    try:
        async for fragment in fragments:
            payload = _encode(fragment)
            if begun and isinstance(fragment, str) != text:
                raise TypeError("got str and bytes fragments in one message, expected one kind")
            text = isinstance(fragment, str)
            await _must_be_open(sender)
            sender.core.send_fragment(payload, opcode=_opcode(text), fin=False)
            begun = True
            await sender.sent(len(payload))
        if begun:
            await _must_be_open(sender)
            sender.core.send_fragment(b"", opcode=_opcode(text), fin=True)
            await sender.sent(0)
    except BaseException:
        if begun:
            sender.start_close(CloseCode.INTERNAL_ERROR, "a fragmented message was abandoned")
        raise
    finally:
        sender.fragmenting.set_result(None)
        sender.fragmenting = None
        sender.push_waiting()


def _encode(fragment: Data) -> bytes:
    if isinstance(fragment, str):
        return encode_text(fragment)
    if isinstance(fragment, bytes | bytearray | memoryview):
        return bytes(fragment)  # bytes(5) would be five zeros
    raise TypeError(f"got a fragment of {type(fragment).__name__}, expected str or bytes")


def _opcode(text: bool) -> Opcode:
    return Opcode.TEXT if text else Opcode.BINARY


async def _must_be_open(sender: Sender) -> None:
    """Raise ConnectionClosed where the connection ended while the next fragment was awaited."""
    if sender.core.state is not messages.State.OPEN:
        raise await sender.why_closed()
