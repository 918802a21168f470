"""Similarities measured with taggers; dictionaries stand in for models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import DictionarySourceTagger, make_source, row
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity import evidence
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
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


def test_the_counts_and_vectors_are_those_of_the_taggers() -> None:
    matrix = measure_similarity(SOURCES, TAGGERS, EvidenceSettings(), "no encoder")
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
    matrix = measure_similarity(SOURCES, TAGGERS, EvidenceSettings(match="overlap"), "no encoder")
    assert matrix.matched[0].tolist() == [0, 0, 1, 0]


def test_vectors_of_the_pretrained_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def vectors(encoder: str, source: NerSource) -> LabelCentroids:
        asked.append((encoder, source.name))
        return TAGGERS[source.name].mention_vectors(source)

    monkeypatch.setattr(evidence, "pretrained_vectors", vectors)
    measure_similarity(SOURCES, TAGGERS, EvidenceSettings(embeddings="pretrained"), "an encoder")
    assert asked == [("an encoder", "a"), ("an encoder", "b")]


def test_samples_are_measured_and_all_sentences_screened() -> None:
    sample = [source.sample(1, 1) for source in SOURCES]
    matrix = measure_similarity(sample, TAGGERS, EvidenceSettings(), "no encoder", mention_overlap(SOURCES))
    whole = measure_similarity(SOURCES, TAGGERS, EvidenceSettings(), "no encoder")
    assert np.array_equal(matrix.overlap, whole.overlap, equal_nan=True)
    assert matrix.support.sum() < whole.support.sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"match": "near"}, r"^match='near': expected 'exact' or 'overlap'\.$"),
        ({"center": "none"}, r"^center='none': expected 'source' or 'all'\.$"),
        ({"embeddings": "none"}, r"^embeddings='none': expected 'pretrained' or 'tuned'\.$"),
    ],
)
def test_unknown_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EvidenceSettings(**options)
