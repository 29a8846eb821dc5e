"""What parsing costs: microseconds of CPU a message, `refimpl` beside `websockets` and `wsproto`.

Run by `make bench`, or `python -m tests.bench.parse --rounds 21` for steadier figures. Masked
binary messages of one frame each are built before the clock starts and fed to the server's side in
reads of 64 KiB; each core hands out whole messages. The cores take turns within a round, so that
whatever else the machine does falls on all of them; ratios are taken within a round, and medians
over the rounds. Time is this process's CPU time, not the wall's.

A second table says what each short way past the loop over `parse_frame` brings: the same reads with
the way and without it.
"""

from __future__ import annotations

import argparse
import gc
import logging
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version

from websockets.protocol import OPEN, Side
from websockets.protocol import Protocol as PeerProtocol
from wsproto.connection import Connection, ConnectionType

from refimpl import framing
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.messages import Role, protocol, receiving, utf8
from tests.support.pair import opened

READ = 64 * 1024
SILENT = logging.Logger("silent", logging.CRITICAL)
# Size of a message, messages in a round: each round parses one to eight megabytes.
WORKLOADS = {
    "32 B": (32, 25_000),
    "1 KiB": (1024, 4_000),
    "64 KiB": (65_536, 96),
    "1 MiB": (2**20, 8),
}
LIMIT = 2**21

# Ahead means more than 1. "pure" is refimpl without the C function that ships with websockets.
GOALS = [
    ("32 B", "websockets", "refimpl", 2.0),
    ("1 MiB", "websockets", "refimpl", 1.0),
    ("32 B", "wsproto", "pure", 4.0),
]

Parser = Callable[[Sequence[bytes]], list[bytes]]


def prepare_refimpl() -> Parser:
    """Return our core with its handshake done: a call that returns the messages in reads."""
    protocol = opened(Role.SERVER, max_size=LIMIT)

    def parse(reads: Sequence[bytes]) -> list[bytes]:
        messages = []
        for read in reads:
            for event in protocol.receive_data(read):
                if type(event) is bytes:
                    messages.append(event)
        return messages

    return parse


def prepare_pure() -> Parser:
    """Return our core without any accelerated function."""
    parse = prepare_refimpl()

    def parse_pure(reads: Sequence[bytes]) -> list[bytes]:
        with pure_mask():
            return parse(reads)

    return parse_pure


def prepare_websockets() -> Parser:
    """Return the core of `websockets`; each frame is a message here."""
    protocol = PeerProtocol(Side.SERVER, state=OPEN, max_size=LIMIT, logger=SILENT)

    def parse(reads: Sequence[bytes]) -> list[bytes]:
        messages = []
        for read in reads:
            protocol.receive_data(read)
            for event in protocol.events_received():
                messages.append(event.data)  # type: ignore[union-attr]
        return messages  # type: ignore[return-value]

    return parse


def prepare_wsproto() -> Parser:
    """Return `wsproto`, which hands long messages out in pieces."""
    connection = Connection(ConnectionType.SERVER)

    def parse(reads: Sequence[bytes]) -> list[bytes]:
        messages: list[bytes] = []
        pieces: list[bytes] = []
        for read in reads:
            connection.receive_data(read)
            for event in connection.events():
                if not event.message_finished:
                    pieces.append(event.data)
                elif pieces:
                    messages.append(b"".join((*pieces, event.data)))
                    pieces.clear()
                else:
                    messages.append(event.data)
        return messages

    return parse


CORES: dict[str, Callable[[], Parser]] = {
    "refimpl": prepare_refimpl,
    "pure": prepare_pure,
    "websockets": prepare_websockets,
    "wsproto": prepare_wsproto,
}


@contextmanager
def pure_mask() -> Iterator[None]:
    """Put the pure mask in the place of the accelerated one."""
    accelerated = framing.mask
    framing.mask = utf8.mask = receiving.mask = framing.mask_pure  # type: ignore[attr-defined]
    try:
        yield
    finally:
        framing.mask = utf8.mask = receiving.mask = accelerated  # type: ignore[attr-defined]


# What is closed, the size of a message, messages in a round, and bytes in a read. A large read is a
# view of memory that is used again, as the asyncio layer hands it over.
SHORT_WAYS = [
    ("take_small", 64, 20_000, READ),
    ("take_small", 64, 5_000, 70),
    ("_take_large", 65_536, 100, 65_536 + 14),
    ("_take_large", 2**20, 8, 256 * 1024),
]


@contextmanager
def closed(way: str) -> Iterator[None]:
    """Let the loop over `parse_frame` do what a short way would."""
    if way == "take_small":
        owner: object = protocol
        instead: Callable[..., int] = lambda buffer, position, *_: position  # noqa: E731
    else:
        owner, instead = protocol.Protocol, lambda *_: 0
    original = getattr(owner, way)
    setattr(owner, way, instead)
    try:
        yield
    finally:
        setattr(owner, way, original)


def measure_way(way: str, size: int, count: int, read: int, rounds: int) -> float:
    """Return how many times a message costs what it does without a short way: below 1, it pays."""
    stream = b"".join(make_reads(size, count)[1])
    memory = bytearray(read)
    ratios = []
    for number in range(rounds):
        spent = {}
        for is_closed in (False, True) if number % 2 else (True, False):
            core = opened(Role.SERVER, max_size=LIMIT)
            gc.collect()
            with closed(way) if is_closed else nullcontext():
                began = time.process_time()
                for at in range(0, len(stream), read):
                    data = stream[at : at + read]
                    memory[: len(data)] = data
                    core.receive_data(memoryview(memory)[: len(data)] if read >= READ else data)
                spent[is_closed] = time.process_time() - began
        ratios.append(spent[False] / spent[True])
    return statistics.median(ratios)


def make_reads(size: int, count: int) -> tuple[list[bytes], list[bytes]]:
    """Return the messages of a workload, and the reads in which they arrive."""
    source = random.Random(size)
    messages = [source.randbytes(size) for _ in range(count)]
    stream = b"".join(
        serialize_frame(Frame(Opcode.BINARY, message, masking_key=source.randbytes(4)))
        for message in messages
    )
    return messages, [stream[at : at + READ] for at in range(0, len(stream), READ)]


def measure(reads: Sequence[bytes], count: int, rounds: int) -> dict[str, list[float]]:
    """Return, for each core, its microseconds a message in each round."""
    names = list(CORES)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            parse = CORES[name]()
            gc.collect()
            began = time.process_time()
            parse(reads)
            found[name].append((time.process_time() - began) / count * 1e6)
    return found


def check(messages: list[bytes], reads: Sequence[bytes]) -> None:
    """Raise SystemExit where a core gives other messages than were sent."""
    for name, prepare in CORES.items():
        if [bytes(message) for message in prepare()(reads)] != messages:
            raise SystemExit(f"{name} gives other messages than were sent")


def ratio(found: dict[str, list[float]], over: str, under: str) -> float:
    """Return how many times the one costs of the other: the median of the rounds' ratios."""
    pairs = zip(found[over], found[under], strict=True)
    return statistics.median(one / other for one, other in pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, then the goals."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.parse", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds per size (default: 9)")
    rounds = parser.parse_args(arguments).rounds
    accelerated = "C mask" if framing.ACCELERATED else "no C mask here: refimpl is pure too"
    print(
        "CPU us a message to parse masked messages in 64 KiB reads; median, and (ratio to refimpl)"
    )
    print(
        f"Python {platform.python_version()}, websockets {version('websockets')}, "
        f"wsproto {version('wsproto')}, {accelerated}, {rounds} rounds\n"
    )
    print(f"{'size':>7}  {'refimpl':>10}" + "".join(f"{name:>19}" for name in list(CORES)[1:]))
    results = {}
    for label, (size, count) in WORKLOADS.items():
        messages, reads = make_reads(size, count)
        check(messages, reads)
        results[label] = found = measure(reads, count, rounds)
        cells = [
            f"{statistics.median(found[name]):10.2f} ({ratio(found, name, 'refimpl'):5.2f}x)"
            for name in list(CORES)[1:]
        ]
        print(f"{label:>7}  {statistics.median(found['refimpl']):10.2f}" + " ".join(cells))
        sys.stdout.flush()
    print()
    for way, size, count, read in SHORT_WAYS:
        brought = measure_way(way, size, count, read, rounds)
        print(f"{way}: messages of {size} B in reads of {read} B cost {brought:.2f} of the loop's")
    print()
    for label, over, under, goal in GOALS:
        reached = ratio(results[label], over, under)
        verdict = "reached" if reached >= goal else "missed"
        print(f"{label:>7}: {over} / {under} = {reached:.2f}, goal {goal:.1f}: {verdict}")


if __name__ == "__main__":
    main()
