"""`refimpl bench`: tables, files, a status for goals, and one line for what cannot be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from refimpl.bench import Record
from refimpl.bench.goals import GOALS
from refimpl.bench.peers import PEERS
from refimpl.cli.main import run
from tests.bench.planted import plant

SHORT = ["--workloads", "pipe", "--rounds", "2", "--seconds", "0.05"]


def words(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_tables_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chart, kept = tmp_path / "peers.png", tmp_path / "peers.json"
    files = ["--chart", str(chart), "--json", str(kept)]
    assert run(["bench", "--peers", "websockets", *SHORT, *files]) == 0
    out, err = words(capsys)
    for regime in ("heap kept", "default allocator"):
        assert f"{regime}: CPU of the server, us a message" in out
        assert f"{regime}: times the cost of refimpl; above 1, refimpl is ahead" in out
        assert f"{regime}: page faults of the server, a message or handshake" in out
        assert f"{regime}, noise: the middle half of the rounds" in out
    assert "pipe: websockets / refimpl" in out
    assert "at least 8" in out
    assert err == ""
    record = Record.from_json(kept.read_text(encoding="utf-8"))
    assert record.regimes == ["kept", "default"]
    assert record.ratio("pipe", "websockets").median > 0
    assert f"{record.ratio('pipe', 'websockets').median:.2f}" in out
    assert record.command == (
        "refimpl bench --peers websockets --workloads pipe --rounds 2 --seconds 0.05"
        " --crowds 1000,10000 --regimes kept,default"
    )
    assert record.versions["websockets"].startswith("websockets ")
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_idle_crowds_of_any_size(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workloads", "mem", "--crowds", "10,30", "--rounds", "1"]
    arguments += ["--regimes", "default"]
    assert run(["bench", "--peers", "raw", *arguments]) == 0
    out, _ = words(capsys)
    assert "memory 10, KiB a connection" in out
    assert "handshake 30, us a handshake" in out
    assert "heap kept" not in out
    assert "messages a second" not in out


@pytest.mark.parametrize(("wanted", "status"), [(0.0001, 0), (10_000, 1)])
def test_goals_decide_the_status_where_that_is_asked_for(
    wanted: float,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(GOALS["refimpl"], "pipe", {"raw": wanted})
    assert run(["bench", "--peers", "raw", *SHORT, "--goals"]) == status
    assert ("MISSED" if status else "met") in words(capsys)[0]


def test_a_missing_peer_is_named_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PEERS, "ws", replace(PEERS["ws"], missing=lambda: "npm install ws"))
    assert run(["bench", "--peers", "ws,raw", *SHORT]) == 0
    assert "missing: ws (npm install ws)" in words(capsys)[0]
    assert run(["bench", "--peers", "ws", *SHORT]) == 1
    assert words(capsys) == ("", "refimpl: ws is missing: npm install ws\n")


@pytest.mark.parametrize("kind", ["liar", "web", "broken", "dying"])
def test_a_faulty_server_is_one_line(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PEERS, "raw", plant(kind))
    assert run(["bench", "--peers", "raw", *SHORT]) == 1
    out, err = words(capsys)
    assert out == ""
    assert err.startswith(f"refimpl: {kind}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--peers", "nobody"], "got 'nobody', expected one of refimpl"),
        (["--peers", ","], "got no name, expected one of refimpl"),
        (["--regimes", "kept,mapped"], "got 'mapped', expected one of kept, default"),
        (["--workloads", "pp1,nothing"], "got 'nothing', expected one of pp1"),
        (["--crowds", "10,0"], "got '10,0', expected numbers above 0"),
        (["--rounds", "0"], "'--rounds'"),
        (["--seconds", "never"], "'--seconds'"),
        (["--json", "no/such/folder/peers.json"], "no such folder"),
    ],
)
def test_a_wrong_call_is_one_line_before_anything_runs(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == 2
    out, err = words(capsys)
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
