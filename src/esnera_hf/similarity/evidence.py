"""Similarities of the labels of some sources, measured with their taggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.empirical import SpanMatch, cross_predictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import Center, semantic_similarity
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import SourceTagger, pretrained_vectors

Embeddings = Literal["pretrained", "tuned"]


@dataclass(frozen=True)
class EvidenceSettings:
    """How similarities are measured.

    Attributes:
        match: how a predicted and a gold span match: ``exact`` boundaries or
            any ``overlap``.
        center: which mean is subtracted from mention vectors: that of each
            ``source``, or one over ``all``.
        embeddings: whose vectors of mentions are compared: those of the
            ``pretrained`` encoder, or those of the joint tagger's encoder, ``tuned``
            on the sources, which come from the pass that predicts. What suits the
            taggers if not given: ``tuned`` with a joint one, else ``pretrained``.

    Raises:
        ConfigurationError: a setting is unknown.
    """

    match: SpanMatch = "exact"
    center: Center = "source"
    embeddings: Embeddings | None = None

    def __post_init__(self) -> None:
        for name, kind in (("match", SpanMatch), ("center", Center), ("embeddings", Embeddings)):
            value = getattr(self, name)
            if value not in get_args(kind) and (name != "embeddings" or value is not None):
                raise ConfigurationError(
                    f"{name}={value!r}: expected {' or '.join(map(repr, get_args(kind)))}."
                )


def measure_similarity(
    sources: Sequence[NerSource],
    taggers: Mapping[str, SourceTagger],
    settings: EvidenceSettings,
    encoder: str,
    screened: MentionOverlap | None = None,
) -> SimilarityMatrix:
    """Measure the similarities of all pairs of labels of different sources.

    Args:
        sources: two or more sources.
        taggers: of the sources, by name.
        settings: how to measure.
        encoder: folder or Hub id of the pretrained encoder, for its vectors of mentions.
        screened: the overlap of mentions, where it is known: of all sentences where
            ``sources`` are samples, since it costs little and gains from more.
    """
    labels = [ref for source in sources for ref in source.label_refs]
    matched, predicted = cross_predictions(
        lambda name, source: taggers[name].predict(source, "train"), sources, labels, settings.match
    )
    # Vectors of one encoder compare: the joint tagger's, else the pretrained one's, never those of separate taggers.
    centroids = {
        source.name: pretrained_vectors(encoder, source)
        if settings.embeddings == "pretrained"
        else taggers[source.name].mention_vectors(source)
        for source in sources
    }
    counts = {source.name: source.summary.entities["train"] for source in sources}
    close = semantic_similarity(centroids, labels, settings.center)
    owners = np.array([ref.source for ref in labels])
    same = owners[:, None] == owners[None, :]
    return SimilarityMatrix(
        tuple(labels),
        np.array([counts[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64),
        matched,
        predicted,
        np.where(same, np.nan, close),
        (screened or mention_overlap(sources)).matrix(labels),
        np.where(same, close, np.nan),
    )
