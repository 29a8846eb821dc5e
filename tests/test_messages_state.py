"""Floor 3, the table of phases and triggers, and the states that a program sees."""

from __future__ import annotations

import itertools

import pytest

from refimpl.errors import LocalProtocolError
from refimpl.messages import TRANSITIONS, Phase, Protocol, Role, State, Trigger
from refimpl.messages.state import next_phase
from tests.support.pair import ROLES, opened


class TestStates:
    """One table that is total, and steps that nobody may take."""

    def test_the_table_is_total(self) -> None:
        assert set(TRANSITIONS) == set(itertools.product(Phase, Trigger))
        assert set(TRANSITIONS.values()) <= {*Phase, None}

    def test_there_is_no_way_back(self) -> None:
        order = list(Phase)
        for (before, _), after in TRANSITIONS.items():
            assert after is None or order.index(after) >= order.index(before)

    def test_every_state_leads_to_closed(self) -> None:
        assert all(TRANSITIONS[phase, Trigger.LOSE_TCP] is Phase.CLOSED for phase in Phase)

    def test_only_accept_opens(self) -> None:
        opening = {pair for pair, after in TRANSITIONS.items() if after is Phase.OPEN != pair[0]}
        assert opening == {(Phase.CONNECTING, Trigger.ACCEPT)}

    @pytest.mark.parametrize(("pair", "after"), list(TRANSITIONS.items()))
    def test_illegal_step_names_state_and_trigger(
        self, pair: tuple[Phase, Trigger], after: Phase | None
    ) -> None:
        if after is not None:
            assert next_phase(*pair) is after
        else:
            with pytest.raises(LocalProtocolError, match=rf"{pair[1].name}.*{pair[0].name}"):
                next_phase(*pair)

    @pytest.mark.parametrize("role", ROLES)
    def test_a_life_goes_through_all_four(self, role: Role) -> None:
        protocol = Protocol(role)
        assert protocol.state is State.CONNECTING
        protocol = opened(role)
        assert protocol.state is State.OPEN
        protocol.send_close()
        assert protocol.state is State.CLOSING
        protocol.receive_eof()
        assert protocol.state is State.CLOSED
