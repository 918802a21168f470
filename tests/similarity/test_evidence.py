"""Similarities measured with taggers, light heads, or neither; dictionaries and chosen vectors stand in for models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import DictionarySourceTagger, make_source, row
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity import evidence
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.sources.duplicates import find_pairs
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.shared_sentences import compare_shared
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.light_heads import NO_MENTION, LightHead
from esnera_hf.taggers.predictions import LabelCentroids

SOURCES = [
    make_source("a", {"train": [row("anna/B-per met bruno/B-per"), row("in oslo/B-loc")]}),
    make_source("b", {"train": [row("anna/B-name left"), row("new/B-city york/I-city calls anna/B-name")]}),
]
TAGGERS = {
    "a": DictionarySourceTagger(
        "a", {("anna",): "per", ("york",): "loc"}, {"per": [1.0, 0.0], "loc": [0.0, 2.0]}
    ),
    "b": DictionarySourceTagger("b", {("anna",): "name"}, {"name": [3.0, 1.0], "city": [0.0, 1.0]}),
}


def by_taggers(
    sources: list[NerSource], screened: MentionOverlap | None = None, **settings: Any
) -> SimilarityMatrix:
    settings_ = EvidenceSettings("taggers", **settings)
    return measure_similarity(sources, settings_, "an encoder", TAGGERS, screened=screened)


def test_the_counts_and_vectors_are_those_of_the_taggers() -> None:
    matrix = by_taggers(SOURCES)
    assert [str(label) for label in matrix.labels] == ["a:loc", "a:per", "b:city", "b:name"]
    assert matrix.support.tolist() == [1, 2, 1, 2]
    assert matrix.predicted.tolist() == [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 0, 0], [1, 1, 0, 0]]
    assert matrix.matched.tolist() == [[0, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0], [0, 1, 0, 0]]
    centroids = {source.name: TAGGERS[source.name].mention_vectors(source) for source in SOURCES}
    close = semantic_similarity(centroids, matrix.labels)
    for found, of in ((matrix.semantic, ~matrix.same_source), (matrix.siblings, matrix.same_source)):
        assert np.array_equal(found, np.where(of, close, np.nan), equal_nan=True)
    assert matrix.overlap[matrix.labels.index(("a", "per")), matrix.labels.index(("b", "name"))] == 0.5


def test_spans_may_overlap() -> None:
    matrix = by_taggers(SOURCES, match="overlap")
    assert matrix.matched[0].tolist() == [0, 0, 1, 0]


def test_vectors_of_the_pretrained_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def vectors(encoder: str, source: NerSource) -> LabelCentroids:
        asked.append((encoder, source.name))
        return TAGGERS[source.name].mention_vectors(source)

    monkeypatch.setattr(evidence, "pretrained_vectors", vectors)
    by_taggers(SOURCES, embeddings="pretrained")
    assert asked == [("an encoder", "a"), ("an encoder", "b")]


def test_samples_are_measured_and_all_sentences_screened() -> None:
    sample = [source.sample(1, 1) for source in SOURCES]
    matrix = by_taggers(sample, screened=mention_overlap(SOURCES))
    whole = by_taggers(SOURCES)
    assert np.array_equal(matrix.overlap, whole.overlap, equal_nan=True)
    assert matrix.support.sum() < whole.support.sum()


def test_light_heads_are_counted_on_the_spans_of_the_other_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, nothing = [2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]
    weights = np.array([[-1, -1], [1, 0], [0, 1]], dtype=np.float32)

    def head(
        names: tuple[str, str], spans: dict[str, list[list[float]]], recall: dict[str, float]
    ) -> LightHead:
        gold = tuple(label for label, vectors in spans.items() for _ in vectors)
        vectors = np.array([vector for vectors in spans.values() for vector in vectors], dtype=np.float32)
        return LightHead((NO_MENTION, *names), weights, np.zeros(3, np.float32), gold, vectors, recall)

    heads = {
        "a": head(
            ("loc", "per"), {"loc": [x, x], "per": [y], NO_MENTION: [nothing]}, {"loc": 0.5, "per": 1.0}
        ),
        "b": head(("city", "name"), {"city": [x, y], NO_MENTION: [x, nothing]}, {"city": 0.2}),
    }
    asked: list[Any] = []
    monkeypatch.setattr(evidence, "make_light_heads", lambda *given: asked.append(given) or heads)
    monkeypatch.setattr(evidence, "load_light_head", lambda artifact: artifact)
    matrix = measure_similarity(SOURCES, EvidenceSettings(), "an encoder", {}, seed=3)
    assert asked == [(SOURCES, "an encoder", 3)]
    # In the order of the labels: a:loc, a:per, b:city, b:name.
    assert matrix.predicted.tolist() == [[0, 0, 2, 2], [0, 0, 1, 1], [2, 2, 0, 0], [1, 1, 0, 0]]
    assert matrix.matched.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [2, 0, 0, 0], [0, 1, 0, 0]]
    assert matrix.read.tolist() == [2, 1, 2, 0]
    np.testing.assert_array_equal(matrix.recall, [0.5, 1.0, 0.2, np.nan])
    close = semantic_similarity({name: one.centroids for name, one in heads.items()}, matrix.labels)
    np.testing.assert_array_equal(matrix.semantic, np.where(matrix.same_source, np.nan, close))


@pytest.mark.parametrize(
    ("threshold", "expected"), [(2.0, "no pair of labels looks equal"), (-1.0, "pairs of labels look equal")]
)
def test_the_first_look_is_said_in_a_sentence(
    threshold: float, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SimilarityMatrix, "threshold", lambda self: threshold)
    by_taggers(SOURCES)
    assert expected in capsys.readouterr().err


def test_names_and_forms_alone_need_no_encoder() -> None:
    matrix = measure_similarity(SOURCES, EvidenceSettings("surface"), "no encoder", {})
    assert not matrix.predicted.any()
    assert np.isnan(matrix.semantic).all()
    np.testing.assert_array_equal(matrix.overlap, by_taggers(SOURCES).overlap)
    assert np.isfinite(matrix.probabilities[~matrix.same_source]).all()


def test_sentences_that_both_annotate_count() -> None:
    rows = [(f"so w{n} anna/B-{{}} was seen", f"so w{n} oslo/B-{{}} was seen") for n in range(30)]
    texts = {"a": ("x", "y"), "b": ("y", "x")}  # names that mislead
    sources = [
        make_source(
            name,
            {"train": [row(t.format(label)) for pair in rows for t, label in zip(pair, labels, strict=True)]},
        )
        for name, labels in texts.items()
    ]
    shared = compare_shared(sources, find_pairs(sources))
    found = [
        measure_similarity(sources, EvidenceSettings("surface"), "no encoder", {}, shared=given)
        for given in (None, shared)
    ]
    np.testing.assert_array_equal(found[1].shared, shared.compared)
    np.testing.assert_array_equal(found[1].shared_same, shared.same)
    equal = [matrix.equivalence[0, 3] for matrix in found]  # a:x is b:y
    assert equal[0] < equal[1]
    assert equal[1] > 0.9 > 0.1 > found[1].equivalence[0, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "thawed"}, r"^kind='thawed': expected 'frozen' or 'taggers' or 'surface'\.$"),
        ({"match": "near"}, r"^match='near': expected 'exact' or 'overlap'\.$"),
        ({"center": "none"}, r"^center='none': expected 'source' or 'all'\.$"),
        ({"embeddings": "none"}, r"^embeddings='none': expected 'pretrained' or 'tuned'\.$"),
        (
            {"kind": "frozen", "match": "overlap"},
            r"^match='overlap': this is of taggers, and evidence='frozen' compares by none\.",
        ),
        (
            {"kind": "surface", "embeddings": "pretrained"},
            r"evidence='surface' .* evidence='taggers'",
        ),
    ],
)
def test_settings_that_are_unknown_or_of_another_kind(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EvidenceSettings(**options)
