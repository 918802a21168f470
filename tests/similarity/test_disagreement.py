"""Pairs on which taggers and evidence disagree; dictionaries stand in for models."""

from __future__ import annotations

import pytest

from builders import DictionarySourceTagger, make_matrix, make_source, row
from esnera_hf.similarity.disagreement import Disagreement, find_disagreements, tagger_evidence
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.sources.source import NerSource


def sources(**words: tuple[str, str]) -> list[NerSource]:
    """Twelve validation sentences of either source; of the last label only three. The names mean nothing."""
    made = []
    for name, labels in {"a": ("lum", "pim", "ork"), "b": ("bex", "dag", "cuf")}.items():
        person, place = words.get(name, ("anna", "oslo"))
        mentions = f"{person}/B-{labels[1]} in {place}/B-{labels[0]}"
        rare = f" acme/B-{labels[2]}"
        rows = [row(f"{n} {mentions}" + (rare if n < 3 else "")) for n in range(12)]
        made.append(make_source(name, {"train": [row(mentions + rare)], "validation": rows}))
    return made


SOURCES = sources()
LABELS = ("a:lum", "a:ork", "a:pim", "b:bex", "b:cuf", "b:dag")
SUPPORT = dict(zip(LABELS, (900, 900, 200, 800, 800, 300), strict=True))
TAGGERS = {
    "a": DictionarySourceTagger("a", {("anna",): "pim", ("oslo",): "lum", ("acme",): "ork"}),
    "b": DictionarySourceTagger("b", {("anna",): "dag", ("oslo",): "bex", ("acme",): "cuf"}),
}
PAIRS = {"a:lum": "b:bex", "a:ork": "b:cuf", "a:pim": "b:dag"}


def evidence(*equal: str) -> SimilarityMatrix:
    """Counts and vectors that say that some labels of ``a`` are equal to their fellows, and nothing else is."""
    counts, close = {}, {}
    for one in PAIRS:
        for other in PAIRS.values():
            same = PAIRS[one] == other and one in equal
            counts[one, other] = counts[other, one] = (95 if same else 0, 100)
            close[one, other] = 0.9 if same else 0.0
    return make_matrix(SUPPORT, counts, close)


def found(matrix: SimilarityMatrix, **taggers: DictionarySourceTagger) -> list[Disagreement]:
    return list(find_disagreements(matrix, SOURCES, TAGGERS | taggers))


def test_the_counts_are_those_on_validation_and_all_else_is_the_evidence() -> None:
    matrix = evidence(*PAIRS)
    second = tagger_evidence(matrix, SOURCES, TAGGERS)
    for one, other in PAIRS.items():
        i, j = LABELS.index(one), LABELS.index(other)
        told = 3 if one == "a:ork" else 12
        assert (second.matched[i, j], second.predicted[i, j], second.read[i], second.recall[i]) == (
            *(told, told, told, 1.0),
        )
        assert second.matched.sum(axis=1)[i] == told
    assert second.support is matrix.support
    assert second.semantic is matrix.semantic


def test_a_label_that_a_tagger_overlooks_in_its_own_text_has_a_low_recall() -> None:
    blind = {"b": DictionarySourceTagger("b", {("oslo",): "bex"})}
    second = tagger_evidence(evidence(), SOURCES, TAGGERS | blind)
    assert second.recall.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_where_both_say_the_same_nothing_is_listed() -> None:
    assert found(evidence(*PAIRS)) == []


def test_pairs_that_the_taggers_alone_take_for_equal_are_listed_by_mentions() -> None:
    """The taggers say that all three are equal."""
    pairs = found(evidence("a:ork"))
    assert [(str(pair.one), str(pair.other), pair.mentions) for pair in pairs] == [
        ("a:lum", "b:bex", 800),
        ("a:pim", "b:dag", 200),
    ]
    for pair in pairs:
        assert pair.evidence.relation != "equal"
        assert pair.taggers.relation == "equal"
        assert pair.evidence.equal < 0.1 < 0.5 < pair.taggers.equal
        assert pair.evidence.forward == pair.evidence.backward == Agreement(0, 100)
        assert pair.taggers.forward == pair.taggers.backward == Agreement(12, 12)


def test_of_sources_whose_text_is_elsewhere_there_is_no_second_opinion() -> None:
    elsewhere = {**SUPPORT, "c:tor": 500}
    matrix = make_matrix(elsewhere, {}, {})
    pairs = find_disagreements(matrix, SOURCES, TAGGERS)
    assert {(str(pair.one), str(pair.other)) for pair in pairs} <= set(PAIRS.items())
    assert pairs == find_disagreements(matrix.restricted(["a", "b"]), SOURCES, TAGGERS) != ()
    assert find_disagreements(matrix, SOURCES[:1], TAGGERS) == ()


def test_of_labels_with_few_mentions_to_be_found_taggers_say_nothing() -> None:
    """Of a:ork and b:cuf there are three in either validation split."""
    assert found(evidence("a:lum", "a:pim")) == []


def test_what_the_evidence_alone_takes_for_equal() -> None:
    """Either tagger knows its own text, and calls persons of the other one what it calls places, and the reverse."""
    a = {("anna",): "pim", ("oslo",): "lum", ("bert",): "lum", ("rome",): "pim", ("acme",): "ork"}
    b = {("bert",): "dag", ("rome",): "bex", ("anna",): "bex", ("oslo",): "dag", ("acme",): "cuf"}
    taggers = {"a": DictionarySourceTagger("a", a), "b": DictionarySourceTagger("b", b)}
    listed = find_disagreements(evidence(*PAIRS), sources(b=("bert", "rome")), taggers)
    pair = {(str(pair.one), str(pair.other)): pair for pair in listed}["a:pim", "b:dag"]
    assert (pair.evidence.relation, pair.taggers.forward) == ("equal", Agreement(0, 12))
    assert pair.taggers.relation != "equal"


def test_decisions_of_a_precision_are_compared_at_its_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """So precise that neither decides that labels are equal: what is left are changes of half or more."""
    asked = []
    threshold = SimilarityMatrix.threshold

    def recorded(matrix: SimilarityMatrix, min_precision: float | None = None) -> float:
        asked.append(min_precision)
        return threshold(matrix, min_precision)

    monkeypatch.setattr(SimilarityMatrix, "threshold", recorded)
    pairs = find_disagreements(evidence("a:ork"), SOURCES, TAGGERS, 1.0)
    assert asked[:2] == [1.0, 1.0]
    assert all(abs(pair.evidence.equal - pair.taggers.equal) >= 0.5 for pair in pairs)
    assert {pair.taggers.relation for pair in pairs} & {"equal"} == set()
    assert len(pairs) == 2


def test_twenty_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esnera_hf.similarity.disagreement._MOST", 1)
    assert [str(pair.one) for pair in found(evidence("a:ork"))] == ["a:lum"]
