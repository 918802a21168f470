"""One family of exceptions, and a page that lists every message."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import esnera_hf
from error_catalogue import HEADING, PAGE, error_names, section
from esnera_hf import errors
from esnera_hf.errors import EsneraError

PACKAGE = Path(esnera_hf.__file__).parent


def test_every_exception_is_of_one_family() -> None:
    for module in pkgutil.walk_packages(esnera_hf.__path__, "esnera_hf."):
        if module.name.endswith("__main__") or ".hub_code" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(value) and value.__module__ == module.name and issubclass(value, Exception):
                assert issubclass(value, EsneraError) or name.startswith("_"), f"{module.name}.{name}"


@pytest.mark.skipif(not PAGE.exists(), reason="the page is not part of an installed package")
@pytest.mark.parametrize("name", error_names())
def test_every_exception_says_when_it_is_raised_and_what_to_do(name: str) -> None:
    assert getattr(errors, name).__doc__
    rows = [
        line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    (row,) = [row for row in rows if row[1].strip() == f"`{name}`"]
    assert len(row) == 6
    assert all(cell.strip() for cell in row[1:-1])


def test_every_message_is_on_the_page() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert HEADING + written.partition(HEADING)[2] == section(PACKAGE), (
        "messages have changed: run `python tests/error_catalogue.py` and read the difference"
    )
