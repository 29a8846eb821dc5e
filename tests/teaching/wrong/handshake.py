"""Wrong answers to the exercises of chapter 01."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from refimpl.errors import HandshakeError
from refimpl.handshake import parse_list
from refimpl.handshake.server import _parse_origin
from refimpl.handshake.server import check_origin as package_check_origin

NAME = "Sec-WebSocket-Protocol"


# --- is_valid_key ---


def counts_characters(key):
    return len(key) == 24


def decodes_leniently(key):
    try:
        return len(base64.b64decode(key)) == 16
    except ValueError:
        return False


def forgets_canonical(key):
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def lets_the_error_out(key):
    return len(base64.b64decode(key, validate=True)) == 16


def catches_too_little(key):
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def returns_the_nonce(key):
    return base64.b64decode(key, validate=True)


def matches_to_a_line_end(key):
    return re.match(r"[A-Za-z0-9+/]{21}[AQgw]==$", key) is not None


def compares_bytes_with_text(key):
    try:
        nonce = base64.b64decode(key, validate=True)
    except ValueError:
        return False
    return len(nonce) == 16 and base64.b64encode(nonce) == key


# --- header_values ---


def as_given(head, name):
    values = []
    for line in head.decode("latin-1").splitlines():
        if line.startswith(name):
            value = line.split(":")[1]
            values.append(value.strip())
    return values


def cuts_at_the_last_colon(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    pairs = (line.rpartition(":") for line in lines)
    return [value.strip(" \t") for found, _, value in pairs if found.lower() == name.lower()]


def keeps_the_last(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    found = {
        key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    return [found[name.lower()]] if name.lower() in found else []


def compares_the_beginning(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return [
        line.partition(":")[2].strip(" \t")
        for line in lines
        if line.lower().startswith(name.lower())
    ]


def splits_at_python_lines(head, name):
    lines = head.decode("latin-1").splitlines()[1:-1]
    pairs = (line.partition(":") for line in lines)
    return [value.strip(" \t") for found, _, value in pairs if found.lower() == name.lower()]


def takes_lists_apart(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return parse_list([value for found, _, value in pairs if found.lower() == name.lower()])


def waits_for_a_space(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    pairs = (line.partition(": ") for line in lines)
    return [value.strip(" \t") for found, _, value in pairs if found.lower() == name.lower()]


def reads_the_request_line(head, name):
    lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    return [value.strip(" \t") for found, _, value in pairs if found.lower() == name.lower()]


def strips_all_white_space(head, name):
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for found, _, value in pairs if found.lower() == name.lower()]


def decodes_utf_8(head, name):
    lines = head.decode().split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return [value.strip(" \t") for found, _, value in pairs if found.lower() == name.lower()]


# --- choose_subprotocol ---


def by_the_clients_order(headers, supported):
    offered = parse_list(headers.get_all(NAME))
    return next((name for name in offered if name in supported), None)


def one_line_only(headers, supported):
    offered = parse_list([headers.get(NAME, "")])
    return next((name for name in supported if name in offered), None)


def in_any_case(headers, supported):
    offered = [name.lower() for name in parse_list(headers.get_all(NAME))]
    return next((name for name in supported if name.lower() in offered), None)


def falls_back(headers, supported):
    offered = parse_list(headers.get_all(NAME))
    return next((name for name in supported if name in offered), supported[0])


def never_refuses(headers, supported):
    offered = parse_list(headers.get_all(NAME))
    return next((name for name in supported if name in offered), None)


def says_nothing_as_text(headers, supported):
    offered = parse_list(headers.get_all(NAME))
    return next((name for name in supported if name in offered), "")


def searches_in_the_line(headers, supported):
    offered = ",".join(headers.get_all(NAME))
    return next((name for name in supported if name in offered), None)


def chooses_before_it_judges(headers, supported):
    lines = headers.get_all(NAME)
    offered = parse_list(lines)
    for name in supported:
        if name in offered:
            return name
    if lines and (not offered or any(" " in name for name in offered)):
        raise HandshakeError("got a malformed offer")
    return None


# --- steal ---


def as_page(origin, *, cookie=True):
    async def steal(uri, session):
        headers = {"Cookie": session} if cookie else None
        asks = {"origin": origin, "additional_headers": headers, "proxy": None}
        async with connect(uri, **asks) as websocket:
            return await websocket.recv()

    return steal


async def swallows_the_refusal(uri, cookie):
    try:
        page = "http://notes.example.com.evil-example.com"
        return await as_page(page)(uri, cookie)
    except InvalidStatus:
        return None


async def forgets_to_await(uri, cookie):
    asks = {"additional_headers": {"Cookie": cookie}, "proxy": None}
    async with connect(uri, origin="http://notes.example.com.evil-example.com", **asks) as page:
        return page.recv()


async def never_connects(uri, cookie):
    return "the alarm code is 2580"


async def remembers_one_note(uri, cookie):
    await as_page("http://notes.example.com.evil-example.com")(uri, cookie)
    return "the alarm code is 2580"


# --- check_origin ---


def knows_no_patterns(headers, policy):
    package_check_origin(headers, policy)


def admits(fits):
    """A check_origin that is right but for how a pattern's host is compared."""

    def check_origin(headers, policy):
        origins = headers.get_all("Origin")
        origin = origins[0] if len(origins) == 1 else None
        for entry in policy.origins or ():
            if (
                entry
                and entry != "*"
                and "*" in entry
                and origin is not None
                and fits(origin, entry)
            ):
                return
        package_check_origin(headers, policy)

    return check_origin


def ends_alike(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[0] == ours[0] and theirs[1].endswith(ours[1])


def ends_alike_but_for_itself(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[1] != ours[1] and theirs[1].endswith(ours[1])


def any_scheme(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[1].endswith("." + ours[1])


def any_port(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[0] == ours[0] and theirs[1].endswith("." + ours[1])


def port_but_no_scheme(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[2] == ours[2] and theirs[1].endswith("." + ours[1])


def one_name_only(origin, entry):
    pattern = re.escape(entry).replace(r"\*", "[^.]+")
    return re.fullmatch(pattern, origin)


def begins_alike(origin, entry):
    pattern = re.escape(entry).replace(r"\*", ".+")
    return re.match(pattern, origin)


def trips_over_null(headers, policy):
    origin = headers.get("Origin")
    for entry in policy.origins or ():
        if entry and entry != "*" and "*" in entry and origin:
            theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
            if theirs[0::2] == ours[0::2] and theirs[1].endswith("." + ours[1]):
                return
    package_check_origin(headers, policy)


def lets_everybody_in(headers, policy):
    if policy.origins is not None:
        package_check_origin(headers, policy)


def takes_an_empty_list_for_none(headers, policy):
    admitting = replace(policy, origins=policy.origins or None)
    admits(right_pattern)(headers, admitting)


def right_pattern(origin, entry):
    theirs, ours = _parse_origin(origin), _parse_origin(entry.replace("*.", ""))
    return theirs and theirs[0::2] == ours[0::2] and theirs[1].endswith("." + ours[1])


def lets_null_equal_null(headers, policy):
    origin = headers.get_all("Origin")
    if "null" in (policy.origins or ()) and origin == ["null"]:
        return
    admits(right_pattern)(headers, policy)


def refuses_with_400(headers, policy):
    try:
        package_check_origin(headers, policy)
    except HandshakeError as error:
        raise HandshakeError("got a foreign Origin") from error


def says_whether(headers, policy):
    try:
        package_check_origin(headers, policy)
    except HandshakeError:
        return False
    return True


def forgets_tls(headers, policy):
    origin = headers.get("Origin")
    if policy.origins is None and origin not in (None, f"http://{headers['Host']}"):
        raise HandshakeError("got a foreign Origin", status=403)
    if policy.origins is not None:
        package_check_origin(headers, policy)


WRONG = {
    "bytes_before_hello": [
        (493, "where the empty line begins"),
        (495, "the empty line ends in CR LF as well"),
        (496, "positions count from 0"),
        (498, "one too many"),
        (566, "its frames included"),
        (69, "what stands before them?"),
        (626, "not said by the client"),
        (224, "begins at the first byte"),
        ("497", "expected int"),
    ],
    "is_valid_key": [
        (counts_characters, "24 characters can stand for 16, 17 or 18 bytes"),
        (decodes_leniently, "unless it is told to validate"),
        (forgets_canonical, "only one spelling"),
        (lets_the_error_out, "must not make us crash"),
        (catches_too_little, "raises a plain ValueError"),
        (returns_the_nonce, "got       b'"),
        (matches_to_a_line_end, "in front of a last line feed"),
        (compares_bytes_with_text, "bytes never equal a str"),
    ],
    "header_values": [
        (as_given, "names compare in any case"),
        (cuts_at_the_last_colon, "only the first colon ends the name"),
        (keeps_the_last, "each line is a value, in order"),
        (compares_the_beginning, "a name is compared whole"),
        (splits_at_python_lines, "nobody sent a Cookie"),
        (takes_lists_apart, "taken apart later"),
        (waits_for_a_space, "no space after the colon"),
        (reads_the_request_line, "the request line is no header"),
        (strips_all_white_space, "more than spaces and tabs"),
        (decodes_utf_8, "latin-1 gives each byte one character"),
    ],
    "server_mistake": [
        ("a", "would begin with"),
        ("b", "would begin with"),
        ("d", "and have 56 characters"),
        ("e", "and have 44 characters"),
        ("C", "one of the letters"),
        (3, "expected str"),
    ],
    "choose_subprotocol": [
        (by_the_clients_order, "the server's order decides"),
        (one_line_only, "several lines are one list"),
        (in_any_case, "the names of subprotocols do not"),
        (falls_back, "no offer is a valid handshake"),
        (says_nothing_as_text, "got       ''"),
        (never_refuses, "what is malformed is refused"),
        (searches_in_the_line, "elements are compared whole"),
        (chooses_before_it_judges, "judge first, then choose"),
    ],
    "steal": [
        (as_page(None), "a browser always says Origin"),
        (as_page("http://notes.example.com"), "which is not yours"),
        (as_page("http://evil-example.com"), "does not start with"),
        (as_page("http://notes.example.com.evil.example"), "does not end with"),
        (as_page("http://notes.example.com/evil-example.com"), "no path"),
        (as_page("http://notes.example.com.evil-example.com", cookie=False), "sign in first"),
        (as_page("http://notes.example.com.my-example.com"), "you own evil-example.com and all"),
        (swallows_the_refusal, "must be let say so"),
        (forgets_to_await, "await what you return"),
        (never_connects, "the server was never asked"),
        (remembers_one_note, "whichever cookie the browser holds"),
    ],
    "check_origin": [
        (knows_no_patterns, "a sub-domain of a pattern"),
        (admits(ends_alike), "* stands for one name at least"),
        (admits(ends_alike_but_for_itself), "the dot before example.com"),
        (admits(any_scheme), "a pattern has a scheme too"),
        (admits(port_but_no_scheme), "a port does not make a scheme"),
        (admits(any_port), "means the scheme's default port"),
        (admits(one_name_only), "a sub-domain of a sub-domain"),
        (admits(begins_alike), "a host is read from its end"),
        (trips_over_null, "what parse_origin cannot read is no origin"),
        (lets_everybody_in, "the only one that may come"),
        (takes_an_empty_list_for_none, "an empty list is a list"),
        (lets_null_equal_null, "are not the same"),
        (refuses_with_400, "with status 400"),
        (says_whether, "got       True"),
        (forgets_tls, "another scheme is another origin"),
    ],
}
