"""The layers: imports only point down, and torch stays in one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import esnera_hf

PACKAGE = Path(esnera_hf.__file__).parent

#: From the lowest layer to the highest; a module imports from its own layer and those below it.
LAYERS = (
    {
        "bounds",
        "errors",
        "labels",
        "processes",
        "tagging",
        "text",
        "yaml_text",
        "console",
        "disk",
        "drawing",
        "cache",
        "manifest",
        "stages",
    },
    {"hub"},
    {"predictions"},
    {"sources"},
    {"candidates", "metrics", "screening", "duplicates", "inspection", "comparison"},
    {"leaks", "licensing", "tagger_plan"},
    {"similarity"},
    {"alignment"},
    {"augmentation", "levels", "scoring", "strict_ner"},
    {"merging"},
    {"contradictions"},
    {"modeling"},
    {"shares"},
    {"taggers"},
    {"mention_sums"},
    {"joint_taggers"},
    {"source_taggers"},
    {"evidence", "single"},
    {"trials"},
    {"final"},
    {"settings"},
    {"deciding"},
    {"report"},
    {"cards"},
    {"publishing"},
    {"result"},
    {"evaluating", "exported", "exporting", "rebuilding"},
    {"api"},
    {"demo", "reproducing"},
    {"cli"},
    {"__main__"},
)
#: What ``modeling`` may know of the rest.
BELOW_MODELING = {
    "errors",
    "labels",
    "manifest",
    "processes",
    "tagging",
    "text",
    "console",
    "sources",
    "metrics",
    "candidates",
}

#: A tagger publishes itself by what publishes taggers: the one import that points up.
UPWARD = {"tagger.py": {"cards", "hub", "publishing"}}

FILES = sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the absolute names of imported modules, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def rooms_imported(names: Iterator[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("esnera_hf.")}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_every_module_has_a_layer() -> None:
    known = set().union(*LAYERS)
    assert {room(file) for file in FILES} - known == set(), "put the new module into LAYERS"
    assert sum(map(len, LAYERS)) == len(known)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    higher = {name for name in rooms_imported(imports(parsed(file))) if level(name) > level(room(file))}
    assert higher <= UPWARD.get(file.name, set())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_one_room(file: Path) -> None:
    libraries = {name.split(".")[0] for name in imports(parsed(file))}
    if room(file) != "modeling":
        allowed = {"transformers"} if room(file) == "console" else set()
        assert libraries & {"torch", "torchcrf", "transformers", "accelerate"} <= allowed


@pytest.mark.parametrize("file", sorted((PACKAGE / "modeling").glob("*.py")), ids=lambda file: file.name)
def test_modeling_knows_only_sources_tags_and_metrics(file: Path) -> None:
    assert rooms_imported(imports(parsed(file))) <= BELOW_MODELING | {"modeling"} | UPWARD.get(
        file.name, set()
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_modeling_is_imported_where_it_is_used(file: Path) -> None:
    if room(file) == "modeling":
        return
    top_level = [node for node in parsed(file).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "modeling" not in rooms_imported(imports(ast.Module(top_level, [])))


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "modeling" / "hub_code").glob("*.py")), ids=lambda f: f.name
)
def test_the_code_saved_with_a_model_needs_nothing_of_the_package_but_each_other(file: Path) -> None:
    """It must load where the package is not installed, its files side by side."""
    tree = parsed(file)
    assert not any(module.startswith("esnera_hf") for module in imports(tree))
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert all(node.level == 1 and (file.parent / f"{node.module}.py").is_file() for node in relative)
