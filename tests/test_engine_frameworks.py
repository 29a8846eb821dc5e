"""Applications of Starlette and FastAPI, as their users write them, on our engine.

Nothing in them knows which engine runs; `websockets-sansio` runs them too, as the measure.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, Query, WebSocketException
from fastapi import HTTPException as FastAPIHTTPException
from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.exceptions import WebSocketException as StarletteWebSocketException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from refimpl.middleware.serving import OUR_ENGINE, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENGINES = {"refimpl": OUR_ENGINE, "websockets": "websockets-sansio"}
ours_and_theirs = pytest_asyncio.fixture(loop_scope="module", scope="module", params=ENGINES)

told: asyncio.Queue[Any]
"""What the applications want a test to know."""


# --- a Starlette application ---


class Shout(WebSocketEndpoint):
    encoding = "text"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="loud", headers=[(b"x-endpoint", b"shout")])

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data.upper())

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        told.put_nowait(("disconnect", close_code))


class Numbers(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json({"sum": sum(data)})


async def json_by_json(websocket: WebSocket) -> None:
    await websocket.accept()
    async for value in websocket.iter_json():
        await websocket.send_json(value, mode="binary")
    told.put_nowait("json over")


async def text_by_text(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(f"{websocket.path_params['name']}: {message}")


async def bytes_until_enough(websocket: WebSocket) -> None:
    await websocket.accept()
    total = 0
    while total < 1000:
        total += len(await websocket.receive_bytes())
    await websocket.close(code=4001, reason="that is enough")


async def wait_for_the_end(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        await websocket.receive_text()
    except WebSocketDisconnect as error:
        told.put_nowait(("disconnect", error.code, error.reason))
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close()


async def refuse_with_http(websocket: WebSocket) -> None:
    raise HTTPException(401, "sign in first", headers={"WWW-Authenticate": "Bearer"})


async def refuse_with_response(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({"why": "full"}, status_code=503))


async def refuse_with_a_stream(websocket: WebSocket) -> None:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"piece {number}\n"
            await asyncio.sleep(0)

    await websocket.send_denial_response(StreamingResponse(pieces(), status_code=429))


async def refuse_with_close(websocket: WebSocket) -> None:
    await websocket.close(code=1008)


async def refuse_with_exception(websocket: WebSocket) -> None:
    raise StarletteWebSocketException(1008, "policy")


async def fail_when_open(websocket: WebSocket) -> None:
    await websocket.accept()
    raise StarletteWebSocketException(4003, "not like this")


async def talk_to_nobody(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text("still there?")
            await asyncio.sleep(0)
    except WebSocketDisconnect as error:
        told.put_nowait(("send", error.code))


async def both_at_once(websocket: WebSocket) -> None:
    await websocket.accept()

    async def count() -> None:
        for number in range(100):
            await websocket.send_text(str(number))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(count())
        async for message in websocket.iter_text():
            await websocket.send_text(f"heard {message}")


async def who(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(
        {
            "url": str(websocket.url),
            "lifespan": websocket.state.greeting,
            "cookie": websocket.cookies.get("flavour"),
            "query": dict(websocket.query_params),
        }
    )
    await websocket.close()


async def home(request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain HTTP")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


STARLETTE = Starlette(
    lifespan=lifespan,
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"])],
    routes=[
        Route("/", home),
        WebSocketRoute("/shout", Shout),
        WebSocketRoute("/numbers", Numbers),
        WebSocketRoute("/json", json_by_json),
        Mount("/rooms", routes=[WebSocketRoute("/{name}", text_by_text)]),
        WebSocketRoute("/enough", bytes_until_enough),
        WebSocketRoute("/wait", wait_for_the_end),
        WebSocketRoute("/http", refuse_with_http),
        WebSocketRoute("/response", refuse_with_response),
        WebSocketRoute("/stream", refuse_with_a_stream),
        WebSocketRoute("/close", refuse_with_close),
        WebSocketRoute("/exception", refuse_with_exception),
        WebSocketRoute("/fail", fail_when_open),
        WebSocketRoute("/talk", talk_to_nobody),
        WebSocketRoute("/both", both_at_once),
        WebSocketRoute("/who", who),
    ],
)


@ours_and_theirs
async def starlette(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    global told
    told = asyncio.Queue()
    async with running(STARLETTE, engine=ENGINES[request.param]) as server:
        yield server


async def heard() -> Any:
    """Return the next thing that an application had to tell."""
    return await asyncio.wait_for(told.get(), 10)


async def refusal(uri: str) -> Any:
    """Return the answer of an application that does not take the connection."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(uri):
            pass
    return caught.value.response


class TestStarlette:
    async def test_an_endpoint_class(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/shout", subprotocols=["loud"]) as websocket:  # type: ignore[list-item]
            assert websocket.subprotocol == "loud"
            assert websocket.response is not None
            assert websocket.response.headers["x-endpoint"] == "shout"
            await websocket.send("hello")
            assert await websocket.recv() == "HELLO"
            await websocket.close(4000)
        assert await heard() == ("disconnect", 4000)

    async def test_an_endpoint_class_that_gets_the_wrong_type(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/shout", subprotocols=["loud"]) as websocket:  # type: ignore[list-item]
            await websocket.send(b"bytes")
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert websocket.close_code == 1003
        assert await heard() == ("disconnect", 1011)

    async def test_an_endpoint_class_of_json(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/numbers") as websocket:
            await websocket.send("[1, 2, 3]")
            assert await websocket.recv() == '{"sum":6}'

    async def test_iter_json(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/json") as websocket:
            await websocket.send('{"a": "\u00e9"}')
            assert await websocket.recv() == '{"a":"\u00e9"}'.encode()
        assert await heard() == "json over"

    async def test_iter_text_below_a_mount(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/rooms/caf%C3%A9") as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "café: hello"

    async def test_receive_bytes_and_a_close_with_a_reason(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/enough") as websocket:
            await websocket.send(bytes(600))
            await websocket.send(bytes(600))
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert (websocket.close_code, websocket.close_reason) == (4001, "that is enough")

    async def test_the_clients_code_and_reason(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/wait") as websocket:
            await websocket.close(4002, "had enough")
        assert await heard() == ("disconnect", 4002, "had enough")

    async def test_http_exception(self, starlette: Running) -> None:
        response = await refusal(f"{starlette.ws}/http")
        assert response.status_code == 401 and response.body == b"sign in first"
        assert response.headers["WWW-Authenticate"] == "Bearer"

    async def test_send_denial_response(self, starlette: Running) -> None:
        response = await refusal(f"{starlette.ws}/response")
        assert response.status_code == 503 and response.body == b'{"why":"full"}'
        assert response.headers["content-type"] == "application/json"

    async def test_a_streaming_denial(self, starlette: Running) -> None:
        response = await refusal(f"{starlette.ws}/stream")
        assert response.status_code == 429
        assert response.body == b"piece 0\npiece 1\npiece 2\n"

    @pytest.mark.parametrize("path", ["close", "exception"])
    async def test_a_close_before_accept(self, starlette: Running, path: str) -> None:
        assert (await refusal(f"{starlette.ws}/{path}")).status_code == 403

    async def test_an_unknown_path(self, starlette: Running) -> None:
        assert (await refusal(f"{starlette.ws}/nowhere")).status_code in (403, 404)

    async def test_websocket_exception_when_open(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/fail") as websocket:
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
            assert (websocket.close_code, websocket.close_reason) == (4003, "not like this")

    async def test_sending_to_a_client_that_vanished(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/talk") as websocket:
            await websocket.recv()
            websocket.transport.abort()
        assert await heard() == ("send", 1006)

    async def test_sending_and_receiving_in_two_tasks(self, starlette: Running) -> None:
        async with connect(f"{starlette.ws}/both") as websocket:
            await websocket.send("one")
            got = [await websocket.recv() for _ in range(101)]
            assert "heard one" in got and [one for one in got if one != "heard one"] == [
                str(number) for number in range(100)
            ]

    async def test_cookies_query_and_lifespan(self, starlette: Running) -> None:
        import json

        cookie = {"Cookie": "flavour=plain"}
        uri = f"{starlette.ws}/who?room=1"
        async with connect(uri, additional_headers=cookie) as websocket:
            found = json.loads(await websocket.recv())
        assert found == {
            "url": uri,
            "lifespan": "hello",
            "cookie": "plain",
            "query": {"room": "1"},
        }

    async def test_a_middleware_that_refuses(self, starlette: Running) -> None:
        uri = starlette.ws.replace("127.0.0.1", "localhost")
        response = await refusal(f"{uri}/who")
        assert (response.status_code, response.body) == (400, b"Invalid host header")

    async def test_plain_http_beside_it(self, starlette: Running) -> None:
        import httpx

        async with httpx.AsyncClient() as client:
            response = await client.get(starlette.http)
        assert (response.status_code, response.text) == (200, "plain HTTP")


# --- a FastAPI application ---

api = FastAPI()


async def user_of(websocket: FastAPIWebSocket, token: Annotated[str | None, Query()] = None) -> str:
    if token is None:
        raise WebSocketException(code=1008, reason="no token")
    if token != "good":
        raise FastAPIHTTPException(403, "a bad token")
    return "ada"


async def connection_count() -> AsyncIterator[int]:
    yield 1
    told.put_nowait("the dependency was cleaned up")


@api.websocket("/items/{number}")
async def items(
    websocket: FastAPIWebSocket,
    number: int,
    user: Annotated[str, Depends(user_of)],
    count: Annotated[int, Depends(connection_count)],
) -> None:
    await websocket.accept()
    await websocket.send_json({"number": number, "user": user, "count": count})
    while True:
        try:
            data = await websocket.receive_json()
        except WebSocketDisconnect as error:
            told.put_nowait(("disconnect", error.code))
            return
        await websocket.send_json(data)


@ours_and_theirs
async def fastapi(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    global told
    told = asyncio.Queue()
    async with running(api, engine=ENGINES[request.param]) as server:
        yield server


class TestFastAPI:
    async def test_path_dependencies_and_json(self, fastapi: Running) -> None:
        async with connect(f"{fastapi.ws}/items/7?token=good") as websocket:
            assert await websocket.recv() == '{"number":7,"user":"ada","count":1}'
            await websocket.send('[1, {"a": null}]')
            assert await websocket.recv() == '[1,{"a":null}]'
            await websocket.close(1001)
        assert await heard() == ("disconnect", 1001)
        assert await heard() == "the dependency was cleaned up"

    @pytest.mark.parametrize("target", ["/items/7", "/items/7?token=bad", "/items/x?token=good"])
    async def test_what_a_dependency_or_a_type_refuses(self, fastapi: Running, target: str) -> None:
        assert (await refusal(fastapi.ws + target)).status_code == 403
