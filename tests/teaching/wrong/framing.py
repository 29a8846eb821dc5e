"""Wrong answers to the exercises of chapter 02."""

from __future__ import annotations

from refimpl.errors import RemoteProtocolError
from refimpl.framing import Frame, Opcode, mask, parse_frame, serialize_frame
from tests.teaching.wrong import framing_buffer

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
    if len(buffer) > position + 1 and buffer[position] & 8 and buffer[position + 1] & 127 > 125:
        return None
    return parse_frame(buffer, position)


def ignores_fin(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed:
        parsed[0].fin = True
    return parsed


def keeps_slices_of_the_buffer(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed is None:
        return None
    frame, end = parsed
    frame.payload = type(buffer)(frame.payload)
    return frame, end


def passes_reserved_bits(buffer, position=0):
    without = bytes(byte & 0x8F if i == position else byte for i, byte in enumerate(buffer))
    return parse_frame(without, position)


def reads_the_length_at_the_buffers_start(buffer, position=0):
    if len(buffer) < position + 4 or buffer[position + 1] & 127 != 126:
        return parse_frame(buffer, position)
    moved = buffer[: position + 2] + buffer[2:4] + buffer[position + 4 :]
    return parse_frame(bytes(moved), position)


def reads_little_endian(buffer, position=0):
    if len(buffer) < position + 4 or buffer[position + 1] & 127 != 126:
        return parse_frame(buffer, position)
    length = buffer[position + 2 : position + 4][::-1]
    return parse_frame(bytes(buffer[: position + 2] + length + buffer[position + 4 :]), position)


def passes_bit(bit):
    def passes(buffer, position=0):
        if len(buffer) > position and buffer[position] & bit:
            sound = bytes(byte & ~bit if i == position else byte for i, byte in enumerate(buffer))
            return parse_frame(sound, position)
        return parse_frame(buffer, position)

    return passes


def refuses_the_longest_ping(buffer, position=0):
    if len(buffer) > position + 1 and buffer[position] & 8 and buffer[position + 1] & 127 >= 125:
        raise RemoteProtocolError("too long")
    return parse_frame(buffer, position)


def keeps_the_slice_of_an_unmasked_frame(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed and parsed[0].masking_key is None:
        parsed[0].payload = type(buffer)(parsed[0].payload)
    return parsed


def keeps_the_slice_for_a_key(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed and parsed[0].masking_key:
        parsed[0].masking_key = type(buffer)(parsed[0].masking_key)
    return parsed


def makes_room_first(buffer, position=0):
    if len(buffer) >= position + 10 and buffer[position + 1] & 127 == 127:
        bytearray(int.from_bytes(buffer[position + 2 : position + 10], "big"))
    return parse_frame(buffer, position)


def takes_the_frame_out(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed and isinstance(buffer, bytearray):
        del buffer[: parsed[1]]
    return parsed


def says_fin_with_a_number(buffer, position=0):
    parsed = parse_frame(buffer, position)
    if parsed:
        parsed[0].fin = int(parsed[0].fin)
    return parsed


def forgets_the_key(second):
    return 2 + {126: 2, 127: 8}.get(second & 127, 0)


def compares_with_the_mask_on(second):
    return 2 + {126: 2, 127: 8}.get(second, 0) + (4 if second > 127 else 0)


def takes_eight_bytes_for_all(second):
    return (10 if second & 127 == 127 else 4 if second & 127 >= 125 else 2) + second // 128 * 4


def counts_eight_in_all(second):
    return {126: 4, 127: 8}.get(second & 127, 2) + second // 128 * 4


def _frame(payload, key, size=None, first=0x81, mask_bit=0x80, order="big", edge=125):
    size = len(payload) if size is None else size
    if size <= edge:
        length = bytes((mask_bit | size,))
    elif size <= 0xFFFF:
        length = bytes((mask_bit | 126,)) + size.to_bytes(2, order)
    else:
        length = bytes((mask_bit | 127,)) + size.to_bytes(8, order)
    return bytes((first,)) + length + key + mask(payload, key)


def counts_characters(text, key):
    return _frame(text.encode(), key, size=len(text))


def forgets_the_mask_bit(text, key):
    return _frame(text.encode(), key, mask_bit=0)


def sends_the_payload_plain(text, key):
    return _frame(b"", key, size=len(text.encode())) + text.encode()


def takes_126_for_a_length(text, key):
    return _frame(text.encode(), key, edge=126)


def writes_little_endian(text, key):
    return _frame(text.encode(), key, order="little")


def sends_binary(text, key):
    return _frame(text.encode(), key, first=0x82)


def begins_two_bytes_at_125(text, key):
    return _frame(text.encode(), key, edge=124)


def leaves_out_the_key(text, key):
    return serialize_frame(Frame(Opcode.TEXT, text.encode()))


def forgets_the_mask_bit_of_a_long_one(text, key):
    size = len(text.encode())
    return _frame(text.encode(), key, mask_bit=0 if size > 125 else 0x80)


def writes_eight_little_endian(text, key):
    size = len(text.encode())
    return _frame(text.encode(), key, order="little" if size > 0xFFFF else "big")


def borrows_the_packages_writer(text, key):
    return serialize_frame(Frame(Opcode.TEXT, text.encode(), masking_key=key))


def ignores_the_offset(piece, key, offset):
    return mask(piece, key)


def turns_without_a_remainder(piece, key, offset):
    turned = key[offset:] + key[:offset]
    return mask(piece, turned)


def turns_the_wrong_way(piece, key, offset):
    turn = -offset % 4
    return mask(piece, key[turn:] + key[:turn])


def makes_the_bytes_before(piece, key, offset):
    return mask(bytes(offset) + piece, key)[offset:]


def counts_up_to_the_offset(piece, key, offset):
    place = 0
    while place < offset:
        place += 1
    return mask(piece, key[place % 4 :] + key[: place % 4])


def looks_at_the_opcode_when_fin(frames):
    found, payload = [], b""
    for frame in frames:
        payload += frame.payload
        if frame.fin:
            found.append((frame.opcode, payload))
            payload = b""
    return found


def lets_a_ping_set_the_type(frames):
    found, opcode, payload = [], None, b""
    for frame in frames:
        opcode = frame.opcode or opcode
        if opcode >= 8 and frame.opcode:
            found.append((frame.opcode, frame.payload))
            continue
        payload += frame.payload
        if frame.fin:
            found.append((opcode, payload))
            payload = b""
    return found


def takes_no_payload_for_no_message(frames):
    found, opcode, payload = [], None, b""
    for frame in frames:
        if frame.opcode >= 8:
            found.append((frame.opcode, frame.payload))
            continue
        if not payload:
            opcode = frame.opcode
        payload += frame.payload
        if frame.fin:
            found.append((opcode, payload))
            payload = b""
    return found


def forgets_that_close_is_one(frames):
    found, opcode, payload = [], None, b""
    for frame in frames:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            found.append((frame.opcode, frame.payload))
            continue
        if frame.opcode:
            opcode = frame.opcode
        payload += frame.payload
        if frame.fin:
            found.append((opcode, payload))
            payload = b""
    return found


def says_none_for_no_messages(frames):
    return _right(frames) or [(Opcode.TEXT, b"")]


def drops_control_frames(frames):
    return [pair for pair in _right(frames) if pair[0] < 8]


def forgets_to_begin_anew(frames):
    found, opcode, payload = [], None, b""
    for frame in frames:
        if frame.opcode >= 8:
            found.append((frame.opcode, frame.payload))
            continue
        opcode = frame.opcode or opcode
        payload += frame.payload
        if frame.fin:
            found.append((opcode, payload))
    return found


def keeps_control_frames_for_later(frames):
    pairs = _right(frames)
    return [pair for pair in pairs if pair[0] < 8] + [pair for pair in pairs if pair[0] >= 8]


def delivers_fragments(frames):
    return [(frame.opcode, frame.payload) for frame in frames]


def makes_lists_of_two(frames):
    return [list(pair) for pair in _right(frames)]


def yields(frames):
    yield from _right(frames)


def _right(frames):
    found, opcode, payload = [], None, b""
    for frame in frames:
        if frame.opcode >= 8:
            found.append((frame.opcode, frame.payload))
            continue
        if frame.opcode:
            opcode, payload = frame.opcode, b""
        payload += frame.payload
        if frame.fin:
            found.append((opcode, payload))
    return found


def largest_positive():
    return b"\x82\xff\x7f" + b"\xff" * 7


def two_bytes_of_length():
    return b"\x82\xfe\xff\xff"


def largest_short():
    return b"\x82\xfd"


def hex_digits():
    return "82ffffffffffffffffff"


def sends_the_payload_too():
    return b"\x82\xff" + b"\xff" * 8 + bytes(1000)


def half_a_length():
    return b"\x82\xff\xff\xff"


def just_small():
    return b"\x82\xff" + bytes(8)


WRONG = {
    "head_size": [
        (forgets_the_key, "a masking key is part of the head"),
        (compares_with_the_mask_on, "take the bit off before you compare"),
        (takes_eight_bytes_for_all, "125 still fits the seven bits"),
        (counts_eight_in_all, "besides the first two of the head"),
    ],
    "goodbye": [
        ((1000, b"done"), "a reason is text"),
        ((59395, "done"), "least significant byte first"),
        ((6, "done"), "6 is the length of the payload"),
        ((1000, "bye"), "which byte of the key does each of its bytes meet?"),
        ((3968, "(\ufffdb\r"), "the mask is still on"),
        ((3968, "(b\r"), "the mask is still on"),
        ((3968, b"(\x8bb\r"), "the mask is still on"),
        ((3176, "done"), "the beginning of the masking key"),
        ("done", "of type str, expected tuple"),
    ],
    "culprit": [
        (0, "begins a fragmented message"),
        (1, "a Ping between fragments is allowed"),
        (2, "a fragment may be empty"),
        (3, "a Pong that nobody asked for is allowed"),
        (5, "had given up before it came"),
    ],
    "text_frame": [
        (counts_characters, "the length counts bytes"),
        (forgets_the_mask_bit, "byte 1, bit 0 (MASK): expected 1, got 0"),
        (sends_the_payload_plain, "byte 6: expected 7f, got 48"),
        (takes_126_for_a_length, "126 is not a length: it announces two bytes"),
        (writes_little_endian, "in two bytes, most significant first"),
        (writes_eight_little_endian, "in eight bytes, most significant first"),
        (forgets_the_mask_bit_of_a_long_one, "byte 1, bit 0 (MASK): expected 1, got 0"),
        (borrows_the_packages_writer, "got       a call of serialize_frame"),
        (sends_binary, "(opcode): expected 0, got 1"),
        (begins_two_bytes_at_125, "125 still fits the seven bits"),
        (leaves_out_the_key, "81 | 05 | 48 65 6c 6c 6f"),
    ],
    "unmask_piece": [
        (ignores_the_offset, "the piece's first byte is the payload's second"),
        (turns_without_a_remainder, "only offset % 4 matters"),
        (turns_the_wrong_way, "turned the other way round"),
        (makes_the_bytes_before, "nothing may be made of their number"),
        (counts_up_to_the_offset, "too slow"),
    ],
    "complete_messages": [
        (looks_at_the_opcode_when_fin, "the opcode of its first frame"),
        (lets_a_ping_set_the_type, "PING b'one message in three parts'"),
        (drops_control_frames, "a ping between fragments"),
        (forgets_to_begin_anew, "two messages of a frame each"),
        (keeps_control_frames_for_later, "it comes out at once"),
        (delivers_fragments, "in three fragments"),
        (
            makes_lists_of_two,
            "at item 0: (<Opcode.TEXT: 1>, b'Hello') expected, got [<Opcode.TEXT: 1>",
        ),
        (yields, "of type generator, expected list"),
        (takes_no_payload_for_no_message, "only the opcode says that one begins"),
        (forgets_that_close_is_one, "b'one message \\x03\\xe8'"),
        (says_none_for_no_messages, "expected  no messages"),
    ],
    "length_bomb": [
        (largest_positive, "refused with 1009"),
        (two_bytes_of_length, "no length of this form is over 65,535"),
        (largest_short, "the seven bits say 125"),
        (hex_digits, "a head is bytes"),
        (sends_the_payload_too, "a head has 2 to 14"),
        (half_a_length, "only 2 follow"),
        (just_small, "gets ready for 0 bytes only"),
    ],
    "FrameBuffer": [
        (framing_buffer.FirstFrameOnly, "the next may be there already"),
        (framing_buffer.ForgetsTheRest, "must be there at the next call"),
        (framing_buffer.UsesNothingUp, "bytes that became a frame are used up"),
        (framing_buffer.SharesItsBuffer, "each connection needs a buffer of its own"),
        (framing_buffer.TakesAnything, "a client masks every frame"),
        (framing_buffer.HasNoLimit, "the limit holds before the payload comes"),
        (framing_buffer.ReturnsNoneForNotYet, "None from feed(); it returns a list"),
        (framing_buffer.ReturnsAllThereWere, "a frame that an earlier feed() gave already"),
        (framing_buffer.CountsTheHeadToo, "the head does not count"),
        (framing_buffer.RefusesTheLimitItself, "got       raises RemoteProtocolError: 300 bytes"),
        (framing_buffer.KeepsAllBytes, "3 MiB still held"),
    ],
    "parse_frame": [
        (short_lengths_only, "126 means: the length is in the next two bytes"),
        (leaves_the_mask_on, "was XORed with key byte i % 4"),
        (looks_before_there_is_anything, "an empty buffer"),
        (counts_from_the_frame, "not from the frame's"),
        (takes_what_is_there, "compare lengths first"),
        (passes_reserved_opcodes, "expected  raises RemoteProtocolError with close_code 1002"),
        (waits_for_a_ping_that_is_too_long, "the head alone says so"),
        (ignores_fin, "FIN is a bit of its own"),
        (keeps_slices_of_the_buffer, "payload and key are to be bytes"),
        (passes_reserved_bits, "no extension gave RSV2 a meaning"),
        (passes_bit(0x40), "RSV1 has a meaning only where"),
        (passes_bit(0x10), "0x40, 0x20 and 0x10"),
        (reads_the_length_at_the_buffers_start, "not where the buffer begins"),
        (reads_little_endian, "^^^^^ the length, 2 bytes, most significant first: 300"),
        (refuses_the_longest_ping, "125 bytes are the most that a control frame may have"),
        (keeps_the_slice_of_an_unmasked_frame, "got       payload of type bytearray"),
        (keeps_the_slice_for_a_key, "got       masking key of type bytearray"),
        (makes_room_first, "before the payload is there: it may never come"),
        (takes_the_frame_out, "the caller's, who still needs them as they were"),
        (says_fin_with_a_number, "got       fin 1"),
    ],
}
