"""The example cards of ``model_cards/`` are what the templates give today."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from huggingface_hub import RepoCard

from markdown_reading import kinds, tables

FOLDER = Path(__file__).parents[2] / "model_cards"
NAMES = ("dataset.md", "recipe.md", "tagger.md")


@cache
def cards() -> dict[str, RepoCard]:
    spec = importlib.util.spec_from_file_location("model_cards_render", FOLDER / "render.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    assert isinstance(module, ModuleType)
    return dict(module.make_cards())


def test_every_example_is_there() -> None:
    assert sorted(cards()) == sorted(NAMES)
    assert sorted(file.name for file in FOLDER.glob("*.md")) == ["README.md", *NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_up_to_date(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert str(cards()[name]) == written, "run: python model_cards/render.py"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_whole_tables_and_no_html(name: str) -> None:
    body = cards()[name].text
    written = sum(line.startswith("| --- |") or line.startswith("| ---: |") for line in body.split("\n"))
    assert len(list(tables(body))) == written > 5
    assert {len({len(row) for row in rows}) for rows in tables(body)} == {1}
    assert not {"html_block", "html_inline", "code_block"} & set(kinds(body))
