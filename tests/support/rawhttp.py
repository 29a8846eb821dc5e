"""One HTTP request over a socket of its own, with any bytes in it."""

from __future__ import annotations

import asyncio

from refimpl.handshake import Headers, parse_response


async def asked(
    port: int, line: str, head: str = "", *, address: str = "127.0.0.1"
) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of the answer to a request; line: `GET /path`."""
    reader, writer = await asyncio.open_connection(address, port)
    host = "" if "Host:" in head else f"Host: 127.0.0.1:{port}\r\n"
    writer.write(f"{line} HTTP/1.1\r\n{host}Connection: close\r\n{head}\r\n".encode("latin-1"))
    async with asyncio.timeout(10):
        data = await reader.read()
    writer.close()
    parsed = parse_response(data)
    assert parsed is not None
    return parsed[0].status, parsed[0].headers, data[parsed[1] :]
