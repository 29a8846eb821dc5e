"""Capture files that are none: each gives one line that says what is wrong, and status 1."""

from __future__ import annotations

import copy
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refimpl.cli.main import run
from refimpl.lab.wire.capture import Capture
from tests.support import wire

GOOD: dict[str, Any] = {
    "program": "wscat",
    "version": "6",
    "command": "wscat -c",
    "chunks": [
        [0.0, "client", wire.request_head().hex()],
        [0.1, "server", wire.response_head().hex()],
        [0.2, "client", wire.frame(wire.TEXT, b"Hello", key=wire.KEY).hex()],
    ],
}


def inspect(content: bytes, *options: str) -> tuple[int, str, str]:
    """Run `refimpl inspect` on a file; return status, output and error output."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "some.json"
        path.write_bytes(content)
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run(["inspect", "--file", str(path), *options])
    return status, out.getvalue(), err.getvalue()


def changed(**values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **values}


def with_chunk(chunk: Any) -> dict[str, Any]:
    return changed(chunks=[*GOOD["chunks"], chunk])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "expected an object"),
        ("x", "expected an object"),
        (None, "expected an object"),
        ({}, "no 'program'"),
        ({name: GOOD[name] for name in GOOD if name != "chunks"}, "no 'chunks'"),
        (changed(program=1), "'program'"),
        (changed(version=None), "'version'"),
        (changed(command=["x"]), "'command'"),
        (changed(frames="yes"), "'frames'"),
        (changed(chunks={}), "'chunks'"),
        (changed(chunks="abc"), "'chunks'"),
        (with_chunk(None), "chunk 4"),
        (with_chunk("abc"), "chunk 4"),
        (with_chunk([0, "client"]), "chunk 4"),
        (with_chunk([0, "client", "", ""]), "chunk 4"),
        (with_chunk({"0": 0, "1": "client", "2": ""}), "chunk 4"),
        (with_chunk(["0", "client", ""]), "seconds"),
        (with_chunk([True, "client", ""]), "seconds"),
        (with_chunk([float("nan"), "client", ""]), "seconds"),
        (with_chunk([float("inf"), "client", ""]), "seconds"),
        (with_chunk([10**400, "client", ""]), "seconds"),
        (with_chunk([-1, "client", ""]), "seconds"),
        (with_chunk([0, "nobody", ""]), "client or server"),
        (with_chunk([0, ["client"], ""]), "client or server"),
        (with_chunk([0, None, ""]), "client or server"),
        (with_chunk([0, "client", "8"]), "hex"),
        (with_chunk([0, "client", "zz"]), "hex"),
        (with_chunk([0, "client", 81]), "hex"),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value)[-30:],
)
def test_it_says_what_is_wrong(content: Any, says: str) -> None:
    status, out, err = inspect(json.dumps(content).encode())
    assert (status, out) == (1, "")
    assert "some.json is no capture: " in err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"\x00", b"{", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000,
        '{"program": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}", b"nonsense",
    ],
    ids=lambda content: repr(content[:8]),
)  # fmt: skip
def test_what_is_no_json(content: bytes) -> None:
    status, out, err = inspect(content)
    assert (status, out) == (1, "")
    assert "some.json is no capture: " in err
    assert err.count("\n") == 1
    assert len(err) < 300


def test_a_good_one_is_shown() -> None:
    status, out, err = inspect(json.dumps(GOOD).encode())
    assert (status, err) == (0, "")
    assert "'Hello'" in out


def one_line_or_output(content: bytes) -> None:
    for options in ((), ("--bits",)):
        status, out, err = inspect(content, *options)
        assert (status, bool(out), err.count("\n")) in ((0, True, 0), (1, False, 1))


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["client", "server", "8900", "frames"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
CHUNKS = st.lists(
    st.tuples(VALUES, st.sampled_from(["client", "server"]) | VALUES, VALUES) | VALUES
)


@given(
    VALUES | st.fixed_dictionaries({}, optional={**dict.fromkeys(GOOD, VALUES), "chunks": CHUNKS})
)
@example(GOOD)
def test_any_json(content: Any) -> None:
    one_line_or_output(json.dumps(content).encode())


@given(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 4))
def test_a_good_one_with_bytes_changed(position: int, new: bytes, dropped: int) -> None:
    content = json.dumps(GOOD, indent=1).encode()
    position %= len(content)
    one_line_or_output(content[:position] + new + content[position + dropped :])


@given(
    st.lists(st.tuples(st.sampled_from(["client", "server"]), st.binary(max_size=60)), max_size=6),
    st.booleans(),
)
def test_any_bytes_in_a_good_one(said: list[tuple[str, bytes]], frames: bool) -> None:
    chunks = [[index / 10, who, data.hex()] for index, (who, data) in enumerate(said)]
    one_line_or_output(json.dumps(changed(chunks=chunks, frames=frames)).encode())


def test_load_raises_one_kind_of_error(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text("[")
    with pytest.raises(ValueError, match=r"some\.json is no capture"):
        Capture.load(path)
