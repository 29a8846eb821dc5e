"""Wrong answers to the exercises of chapter 08."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

# --- wants_websocket ---


def sniffs(headers):
    return b"websocket" in dict(headers).get(b"upgrade", b"")


def only_exact_values(headers):
    named = {name.lower(): value.lower() for name, value in headers}
    return named.get(b"upgrade") == b"websocket" and named.get(b"connection") == b"upgrade"


def minds_the_case(headers):
    def tokens(wanted):
        lines = [value for name, value in headers if name == wanted]
        return [token.strip() for value in lines for token in value.split(b",")]

    return b"websocket" in tokens(b"upgrade") and b"Upgrade" in tokens(b"connection")


def keeps_the_last_line(headers):
    named = {name.lower(): value for name, value in headers}

    def tokens(wanted):
        return [token.strip().lower() for token in named.get(wanted, b"").split(b",")]

    return b"websocket" in tokens(b"upgrade") and b"upgrade" in tokens(b"connection")


def substrings_of_all(headers):
    def joined(wanted):
        return b",".join(value.lower() for name, value in headers if name.lower() == wanted)

    return b"websocket" in joined(b"upgrade") and b"upgrade" in joined(b"connection")


def forgets_the_blanks(headers):
    def tokens(wanted):
        lines = [value for name, value in headers if name.lower() == wanted]
        return [token.lower() for value in lines for token in value.split(b",")]

    return b"websocket" in tokens(b"upgrade") and b"upgrade" in tokens(b"connection")


def blanks_are_commas(headers):
    def tokens(wanted):
        lines = [value for name, value in headers if name.lower() == wanted]
        return [token.lower() for value in lines for token in re.split(rb"[,\s]+", value)]

    return b"websocket" in tokens(b"upgrade") and b"upgrade" in tokens(b"connection")


def first_line_wins(headers):
    named = {}
    for name, value in headers:
        named.setdefault(name.lower(), [token.strip().lower() for token in value.split(b",")])
    return b"websocket" in named.get(b"upgrade", ()) and b"upgrade" in named.get(b"connection", ())


def decodes_everything(headers):
    return minds_nothing([(name, value.decode().encode()) for name, value in headers])


def minds_nothing(headers):
    def tokens(wanted):
        lines = [value for name, value in headers if name.lower() == wanted]
        return [token.strip().lower() for value in lines for token in value.split(b",")]

    return b"websocket" in tokens(b"upgrade") and b"upgrade" in tokens(b"connection")


# --- with_defaults ---


def own_as_a_dictionary(message, defaults):
    own = list(dict(message.get("headers", ())).items())
    known = {name.lower() for name, _ in own}
    own += [(n.encode(), v.encode()) for n, v in defaults.items() if n.encode() not in known]
    return {**message, "headers": own}


def parts_of_names(message, defaults):
    own = list(message.get("headers", ()))
    known = [name.lower() for name, _ in own]
    for name, value in defaults.items():
        if not any(name.encode() in each for each in known):
            own.append((name.encode(), value.encode()))
    return {**message, "headers": own}


def empty_is_nothing(message, defaults):
    own = list(message.get("headers", ()))
    known = {name.lower() for name, value in own if value}
    own += [(n.encode(), v.encode()) for n, v in defaults.items() if n.encode() not in known]
    return {**message, "headers": own}


def as_it_was(message, defaults):
    own = message["headers"]
    for name, value in defaults.items():
        if (name.encode(), value.encode()) not in own:
            own.append((name.encode(), value.encode()))
    return message


def compares_pairs(message, defaults):
    own = list(message.get("headers", ()))
    for pair in [(name.encode(), value.encode()) for name, value in defaults.items()]:
        if pair not in own:
            own.append(pair)
    return {**message, "headers": own}


def minds_the_names_case(message, defaults):
    own = list(message.get("headers", ()))
    known = {name for name, _ in own}
    pairs = [(name.encode(), value.encode()) for name, value in defaults.items()]
    return {**message, "headers": own + [pair for pair in pairs if pair[0] not in known]}


def needs_headers(message, defaults):
    own = list(message["headers"])
    known = {name.lower() for name, _ in own}
    pairs = [(name.encode(), value.encode()) for name, value in defaults.items()]
    return {**message, "headers": own + [pair for pair in pairs if pair[0] not in known]}


def rewrites_names(message, defaults):
    own = {name.lower(): value for name, value in message.get("headers", ())}
    for name, value in defaults.items():
        own.setdefault(name.encode(), value.encode())
    return {**message, "headers": list(own.items())}


# --- sneak ---


def walks_in(name):
    return f"/ws/{name}"


def with_dots(name):
    return f"/ws/../ws/{name}"


def twice_encoded(name):
    return "/" + "".join(f"%25{ord(letter):02x}" for letter in name)


def always_admin(name):
    return "/ws/%61dmin"


def one_letter_in_ws(name):
    return f"/ws/%{ord(name[0]):02x}{name[1:]}"


def without_a_slash(name):
    return "".join(f"%{ord(letter):02x}" for letter in name)


def other_case(name):
    return f"/x/{name.swapcase()}"


# --- endpoint_name ---

RULE = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


def last_part(scope, prefix):
    return unquote(scope["path"]).rstrip("/").rpartition("/")[2]


def the_packages_own(scope, prefix):
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    name = path.removeprefix(prefix)
    if name == path or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return None
    raw = scope.get("raw_path")
    if raw is not None and not raw.partition(b"?")[0].endswith((prefix + name).encode()):
        return None
    return name


def forbids_some(scope, prefix):
    name = scope["path"][len(prefix) :]
    if not scope["path"].startswith(prefix) or not name or "/" in name or "." in name:
        return None
    return name


def checked(
    scope, prefix, *, rule=RULE, match=re.fullmatch, cut=True, need_raw=False, root=True, most=32
):
    before = (scope.get("root_path", "") if root else "") + prefix
    name = scope["path"][len(before) :]
    if not scope["path"].startswith(before) or len(name) > most or not match(rule, name):
        return None
    raw = scope["raw_path"] if need_raw else scope.get("raw_path")
    if raw is None:
        return name
    return name if (raw.partition(b"?")[0] if cut else raw) == scope["path"].encode() else None


def hyphens_anywhere(scope, prefix):
    return checked(scope, prefix, rule=r"[a-z][a-z0-9-]*")


def hyphens_in_a_row(scope, prefix):
    return checked(scope, prefix, rule=r"[a-z]([a-z0-9-]*[a-z0-9])?")


def any_alphabet(scope, prefix):
    return checked(scope, prefix, rule=r"[^\W\d_A-Z][^\W_A-Z]*(-[^\W_A-Z]+)*")


def dollar_at_the_end(scope, prefix):
    return checked(scope, prefix, rule=RULE + "$", match=re.match)


def one_too_few(scope, prefix):
    return checked(scope, prefix, most=31)


def trusts_the_path(scope, prefix):
    return checked({**scope, "raw_path": None}, prefix)


def forgets_the_query(scope, prefix):
    return checked(scope, prefix, cut=False)


def needs_a_raw_path(scope, prefix):
    return checked(scope, prefix, need_raw=True)


def forgets_the_root(scope, prefix):
    return checked(scope, prefix, root=False)


def prefix_is_fixed(scope, prefix):
    return checked(scope, "/ws/")


def raw_begins_alike(scope, prefix):
    before, raw = scope.get("root_path", "") + prefix, scope.get("raw_path")
    name = re.fullmatch(re.escape(before) + r"([a-z][a-z0-9]*(-[a-z0-9]+)*)", scope["path"])
    if (
        not name
        or len(name[1]) > 32
        or (raw is not None and not raw.startswith(scope["path"].encode()))
    ):
        return None
    return name[1]


def prefix_as_a_pattern(scope, prefix):
    before, raw = scope.get("root_path", "") + prefix, scope.get("raw_path")
    name = re.fullmatch(before + r"([a-z][a-z0-9]*(-[a-z0-9]+)*)", scope["path"])
    if not name or len(name[1]) > 32:
        return None
    exact = raw is None or raw.partition(b"?")[0] == scope["path"].encode()
    return name[1] if exact else None


def any_digit(scope, prefix):
    before, raw = scope.get("root_path", "") + prefix, scope.get("raw_path")
    name = re.fullmatch(re.escape(before) + r"([a-z][a-z\d]*(-[a-z\d]+)*)", scope["path"])
    if not name or len(name[1]) > 32:
        return None
    exact = raw is None or raw.partition(b"?")[0] == scope["path"].encode()
    return name[1] if exact else None


# --- at_most ---


def awaits_before_it_counts(app, limit):
    inside = 0

    async def door(scope, receive, send):
        nonlocal inside
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        if inside >= limit:
            return await refuse(scope, receive, send)
        await asyncio.sleep(0)
        inside += 1
        try:
            await app(scope, receive, send)
        finally:
            inside -= 1

    return door


def counts_the_refused(app, limit):
    inside = 0

    async def door(scope, receive, send):
        nonlocal inside
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        inside += 1
        try:
            if inside > limit:
                return await refuse(scope, receive, send)
            await app(scope, receive, send)
        finally:
            inside -= 1

    return door


ANSWER = {"http": "http.response", "websocket": "websocket.http.response"}


async def refuse(scope, receive, send, *, connect=True, kinds=ANSWER):
    if scope["type"] == "websocket" and connect:
        await receive()
    kind = kinds[scope["type"]]
    headers = [(b"retry-after", b"1")]
    await send({"type": f"{kind}.start", "status": 503, "headers": headers})
    await send({"type": f"{kind}.body", "body": b"busy"})


def a_door(app, limit, *, over=lambda inside, limit: inside >= limit, count=ANSWER, no=refuse):
    inside = 0

    async def door(scope, receive, send):
        nonlocal inside
        if scope["type"] not in count:
            return await app(scope, receive, send)
        if over(inside, limit):
            return await no(scope, receive, send)
        inside += 1
        try:
            await app(scope, receive, send)
        finally:
            inside -= 1

    return door


def one_too_many(app, limit):
    return a_door(app, limit, over=lambda inside, limit: inside > limit)


def closes_at_one(app, limit):
    return a_door(app, limit, over=lambda inside, limit: inside >= min(limit, 1))


def answers_http_to_all(app, limit):
    async def no(scope, receive, send):
        await refuse(scope, receive, send, kinds=dict.fromkeys(ANSWER, "http.response"))

    return a_door(app, limit, no=no)


def never_hears_connect(app, limit):
    async def no(scope, receive, send):
        await refuse(scope, receive, send, connect=False)

    return a_door(app, limit, no=no)


def counts_the_lifespan(app, limit):
    return a_door(app, limit, count=(*ANSWER, "lifespan"))


def only_pages(app, limit):
    return a_door(app, limit, count=("http",))


def waits_for_a_place(app, limit):
    places = asyncio.Semaphore(limit)

    async def door(scope, receive, send):
        async with places:
            await app(scope, receive, send)

    return door


def leaks(app, limit, *, pays=False, catches=()):
    inside = 0

    async def door(scope, receive, send):
        nonlocal inside
        if scope["type"] not in ANSWER:
            return await app(scope, receive, send)
        if inside >= limit:
            return await refuse(scope, receive, send)
        inside += 1
        try:
            await app(scope, receive, send)
        except catches:
            inside -= 1
            raise
        inside -= pays

    return door


def never_pays_back(app, limit):
    return leaks(app, limit)


def pays_only_for_success(app, limit):
    return leaks(app, limit, pays=True)


def meets_exceptions_only(app, limit):
    return leaks(app, limit, pays=True, catches=Exception)


def swallows_the_error(app, limit):
    async def quiet(scope, receive, send):
        try:
            await app(scope, receive, send)
        except ZeroDivisionError:
            pass

    return a_door(quiet, limit)


def lets_them_in_as_well(app, limit):
    inside = 0

    async def door(scope, receive, send):
        nonlocal inside
        if inside >= limit and scope["type"] in ANSWER:
            await refuse(scope, receive, send)
        inside += 1
        try:
            await app(scope, receive, send)
        finally:
            inside -= 1

    return door


shared = {"inside": 0}


def one_count_for_all(app, limit):
    async def door(scope, receive, send):
        if scope["type"] not in ANSWER:
            return await app(scope, receive, send)
        if shared["inside"] >= limit:
            return await refuse(scope, receive, send)
        shared["inside"] += 1
        try:
            await app(scope, receive, send)
        finally:
            shared["inside"] -= 1

    return door


def wraps_send(app, limit):
    async def passing(scope, receive, send):
        async def out(message):
            await send(message)

        await app(scope, receive, out)

    return a_door(passing, limit)


def plain_inside(app, limit):
    def door(scope, receive, send):
        return None

    return door


WRONG = {
    "wants_websocket": [
        (sniffs, "it needs both"),
        (only_exact_values, "with commas between them"),
        (minds_the_case, "without regard to case"),
        (keeps_the_last_line, "a dictionary keeps one"),
        (substrings_of_all, "a token is a whole word"),
        (forgets_the_blanks, "blanks around a token"),
        (blanks_are_commas, "a blank inside makes no token"),
        (first_line_wins, "the first and the last"),
        (decodes_everything, "no need to decode"),
    ],
    "layers": [
        (("guard", "ids", "errors"), "outermost first"),
        (("ids", "errors", "guard"), "the 500 of errors would pass through ids"),
        (("errors", "guard", "ids"), "the 401 of guard would not pass through ids"),
        (("ids", "guard"), "a tuple of the three names"),
    ],
    "with_defaults": [
        (as_it_was, "the call changed its arguments"),
        (compares_pairs, "compare names, not pairs"),
        (minds_the_names_case, "without regard to case"),
        (needs_headers, "headers are optional"),
        (rewrites_names, "as they were"),
        (own_as_a_dictionary, "a dictionary would lose one"),
        (parts_of_names, "compare whole names"),
        (empty_is_nothing, "an empty value is a word"),
    ],
    "sneak": [
        (walks_in, "the name stands in it"),
        (with_dots, "the name stands in it"),
        (twice_encoded, "got       '%61"),
        (always_admin, "the name comes as an argument"),
        (one_letter_in_ws, "keep that"),
        (without_a_slash, "does not begin with /"),
        (other_case, "expected  'admin'"),
    ],
    "endpoint_name": [
        (last_part, "a path elsewhere"),
        (the_packages_own, "this is not the package's rule"),
        (forbids_some, "nothing else"),
        (hyphens_anywhere, "not at an end"),
        (hyphens_in_a_row, "one at a time"),
        (any_alphabet, "Cyrillic"),
        (dollar_at_the_end, "use fullmatch"),
        (one_too_few, "32 is allowed"),
        (trusts_the_path, "one endpoint, one spelling"),
        (forgets_the_query, "cut the raw path at the ?"),
        (needs_a_raw_path, "raw_path is optional"),
        (forgets_the_root, "begins with the root"),
        (prefix_is_fixed, "the prefix comes as an argument"),
        (raw_begins_alike, "more behind it in the raw path"),
        (prefix_as_a_pattern, "no pattern"),
        (any_digit, "say 0-9"),
    ],
    "at_most": [
        (one_too_many, "nobody waits for a place"),
        (closes_at_one, "as long as fewer than limit"),
        (answers_http_to_all, "messages of its own"),
        (never_hears_connect, "receive awaited 0 times"),
        (counts_the_lifespan, "take a place for ever"),
        (only_pages, "got       ('inside'"),
        (waits_for_a_place, "left waiting"),
        (never_pays_back, "when the application has ended with it"),
        (pays_only_for_success, "that is what finally is for"),
        (meets_exceptions_only, "CancelledError is no Exception"),
        (swallows_the_error, "never came up"),
        (lets_them_in_as_well, "http.response.start"),
        (one_count_for_all, "a count of its own"),
        (wraps_send, "other objects than the middleware"),
        (plain_inside, "an async one is wanted"),
        (awaits_before_it_counts, "others come there"),
        (counts_the_refused, "takes no place, however long"),
    ],
}
