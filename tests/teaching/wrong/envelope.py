"""Wrong answers to the exercises of chapter 04."""

from __future__ import annotations

import struct
import zlib

from refimpl.envelope import NEED_MORE, BadChecksum, Envelope, TooLong
from refimpl.errors import LocalProtocolError

# --- pack_envelope ---


def refuse(kind):
    if not 0 <= kind <= 255:
        raise LocalProtocolError(f"got type {kind}")


def covers_the_payload_only(kind, payload):
    refuse(kind)
    return struct.pack("!IB", len(payload), kind) + payload + struct.pack("!I", zlib.crc32(payload))


def little_endian(kind, payload):
    refuse(kind)
    body = struct.pack("<IB", len(payload), kind) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def counts_the_head(kind, payload):
    refuse(kind)
    body = struct.pack("!IB", len(payload) + 9, kind) + payload
    return body + struct.pack("!I", zlib.crc32(body))


def type_first(kind, payload):
    refuse(kind)
    body = struct.pack("!BI", kind, len(payload)) + payload
    return body + struct.pack("!I", zlib.crc32(body))


def lets_struct_refuse(kind, payload):
    body = struct.pack("!IB", len(payload), kind) + payload
    return body + struct.pack("!I", zlib.crc32(body))


def wraps_the_type(kind, payload):
    return lets_struct_refuse(kind % 256, payload)


def zero_is_no_type(kind, payload):
    refuse(kind or 256)
    return lets_struct_refuse(kind, payload)


def nothing_for_nothing(kind, payload):
    refuse(kind)
    return lets_struct_refuse(kind, payload) if payload else b""


def makes_a_bytearray(kind, payload):
    refuse(kind)
    return bytearray(lets_struct_refuse(kind, payload))


# --- is_intact ---


def computes_and_never_compares(data):
    if len(data) < 9:
        return False
    zlib.crc32(data[:-4])
    return int.from_bytes(data[:4], "big") == len(data) - 9


def checks_the_payload_only(data):
    return len(data) >= 9 and zlib.crc32(data[5:-4]) == int.from_bytes(data[-4:], "big")


def never_looks_at_the_length(data):
    return len(data) >= 9 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big")


def crashes_on_short_data(data):
    (length,) = struct.unpack_from("!I", data)
    return length == len(data) - 9 and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big")


def empty_is_broken(data):
    return len(data) > 9 and never_looks_at_the_length(data)


def compares_two_bytes(data):
    if len(data) < 9 or int.from_bytes(data[:4], "big") != len(data) - 9:
        return False
    return zlib.crc32(data[:-4]) >> 16 == int.from_bytes(data[-4:-2], "big")


def payload_end(data):
    return 5 + int.from_bytes(data[:4], "big")


def ignores_what_follows(data):
    end = payload_end(data)
    if len(data) < 9:
        return False
    return zlib.crc32(data[:end]) == int.from_bytes(data[end : end + 4], "big")


def crc_from_the_end(data):
    end = payload_end(data)
    if len(data) < max(end, 9):
        return False
    return zlib.crc32(data[:end]) == int.from_bytes(data[-4:], "big")


def crc_of_any_length(data):
    end = payload_end(data)
    return len(data) >= 9 and zlib.crc32(data[:end]) == int.from_bytes(data[end:], "big")


def at_most_so_long(data):
    return len(data) <= payload_end(data) + 4 and crc_of_any_length(data)


def one_for_true(data):
    return int(at_most_so_long(data) and len(data) == payload_end(data) + 4)


# --- seq_ahead ---


def subtracts(newer, older):
    return newer - older


def always_forwards(newer, older):
    return (newer - older) % 2**32


def circle_of_one_less(newer, older):
    ahead = (newer - older) % (2**32 - 1)
    return ahead - (2**32 - 1) if ahead >= 2**31 else ahead


def half_is_ahead(newer, older):
    ahead = (newer - older) % 2**32
    return ahead - 2**32 if ahead > 2**31 else ahead


def the_other_way(newer, older):
    return right_way(older, newer)


def right_way(newer, older):
    ahead = (newer - older) % 2**32
    return ahead - 2**32 if ahead >= 2**31 else ahead


def half_on_one_side(newer, older):
    ahead = newer - older
    if ahead <= -(2**31):
        ahead += 2**32
    elif ahead >= 2**31:
        ahead -= 2**32
    return ahead


def tells_only_whether(newer, older):
    return right_way(newer, older) > 0


# --- tamper ---


def xor(one, two):
    return bytes(a ^ b for a, b in zip(one, two, strict=False))


def leaves_the_crc(ciphertext, difference):
    return xor(ciphertext, difference + bytes(4))


def forgets_the_zero_bytes(ciphertext, difference):
    return xor(ciphertext, difference + zlib.crc32(difference).to_bytes(4, "big"))


def cuts_the_crc_off(ciphertext, difference):
    return xor(ciphertext, difference)


def crc_of_the_ciphertext(ciphertext, difference):
    body = xor(ciphertext, difference)
    return body + zlib.crc32(body).to_bytes(4, "big")


def mends_little_endian(ciphertext, difference):
    change = zlib.crc32(difference) ^ zlib.crc32(bytes(len(difference)))
    return xor(ciphertext, difference + change.to_bytes(4, "little"))


def zero_bytes_for_the_crc_too(ciphertext, difference):
    change = zlib.crc32(difference) ^ zlib.crc32(bytes(len(ciphertext)))
    return xor(ciphertext, difference + change.to_bytes(4, "big"))


def sends_the_mask(ciphertext, difference):
    change = zlib.crc32(difference) ^ zlib.crc32(bytes(len(difference)))
    return difference + change.to_bytes(4, "big")


# --- parse_envelope ---


def right(buffer, position=0, *, max_size=2**20):
    if len(buffer) < position + 5:
        return NEED_MORE
    length, kind = struct.unpack_from("!IB", buffer, position)
    if length > max_size:
        raise TooLong(length, max_size)
    end = position + 5 + length
    if len(buffer) < end + 4:
        return NEED_MORE
    (sent,) = struct.unpack_from("!I", buffer, end)
    if sent != zlib.crc32(buffer[position:end]):
        raise BadChecksum(sent, zlib.crc32(buffer[position:end]))
    return Envelope(kind, bytes(buffer[position + 5 : end])), end + 4


def crcs(buffer, position=0):
    end = position + payload_end(buffer[position:])
    return int.from_bytes(buffer[end : end + 4], "big"), zlib.crc32(buffer[position:end])


def empty_means_not_yet(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    return found if found is NEED_MORE or found[0].payload else NEED_MORE


def nothing_and_zero(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    return (b"", 0) if found is NEED_MORE else found


def says_none(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    return None if found is NEED_MORE else found


def from_the_start(buffer, position=0, *, max_size=2**20):
    return right(buffer, 0, max_size=max_size)


def size_for_position(buffer, position=0, *, max_size=2**20):
    found = right(buffer[position:], 0, max_size=max_size)
    return found


def never_bounded(buffer, position=0, *, max_size=2**20):
    return right(buffer, position, max_size=2**32)


def waits_before_it_refuses(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=2**32)
    if found is not NEED_MORE and len(found[0].payload) > max_size:
        raise TooLong(len(found[0].payload), max_size)
    return found


def refuses_the_limit(buffer, position=0, *, max_size=2**20):
    return right(buffer, position, max_size=max_size - 1)


def never_verified(buffer, position=0, *, max_size=2**20):
    try:
        return right(buffer, position, max_size=max_size)
    except BadChecksum:
        length, kind = struct.unpack_from("!IB", buffer, position)
        payload = bytes(buffer[position + 5 : position + 5 + length])
        return Envelope(kind, payload), position + 9 + length


def crc_of_everything(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    if found is not NEED_MORE and zlib.crc32(buffer[:-4]) != int.from_bytes(buffer[-4:], "big"):
        raise BadChecksum(*crcs(buffer, position))
    return found


def crashes_on_half_a_header(buffer, position=0, *, max_size=2**20):
    struct.unpack_from("!IB", buffer, position)
    return right(buffer, position, max_size=max_size)


def leaves_a_bytearray(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    if found is NEED_MORE:
        return found
    envelope, end = found
    return Envelope(envelope.type, buffer[position + 5 : end - 4]), end


def does_not_wait_for_the_crc(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    if found is NEED_MORE and len(buffer) >= position + 5:
        length, kind = struct.unpack_from("!IB", buffer, position)
        if len(buffer) >= position + 5 + length:
            return Envelope(kind, bytes(buffer[position + 5 :][:length])), position + 9 + length
    return found


def never_waits(buffer, position=0, *, max_size=2**20):
    if len(buffer) < position + 5:
        return NEED_MORE
    length, _kind = struct.unpack_from("!IB", buffer, position)
    if length > max_size:
        raise TooLong(length, max_size)
    sent, computed = crcs(buffer, position)
    if sent != computed:
        raise BadChecksum(sent, computed)
    return right(buffer, position, max_size=max_size)


def keeps_a_view(buffer, position=0, *, max_size=2**20):
    view = memoryview(buffer)
    found = right(buffer, position, max_size=max_size)
    view[:0].tobytes()
    return found


def names_the_computed_first(buffer, position=0, *, max_size=2**20):
    try:
        return right(buffer, position, max_size=max_size)
    except BadChecksum:
        raise BadChecksum(*reversed(crcs(buffer, position))) from None


def names_the_limit_first(buffer, position=0, *, max_size=2**20):
    try:
        return right(buffer, position, max_size=max_size)
    except TooLong:
        length = int.from_bytes(buffer[position : position + 4], "big")
        raise TooLong(max_size, length) from None


def crc_of_the_payload(buffer, position=0, *, max_size=2**20):
    found = right(buffer, position, max_size=max_size)
    if found is not NEED_MORE:
        sent, _ = crcs(buffer, position)
        computed = zlib.crc32(found[0].payload)
        if sent != computed:
            raise BadChecksum(sent, computed)
    return found


def little_endian_length(buffer, position=0, *, max_size=2**20):
    if len(buffer) < position + 5:
        return NEED_MORE
    (length,) = struct.unpack_from("<I", buffer, position)
    if length > max_size:
        raise TooLong(length, max_size)
    return right(buffer, position, max_size=max_size)


WRONG = {
    "pack_envelope": [
        (covers_the_payload_only, "the CRC covers length, type and payload"),
        (little_endian, "all big-endian"),
        (counts_the_head, "the length counts the payload only"),
        (type_first, "five letters"),
        (lets_struct_refuse, "our own caller's mistake: LocalProtocolError"),
        (wraps_the_type, "a type that no byte can hold"),
        (zero_is_no_type, "0 is a type like any other"),
        (nothing_for_nothing, "an empty payload is a message"),
        (makes_a_bytearray, "the task asks for bytes"),
    ],
    "cut_stream": [
        ((2, 20), "is still an envelope"),
        ((1, 31), "no reason to stop"),
        ((4, 0), "the last one is not whole"),
        ((3, 3), "keeps all of an unfinished envelope"),
        ((3, 6), "its header waits as well"),
        ((3, 12), "how many of them have come"),
        ((3, 10), "count again"),
        (3, "of type int, expected tuple"),
    ],
    "is_intact": [
        (computes_and_never_compares, "helps only where it is compared"),
        (checks_the_payload_only, "header *and* payload"),
        (never_looks_at_the_length, "the CRC agrees and the length does not"),
        (crashes_on_short_data, "crashed"),
        (empty_is_broken, "empty is not broken"),
        (compares_two_bytes, "all of its four bytes"),
        (ignores_what_follows, "nothing may follow its CRC"),
        (crc_from_the_end, "right after the payload, not where the data ends"),
        (crc_of_any_length, "the four bytes after the payload"),
        (at_most_so_long, "are not the four of a CRC"),
        (one_for_true, "the task asks for bool"),
    ],
    "seq_ahead": [
        (subtracts, "after 2**32 - 1 comes 0"),
        (always_forwards, "behind is negative"),
        (circle_of_one_less, "there are 2**32 numbers on the circle"),
        (half_is_ahead, "the package says behind"),
        (half_on_one_side, "from either side"),
        (the_other_way, "one ahead"),
        (tells_only_whether, "of type bool"),
    ],
    "tamper": [
        (leaves_the_crc, "the four bytes of the CRC are as they were"),
        (forgets_the_zero_bytes, "is not the CRC of the change"),
        (cuts_the_crc_off, "nothing may be added or left out"),
        (crc_of_the_ciphertext, "the till checks it after decrypting"),
        (mends_little_endian, "bytes are in another order"),
        (zero_bytes_for_the_crc_too, "other bits of the CRC had to change"),
        (sends_the_mask, "another message"),
    ],
    "beat_report": [
        ((1, 1, 3), "did each of them come"),
        ((5, 1, 3), "some of them came later"),
        ((5, 1, 0), "not lost any more"),
        ((2, 1, 0), "came after a higher one"),
        ((2, 0, 4), "a double, not a late one"),
        ((2, 1, 4), "counts as a double only"),
        ((2, 1, 6), "and is not late"),
        ((1, 2, 3), "in this order"),
        ([2, 1, 3], "of type list, expected tuple"),
        ((7, 0, 0), "how many never came"),
    ],
    "parse_envelope": [
        (empty_means_not_yet, "not the lack of one"),
        (nothing_and_zero, "not yet, which is neither an envelope nor an error"),
        (says_none, "not yet, which is neither an envelope nor an error"),
        (from_the_start, "all offsets count from position"),
        (size_for_position, "all offsets count from position"),
        (never_bounded, "the limit is of the payload"),
        (waits_before_it_refuses, "the header is enough to say no"),
        (refuses_the_limit, "the limit itself is allowed"),
        (never_verified, "before anyone sees the payload"),
        (crc_of_everything, "the second of two"),
        (crashes_on_half_a_header, "crashed"),
        (leaves_a_bytearray, "the payload that leaves is bytes"),
        (does_not_wait_for_the_crc, "the CRC is not all there"),
        (never_waits, "not yet, which is neither an envelope nor an error"),
        (keeps_a_view, "a memoryview still holds it"),
        (names_the_computed_first, "BadChecksum(sent, computed)"),
        (names_the_limit_first, "TooLong(length, max_size)"),
        (crc_of_the_payload, "this envelope is sound"),
        (little_endian_length, "the length is in the four bytes at position"),
    ],
}
