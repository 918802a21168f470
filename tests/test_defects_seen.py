"""Defects that people met, each as the situation in which they met it; one row a defect.

Those with a test beside the code that they are of are not repeated here: sentences the same and nearly the same
(``report/test_report.py``), a tagger of a sample (``cli/test_taggers.py``), two sources of one name that are refused
before they are read (``alignment/test_screen.py``), options in messages and keys that are named
(``cli/test_main.py``), and annotation in conflict (``sources/test_duplicates.py``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import product_tree as tree
from builders import make_matrix, make_source, row
from esnera_hf.alignment.constraints import build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.api import apply
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError
from esnera_hf.report.build import mentions_in_context
from esnera_hf.report.html import render_report
from esnera_hf.similarity.features import never_found
from esnera_hf.sources.licenses import stated_license
from esnera_hf.tagging import LabelRef


def sampled(mapping: LabelMapping) -> LabelMapping:
    """Return a mapping with the counts of a sample, which are not those of the sources."""
    return replace(mapping, entries=tuple(replace(entry, mentions=7_777) for entry in mapping.entries))


def test_apply_says_which_source_of_the_mapping_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    result = apply(tree.MAPPING, tree.SOURCES[:2])
    assert "the mapping is also of books; not among the sources, so left out" in capsys.readouterr().err
    assert set(result.mapping.sources) == {"coarse", "fine"}


def test_an_applied_mapping_claims_no_mentions_of_the_sample_it_was_measured_on(tmp_path: Path) -> None:
    result = apply(sampled(tree.MAPPING), tree.SOURCES)
    counts = {source.name: source.summary.entities["train"] for source in tree.SOURCES}
    assert {entry.label: entry.mentions for entry in result.mapping.entries} == {
        entry.label: counts[entry.label.source].get(entry.label.label, 0) for entry in tree.MAPPING.entries
    }
    result.save(tmp_path / "saved")
    for file in ("mapping.yaml", "report.html", "report.json"):
        text = (tmp_path / "saved" / file).read_text("utf-8")
        assert not {"7777", "7,777"} & {number for number in ("7777", "7,777") if number in text}


def test_a_label_without_mentions_in_train_shows_where_its_examples_are_from() -> None:
    source = make_source("x", {"train": [row("a/B-P")], "validation": [row("b/B-Q")], "test": [row("c/B-Q")]})
    examples = [
        (label.label, mention, split) for label, _, mention, _, _, split in mentions_in_context(source)
    ]
    assert examples == [("P", "a", "train"), ("Q", "b", "validation"), ("Q", "c", "test")]
    mapping = LabelMapping(("P", "Q"), tuple(MappedLabel(ref, ref.label) for ref in source.label_refs))
    result = apply(mapping, [source])
    assert result.mapping.mentions == {"P": 1, "Q": 0}
    page = render_report(result.report, result.mapping, None)
    assert "(validation)" in page or ">validation<" in page, page[page.index("Q") :][:3000]


def test_evaluating_an_alignment_without_a_tagger_says_that_it_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(tree.MAPPING, tree.SOURCES).save(tmp_path / "merged")
    (tmp_path / "fine.conll").write_text("dune\tB-Book\n\n", encoding="utf-8")
    assert main(["evaluate", str(tmp_path / "merged"), str(tmp_path / "fine.conll")]) == 1
    said = capsys.readouterr().err
    assert "None" not in said
    assert "there is no tagger of the merged dataset" in said
    assert "--train-merged" in said


@pytest.mark.parametrize("name", ["my-licence", "cc-by-9", "free", ""])
def test_licenses_that_nobody_knows_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a license id of the Hub, such as cc-by-4\.0"):
        stated_license(name)


def test_a_difference_shows_no_counts_of_a_sample_beside_full_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").mkdir()
    for split in ("train", "dev", "test"):
        (tmp_path / "x" / f"{split}.conll").write_text("dune\tB-Book\n\n" * 5, encoding="utf-8")
    book = LabelRef("x", "Book")
    for name, unified in (("before", "book"), ("after", None)):
        names = () if unified is None else (unified,)
        LabelMapping(names, (MappedLabel(book, unified, mentions=2),)).save(tmp_path / f"{name}.yaml")
    files = [str(tmp_path / f"{name}.yaml") for name in ("before", "after")]
    assert main(["diff", *files, str(tmp_path / "x")]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "moved: x:Book: book → (left out) (5 train mentions)"
    assert lines[2].strip().startswith("x:Book: 5 in train, ")


#: Labels that neither tagger finds in the other's text, beside persons that both do.
SUPPORT = {"a:PER": 50, "a:x": 50, "b:PER": 50, "b:y": 50}
PEOPLE = {("a:PER", "b:PER"): (48, 50), ("b:PER", "a:PER"): (47, 50)}
VECTORS = {("a:x", "b:y"): 0.95, ("a:PER", "b:PER"): 0.9, ("a:x", "b:PER"): 0.1, ("a:PER", "b:y"): 0.1}


@pytest.mark.parametrize("method", ["equivalence", "greedy"])
def test_labels_that_nobody_finds_do_not_become_one_by_their_vectors(method: str) -> None:
    matrix = make_matrix(SUPPORT, PEOPLE, VECTORS)
    if method == "greedy":
        mapping = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.4), matrix)
    else:
        mapping = merge_equivalent(matrix)
    assert mapping["a", "PER"] == mapping["b", "PER"] is not None
    assert mapping["a", "x"] != mapping["b", "y"]
    # Two sources of which no head read any text have vectors alone, as with bundles without answers.
    assert not never_found(make_matrix(SUPPORT, {}, VECTORS)).any()


@pytest.mark.parametrize("target", ["newswire", ["WORK", "PER"], {"WORK": ["newswire:WORK"]}])
def test_a_name_of_the_target_schema_stays_as_it_is(target: object) -> None:
    """Whatever another source, with more mentions, calls so."""
    support = {"finance:WORK": 900, "finance:PER": 900, "newswire:PER": 9, "newswire:WORK": 9}
    vectors = {("finance:PER", "newswire:PER"): 0.9, ("finance:WORK", "newswire:WORK"): 0.1}
    matrix = make_matrix(support, {}, vectors)
    constraints = build_constraints(matrix.labels, target)  # type: ignore[arg-type]
    mapping = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.4, constraints), matrix, constraints)
    assert mapping["newswire", "WORK"] == "WORK"
    assert mapping["newswire", "PER"] == "PER"
