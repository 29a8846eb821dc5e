"""The checksum: what it finds, and a message that is forged without being read."""

import random
import zlib
from collections.abc import Callable

from refimpl.classroom.checking.cases import Case, Exercise, Wrong, call
from refimpl.classroom.checks.envelope.explain import by_kind
from refimpl.envelope import BadChecksum, encode, parse_message

HELLO, EMPTY = encode(0x10, b"Hello"), encode(0x11, b"")
LONGER = HELLO[:-4] + b"!"
LONGER += zlib.crc32(LONGER).to_bytes(4, "big")
SHORT_CRC = encode(0x10, b"0320")  # whose CRC begins with a zero byte
DICE = random.Random(31)


def xor(one: bytes, two: bytes) -> bytes:
    """Return two equally long strings of bytes, XORed."""
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def mistake(before: bytes, after: bytes, difference: bytes) -> str:
    """Return a likely reason for the CRC that does not fit."""
    change = int.from_bytes(xor(before[-4:], after[-4:]), "big")
    right = zlib.crc32(difference) ^ zlib.crc32(bytes(len(difference)))
    known = {
        0: "the four bytes of the CRC are as they were",
        zlib.crc32(difference): "the change of the CRC is not the CRC of the change",
        int.from_bytes(right.to_bytes(4, "little"), "big"): "the CRC's bytes are in another order",
    }
    if after[-4:] == zlib.crc32(after[:-4]).to_bytes(4, "big"):
        return "the CRC fits what travels; the till checks it after decrypting"
    return known.get(change, "other bits of the CRC had to change")


def opened(envelope: bytes, keystream: bytes, wanted: bytes) -> Callable[[object], bool]:
    """Return a check: does the result decrypt to a valid envelope with that payload?"""

    def judge(result: object) -> bool:
        if not isinstance(result, bytes | bytearray):
            raise Wrong(f"something of type {type(result).__name__}")
        if len(result) != len(envelope):
            raise Wrong(f"{len(result)} bytes; nothing may be added or left out")
        plain = xor(bytes(result), keystream)
        if plain[:-4] != wanted:
            raise Wrong("what decrypts to another message than the difference asks for")
        try:
            parse_message(plain)
        except BadChecksum:
            said = mistake(xor(envelope, keystream), bytes(result), xor(envelope[:-4], wanted))
            raise Wrong(f"the right message, and BadChecksum: {said}") from None
        return True

    return judge


IS_INTACT = Exercise(
    "is_intact",
    points=2,
    rule="chapter 04, section 5: the CRC covers header and payload, and is compared",
    hints=(
        "Two questions: does the length fit the bytes that are there, and is the CRC that of all "
        "before it?",
        "Chapter 04, section 5, on 14 bytes: the first four have to say 5 (14 less 9), and the "
        "last four the zlib.crc32 of the first ten, most significant byte first.",
        "1. Fewer than nine bytes: False.\n"
        "2. The number in the first four is not len(data) - 9: False.\n"
        "3. Return whether the number in the last four is the CRC of data[:-4].",
    ),
    cases=(
        Case(
            "a sound envelope",
            call(HELLO),
            expect=True,
            why="the CRC is that of header *and* payload, and stands there big-endian",
        ),
        Case("a sound one without payload", call(EMPTY), expect=True, why="empty is not broken"),
        Case(
            "four zero bytes for a CRC",
            call(HELLO[:-4] + bytes(4)),
            expect=False,
            why="a computed CRC helps only where it is compared",
        ),
        Case(
            "a wrong last byte",
            call(HELLO[:-1] + b"?"),
            expect=False,
            why="the CRC is right only if all of its four bytes are",
        ),
        Case(
            "a flipped bit in the type",
            call(HELLO[:4] + b"\x11" + HELLO[5:]),
            expect=False,
            why="the CRC covers the header too",
        ),
        Case(
            "a length of 5, six bytes, and the right CRC of them all",
            call(LONGER),
            expect=False,
            why="the CRC agrees and the length does not: its reader loses the boundary",
        ),
        Case(
            "a sound one, and one byte after it",
            call(HELLO + b"!"),
            expect=False,
            why="exactly one envelope: nothing may follow its CRC",
        ),
        Case(
            "two sound ones",
            call(HELLO + EMPTY),
            expect=False,
            why="exactly one envelope: nothing may follow its CRC",
        ),
        Case(
            "four bytes between payload and CRC",
            call(HELLO[:-4] + b"junk" + HELLO[-4:]),
            expect=False,
            why="the CRC comes right after the payload, not where the data ends",
        ),
        Case(
            "two zero bytes between payload and CRC",
            call(HELLO[:-4] + bytes(2) + HELLO[-4:]),
            expect=False,
            why="the CRC is the four bytes after the payload, and with them it must end",
        ),
        Case(
            "a CRC without its first byte, a zero",
            call(SHORT_CRC[:-4] + SHORT_CRC[-3:]),
            expect=False,
            why="three bytes may be the same number, and are not the four of a CRC",
        ),
        Case("one byte missing", call(HELLO[:-1]), expect=False, why="it is not whole"),
        Case("three bytes", call(HELLO[:3]), expect=False, why="too short is False, not an error"),
        Case("no byte", call(b""), expect=False, why="too short is False, not an error"),
    ),
    explain=by_kind,
)


def tampered(name: str, kind: int, old: bytes, new: bytes, why: str) -> Case:
    """Return a case: an encrypted envelope of one payload is to become that of another."""
    envelope = encode(kind, old)
    keystream = DICE.randbytes(len(envelope))
    wanted = envelope[:5] + new
    return Case(
        name,
        call(xor(envelope, keystream), xor(envelope[:-4], wanted)),
        holds=opened(envelope, keystream, wanted),
        wanted="a ciphertext that the till decrypts to the changed message, with a right CRC",
        why=why,
    )


TAMPER = Exercise(
    "tamper",
    points=4,
    rule="chapter 04, section 5: CRC-32 is linear under XOR",
    hints=(
        "XOR passes through the encryption: flip a bit of the ciphertext, and the same bit of the "
        "plain text flips. So two things are missing: which bits of the message to flip, which you "
        "are given, and which bits of its CRC flip then.",
        "Chapter 04, section 5: crc(a ^ b ^ c) == crc(a) ^ crc(b) ^ crc(c) for equal lengths. Let "
        "a be the message, b the difference and c as many zero bytes. a ^ b ^ c is the changed "
        "message; so its CRC differs from the old one by crc(b) ^ crc(c), and a is not in that.",
        "1. change = crc32(difference) ^ crc32(as many zero bytes).\n"
        "2. mask = difference + change in 4 bytes, big-endian.\n"
        "3. Return the ciphertext XOR the mask.",
    ),
    cases=(
        tampered(
            "nothing to change",
            0x20,
            b"pay Alice     10",
            b"pay Alice     10",
            "where no bit of the message changes, no bit of its CRC does",
        ),
        tampered(
            "one letter",
            0x20,
            b"pay Alice     10",
            b"pay Alice     90",
            "the message's bits changed, so some of its CRC's must: which ones follows from the "
            "difference and its length alone",
        ),
        tampered(
            "another receiver and sum",
            0x20,
            b"pay Alice     10",
            b"pay Mallory 9999",
            "any difference will do; the CRC's four bytes are big-endian",
        ),
        tampered(
            "a longer message",
            0x21,
            b"pay Alice, who lives in the old mill, 10",
            b"pay Mallory, who lives in a tower, 99999",
            "the zero bytes must be as many as the difference has",
        ),
    ),
)
