"""Chapter 02: what a few bytes say."""

from typing import Any

from refimpl.classroom.checking.cases import Answer, Case, Exercise


def _size_case(name: str, second: int, expect: int, why: str = "") -> Case:
    def ask(head_size: Any) -> Any:
        return head_size(second)

    return Case(name, drive=ask, shown=f"head_size({second:#04x})", expect=expect, why=why)


HEAD_SIZE = Exercise(
    "head_size",
    points=1,
    rule='RFC 6455 5.2 "Payload length"',
    hints=(
        "Every head has two bytes. Two things in the second byte add more: its first bit, and what "
        "the other seven say.",
        "RFC 6455 5.2, on the second byte fe: 1111 1110. MASK is set, so four bytes of masking key "
        "will come. The other seven bits say 126, so two bytes of length come before them. "
        "2 + 2 + 4 is 8.",
        "1. Take MASK off: second & 0x7f.\n"
        "2. Start from 2. For 126 add two, for 127 add eight.\n"
        "3. Where second & 0x80 is set, add four.",
    ),
    cases=(
        _size_case("5 bytes, unmasked", 0x05, 2),
        _size_case("5 bytes, masked", 0x85, 6, "a masking key is part of the head"),
        _size_case("126, unmasked", 0x7E, 4, "126 means: two more bytes of length"),
        _size_case(
            "127, unmasked",
            0x7F,
            10,
            "127 means: eight more bytes of length, besides the first two of the head",
        ),
        _size_case(
            "126, masked", 0xFE, 8, "0xfe is MASK and 126: take the bit off before you compare"
        ),
        _size_case("127, masked", 0xFF, 14, "the longest head there is"),
        _size_case("125, unmasked", 0x7D, 2, "125 still fits the seven bits"),
        _size_case("0, masked", 0x80, 6, "a key comes even where it masks nothing"),
    ),
)

STILL_MASKED = bytes.fromhex("28 8b 62 0d")  # the reason, as it travels


def _read(errors: str) -> str:
    return STILL_MASKED.decode(errors=errors)


GOODBYE = Answer(
    "goodbye",
    points=1,
    rule="RFC 6455 5.3 and 5.5.1",
    hints=(
        "First find the three parts: two bytes of head, four of masking key, six of payload. Then "
        "take the mask off, and only then read.",
        'RFC 6455 5.3, on the frame of "Hello" in chapter 02: key 47 53 a7 ee, payload 0f 36 cb 82 '
        "28. 0f ^ 47 is 48, the letter H; the fifth byte meets the first of the key again. And "
        "5.5.1: in a Close frame, the first two bytes are the code: 03 ea is 3 * 256 + 234, 1002.",
        "1. key, payload = frame[2:6], frame[6:]\n"
        "2. plain = payload XOR key, byte i with key byte i % 4\n"
        '3. The code: int.from_bytes(plain[:2], "big"). The reason: plain[2:].decode().',
    ),
    accepts=(1000, "done"),
    kind=tuple,
    mistakes={
        (1000, b"done"): "the right bytes; but a reason is text (RFC 6455 5.5.1): decode them",
        (59395, "done"): "the code was read with its least significant byte first",
        (3968, "done"): "the code was read before the mask was off",
        **dict.fromkeys(
            [(3968, STILL_MASKED), *((3968, _read(errors)) for errors in ("replace", "ignore"))],
            "the right place, but the mask is still on: what was read is noise",
        ),
        (3968, STILL_MASKED): "the right place, but the mask is still on: what was read is noise",
        (3176, "done"): "0c 68 is the beginning of the masking key",
        ("1000", "done"): "the code is a number",
        (6, "done"): "6 is the length of the payload; the code is in its first two bytes",
        (1000, ""): "four more bytes follow the code",
        ("done", 1000): "the other way round: the code first",
    },
    otherwise="the answer is a pair (code, reason), read from the payload once its mask is off;\n"
    "where does the payload begin, and which byte of the key does each of its bytes meet?",
)

CULPRIT = Answer(
    "culprit",
    points=1,
    rule="RFC 6455 5.2, 5.4 and 5.5",
    hints=(
        "Unusual is not illegal. Go through the frames one by one, and for each ask the RFC, not "
        "your taste. Every one is masked, and every opcode is one of the six.",
        "RFC 6455 5.2 to 5.5, on 8a 84: FIN, opcode a, a Pong; four bytes, masked. Nobody had sent "
        "a Ping; 5.5.3 allows that. Read the two head bytes of each frame so, and where the seven "
        "bits say 126 or 127, the bytes of the length after them too.",
        "1. For each frame write down FIN, opcode, and the length with the form it is written in.\n"
        "2. Control frames: FIN set? at most 125 bytes? They may stand anywhere.\n"
        "3. Data frames: does each begin or continue a message as it should?\n"
        "4. Lengths: is each in the shortest form?",
    ),
    accepts=4,
    mistakes={
        0: "a TEXT frame without FIN begins a fragmented message (5.4)",
        1: "a Ping between fragments is allowed, and may be empty (5.4, 5.5.2)",
        2: "a fragment may be empty, in the middle of a message too (5.4)",
        3: "a Pong that nobody asked for is allowed (5.5.3), also between fragments",
        5: "the Close is in order; the server had given up before it came",
        6: "there are six frames, counted from 0",
    },
    otherwise="the answer is the number of a frame, counted from 0",
)
