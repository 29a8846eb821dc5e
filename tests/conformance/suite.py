"""Installs the Autobahn suite under .tools/ and runs it against a testee in another process.

The suite needs CPython 2.7, found in PYTHON27, on the PATH or under pyenv.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.verdicts import Tally, read_index

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".tools" / "autobahn"
WSTEST = HOME / "venv" / "bin" / "wstest"
VIRTUALENV = "virtualenv==20.15.1"  # the last line of releases that makes environments for 2.7
REQUIREMENTS = Path(__file__).with_name("requirements-py27.txt")
PYENV_ROOTS = ("~/.pyenv", "/opt/pyenv", "/usr/local/pyenv")
STEP_LIMIT = 300.0  # seconds without a single finished case: the run has hung

Progress = Callable[[str], None]


class SuiteError(Exception):
    """The suite could not be installed or run: what was tried and what it said."""


def find_python27() -> str:
    """Return a CPython 2.7 that starts. Raises SuiteError where there is none."""
    candidates = [os.environ.get("PYTHON27"), shutil.which("python2.7"), shutil.which("python2")]
    for root in filter(None, (os.environ.get("PYENV_ROOT"), *PYENV_ROOTS)):
        versions = Path(root).expanduser() / "versions"
        candidates += [str(path) for path in sorted(versions.glob("2.7*/bin/python2.7"))]
    probe = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", probe], capture_output=True)  # a shim may be empty
        if done.returncode == 0:
            return candidate
    raise SuiteError(
        "the Autobahn suite needs CPython 2.7, which is not on the PATH and not under pyenv: "
        "install it (pyenv install 2.7.18) or name it, as in PYTHON27=/path/to/python2.7"
    )


def run_step(*command: str, env: dict[str, str] | None = None) -> None:
    """Run one step of the installation. Raises SuiteError with its last words if it fails."""
    environment = {**os.environ, **(env or {}), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise SuiteError(f"{' '.join(command)} failed:\n{last}")


def install() -> None:
    """Install the suite unless it is there already; about 40 seconds."""
    stamp = HOME / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if WSTEST.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    python, maker, venv = find_python27(), HOME / "virtualenv", HOME / "venv"
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    print(f"Installing the Autobahn suite with {python} ...", flush=True)
    run_step(python, "-m", "pip", "install", "--quiet", "--target", str(maker), VIRTUALENV)
    run_step(python, "-m", "virtualenv", "--quiet", str(venv), env={"PYTHONPATH": str(maker)})
    pip = str(venv / "bin" / "pip")
    run_step(pip, "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS))
    run_step(str(WSTEST), "--help")
    stamp.write_text(wanted, encoding="utf-8")


@contextmanager
def child(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process whose output is read line by line, its errors going to a log; end it after."""
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, bufsize=1
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def testee_command(role: str, testee: str, *more: str) -> list[str]:
    """Return the command that runs one of our testees."""
    return [sys.executable, "-m", "tests.conformance.testees", role, testee, *more]


def wstest_command(mode: str, spec: dict[str, object], folder: Path) -> list[str]:
    """Write the suite's specification and return the command that runs it, output unbuffered."""
    path = folder / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    python = str(WSTEST.with_name("python"))
    return [python, "-u", str(WSTEST), "-m", mode, "-u", "0", "-s", str(path)]


def follow(process: subprocess.Popen[str], progress: Progress, mark: str) -> None:
    """Tell each case a process names until it ends. Raises SuiteError unless it ends well."""
    watchdog = threading.Timer(STEP_LIMIT, process.kill)
    watchdog.start()
    assert process.stdout is not None
    for line in process.stdout:
        if mark in line:
            progress(line.partition(mark)[2].split()[0])
            watchdog.cancel()
            watchdog = threading.Timer(STEP_LIMIT, process.kill)
            watchdog.start()
    watchdog.cancel()
    if process.wait(10):
        raise SuiteError(f"{process.args!r} ended with status {process.returncode}")


def fuzz_server(testee: str, cases: tuple[str, ...], folder: Path, progress: Progress) -> Tally:
    """Run the suite as a client against a testee's server."""
    with child(testee_command("server", testee), folder / "testee.log") as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise SuiteError(f"the {testee} server did not start: see {folder / 'testee.log'}")
        spec = {
            "outdir": str(folder),
            "servers": [{"agent": testee, "url": f"ws://127.0.0.1:{port}"}],
            "cases": list(cases),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        start = time.perf_counter()
        command = wstest_command("fuzzingclient", spec, folder)
        with child(command, folder / "suite.log") as suite:
            follow(suite, progress, "Running test case ID ")
        seconds = time.perf_counter() - start
        if server.poll() is not None:
            raise SuiteError(f"the {testee} server ended early: see {folder / 'testee.log'}")
    tally = read_index(folder / "index.json", testee, "server")
    tally.seconds = seconds
    return tally


def fuzz_client(testee: str, cases: tuple[str, ...], folder: Path, progress: Progress) -> Tally:
    """Run the suite as a server against a testee's client."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    spec = {
        "url": url,
        "outdir": str(folder),
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    command = wstest_command("fuzzingserver", spec, folder)
    with child(command, folder / "suite.log") as suite:
        await_port(port, suite)
        start = time.perf_counter()
        with child(testee_command("client", testee, url), folder / "testee.log") as client:
            follow(client, progress, "case ")
        seconds = time.perf_counter() - start
    tally = read_index(folder / "index.json", testee, "client")
    tally.seconds = seconds
    return tally


def await_port(port: int, process: subprocess.Popen[str], limit: float = 30.0) -> None:
    """Wait until a process listens on a port of loopback. Raises SuiteError when it does not."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SuiteError(f"nothing listens on port {port} after {limit:.0f} s")
