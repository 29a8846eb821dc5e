"""Wrong answers to the exercises of chapter 07."""

from __future__ import annotations

# --- hottest ---


def most_often_on_a_stack(samples):
    total = {}
    for stack, count in samples:
        for name in stack.split(";"):
            total[name] = total.get(name, 0) + count
    return max(total, key=total.get)


def counts_stacks(samples):
    own = {}
    for stack, _ in samples:
        name = stack.split(";")[-1]
        own[name] = own.get(name, 0) + 1
    return max(own, key=own.get)


def the_largest_stack(samples):
    return max(samples, key=lambda pair: pair[1])[0].split(";")[-1]


def the_deepest_stack(samples):
    return max(samples, key=lambda pair: (pair[0].count(";"), pair[1]))[0].split(";")[-1]


def the_whole_stack(samples):
    return max(samples, key=lambda pair: pair[1])[0]


def as_a_dict(samples):
    own = {}
    for stack, count in dict(samples).items():
        innermost = stack.split(";")[-1]
        own[innermost] = own.get(innermost, 0) + count
    return max(own, key=own.get)


def a_pair(samples):
    return max(samples, key=lambda pair: pair[1])


def nothing_returned(samples):
    max(samples, key=lambda pair: pair[1])


# --- bound ---


def forgets_memory(rate, promise, memory, size):
    return max(1, int(rate * promise))


def the_larger_one(rate, promise, memory, size):
    return max(1, int(rate * promise), int(memory // size))


def rounds_up(rate, promise, memory, size):
    return max(1, min(-int(-rate * promise // 1), int(memory // size)))


def rounds_memory_up(rate, promise, memory, size):
    return max(1, min(int(rate * promise), -int(-memory // size)))


def may_be_zero(rate, promise, memory, size):
    return min(int(rate * promise), int(memory // size))


def a_float(rate, promise, memory, size):
    return max(1, min(rate * promise // 1, memory // size))


def to_the_nearest(rate, promise, memory, size):
    return max(1, round(min(rate * promise, memory / size)))


def memory_to_the_nearest(rate, promise, memory, size):
    return max(1, min(int(rate * promise), round(memory / size)))


def rate_first(rate, promise, memory, size):
    return max(1, min(int(int(rate) * promise), int(memory // size)))


def size_first(rate, promise, memory, size):
    return max(1, min(int(rate * promise), int(memory // int(size))))


def memory_first(rate, promise, memory, size):
    return max(1, min(int(rate * promise), int(int(memory) // size)))


def one_too_many(rate, promise, memory, size):
    return max(1, min(int(rate * promise) + 1, int(memory // size)))


# --- visit ---


def forgets_last(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.members.discard(name)


def only_when_all_goes_well(board, name, strokes):
    board.members.add(name)
    for stroke in strokes:
        board.draw(name, stroke)
    board.members.discard(name)
    board.last.pop(name, None)


def swallows_the_error(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    except ValueError:
        pass
    finally:
        board.members.discard(name)
        board.last.pop(name, None)


def clears_everything(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.members.clear()
        board.last.clear()


def del_last(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.members.discard(name)
        del board.last[name]


def never_joins(board, name, strokes):
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.last.pop(name, None)


def on_a_value_error(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    except ValueError:
        board.members.discard(name)
        board.last.pop(name, None)
        raise
    board.members.discard(name)
    board.last.pop(name, None)


def on_an_exception(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    except Exception:
        board.members.discard(name)
        board.last.pop(name, None)
        raise
    board.members.discard(name)
    board.last.pop(name, None)


def without_draw(board, name, strokes):
    for stroke in strokes:
        if not stroke:
            raise ValueError("a stroke without points")
        board.strokes.append(stroke)


def looks_at_all_first(board, name, strokes):
    if not all(strokes):
        raise ValueError("a stroke without points")
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.members.discard(name)
        board.last.pop(name, None)


def takes_the_drawing_along(board, name, strokes):
    board.members.add(name)
    try:
        for stroke in strokes:
            board.draw(name, stroke)
    finally:
        board.members.discard(name)
        board.last.pop(name, None)
        board.strokes.clear()


# --- corrected ---


def as_it_came(waits, interval):
    return list(waits)


def zero_too(waits, interval):
    found = []
    for wait in waits:
        while wait >= 0:
            found.append(wait)
            wait -= interval
            if wait == 0:
                found.append(0)
                break
    return found


def only_whole_intervals(waits, interval):
    found = []
    for wait in waits:
        found.append(wait)
        while wait - interval >= interval:
            wait -= interval
            found.append(wait)
    return found


def only_the_next(waits, interval):
    found = []
    for wait in waits:
        found.append(wait)
        if wait > interval:
            found.append(wait - interval)
    return found


def repeats_the_wait(waits, interval):
    return [wait for wait in waits for _ in range(max(1, -(-wait // interval)))]


def at_the_end(waits, interval):
    hidden = [wait - n * interval for wait in waits for n in range(1, -(-wait // interval))]
    return list(waits) + hidden


def drops_a_wait_of_nothing(waits, interval):
    return [left for wait in waits for left in range(wait, 0, -interval)]


def while_more_than_nothing(waits, interval):
    found = []
    for wait in waits:
        while wait > 0:
            found.append(wait)
            wait -= interval
    return found


# --- say ---


def as_it_was(messages, members, serialize):
    for member in members:
        for message in messages:
            member.write(serialize(message))


def encodes_once(messages, members, serialize):
    for message in messages:
        frame = serialize(message)
        for member in members:
            member.write(frame)


def writes_once(messages, members, serialize):
    for member in members:
        member.write(b"".join([serialize(message) for message in messages]))


def writes_nothing_too(messages, members, serialize):
    data = b"".join([serialize(message) for message in messages])
    for member in members:
        member.write(data)


def drops_what_was_said(messages, members, serialize):
    data = b"".join([serialize(message) for message in dict.fromkeys(messages)])
    if data:
        for member in members:
            member.write(data)


def one_frame_for_all(messages, members, serialize):
    if messages:
        data = serialize("".join(messages))
        for member in members:
            member.write(data)


def drops_empty_ones(messages, members, serialize):
    data = b"".join([serialize(message) for message in messages if message])
    if data:
        for member in members:
            member.write(data)


_remembered: dict[str, bytes] = {}


def remembers_for_ever(messages, members, serialize):
    for message in messages:
        if message not in _remembered:
            _remembered[message] = serialize(message)
    data = b"".join([_remembered[message] for message in messages])
    if data:
        for member in members:
            member.write(data)


def once_for_each_text(messages, members, serialize):
    frames = {message: serialize(message) for message in dict.fromkeys(messages)}
    data = b"".join([frames[message] for message in messages])
    if data:
        for member in members:
            member.write(data)


def the_last_one_first(messages, members, serialize):
    data = b"".join([serialize(message) for message in messages][::-1])
    if data:
        for member in members:
            member.write(data)


def a_generator(messages, members, serialize):
    frames = (serialize(message) for message in messages)
    for member in members:
        if data := b"".join(frames):
            member.write(data)


def says_nothing(messages, members, serialize):
    for message in messages:
        serialize(message)


WRONG = {
    "hottest": [
        (most_often_on_a_stack, "waits in every sample"),
        (counts_stacks, "as often as it was sampled"),
        (the_largest_stack, "add up what belongs to one function"),
        (the_deepest_stack, "height is depth of calls"),
        (the_whole_stack, "a whole stack"),
        (as_a_dict, "a stack may come in more than one pair"),
        (a_pair, "the name alone is asked for"),
        (nothing_returned, "without `return`"),
    ],
    "saving": [
        (("write", 1 / 0.65), "another stands in two towers"),
        (("encode", 0.5), "How many times cheaper"),
        (("encode", 1.43), "it has another"),
        (("parse", 1.18), "add up each name's boxes"),
        ("encode", "a pair was asked for"),
    ],
    "bound": [
        (forgets_memory, "only 10 fit into the memory"),
        (the_larger_one, "expected  50"),
        (rounds_up, "the third would be late"),
        (rounds_memory_up, "more than 1,000"),
        (may_be_zero, "no bound at all"),
        (a_float, "expected  50"),
        (to_the_nearest, "the third would wait 0.3 s"),
        (memory_to_the_nearest, "three times 364 bytes"),
        (rate_first, "2.5 a second for 4 s are 10"),
        (size_first, "0.5 goes 9 times into 4.5"),
        (memory_first, "got       8"),
        (one_too_many, "the 51st longer"),
    ],
    "visit": [
        (forgets_last, "still in board.last"),
        (only_when_all_goes_well, "an error is a way out too"),
        (swallows_the_error, "an error of draw is passed on"),
        (clears_everything, "what belongs to her is gone"),
        (del_last, "leave without an error"),
        (never_joins, "first join, then draw"),
        (on_a_value_error, "raises OSError"),
        (on_an_exception, "raises CancelledError"),
        (without_draw, "calls of board.draw: 0, expected 3"),
        (looks_at_all_first, "the strokes before the one that fails are drawn"),
        (takes_the_drawing_along, "the drawing stays"),
    ],
    "honest": [
        ("A", "it is the bottleneck"),
        ("C", "omit the questions of a standstill"),
        ("D", "smaller than the spread"),
        ("b", "a capital"),
    ],
    "corrected": [
        (as_it_came, "waited for the same end"),
        (zero_too, "it waits 0, and that is none"),
        (only_whole_intervals, "waited for the same end"),
        (only_the_next, "waited for the same end"),
        (repeats_the_wait, "waited for the same end"),
        (at_the_end, "what a wait hides comes after it"),
        (drops_a_wait_of_nothing, "it hides none, and stays"),
    ],
    "say": [
        (as_it_was, "60 calls of serialize and 60 writes; 3 and 20 would do"),
        (encodes_once, "3 calls of serialize and 60 writes"),
        (writes_once, "60 calls of serialize and 20 writes"),
        (writes_nothing_too, "3 writes; 0 and 0 would do"),
        (drops_what_was_said, "got b'<a>', expected b'<a><a>'"),
        (one_frame_for_all, "each message is a frame of its own"),
        (drops_empty_ones, "got b'<a><b>', expected b'<a><><b>'"),
        (remembers_for_ever, "serialize was called for []"),
        (once_for_each_text, "serialize was called for ['a'], expected ['a', 'a']"),
        (the_last_one_first, "not in the order of messages"),
        (a_generator, "only once"),
        (says_nothing, "nothing was written"),
    ],
}
