"""The page for those who come with a browser, or with curl, to where only WebSockets are spoken.

Status 426 alone is a riddle. The page says what answered, and how to talk to it (RFC 9110 section
15.5.22).
"""

from html import escape

from refimpl.errors import HandshakeError
from refimpl.handshake import Request

__all__ = ["with_page"]

TEXT = """\
This is a WebSocket server, and it answered a plain HTTP request.

A WebSocket begins with an HTTP request that asks to be upgraded (RFC 6455 section 4);
what was missing in this one: {missing}.

How to talk to it:
  in a terminal   refimpl connect {uri}
  in a browser    const ws = new WebSocket("{uri}");
                  ws.onmessage = event => console.log(event.data);
                  ws.onopen = () => ws.send("hello");
"""

HTML = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A WebSocket server</title>
<style>
body {{ font: 1.1em/1.5 system-ui, sans-serif; max-width: 42em; margin: 3em auto; padding: 0 1em }}
pre {{ background: #eee; color: #111; padding: 1em; overflow-x: auto }}
</style>
<h1>A WebSocket server</h1>
<p>You came with a plain HTTP request. A WebSocket begins with one that asks to be upgraded
(<a href="https://www.rfc-editor.org/rfc/rfc6455#section-4">RFC 6455, section 4</a>).
What was missing in this one: {missing}.</p>
<h2>How to talk to it</h2>
<p>In a terminal:</p>
<pre>refimpl connect {uri}</pre>
<p>In this browser's console (press F12):</p>
<pre>const ws = new WebSocket("{uri}");
ws.onmessage = event =&gt; console.log(event.data);
ws.onopen = () =&gt; ws.send("hello");</pre>
</html>
"""


def with_page(error: HandshakeError, request: Request, *, secure: bool) -> HandshakeError:
    """Return the refusal of a plain HTTP request with a page as body, in HTML where accepted.

    Raises nothing: whatever stands in the request's headers, the page only quotes it, escaped.
    """
    if error.status != 426 or error.body:
        return error
    hosts = request.headers.get_all("Host")
    uri = f"{'wss' if secure else 'ws'}://{hosts[0] if hosts else 'host'}{request.path}"
    missing = str(error).removeprefix("got no ").partition(" (")[0]
    html = any("text/html" in value for value in request.headers.get_all("Accept"))
    if html:
        body = HTML.format(missing=escape(missing), uri=escape(uri))
    else:
        body = TEXT.format(missing=missing, uri=uri)
    kind = "text/html" if html else "text/plain"
    headers = [
        *error.headers,
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Cache-Control", "no-store"),
    ]
    return HandshakeError(
        str(error), status=error.status, reason=error.reason, headers=headers, body=body.encode()
    )
