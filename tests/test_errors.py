"""One family of exceptions, whose messages say what to do, and a page that lists the exceptions."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import esnera_hf
from esnera_hf import errors
from esnera_hf.errors import EsneraError

PACKAGE = Path(esnera_hf.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"
NAMES = [name for name, value in vars(errors).items() if inspect.isclass(value)]
#: Words by which a message says what it expects, or what to do. One that ends with … says so in what is filled in.
ADVICE = re.compile(
    r"expected|needs|choose|goes on from there|; then …|"
    r"(^|[.:;,…—] *|or |and |then )(add|align|allow|apply|ask|check|compare|copy|correct|count|delete|do not trust|"
    r"drop|export|fetch|free|get|give|keep|launch|leave|load|log in|look|make|mend|name|part|pass|please report|put|"
    r"publish|raise|read|remove|rename|run|say|set|try|unpack|unset|update|use|write)\b|…$",
    re.IGNORECASE,
)


def test_every_exception_is_of_one_family() -> None:
    for module in pkgutil.walk_packages(esnera_hf.__path__, "esnera_hf."):
        if module.name.endswith("__main__") or ".hub_code" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(value) and value.__module__ == module.name and issubclass(value, Exception):
                assert issubclass(value, EsneraError) or name.startswith("_"), f"{module.name}.{name}"


@pytest.mark.skipif(not PAGE.exists(), reason="the page is not part of an installed package")
def test_the_page_says_of_every_exception_when_it_is_raised_and_what_to_do() -> None:
    rows = [
        line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert {row[1].strip(" `") for row in rows} == {*NAMES, "TagError"}
    assert all(len(row) == 6 and all(cell.strip() for cell in row[1:-1]) for row in rows)
    assert all(getattr(errors, name).__doc__ for name in NAMES)


def messages(tree: ast.AST) -> Iterator[str]:
    """Yield the messages of the exceptions that are made, … for what is filled in."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in NAMES
            and node.args
        ):
            yield " ".join(template(node.args[0]).split())


def template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(template, node.values))
    if isinstance(node, ast.BinOp):
        return template(node.left) + template(node.right)
    return "…"


def test_every_message_says_what_to_do() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    found = [message for tree in trees for message in messages(tree)]
    assert len(found) > 200
    assert [message for message in found if not ADVICE.search(message)] == []


@pytest.mark.parametrize("message", ["…: no such file.", "…: there is no column …, the rows have … columns."])
def test_a_message_that_only_complains_says_not_what_to_do(message: str) -> None:
    assert not ADVICE.search(message)
