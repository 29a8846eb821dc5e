"""The endpoint that gives tickets: to whom, how many, and with which headers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refimpl.auth import Authenticate, AuthError, TicketOffice, Tickets
from refimpl.auth.tickets import MAX_OF_USER, MemoryStore
from tests.support.clockwork import virtual_time
from tests.support.guarded import COOKIE, OWN, Echo, asked, bearer, guarded
from tests.support.signing import ADA, NOW, Clock, authenticator, forge, issuer


class TestTicketOffice:
    @staticmethod
    def office(clock: Clock, **options: Any) -> tuple[Authenticate, Tickets]:
        tickets = Tickets(MemoryStore(now=clock, **options), now=clock)
        return guarded(TicketOffice(tickets), clock, tickets=tickets), tickets

    @virtual_time
    async def test_ticket_is_sold_to_who_has_a_name(self) -> None:
        door, tickets = self.office(Clock())
        exchange = await asked(door, "http", method="POST", headers=bearer(forge()))
        assert exchange.status == 201
        assert exchange.headers["cache-control"] == "no-store"
        answer = json.loads(exchange.body)
        assert answer["expires_in"] == 30
        assert len(answer["ticket"]) == 43
        assert (await tickets.redeem(answer["ticket"])).user.id == "ada"

    @virtual_time
    async def test_nobody_gets_none(self) -> None:
        door, _ = self.office(Clock())
        assert (await asked(door, "http", method="POST")).status == 401

    @pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
    @virtual_time
    async def test_foreign_page_gets_none_by_cookie(self, origin: str | None) -> None:
        door, _ = self.office(Clock())
        lines = [("Cookie", f"{COOKIE}={forge()}")]
        if origin is not None:
            lines.append(("Origin", origin))
        assert (await asked(door, "http", method="POST", headers=lines)).status == 403
        assert (await asked(door, "http", method="POST", headers=[lines[0], OWN])).status == 201

    @virtual_time
    async def test_cookie_alone_may_read(self) -> None:
        app = Echo()
        lines = [("Cookie", f"{COOKIE}={forge()}")]
        assert (await asked(guarded(app), "http", headers=lines)).status == 200

    @virtual_time
    async def test_other_methods_are_405(self) -> None:
        door, _ = self.office(Clock())
        exchange = await asked(door, "http", method="GET", headers=bearer(forge()))
        assert (exchange.status, exchange.headers["allow"]) == (405, "POST")

    @virtual_time
    async def test_full_store_says_when_to_come_again(self) -> None:
        clock = Clock()
        door, tickets = self.office(clock, max_open=2)
        statuses = [
            (await asked(door, "http", method="POST", headers=bearer(forge()))) for _ in range(3)
        ]
        assert [exchange.status for exchange in statuses] == [201, 201, 503]
        assert statuses[-1].headers["retry-after"] == "5"
        clock.now += 30
        again = await asked(door, "http", method="POST", headers=bearer(forge()))
        assert again.status == 201
        assert len(tickets.store) == 1  # type: ignore[arg-type]

    @virtual_time
    async def test_one_user_cannot_fill_the_store(self) -> None:
        clock = Clock()
        tickets, verifier = Tickets(now=lambda: clock.now), authenticator().verifier
        ada, bob = verifier.verify(forge()), verifier.verify(forge(claims={"sub": "bob"}))
        for _ in range(MAX_OF_USER):
            await tickets.issue(ada)
        with pytest.raises(AuthError) as caught:
            await tickets.issue(ada)
        assert (caught.value.reason, caught.value.status) == ("often", 429)
        assert dict(caught.value.headers)["Retry-After"] == "5"
        await tickets.issue(bob)
        clock.now += 29
        await tickets.issue(bob)
        clock.now += 1
        await tickets.issue(ada)  # the oldest purchase is half a minute old
        clock.now += 40
        await tickets.issue(bob)
        assert list(tickets._bought) == ["bob"]  # nobody is remembered for longer

    @virtual_time
    async def test_ticket_is_never_sold_twice(self) -> None:
        tickets = Tickets(new_ticket=lambda: "always-the-same")
        claims = authenticator().verifier.verify(forge())
        await tickets.issue(claims)
        with pytest.raises(AuthError) as caught:
            await tickets.issue(claims)
        assert (caught.value.reason, caught.value.status) == ("full", 503)

    @virtual_time
    async def test_ticket_keeps_every_claim(self) -> None:
        tickets, door = Tickets(now=lambda: NOW), authenticator()
        for token in (forge(), issuer().issue(ADA)):
            claims = door.verifier.verify(token)
            assert await tickets.redeem(await tickets.issue(claims)) == claims
