"""The evidence on labels: from light heads on a frozen encoder, from taggers, or from names and forms alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.empirical import SpanMatch, cross_predictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import Center, semantic_similarity
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.light_heads import NO_MENTION, load_light_head, make_light_heads
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.taggers.source_taggers import SourceTagger, pretrained_vectors
from esnera_hf.tagging import LabelRef

Evidence = Literal["frozen", "taggers", "surface"]
Embeddings = Literal["pretrained", "tuned"]


@dataclass(frozen=True)
class EvidenceSettings:
    """How similarities are measured.

    Attributes:
        kind: ``frozen``, by light heads on a frozen encoder, in seconds a source;
            ``taggers``, by taggers that are trained for it, as in the paper; or
            ``surface``, by names and mention forms alone, without an encoder. What
            suits the method if not given: ``taggers`` for ``greedy``, else ``frozen``.
        match: of ``taggers``: how a predicted and a gold span match, ``exact``
            boundaries or any ``overlap``.
        center: which mean is subtracted from mention vectors: that of each
            ``source``, or one over ``all``.
        embeddings: of ``taggers``: whose vectors of mentions are compared, those of the
            ``pretrained`` encoder, or those of the joint tagger's encoder, ``tuned``
            on the sources, which come from the pass that predicts. What suits the
            taggers if not given: ``tuned`` with a joint one, else ``pretrained``.

    Raises:
        ConfigurationError: a setting is unknown, or set for another kind of evidence.
    """

    kind: Evidence | None = None
    match: SpanMatch = "exact"
    center: Center = "source"
    embeddings: Embeddings | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("kind", Evidence),
            ("match", SpanMatch),
            ("center", Center),
            ("embeddings", Embeddings),
        ):
            value = getattr(self, name)
            if value not in get_args(choices) and (name not in ("kind", "embeddings") or value is not None):
                raise ConfigurationError(
                    f"{name}={value!r}: expected {' or '.join(map(repr, get_args(choices)))}."
                )
        # Silently ignored settings would be taken for used ones.
        if self.kind in ("frozen", "surface") and (self.match != "exact" or self.embeddings is not None):
            raise ConfigurationError(
                f"match= or embeddings= is set, and {self.kind} evidence knows neither. Leave it out, or measure by "
                "taggers: evidence='taggers'."
            )


def measure_similarity(
    sources: Sequence[NerSource],
    settings: EvidenceSettings,
    encoder: str,
    taggers: Mapping[str, SourceTagger],
    *,
    screened: Sequence[NerSource] | None = None,
    seed: int = 42,
) -> SimilarityMatrix:
    """Measure the similarities of all pairs of labels of different sources.

    Args:
        sources: two or more sources.
        settings: how to measure; without a kind, by light heads.
        encoder: folder or Hub id of the pretrained encoder.
        taggers: of the sources, by name, where these are the evidence.
        screened: the same sources with all their sentences, where ``sources`` are
            samples: the overlap of mentions costs little and gains from more.
        seed: of the sentences that light heads read.

    Raises:
        EncoderError: the encoder cannot be loaded.
    """
    labels = tuple(ref for source in sources for ref in source.label_refs)
    counts = {source.name: source.summary.entities["train"] for source in sources}
    support = np.array([counts[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64)
    overlap = mention_overlap(screened or sources).matrix(labels)
    if settings.kind == "surface":
        nothing = np.zeros((len(labels), len(labels)), dtype=np.int64)
        return SimilarityMatrix(
            labels, support, nothing, nothing, np.full(nothing.shape, np.nan), overlap, np.zeros_like(support)
        )
    if settings.kind == "taggers":
        matched, predicted = cross_predictions(
            lambda name, source: taggers[name].predict(source, "train"), sources, labels, settings.match
        )
        # Vectors of one encoder compare: the joint tagger's, else the pretrained one's, never of separate taggers.
        centroids = {
            source.name: pretrained_vectors(encoder, source)
            if settings.embeddings == "pretrained"
            else taggers[source.name].mention_vectors(source)
            for source in sources
        }
        semantic = semantic_similarity(centroids, labels, settings.center)
        return SimilarityMatrix(labels, support, matched, predicted, semantic, overlap)
    matched, predicted, read, recall, centroids = _light_evidence(sources, labels, encoder, seed)
    semantic = semantic_similarity(centroids, labels, settings.center)
    return SimilarityMatrix(labels, support, matched, predicted, semantic, overlap, read, recall)


def _light_evidence(
    sources: Sequence[NerSource], labels: Sequence[LabelRef], encoder: str, seed: int
) -> tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], dict[str, LabelCentroids]
]:
    """Return what light heads predict on the spans that were read of the other sources.

    Returns:
        Matched and predicted, shape (labels, labels); mentions read and recall,
        shape (labels,); and the sums of mention vectors of each source.
    """
    artifacts = make_light_heads(sources, encoder, seed)
    # The heads alone are small; the vectors of one source at a time are held.
    heads = {name: load_light_head(artifact).without_spans() for name, artifact in artifacts.items()}
    position = {label: index for index, label in enumerate(labels)}
    matched = np.zeros((len(labels), len(labels)), dtype=np.int64)
    predicted = np.zeros_like(matched)
    read = np.zeros(len(labels), dtype=np.int64)
    recall = np.full(len(labels), np.nan)
    centroids = {}
    for target in sources:
        spans = load_light_head(artifacts[target.name])
        centroids[target.name] = spans.centroids
        columns = [position[ref] for ref in target.label_refs]
        gold = [
            None if label == NO_MENTION else position[LabelRef(target.name, label)] for label in spans.gold
        ]
        for index, count in Counter(gold).items():
            if index is not None:
                read[index] = count
        for label, share in spans.recall.items():
            recall[position[LabelRef(target.name, label)]] = share
        for name, head in heads.items():
            if name != target.name:
                for (label, index), count in Counter(
                    zip(head.predict(spans.vectors), gold, strict=True)
                ).items():
                    if label != NO_MENTION:
                        row = position[LabelRef(name, label)]
                        predicted[row, columns] += count
                        if index is not None:
                            matched[row, index] += count
    return matched, predicted, read, recall, centroids
