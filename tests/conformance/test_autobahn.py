"""The functional cases of the Autobahn suite, both roles: the same run as `make conformance`."""

from __future__ import annotations

import pytest

from tests.conformance import run

pytestmark = [pytest.mark.autobahn, pytest.mark.timeout(900)]


@pytest.mark.parametrize("role", ["server", "client"])
def test_functional_cases(role: str) -> None:
    assert run.main(["--role", role]) == 0
