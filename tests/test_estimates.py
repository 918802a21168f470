"""Estimated scores of a mapping, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from builders import DictionaryTagger, make_source, row
from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.estimates import estimate_scores
from esnera_hf.labels import LabelRef
from esnera_hf.sources import NerSource
from esnera_hf.tagging import Entity


def make_mapping(labels: Mapping[tuple[str, str], str | None]) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(*label), unified) for label, unified in labels.items())
    return LabelMapping(tuple(dict.fromkeys(u for u in labels.values() if u is not None)), entries)


def predict_with(taggers: Mapping[str, DictionaryTagger], score: float = 1.0):  # type: ignore[no-untyped-def]
    def predict(name: str, source: NerSource) -> Iterator[list[Entity]]:
        for found in taggers[name].predict(s.tokens for s in source.sentences("validation")):
            yield [Entity(e.start, e.end, e.label, score) for e in found]

    return predict


def source_of(name: str, train: Sequence[str], validation: Sequence[str]) -> NerSource:
    return make_source(name, {"train": map(row, train), "validation": map(row, validation)})


@pytest.fixture
def sources() -> list[NerSource]:
    return [
        source_of("a", ["x/B-P", "y/B-Q"], ["x/B-P in y/B-Q", "x/B-P z"]),
        source_of("b", ["x/B-N"] * 4, ["x/B-N z/B-N"]),
    ]


RIGHT = {"a": DictionaryTagger({("x",): "P", ("y",): "Q"}), "b": DictionaryTagger({("x",): "N", ("z",): "N"})}


def test_taggers_that_agree_cost_nothing(sources: list[NerSource]) -> None:
    mapping = make_mapping({("a", "P"): "N", ("a", "Q"): "Q", ("b", "N"): "N"})
    own = {**RIGHT, "b": DictionaryTagger({("x",): "N"})}
    scores = estimate_scores(sources, mapping, predict_with(own), "validation")
    for way in (scores.projected, scores.own_labels):
        assert way.sources["a"].micro.after.value == 1.0
        assert way.pooled.change.value == 0.0


def test_two_labels_that_become_one_are_lost_in_own_labels(sources: list[NerSource]) -> None:
    mapping = make_mapping({("a", "P"): "N", ("a", "Q"): "N", ("b", "N"): "N"})
    own = {**RIGHT, "b": DictionaryTagger({("x",): "N"})}
    scores = estimate_scores(sources, mapping, predict_with(own), "validation")
    # P and Q are as frequent in train; N reads back as the last of them by name, Q: of x, y, x only y is right.
    assert scores.own_labels.sources["a"].micro.before.value == 1.0
    assert scores.own_labels.sources["a"].micro.after.value == pytest.approx(1 / 3)
    assert scores.projected.sources["a"].micro.after.value == 1.0


def test_votes_are_weighted_by_mentions(sources: list[NerSource]) -> None:
    """In a's text b's tagger alone finds z: 4 mentions of N in b, 1 in a."""
    mapping = make_mapping({("a", "P"): "N", ("a", "Q"): "Q", ("b", "N"): "N"})
    predict = predict_with(RIGHT)

    def found(weight: float) -> float | None:
        scores = estimate_scores(sources, mapping, predict, "validation", weight)
        return scores.projected.sources["a"].by_label["N"].after.value

    # Gold are two x; b's vote for z counts 4 / (4 + weight), and a's for x is joined by b's.
    assert found(3.9) == pytest.approx(2 * 2 / (3 + 2))
    assert found(4.1) == 1.0


def test_confidence_counts(sources: list[NerSource]) -> None:
    mapping = make_mapping({("a", "P"): "P", ("a", "Q"): "Q", ("b", "N"): "N"})
    unsure = estimate_scores(sources, mapping, predict_with(RIGHT, 0.4), "validation")
    assert unsure.projected.sources["a"].by_label["P"].after.value == 0.0
    sure = estimate_scores(sources, mapping, predict_with(RIGHT, 0.6), "validation")
    assert sure.projected.sources["a"].by_label["P"].after.value == 1.0


def test_what_a_source_does_not_annotate_does_not_count(sources: list[NerSource]) -> None:
    mapping = make_mapping({("a", "P"): "P", ("a", "Q"): "Q", ("b", "N"): "N"})
    scores = estimate_scores(sources, mapping, predict_with(RIGHT), "validation")
    assert scores.projected.pooled.after.value == 1.0
    assert set(scores.projected.sources["a"].by_label) == {"P", "Q"}


def test_left_out_labels_have_no_vote(sources: list[NerSource]) -> None:
    mapping = make_mapping({("a", "P"): None, ("a", "Q"): "Q", ("b", "N"): "N"})
    scores = estimate_scores(sources, mapping, predict_with(RIGHT), "validation")
    assert scores.own_labels.sources["a"].by_label["P"].after.value == 0.0
    assert scores.projected.sources["a"].by_label["Q"].after.value == 1.0


def test_parts_vote_for_the_whole_that_a_source_annotates() -> None:
    """In b's text, which annotates only P, a's Q is a P; b's P says nothing in a's text."""
    sources = [
        source_of("a", ["y/B-Q", "z/B-R"], ["y/B-Q x"]),
        source_of("b", ["y/B-P"], ["y/B-P z/B-P"]),
    ]
    mapping = replace(
        make_mapping({("a", "Q"): "Q", ("a", "R"): "R", ("b", "P"): "P"}), parents={"Q": "P", "R": "P"}
    )
    own = {
        "a": DictionaryTagger({("y",): "Q", ("z",): "R"}),
        "b": DictionaryTagger({("x",): "P", ("y",): "P"}),
    }

    def found(name: str, weight: float) -> float | None:
        scores = estimate_scores(sources, mapping, predict_with(own), "validation", weight)
        return scores.projected.sources[name].micro.after.value

    assert found("a", 1.0) == 1.0
    # a's two mentions are both of P: its z is found as long as b's own one weighs no more than two
    assert found("b", 1.9) == 1.0
    assert found("b", 2.1) == pytest.approx(2 / 3)
