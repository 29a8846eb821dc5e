"""permessage-deflate: messages compressed one by one (RFC 7692).

Both sides agree on it in the handshake; then the first frame of a compressed message carries RSV1.
Without **context takeover** each message is compressed alone; with it, a message may point back
into the ones before, which compresses better and holds a window of memory for each connection.

>>> answer = negotiate([OFFER])
>>> server = PerMessageDeflate(parse_parameters(answer), Role.SERVER)
>>> client = PerMessageDeflate(parse_parameters(answer), Role.CLIENT)
>>> client.decompress(server.compress(b"Hello"), limit=5, final=True)
b'Hello'
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refimpl.errors import HandshakeError, RemoteProtocolError
from refimpl.framing import CloseCode
from refimpl.handshake import Extension
from refimpl.messages.state import Role

__all__ = ["OFFER", "Parameters", "PerMessageDeflate", "agree", "negotiate", "parse_parameters"]

NAME = "permessage-deflate"
OFFER = Extension(NAME, (("client_max_window_bits", None),))
"""What our client offers: any parameters, and the server may limit our window."""

TAIL = b"\x00\x00\xff\xff"  # ends every flushed block, so it need not travel (RFC 7692 7.2.1)
WINDOW_BITS = 12  # 4 KiB of window: with MEMORY_LEVEL 5 a compressor holds 32 KiB, not 256 KiB
MEMORY_LEVEL = 5
MAX_FINAL_BLOCKS = 8  # each costs a new inflater; a megabyte of empty ones would cost seconds
BITS = re.compile(r"[89]|1[0-5]")  # RFC 7692 7.1.2: 8 to 15, no leading zero


@dataclass(frozen=True, slots=True)
class Parameters:
    """What both sides agreed on (RFC 7692 7.1); window bits of 15 where nothing was said."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15


def parse_parameters(extension: Extension, *, offer: bool = False) -> Parameters:
    """Return the parameters of an offer or answer, or raise HandshakeError (RFC 7692 section 7.1).

    offer: whether client_max_window_bits may stand without a value.
    """
    found: dict[str, Any] = {}
    for name, value in extension.parameters:
        if name in found:
            raise HandshakeError(f"got {name} twice (RFC 7692 7.1)", reason="extension")
        if name in ("server_no_context_takeover", "client_no_context_takeover") and value is None:
            found[name] = True
        elif name == "client_max_window_bits" and value is None and offer:
            found[name] = 15
        elif name.endswith("_max_window_bits") and value and BITS.fullmatch(value):
            found[name] = int(value)
        else:
            raise HandshakeError(f"got a bad {NAME} parameter (RFC 7692 7.1)", reason="extension")
    try:
        return Parameters(**found)
    except TypeError as error:  # a name such as other_max_window_bits
        raise HandshakeError(f"got an unknown {NAME} parameter", reason="extension") from error


def negotiate(offers: Sequence[Extension]) -> Extension | None:
    """Return the server's answer to the first offer it can accept, or None (RFC 7692 section 5)."""
    for offer in offers:
        if offer.name == NAME and (answer := _answer(offer)) is not None:
            return answer
    return None


def _answer(offer: Extension) -> Extension | None:
    try:
        wanted = parse_parameters(offer, offer=True)
    except HandshakeError:  # RFC 7692 7: a bad offer is declined, the connection is not
        return None
    if wanted.server_max_window_bits == 8:  # zlib cannot compress with so small a window
        return None
    answer: list[tuple[str, str | None]] = []
    if wanted.server_no_context_takeover:
        answer.append(("server_no_context_takeover", None))
    if wanted.client_no_context_takeover:
        answer.append(("client_no_context_takeover", None))
    answer.append(("server_max_window_bits", str(min(wanted.server_max_window_bits, WINDOW_BITS))))
    if any(name == "client_max_window_bits" for name, _ in offer.parameters):
        bits = min(wanted.client_max_window_bits, WINDOW_BITS)
        answer.append(("client_max_window_bits", str(bits)))
    return Extension(NAME, tuple(answer))


def agree(offer: Extension, answer: Extension) -> None:
    """Check the answer to our offer; HandshakeError where it goes beyond (RFC 7692 7.1)."""
    if answer.name != NAME:
        raise HandshakeError("got an extension that is not known here", reason="extension")
    wanted, given = parse_parameters(offer, offer=True), parse_parameters(answer)
    ours_limited = "client_max_window_bits" in dict(answer.parameters)
    ours_offered = "client_max_window_bits" in dict(offer.parameters)
    if (
        wanted.server_no_context_takeover > given.server_no_context_takeover
        or wanted.server_max_window_bits < given.server_max_window_bits
        or (ours_limited and not ours_offered)
        or (ours_limited and wanted.client_max_window_bits < given.client_max_window_bits)
    ):
        message = "got permessage-deflate parameters beyond our offer (RFC 7692 7.1)"
        raise HandshakeError(message, reason="extension")


class PerMessageDeflate:
    """Compresses what one side sends, inflates what it receives, as long as a connection lives."""

    def __init__(self, parameters: Parameters, role: Role) -> None:
        ours = (parameters.client_no_context_takeover, parameters.client_max_window_bits)
        theirs = (parameters.server_no_context_takeover, parameters.server_max_window_bits)
        if role is Role.SERVER:
            ours, theirs = theirs, ours
        self._send_alone, send_bits = ours
        self._receive_alone, self._receive_bits = theirs
        self._send_bits = min(send_bits, WINDOW_BITS)
        self._inflater = zlib.decompressobj(wbits=-self._receive_bits)
        self._deflater = self._new_deflater() if self.compresses else None

    @property
    def compresses(self) -> bool:
        """Whether we compress at all: a window of 8 bits is legal, but zlib cannot do it."""
        return self._send_bits > 8

    def _new_deflater(self) -> "zlib._Compress":
        return zlib.compressobj(wbits=-self._send_bits, memLevel=MEMORY_LEVEL)

    def compress(self, payload: bytes) -> bytes:
        """Return a whole message compressed, without its tail (RFC 7692 section 7.2.1)."""
        deflater = self._deflater or self._new_deflater()
        compressed = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        self._deflater = None if self._send_alone else deflater
        return compressed[: -len(TAIL)]

    def decompress(self, payload: bytes, *, limit: int, final: bool) -> bytes:
        """Return one fragment inflated, at most limit bytes (RFC 7692 section 7.2.2).

        final: whether it ends its message. Raises RemoteProtocolError: 1009 beyond the limit, where
        at most one byte more than the limit was inflated, and 1007 for a corrupt stream.
        """
        inflated = self._inflate(payload + TAIL if final else payload, limit)
        if final and self._receive_alone:
            self._inflater = zlib.decompressobj(wbits=-self._receive_bits)
        return inflated

    def _inflate(self, data: bytes, limit: int) -> bytes:
        inflated = b""
        for _ in range(MAX_FINAL_BLOCKS + 1):
            try:
                inflated += self._inflater.decompress(data, limit - len(inflated) + 1)
            except zlib.error as error:
                message = "got a corrupt compressed message (RFC 7692 7.2.2)"
                raise RemoteProtocolError(message, CloseCode.INVALID_PAYLOAD) from error
            if len(inflated) > limit:
                message = f"got a message that inflates to over {limit} bytes"
                raise RemoteProtocolError(message, CloseCode.MESSAGE_TOO_BIG)
            if not self._inflater.eof:
                return inflated
            # RFC 7692 7.2.3.4: a final block ends a deflate stream, and the message may go on.
            data = self._inflater.unused_data
            self._inflater = zlib.decompressobj(wbits=-self._receive_bits)
        message = f"got more than {MAX_FINAL_BLOCKS} final blocks in one fragment"
        raise RemoteProtocolError(message, CloseCode.POLICY_VIOLATION)
