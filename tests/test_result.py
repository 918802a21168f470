"""The result of an alignment and its folder."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builders import make_source, row
from card_facts import Names, make_report, nothing_merged
from esnera_hf import MergeResult
from esnera_hf.errors import ConfigurationError, MappingError, SourceNotFoundError
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.metrics import score_tags
from esnera_hf.report.html import render_report
from esnera_hf.tagging import Entity
from results import make_result

SPLITS = ("train", "validation", "test")
HOSTILE = (
    *("../../outside", "/etc/x", "..", "<b>", "$x$", r"\$\frac{1}"),
    *("公司名", "L" * 10_000, "- a # b", "NO", "x\ty\n"),
)


def assert_same(found: MergeResult, expected: MergeResult) -> None:
    assert list(found.dataset) == list(expected.dataset)
    for split, rows in expected.dataset.items():
        assert found.dataset[split].features == rows.features
        assert found.dataset[split].to_list() == rows.to_list()
    assert found.mapping == expected.mapping
    assert found.report == expected.report
    assert found.similarity.labels == expected.similarity.labels
    for name in ("support", "matched", "predicted", "semantic"):
        np.testing.assert_array_equal(getattr(found.similarity, name), getattr(expected.similarity, name))


def test_a_result_survives_its_folder(tmp_path: Path) -> None:
    result = make_result()
    result.save(tmp_path / "new" / "out")
    assert_same(MergeResult.load(tmp_path / "new" / "out"), result)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["out"]
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
        "dataset",
        "flow.svg",
        "mapping.yaml",
        "report.html",
        "report.json",
        "similarity.json",
    ]
    assert (tmp_path / "new" / "out").stat().st_mode & 0o777 == 0o755


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_result().save(tmp_path / name)
    for file in ("mapping.yaml", "report.json", "similarity.json", "flow.svg"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_text() -> None:
    assert repr(make_result()).split("\n") == [
        "MergeResult: 3 labels of 2 sources → 2 unified labels; sentences: train 2, validation 2, test 2",
        "  city  ←  alpha:city, beta:place",
        "  per   ←  beta:per",
    ]


def test_the_report_reads_well() -> None:
    lines = str(make_result().report).split("\n")
    assert lines[0] == "alpha: 3 sentences, 3 entities; own tagger: micro-F1 1.000 validation, 1.000 test"
    assert "beta → alpha (sum of S_emp 1.00; λ 0.4, τ 0.2)" in lines
    assert "  beta:place  merged into alpha:city  S 0.47 (semantic 0.12, empirical 1/1)" in lines
    unknown = "(semantic -0.50, empirical unknown, never predicted)"
    assert f"  beta:per    stays; nearest alpha:city  S -0.50 {unknown}" in lines


@pytest.mark.parametrize(
    ("unmerged", "told"),
    [
        ("broken", "NOTHING MERGED: every mapping that was tried broke the bound on F1"),
        ("apart", "NOTHING MERGED: no setting of λ and τ merged anything"),
        ("constrained", "only what was asked for was merged"),
    ],
)
def test_the_report_says_why_nothing_was_merged(unmerged: str, told: str) -> None:
    report = nothing_merged(make_report(Names()), unmerged)
    assert f"alpha → beta (sum of S_emp 1.00; {told})" in str(report).split("\n")


def test_a_sample_is_called_one_first() -> None:
    report = make_result().report
    sources = tuple(replace(source, max_samples=1000) for source in report.sources)
    sampled = replace(report, sources=sources)
    note = "Made from a sample: at most 1,000 sentences per split of each source."
    assert str(sampled).split("\n") == [note, *str(report).split("\n")]
    assert note in render_report(sampled, make_result().mapping, None)
    assert "sample" not in str(report)


def test_the_report_warns_of_a_tagger_that_finds_nothing() -> None:
    result = make_result()
    silent = replace(result.report.taggers["beta"], test=score_tags([["B-x"]], [["O"]]))
    report = replace(result.report, taggers={**result.report.taggers, "beta": silent})
    warning = "the tagger of beta finds next to nothing on its test split (F1 0.00)"
    assert warning in str(report)
    assert warning not in str(result.report)
    assert warning in render_report(report, result.mapping, result.similarity)


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_is_left_alone(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    if kind == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = os.listdir(tmp_path)
    with pytest.raises(ConfigurationError, match="exists already; nothing was written"):
        make_result().save(target)
    assert os.listdir(tmp_path) == before
    if kind == "folder":
        assert [(p.name, p.read_text()) for p in target.iterdir()] == [("mine.txt", "mine")]
    elif kind == "file":
        assert target.read_text() == "mine"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_crash_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    written: list[list[str]] = []

    def fail(mapping: object) -> None:
        (folder,) = tmp_path.iterdir()
        written.append(sorted(p.name for p in folder.iterdir()))
        raise error("out of space")

    monkeypatch.setattr("esnera_hf.report.files.draw_flow", fail)
    with pytest.raises(error, match="out of space"):
        make_result().save(tmp_path / "out")
    assert written == [["dataset", "mapping.yaml", "report.html", "report.json"]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name[:12]))
@pytest.mark.parametrize("place", ["source", "label"])
def test_a_hostile_name_stays_a_name(tmp_path: Path, name: str, place: str) -> None:
    result = make_result(first=name) if place == "source" else make_result(label=name)
    home = tmp_path / "home" / "deep"
    result.save(home / "out")
    assert_same(MergeResult.load(home / "out"), result)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"]
    assert sorted(p.name for p in (tmp_path / "home").iterdir()) == ["deep"]
    assert sorted(p.name for p in home.iterdir()) == ["out"]


@pytest.mark.parametrize("missing", ["dataset", "mapping.yaml", "report.json"])
def test_an_incomplete_folder_is_refused(tmp_path: Path, missing: str) -> None:
    make_result().save(tmp_path / "out")
    (tmp_path / "out" / missing).rename(tmp_path / "moved")
    with pytest.raises(SourceNotFoundError, match=f"no saved result, {re.escape(missing)} not found"):
        MergeResult.load(tmp_path / "out")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no saved result, dataset, mapping\.yaml"):
        MergeResult.load(tmp_path / "nothing")


def test_an_edited_mapping_is_checked(tmp_path: Path) -> None:
    make_result().save(tmp_path / "out")
    file = tmp_path / "out" / "mapping.yaml"
    file.write_text(file.read_text().replace("unified: city", "unified: town", 1))
    with pytest.raises(MappingError, match=r"mapping\.yaml, line \d+.*'town'"):
        MergeResult.load(tmp_path / "out")


@pytest.mark.parametrize(
    ("entry", "edited"),
    [
        ("label: place\n  unified: city", "label: place\n  unified: per"),
        ("label: place\n  unified: city", "label: place\n  unified: null"),
        ("label: place\n  unified: city", "label: town\n  unified: city"),
        ("unified_labels:", "parents:\n  per: city\nunified_labels:"),
    ],
)
def test_an_edited_mapping_beside_its_dataset_is_refused(tmp_path: Path, entry: str, edited: str) -> None:
    make_result().save(tmp_path / "out")
    file = tmp_path / "out" / "mapping.yaml"
    assert entry in file.read_text()
    file.write_text(file.read_text().replace(entry, edited))
    with pytest.raises(MappingError, match=r"mapping\.yaml: the dataset beside it .* or undo the edit"):
        MergeResult.load(tmp_path / "out")


def test_a_lock_is_no_edit(tmp_path: Path) -> None:
    make_result().save(tmp_path / "out")
    file = tmp_path / "out" / "mapping.yaml"
    file.write_text(file.read_text().replace("unified: per\n", "unified: per\n  locked: true\n"))
    assert sum(entry.locked for entry in MergeResult.load(tmp_path / "out").mapping.entries) == 1


def test_pseudo_labels_and_other_columns_are_no_edit(tmp_path: Path) -> None:
    pseudo = PseudoLabels(0.9, {"alpha": {"alpha-train-0": [Entity(0, 1, "per", 0.95)]}})
    alpha, beta = (
        make_source("alpha", {split: [row("anna in oslo/B-city")] for split in SPLITS}),
        make_source("beta", {split: [row("anna/B-per in lima/B-place")] for split in SPLITS}),
    )
    result = make_result()
    merged = merge_sources([alpha, beta], result.mapping, (), pseudo)
    replace(result, dataset=merged).save(tmp_path / "out")
    assert MergeResult.load(tmp_path / "out").dataset["train"]["origin"][:] == [[1, 0, 0], [0, 0, 0]]
    replace(result, dataset=merged.remove_columns("origin")).save(tmp_path / "less")
    assert "origin" not in MergeResult.load(tmp_path / "less").dataset["train"].features


def test_a_mapping_made_by_hand_is_saved(tmp_path: Path) -> None:
    result = make_result()
    mapping = replace(result.mapping, method="manual", lam=None)
    report = replace(result.report, mapping_fingerprint=mapping.fingerprint)
    by_hand = replace(result, mapping=mapping, similarity=None, report=report)
    by_hand.save(tmp_path / "out")
    loaded = MergeResult.load(tmp_path / "out")
    assert (loaded.mapping, loaded.similarity) == (by_hand.mapping, None)
