"""What a plug-in is made of: the file that defines it, and what that imports that is neither a library's nor ours."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from algorithms import Algorithm
    from tasks.base import Task
    from tasks.rewards.base import Reward

OURS = frozenset({"algorithms", "harness", "leaderboard", "tasks"})
PASSED_OVER = OURS | sys.stdlib_module_names | {"__main__"}
LIBRARIES = frozenset({"site-packages", "dist-packages"})  # folders of installed packages: those have versions


def is_ours(thing: Algorithm | Task | Reward) -> bool:
    """Whether it is built in, and no plug-in's."""
    return type(thing).__module__.partition(".")[0] in {"algorithms", "tasks"}


def source_hash(thing: Algorithm | Task | Reward) -> str | None:
    """A hash of the code of a plug-in's algorithm, task or reward; None for ours: the package has a version.

    It is part of a cell's identity: whoever edits a plug-in and runs again gets new cells, not the old results. A file
    that imports nothing of its author's is hashed alone, as it always was.
    """
    if is_ours(thing):
        return None
    cls = type(thing)
    file = inspect.getsourcefile(cls)
    if not file:
        return None
    own, helpers = _digest(Path(file)), _helpers(cls.__module__, Path(file))
    if not helpers:
        return own[:16]
    listed = sorted((name, _digest(path)) for name, path in helpers)  # by name: a folder may be moved
    return hashlib.sha256(repr([own, *listed]).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _helpers(name: str, file: Path) -> set[tuple[str, Path]]:
    """Modules that it imports, one through another as well, with their files.

    They are read off the source, and not off what is loaded: that is other plug-ins' too, and a question of order.
    """
    package = name.partition(".")[0] if "." in name else ""  # an installed plug-in's own modules count, too
    found: set[tuple[str, Path]] = set()
    waiting = [(name, file, sys.modules.get(name))]
    while waiting:
        for spec in _imported(*waiting.pop(), package):
            one = (spec.name, Path(str(spec.origin)))
            if one not in found and one[1] != file and one[1].is_file():
                found.add(one)
                waiting.append((*one, sys.modules.get(spec.name)))
    return found


def _imported(name: str, file: Path, module: ModuleType | None, package: str) -> Iterator[ModuleSpec]:
    """The files' specs of what one module's source imports, and of what its globals are or come from."""
    for value in [] if module is None else list(vars(module).values()):  # however it was imported
        if isinstance(value, ModuleType):
            if value.__spec__ is not None and _counts(value.__spec__, package):
                yield value.__spec__
        elif inspect.isroutine(value) or inspect.isclass(value):
            yield from _specs(value.__module__ or "", package)
    parent = name if file.stem == "__init__" else name.rpartition(".")[0]
    for imported in _named(file, parent):
        yield from _specs(imported, package)


def _named(file: Path, parent: str) -> Iterator[str]:
    """Dotted names that import statements hold, those in functions too; a few are no modules."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # compiled, or never run
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (parent or not node.level):
            base = resolve_name("." * node.level + (node.module or ""), parent)
            yield from (base if one.name == "*" else f"{base}.{one.name}" for one in node.names)


def _specs(name: str, package: str) -> Iterator[ModuleSpec]:
    """Of a module and of the packages that it lies in, as far as there are such."""
    if name.partition(".")[0] in PASSED_OVER:
        return
    places: Sequence[str] | None = None
    for number, part in enumerate(accumulate(name.split("."), "{}.{}".format)):
        spec = getattr(sys.modules.get(part), "__spec__", None)
        if spec is None and (places or number == 0):
            spec = PathFinder.find_spec(part, places)  # of what is imported later; runs nothing
        if spec is None or (spec.has_location and not _counts(spec, package)):
            return
        if spec.has_location:
            yield spec
        places = spec.submodule_search_locations


def _counts(spec: ModuleSpec, package: str) -> bool:
    """Whether it is the author's own code."""
    top = spec.name.partition(".")[0]
    installed = not LIBRARIES.isdisjoint(Path(str(spec.origin)).parts)
    return spec.has_location and top not in PASSED_OVER and (not installed or top == package)
