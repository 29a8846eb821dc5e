"""Makes the stub that a learner gets from the source of a solution.

Everything between `### BEGIN SOLUTION` and `### END SOLUTION` is removed. It is replaced by `return
...` inside a function, by `...` inside a class or a constructor, and by `name = ...` for each
answer assigned outside of both. `check` knows all three as *not attempted*. The lines between `###
BEGIN BROKEN` and `### END BROKEN`, comments in the solution, become code: a function to mend.

>>> print(stub('''def double(number):
...     ### BEGIN SOLUTION
...     return 2 * number
...     ### END SOLUTION'''))
def double(number):
    return ...  # your code here
"""

import ast
import re
from collections.abc import Collection

MARKER = re.compile(r"^(\s*)### (BEGIN|END) (SOLUTION|BROKEN)\s*$")
BEGIN = re.compile(r"^(\s*)### BEGIN SOLUTION\s*$")
COMMENT = re.compile(r"^(\s*)# ?(.*)$")
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
RETURNS_NOTHING = ("__init__", "__post_init__")


class StubError(ValueError):
    """A solution cell from which no stub can be made; the message says what to change."""


def has_solution(source: str) -> bool:
    """Whether a cell holds an answer."""
    return any(match[3] == "SOLUTION" for match in map(MARKER.match, source.splitlines()) if match)


def stub(source: str, *, answers: Collection[str] = ()) -> str:
    """The source with its solutions taken out.

    answers: the names that a check of values reads. Raises StubError.
    """
    lines, made = source.splitlines(), []
    # A statement in place of the marker shows which function or class the marker is in.
    tree = _parse("\n".join(BEGIN.sub(r"\1pass", line) for line in lines))
    will_be_mended = "### BEGIN BROKEN" in source
    begin: tuple[int, str, str] | None = None  # line number, indentation, kind
    for number, line in enumerate(lines, 1):
        match = MARKER.match(line)
        if match is None:
            if begin is None:
                made.append(line)
            elif begin[2] == "BROKEN" and line.strip():
                made.append(_revived(line, number))
            continue
        indent, edge, kind = match.groups()
        if (edge == "BEGIN") is (begin is not None) or (begin and begin[2] != kind):
            raise StubError(f"line {number}: {line.strip()} does not pair")
        if edge == "BEGIN":
            begin = number, indent, kind
            continue
        assert begin is not None
        if kind == "SOLUTION":
            made += [
                begin[1] + text
                for text in _placeholders(tree, begin[0], number, answers, will_be_mended)
            ]
        begin = None
    if begin is not None:
        raise StubError(f"line {begin[0]}: ### BEGIN {begin[2]} has no end")
    result = "\n".join(made)
    _parse(result)
    return result


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise StubError(f"line {error.lineno}: not Python: {error.msg}") from error


def _revived(line: str, number: int) -> str:
    match = COMMENT.match(line)
    if match is None:
        raise StubError(f"line {number}: between BROKEN markers every line is a comment")
    return (match[1] + match[2]).rstrip()


def _placeholders(
    tree: ast.Module, begin: int, end: int, answers: Collection[str], mend: bool
) -> list[str]:
    """The lines that replace those from begin to end."""
    around = _innermost(tree, begin)
    comment = "# broken below: mend it, then delete this line" if mend else "# your code here"
    if isinstance(around, ast.ClassDef) or (around is not None and around.name in RETURNS_NOTHING):
        return [f"...  {comment}"]
    if around is not None:
        return [f"return ...  {comment}"]
    inside = [node for node in tree.body if begin < node.lineno < end]
    for node in inside:
        if isinstance(node, Scope):
            raise StubError(
                f"line {node.lineno}: {node.name}'s def and docstring belong above the solution"
            )
    names = list(dict.fromkeys(name for node in inside for name in _assigned(node)))
    asked = [name for name in names if name in answers] or names
    return [f"{name} = ...  # your answer here" for name in asked] or [f"...  {comment}"]


def _innermost(tree: ast.Module, begin: int) -> Scope | None:
    """The innermost function or class around a line."""
    found = None
    for node in ast.walk(tree):
        if isinstance(node, Scope) and node.lineno < begin <= (node.end_lineno or 0):
            found = node  # ast.walk visits outer nodes first
    return found


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    walked = [inner for target in targets if target is not None for inner in ast.walk(target)]
    return [inner.id for inner in walked if isinstance(inner, ast.Name)]
