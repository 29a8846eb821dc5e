"""Wrong answers to the exercises of chapter 02."""

from __future__ import annotations

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, mask, parse_frame

OPCODES = set(Opcode)


def short_lengths_only(buffer, position=0):
    """Takes the seven bits for the length, whatever they say."""
    if len(buffer) < position + 2:
        return None
    first, second = buffer[position], buffer[position + 1]
    start = position + 2
    key = bytes(buffer[start : start + 4]) if second & 128 else None
    start += 4 if key else 0
    end = start + (second & 127)
    payload = bytes(buffer[start:end])
    frame = Frame(Opcode(first & 15), mask(payload, key) if key else payload, bool(first & 128))
    frame.masking_key = key
    return frame, end


def leaves_the_mask_on(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed is None:
        return None
    frame, end = parsed
    if frame.masking_key:
        frame.payload = mask(frame.payload, frame.masking_key)
    return frame, end


def looks_before_there_is_anything(buffer, position=0):
    buffer[position]
    return parse_frame(buffer, position)


def counts_from_the_frame(buffer, position=0):
    parsed = parse_frame(buffer, position)
    return parsed and (parsed[0], parsed[1] - position)


def takes_what_is_there(buffer, position=0):
    if position + 2 > len(buffer):
        return None
    parsed = parse_frame(buffer, position)
    if parsed is None:
        return Frame(Opcode.TEXT, bytes(buffer[6:]), masking_key=bytes(buffer[2:6])), len(buffer)
    return parsed


def passes_reserved_opcodes(buffer, position=0):
    try:
        return parse_frame(buffer, position)
    except RemoteProtocolError:
        return Frame(buffer[position] & 15, b""), position + 2


def waits_for_a_ping_that_is_too_long(buffer, position=0):
    if len(buffer) > position and buffer[position] == 0x89:
        return None
    return parse_frame(buffer, position)


def ignores_fin(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed:
        parsed[0].fin = True
    return parsed


WRONG = {
    "parse_frame": [
        (short_lengths_only, "126 means: the length is in the next two bytes"),
        (leaves_the_mask_on, "was XORed with key byte i % 4"),
        (looks_before_there_is_anything, "an empty buffer"),
        (counts_from_the_frame, "not from the frame's"),
        (takes_what_is_there, "compare lengths first"),
        (passes_reserved_opcodes, "expected  raises RemoteProtocolError with close_code 1002"),
        (waits_for_a_ping_that_is_too_long, "the head alone says so"),
        (ignores_fin, "FIN is a bit of its own"),
    ],
}
