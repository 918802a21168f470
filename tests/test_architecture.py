"""The house: its rooms in the order of the method, imports that only point back in it, torch in one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import esnera_hf

PACKAGE = Path(esnera_hf.__file__).parent
#: A file imports from its own room and from those before it.
ROOMS = (
    "errors _internal tagging metrics sources modeling taggers similarity alignment merging evaluation settings report "
    "hub result api cli"
).split()
#: The one import that points forward: `Tagger.push_to_hub`.
FORWARD = {("modeling/tagger.py", "hub")}
HEAVY = {"torch", "torchcrf", "transformers", "accelerate"}
#: Where imports stand inside functions: who, of what, and why.
INSIDE_FUNCTIONS = {
    ("cli/", "esnera_hf"): "--help and --version answer at once",
    ("", "esnera_hf.modeling"): "torch takes seconds to import, and what needs no model does without it",
    ("modeling/tagger.py", "esnera_hf.hub"): "a tagger publishes itself by the room that publishes",
    ("taggers/light_heads.py", "sklearn"): "some tenths of a second that only light heads have a use for",
    ("sources/readers/docbin.py", "spacy"): "an optional extra",
    ("merging/export_formats.py", "spacy"): "an optional extra",
    ("_internal/console.py", "datasets"): "messages are written without it, too: a second of --help",
    ("_internal/console.py", "huggingface_hub"): "as datasets",
    ("_internal/console.py", "tqdm"): "as datasets",
    ("_internal/console.py", "transformers"): "its bars are silenced only where it is loaded anyway",
}


class Imported(NamedTuple):
    """An import of a file."""

    module: str
    inside_function: bool
    for_types: bool


FILES = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(PACKAGE.rglob("*.py"))}


def room(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py")


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


@cache
def imports(name: str) -> tuple[Imported, ...]:
    return tuple(_imports(parsed(name), False, False))


def _imports(node: ast.AST, inside: bool, types: bool) -> Iterator[Imported]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Imported(alias.name, inside, types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            # what is imported may itself be a module
            yield from (Imported(f"{child.module}.{alias.name}", inside, types) for alias in child.names)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            is_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(child, inside or is_function, types or is_types)


def file_of(module: str) -> str | None:
    """Return the file of this package that a module, or a name in a module, lies in."""
    parts = module.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = "/".join(parts[:end])
        if f"{path}.py" in FILES or f"{path}/__init__.py" in FILES:
            return f"{path}.py" if f"{path}.py" in FILES else f"{path}/__init__.py"
    return None


def own_imports(name: str) -> Iterator[tuple[str, Imported]]:
    """Yield the files of this package that a file imports from."""
    for imported in imports(name):
        file = file_of(imported.module) if imported.module.split(".")[0] == "esnera_hf" else None
        if file is not None:
            yield file, imported


def test_the_rooms_and_how_much_is_in_them() -> None:
    inside = {room(name) for name in FILES} - {"__init__", "__main__"}
    assert inside == set(ROOMS)
    assert len([name for name in FILES if "/" not in name]) <= 8
    records = [
        f"{name}: {node.name}"
        for name in FILES
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.ClassDef)
        and ("dataclass" in map_unparse(node.decorator_list) or "NamedTuple" in map_unparse(node.bases))
    ]
    assert len(records) <= 68, records


def test_every_file_is_read_in_one_sitting() -> None:
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in FILES.items()}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def map_unparse(nodes: list[ast.expr]) -> str:
    return " ".join(ast.unparse(node) for node in nodes)


def test_imports_point_back_in_the_list_of_rooms() -> None:
    wrong = [
        f"{name} imports {imported.module}"
        for name in FILES
        if room(name) in ROOMS
        for file, imported in own_imports(name)
        if ROOMS.index(room(file)) > ROOMS.index(room(name)) and (name, room(file)) not in FORWARD
    ]
    assert wrong == []


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {
        name: {file for file, how in own_imports(name) if not (how.inside_function or how.for_types)}
        for name in FILES
    }
    circles = {name for name in FILES if name in reachable(graph, name)}
    assert circles == set()


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return what a file imports, and what that imports, and so on."""
    seen: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += graph[name]
    return seen


def test_imports_stand_at_the_top_but_for_the_time_they_take() -> None:
    wrong = [
        f"{name} imports {imported.module}"
        for name in FILES
        for imported in imports(name)
        if imported.inside_function
        and not any(
            name.startswith(where) and f"{imported.module}.".startswith(f"{what}.")
            for where, what in INSIDE_FUNCTIONS
        )
    ]
    assert wrong == []


def test_torch_stays_in_one_room() -> None:
    wrong = [
        f"{name} imports {imported.module}"
        for name in FILES
        for imported in imports(name)
        if room(name) != "modeling"
        and (
            (imported.module.split(".")[0] in HEAVY and name != "_internal/console.py")
            or (
                imported.module.startswith("esnera_hf.modeling")
                and not (imported.inside_function or imported.for_types)
            )
        )
    ]
    assert wrong == []


def test_the_code_saved_with_a_model_needs_nothing_of_the_package() -> None:
    """It must load where the package is not installed, its files side by side."""
    for name in FILES:
        if name.startswith("modeling/hub_code/"):
            assert not list(own_imports(name)), name
            relative = [n for n in ast.walk(parsed(name)) if isinstance(n, ast.ImportFrom) and n.level]
            assert all(n.level == 1 and (FILES[name].parent / f"{n.module}.py").is_file() for n in relative)
