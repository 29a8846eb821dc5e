"""`refimpl load`: a table, files where they are asked for, and one line for a wrong size."""

import json
from pathlib import Path

import pytest

from refimpl.command.main import run


def test_the_command_prints_a_table_and_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart, record = tmp_path / "chart.png", tmp_path / "record.json"
    files = ["--chart", str(chart), "--json", str(record)]
    assert run(["load", "churn", "--rate", "20", "--seconds", "1", *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith("20 connects and disconnects a second for 1 s")
    assert "at most 2  kept" in out
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert json.loads(record.read_text())["rows"]["visits"]["value"] == 20


@pytest.mark.parametrize("arguments", [["room", "--members", "0"], ["idle", "--seconds", "never"]])
def test_a_wrong_size_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["load", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
