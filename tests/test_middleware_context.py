"""The context: typed values that reach every task and every log line, and cannot be changed."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field

import pytest

from refimpl.middleware import (
    AddContext,
    Context,
    RequestID,
    TenantID,
    User,
    bind,
    current,
    find,
    with_state,
)
from tests.support.asgi_peer import Peer, echo, http_scope, page, websocket_scope

ADA = User("ada", "Ada", frozenset({"admin"}), TenantID("north"))


class TestBind:
    def test_a_type_is_the_key(self):
        with bind(RequestID("r1"), TenantID("north")):
            assert (current(RequestID), current(TenantID)) == (RequestID("r1"), TenantID("north"))
            assert find(User) is None

    def test_the_inner_value_wins_until_its_block_ends(self):
        with bind(RequestID("outer"), ADA):
            with bind(RequestID("inner")):
                assert (current(RequestID).value, current(User)) == ("inner", ADA)
            assert current(RequestID).value == "outer"
        assert find(RequestID) is None

    def test_an_exception_ends_the_block_too(self):
        with pytest.raises(ZeroDivisionError), bind(ADA):
            raise ZeroDivisionError
        assert find(User) is None

    def test_blocks_may_end_in_any_order(self):
        """15: the last to end put back the user of a block that was over."""
        first, second = bind(ADA), bind(RequestID("r1"))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert (find(User), find(TenantID), current(RequestID).value) == (None, None, "r1")
        second.__exit__(None, None, None)
        assert (find(User), find(RequestID)) == (None, None)

    async def test_a_block_that_another_task_ends_raises_nothing(self):
        """An abandoned generator is closed by a task of the loop's, which has bound nothing."""

        async def numbers():
            with bind(ADA):
                yield 1

        generator = numbers()
        await anext(generator)
        await asyncio.create_task(generator.aclose())

    async def test_cancelling_ends_the_block_too(self):
        async def waits():
            try:
                with bind(ADA):
                    await asyncio.Event().wait()
            finally:
                assert find(User) is None

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def test_a_user_brings_the_tenant_along(self):
        with bind(ADA):
            assert current(TenantID) == TenantID("north")
        with bind(ADA, TenantID("south")):
            assert current(TenantID) == TenantID("south")

    def test_without_a_value_the_error_says_what_to_do(self):
        with pytest.raises(LookupError, match=r"no User is bound here.*bind\(User"):
            current(User)

    @dataclass
    class Mutable:
        items: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class HoldsAList:
        items: list[int] = field(default_factory=list)

    @dataclass(frozen=True, eq=False)
    class HashedByIdentity:
        items: list[int] = field(default_factory=list)

    @pytest.mark.parametrize(
        "value",
        ["ada", {"id": "ada"}, User, Mutable(), HoldsAList(), HashedByIdentity(), None],
        ids=lambda value: getattr(value, "__name__", type(value).__name__),
    )
    def test_what_others_could_change_is_refused(self, value):
        with pytest.raises(TypeError, match=r"frozen|mutable"), bind(RequestID("r"), value):
            raise AssertionError("never runs")
        assert find(RequestID) is None

    def test_a_bound_value_cannot_be_changed(self):
        with bind(ADA), pytest.raises(AttributeError):
            current(User).id = "eve"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            ADA.roles.add("root")  # type: ignore[attr-defined]


class TestTasks:
    async def test_child_tasks_inherit_and_cannot_reach_back(self):
        async def child():
            with bind(RequestID("child")):
                await asyncio.sleep(0)
                return current(User), current(RequestID).value

        with bind(ADA, RequestID("parent")):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(child())
            assert task.result() == (ADA, "child")
            assert current(RequestID).value == "parent"

    async def test_a_thousand_tasks_at_once_keep_their_own(self):
        async def work(number):
            with bind(RequestID(str(number))):
                for _ in range(3):
                    await asyncio.sleep(0)
                    assert await asyncio.create_task(inner()) == str(number)

        async def inner():
            await asyncio.sleep(0)
            return current(RequestID).value

        await asyncio.gather(*map(work, range(1000)))

    async def test_to_thread_carries_it_and_a_bare_thread_does_not(self):
        seen = []
        with bind(ADA):
            assert await asyncio.to_thread(find, User) == ADA
            thread = threading.Thread(target=lambda: seen.append(find(User)))
            thread.start()
            thread.join()
        assert seen == [None]

    async def test_a_task_started_before_sees_nothing(self):
        asked = asyncio.Event()

        async def worker():
            await asked.wait()
            return find(User)

        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        with bind(ADA):
            asked.set()
            assert await task is None


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, __file__, 1, "hello", (), None)
    made.__dict__.update(extra)
    return made


class TestLogging:
    def test_a_record_gets_all_three(self):
        line = record()
        with bind(ADA, RequestID("r1")):
            assert AddContext().filter(line)
        assert (line.request_id, line.user, line.tenant) == ("r1", "ada", "north")

    def test_nothing_bound_is_a_dash_so_that_the_format_never_fails(self):
        line = record()
        AddContext().filter(line)
        text = logging.Formatter("%(request_id)s %(user)s %(tenant)s %(message)s").format(line)
        assert text == "- - - hello"

    def test_what_a_record_has_already_stays(self):
        line = record(user="from another task")
        with bind(ADA):
            AddContext().filter(line)
        assert line.user == "from another task"

    @pytest.mark.parametrize("nasty", ["a\nINFO forged", "a\r\nb", "a\x1b[2J", "a\u2028b", "\x00"])
    def test_an_id_cannot_forge_a_line(self, nasty):
        line = record()
        with bind(User(nasty), TenantID(nasty)):
            AddContext().filter(line)
        for text in (line.user, line.tenant):
            assert text.isprintable() and len(text.splitlines()) == 1

    def test_a_filter_on_the_handler_sees_the_loggers_below(self, caplog):
        caplog.handler.addFilter(completes := AddContext())
        try:
            with bind(ADA, RequestID("r7")), caplog.at_level(logging.INFO):
                logging.getLogger("some.library.deep.below").info("hello")
        finally:
            caplog.handler.removeFilter(completes)
        assert [(line.request_id, line.user) for line in caplog.records] == [("r7", "ada")]


class TestMiddleware:
    async def test_the_answer_carries_the_id_that_the_application_saw(self):
        seen = []

        async def app(scope, receive, send):
            seen.append((current(RequestID), scope["state"]["request_id"]))
            await asyncio.create_task(page(scope, receive, send))

        peer = await Peer(http_scope()).run(Context(app, new_id=lambda: "new"))
        assert seen == [(RequestID("new"), RequestID("new"))]
        assert peer.headers() == {"x-request-id": "new"}
        assert find(RequestID) is None

    @pytest.mark.parametrize(
        ("given", "used"),
        [
            (["abc-DEF_1.2"], "abc-DEF_1.2"),
            (["x" * 64], "x" * 64),
            ([], "new"),
            ([""], "new"),
            (["x" * 65], "new"),
            (["two words"], "new"),
            (["line\x0bbreak"], "new"),
            (["a", "b"], "new"),
            (["caf\xe9"], "new"),
        ],
    )
    async def test_a_clients_id_is_taken_where_it_is_a_short_token(self, given, used):
        headers = [("X-Request-ID", value) for value in given]
        app = Context(page, new_id=lambda: "new")
        peer = await Peer(http_scope(headers=headers)).run(app)
        assert peer.headers()["x-request-id"] == used

    async def test_an_id_of_the_applications_own_is_replaced(self):
        async def app(scope, receive, send):
            headers = [(b"X-Request-ID", b"other"), (b"x-a", b"b")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body"})

        peer = await Peer(http_scope()).run(Context(app, new_id=lambda: "new"))
        assert peer.headers() == {"x-a": "b", "x-request-id": "new"}

    async def test_acceptance_and_denial_carry_it(self):
        peer = Peer(websocket_scope())
        peer.leave()
        await peer.run(Context(echo, new_id=lambda: "new"))
        assert peer.sent[0] == {
            "type": "websocket.accept",
            "headers": [(b"x-request-id", b"new")],
        }

        async def no(scope, receive, send):
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})

        peer = await Peer(websocket_scope()).run(Context(no, new_id=lambda: "new"))
        assert peer.headers() == {"x-request-id": "new"}

    async def test_the_scope_of_others_stays_as_it_was(self):
        scope = http_scope()
        before = {**scope, "state": dict(scope["state"])}
        await Peer(scope).run(Context(page))
        assert scope == before

    async def test_lifespan_passes_untouched(self):
        seen = []

        async def app(*arguments):
            seen.append(arguments)

        given = ({"type": "lifespan"}, Peer.receive, Peer.send)
        await Context(app)(*given)
        assert seen == [given]
        assert seen[0][0] is given[0]

    @pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, GeneratorExit])
    async def test_nothing_stays_bound_behind_an_error(self, error):
        """15: the id of a request that failed went on to whatever the task did next."""

        async def broken(scope, receive, send):
            raise error

        with pytest.raises(error):
            await Peer(http_scope()).run(Context(broken))
        assert find(RequestID) is None

    async def test_the_line_that_logs_an_error_knows_the_id(self, caplog):
        """A server writes it when we are gone: the error itself names the request."""

        async def broken(scope, receive, send):
            raise ZeroDivisionError

        caplog.handler.addFilter(completes := AddContext())
        try:
            try:
                await Peer(http_scope()).run(Context(broken, new_id=lambda: "new"))
            except ZeroDivisionError:
                logging.getLogger("server").exception("failed")
        finally:
            caplog.handler.removeFilter(completes)
        (line,) = caplog.records
        assert line.request_id == "new"
        assert "\nrequest id: new" in caplog.text

    async def test_an_error_raised_again_and_again_is_named_once(self):
        """Some programs raise one object for ever; a note for each request would be a leak."""
        error = ZeroDivisionError()
        error.add_note("of the program's own")
        ids = iter(["a", "b", "c"])

        async def broken(scope, receive, send):
            raise error

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await Peer(http_scope()).run(Context(broken, new_id=lambda: next(ids)))
        assert error.__notes__ == ["of the program's own", "request id: c"]

    async def test_an_error_with_notes_of_another_kind_goes_up_as_it_is(self):
        error = ZeroDivisionError()
        error.__notes__ = ("a tuple",)  # type: ignore[assignment]

        async def broken(scope, receive, send):
            raise error

        with pytest.raises(ZeroDivisionError):
            await Peer(http_scope()).run(Context(broken))

    async def test_what_is_bound_here_is_not_overruled_by_an_older_error(self):
        error = ZeroDivisionError()
        error.add_note("request id: old")
        line = record(exc_info=(ZeroDivisionError, error, None))
        with bind(RequestID("here")):
            AddContext().filter(line)
        assert line.request_id == "here"

    def test_ids_differ(self):
        context = Context(page)
        assert len({context.new_id() for _ in range(1000)}) == 1000


def test_with_state_names_values_as_log_records_do():
    scope = {"type": "http", "state": {"pool": 1}}
    extended = with_state(scope, ADA, RequestID("r"))
    assert extended["state"] == {"pool": 1, "user": ADA, "request_id": RequestID("r")}
    assert scope["state"] == {"pool": 1}
