"""The bench: its statistics on made-up figures, its servers for real, and planted faults found."""

from __future__ import annotations

import contextlib
import mmap
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import refimpl
from refimpl.bench import Record, Sample, bench, goals_report
from refimpl.bench.allocator import REGIMES, environment
from refimpl.bench.client import PATIENCE, PeerFailed, make_traffic
from refimpl.bench.goals import GOALS, verdict
from refimpl.bench.machine import (
    cpu_seconds,
    family,
    kept_waiting,
    on_core,
    page_faults,
    resident_bytes,
)
from refimpl.bench.peers import OURS, PEERS, Peer, find_peers, gorilla, is_ours, node
from refimpl.bench.record import RECORDS, middle
from refimpl.bench.workloads import WORKLOADS
from refimpl.framing import ACCELERATED, parse_frame
from tests.bench.planted import MAPPED, plant


def made_up(**costs: dict[str, list[float]]) -> Record:
    record = Record(rounds=3, seconds=1, machine={"load": 0})
    for metric, found in costs.items():
        for peer, values in found.items():
            for value in values:
                record.add(metric, peer, Sample(value, 1e6 / value, 0.5))
    return record


class TestStatistics:
    def test_median_and_middle_half(self) -> None:
        found = middle([100, 1, 2, 3, 4])
        assert (found.low, found.median, found.high) == (2, 3, 4)
        assert found.spread == pytest.approx(1 / 3)
        assert middle([7]).spread == 0

    def test_ratios_are_taken_within_a_round(self) -> None:
        """The machine slowed down threefold in the last round: it did so for both."""
        record = made_up(pipe={"refimpl": [1, 1, 3], "websockets": [8, 8, 24]})
        ratio = record.ratio("pipe", "websockets")
        assert (ratio.low, ratio.median, ratio.high) == (8, 8, 8)

    def test_pairs_are_not_the_ratio_of_the_medians(self) -> None:
        record = made_up(pipe={"refimpl": [1, 2, 4], "websockets": [4, 2, 8]})
        assert record.ratio("pipe", "websockets").median == 2  # of 4, 1 and 2; medians: 4 / 2
        assert record.ratio("pipe", "refimpl", "websockets").median == 0.5
        record = made_up(pipe={"refimpl": [1, 2, 3], "websockets": [9, 2, 6]})
        assert record.ratio("pipe", "websockets").median == 2  # of 9, 1 and 2; medians: 6 / 2 = 3

    def test_what_was_not_measured_has_no_ratio(self) -> None:
        record = made_up(pipe={"refimpl": [1]}, pp1={"websockets": [1]})
        for metric in ("pipe", "pp1", "64k"):
            with pytest.raises(LookupError, match="no figures"):
                record.ratio(metric, "websockets")

    def test_noise_is_the_spread_of_the_costs(self) -> None:
        record = made_up(pipe={"refimpl": [10, 10, 10]}, pp1={"refimpl": [10, 20, 30]})
        assert record.noise() == (0.125, 0.25)
        assert Record(1, 1).noise() == (0, 0)

    def test_a_client_slower_than_the_server_is_named(self) -> None:
        record = Record(3, 1)
        for client in (0.5, 1.5, 1.6):
            record.add("pp1", "raw", Sample(10, 1, client))
            record.add("pp1", "refimpl", Sample(10, 1, 0.5))
        assert record.slow_clients() == ["pp1, raw: the client needed 1.50x the server's CPU"]

    def test_what_others_took_is_kept(self) -> None:
        record = Record(3, 1)
        for share in (0.0, 0.3, 0.5):
            record.add("pp1", "refimpl", Sample(10, 1, 0.5, share))
        record.add("memory 10", "refimpl", Sample(5))  # not on the clock
        assert record.disturbed() == 0.3
        assert Record(1, 1).disturbed() == 0

    def test_differences_below_a_tie_are_none(self) -> None:
        words = [verdict(ratio) for ratio in (1.2, 1.1, 1, 0.9, 0.85)]
        assert words == ["ahead", "tie", "tie", "tie", "behind"]

    def test_a_record_comes_back_from_its_file(self) -> None:
        record = made_up(pipe={"refimpl": [1.5, 2], "websockets": [8, 9]}, pp1={"raw": [25]})
        record.notes, record.versions = ["a note"], {"refimpl": "9.9"}
        again = Record.from_json(record.to_json())
        assert again == record.from_json(again.to_json())
        assert again.costs("pipe", "websockets") == [8, 9]
        assert (again.rounds, again.notes, again.versions) == (3, ["a note"], record.versions)
        assert '"cost": [1.5, 2.0]' in record.to_json()  # numbers side by side, for a short file

    def test_regimes_are_kept_apart(self) -> None:
        record = made_up(pipe={"refimpl": [10], "websockets": [20]})
        for peer, cost, faults in (("refimpl", 10, 0.0), ("websockets", 40, 64.5)):
            record.add("pipe", peer, Sample(cost, faults=faults), "default")
        record = Record.from_json(record.to_json())
        assert record.regimes == ["kept", "default"]
        assert record.ratio("pipe", "websockets").median == 2  # of the reference
        assert record.faults("pipe", "websockets") == 0
        default = record.under("default")
        assert default.ratio("pipe", "websockets").median == 4
        assert default.faults("pipe", "websockets") == 64.5
        assert default.peers == ["refimpl", "websockets"]
        with pytest.raises(LookupError, match="got regime 'other', measured: kept, default"):
            record.under("other")

    def test_the_reference_is_read_first_whenever_it_was_measured(self) -> None:
        record = Record(1, 1)
        assert (record.regimes, record.found, record.peers) == ([], {}, [])
        record.add("pipe", "refimpl", Sample(1), "default")
        assert record.cost("pipe", "refimpl") == middle([1])
        record.add("pipe", "refimpl", Sample(2), "kept")
        assert record.cost("pipe", "refimpl") == middle([2])

    def test_a_record_from_before_faults_were_counted_is_read(self) -> None:
        record = made_up(pipe={"refimpl": [1.5]})
        old = re.sub(r',\s+"faults": \[[^]]*\]', "", record.to_json())
        assert "faults" not in old
        assert Record.from_json(old) == Record.from_json(record.to_json())

    def test_the_committed_record_is_read(self) -> None:
        record = Record.from_json((RECORDS / "peers.json").read_text(encoding="utf-8"))
        assert set(record.regimes) <= set(REGIMES)
        assert record.ratio("pp1", "websockets").median > 0

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": 3}', '{"samples": {}}'])
    def test_what_is_no_record_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            Record.from_json(text)


class TestGoals:
    def test_met_and_missed(self) -> None:
        record = made_up(
            pipe={"refimpl": [1], "websockets": [8], "aiohttp": [4.4]},
            pp1={"refimpl": [10], "websockets": [12.9]},
        )
        report = goals_report(record)
        kept = {row.name: row.kept for row in report.rows}
        assert kept == {
            "pp1: websockets / refimpl": False,
            "pipe: websockets / refimpl": True,
            "pipe: aiohttp / refimpl": False,
        }
        assert not report.kept

    def test_our_variants_have_goals_of_their_own(self) -> None:
        record = made_up(
            **{
                "64k": {"refimpl-pure": [100], "websockets": [46]},
                "pipe": {"uvicorn+refimpl": [1], "uvicorn": [4.1], "websockets": [1]},
            }
        )
        report = goals_report(record)
        assert [row.name for row in report.rows] == [
            "64k: websockets / refimpl-pure", "pipe: uvicorn / uvicorn+refimpl",
        ]  # fmt: skip
        assert report.kept

    def test_every_goal_is_about_something_that_is_measured(self) -> None:
        metrics = {*WORKLOADS, "memory 10,000", "handshake 10,000"}
        for subject, goals in GOALS.items():
            assert subject in OURS
            assert set(goals) <= metrics
            assert {peer for peers in goals.values() for peer in peers} <= set(PEERS)


class TestTraffic:
    @pytest.mark.parametrize("name", [name for name in WORKLOADS if name != "mem"])
    def test_frames_are_what_the_workload_says(self, name: str) -> None:
        workload = WORKLOADS[name]
        traffic = workload.traffic(handshake=True)
        sent, back = frames(traffic.sent, masked=True), frames(traffic.back, masked=False)
        assert [frame.payload for frame in sent] == [frame.payload for frame in back]
        assert [len(frame.payload) for frame in sent] == [workload.size] * workload.in_flight
        assert {frame.opcode.name for frame in sent} == {"TEXT" if workload.text else "BINARY"}
        assert len({frame.masking_key for frame in sent}) == workload.in_flight
        assert traffic.messages == workload.in_flight

    def test_a_server_that_does_not_unmask_sends_the_same_bytes(self) -> None:
        traffic = make_traffic(64, 2, text=True, handshake=False)
        assert traffic.sent == traffic.back


def frames(data: bytes, *, masked: bool) -> list:  # type: ignore[type-arg]
    found, position = [], 0
    while position < len(data):
        parsed = parse_frame(data, position, masked=masked)
        assert parsed is not None
        frame, position = parsed
        found.append(frame)
    return found


class TestMachine:
    def test_cpu_and_memory_of_a_process_include_its_children(self) -> None:
        child = "import sys; b = bytearray(50 << 20); sum(range(3 * 10**6)); print(1, flush=True); "
        wait = "sys.stdin.read()"
        parent = (
            "import subprocess, sys; "
            f"p = subprocess.Popen([sys.executable, '-c', {child + wait!r}]); p.wait()"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", parent], **pipes) as process:  # type: ignore[call-overload]
            assert process.stdout.readline() == b"1\n"
            assert len(family(process.pid)) == 2
            alone = family(process.pid)[1:]
            assert resident_bytes(process.pid) > resident_bytes(alone[0]) > 50 << 20
            assert cpu_seconds(process.pid) > cpu_seconds(alone[0]) > 0.001
            process.stdin.close()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")
    def test_who_shares_a_core_is_kept_waiting(self) -> None:
        spin = "import sys; print(1, flush=True)\nwhile True: pass"
        with on_core(0):
            rivals = [
                subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
                for _ in range(2)
            ]
        try:
            for rival in rivals:
                assert rival.stdout is not None
                rival.stdout.readline()
            end = time.monotonic() + 10
            while not all(kept_waiting(rival.pid) > 0.001 for rival in rivals):
                assert time.monotonic() < end
        finally:
            for rival in rivals:
                rival.kill()
                rival.communicate()
        assert kept_waiting(rivals[0].pid) == 0  # it is gone

    def test_psutil_says_the_same_where_there_is_no_linux(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ours = cpu_seconds(os.getpid())
        monkeypatch.setattr("refimpl.bench.machine.LINUX", False)
        assert cpu_seconds(os.getpid()) == pytest.approx(ours, abs=0.1)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts them")
    def test_page_faults_are_counted(self) -> None:
        before = page_faults(os.getpid())
        block = mmap.mmap(-1, 1000 * mmap.PAGESIZE)
        with contextlib.suppress(AttributeError, OSError):  # one fault for many pages, elsewhere
            block.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(1000):
            block[page * mmap.PAGESIZE] = 1
        assert 1000 <= page_faults(os.getpid()) - before < 5000
        block.close()
        assert page_faults(2**22 + 1) == 0  # nobody's number

    def test_a_regime_is_all_that_is_said_to_the_allocator(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
        monkeypatch.setenv("SOMETHING_ELSE", "kept")
        for regime, variables in REGIMES.items():
            told = environment(regime)
            assert {name: told[name] for name in told if name.startswith("MALLOC_")} == variables
            assert told["SOMETHING_ELSE"] == "kept"

    @pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no cores to choose here")
    def test_a_core_is_given_back(self) -> None:
        before = os.sched_getaffinity(0)
        with on_core(0):
            assert os.sched_getaffinity(0) == ({min(before)} if len(before) > 1 else before)
        assert os.sched_getaffinity(0) == before


# Peers that few machines have: `make peers`, where a missing one is a failure.
RARE = ("picows", "refimpl-uvloop", "uvicorn+refimpl")  # the last needs a later chapter
ECHOES = [
    pytest.param(name, marks=pytest.mark.peers if name in RARE else ())
    for name in PEERS
    if name not in ("gorilla", "ws")
]


@pytest.fixture
def small_crowd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(WORKLOADS, "bcast", replace(WORKLOADS["bcast"], connections=20))
    yield


class TestRun:
    @pytest.mark.usefixtures("small_crowd")
    @pytest.mark.parametrize("name", ECHOES)
    async def test_a_peer_echoes_and_broadcasts(self, name: str) -> None:
        """1 MiB arrives in many reads, and pipelined messages many in one."""
        assert PEERS[name].missing() is None
        record = await bench([PEERS[name]], ["1m", "bcast"], rounds=1, seconds=0.05)
        assert record.peers == [name]
        assert all(record.costs(metric, name)[0] > 0 for metric in ("1m", "bcast"))
        assert name.split("+")[0].split("-")[0] in record.versions[name].lower() or name == "raw"

    @pytest.mark.usefixtures("small_crowd")
    @pytest.mark.peers
    async def test_gorilla_echoes_and_broadcasts(self) -> None:
        assert gorilla.missing() is None
        record = await bench([PEERS["gorilla"]], ["1m", "bcast"], rounds=1, seconds=0.05)
        assert record.versions["gorilla"].startswith("gorilla/websocket 1.")

    @pytest.mark.skipif(not ACCELERATED, reason="there is no C mask here")
    async def test_the_pure_variant_has_no_c_mask(self) -> None:
        record = await bench(["refimpl-pure"], ["64k"], rounds=1, seconds=0.1)
        assert record.versions["refimpl-pure"].endswith("pure mask")
        assert "C mask" in record.versions["refimpl"]
        assert record.ratio("64k", "refimpl-pure").median > 1

    async def test_all_workloads_and_their_metrics(self) -> None:
        told: list[float] = []
        record = await bench(
            [PEERS["refimpl"], PEERS["raw"]],
            ["pp1", "pp100", "pipe", "mem"],
            rounds=2,
            seconds=0.05,
            sizes=(20, 60),
            tell=lambda share, words: told.append(share),
        )
        metrics = ["pp1", "pp100", "pipe", "memory 20", "handshake 20", "memory 60", "handshake 60"]
        assert list(record.found) == metrics
        assert len(record.costs("pipe", "raw")) == 2
        assert record.costs("handshake 60", "raw") == []  # it shakes no hands
        assert record.ratio("pipe", "raw").median < 1  # a floor
        assert told == sorted(told)
        assert told[0] == 0
        assert told[-1] == 1
        assert record.machine["cores"] >= 1
        assert record.date

    async def test_crowds_are_smaller_where_few_files_may_be_open(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("refimpl.bench.run.raise_file_limit", lambda: 180)
        record = await bench(
            [PEERS["raw"], PEERS["refimpl"]],
            ["bcast", "mem"],
            rounds=1,
            seconds=0.05,
            sizes=(20, 40),
        )
        assert list(record.found)[1:] == [
            "memory 20",
            "memory 30",
            "handshake 20",
            "handshake 30",
        ]
        assert record.notes == [
            "bcast: 40 connections, for the limit of open files",
            "mem: 30 connections at most, for the limit of open files",
        ]

    @pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the regimes are glibc's")
    async def test_both_regimes_are_measured_and_their_page_faults(self) -> None:
        """The planted server gets its memory anew at each message where the allocator lets it."""
        peers = [PEERS["refimpl"], plant("mapping")]
        record = await bench(
            peers, ["pp1", "mem"], rounds=1, seconds=0.1, sizes=(20,), regimes=("default", "kept")
        )
        assert record.regimes == ["kept", "default"]
        default = record.under("default")
        assert default.faults("pp1", "mapping") >= MAPPED > 1 > record.faults("pp1", "mapping")
        for part in (record, default):
            assert part.faults("pp1", "refimpl") < 1
            assert part.faults("handshake 20", "refimpl") > 0
            assert part.costs("memory 20", "refimpl")
        with pytest.raises(LookupError, match="got regime 'other', expected one of kept, default"):
            await bench(peers, ["pp1"], regimes=["other"])

    async def test_another_checkout_is_measured_beside_this_one(self, tmp_path: Path) -> None:
        package = Path(refimpl.__file__).parent
        skip = shutil.ignore_patterns("__pycache__", "lab", "classroom", "chat")
        shutil.copytree(package, tmp_path / "refimpl", ignore=skip)
        init = tmp_path / "refimpl" / "__init__.py"
        init.write_text(init.read_text("utf-8").replace(refimpl.__version__, "9.9.9"), "utf-8")
        there = f"refimpl@{tmp_path}"
        record = await bench([there], ["pp1"], rounds=1, seconds=0.05)
        assert record.peers == ["refimpl", there]
        assert record.versions[there].startswith("refimpl 9.9.9")
        assert record.versions["refimpl"].startswith(f"refimpl {refimpl.__version__}")
        assert record.ratio("pp1", there).median > 0

    async def test_a_planted_slow_peer_is_measured_as_slower(self) -> None:
        record = await bench([PEERS["refimpl"], plant("slow")], ["pipe"], rounds=2, seconds=0.1)
        assert record.cost("pipe", "slow").median > 290  # type: ignore[union-attr]
        assert record.ratio("pipe", "slow").median > 5


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "workload", "words"),
        [
            ("liar", "pp1", "a wrong answer, at byte 33 of 34"),
            ("late_liar", "pp1", "a wrong answer, at byte 33 of 34"),
            ("twice", "pp1", "too much|a wrong answer"),
            ("twice", "pp100", "too much|a wrong answer"),
            ("dying", "pp1", "closed"),
            ("dying", "pipe", "closed"),
            ("web", "pp1", "got 'HTTP/1.1 404 Not Found', expected a handshake's 101"),
            ("web", "mem", "expected a handshake's 101"),
            ("broken", "pp1", "did not start: this server has a bad day"),
        ],
    )
    async def test_a_faulty_server_is_found(self, kind: str, workload: str, words: str) -> None:
        with pytest.raises(PeerFailed, match=words) as failed:
            await bench([plant(kind)], [workload], rounds=1, seconds=0.2, sizes=(10,))
        assert str(failed.value).startswith(f"{kind}: ")

    async def test_a_mute_server_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("refimpl.bench.client.PATIENCE", 1)
        assert PATIENCE > 1
        with socket.create_server(("127.0.0.1", 0)) as mute:
            program = (
                f"from refimpl.bench.peers.common import *; announce({mute.getsockname()[1]},"
                " 'mute'); import time; time.sleep(60)"
            )
            peer = Peer("mute", lambda mode, folder: [sys.executable, "-c", program])
            with pytest.raises(PeerFailed, match="mute: nothing came for 1 s"):
                await bench([peer], ["pp1"], rounds=1, seconds=0.1)

    @pytest.mark.parametrize(
        ("peers", "workloads"), [(["nobody"], ["pp1"]), (["websockets"], ["nothing"])]
    )
    async def test_an_unknown_name_is_refused(self, peers: list[str], workloads: list[str]) -> None:
        with pytest.raises(LookupError, match="expected one of"):
            await bench(peers, workloads)


class TestCheckouts:
    def test_any_of_ours_may_be_of_another(self, tmp_path: Path) -> None:
        (tmp_path / "refimpl").mkdir()
        (tmp_path / "refimpl" / "__init__.py").touch()
        names = [f"{name}@{tmp_path}" for name in OURS]
        peers, missing = find_peers(names)
        assert {peer.name for peer in peers} | set(missing) == {"refimpl", *names}
        assert all(map(is_ours, names))
        [command] = [peer.command("echo", tmp_path) for peer in peers if peer.name == names[1]]
        assert f"sys.path.insert(0, {str(tmp_path)!r})" in command[-1]
        assert "['websockets.speedups'] = None" in command[-1]
        assert "from refimpl.profiling.peers.echo_refimpl import main;" in command[-1]  # an old one

    @pytest.mark.parametrize("name", ["refimpl@no/such", "websockets@{}", "@{}"])
    def test_what_is_none_is_refused(self, name: str, tmp_path: Path) -> None:
        if "{}" in name:
            (tmp_path / "refimpl").mkdir()
            (tmp_path / "refimpl" / "__init__.py").touch()
        with pytest.raises(LookupError, match="expected one of ours, @, and a checkout's folder"):
            find_peers([name.format(tmp_path)])


class TestMissing:
    @pytest.fixture
    def no_picows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        missing = replace(PEERS["picows"], missing=lambda: "pip install picows")
        monkeypatch.setitem(PEERS, "picows", missing)

    @pytest.mark.usefixtures("no_picows")
    def test_what_is_missing_is_named_and_the_others_go_on(self) -> None:
        peers, missing = find_peers(["picows", "raw", "raw"])
        assert [peer.name for peer in peers] == ["refimpl", "raw"]
        assert missing == {"picows": "pip install picows"}

    @pytest.mark.usefixtures("no_picows")
    async def test_nothing_but_missing_peers_is_an_error(self) -> None:
        with pytest.raises(LookupError, match="picows is missing: pip install picows"):
            await bench(["picows"], ["pp1"])

    def test_packages_are_looked_for(self) -> None:
        from refimpl.bench.peers import packages

        assert packages("asyncio", "json")() is None
        assert packages("json", "no_such_thing")() == "pip install json no_such_thing"
        assert packages("no_such.thing", remedy="do this")() == "do this"

    def test_go_and_node_are_looked_for(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        assert "golang-github-gorilla-websocket-dev" in str(gorilla.missing())
        assert "npm install ws" in str(node.missing())
        monkeypatch.setattr(shutil, "which", lambda name: name)
        monkeypatch.chdir(tmp_path)
        assert "npm install ws" in str(node.missing())
        (tmp_path / "lib" / "ws").mkdir(parents=True)
        (tmp_path / "lib" / "ws" / "package.json").write_text("{}")
        monkeypatch.setenv("NODE_PATH", str(tmp_path / "lib"))
        assert node.missing() is None
        assert node.command("echo", tmp_path)[-2:] == ["echo", str(tmp_path / "lib" / "ws")]

    @pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for Go")
    async def test_a_compiler_that_fails_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        go = tmp_path / "go"
        go.write_text("#!/bin/sh\necho 'main.go:1:' >&2\necho ' no' >&2\nexit 1\n")
        go.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(gorilla.BuildFailed, match=r"go build failed: main\.go:1: no"):
            await bench([PEERS["gorilla"]], ["pp1"])


def test_a_peer_loads_nothing_of_ours_that_it_does_not_need() -> None:
    program = (
        "import sys, refimpl.bench.peers.echo_raw; "
        "print(*sorted(name for name in sys.modules if name.startswith('refimpl.')))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    floors = {name.split(".")[1] for name in told.stdout.split()}
    assert floors == {"bench", "errors"}
    import refimpl.bench

    for name in refimpl.bench.__all__:
        assert getattr(refimpl.bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        refimpl.bench.nothing  # noqa: B018
