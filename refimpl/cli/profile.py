"""`refimpl profile`: fetch a profile from a running server, print it and draw it."""

import http.client
import json
import math
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import click

from refimpl.cli.options import error_text
from refimpl.cli.output import is_terminal, say
from refimpl.handshake import is_loopback
from refimpl.handshake.printable import printable
from refimpl.profiling.debug_request import MAX_SECONDS, ROOT
from refimpl.profiling.render import Finding, render

__all__ = ["profile"]

PROFILES = {"cpu": "profile", "heap": "heap", "allocs": "allocs", "tasks": "tasks"}
ENDINGS = {
    ".svg": "svg",
    ".html": "html",
    ".speedscope.json": "speedscope",
    ".json": "json",
    ".txt": "text",
}
PATIENCE = 150.0  # seconds beyond those asked for: reading a record of allocations takes long
MOST_BYTES = 256 * 1024 * 1024


@click.command(
    epilog="""\b
Examples:
  refimpl serve --debug-port 6060            in one terminal; it shows a token
  export REFIMPL_DEBUG_TOKEN=...             in another
  refimpl profile http://127.0.0.1:6060      the hottest functions, and cpu.svg
  refimpl profile http://127.0.0.1:6060 --kind heap --seconds 20
  refimpl profile http://127.0.0.1:6060 --out today.speedscope.json"""
)
@click.argument("url")
@click.option("--kind", type=click.Choice(list(PROFILES)), default="cpu", show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="more than 0, up to 30")
@click.option(
    "--out",
    metavar="FILE",
    help=f"{', '.join(ENDINGS)}; - for none.  [default: the kind, .svg]",
)
@click.option(
    "--token",
    envvar="REFIMPL_DEBUG_TOKEN",
    help="better in $REFIMPL_DEBUG_TOKEN, since others can read a command line",
)
def profile(url: str, kind: str, seconds: float, out: str | None, token: str | None) -> None:
    """Profile the running server whose debug endpoints are at URL."""
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
        raise click.UsageError(f"--seconds: expected more than 0, at most {MAX_SECONDS:g}.")
    if not token:
        raise click.UsageError("no token: set REFIMPL_DEBUG_TOKEN to the one the server shows.")
    file = Path(out or f"{kind}.svg") if out != "-" else None
    form = form_of(file) if file else ""
    finding = fetch(address(url, kind, seconds), token, 0.0 if kind == "tasks" else seconds)
    say(finding.title)
    say(finding.text)
    if file:
        file.write_text(render(finding, form), encoding="utf-8")
        say(f"\nWrote {file}")


def form_of(file: Path) -> str:
    """Return the format that a file's ending stands for."""
    for ending, form in ENDINGS.items():
        if file.name.endswith(ending):
            return form
    raise click.UsageError(f"--out {file}: expected a name that ends in {', '.join(ENDINGS)}.")


def address(url: str, kind: str, seconds: float) -> str:
    """Return the URL to fetch; click.UsageError if the token would cross a network unencrypted."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise click.UsageError(f"{url!r}: expected http://127.0.0.1:PORT.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise click.UsageError(f"{url!r}: the token goes to this machine only, or over https://.")
    query = {"format": "json"} if kind == "tasks" else {"format": "json", "seconds": f"{seconds:f}"}
    return f"{parts.scheme}://{parts.netloc}{ROOT}{PROFILES[kind]}?{urlencode(query)}"


class NoRedirect(HTTPRedirectHandler):
    """Follows no redirection: the token is for the server that was named."""

    def redirect_request(self, *_: object) -> None:
        """Return None, which makes the redirection an error."""
        return


def fetch(url: str, token: str, seconds: float) -> Finding:
    """Return the finding at an address; click.ClickException with one line for what goes wrong."""
    where = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    request = Request(url, headers={"Authorization": f"Bearer {token}"})
    opener = build_opener(ProxyHandler({}), NoRedirect)
    waiting = is_terminal(sys.stderr) and seconds
    if waiting:
        click.echo(f"profiling for {seconds:g} s ...", nl=False, err=True)
    try:
        with opener.open(request, timeout=seconds + PATIENCE) as response:
            body = response.read(MOST_BYTES)
        return cleaned(Finding.from_json(body))
    except HTTPError as error:
        with error:
            said = error.read(300).decode(errors="replace").strip()
        if not said.startswith(str(error.code)):  # our refusals do; this is another server
            said = f"{error.code}: it has no debug endpoints"
        raise click.ClickException(f"{where} answered {said}") from error
    except URLError as error:
        cause = error.reason
        why = error_text(cause) if isinstance(cause, OSError) else str(cause)
        raise click.ClickException(f"cannot reach {where}: {why}") from error
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
        why = (
            error_text(error) if isinstance(error, OSError) else f"no HTTP ({type(error).__name__})"
        )
        raise click.ClickException(f"{where} broke off: {why}") from error
    except ValueError as error:
        raise click.ClickException(f"{where} has no debug endpoints: {error}") from error
    finally:
        if waiting:
            click.echo("\r\x1b[K", nl=False, err=True)


def cleaned(finding: Finding) -> Finding:
    """Return a finding whose text cannot steer a terminal."""
    text = printable(finding.text, keep="\n")
    return Finding(finding.kind, printable(finding.title), finding.profile, text)
