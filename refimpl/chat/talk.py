"""The endpoint /ws/chat: one visitor from the handshake to the end, as an ASGI application.

It stands behind `Registry` and `Authenticate`, which say who it is and give it a way to hang up.
This task receives, and waits where its visitor talks too fast; another one empties the visitor's
outbox; a third exists only to hang up.
"""

from collections.abc import Iterable

from refimpl.auth.tokens import Claims
from refimpl.chat.limits import MAX_PER_USER, RateLimit, address_of, size_of
from refimpl.chat.lobby import Lobby
from refimpl.chat.messages import BadMessage, Join, Say, Unavailable, error, parse, pong, welcome
from refimpl.chat.outbox import Outbox
from refimpl.chat.records import Records
from refimpl.chat.rooms import Room, described
from refimpl.chat.visitor import Visitor
from refimpl.framing import CloseCode
from refimpl.middleware.asgi import Receive, Scope, Send, deny
from refimpl.middleware.closable import Connection
from refimpl.middleware.context import current
from refimpl.sessions import Position, SessionsError

__all__ = ["Talk"]

MAX_MISTAKES = 50  # messages that are none; a page makes no such mistake, a program in a loop does


class Talk:
    """Serves visitors of a lobby.

    heartbeat, node: what pages are told, as in `welcome`. limit: characters that may wait for a
    slow visitor.
    """

    def __init__(
        self,
        lobby: Lobby,
        records: Records,
        rate_limit: RateLimit,
        *,
        heartbeat: tuple[float, float] = (15.0, 5.0),
        node: str = "",
        limit: int = 256 * 1024,
    ) -> None:
        self.lobby = lobby
        self.node = node
        self.records = records
        self.rate_limit = rate_limit
        self.heartbeat = heartbeat
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        claims = current(Claims)
        if self.lobby.tabs(claims.user) >= MAX_PER_USER:
            return await deny(scope, receive, send, 429, b"You have too many connections.\n")
        visitor = Visitor(claims, Outbox(limit=self.limit), current(Connection).close)
        async with visitor.served(send):
            self.lobby.enter(visitor)  # before anything waits: else more would come than may
            try:
                await self._talk(visitor, scope, receive, send)
            finally:
                self.lobby.leave(visitor)
                await self.lobby.disconnect(visitor)

    async def _talk(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            await self.lobby.connect(visitor)
            heads = await self.lobby.heads()
        except SessionsError:
            return await deny(scope, receive, send, 503, b"The store cannot be reached.\n")
        with self.records.record(scope, visitor.user.id) as record:
            await send({"type": "websocket.accept"})
            self.greet(visitor, heads, record.id if record else "")
            await self.listen(visitor, receive, address_of(scope))

    def greet(
        self, visitor: Visitor, heads: Iterable[tuple[Room, Position]], connection: str
    ) -> None:
        """Say who the visitor is, what rooms there are, and by what name to ask for its frames."""
        visitor.tell(
            welcome(
                described(visitor.user),
                heads,
                node=self.node,
                connection=connection,
                heartbeat=self.heartbeat,
            )
        )
        self.lobby.listen(visitor)

    async def listen(self, visitor: Visitor, receive: Receive, address: str) -> None:
        """Do what the visitor's messages say until it leaves, within its rate limit."""
        mistakes = 0
        while (message := await receive())["type"] == "websocket.receive":
            answered = 0
            try:
                answered = await self.handle(visitor, message.get("text"))
            except BadMessage as problem:
                visitor.tell(error(problem))
                mistakes += not isinstance(problem, Unavailable)
                if mistakes == MAX_MISTAKES:
                    visitor.hang_up(CloseCode.POLICY_VIOLATION, "too many malformed messages")
                    return
            said = size_of(message)
            wait = self.rate_limit.take(visitor.user.id, address, said=said, answered=answered)
            await visitor.pause(wait)

    async def handle(self, visitor: Visitor, text: object) -> int:
        """Do what one message says; return how many characters of history that takes.

        Raises BadMessage.
        """
        match parse(text):
            case Join() as request:
                return await self.lobby.join(visitor, request)
            case Say() as request:
                await self.lobby.say(visitor, request)
            case _:
                visitor.tell(pong())
        return 0
