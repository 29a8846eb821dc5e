"""Wrong answers to the exercises of chapter 00."""

from __future__ import annotations

import asyncio

from refimpl.errors import ConnectionClosed


def without_the_blank(message):
    return "echo:" + message


def takes_all_for_text(message):
    return "echo: " + message


def puts_bytes_into_words(message):
    return f"echo: {message}"


def strips(message):
    return "echo: " + message.strip() if isinstance(message, str) else message


def decodes(message):
    return "echo: " + (message if isinstance(message, str) else message.decode("latin-1"))


def prints(message):
    print("echo: " + message)


def only_the_latest(items, number):
    return items[-1:]


def one_too_far(items, number):
    return items[number + 1 :]


def just_one(items, number):
    return items[number]


def a_tuple(items, number):
    return tuple(items[number:])


def what_it_has_already(items, number):
    return items[:number]


async def from_zero(websocket):
    number = 0
    async for message in websocket:
        await websocket.send(f"{number}: {message}")
        number += 1


async def only_once(websocket):
    await websocket.send(f"1: {await websocket.recv()}")


total = 0


async def one_count_for_all(websocket):
    global total
    async for message in websocket:
        total += 1
        await websocket.send(f"{total}: {message}")


async def always_one(websocket):
    async for message in websocket:
        number = 1
        await websocket.send(f"{number}: {message}")


async def listens_only(websocket):
    async for message in websocket:
        print(message)


async def sends_a_number(websocket):
    number = 0
    async for message in websocket:
        number += 1
        await websocket.send(number + ": " + message)


async def stays_for_ever(websocket):
    number = 0
    try:
        async for message in websocket:
            number += 1
            await websocket.send(f"{number}: {message}")
    except ConnectionClosed:
        pass
    await asyncio.Event().wait()


def not_async(websocket):
    return None if websocket is None else "1: Hello"


WRONG = {
    "reply_to": [
        (without_the_blank, "with a space after the colon"),
        (takes_all_for_text, 'can only concatenate str (not "bytes")'),
        (puts_bytes_into_words, "bytes are no text"),
        (strips, "an echo changes nothing"),
        (decodes, "of type str, expected bytes"),
        (prints, "without a return"),
    ],
    "size_of_answer": [
        ((46, 48), "the other way round"),
        ((46, 46), "none of them is the head"),
        ((48, 48), "they are no letters"),
        ((13, 11), "that is the first answer"),
        (48, "expected tuple"),
        ((50, 46), "count all bytes of the dump"),
    ],
    "news_since": [
        (only_the_latest, "got       ['no school today']"),
        (one_too_far, "got       ['the bus is late', 'no school today']"),
        (just_one, "of type str, expected list"),
        (a_tuple, "of type tuple, expected list"),
        (what_it_has_already, "got       []"),
    ],
    "numbered_echo": [
        (from_zero, "'1: Hello' expected, got '0: Hello'"),
        (only_once, "returned before it answered 'b'"),
        (one_count_for_all, "each visitor is counted from 1"),
        (always_one, "'2: b' expected"),
        (listens_only, "no answer to 'Hello' within 1 s"),
        (sends_a_number, "unsupported operand type"),
        (stays_for_ever, "the handler does not end"),
        (not_async, "this one needs `async def`"),
    ],
}
