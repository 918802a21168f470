"""The result of an alignment and its folder."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from card_facts import Names, make_report
from esnera_hf import MergeResult
from esnera_hf.errors import ConfigurationError, MappingError, SourceNotFoundError
from esnera_hf.metrics import score_tags
from esnera_hf.report.html import render_report
from esnera_hf.result import load_saved_tagger
from results import make_result

SPLITS = ("train", "validation", "test")


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
    names = "dataset flow.svg mapping.yaml report.html report.json run.json similarity.json"
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == names.split()
    assert (tmp_path / "new" / "out").stat().st_mode & 0o777 == 0o755


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_result().save(tmp_path / name)
    for file in ("mapping.yaml", "report.json", "report.html", "similarity.json", "flow.svg"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_text() -> None:
    assert repr(make_result()).split("\n") == [
        "MergeResult: 3 labels of 2 sources → 2 unified labels; sentences: train 2, validation 2, test 2",
        "  city  ←  alpha:city, beta:place",
        "  per   ←  beta:per",
    ]


def test_all_of_a_mapping_and_its_reasons_where_nothing_was_decided() -> None:
    result = make_result()
    entries = tuple(replace(entry, why=f"of {entry.label}\x1b") for entry in result.mapping.entries)
    many = replace(result, mapping=replace(result.mapping, entries=entries))
    reasons = [f"  {entry.label}: of {entry.label}\ufffd" for entry in entries]
    assert replace(many, report=replace(many.report, steps=())).details().split("\n")[-3:] == reasons
    with_decisions = replace(many, report=replace(many.report, steps=make_report(Names()).steps))
    assert with_decisions.details() == repr(result)


def test_the_report_reads_well() -> None:
    lines = str(make_result().report).split("\n")
    assert lines[0] == "alpha: 3 sentences, 3 entities; own tagger: micro-F1 1.000 validation, 1.000 test"
    assert "beta → alpha (sum of S_emp 1.00; λ 0.4, τ 0.2)" in lines
    assert (
        "  beta:place  merged into alpha:city  S 0.47 = 0.6 × semantic 0.12 + 0.4 × empirical 1.00 (1 of 1)"
        in lines
    )
    unknown = "the semantic similarity alone: the other one is unknown"
    assert f"  beta:per    stays; nearest alpha:city  S -0.50, {unknown}" in lines


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


def test_a_crash_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[str]] = []

    def fail(mapping: object) -> None:
        (folder,) = tmp_path.iterdir()
        written.append(sorted(p.name for p in folder.iterdir()))
        raise KeyboardInterrupt("out of space")

    monkeypatch.setattr("esnera_hf.report.files.draw_flow", fail)
    with pytest.raises(KeyboardInterrupt, match="out of space"):
        make_result().save(tmp_path / "out")
    assert written == [["dataset", "mapping.yaml", "report.html", "report.json", "run.json"]]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ConfigurationError, match="exists already; nothing was written"):
            make_result().save(tmp_path / name)
    assert (sorted(os.listdir(tmp_path)), (tmp_path / "file").read_text()) == (["file", "link"], "mine")


def test_review_opens_the_page_of_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, opened = make_result(), []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = result.review(tmp_path / "look")
    assert page.read_text(encoding="utf-8") == render_report(result.report, result.mapping, result.similarity)
    other = result.review()
    assert opened == [page.as_uri(), other.as_uri()]
    assert other.is_file()
    with pytest.raises(ConfigurationError, match="exists already"):
        result.review(tmp_path / "look")
    assert len(opened) == 2


@pytest.mark.parametrize("missing", ["dataset", "mapping.yaml", "report.json"])
def test_an_incomplete_folder_is_refused(tmp_path: Path, missing: str) -> None:
    make_result().save(tmp_path / "out")
    (tmp_path / "out" / missing).rename(tmp_path / "moved")
    with pytest.raises(SourceNotFoundError, match=f"no saved result, {re.escape(missing)} not found"):
        MergeResult.load(tmp_path / "out")


_OTHER = r"mapping\.yaml: the dataset beside it .* or undo the edit"


@pytest.mark.parametrize(
    ("entry", "edited", "problem"),
    [
        (
            "label: place\n  unified: city",
            "label: place\n  unified: town",
            r"mapping\.yaml, line \d+.*'town'",
        ),
        ("label: place\n  unified: city", "label: place\n  unified: per", _OTHER),
        ("label: place\n  unified: city", "label: place\n  unified: null", _OTHER),
        ("label: place\n  unified: city", "label: town\n  unified: city", _OTHER),
        ("unified_labels:", "parents:\n  per: city\nunified_labels:", _OTHER),
        ("unified: per\n", "unified: per\n  locked: true\n", None),
    ],
)
def test_an_edited_mapping_is_refused_but_for_locks(
    tmp_path: Path, entry: str, edited: str, problem: str | None
) -> None:
    make_result().save(tmp_path / "out")
    file = tmp_path / "out" / "mapping.yaml"
    assert entry in file.read_text()
    file.write_text(file.read_text().replace(entry, edited))
    if problem is None:
        assert sum(one.locked for one in MergeResult.load(tmp_path / "out").mapping.entries) == 1
        return
    with pytest.raises(MappingError, match=problem):
        MergeResult.load(tmp_path / "out")


def test_a_saved_alignment_without_a_tagger_says_so_where_one_is_asked_for(tmp_path: Path) -> None:
    make_result().save(tmp_path / "merged")
    with pytest.raises(
        ConfigurationError, match=r"there is no tagger of the merged dataset\. Align or apply again"
    ):
        load_saved_tagger(tmp_path / "merged")
