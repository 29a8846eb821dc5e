"""Wrong answers to the exercises of chapter 08."""

from __future__ import annotations

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


# --- with_defaults ---


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


def last_part(scope, prefix):
    return unquote(scope["path"]).rstrip("/").rpartition("/")[2]


def forbids_some(scope, prefix):
    path = scope["path"]
    if not path.startswith(prefix):
        return None
    name = path[len(prefix) :]
    return None if not name or "/" in name or "." in name else name


def any_alphabet(scope, prefix):
    path = scope["path"]
    name = path[len(prefix) :]
    if not path.startswith(prefix) or not re.fullmatch(r"[\w-]{1,64}", name):
        return None
    return name


def dollar_at_the_end(scope, prefix):
    path = scope["path"]
    name = path[len(prefix) :]
    if not path.startswith(prefix) or not re.match(r"[A-Za-z0-9_-]{1,64}$", name):
        return None
    return name


def trusts_the_path(scope, prefix):
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    name = path[len(prefix) :]
    if not path.startswith(prefix) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return None
    return name


def checked(scope, prefix, *, cut=True, root_slash="/", need_raw=False, roots=True):
    path, root = scope["path"], scope.get("root_path", "")
    if roots and root and path.startswith(root + root_slash):
        path = path[len(root) :]
    name = path[len(prefix) :]
    if not path.startswith(prefix) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        return None
    raw = scope["raw_path"] if need_raw else scope.get("raw_path")
    if raw is None:
        return name
    raw = raw.partition(b"?")[0] if cut else raw
    return name if raw.endswith((prefix + name).encode()) else None


def forgets_the_query(scope, prefix):
    return checked(scope, prefix, cut=False)


def needs_a_raw_path(scope, prefix):
    return checked(scope, prefix, need_raw=True)


def forgets_the_root(scope, prefix):
    return checked(scope, prefix, roots=False)


def prefix_is_fixed(scope, prefix):
    return checked(scope, "/ws/")


# --- stamped ---


def always_stamps(send, request):
    async def wrapped(message):
        others = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"]
        headers = [*others, (b"x-request-id", request.value.encode())]
        await send({**message, "headers": headers})

    return wrapped


def only_http(send, request):
    async def wrapped(message):
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-request-id", request.value.encode())]
            message = {**message, "headers": headers}
        await send(message)

    return wrapped


STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


def appends_in_place(send, request):
    async def wrapped(message):
        if message["type"] in STARTS:
            message.setdefault("headers", []).append((b"x-request-id", request.value.encode()))
        await send(message)

    return wrapped


def keeps_both(send, request):
    async def wrapped(message):
        if message["type"] in STARTS:
            headers = [*message.get("headers", ()), (b"x-request-id", request.value.encode())]
            message = {**message, "headers": headers}
        await send(message)

    return wrapped


def calls_at_once(send, request):
    return send({"type": "websocket.accept", "headers": []})


def plain_inside(send, request):
    def wrapped(message):
        return None

    return wrapped


def swallows_the_rest(send, request):
    async def wrapped(message):
        if message["type"] in STARTS:
            headers = [
                pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"
            ]
            own = (b"x-request-id", request.value.encode())
            await send({**message, "headers": [*headers, own]})

    return wrapped


def no_denials(send, request):
    async def wrapped(message):
        if message["type"] in STARTS[:2]:
            headers = [*message.get("headers", ()), (b"x-request-id", request.value.encode())]
            message = {**message, "headers": headers}
        await send(message)

    return wrapped


WRONG = {
    "wants_websocket": [
        (sniffs, "it needs both"),
        (only_exact_values, "with commas between them"),
        (minds_the_case, "without regard to case"),
        (keeps_the_last_line, "a dictionary keeps one"),
        (substrings_of_all, "a token is a whole word"),
        (forgets_the_blanks, "blanks around a token"),
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
        (forbids_some, "nothing else"),
        (any_alphabet, "Cyrillic"),
        (dollar_at_the_end, "use fullmatch"),
        (trusts_the_path, "one endpoint, one spelling"),
        (forgets_the_query, "cut the raw path at the ?"),
        (needs_a_raw_path, "raw_path is optional"),
        (forgets_the_root, "take it off first"),
        (prefix_is_fixed, "the prefix comes as an argument"),
    ],
    "stamped": [
        (always_stamps, "all other messages pass as they are"),
        (only_http, "not only HTTP's"),
        (appends_in_place, "the message that came in was changed"),
        (keeps_both, "in whatever case, goes"),
        (calls_at_once, "not a call of it"),
        (plain_inside, "a plain function, where an async one is wanted"),
        (swallows_the_rest, "all other messages pass as they are"),
        (no_denials, "and this is the third"),
    ],
}
