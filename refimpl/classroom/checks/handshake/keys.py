"""Chapter 01: what a key is, and which accept answers it."""

import base64
import hashlib

from refimpl.classroom.checking.cases import Answer, Case, Exercise, call
from refimpl.handshake import GUID, parse_request, parse_response
from refimpl.lab import Capture

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3

IS_VALID_KEY = Exercise(
    "is_valid_key",
    points=2,
    rule='RFC 6455 4.2.1, item 5; RFC 4648 3.5 "Canonical Encoding"',
    hints=(
        "Decode the key, and look at what you get: is it 16 bytes? Then encode those bytes again: "
        "is it the same text?",
        "RFC 6455 4.2.1: 16 bytes when decoded. RFC 4648 3.5: the bits that are left over are "
        "zero. ...ZQ== ends in Q, 010000: two bits of the last byte, then four zeros. ...ZR== "
        "ends in R, 010001: the same byte, but not the one spelling. And b64decode skips a "
        "character that is no base64, unless you say validate=True.",
        "1. Try to decode with validate=True; it raises ValueError for what is no base64 "
        "(binascii.Error is one): False.\n"
        "2. Not 16 bytes: False.\n"
        "3. Encode the bytes, make text of that, and compare it with the key.",
    ),
    cases=(
        Case(
            "the RFC's own key",
            call(KEY),
            expect=True,
            why="a key is a str; b64encode and b64decode return bytes, and bytes never equal a str",
        ),
        Case("a key of 16 zero bytes", call("AAAAAAAAAAAAAAAAAAAAAA=="), expect=True),
        Case(
            "15 bytes",
            call("dGhlIHNhbXBsZSBub25j"),
            expect=False,
            why="base64, but not of 16 bytes",
        ),
        Case(
            "18 bytes in 24 characters",
            call("dGhlIHNhbXBsZSBub25jZSEh"),
            expect=False,
            why="24 characters can stand for 16, 17 or 18 bytes",
        ),
        Case("an empty key", call(""), expect=False),
        Case(
            "no base64 at all",
            call("not base64"),
            expect=False,
            why="what a peer sends must not make us crash: False, not an error",
        ),
        Case(
            "a letter outside ASCII",
            call("dGhlIHNhbXBsZSBub25jZ\N{LATIN SMALL LETTER E WITH ACUTE}=="),
            expect=False,
            why="for this, b64decode raises a plain ValueError",
        ),
        Case(
            "a star in a good key",
            call("dGhlIHNhbXBs*ZSBub25jZQ=="),
            expect=False,
            why="b64decode skips what is no base64, unless it is told to validate",
        ),
        Case(
            "a line feed after a good key",
            call(f"{KEY}\n"),
            expect=False,
            why="the key is all of the text; in a pattern, $ fits in front of a last line feed too",
        ),
        Case(
            "one letter changed, the same 16 bytes",
            call("dGhlIHNhbXBsZSBub25jZR=="),
            expect=False,
            why="R carries bits that nobody reads; only one spelling of the 16 bytes is canonical",
        ),
    ),
    replaces="handshake.fields.is_valid_key",
)


def _accepts() -> dict[str, str]:
    """The accepts of servers with one mistake each, for the recorded key."""
    request = parse_request(Capture.load("wrong_accept").decode()[0].wire)
    assert request is not None
    key = request[0].headers["Sec-WebSocket-Key"]
    made = {
        "a": hashlib.sha1(key.encode()).digest(),
        "b": hashlib.sha1((GUID + key).encode()).digest(),
        "c": hashlib.sha1(base64.b64decode(key) + GUID.encode()).digest(),
        "d": hashlib.sha1((key + GUID).encode()).hexdigest().encode(),
        "e": hashlib.sha256((key + GUID).encode()).digest(),
    }
    return {letter: base64.b64encode(value).decode() for letter, value in made.items()}


def _recorded() -> str:
    response = parse_response(Capture.load("wrong_accept").decode()[1].wire)
    assert response is not None
    return response[0].headers["Sec-WebSocket-Accept"]


def _compare(accept: str) -> str:
    """How the accept of a mistake differs from the recorded one: its start, maybe its length."""
    made, recorded = f"begin with {accept[:6]}", f"begins with {WRONG_ACCEPT[:6]}"
    if len(accept) != len(WRONG_ACCEPT):
        made += f" and have {len(accept)} characters"
        recorded += f" and has {len(WRONG_ACCEPT)}"
    return f"then the accept would {made}; the recorded one {recorded}"


BY_MISTAKE = _accepts()
WRONG_ACCEPT = _recorded()
RIGHT = next(letter for letter, accept in BY_MISTAKE.items() if accept == WRONG_ACCEPT)

SERVER_MISTAKE = Answer(
    "server_mistake",
    points=2,
    rule='RFC 6455 4.2.2, item 5.4: "the value ... concatenated with the string"',
    hints=(
        "You know how the accept ought to be made. Make it in each of the five wrong ways, from "
        "the recorded key, and see which one gives the recorded accept.",
        "RFC 6455 1.3: the key dGhlIHNhbXBsZSBub25jZQ== and the GUID are put together as text, 24 "
        "and 36 characters; SHA-1 makes 20 bytes of them, b3 7a 4f 2c ...; base64 makes 28 "
        "characters of those. Before you calculate, count: how many characters has the recorded "
        "accept? Two of the five ways give another length.",
        "1. Take the key out of the request and the accept out of the response.\n"
        "2. For each way write the line with hashlib and base64 (b64decode gives the key's "
        "bytes).\n"
        "3. The letter is that of the line whose result equals the recorded accept.",
    ),
    accepts=RIGHT,
    mistakes={letter: _compare(accept) for letter, accept in BY_MISTAKE.items() if letter != RIGHT},
    otherwise="the answer is one of the letters a to e, as text",
)
