"""`graft` puts a learner's functions in place of the package's, inside servers that are running.

Every place of the package where the name is bound gets the learner's function, and gets the
package's back afterwards. `lab` and `classroom` keep the package's, so that instruments stay true.
"""

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType, TracebackType
from typing import Any, Self

from refimpl.classroom.checking.cases import Exercise
from refimpl.classroom.checking.check import check
from refimpl.classroom.checking.lookup import find_exercise
from refimpl.classroom.checking.reports import CheckFailed, lay_out
from refimpl.classroom.grafting.guard import CALL_LIMIT, Guard, unless_inside
from refimpl.classroom.grafting.watchdog import Watchdog

PACKAGE = "refimpl"
UNTOUCHED = (f"{PACKAGE}.lab", f"{PACKAGE}.classroom")
BLOCK_LIMIT = 15.0  # seconds for an `async with` block


class GraftFailed(CheckFailed):
    """A grafted function failed, and the package's own took over; the text says how."""


class Graft:
    """Learners' functions in the package's place, between enter and exit.

    After the first call in which a function crashes, never ends or says `...`, the package's own
    takes over: the server runs on, and leaving the block raises GraftFailed. What a learner's
    function itself calls of the package is always the package's own. An error of the block that no
    such failure explains gets a note, because a wrong result may be behind it.
    """

    def __init__(
        self,
        functions: Mapping[str, Any],
        *,
        limit: float = BLOCK_LIMIT,
        check_first: bool = False,
    ) -> None:
        self.limit = limit
        self.check_first = check_first
        self._guards: dict[str, Guard] = {}
        self._watchdog = Watchdog(CALL_LIMIT)
        self._timer: asyncio.Timeout | None = None
        self._late = ""
        self._planted: list[tuple[Any, Any]] = []  # (the package's, what stands in its place)
        self._functions = functions

    @property
    def calls(self) -> dict[str, int]:
        """How often each function was called by the package, by name."""
        return {name: guard.calls for name, guard in self._guards.items()}

    def __enter__(self) -> Self:
        for name, function in self._functions.items():
            for target, replacement in self._replacements(name, function).items():
                self._planted.append((find(target), replacement))
        self._watchdog.__enter__()
        for original, replacement in self._planted:
            swap(original, replacement)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for original, replacement in reversed(self._planted):
            swap(replacement, original)
        self._planted.clear()
        self._watchdog.__exit__(None, None, None)
        failures = [guard.failure for guard in self._guards.values() if guard.failure]
        if self._late:
            failures.append(self._late)
        if failures and not isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            raise GraftFailed("\n".join(failures)) from error
        if isinstance(error, Exception):
            self._suspect(error)

    def _suspect(self, error: Exception) -> None:
        """Note on an error that leaves the block which of the learner's functions ran in it."""
        used = [name for name, guard in self._guards.items() if guard.calls and "." not in name]
        if used:
            checks = ", ".join(f"check({name})" for name in used)
            error.add_note(
                f"Your {', '.join(used)} ran in this block. No call crashed, but a wrong result "
                f"may well end a connection: {checks} finds out."
            )

    async def __aenter__(self) -> Self:
        for name, function in self._functions.items() if self.check_first else ():
            pending = check(name, function)
            if pending is not None:
                await pending
        self._timer = asyncio.timeout(self.limit)
        self.__enter__()
        try:
            await self._timer.__aenter__()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._timer is not None
        try:
            await self._timer.__aexit__(kind, error, traceback)
        except TimeoutError as timeout:
            names = ", ".join(self._functions)
            waited = f"{self.limit:g} s; is a peer waiting for what a function never returned?"
            title = f"{names} - too slow in the real thing"
            self._late = f"{title}\n{lay_out([('waited', waited)])}"
            error = timeout
        self.__exit__(None, error, None)

    def _replacements(self, name: str, function: Any) -> Mapping[str, Any]:
        """What to put where, by qualified name, for one of the learner's functions."""
        target, adapt = name, None
        if "." not in name:
            _, exercise = find_exercise(name)
            if not isinstance(exercise, Exercise) or not exercise.replaces:
                raise LookupError(f"{name} replaces nothing in the package")
            target, adapt = exercise.replaces, exercise.adapt
        guard = Guard(name, function, find(target), self._watchdog)
        self._guards[name] = guard
        planted = guard.stand_in()
        if adapt is None:
            return {target: planted}
        return {place: unless_inside(new, find(place)) for place, new in adapt(planted).items()}


def graft(
    *functions: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    limit: float = BLOCK_LIMIT,
    check_first: bool = False,
) -> Graft:
    """A context manager in which the learner's functions stand in place of the package's.

    `graft(parse_frame, accept_key)` knows from the exercises what each replaces;
    `graft({"framing.mask": mask_slowly})` is told. Use it as `async with`, which also limits the
    whole block to `limit` seconds, or as `with`. check_first: `async with` begins with the check of
    each, and raises CheckFailed before anything runs. Raises GraftFailed on leaving, where one
    failed.
    """
    named: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, Mapping):
            named.update(function)
        else:
            named[function.__name__] = function
    return Graft(named, limit=limit, check_first=check_first)


def find(name: str) -> Any:
    """The object of the package that a qualified name ("framing.mask") means now."""
    parts = name.split(".")
    held: Any = importlib.import_module(PACKAGE)
    for index, part in enumerate(parts):
        if isinstance(held, ModuleType) and not hasattr(held, part):
            try:
                held = importlib.import_module(f"{PACKAGE}.{'.'.join(parts[: index + 1])}")
            except ModuleNotFoundError:
                raise LookupError(f"{name}: the package has no {part!r}") from None
        else:
            held = (
                inspect.getattr_static(held, part)
                if isinstance(held, type)
                else getattr(held, part)
            )
    return held


def swap(old: object, new: object) -> None:
    """Bind new wherever the package binds old: in modules, in their classes, in default values.

    Modules imported in between are found too, because both ways look at all there are.
    """
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        in_package = name == PACKAGE or name.startswith(f"{PACKAGE}.")
        if not in_package or name.startswith(UNTOUCHED):
            continue
        for key, value in list(vars(module).items()):
            if value is old:
                setattr(module, key, new)
            elif getattr(value, "__module__", None) == name:
                _swap_inside(value, old, new)


def _swap_inside(value: object, old: object, new: object) -> None:
    if isinstance(value, type):
        for key, held in list(vars(value).items()):
            if held is old:
                setattr(value, key, new)
            elif isinstance(held, staticmethod) and held.__func__ is old:
                setattr(value, key, staticmethod(new))  # type: ignore[arg-type]
            else:
                _swap_defaults(held, old, new)
    else:
        _swap_defaults(value, old, new)


def _swap_defaults(function: object, old: object, new: object) -> None:
    if not isinstance(function, FunctionType):
        return
    defaults = function.__defaults__ or ()
    if any(held is old for held in defaults):
        function.__defaults__ = tuple(new if held is old else held for held in defaults)
    keywords = function.__kwdefaults__ or {}
    keywords.update({key: new for key, held in keywords.items() if held is old})
