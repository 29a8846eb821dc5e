"""A strict reader for JSON from peers (RFC 8259, and RFC 7493, I-JSON).

Of two fields with one name, Python's own reader takes the last, other programs the first. It also
guesses UTF-16, skips a byte order mark, and accepts NaN and lone surrogates, which cannot be
encoded again. Here all of that is refused.

>>> read_json(b'{"sub": "ada"}')
{'sub': 'ada'}
>>> read_json('{"sub": "ada", "sub": "eve"}')
Traceback (most recent call last):
    ...
refimpl.auth.strict_json.DoubledName: got a name twice in one object (RFC 7493 2.3)
"""

import json
import re
from typing import NoReturn

__all__ = ["BadJSON", "DoubledName", "read_json"]


SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class BadJSON(ValueError):
    """A peer sent text that is not JSON, or that programs read in different ways: refuse it."""


class DoubledName(BadJSON):
    """An object has two values for one name, and programs differ in which of them they take."""


def read_json(text: str | bytes) -> object:
    """Return the value of a JSON text, bytes in UTF-8. Raises BadJSON, with nothing of the text."""
    problem = BadJSON("got no JSON in UTF-8 (RFC 8259)")
    try:
        data = text.encode() if isinstance(text, str) else text
        decoded = data.decode()
        value: object = json.loads(
            decoded, object_pairs_hook=_object, parse_constant=_refuse_constant
        )
        if SURROGATE.search(decoded):  # a pair, or half of one
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except BadJSON as error:
        problem = type(error)(str(error))
    except UnicodeEncodeError:
        problem = BadJSON("got half of a surrogate pair (RFC 7493 2.1)")
    except (ValueError, RecursionError):
        pass
    raise problem  # outside `except`: the context of an error would hold the text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DoubledName("got a name twice in one object (RFC 7493 2.3)")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadJSON("got NaN or Infinity, which JSON does not have (RFC 8259 6)")
