"""What the conformance run accepts and what it does not, on reports made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance import run, suite
from tests.conformance.verdicts import (
    ALWAYS_INFORMATIONAL,
    Tally,
    complaints,
    read_index,
    table,
    verdict,
)


def good(cases: int = 247) -> Tally:
    verdicts = {f"1.1.{number}": "OK" for number in range(1, cases - 2)}
    verdicts |= dict.fromkeys(ALWAYS_INFORMATIONAL, "INFORMATIONAL")
    return Tally("refimpl", "server", 9.6, verdicts)


@pytest.mark.parametrize(
    ("behavior", "behavior_close", "expected"),
    [
        ("OK", "OK", "OK"),
        ("INFORMATIONAL", "INFORMATIONAL", "INFORMATIONAL"),
        ("OK", "INFORMATIONAL", "INFORMATIONAL"),
        ("NON-STRICT", "OK", "NON-STRICT"),
        ("NON-STRICT", "INFORMATIONAL", "NON-STRICT"),
        ("FAILED", "OK", "FAILED"),
        ("OK", "WRONG CODE", "FAILED"),
        ("OK", "UNCLEAN", "FAILED"),
        ("UNIMPLEMENTED", "OK", "FAILED"),
        ("INFORMATIONAL", "FAILED BY CLIENT", "FAILED"),
    ],
)
def test_the_worse_of_two_verdicts_counts(
    behavior: str, behavior_close: str, expected: str
) -> None:
    assert verdict(behavior, behavior_close) == expected


def test_a_good_run_has_no_complaints() -> None:
    assert complaints(good(), 247) == []


@pytest.mark.parametrize("bad", ["FAILED", "NON-STRICT"])
def test_one_bad_case_is_named(bad: str) -> None:
    tally = good()
    tally.verdicts["1.1.8"] = bad
    assert complaints(tally, 247) == [f"{bad}: 1.1.8"]


def test_a_new_informational_case_is_named() -> None:
    tally = good()
    tally.verdicts["1.1.2"] = "INFORMATIONAL"
    assert complaints(tally, 247) == ["INFORMATIONAL beside the usual three: 1.1.2"]


def test_cases_that_did_not_run_are_missed() -> None:
    assert complaints(good(246), 247) == ["ran 246 cases, expected 247"]


def test_reads_the_index_of_one_agent(tmp_path: Path) -> None:
    said = {"behavior": "OK", "behaviorClose": "WRONG CODE", "duration": 2, "remoteCloseCode": 1000}
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"refimpl": {"7.1.5": said}, "other": {}}), encoding="utf-8")
    assert read_index(index, "refimpl", "client").verdicts == {"7.1.5": "FAILED"}
    assert read_index(index, "nobody", "client").verdicts == {}


def test_cases_are_listed_in_the_order_of_their_numbers() -> None:
    tally = Tally("x", "server", verdicts=dict.fromkeys(("1.1.10", "1.1.9", "10.1.1"), "FAILED"))
    assert tally.cases("FAILED") == ["1.1.9", "1.1.10", "10.1.1"]


def test_the_table_shows_the_counts() -> None:
    row = table([good()]).splitlines()[1]
    assert row.split() == ["refimpl", "server", "247", "244", "0", "3", "0", "10", "s"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["refimpl", "engine"]),
        (["--cases", "all"], ["refimpl"]),
        (["--testee", "wsproto"], ["wsproto"]),
    ],
)
def test_without_a_testee_our_own_are_run(arguments: list[str], expected: list[str]) -> None:
    assert list(run.parse(arguments).testee) == expected


def test_the_engine_has_the_servers_role_and_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def run_one(testee: str, role: str, cases: str) -> Tally:
        ran.append((testee, role))
        verdicts = good().verdicts | ({"1.1.8": "FAILED"} if testee == "engine" else {})
        return Tally(testee, role, 1.0, verdicts)

    monkeypatch.setattr(run, "run_one", run_one)
    monkeypatch.setattr(run, "REPORTS", tmp_path)
    monkeypatch.setattr(suite, "install", lambda: None)
    assert run.main([]) == 1
    assert ran == [("refimpl", "server"), ("refimpl", "client"), ("engine", "server")]
    assert capsys.readouterr().err == "engine server: FAILED: 1.1.8\n"


def test_a_missing_python_27_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "HOME", tmp_path / "autobahn")
    monkeypatch.setattr(suite, "WSTEST", tmp_path / "autobahn" / "wstest")
    monkeypatch.setattr(suite, "PYENV_ROOTS", (str(tmp_path),))
    for name in ("PYENV_ROOT", "PYTHON27"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.main([]) == 2
    assert capsys.readouterr().err.startswith("the Autobahn suite needs CPython 2.7")
