"""How the run of uvicorn's tests is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.uvicorn_suite import Outcome, complaints, locked_version, read, short_name

RESTS = {"test_known": "its reason", "test_some[a]": "its reason"}

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite>
<testcase name="test_good[websockets-sansio-h11]"/>
<testcase name="test_known[websockets-sansio-h11]"><failure message="no"/></testcase>
<testcase name="test_broken"><error message="fixture"/></testcase>
<testcase name="test_some[websockets-sansio-h11-a]"><failure message="no"/></testcase>
<testcase name="test_some[websockets-sansio-h11-b]"/>
<testcase name="test_left[h11]"><skipped message="why"/></testcase>
</testsuite></testsuites>
"""


def test_a_file_of_results_is_read_by_short_names(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT, encoding="utf-8")
    assert read(path) == Outcome(
        passed=["test_good", "test_some[b]"],
        failed=["test_known", "test_broken", "test_some[a]"],
        skipped=["test_left"],
    )


@pytest.mark.parametrize(
    ("passed", "failed", "said"),
    [
        ([], ["test_known", "test_some[a]"], []),
        (["test_other"], ["test_known", "test_some[a]"], []),
        ([], ["test_new", "test_known", "test_some[a]"], ["test_new failed"]),
        (
            ["test_known"],
            ["test_some[a]"],
            ["test_known passed, but is listed as a rest"],
        ),
        ([], ["test_known"], ["test_some[a] is listed as a rest, but did not run"]),
    ],
)
def test_every_difference_to_the_list_is_a_complaint(
    passed: list[str], failed: list[str], said: list[str]
) -> None:
    assert complaints(Outcome(passed, failed), RESTS) == said


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("test_a", "test_a"),
        ("test_a[h11]", "test_a"),
        ("test_a[h11-max=10 sent=11]", "test_a[max=10 sent=11]"),
        ("test_a[websockets-sansio-h11-None-1000]", "test_a[None-1000]"),
        ("test_a[proto1-websockets-sansio-h11]", "test_a[proto1]"),
        ("test_a[http-ws://1.2.3.4:0-websockets-sansio-h11]", "test_a[http-ws://1.2.3.4:0]"),
    ],
)
def test_a_short_name_has_the_parameters_that_are_not_ours(name: str, short: str) -> None:
    assert short_name(name) == short


def test_the_lock_names_a_version() -> None:
    assert locked_version()[0].isdigit()
