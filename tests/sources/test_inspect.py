"""Sources at a glance."""

from __future__ import annotations

from dataclasses import replace

from builders import make_source, row
from esnera_hf.sources.inspect import Inspection, inspect
from esnera_hf.sources.source import NerSource


def corpus() -> NerSource:
    train = [row("Ann/B-PER met Bob/B-PER today"), row("Ann/B-PER left Rome/B-LOC")]
    test = [row("New/B-LOC York/I-LOC is big"), row("Ann/B-PER met Bob/B-PER today")]
    return make_source("small", {"train": train, "validation": [row("nothing")], "test": test})


def test_counts_lengths_and_examples() -> None:
    inspection = Inspection(corpus())
    assert inspection.examples == {"LOC": ("New York", "Rome"), "PER": ("Ann", "Bob")}
    assert inspection.mention_lengths == {"LOC": [1, 2], "PER": [1, 1, 1, 1, 1]}
    assert inspection.sentence_lengths == {"train": [4, 3], "validation": [1], "test": [4, 4]}
    assert inspection.scripts == {"latin": 1.0}
    lines = [" ".join(line.split()) for line in str(inspection).split("\n")]
    assert "PER tokens median 1, 5–95 % 1–1, longest 1; e.g. Ann, Bob" in lines
    assert "1 sentence of small/train stands in small/test, too" in lines
    details = inspection.details().split("\n")
    assert any(line.startswith("  small/train and small/test: 1 sentence") for line in details)


def test_many_labels_fit_a_screen_and_details_show_all() -> None:
    text = " ".join(
        f"w/B-L{number:02} w/B-L{number:02}" if number % 2 else f"w/B-L{number:02}" for number in range(60)
    )
    inspection = Inspection(make_source("many", {"train": [row(text)]}))
    shown = str(inspection).split("\n")
    assert len(shown) <= 40
    assert shown[-1] == "  … and 44 rarer labels"
    # The most frequent ones, in the order of their names.
    assert [line.split()[0] for line in shown if line.startswith("  L")] == [
        f"L{n:02}" for n in range(1, 32, 2)
    ]
    assert sum(line.startswith("  L") for line in inspection.details().split("\n")) == 60


def test_examples_are_ranked_by_frequency_and_can_be_printed() -> None:
    names = ["a", "b", "b", "c", "c", "d", "e", "f", "x" * 60, "x" * 60, "x" * 60]
    source = make_source("names", {"train": [row(f"{name}/B-T") for name in names]})
    assert Inspection(source).examples["T"] == ("x" * 39 + "…", "b", "c", "a", "d")
    escape = make_source("escape", {"train": [(["a\x1b[31mb"], ["B-X"])]})
    assert "\x1b" not in str(Inspection(escape))


def test_scripts_are_shares_of_letters_and_a_sample_may_lack_a_label() -> None:
    source = make_source("mixed", {"train": [row("中/B-X 国/I-X ab 1!")]})
    inspection = Inspection(replace(source, vocabulary=("X", "RARE")))
    assert inspection.scripts == {"cjk": 0.5, "latin": 0.5}
    assert "RARE  tokens none; e.g." in str(inspection)


def test_several_sources_are_compared() -> None:
    other = make_source("other", {"train": [row("Ann/B-NAME left"), row("Ann/B-PER left Rome/B-LOC")]})
    overlap = inspect([corpus(), other])
    assert "small:PER   in other: NAME 50%, PER 50%; 1 of 2 mentions occur" in str(overlap)
    text = overlap.details()
    assert "small:PER   in other: 1 of 2 mentions occur, 2 times" in text
    assert "small/train and other/train: 1 sentence of small/train is in other/train" in text
    assert str(inspect([corpus()])) == str(inspect(corpus()))
