"""Chapter 02: a naive server, and a head that gets past its limit."""

import struct

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call
from refimpl.classroom.checking.rendering import render
from refimpl.errors import RemoteProtocolError


def naive_room(head: bytes, limit: int = 2**20) -> int:
    """Return how many bytes the naive server gets ready for the payload that a head announces.

    Raises RemoteProtocolError with close code 1009 for more than limit.
    """
    length = head[1] & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", head[2:4])
    elif length == 127:
        (length,) = struct.unpack("!q", head[2:10])
    if length > limit:
        raise RemoteProtocolError(f"got {length} bytes, expected at most {limit}", 1009)
    return length % 2**64  # an allocator knows no negative sizes


def _is_readable(head: object) -> bool:
    if not isinstance(head, bytes | bytearray):
        raise Wrong(f"{render(head)}; a head is bytes")
    if not 2 <= len(head) <= 14:
        raise Wrong(f"{len(head)} bytes; a head has 2 to 14")
    short = head[1] & 0x7F
    if short < 126:
        raise Wrong(f"the seven bits say {short}: the server gets ready for {short} bytes, no more")
    if short == 126:
        raise Wrong("126, and two bytes: no length of this form is over 65,535")
    if len(head) < 10:
        raise Wrong(f"127 announces eight bytes of length, and only {len(head) - 2} follow")
    return True


def _gets_past(head: bytes) -> bool:
    try:
        naive_room(head)
    except RemoteProtocolError as error:
        raise Wrong(f"refused with {error.close_code}: {error}") from None
    return True


def _is_huge(head: bytes) -> bool:
    room = naive_room(head)
    if room <= 2**40:
        raise Wrong(f"not refused, but the server gets ready for {room:,} bytes only")
    return True


LENGTH_BOMB = Exercise(
    "length_bomb",
    points=2,
    rule='RFC 6455 5.2 "the most significant bit MUST be 0"',
    hints=(
        "The server compares before it reserves, as it should. So the length must look small to "
        "the comparison, and large to the allocator. Which numbers are below every limit?",
        "RFC 6455 5.2 wants the top bit of the eight bytes to be 0. naive_room reads them with "
        "the format !q, which the struct module explains as a *signed* number: ff ff ff ff ff ff "
        "ff fe is -2 there.",
        "1. First byte: FIN and BINARY, 0x82. Second: MASK and 127, 0xff.\n"
        "2. Eight bytes of length whose top bit is 1.\n"
        "3. Four bytes of masking key, any; or leave them out, this server never gets to them.",
    ),
    cases=(
        Case(
            "a head whose length is read in full",
            call(),
            holds=_is_readable,
            wanted="2 to 14 bytes with the eight-byte form of the length",
        ),
        Case(
            "gets past the limit",
            call(),
            holds=_gets_past,
            wanted="a length that the server does not find too large",
            why="no positive number over the limit passes: look at how the eight bytes are read",
        ),
        Case(
            "room for more than a terabyte",
            call(),
            holds=_is_huge,
            wanted="naive_room(length_bomb()) > 2**40",
            why="a length that is truly small is no attack",
        ),
    ),
)
