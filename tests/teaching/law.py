"""The law of the house, read off the source: who may import whom, how long and how many files are.

Floors are numbered as the chapters; imports go down only. Each function returns what breaks a rule,
one sentence each.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from refimpl.classroom.chapters import STEMS

# The errors, then the chapters, then the application that stands on all of them.
FLOORS = {name: floor for floor, name in enumerate(("errors", *STEMS[1:], "chat"))}
INSTRUMENTS = ("bench", "lab", "classroom")  # no floor imports them; each may import those before
FRONT_DOORS = ("__init__", "__main__", "cli")
CORE = range(5)  # no I/O
PLAIN = range(6)  # nothing outside the standard library, but for the accelerator
ACCELERATOR = "websockets.speedups"
NOT_IN_CORE = ("asyncio", "datetime", "logging", "selectors", "socket", "ssl", "threading", "time")
PORTABLE = (*(name for name, floor in FLOORS.items() if floor <= 6), "lab", "classroom")

POSIX_MODULES = {
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}
POSIX_NAMES = {
    "AF_UNIX",
    "SIGALRM",
    "SIGHUP",
    "SIGKILL",
    "SIGUSR1",
    "SIGUSR2",
    "add_signal_handler",
    "alarm",
    "fork",
    "forkpty",
    "geteuid",
    "getpgid",
    "getrusage",
    "getuid",
    "killpg",
    "mkfifo",
    "open_unix_connection",
    "pthread_kill",
    "setitimer",
    "setsid",
    "start_unix_server",
}
GUARDS = ("hasattr", "platform", "os.name")

MOST_LINES = 350
MOST_LINES_OF_A_FUNCTION = 40  # without signature and docstring
MOST_LINES_OF_A_TEST = 600
MOST_LEVELS = 2  # of classes: ours, and one parent of ours
MOST_FILES = 15  # of a folder, its own only


class Import(NamedTuple):
    """One import: the full name of the module it loads, and how it is guarded."""

    name: str
    line: int
    may_fail: bool  # inside `try: ... except ImportError`


class Module(NamedTuple):
    path: Path
    name: str  # within the package: "messages.protocol"
    tree: ast.Module
    lines: int

    @property
    def floor_name(self) -> str:
        return self.name.split(".")[0]


def modules(package: Path) -> list[Module]:
    """All modules of a package, parsed; of a folder with an __init__, that is the folder's name."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
        text = path.read_text(encoding="utf-8")
        found.append(Module(path, ".".join(parts), ast.parse(text), len(text.splitlines())))
    return found


def imports(module: Module, package: str) -> Iterator[Import]:
    """Every import of a module, those in functions and under TYPE_CHECKING too."""
    for node, guards in walk(module.tree, ()):
        may_fail = any(isinstance(guard, ast.Try) and catches_import(guard) for guard in guards)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, may_fail)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, node, package)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}" if base else alias.name, node.lineno, may_fail)


def absolute(module: Module, node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = [package, *module.name.split(".")]
    if module.path.name != "__init__.py":
        parts = parts[:-1]
    elif module.name == "__init__":
        parts = [package]
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def walk(
    node: ast.AST, guards: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Each node with the `if` and `try` statements around it."""
    for child in ast.iter_child_nodes(node):
        yield child, guards
        inner = (*guards, child) if isinstance(child, ast.If | ast.Try | ast.IfExp) else guards
        yield from walk(child, inner)


def catches_import(statement: ast.Try) -> bool:
    names = {getattr(handler.type, "id", "") for handler in statement.handlers}
    return bool(names & {"ImportError", "ModuleNotFoundError"})


def import_faults(package: Path) -> list[str]:
    """Imports that go up, or sideways to an instrument, or outside where that is not allowed."""
    found = []
    for module in modules(package):
        for imported in imports(module, package.name):
            if complaint := judge(module, imported, package.name):
                where = f"{module.path.relative_to(package.parent)}:{imported.line}"
                found.append(f"{where} imports {imported.name}: {complaint}")
    return found


def judge(module: Module, imported: Import, package: str) -> str:
    here = module.floor_name
    top, *rest = imported.name.split(".")
    if top == package:
        return judge_inside(here, rest[0] if rest else "__init__")
    floor = FLOORS.get(here)
    if floor is None or top == "__future__":
        return ""
    if floor in CORE and top in NOT_IN_CORE:
        return "the core has no clock, no log, no socket and no event loop"
    accelerated = imported.may_fail and imported.name.startswith(ACCELERATOR)
    if floor in PLAIN and top not in sys.stdlib_module_names and not accelerated:
        return "floors 0 to 5 need nothing but the standard library"
    return ""


def judge_inside(here: str, there: str) -> str:
    if here in FRONT_DOORS or here == there:
        return ""
    if there in INSTRUMENTS:
        later = here in INSTRUMENTS and INSTRUMENTS.index(here) > INSTRUMENTS.index(there)
        return "" if later else "no floor imports the instruments"
    if there == "cli":
        return "the command line is above everything"
    if here in INSTRUMENTS or there in ("__init__", "__version__"):
        return ""
    if there not in FLOORS:  # `from refimpl import serve`
        return "import it from the module that defines it"
    if here not in FLOORS:
        return "this module has no floor"
    return "" if FLOORS[there] < FLOORS[here] else "imports go down only"


def cycle(package: Path) -> list[str]:
    """The modules of one circle of imports; none where there is no circle."""
    known = {module.name: module for module in modules(package)}
    graph = {
        name: {target for one in imports(module, package.name) if (target := home(one, known))}
        for name, module in known.items()
    }
    state: dict[str, int] = {}

    def visit(name: str, trail: list[str]) -> list[str]:
        if state.get(name) == 1:
            return trail[trail.index(name) :]
        if state.get(name):
            return []
        state[name] = 1
        for target in sorted(graph[name] - {name}):
            if circle := visit(target, [*trail, target]):
                return circle
        state[name] = 2
        return []

    circles = (visit(name, [name]) for name in graph if name != "__init__")
    return next((circle for circle in circles if circle), [])


def home(imported: Import, known: dict[str, Module]) -> str:
    """The module of the package that an import loads, the most exact there is."""
    parts = imported.name.split(".")[1:]
    while parts and ".".join(parts) not in known:
        parts.pop()
    return ".".join(parts)


def posix_faults(package: Path) -> list[str]:
    """What exists on POSIX only, in a module that has to run on Windows, without a fallback."""
    found = []
    for module in modules(package):
        if module.floor_name not in PORTABLE:
            continue
        where = module.path.relative_to(package.parent)
        for imported in imports(module, package.name):
            if imported.name.split(".")[0] in POSIX_MODULES and not imported.may_fail:
                found.append(f"{where}:{imported.line} imports {imported.name}")
        for node, guards in walk(module.tree, ()):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            if name in POSIX_NAMES and not any(map(is_guard, guards)):
                found.append(f"{where}:{node.lineno} uses {name}")
    return found


def is_guard(statement: ast.AST) -> bool:
    if isinstance(statement, ast.Try):
        return True
    test = getattr(statement, "test", None)
    return test is not None and any(word in ast.unparse(test) for word in GUARDS)


def length_faults(package: Path) -> list[str]:
    """Modules that have outgrown a reading, and functions that have outgrown a screen."""
    found = []
    for module in modules(package):
        where = module.path.relative_to(package.parent)
        if module.lines > MOST_LINES:
            found.append(f"{where}: {module.lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = body_lines(node)
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found.append(f"{where}:{node.lineno} {node.name}: {lines} lines")
    return found


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function's body has, its docstring left out."""
    body = function.body
    documented = ast.get_docstring(function) is not None
    start = body[0].end_lineno if documented else body[0].lineno - 1
    return (body[-1].end_lineno or 0) - (start or 0)


def size_faults(root: Path) -> list[str]:
    """Folders of the package with more files than a glance takes in, and tests too long to read."""
    found = []
    package, tests = root / "refimpl", root / "tests"
    for folder in (package, *sorted(each for each in package.rglob("*") if each.is_dir())):
        files = [each for each in folder.iterdir() if each.is_file() and each.suffix != ".pyc"]
        if len(files) > MOST_FILES:
            found.append(f"{folder.relative_to(root)}: {len(files)} files")
    for path in sorted(tests.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_TEST:
            found.append(f"{path.relative_to(root)}: {lines} lines")
    return found


def outside_faults(package: Path) -> list[str]:
    """Paths that climb out of the package: a wheel has nothing there."""
    found = []
    for module in modules(package):
        where = module.path.relative_to(package.parent)
        depth = len(module.path.relative_to(package).parts)  # folders from the file to the package
        for node, _ in walk(module.tree, ()):
            steps = climbed(node)
            if steps is not None and steps > depth:
                found.append(f"{where}:{node.lineno} leaves the package")
    return found


def climbed(node: ast.AST) -> int | None:
    """How many folders above `__file__` an expression is; None where it does not begin there."""
    if isinstance(node, ast.Name):
        return 0 if node.id == "__file__" else None
    if isinstance(node, ast.Subscript):  # Path(__file__).parents[2]
        held = node.value
        if isinstance(held, ast.Attribute) and held.attr == "parents":
            below = climbed(held.value)
            index = node.slice.value if isinstance(node.slice, ast.Constant) else MOST_FILES
            return None if below is None else below + index + 1
        return None
    if isinstance(node, ast.Attribute):  # .parent, and `refimpl.__file__`
        if node.attr == "__file__":
            return 0
        below = climbed(node.value)
        return None if below is None else below + (node.attr == "parent")
    if isinstance(node, ast.Call):  # Path(...), .resolve(), os.path.dirname(...), .with_name(...)
        inner = climbed(node.args[0]) if node.args else None
        below = climbed(node.func) if inner is None else inner
        return None if below is None else below + (name_of(node.func) == "dirname")
    return None


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def parent_faults(package: Path) -> list[str]:
    """Classes with two parents of ours, or with a grandparent of ours; errors are a taxonomy.

    Composition instead: what is inherited can only be read with all of its heirs in mind.
    """
    parents = {
        f"{module.name}.{node.name}": [name for base in node.bases if (name := base_of(base))]
        for module in modules(package)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {module.name: module for module in modules(package)}

    def ours(name: str) -> list[str]:
        """The parents of a class that are classes of the package."""
        module, found = known[name.rpartition(".")[0]], []
        origins = {one.name.rpartition(".")[2]: one.name for one in imports(module, package.name)}
        for base in parents[name]:
            near = f"{module.name}.{base}"
            prefix = origins.get(base, "").rpartition(".")[0].removeprefix(f"{package.name}.")
            inside = origins.get(base, "").startswith(f"{package.name}.")
            far = (each for each in parents if inside and is_below(each, prefix, base))
            found += [near] if near in parents else list(far)[:1]
        return found

    def levels(name: str) -> int:
        return 1 + max(map(levels, ours(name)), default=0)

    def is_error(name: str) -> bool:
        outside = [getattr(builtins, base, None) for base in parents[name]]
        known_error = any(
            isinstance(each, type) and issubclass(each, Exception) for each in outside
        )
        return known_error or any(map(is_error, ours(name)))

    return [
        f"{name}: {', '.join(ours(name))} above it, {levels(name)} levels"
        for name in parents
        if not is_error(name) and (len(ours(name)) > 1 or levels(name) > MOST_LEVELS)
    ]


def base_of(base: ast.expr) -> str:
    """The last name of a base class: `Queue` of `asyncio.Queue[int]`."""
    base = base.value if isinstance(base, ast.Subscript) else base
    return base.id if isinstance(base, ast.Name) else ""


def is_below(name: str, prefix: str, base: str) -> bool:
    return name.endswith(f".{base}") and name.startswith(prefix)
