"""What is said about a source."""

from __future__ import annotations

from dataclasses import replace

from builders import make_source, row
from esnera_hf.sources.inspect import inspect, inspect_source
from esnera_hf.sources.source import NerSource


def corpus() -> NerSource:
    train = [row("Ann/B-PER met Bob/B-PER today"), row("Ann/B-PER left Rome/B-LOC")]
    test = [row("New/B-LOC York/I-LOC is big"), row("Ann/B-PER met Bob/B-PER today")]
    return make_source("small", {"train": train, "validation": [row("nothing")], "test": test})


def test_counts_lengths_and_examples() -> None:
    found = inspect_source(corpus())
    assert found.examples == {"LOC": ("New York", "Rome"), "PER": ("Ann", "Bob")}
    assert found.mention_lengths == {"LOC": [1, 2], "PER": [1, 1, 1, 1, 1]}
    assert found.sentence_lengths == {"train": [4, 3], "validation": [1], "test": [4, 4]}
    assert found.scripts == {"latin": 1.0}


def test_examples_are_ranked_by_frequency_and_cut() -> None:
    names = ["a", "b", "b", "c", "c", "d", "e", "f", "x" * 60, "x" * 60, "x" * 60]
    rows = [row(f"{name}/B-T") for name in names]
    found = inspect_source(make_source("names", {"train": rows})).examples["T"]
    assert found == ("x" * 39 + "…", "b", "c", "a", "d")


def test_a_label_that_a_sample_does_not_hold() -> None:
    source = make_source("s", {"train": [row("x/B-PER y")]})
    told = str(inspect_source(replace(source, vocabulary=("PER", "RARE"))))
    assert "RARE  tokens none; e.g." in told


def test_scripts_are_shares_of_letters() -> None:
    found = inspect_source(make_source("mixed", {"train": [row("中/B-X 国/I-X ab 1!")]}))
    assert found.scripts == {"cjk": 0.5, "latin": 0.5}


def test_duplicates_within_the_source_are_told() -> None:
    text = str(inspect_source(corpus()))
    assert "small/test and small/train" in text or "small/train and small/test" in text


def test_the_text_names_labels_with_examples() -> None:
    lines = str(inspect_source(corpus())).split("\n")
    assert any(
        line.split() == "PER tokens median 1, 5–95 % 1–1, longest 1; e.g. Ann, Bob".split() for line in lines
    )


def test_an_unprintable_mention_does_not_reach_the_terminal() -> None:
    rows = [(["a\x1b[31mb"], ["B-X"])]
    assert "\x1b" not in str(inspect_source(make_source("escape", {"train": rows})))


def test_several_sources_are_compared() -> None:
    other = make_source("other", {"train": [row("Ann/B-NAME left"), row("Ann/B-PER left Rome/B-LOC")]})
    told = inspect([corpus(), other])
    assert "small:PER   in other: 1 of 2 mentions occur, 2 times" in str(told)
    assert "small/train and other/train: 1 sentences of small/train are in other/train" in str(told)
    assert inspect([corpus()]) == inspect(corpus())
