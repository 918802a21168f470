"""A tree of labels carried through: applied, saved, loaded, published, shown, rebuilt and exported."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import product_tree as tree
from esnera_hf import MergeResult, apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.api import with_mentions
from esnera_hf.cli.main import main
from esnera_hf.merging.export import export
from esnera_hf.report.html import render_report
from esnera_hf.report.tables import annotated_coarsely, not_annotated
from esnera_hf.sources.licenses import license_from_id
from markdown_reading import tables

NAMES = {"fine", "coarse", "books"}
SOURCES = [replace(source, license=license_from_id("mit")) for source in tree.SOURCES]


def applied(mapping: LabelMapping = tree.MAPPING) -> MergeResult:
    return apply(mapping, SOURCES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree") / "merged"
    applied().save(folder)
    return folder


def test_an_edited_file_is_applied(tmp_path: Path) -> None:
    flat = replace(tree.MAPPING, parents={}).to_yaml()
    parents = "parents: {book: PRODUCT, film: PRODUCT}\nlabels:\n"
    file = tmp_path / "mapping.yaml"
    file.write_text(flat.replace("labels:\n\n", parents + "\n", 1))
    result = apply(file, SOURCES)
    assert result.mapping == with_mentions(tree.MAPPING, SOURCES)
    assert result.dataset["train"].features["coarse_tags"].feature.names == tree.COARSE_TAGS
    alone = apply(file, SOURCES[:1])
    assert alone.mapping.unified_labels == ("PRODUCT", "book", "film")
    assert alone.view("coarse")["test"]["ner_tags"][:] == [[1, 1, 0]]


def test_saved_and_loaded(saved: Path) -> None:
    result = MergeResult.load(saved)
    assert result.mapping == with_mentions(tree.MAPPING, SOURCES)
    assert "    book      ←  fine:Book, books:title" in repr(result).split("\n")
    for level in ("fine", "coarse", "original"):
        for split, rows in applied().view(level).items():
            assert result.view(level)[split].to_list() == rows.to_list()


def test_what_sources_do_not_annotate() -> None:
    assert not_annotated(tree.MAPPING, NAMES) == [
        ("fine", ["PER", "PRODUCT"]),
        ("books", ["PER", "PRODUCT", "film"]),
    ]
    assert annotated_coarsely(tree.MAPPING, NAMES) == [("coarse", "PRODUCT", ["book", "film"])]
    assert not annotated_coarsely(replace(tree.MAPPING, parents={}), NAMES)


def test_the_card() -> None:
    card = applied().card("me/products")
    (found,) = [rows for rows in tables(card.text) if "part of" in rows[0]]
    head, *rows = found
    assert head == ["unified label", "part of", "source labels", "annotated", "pseudo-labels"]
    assert [row[:2] for row in rows] == [
        ["PER", ""],
        ["PRODUCT", ""],
        ["book", "PRODUCT"],
        ["film", "PRODUCT"],
    ]
    assert [row[3] for row in rows] == ["1", "5", "5", "3"]
    assert "`coarse_tags`" in card.text
    assert 'coarse = view(dataset, "coarse")' in card.text
    assert "  - coarse: book, film as PRODUCT\n" in card.text
    assert "A merge is flat" not in card.text
    columns = [feature["name"] for feature in card.data.to_dict()["dataset_info"]["features"]]
    assert columns[2:4] == ["ner_tags", "coarse_tags"]
    flat = applied(replace(tree.MAPPING, parents={})).card("me/products").text
    assert not re.search("coarse_tags|part of \\||= view", flat)


def test_the_report() -> None:
    result = applied()
    page = render_report(result.report, result.mapping, None)
    titles = re.findall(r"<h3>(.*?) <span class=\"note\">\d", page)
    plain = [re.sub("<[^>]*>", "", title) for title in titles]
    assert plain == ["PER", "PRODUCT", "PRODUCT › book", "PRODUCT › film", "(left out)"]


def test_rebuilt_from_a_recipe(tmp_path: Path) -> None:
    result = applied()
    result.save_for_hub(tmp_path / "recipe", text=False)
    rebuilt = apply(tmp_path / "recipe", SOURCES)
    assert rebuilt.mapping == with_mentions(tree.MAPPING, SOURCES)
    for split, rows in result.dataset.items():
        assert rebuilt.dataset[split].to_list() == rows.to_list()
        assert rebuilt.dataset[split].features == rows.features


@pytest.mark.parametrize("level", ["fine", "coarse", "original"])
def test_exported(saved: Path, tmp_path: Path, level: str) -> None:
    command = ["export", str(saved), "--level", level, "--format", "conll", "--output", str(tmp_path / "cli")]
    assert main(command) == 0
    export(MergeResult.load(saved).view(level), tmp_path / "api", "conll")  # type: ignore[arg-type]
    first = {"fine": "B-book", "coarse": "B-PRODUCT", "original": "B-books:title"}[level]
    text = (tmp_path / "cli" / "test.conll").read_text()
    assert text.startswith(f"dune\t{first}\n")
    assert text == (tmp_path / "api" / "test.conll").read_text()


def test_a_source_has_one_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conll").write_text("x B-P\n\ny B-P\n\nz B-P\n")
    command = ["export", str(tmp_path / "a.conll"), "--level", "coarse", "--output", str(tmp_path / "out")]
    assert main(command) != 0
    assert "is no merged dataset, it has one level" in capsys.readouterr().err
