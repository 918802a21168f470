"""Benchmarks are run by hand and seldom: what they import must be there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import esnera_hf

PACKAGE = Path(esnera_hf.__file__).parent
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(BENCHMARKS.rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of everything that a file imports from benchmarks or from the package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module, alias.name


def defined(file: Path) -> set[str]:
    """Return the names that a file defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(BENCHMARKS)))
def test_what_a_benchmark_imports_is_there(file: Path) -> None:
    for module, name in imported(file):
        places = [folder / f"{module.replace('.', '/')}.py" for folder in (BENCHMARKS, file.parent)]
        beside = next(filter(Path.is_file, places), None)
        if beside is not None:
            assert name in defined(beside), f"{module}.{name}"
        elif module.split(".")[0] == "esnera_hf":
            package = importlib.import_module(module)
            found = hasattr(package, name) or importlib.util.find_spec(f"{module}.{name}") is not None
            assert found, f"{module}.{name}"


def test_each_finding_of_the_audit_has_a_test_that_there_is() -> None:
    audit = ast.parse((BENCHMARKS / "audit_findings.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(audit) if isinstance(node, ast.Constant)]
    guards = {text for text in texts if isinstance(text, str) and ".py::" in text}
    assert len(guards) > 10
    for guard in guards:
        file, _, name = guard.partition("::")
        assert name in defined(Path(__file__).parent / file)


def test_the_texts_that_mutants_replace_stand_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    core = importlib.import_module("mutants").MUTANTS
    listed = [(file, text, tests) for (file, tests), pairs in core.items() for text, _ in pairs]
    safety = importlib.import_module("mutants_safety").MUTANTS
    listed += [(file, text, tests) for file, text, _, tests in safety]
    assert len(listed) > 100
    for file, text, tests in listed:
        assert text in (PACKAGE / file).read_text(encoding="utf-8"), f"{file}: {text!r}"
        for test in tests.partition(" -k ")[0].split():
            assert (Path(__file__).parent / test).exists(), test
