"""Wrong answers to the exercise FrameBuffer of chapter 02."""

from __future__ import annotations

from refimpl.errors import RemoteProtocolError
from refimpl.framing import parse_frame


class FirstFrameOnly:
    def __init__(self, max_size=2**20):
        self.buffer, self.max_size = bytearray(), max_size

    def feed(self, data):
        self.buffer += data
        parsed = parse_frame(self.buffer, 0, masked=True, max_size=self.max_size)
        if parsed is None:
            return []
        del self.buffer[: parsed[1]]
        return [parsed[0]]


class ForgetsTheRest:
    def __init__(self, max_size=2**20):
        self.max_size = max_size

    def feed(self, data):
        frames, position = [], 0
        while parsed := parse_frame(data, position, masked=True, max_size=self.max_size):
            frames.append(parsed[0])
            position = parsed[1]
        return frames


class UsesNothingUp:
    def __init__(self, max_size=2**20):
        self.buffer, self.max_size = b"", max_size

    def feed(self, data):
        self.buffer += data
        return ForgetsTheRest(self.max_size).feed(self.buffer)


class SharesItsBuffer:
    buffer = bytearray()

    def __init__(self, max_size=2**20):
        self.max_size = max_size

    def feed(self, data):
        self.buffer += data
        frames, position = [], 0
        while parsed := parse_frame(self.buffer, position, masked=True, max_size=self.max_size):
            frames.append(parsed[0])
            position = parsed[1]
        del self.buffer[:position]
        return frames


class TakesAnything(SharesItsBuffer):
    def __init__(self, max_size=2**20):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data
        frames, position = [], 0
        while parsed := parse_frame(self.buffer, position):
            frames.append(parsed[0])
            position = parsed[1]
        del self.buffer[:position]
        return frames


class HasNoLimit(TakesAnything):
    def feed(self, data):
        self.buffer += data
        frames, position = [], 0
        while parsed := parse_frame(self.buffer, position, masked=True):
            frames.append(parsed[0])
            position = parsed[1]
        del self.buffer[:position]
        return frames


class ReturnsNoneForNotYet(SharesItsBuffer):
    def __init__(self, max_size=2**20):
        super().__init__(max_size)
        self.buffer = bytearray()

    def feed(self, data):
        return super().feed(data) or None


class Right(SharesItsBuffer):
    """Right in all; the classes below break one thing each."""

    def __init__(self, max_size=2**20):
        super().__init__(max_size)
        self.buffer = bytearray()


class ReturnsAllThereWere(Right):
    def __init__(self, max_size=2**20):
        super().__init__(max_size)
        self.frames = []

    def feed(self, data):
        self.frames += super().feed(data)
        return self.frames


class CountsTheHeadToo(Right):
    def __init__(self, max_size=2**20):
        super().__init__(max_size - 8)


class RefusesTheLimitItself(Right):
    def feed(self, data):
        frames = super().feed(data)
        if any(len(frame.payload) >= self.max_size for frame in frames):
            raise RemoteProtocolError(f"{self.max_size} bytes", 1009)
        return frames


class KeepsAllBytes(Right):
    position = 0

    def feed(self, data):
        self.buffer += data
        frames = []
        rules = {"masked": True, "max_size": self.max_size}
        while parsed := parse_frame(self.buffer, self.position, **rules):
            frame, self.position = parsed
            frames.append(frame)
        return frames
