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


WRONG = {
    "hottest": [
        (most_often_on_a_stack, "waits in every sample"),
        (counts_stacks, "as often as it was sampled"),
        (the_largest_stack, "add up what belongs to one function"),
        (the_deepest_stack, "height is depth of calls"),
        (the_whole_stack, "main;encode"),
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
    ],
    "visit": [
        (forgets_last, "still in board.last"),
        (only_when_all_goes_well, "an error is a way out too"),
        (swallows_the_error, "an error of draw is passed on"),
        (clears_everything, "what belongs to her is gone"),
        (del_last, "leave that place quietly"),
        (never_joins, "first join, then draw"),
    ],
    "honest": [
        ("A", "it is the bottleneck"),
        ("C", "omits the questions of a standstill"),
        ("D", "smaller than the spread"),
        ("b", "a capital"),
    ],
    "corrected": [
        (as_it_came, "waited for the same end"),
        (zero_too, "it waits 0, and that is none"),
        (only_whole_intervals, "waited for the same end"),
        (only_the_next, "waited for the same end"),
        (repeats_the_wait, "waited for the same end"),
        (at_the_end, "what a wait hides stands behind it"),
    ],
    "say": [
        (as_it_was, "60 calls of serialize and 60 writes; 3 and 20 would do"),
        (encodes_once, "3 calls of serialize and 60 writes"),
        (writes_once, "60 calls of serialize and 20 writes"),
        (writes_nothing_too, "3 writes; 0 and 0 would do"),
        (drops_what_was_said, "a member got b'<a>', expected b'<a><a>'"),
        (one_frame_for_all, "a member got"),
    ],
}
