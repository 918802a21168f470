"""A tree of labels carried through: applied, rebuilt and exported; golden cards and reports show one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import product_tree as tree
from esnera_hf import MergeResult, apply
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.api import with_mentions
from esnera_hf.cli.main import main
from esnera_hf.report.tables import annotated_coarsely, not_annotated
from esnera_hf.sources.licenses import license_from_id

NAMES = {"fine", "coarse", "books"}
SOURCES = [replace(source, license=license_from_id("mit")) for source in tree.SOURCES]


def applied(mapping: LabelMapping = tree.MAPPING) -> MergeResult:
    return apply(mapping, SOURCES)


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


def test_what_sources_do_not_annotate() -> None:
    assert not_annotated(tree.MAPPING, NAMES) == [
        ("fine", ["PER", "PRODUCT"]),
        ("books", ["PER", "PRODUCT", "film"]),
    ]
    assert annotated_coarsely(tree.MAPPING, NAMES) == [("coarse", "PRODUCT", ["book", "film"])]
    assert not annotated_coarsely(replace(tree.MAPPING, parents={}), NAMES)


def test_rebuilt_from_a_recipe(tmp_path: Path) -> None:
    result = applied()
    result.save_for_hub(tmp_path / "recipe", text=False)
    rebuilt = apply(tmp_path / "recipe", SOURCES)
    assert rebuilt.mapping == with_mentions(tree.MAPPING, SOURCES)
    for split, rows in result.dataset.items():
        assert rebuilt.dataset[split].to_list() == rows.to_list()
        assert rebuilt.dataset[split].features == rows.features


GRAINS = {
    "--grain fine": ("B-book", ""),
    "--grain medium": ("B-PRODUCT", "2       4         PRODUCT  book, film\n"),
    "--grain coarse": ("B-PRODUCT", "2       4         PRODUCT  book, film\n"),
    "--grain original": ("B-books:title", ""),
    "--labels 3": ("B-PRODUCT", "2       4         PRODUCT  book, film\n"),
    "--labels 4": ("B-book", "labels  mentions  becomes  what vanishes\n"),
}


def test_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    applied().save(tmp_path / "saved")
    for number, (cut, (first, cost)) in enumerate(GRAINS.items()):
        out = tmp_path / str(number)
        assert main(f"export {tmp_path}/saved {cut} --format conll --output {out}".split()) == 0
        assert (out / "test.conll").read_text().startswith(f"dune\t{first}\n")
        told = capsys.readouterr().err
        assert cost in told
        assert bool(cost) == ("what vanishes" in told)
    assert main(f"export {tmp_path}/saved --labels 1 --output {tmp_path}/one".split()) == 1
    assert "--labels 1: the tree of labels has 2 outermost labels" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--grain coarse", "--labels 3"])
def test_a_source_has_one_grain(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conll").write_text("x B-P\n\ny B-P\n\nz B-P\n")
    assert main(f"export {tmp_path}/a.conll {option} --output {tmp_path}/out".split()) != 0
    assert "is no merged dataset, its labels have one grain" in capsys.readouterr().err
