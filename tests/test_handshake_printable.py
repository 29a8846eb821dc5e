"""`printable`: no text of a peer can steer a terminal or forge a line of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.handshake.printable import printable
from tests.support.cpu import assert_linear

KINDS = {
    "C0": [*map(chr, range(0x20)), "\x7f"],
    "C1": [*map(chr, range(0x80, 0xA0))],
    "bidirectional": [*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)),
                      *map(chr, range(0x2066, 0x206A))],
    "zero width": [*"\u00ad\u180e\u200b\u200c\u200d\u2060\u2061\ufeff", "\U000e0001", "\U000e0041"],
    "line ends": [*"\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"],
    "lone surrogates": ["\ud800", "\udbff", "\udc00", "\udfff"],
    "spaces": [*"\u00a0\u1680\u2003\u202f\u3000"],
    "private and unassigned": ["\ue000", "\U0010ffff", "\u0378"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_character_of_a_kind_becomes_an_escape(kind: str) -> None:
    for letter in KINDS[kind]:
        shown = printable(f"a{letter}b")
        assert shown.isascii() and shown.isprintable(), hex(ord(letter))
        assert shown.startswith("a\\") and shown.endswith("b")


@pytest.mark.parametrize("text", ["", "plain", "Grüße 🧦", "日本語", "a\\b 'c' \"d\"", "שלום"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert printable(text) is text


def test_what_is_to_be_kept_is_kept() -> None:
    assert printable("a\n\tb\x1b", keep="\n\t") == "a\n\tb\\x1b"


@given(st.text(st.characters()), st.sampled_from(["", "\n", "\n\t"]))
def test_nothing_else_is_left_in_any_text(text: str, keep: str) -> None:
    shown = printable(text, keep=keep)
    assert all(letter.isprintable() or letter in keep for letter in shown)
    assert printable(shown, keep=keep) == shown
    shown.encode()


def test_the_cost_is_linear() -> None:
    assert_linear(lambda size: lambda: printable("\x1b" * size), 20_000)
