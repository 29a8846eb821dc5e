"""Sessions that were signed out: remembered as long as their tokens, in bounded memory."""

from __future__ import annotations

from refimpl.auth import Claims
from refimpl.chat.sessions import SignedOut
from refimpl.middleware import User


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def session(user: str, number: int, *, issued: float = 1000.0, lasts: float = 100.0) -> Claims:
    return Claims(User(user), f"{user}-{number}", issued, issued + lasts)


class TestSignedOut:
    def test_it_is_the_session_that_ends_and_not_the_user(self) -> None:
        ended = SignedOut(now=Clock())
        ended.add(session("ada", 1))
        assert session("ada", 1) in ended
        assert session("ada", 2) not in ended
        assert session("bob", 1) not in ended
        assert "ada-1" not in ended

    def test_an_entry_lives_as_long_as_its_token(self) -> None:
        clock = Clock()
        ended = SignedOut(now=clock)
        ended.add(session("ada", 1))
        clock.now += 99
        ended.add(session("bob", 1, issued=clock.now))
        assert session("ada", 1) in ended and len(ended) == 2
        clock.now += 1
        ended.add(session("bob", 2, issued=clock.now))
        assert len(ended) == 2 and list(ended._users) == ["bob"]

    def test_one_user_cannot_push_out_what_others_signed_out(self) -> None:
        ended = SignedOut(now=Clock(), most=10)
        ended.add(session("bob", 1))
        for number in range(1000):
            ended.add(session("ada", number))
        assert session("bob", 1) in ended
        assert len(ended) == 11

    def test_what_is_pushed_out_does_not_come_back(self) -> None:
        """A bound that forgets would let a stolen cookie in again: everything that old is over."""
        ended = SignedOut(now=Clock(), most=10)
        for number in range(30):
            ended.add(session("ada", number, issued=1000.0 + number))
        for number in range(30):
            assert session("ada", number, issued=1000.0 + number) in ended
        assert session("ada", 99, issued=1019.0) in ended  # as old as one that was pushed out
        assert session("ada", 99, issued=1020.5) not in ended
        assert session("bob", 99, issued=1000.0) not in ended

    def test_signing_out_twice_takes_one_place(self) -> None:
        ended = SignedOut(now=Clock(), most=2)
        for _ in range(5):
            ended.add(session("ada", 1))
        assert len(ended) == 1 and session("ada", 2) not in ended
