"""Wraps a learner's function inside a server: when it fails, the package's own takes over.

A wrong exercise must not end a server, and an error raised deep inside a callback of the event loop
would reach nobody. So the guard keeps it, for `graft` to report.
"""

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

from refimpl.classroom.checking.cases import Row, call
from refimpl.classroom.checking.limits import TimeLimitReached
from refimpl.classroom.checking.reports import lay_out
from refimpl.classroom.checking.verdicts import State, crash
from refimpl.classroom.grafting.watchdog import Watchdog
from refimpl.errors import WebSocketError

CALL_LIMIT = 5.0  # seconds for one call

_inside = threading.local()  # .depth: how many grafted calls this thread is in


class Guard:
    """One learner's function in a server, its calls and its failure.

    failure: the report of its first failure; from then on the package's own is called.
    """

    def __init__(self, name: str, function: Any, original: Any, watchdog: Watchdog) -> None:
        self.calls = 0
        self.failure = ""
        self._name = name
        self._function = function
        self._original = original
        self._watchdog = watchdog
        self._accepted = accepted_keywords(function)

    def stand_in(self) -> Any:
        """The replacement for the package's function. A class is used as it is, unguarded."""
        if isinstance(self._function, type):
            return self._function
        if inspect.iscoroutinefunction(self._function):

            @functools.wraps(self._function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await self._await(*args, **kwargs)

            return guarded_coroutine

        @functools.wraps(self._function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return self._call(*args, **kwargs)

        return unless_inside(guarded, self._original)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        _inside.depth = 1
        try:
            if not self.failure:
                try:
                    result = self._watchdog.call(self._function, *args, **self._prepare(kwargs))
                    if result is not ...:
                        return result
                    self._fail(args, State.NOT_ATTEMPTED)
                except WebSocketError:  # the package's own might raise it too
                    raise
                except (Exception, TimeLimitReached) as error:
                    self._fail_with(args, error)
            return self._original(*args, **kwargs)
        finally:
            _inside.depth = 0

    async def _await(self, *args: Any, **kwargs: Any) -> Any:
        """The same for a coroutine function, whose time limits the package sets."""
        if not self.failure:
            try:
                result = await self._function(*args, **self._prepare(kwargs))
                if result is not ...:
                    return result
                self._fail(args, State.NOT_ATTEMPTED)
            except (WebSocketError, TimeoutError):
                raise
            except Exception as error:
                self._fail_with(args, error)
        return await self._original(*args, **kwargs)

    def _prepare(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Count the call; return the keywords that the function takes."""
        self.calls += 1
        if self._accepted is None:
            return kwargs
        return {key: kwargs[key] for key in self._accepted & kwargs.keys()}

    def _fail_with(self, args: tuple[Any, ...], error: BaseException) -> None:
        if isinstance(error, TimeLimitReached):
            waited = f"{CALL_LIMIT:g} s for an answer; a loop without end looks like this"
            self._fail(args, State.TOO_SLOW, ("waited", waited))
        elif isinstance(error, NotImplementedError):
            self._fail(args, State.NOT_ATTEMPTED)
        else:
            self._fail(args, State.CRASHED, *crash(error, self._function).rows)

    def _fail(self, args: tuple[Any, ...], state: State, *rows: Row) -> None:
        note = f"the package's own {self._name} took over, and the server ran on"
        shown = [("call", call(*args).text(self._name)), *rows, ("note", note)]
        title = f"{self._name} - {state.value} in the real thing (call {self.calls})"
        self.failure = f"{title}\n{lay_out(shown)}"


def unless_inside(new: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls `new`, but inside a grafted function `original`.

    Otherwise a learner's function that uses the package, or the package's own when it takes over,
    would call itself without end.
    """

    @functools.wraps(new)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        return (original if getattr(_inside, "depth", 0) else new)(*args, **kwargs)

    return chosen


def accepted_keywords(function: Callable[..., Any]) -> frozenset[str] | None:
    """The keywords that a function takes, None for all; others are left out of its calls.

    An exercise's function often has fewer options than the package's.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(parameter.name for parameter in parameters if parameter.kind in kinds)
