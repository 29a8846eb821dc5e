"""Show the package's own source in a notebook, and errors that are meant to happen."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from types import ModuleType, TracebackType
from typing import Any, Self

from refimpl.handshake.printable import printable
from refimpl.lab.text import Text


class Source:
    """A definition's source under a title line; the last line of a cell shows it highlighted.

    Its plain text is what nbval compares: when the package changes, the notebook's output must too.
    """

    def __init__(self, name: str, code: str) -> None:
        self.name = name
        self.code = code

    def __repr__(self) -> str:
        return f"# {self.name}\n\n{self.code}"

    def _repr_markdown_(self) -> str:
        return f"**`{self.name}`**\n\n```python\n{self.code}\n```"


def show(definition: Any, *, docstring: bool = True, outline: bool = False) -> Source:
    """Return the source of a definition, given as itself or as its qualified name.

    Give a constant by name: show("refimpl.messages.state.TRANSITIONS"). docstring: False leaves the
    docstrings out. outline: a class as its methods' signatures, with the first line of docstrings.

    >>> show("refimpl.lab.text.HEX_COLUMNS")
    # refimpl.lab.text.HEX_COLUMNS
    <BLANKLINE>
    HEX_COLUMNS = 16
    """
    name = definition if isinstance(definition, str) else qualified_name(definition)
    code = _source(name) if isinstance(definition, str) else _source_of(definition)
    if outline:
        code = _outline(code)
    elif not docstring:
        code = without_docstrings(code)
    return Source(name, code)


def qualified_name(definition: Any) -> str:
    """Return 'module.Class.method' for anything with a definition."""
    if isinstance(definition, ModuleType):
        return definition.__name__
    definition = _plain(definition)
    return f"{definition.__module__}.{definition.__qualname__}"


def _plain(definition: Any) -> Any:
    """Return the function in a property, a bound method or a decorator with __wrapped__."""
    if isinstance(definition, property):
        definition = definition.fget
    return inspect.unwrap(definition)


def _source_of(definition: Any) -> str:
    if not isinstance(definition, ModuleType):
        definition = _plain(definition)
    return textwrap.dedent(inspect.getsource(definition)).rstrip()


def _source(name: str) -> str:
    """Return the source of the definition or assignment that a dotted name leads to."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        if count == len(parts):
            return _source_of(module)
        return _in_module(module, parts[count:])
    raise LookupError(f"no module named {parts[0]!r}")


def _in_module(module: ModuleType, path: list[str]) -> str:
    source = inspect.getsource(module)
    nodes: list[ast.stmt] = ast.parse(source).body
    for depth, part in enumerate(path):
        found = next((node for node in nodes if part in _names(node)), None)
        if found is None:
            return _elsewhere(module, path)
        if depth == len(path) - 1:
            first = min(
                [found.lineno, *(each.lineno for each in getattr(found, "decorator_list", []))]
            )
            lines = source.splitlines()[first - 1 : found.end_lineno]
            return textwrap.dedent("\n".join(lines)).rstrip()
        nodes = getattr(found, "body", [])
    raise LookupError(".".join(path))


def _elsewhere(module: ModuleType, path: list[str]) -> str:
    """Return the source of a name that the module only re-exports."""
    thing: Any = module
    for part in path:
        thing = getattr(thing, part)
    return _source_of(thing)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {each.id for each in node.targets if isinstance(each, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def _docstring_node(node: ast.AST) -> ast.stmt | None:
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
        return None
    value = body[0].value
    return body[0] if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def without_docstrings(code: str) -> str:
    """Return the code without the docstrings of its classes and functions; comments stay."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        found = _docstring_node(node)
        if found is None or isinstance(node, ast.Module) or found.end_lineno is None:
            continue
        for number in range(found.lineno - 1, found.end_lineno):
            lines[number] = "\0"
        if len(getattr(node, "body", [])) == 1:
            lines[found.lineno - 1] = " " * found.col_offset + "..."
        elif found.end_lineno < len(lines) and not lines[found.end_lineno].strip():
            lines[found.end_lineno] = "\0"
    return "\n".join(line for line in lines if line != "\0")


def _outline(code: str) -> str:
    """Return each public method's signature and the first line of its docstring."""
    lines = code.splitlines()
    tree = ast.parse(code).body[0]
    shown = [lines[tree.lineno - 1]]
    if doc := ast.get_docstring(tree) if isinstance(tree, ast.ClassDef) else None:
        shown.append(f'    """{doc.splitlines()[0]}"""')
    for node in getattr(tree, "body", []):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith(
            "_"
        ):
            continue
        signature = " ".join(
            line.strip() for line in lines[node.lineno - 1 : node.body[0].lineno - 1]
        )
        shown += ["", f"    {signature.replace('( ', '(').replace(', )', ')')}"]
        if doc := ast.get_docstring(node):
            shown.append(f'        """{doc.splitlines()[0]}"""')
    return "\n".join(shown)


class ExpectedError:
    """A block that must fail; afterwards `error` holds what it raised."""

    def __init__(
        self, kinds: type[BaseException] | tuple[type[BaseException], ...], match: str
    ) -> None:
        self.kinds = kinds
        self.match = match
        self.error: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            raise AssertionError(f"expected {_kind_names(self.kinds)}, and nothing was raised")
        if not isinstance(error, self.kinds):
            return False
        if self.match not in str(error):
            raise AssertionError(
                f"expected {self.match!r} in the message, got {str(error)!r}"
            ) from error
        self.error = error.with_traceback(None)
        print(describe_error(error))
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return self.__exit__(kind, error, traceback)


def expect_error(
    kinds: type[BaseException] | tuple[type[BaseException], ...] = Exception, match: str = ""
) -> ExpectedError:
    """Return a block (`with` or `async with`) that must raise one of `kinds`, and prints it.

    match: words that the message must contain. AssertionError if nothing was raised; an error of
    any other kind passes through.

    >>> with expect_error(ValueError):
    ...     int("seven")
    ValueError: invalid literal for int() with base 10: 'seven'
    """
    return ExpectedError(kinds, match)


def _kind_names(kinds: type[BaseException] | tuple[type[BaseException], ...]) -> str:
    return " or ".join(each.__name__ for each in (kinds if isinstance(kinds, tuple) else (kinds,)))


def describe_error(error: BaseException) -> Text:
    """Return an error in a line: type, message, and its close code or HTTP status, if any."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    close_code = getattr(error, "close_code", None)
    if isinstance(close_code, int):
        text += f"  -> close code {close_code}"
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        text += f"  -> HTTP {status}"
    return Text(printable(text, keep="\n"))
