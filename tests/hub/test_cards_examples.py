"""The example cards of ``model_cards/`` are what the templates give today."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import pytest
from huggingface_hub import RepoCard

from markdown_reading import kinds, tables

FOLDER = Path(__file__).parents[2] / "model_cards"
NAMES = ("dataset.md", "recipe.md", "tagger.md")


@cache
def cards() -> dict[str, RepoCard]:
    made: dict[str, RepoCard] = runpy.run_path(str(FOLDER / "render.py"))["make_cards"]()
    assert sorted(made) == sorted(NAMES)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_up_to_date_and_has_whole_tables(name: str) -> None:
    assert str(cards()[name]) == (FOLDER / name).read_text(encoding="utf-8"), (
        "run: python model_cards/render.py"
    )
    body = cards()[name].text
    written = sum(line.startswith("| --- |") or line.startswith("| ---: |") for line in body.split("\n"))
    assert len(list(tables(body))) == written > 5
    assert {len({len(row) for row in rows}) for rows in tables(body)} == {1}
    assert not {"html_block", "html_inline", "code_block"} & set(kinds(body))
