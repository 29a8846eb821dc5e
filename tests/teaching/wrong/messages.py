"""Wrong answers to the exercises of chapter 03."""

from __future__ import annotations

import codecs
import zlib

from refimpl.errors import RemoteProtocolError
from refimpl.messages import decode_text

# --- inside_after ---


def a_ping_ends_it(inside, first):
    if (first & 15 == 0 and not inside) or (first & 15 in (1, 2) and inside):
        raise RemoteProtocolError("out of order")
    return not first & 128


def fin_the_wrong_way(inside, first):
    return bool(first & 128)


def orphans_are_welcome(inside, first):
    if first & 15 in (1, 2) and inside:
        raise RemoteProtocolError("a message inside a message")
    return inside if first & 8 else not first & 128


def nests_messages(inside, first):
    if first & 15 == 0 and not inside:
        raise RemoteProtocolError("an orphan")
    return inside if first & 8 else not first & 128


def whole_messages_pass_anywhere(inside, first):
    if first == 0x81:
        return inside
    if inside is not (first & 15 == 0) and not first & 8:
        raise RemoteProtocolError("out of order")
    return inside if first & 8 else not first & 128


def takes_rsv_for_opcode(inside, first):
    opcode = first & 0x7F
    if opcode in (8, 9, 10):
        return inside
    if opcode not in (0, 1, 2):
        raise RemoteProtocolError("no such opcode")
    if inside is not (opcode == 0):
        raise RemoteProtocolError("out of order")
    return not first & 128


def another_close_code(inside, first):
    if first & 8:
        return inside
    if inside is not (first & 15 == 0):
        raise RemoteProtocolError("out of order", 1007)
    return not first & 128


# --- fit_reason ---


def counts_characters(reason):
    return reason[:123]


def cuts_characters(reason):
    return reason.encode()[:123].decode()


def leaves_a_mark(reason):
    return reason.encode()[:123].decode(errors="replace")


def one_too_few(reason):
    return reason.encode()[:122].decode(errors="ignore")


def forgets_the_code(reason):
    return reason.encode()[:125].decode(errors="ignore")


def drops_what_is_not_ascii(reason):
    return reason.encode("ascii", "ignore")[:123].decode()


def returns_bytes(reason):
    return reason.encode()[:123]


# --- smuggle ---


def in_plain_sight(text):
    return text.encode()


def shifts_by_five(text):
    return b"".join(bytes((0xC0 | ord(each) >> 5, 0x80 | ord(each) & 0x1F)) for each in text)


def always_c0(text):
    return b"".join(bytes((0xC0, 0x80 | ord(each) & 0x3F)) for each in text)


def no_continuation(text):
    return b"".join(bytes((0xC0 | ord(each) >> 6, 0xC0 | ord(each) & 0x3F)) for each in text)


def looks_alike(text):
    return "".join(chr(ord(each) + 0xFEE0) for each in text).encode()


def four_bytes(text):
    return b"".join(
        bytes((0xF0, 0x80, 0x80 | ord(each) >> 6, 0x80 | ord(each) & 63)) for each in text
    )


# --- first_bad_byte ---


def waits_for_surrogates(data):
    decoder = codecs.getincrementaldecoder("utf-8")()
    for position in range(len(data)):
        try:
            decoder.decode(data[position : position + 1])
        except UnicodeDecodeError:
            return position
    return None


def where_the_character_began(data):
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def counts_from_one(data):
    found = right(data)
    return None if found is None else found + 1


def by_lead_byte(data, follow=((0x80, 0), (0xC0, None), (0xE0, 1), (0xF0, 2))):
    left = 0
    for position, byte in enumerate(data):
        if left:
            if byte >> 6 != 0b10:
                return position
            left -= 1
            continue
        left = next((count for below, count in follow if byte < below), None)
        if left is None:
            return position
    return None


def by_lead_byte_with_four(data):
    return by_lead_byte(data, ((0x80, 0), (0xC0, None), (0xE0, 1), (0xF0, 2), (0xF5, 3)))


def an_end_inside_is_bad(data):
    found = right(data)
    try:
        data.decode()
    except UnicodeDecodeError:
        return len(data) if found is None else found
    return found


def tells_only_whether(data):
    try:
        decode_text(data)
    except RemoteProtocolError:
        return False
    return True


def from_the_start_each_time(data):
    for end in range(1, len(data) + 1):
        found = right(data[:end])
        if found is not None:
            return found
    return None


def right(data):
    decoder = codecs.getincrementaldecoder("utf-8")()
    for position in range(len(data)):
        try:
            decoder.decode(data[position : position + 1])
        except UnicodeDecodeError:
            return position
        pending = decoder.getstate()[0]
        if pending[:1] == b"\xed" and pending[1:] >= b"\xa0":
            return position
    return None


# --- deflate_message ---


def keeps_the_tail(deflater, payload):
    return deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)


def strips_a_set(deflater, payload):
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return data.rstrip(b"\x00\x00\xff\xff")


def finishes(deflater, payload):
    return (deflater.compress(payload) + deflater.flush())[:-4]


def never_flushes(deflater, payload):
    return deflater.compress(payload)[:-4]


def forgets_each_time(deflater, payload):
    return (deflater.compress(payload) + deflater.flush(zlib.Z_FULL_FLUSH))[:-4]


def a_new_one_each_time(deflater, payload):
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def with_a_header(deflater, payload):
    return zlib.compress(payload)


# --- inflate_capped ---


def looks_afterwards(inflater, data, limit):
    try:
        plain = inflater.decompress(data)
    except zlib.error as error:
        raise RemoteProtocolError("corrupt", 1007) from error
    if len(plain) > limit:
        raise RemoteProtocolError("too big", 1009)
    return plain


def asks_for_the_limit(inflater, data, limit):
    try:
        return inflater.decompress(data, limit)
    except zlib.error as error:
        raise RemoteProtocolError("corrupt", 1007) from error


def judges_by_the_rest(inflater, data, limit):
    try:
        plain = inflater.decompress(data, limit)
    except zlib.error as error:
        raise RemoteProtocolError("corrupt", 1007) from error
    if inflater.unconsumed_tail or len(plain) > limit:
        raise RemoteProtocolError("too big", 1009)
    return plain


def lets_zlib_speak(inflater, data, limit):
    plain = inflater.decompress(data, limit + 1)
    if len(plain) > limit:
        raise RemoteProtocolError("too big", 1009)
    return plain


def a_new_inflater(inflater, data, limit):
    return inflate(zlib.decompressobj(wbits=-15), data, limit)


def the_wrong_code(inflater, data, limit):
    try:
        return inflate(inflater, data, limit)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(str(error)) from error


def refuses_a_full_message(inflater, data, limit):
    plain = inflate(inflater, data, limit)
    if len(plain) == limit:
        raise RemoteProtocolError("too big", 1009)
    return plain


def inflate(inflater, data, limit):
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise RemoteProtocolError("corrupt", 1007) from error
    if len(plain) > limit:
        raise RemoteProtocolError("too big", 1009)
    return plain


WRONG = {
    "inside_after": [
        (fin_the_wrong_way, "a whole text message"),
        (a_ping_ends_it, "its FIN ends nothing"),
        (orphans_are_welcome, "whether it is text or binary"),
        (nests_messages, "would never end"),
        (whole_messages_pass_anywhere, "a message of its own"),
        (takes_rsv_for_opcode, "take the low four bits"),
        (another_close_code, "expected  raises RemoteProtocolError with close_code 1002"),
    ],
    "deflate_cost": [
        (6, "the first fragment alone"),
        (18, "the last frame is missing"),
        (-19, "the wrong sign"),
        (43, "without the heads"),
        (45, "this is what travelled"),
        (26, "this is the text"),
        (7, "as they travelled and as inflated"),
        ("19", "of type str, expected int"),
    ],
    "fit_reason": [
        (counts_characters, "more than one byte here"),
        (cuts_characters, "UnicodeDecodeError"),
        (leaves_a_mark, "then too much: '\N{REPLACEMENT CHARACTER}'"),
        (one_too_few, "123 bytes fit"),
        (forgets_the_code, "the code takes two"),
        (drops_what_is_not_ascii, "ends after 0 characters"),
        (returns_bytes, "of type bytes, expected str"),
    ],
    "last_words": [
        ((2, 1001), "1001 is what the server sent; what did it receive?"),
        ((1, 1001), "and in CLOSING one still hears"),
        ((1, 1006), "the code is right"),
        ((2, 1005), "a Close without a code"),
        ((2, 1000), "who sent a 1000?"),
        (1006, "of type int, expected tuple"),
        ((3, 1006), "how many texts"),
    ],
    "smuggle": [
        (in_plain_sight, "the filter sees '.' in it"),
        (shifts_by_five, "at character 0: '../' expected"),
        (always_c0, "goes into the first byte"),
        (no_continuation, "where a byte that starts with the bits 10 must follow"),
        (looks_alike, "at character 0"),
        (four_bytes, "the table has no such row"),
    ],
    "first_bad_byte": [
        (waits_for_surrogates, "it is over now, not later"),
        (where_the_character_began, "the byte that ends all hope"),
        (counts_from_one, "a byte that is never used"),
        (by_lead_byte, "one to four bytes"),
        (by_lead_byte_with_four, "c0 itself is bad"),
        (an_end_inside_is_bad, "the rest may come with the next fragment"),
        (tells_only_whether, "None"),
        (from_the_start_each_time, "look at each byte once"),
    ],
    "deflate_message": [
        (keeps_the_tail, "then cut four bytes off the end"),
        (strips_a_set, "6 bytes where 7 are expected"),
        (finishes, "ends the deflater"),
        (never_flushes, "was not flushed"),
        (forgets_each_time, "empties the deflater's memory"),
        (a_new_one_each_time, "the deflater that you were given was not flushed"),
        (with_a_header, "the deflater that you were given"),
    ],
    "inflate_capped": [
        (looks_afterwards, "MiB were held on the way"),
        (asks_for_the_limit, "cut short is not the message"),
        (judges_by_the_rest, "max_length of 0 means no limit"),
        (lets_zlib_speak, "turn it into a RemoteProtocolError"),
        (a_new_inflater, "use the inflater that you were given"),
        (the_wrong_code, "got       raises RemoteProtocolError with close_code 1002"),
        (refuses_a_full_message, "19 of 19 bytes is not too big"),
    ],
}
