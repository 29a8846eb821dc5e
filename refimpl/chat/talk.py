"""The endpoint /ws/chat: one visitor from the handshake to the end, as an ASGI application.

It stands behind `Registry` and `Authenticate`, which say who it is and give it a way to hang up.
This task receives; another one empties the visitor's outbox; a third exists only to hang up.
"""

import asyncio

from refimpl.auth import Claims
from refimpl.chat.lobby import HangUp, Lobby, Visitor
from refimpl.chat.messages import BadMessage, Join, Say, error, parse, pong, welcome
from refimpl.chat.outbox import Outbox
from refimpl.chat.records import Records
from refimpl.framing import CloseCode
from refimpl.middleware.asgi import Receive, Scope, Send
from refimpl.middleware.context import current
from refimpl.middleware.session import Connection

__all__ = ["Talk"]

MAX_MISTAKES = 50  # messages that are none; a page makes no such mistake, a program in a loop does


class Talk:
    """Serves visitors of a lobby.

    heartbeat: what pages are told to do, as in `welcome`. limit: characters that may wait for a
    slow visitor.
    """

    def __init__(
        self,
        lobby: Lobby,
        records: Records,
        *,
        heartbeat: tuple[float, float] = (15.0, 5.0),
        limit: int = 256 * 1024,
    ) -> None:
        self.lobby = lobby
        self.records = records
        self.heartbeat = heartbeat
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (await receive())["type"] != "websocket.connect":
            return
        claims = current(Claims)
        hang_up = HangUp(current(Connection).close)
        visitor = Visitor(claims, Outbox(limit=self.limit), hang_up)
        with self.records.record(scope, claims.user.id) as record:
            await send({"type": "websocket.accept"})
            delivering = asyncio.create_task(visitor.outbox.deliver(send))
            try:
                self.lobby.enter(visitor)
                self.greet(visitor, record.id if record else "")
                await self.listen(visitor, receive)
            finally:
                self.lobby.leave(visitor)
                delivering.cancel()
                await asyncio.wait([delivering, *hang_up.tasks])

    def greet(self, visitor: Visitor, connection: str) -> None:
        """Say who the visitor is, what rooms there are, and by what name to ask for its frames."""
        visitor.tell(
            welcome(
                visitor.described(),
                self.lobby.rooms.values(),
                connection=connection,
                heartbeat=self.heartbeat,
            )
        )

    async def listen(self, visitor: Visitor, receive: Receive) -> None:
        """Do what the visitor's messages say until it leaves."""
        mistakes = 0
        while (message := await receive())["type"] == "websocket.receive":
            try:
                self.handle(visitor, message.get("text"))
            except BadMessage as problem:
                visitor.tell(error(problem))
                mistakes += 1
                if mistakes == MAX_MISTAKES:
                    visitor.hang_up(CloseCode.POLICY_VIOLATION, "too many malformed messages")

    def handle(self, visitor: Visitor, text: object) -> None:
        """Do what one message says. Raises BadMessage."""
        match parse(text):
            case Join() as request:
                self.lobby.join(visitor, request)
            case Say() as request:
                self.lobby.say(visitor, request)
            case _:
                visitor.tell(pong())
