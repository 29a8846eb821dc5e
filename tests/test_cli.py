"""The command line as a function: help, wrong calls, bytes taken apart, the doctor, the learner."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from refimpl import __version__
from refimpl.cli import doctor, main
from refimpl.cli.inspect import parse_hex
from refimpl.lab.wire.capture import Capture
from tests.support import wire

COMMANDS = list(main.COMMANDS)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    """Run a command line that ends with this status; return its output and its error output."""
    got = main.run(arguments)
    out, err = capsys.readouterr()
    assert got == status, err
    return out, err


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str, status: int) -> str:
    """Run a command line that fails; return its one line on stderr."""
    out, err = run(capsys, *arguments, status=status)
    assert out == ""
    assert err.startswith("refimpl: ")
    assert err.count("\n") == 1
    return err


class TestHelp:
    def test_alone_it_lists_the_commands(self, capsys: pytest.CaptureFixture[str]) -> None:
        out, _ = run(capsys)
        for command in COMMANDS:
            assert f"  {command} " in out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_examples(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = run(capsys, command, "--help")
        assert "Example" in out
        assert f"refimpl {command}" in out.split("Example")[1]

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(capsys, "--version")[0].strip().endswith(__version__)

    def test_serve_names_its_options_as_serve_its_arguments(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = run(capsys, "serve", "--help")
        for name in ("max-size", "max-fragments", "origins", "compression", "ping-interval"):
            assert f"--{name} " in out


class TestWrongCalls:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["nonsense"], "'nonsense'"),
            (["serve", "--port", "x"], "--port"),
            (["serve", "--port", "65536"], "65535"),
            (["serve", "--max-size", "big"], "'big'"),
            (["serve", "--app", "nonsense"], "module:name"),
            (["serve", "--app", "no_such_module:handler"], "no_such_module"),
            (["serve", "--app", "json:handler"], "handler"),
            (["serve", "--ssl", __file__], "certificate"),
            (["connect"], "URI"),
            (["connect", "ws://a.example", "--header", "no colon"], "Name: value"),
            (["inspect", "81", "--file", "x"], "one of"),
            (["inspect", "--listen", "9000"], "--to"),
            (["inspect", "--listen", "port", "--to", "ws://a.example"], "port"),
            (["inspect", "8"], "even"),
            (["inspect", "zz"], "'z'"),
            (["reset"], "CHAPTER"),
        ],
        ids=" ".join,
    )
    def test_one_line_and_status_2(
        self, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = complaint(capsys, *arguments, status=2)
        assert says in line
        assert "--help" in line

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["connect", "http://a.example"], "ws://"),
            (["connect", "ws://a.example/#x"], "fragment"),
            (["serve", "--max-size", "0"], "max_size"),
            (["inspect", "--file", "no/such/file"], "no/such/file"),
            (["inspect", "--file", "no/such/capture.json"], "capture"),
            (["inspect", "--listen", "0", "--to", "http://a.example"], "ws://"),
            (["reset", "nonsense"], "02_framing"),
        ],
        ids=" ".join,
    )
    def test_one_line_and_status_1(
        self, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert says in complaint(capsys, *arguments, status=1)

    def test_a_capture_that_is_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for text in ("nonsense", "[]", '{"chunks": 1}'):
            path = tmp_path / "bad.json"
            path.write_text(text)
            assert "no capture" in complaint(capsys, "inspect", "--file", str(path), status=1)


class TestInspect:
    HELLO = "81 85 37 fa 21 3d 7f 9f 4d 51 58"

    @pytest.mark.parametrize(
        "spelling",
        [
            [HELLO],
            HELLO.split(),
            [HELLO.replace(" ", "")],
            [HELLO.replace(" ", ":").upper()],
            ["0x81,0x85,0x37,0xfa,0x21,0x3d,0x7f,0x9f,0x4d,0x51,0x58"],
            ["\\x81\\x85\\x37\\xfa\\x21\\x3d\\x7f\\x9f\\x4d\\x51\\x58"],
        ],
        ids=lambda spelling: spelling[0][:12],
    )
    def test_hex_however_it_is_grouped(
        self, spelling: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = run(capsys, "inspect", *spelling)
        assert out.startswith("TEXT fin masked, 5 bytes")
        assert "|Hello|" in out

    def test_parse_hex_takes_every_byte(self) -> None:
        assert parse_hex(bytes(range(256)).hex(" ")) == bytes(range(256))

    def test_a_file_of_raw_bytes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "frames.bin"
        path.write_bytes(wire.frame(wire.PING, b"hi") + wire.close(1000))
        out, _ = run(capsys, "inspect", "--file", str(path))
        assert "PING" in out
        assert "NORMAL_CLOSURE" in out

    def test_a_head_and_the_frames_behind_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "stream.bin"
        path.write_bytes(wire.request_head() + wire.frame(wire.TEXT, b"Hello", key=wire.KEY))
        out, _ = run(capsys, "inspect", "--file", str(path))
        assert "Sec-WebSocket-Key" in out
        assert "|Hello|" in out

    def test_a_capture(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "capture.json"
        Capture.of(
            ("client", wire.request_head()),
            ("server", wire.response_head()),
            ("client", wire.frame(wire.TEXT, b"Hello", key=wire.KEY)),
        ).save(path)
        out, _ = run(capsys, "inspect", "--file", str(path))
        assert "GET /chat HTTP/1.1" in out
        assert "'Hello'" in out
        assert "payload length" not in out
        assert "payload length" in run(capsys, "inspect", "--bits", "--file", str(path))[0]

    def test_compressed_frames_only_where_agreed(self, capsys: pytest.CaptureFixture[str]) -> None:
        frame = "c1 07 f2 48 cd c9 c9 07 00"
        assert "RSV1" in run(capsys, "inspect", frame)[0]
        judged = run(capsys, "inspect", frame)[0]
        allowed = run(capsys, "inspect", "--compressed", frame)[0]
        assert judged != allowed


class TestDoctor:
    def test_this_environment_is_well(self, capsys: pytest.CaptureFixture[str]) -> None:
        out, _ = run(capsys, "doctor")
        assert "Python 3." in out
        assert "MISSING" not in out

    def test_what_is_missing_is_named_with_its_remedy(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        lock = "click==0.0.1\nno-such-package==1.0\nfor-others==1 ; sys_platform == 'plan9'\n"
        monkeypatch.setattr(doctor, "declared", lambda: {"click", "no-such-package"})
        (tmp_path / "requirements.lock").write_text(lock)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(doctor, "OLDEST", (4, 0))
        monkeypatch.setattr(doctor, "find_spec", lambda name: None)
        monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
        monkeypatch.setattr("refimpl.framing.ACCELERATED", False)
        out, _ = run(capsys, "doctor", status=1)
        for words in (
            "make lab PYTHON=",
            "0 of 2 packages",
            "not installed: no-such-package",
            "run: make setup",
            "(lock: 0.0.1)",
            "pure Python",
            "notebooks need jupyterlab",
            "Chromium not found",
            "Node.js not found",
        ):
            assert words in out
        assert "for-others" not in out

    def test_what_only_some_tests_need_may_be_missing(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "requirements.lock").write_text("click==0.0.1\nno-such-package==1.0\n")
        monkeypatch.chdir(tmp_path)
        out, _ = run(capsys, "doctor")
        assert re.search(r"optional +not installed: no-such-package\n", out)
        assert "click" in doctor.declared()
        assert "jupyterlab" in doctor.declared()
        assert "playwright" not in doctor.declared()


class TestLearner:
    @pytest.fixture(autouse=True)
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Make a project with one chapter's exercises, and work in it."""
        (tmp_path / "exercises").mkdir()
        (tmp_path / "exercises" / "02_framing.ipynb").write_text("pristine")
        monkeypatch.setenv("REFIMPL_ROOT", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_start_copies_what_is_missing(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, _ = run(capsys, "start")
        copy = project / "workspace" / "02_framing.ipynb"
        assert out == f"copied {Path('workspace') / '02_framing.ipynb'}\n"
        copy.write_text("my work")
        assert "every exercise already" in run(capsys, "start")[0]
        assert copy.read_text() == "my work"

    def test_reset_keeps_the_old_file(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(capsys, "start")
        copy = project / "workspace" / "02_framing.ipynb"
        copy.write_text("my work")
        out, _ = run(capsys, "reset", "02")
        assert copy.read_text() == "pristine"
        kept = project / out.split("yours kept: ")[1].strip()
        assert kept.read_text() == "my work"

    def test_reset_of_a_chapter_without_exercises(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "no exercises" in complaint(capsys, "reset", "00", status=1)

    def test_progress_before_the_start(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        book = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
        (project / "exercises" / "02_framing.ipynb").write_text(book)
        out, _ = run(capsys, "progress")
        assert "02_framing" in out
        assert "not started" in out


class TestImportCost:
    HEAVY = ("asyncio", "click", "rich", "IPython", "matplotlib", "numpy", "refimpl.lab")

    def test_import_refimpl_loads_next_to_nothing(self) -> None:
        code = "import sys; before = set(sys.modules); import refimpl; print(*sys.modules)"
        loaded = self.python(code).split()
        assert not [name for name in self.HEAVY if name in loaded]

    def test_serve_and_connect_load_no_tool_and_no_notebook(self) -> None:
        code = "import sys; from refimpl import serve, connect, broadcast; print(*sys.modules)"
        loaded = self.python(code).split()
        assert "asyncio" in loaded
        assert not [name for name in self.HEAVY[1:] if name in loaded]

    @staticmethod
    def python(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout
