"""JSON from strangers, read in one way only (RFC 8259, and RFC 7493, I-JSON).

Python's reader takes the last of two fields of one name, where another program takes the first. It
guesses UTF-16, skips a mark in front, lets halves of surrogate pairs pass that no UTF-8 can carry
later, and knows numbers that JSON has not. All of that is refused here.

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
    """A peer sent what is no JSON, or JSON that two programs could read in two ways: refuse it."""


class DoubledName(BadJSON):
    """An object has two values for one name: programs differ in which of them counts."""


def read_json(text: str | bytes) -> object:
    """Return the value that text says. bytes: UTF-8. Raises BadJSON, without any of the text."""
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
    raise problem  # outside of `except`, where the error before would hang on to the text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DoubledName("got a name twice in one object (RFC 7493 2.3)")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise BadJSON("got NaN or Infinity, which JSON has not (RFC 8259 6)")
