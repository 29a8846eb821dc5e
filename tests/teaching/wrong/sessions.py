"""Wrong answers to the exercises of chapter 10."""

from __future__ import annotations

import asyncio
import itertools

# --- present_at ---


def every_connection(now, renewals, connections):
    return sorted({user for user, _, _ in connections})


def never_expires(now, renewals, connections):
    alive = {(node, epoch) for time, node, epoch in renewals if time <= now}
    return sorted({user for user, node, epoch in connections if (node, epoch) in alive})


def forgets_epochs(now, renewals, connections):
    alive = {node for time, node, _ in renewals if time <= now <= time + 15}
    return sorted({user for user, node, _ in connections if node in alive})


def every_life_counts(now, renewals, connections):
    alive = {(node, epoch) for time, node, epoch in renewals if time <= now <= time + 15}
    return sorted({user for user, node, epoch in connections if (node, epoch) in alive})


def _present(latest, *, before=lambda time, now: time <= now, holds=lambda now, end: now <= end):
    def present_at(now, renewals, connections):
        newest = {}
        for time, node, epoch in renewals:
            if before(time, now):
                newest[node] = latest(newest.get(node, (0, 0)), (epoch, time))
        alive = {(node, e) for node, (e, time) in newest.items() if holds(now, time + 15)}
        return sorted({user for user, node, epoch in connections if (node, epoch) in alive})

    return present_at


def the_latest_renewal_wins(now, renewals, connections):
    return _present(lambda old, new: max(old, new, key=lambda pair: pair[1]))(
        now, renewals, connections
    )


def any_life_renews(now, renewals, connections):
    newest, times = {}, {}
    for time, node, epoch in renewals:
        if time <= now:
            newest[node] = max(newest.get(node, 0), epoch)
            times[node] = max(times.get(node, 0), time)
    alive = {(node, epoch) for node, epoch in newest.items() if now <= times[node] + 15}
    return sorted({user for user, node, epoch in connections if (node, epoch) in alive})


sees_the_future = _present(max, before=lambda time, now: True)
a_moment_too_short = _present(max, holds=lambda now, end: now < end)
the_last_line = _present(lambda old, new: new)


def the_newest_that_still_holds(now, renewals, connections):
    newest = {}
    for time, node, epoch in renewals:
        if time <= now <= time + 15:
            newest[node] = max(newest.get(node, 0), epoch)
    return sorted({user for user, node, epoch in connections if newest.get(node) == epoch})


def in_order_and_often(now, renewals, connections):
    right = set(_present(max)(now, renewals, connections))
    return [user for user, _, _ in connections if user in right]


# --- add_tab ---


def _key(user):
    return f"user:{user}:conns"


async def reads_then_writes(store, user, tab):
    tabs = (await store.get(_key(user)) or "").split(",")
    tabs = [each for each in tabs if each]
    if tab not in tabs:
        tabs.append(tab)
        await store.set(_key(user), ",".join(tabs))
    return len(tabs)


async def looks_before_the_script(store, user, tab):
    tabs = (await store.get(_key(user)) or "").split(",")
    if tab in tabs:
        return len(tabs)
    return await store.eval(APPENDS, 1, _key(user), tab)


async def counts_behind_the_script(store, user, tab):
    await store.eval(ADDS, 1, _key(user), tab)
    return len((await store.get(_key(user))).split(","))


async def a_set_instead(store, user, tab):
    return await store.sadd(_key(user), tab)


def _scripted(script, *, keys=1):
    async def add_tab(store, user, tab):
        return await store.eval(script, keys, _key(user), tab)

    return add_tab


APPENDS = """
local text = redis.call('GET', KEYS[1])
text = text and text .. ',' .. ARGV[1] or ARGV[1]
redis.call('SET', KEYS[1], text)
local _, commas = string.gsub(text, ',', '')
return commas + 1
"""
FINDS = """
local text = redis.call('GET', KEYS[1]) or ''
if not string.find(text, ARGV[1]) then
  text = text == '' and ARGV[1] or text .. ',' .. ARGV[1]
  redis.call('SET', KEYS[1], text)
end
local _, commas = string.gsub(text, ',', '')
return commas + 1
"""
ADDS = """
local text = redis.call('GET', KEYS[1]) or ''
for each in string.gmatch(text, '[^,]+') do
  if each == ARGV[1] then return end
end
redis.call('SET', KEYS[1], text == '' and ARGV[1] or text .. ',' .. ARGV[1])
"""
always_appends = _scripted(APPENDS)
finds_a_pattern = _scripted(FINDS)
finds_a_piece = _scripted(FINDS.replace("ARGV[1])", "ARGV[1], 1, true)", 1))
names_no_key = _scripted(APPENDS.replace("ARGV[1]", "ARGV[2]").replace("KEYS", "ARGV"), keys=0)
returns_nothing = _scripted(APPENDS.replace("return commas + 1", ""))
does_not_compile = _scripted(APPENDS.replace("commas + 1", "commas ++ 1"))
fails_as_it_runs = _scripted(APPENDS.replace("commas + 1", "commas .. nil"))


# --- send_to_tabs ---


async def _by_node(store, user):
    ids = {}
    for each in await store.connections(user):
        ids.setdefault(each.node, []).append(each.id)
    return ids


async def one_send_a_tab(store, user, send, text):
    tabs = await store.connections(user)
    await asyncio.gather(*(send(each.node, [each.id], text) for each in tabs))
    return []


async def one_after_the_other(store, user, send, text):
    lost = []
    for node, ids in (await _by_node(store, user)).items():
        try:
            await send(node, ids, text)
        except ConnectionError:
            lost += ids
    return sorted(lost)


async def the_first_failure_ends_it(store, user, send, text):
    ids = await _by_node(store, user)
    await asyncio.gather(*(send(node, each, text) for node, each in ids.items()))
    return []


async def fails_in_silence(store, user, send, text):
    ids = await _by_node(store, user)
    sends = (send(node, each, text) for node, each in ids.items())
    await asyncio.gather(*sends, return_exceptions=True)
    return []


async def names_the_nodes(store, user, send, text):
    ids = await _by_node(store, user)
    sends = (send(node, each, text) for node, each in ids.items())
    results = await asyncio.gather(*sends, return_exceptions=True)
    return [node for node, result in zip(ids, results, strict=True) if result]


async def catches_everything(store, user, send, text):
    ids = await _by_node(store, user)
    sends = (send(node, each, text) for node, each in ids.items())
    results = await asyncio.gather(*sends, return_exceptions=True)
    lost = [each for each, result in zip(ids.values(), results, strict=True) if result]
    return sorted(id for each in lost for id in each)


async def catches_every_oserror(store, user, send, text):
    async def send_one(node, ids):
        try:
            await send(node, ids, text)
        except OSError:
            return ids
        return []

    ids = await _by_node(store, user)
    lost = await asyncio.gather(*(send_one(*each) for each in ids.items()))
    return sorted(id for each in lost for id in each)


async def sends_one_id(store, user, send, text):
    for node, ids in (await _by_node(store, user)).items():
        await send(node, ids[0], text)


# --- find_gaps ---


def compares_numbers_only(epoch, number, heard):
    gaps = []
    for other, heard_number in heard:
        gaps += [(other, each) for each in range(number + 1, heard_number)]
        number = max(number, heard_number)
    return gaps


def counts_the_heard_one(epoch, number, heard):
    return [("e1", each) for _, last in heard for each in range(number + 1, last + 1)]


def _gaps(*, moves=True, back=False, switch=lambda epoch, other: epoch != other, keeps=False):
    def find_gaps(epoch, number, heard):
        gaps = []
        for other, heard_number in heard:
            if switch(epoch, other):
                gaps.append((other, None))
                epoch, number = (epoch if keeps else other), heard_number
            elif heard_number > number or back:
                gaps += [(other, each) for each in range(number + 1, heard_number)]
                number = heard_number if moves else number + 1
        return gaps

    return find_gaps


the_place_counts_on = _gaps(moves=False)
goes_back = _gaps(back=True)
only_larger_epochs = _gaps(switch=lambda epoch, other: other > epoch)
keeps_the_old_epoch = _gaps(keeps=True)


def between_the_heard_only(epoch, number, heard):
    gaps = []
    for (one, first), (two, second) in itertools.pairwise(heard):
        if one == two:
            gaps += [(one, each) for each in range(first + 1, second)]
    return gaps


def a_new_epoch_misses_all_before(epoch, number, heard):
    gaps = []
    for other, heard_number in heard:
        if other != epoch:
            epoch, number = other, 0
        gaps += [(other, each) for each in range(number + 1, heard_number)]
        number = max(number, heard_number)
    return gaps


# --- Page ---


class Good:
    """A right answer, to be spoiled."""

    def __init__(self):
        self.lines, self.seen, self.place, self.may_send = [], set(), ("", 0), True

    def take(self, event):
        getattr(self, f"on_{event['type']}", lambda event: None)(event)

    def on_message(self, event):
        self.show(event)
        self.move(event)

    def show(self, event):
        if event["id"] not in self.seen:
            self.seen.add(event["id"])
            self.lines.append(event["data"])

    def move(self, event):
        epoch, number = event["epoch"], event["number"]
        if epoch != self.place[0] or number > self.place[1]:
            self.place = epoch, number

    def on_joined(self, event):
        self.tell(event["missing"])

    on_resync = on_joined

    def tell(self, missing):
        if missing:
            many = "message is" if missing == 1 else "messages are"
            self.lines.append(f"({missing} {many} missing)")

    def on_store(self, event):
        self.may_send = not event["degraded"]


class ShowsDoubles(Good):
    def show(self, event):
        self.lines.append(event["data"])


class DropsByNumber(Good):
    def show(self, event):
        if event["number"] not in self.seen:
            self.seen.add(event["number"])
            self.lines.append(event["data"])


class DropsByEpochAndNumber(Good):
    def show(self, event):
        if (event["epoch"], event["number"]) not in self.seen:
            self.seen.add((event["epoch"], event["number"]))
            self.lines.append(event["data"])


class SilentAboutLoss(Good):
    def tell(self, missing):
        pass


class TellsOfZero(Good):
    def tell(self, missing):
        self.lines.append(f"({missing} messages are missing)")


class NoGrammar(Good):
    def tell(self, missing):
        if missing:
            self.lines.append(f"({missing} messages are missing)")


class BelievesAnnouncements(Good):
    def on_joined(self, event):
        self.tell(event["missing"])
        self.place = event["epoch"], event["number"]


class BelievesResync(Good):
    def on_resync(self, event):
        self.tell(event["missing"])
        self.move(event)


class GoesBack(Good):
    def move(self, event):
        self.place = event["epoch"], event["number"]


class NeverGoesBack(Good):
    def move(self, event):
        if event["number"] > self.place[1]:
            self.place = event["epoch"], event["number"]


class TakesTheLargerPair(Good):
    def move(self, event):
        self.place = max(self.place, (event["epoch"], event["number"]))


class DoublesDoNotMove(Good):
    def on_message(self, event):
        if event["id"] not in self.seen:
            self.show(event)
            self.move(event)


class FallsOverNews(Good):
    def take(self, event):
        getattr(self, f"on_{event['type']}")(event)


class TakesDegradedForYes(Good):
    def on_store(self, event):
        self.may_send = event["degraded"]


WRONG = {
    "present_at": [
        (every_connection, "no renewal, no lease"),
        (never_expires, "its lease was over at 25"),
        (forgets_epochs, "the connection is of life 1"),
        (every_life_counts, "one life at a time"),
        (the_latest_renewal_wins, "it is fenced"),
        (any_life_renews, "does not keep epoch 2 alive"),
        (the_newest_that_still_holds, "does not bring epoch 1 back"),
        (sees_the_future, "is not known then"),
        (a_moment_too_short, "the lease still holds"),
        (the_last_line, "not the last"),
        (in_order_and_often, "in alphabetical order"),
    ],
    "ghost": [
        ("cleo", "Give the id of a connection"),
        ("node-2", "it was started again"),
        ("node-3.1796001220161.84809528dd1e", "compare until with TIME"),
        ("node-2.1796001231375.bf43cabd4dd3", "that node-2 has now"),
        ("node-1.1796001220163.5fe86ee5424b", "may have two tabs"),
        ("node-1.1796001220163.a0558fae0a05", "in the same epoch"),
        ("node-2.1796001220163", "to the letter"),
    ],
    "add_tab": [
        (reads_then_writes, "inside of one script"),
        (looks_before_the_script, "added the same tab"),
        (counts_behind_the_script, "count inside of the script"),
        (a_set_instead, "old nodes read the list"),
        (always_appends, "the tab is there once"),
        (finds_a_pattern, "mean something in a Lua pattern"),
        (finds_a_piece, "a piece of another"),
        (names_no_key, "where to run it"),
        (returns_nothing, "how many tabs the user has"),
        (does_not_compile, "did not compile"),
        (fails_as_it_runs, "failed as it ran"),
    ],
    "send_to_tabs": [
        (one_send_a_tab, "two sends to node-1"),
        (one_after_the_other, "the other nodes wait"),
        (the_first_failure_ends_it, "ConnectionError"),
        (fails_in_silence, "[] as not reached"),
        (names_the_nodes, "['node-1'] as not reached"),
        (catches_everything, "nothing wider"),
        (catches_every_oserror, "too many open files"),
        (sends_one_id, "a list of ids"),
    ],
    "find_gaps": [
        (compares_numbers_only, "is chance"),
        (counts_the_heard_one, "the next ones"),
        (the_place_counts_on, "what was heard, not what was expected"),
        (goes_back, "the place stays"),
        (only_larger_epochs, "drawn at random"),
        (keeps_the_old_epoch, "once"),
        (between_the_heard_only, "the place counts"),
        (a_new_epoch_misses_all_before, "no number says how much"),
    ],
    "Page": [
        (ShowsDoubles, "is not shown again"),
        (DropsByNumber, "number 1 of another epoch"),
        (DropsByEpochAndNumber, "known by their ids"),
        (SilentAboutLoss, "how many are missing, and where"),
        (TellsOfZero, "(0 messages are missing)"),
        (NoGrammar, "one message *is* missing"),
        (BelievesAnnouncements, "never gets 3 to 5"),
        (BelievesResync, "has not arrived yet"),
        (GoesBack, "never goes back"),
        (NeverGoesBack, "cannot be compared"),
        (TakesTheLargerPair, "which is larger"),
        (DoublesDoNotMove, "it has arrived"),
        (FallsOverNews, "passed over"),
        (TakesDegradedForYes, "nothing can be sent"),
    ],
}
