"""`graft` puts a learner's functions in place of the package's, inside servers that are running.

Wherever the package binds the name, it gets the learner's function, and afterwards the package's
again. `lab` and `classroom` keep the package's, so that instruments stay reliable.
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
    """A grafted function failed, and the package's own took over; the message says how."""


class Graft:
    """Learners' functions in the package's place, between enter and exit.

    When a function first crashes, never ends or returns `...`, the package's own takes over: the
    server runs on, and leaving the block raises GraftFailed. Calls that a learner's function makes
    into the package always reach the package's own. If no such failure explains an error of the
    block, the error gets a note, because a wrong result may be its cause.
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
        self._planted: list[tuple[Any, Any]] = []  # (the package's, its replacement)
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
        """Add a note to an error of the block: which of the learner's functions ran in it."""
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
        """The replacements, by qualified name, for one of the learner's functions."""
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
    """A context manager in which the learner's functions replace the package's.

    For `graft(parse_frame, accept_key)` the exercises say what each replaces;
    `graft({"framing.mask": mask_slowly})` says it itself. Use it as `async with`, which also limits
    the whole block to `limit` seconds, or as `with`. check_first: `async with` first checks each,
    and raises CheckFailed before anything runs. Raises GraftFailed at the end if one failed.
    """
    named: dict[str, Any] = {}
    for function in functions:
        if isinstance(function, Mapping):
            named.update(function)
        else:
            named[function.__name__] = function
    return Graft(named, limit=limit, check_first=check_first)


def find(name: str) -> Any:
    """The object that a qualified name ("framing.mask") has in the package now."""
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

    It looks at all imported modules each time, so those imported between two swaps are found too.
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
