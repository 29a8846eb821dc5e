"""What all tests share: the `rule` mark and the profiles of Hypothesis."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline per example: the machine may be busy, and a slow example is not a wrong one. Examples
# are the same on each run, so that a red run can be repeated; HYPOTHESIS_PROFILE=search looks on.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=5000, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "rule(numbers): the rules of tests/checklist.py that this test shows"
    )
