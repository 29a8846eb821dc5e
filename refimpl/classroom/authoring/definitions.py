"""The source of a name of the package, found with `ast`, never by importing it.

A name is qualified relative to the package: "framing.mask_int" (a function), "framing.Frame" (a
class), "framing.Frame.serialize" (a method), "messages.protocol.TRANSITIONS" (an assignment). Names
that a package only re-exports ("handshake.accept_key") are followed to the module that defines
them. A definition includes its decorators, the comment lines directly above it, and an assignment's
docstring below it. For a name bound inside a top-level `if` or `try`, it is the whole statement,
because half of it would not run.
"""

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[2]

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Definition(NamedTuple):
    """One definition as it stands in the package."""

    path: Path
    line: int  # of the first line, counted from 1
    source: str  # without a trailing newline; a method's is dedented


def find_definition(name: str, *, package: Path = PACKAGE) -> Definition:
    """The definition that a qualified name means. Raises LookupError if there is none."""
    path, inner = _split(name, package)
    if not inner:
        raise LookupError(f"{name} is a module; name a definition in it")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    body: list[ast.stmt] = tree.body
    scope: list[ast.stmt] = body
    node: ast.stmt | None = None
    for depth, part in enumerate(inner):
        node = next(
            (statement for statement in reversed(body) if part in _bound_names(statement)), None
        )
        if node is None and depth == 0:
            source = _reexported(tree, part)
            if source:
                return find_definition(
                    ".".join([*_module_of(path, source, package), *inner]), package=package
                )
        if node is None:
            raise LookupError(f"{name}: no {part!r} in {path.relative_to(package.parent)}")
        scope, body = body, getattr(node, "body", [])
    assert node is not None
    lines = text.splitlines()
    first, last = _extent(node, scope, lines)
    lines = lines[first - 1 : last]
    return Definition(path, first, textwrap.dedent("\n".join(lines)))


def _split(name: str, package: Path) -> tuple[Path, list[str]]:
    """The module file that the leading parts of a name mean, and the parts left over."""
    parts = name.split(".")
    folder, used = package, 0
    while used < len(parts) and (folder / parts[used] / "__init__.py").is_file():
        folder, used = folder / parts[used], used + 1
    if used < len(parts) and (folder / f"{parts[used]}.py").is_file():
        return folder / f"{parts[used]}.py", parts[used + 1 :]
    if used == 0:
        raise LookupError(f"{name}: the package has no module {parts[0]!r}")
    return folder / "__init__.py", parts[used:]


def _bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds, also in `if` and `try`, not in functions and classes."""
    if isinstance(statement, DEFINITIONS):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.If | ast.Try):
        handlers = [line for handler in getattr(statement, "handlers", ()) for line in handler.body]
        for inner in [
            *statement.body,
            *handlers,
            *statement.orelse,
            *getattr(statement, "finalbody", ()),
        ]:
            yield from _bound_names(inner)


def _reexported(tree: ast.Module, name: str) -> tuple[int, str, str] | None:
    """The `from ... import` that binds a name: (level, module, name there)."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name and alias.name == name:
                    return statement.level, statement.module or "", name
    return None


def _module_of(path: Path, source: tuple[int, str, str], package: Path) -> list[str]:
    """The qualified name, relative to the package, of the module that a re-export comes from."""
    level, module, name = source
    named = module.split(".") if module else []
    if level == 0:
        if named[:1] != [package.name]:
            raise LookupError(f"{name} comes from {module}, which is not part of the package")
        return named[1:]
    folder = path.parent
    for _ in range(level - 1):
        folder = folder.parent
    return [*folder.relative_to(package).parts, *named]


def _extent(node: ast.stmt, scope: list[ast.stmt], lines: list[str]) -> tuple[int, int]:
    """First and last line of a definition with its decorators, comment and docstring."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    indent = " " * node.col_offset
    while first > 1 and lines[first - 2].startswith(f"{indent}#"):
        first -= 1
    last = node.end_lineno or node.lineno
    following = scope[scope.index(node) + 1 : scope.index(node) + 2]
    if isinstance(node, ast.Assign | ast.AnnAssign) and following and _is_text(following[0]):
        last = following[0].end_lineno or last
    return first, last


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a bare string: below an assignment, its docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
