"""Keeps tokens out of logs that other programs write.

What this package logs holds no credential. A server in front of it may: uvicorn writes the URL of
each request, and at level DEBUG the `websockets` library writes every header line. This filter is a
second safeguard: put it on the handlers of the log.

>>> redact('GET /ws?ticket=4cKq, Authorization: Bearer eyJh.eyJz.c2ln, Cookie: __Host-a=b; c=d')
'GET /ws?ticket=***, Authorization: Bearer ***, Cookie: __Host-a=***; c=d'
"""

import logging
import re

__all__ = ["Redact", "redact"]

# Clients choose the URL and so part of the text, so each pattern is linear in its length: the name
# of a cookie is bounded, and a run of letters is searched for "eyJ" once.
SECRETS = (
    (
        re.compile(r"\b((?:access_)?token|ticket)(=|\\?[\"']:\s*\\?[\"'])[^&\s\"'\\,;]+", re.I),
        r"\1\2***",
    ),
    (re.compile(r"\b(bearer[ .])[\w.~+/=-]+", re.I), r"\1***"),
    (re.compile(r"(__(?:Host|Secure)-[^=;\s]{1,128}=)[^;\s\"']+"), r"\1***"),
    # Any JWT: its header begins with {".
    (re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ)))[\w-]++\.[\w-]*+\.[\w-]*+"), r"\1***"),
)


def redact(text: str) -> str:
    """Return text with everything that looks like a credential replaced by three stars."""
    for pattern, stars in SECRETS:
        text = pattern.sub(stars, text)
    return text


class Redact(logging.Filter):
    """Removes credentials from each record and its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact message, arguments and traceback."""
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True
