"""The client of the bench: raw sockets, frames built in advance; it only counts bytes.

It must cost less than the server, or its own speed is what is measured. So it parses nothing while
the clock runs; before and after that, every byte is checked.
"""

import functools
import random
import select
import socket
import string
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from refimpl.bench.peers.common import JOINED
from refimpl.errors import WebSocketError
from refimpl.framing import Frame, Opcode, serialize_frame
from refimpl.handshake import accept_key, build_request, parse_uri

__all__ = ["Client", "PeerFailed", "Traffic", "make_traffic"]

PATIENCE = 20  # seconds for a peer to answer
AT_ONCE = 50  # handshakes in flight
READ = 2**20
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HELLO = serialize_frame(Frame(Opcode.TEXT, JOINED.encode()))


class PeerFailed(WebSocketError):
    """A server under test died, did not answer or answered wrongly: its results do not count."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one connection sends at a time, and the expected answer.

    messages: how many there are in it.
    """

    sent: bytes
    back: bytes
    messages: int


def make_traffic(size: int, messages: int, *, text: bool, handshake: bool) -> Traffic:
    """Return seeded messages as masked frames, and as the frames a server answers with.

    handshake: False for a server that does not unmask: the answer is what was sent.
    """
    source = random.Random(size * messages)
    opcode = Opcode.TEXT if text else Opcode.BINARY
    sent, back = bytearray(), bytearray()
    for _ in range(messages):
        letters = "".join(source.choices(string.ascii_letters, k=size)) if text else ""
        payload = letters.encode() if text else source.randbytes(size)
        sent += serialize_frame(Frame(opcode, payload, masking_key=source.randbytes(4)))
        back += serialize_frame(Frame(opcode, payload))
    return Traffic(bytes(sent), bytes(back if handshake else sent), messages)


class Client:
    """Open connections to one server. Every method blocks, and raises PeerFailed."""

    def __init__(self, name: str, port: int, *, handshake: bool = True) -> None:
        self.name = name
        self.links: list[socket.socket] = []
        self._port = port
        self.handshake = handshake
        self._buffer = bytearray(READ)
        self._last: socket.socket  # the one that a broadcast reached last so far

    def close(self) -> None:
        """Close every connection."""
        for link in self.links:
            link.close()
        self.links.clear()

    # --- opening ---

    def open(self, count: int, *, joined: bool = False) -> None:
        """Open connections until there are count. joined: the server greets each in its room."""
        while len(self.links) < count:
            batch = [self._connect() for _ in range(min(AT_ONCE, count - len(self.links)))]
            self.links += batch
            self._last = batch[-1]
            for link in batch:
                self._await_answer(link, joined)

    def _connect(self) -> socket.socket:
        """Return a connection on which the handshake's request is sent."""
        try:
            link = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        except OSError as error:
            raise PeerFailed(f"{self.name}: no connection: {error}") from error
        link.setblocking(True)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's own time limits cost no system call; Python's would.
        limit = struct.pack("ll", PATIENCE, 0)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        if self.handshake:
            uri = parse_uri(f"ws://127.0.0.1:{self._port}/")
            self._send(link, build_request(uri, key=KEY).serialize())
        return link

    def _await_answer(self, link: socket.socket, joined: bool) -> None:
        """Read the 101 and the greeting; PeerFailed if there is a byte more."""
        rest = self._await_upgrade(link) if self.handshake else b""
        while joined and len(rest) < len(HELLO):
            rest += self.receive(link)
        if rest != (HELLO if joined else b""):
            raise PeerFailed(f"{self.name}: got {rest[:40]!r} after the handshake")

    def _await_upgrade(self, link: socket.socket) -> bytes:
        """Return what came after the 101."""
        head, end = b"", -1
        while end < 0:
            head += self.receive(link)
            end = head.find(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101") or accept_key(KEY).encode() not in head[:end]:
            first = head.partition(b"\r\n")[0].decode("latin-1")
            raise PeerFailed(f"{self.name}: got {first[:60]!r}, expected a handshake's 101")
        return head[end + 4 :]

    def receive(self, link: socket.socket) -> bytes:
        """Return what can be read on a connection, at least a byte."""
        try:
            data = link.recv(64 * 1024)
        except OSError as error:
            raise self._fault(error) from error
        if not data:
            raise PeerFailed(f"{self.name}: the server closed a connection")
        return data

    def _fault(self, error: OSError) -> PeerFailed:
        """Return the PeerFailed for an error of the socket."""
        if isinstance(error, BlockingIOError):  # the kernel's time limit
            return PeerFailed(f"{self.name}: nothing came for {PATIENCE} s")
        return PeerFailed(f"{self.name}: {error.strerror or error}")

    # --- checking ---

    def check_echo(self, traffic: Traffic) -> None:
        """Send on every connection and compare each byte that comes back."""
        for link in self.links:
            self._send(link, traffic.sent)
        for link in self.links:
            self._expect(link, traffic.back)

    def check_broadcast(self, traffic: Traffic) -> None:
        """Send on the first connection and compare what comes on all."""
        self._send(self.links[0], traffic.sent)
        for link in self.links:
            self._expect(link, traffic.back)

    def _send(self, link: socket.socket, data: bytes) -> None:
        try:
            link.sendall(data)
        except OSError as error:
            raise self._fault(error) from error

    def _expect(self, link: socket.socket, wanted: bytes) -> None:
        got = b""
        while len(got) < len(wanted):
            got += self.receive(link)
        if got != wanted:
            place = next((at for at, byte in enumerate(wanted) if got[at] != byte), len(wanted))
            raise PeerFailed(f"{self.name}: a wrong answer, at byte {place} of {len(wanted)}")

    # --- the loops that are timed ---

    def echo_one(self, traffic: Traffic, until: float) -> int:
        """Send and wait in turn on one connection; return how many messages came back."""
        link, sent, size = self.links[0], traffic.sent, len(traffic.back)
        receive, buffer, rounds = link.recv_into, self._buffer, 0
        try:
            while time.perf_counter() < until:
                link.sendall(sent)
                left = size
                while left > 0:
                    got = receive(buffer)
                    left = left - got if got else -1
                if left:
                    raise PeerFailed(f"{self.name}: closed, or answered with too much")
                rounds += 1
        except OSError as error:
            raise self._fault(error) from error
        return rounds * traffic.messages

    def echo_all(self, traffic: Traffic, until: float) -> int:
        """Keep one batch in flight on each connection; return how many messages came back."""
        size, batches = len(traffic.back), 0
        ready = readiness(self.links)
        send = {link.fileno(): link.sendall for link in self.links}
        receive = {link.fileno(): link.recv_into for link in self.links}
        due = dict.fromkeys(send, size)
        waiting, buffer = len(due), self._buffer
        try:
            for start in send.values():
                start(traffic.sent)
            while waiting:
                events = ready()
                if not events:
                    raise PeerFailed(f"{self.name}: nothing came for {PATIENCE} s")
                more = time.perf_counter() < until
                for number, _ in events:
                    left = due[number] - receive[number](buffer)
                    if left:
                        self._check_left(left, due[number])
                        due[number] = left
                        continue
                    batches += 1
                    due[number] = size
                    if more:
                        send[number](traffic.sent)
                    else:
                        waiting -= 1
        except OSError as error:
            raise self._fault(error) from error
        return batches * traffic.messages

    def broadcast(self, traffic: Traffic, until: float) -> int:
        """Send on the first connection, receive on all; return how many were delivered.

        It waits for the connection that the server serves last, and then finds the others ready: to
        wake a client for each delivery would cost the server a third more (9.9 us of CPU, not 7.5).
        """
        size, rounds = len(traffic.back), 0
        others = [link for link in self.links if link is not self._last]
        try:
            while time.perf_counter() < until:
                self.links[0].sendall(traffic.sent)
                self._hear(self._last, size)
                late = [link for link in others if not self._heard(link, size)]
                for link in late:
                    self._hear(link, size)
                if late:
                    self._last = late[-1]
                    others = [link for link in self.links if link is not self._last]
                rounds += 1
        except OSError as error:
            raise self._fault(error) from error
        return rounds * len(self.links)

    def _hear(self, link: socket.socket, size: int) -> None:
        """Wait for size bytes on a connection."""
        while size:
            left = size - link.recv_into(self._buffer)
            self._check_left(left, size)
            size = left

    def _heard(self, link: socket.socket, size: int) -> bool:
        """Take size bytes if they are there, and return whether they are."""
        try:
            left = size - link.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if left:
            self._check_left(left, size)
            self._hear(link, left)
        return True

    def _check_left(self, left: int, before: int) -> None:
        """Accept part of an answer; PeerFailed for the end of the stream and for too many bytes."""
        if left == before:
            raise PeerFailed(f"{self.name}: the server closed a connection")
        if left < 0:
            raise PeerFailed(f"{self.name}: answered with too much")


def readiness(links: list[socket.socket]) -> Callable[[], list[tuple[int, int]]]:
    """Return a function that waits, and returns which connections can be read."""
    epoll = hasattr(select, "epoll")
    poller = select.epoll() if epoll else select.poll()
    patience = PATIENCE if epoll else PATIENCE * 1000  # poll counts milliseconds
    for link in links:
        poller.register(link, select.POLLIN)
    return functools.partial(poller.poll, patience)
