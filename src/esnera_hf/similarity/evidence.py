"""The evidence on labels: from light heads on a frozen encoder, from taggers, or from names and forms alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import say
from esnera_hf._internal.text import counted
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.empirical import SpanMatch, cross_predictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import Center, reliabilities, semantic_similarity
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.shared_sentences import SharedSentences
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.light_heads import NO_MENTION, LightHead, load_light_head, make_light_heads
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.taggers.source_taggers import SourceTagger, pretrained_vectors
from esnera_hf.tagging import LabelRef

EvidenceKind = Literal["frozen", "taggers", "surface"]
Embeddings = Literal["pretrained", "tuned"]


class BundledEvidence(Protocol):
    """What an evidence bundle says of a source."""

    @property
    def head(self) -> LightHead: ...
    @property
    def centroids(self) -> LabelCentroids: ...
    @property
    def read(self) -> Mapping[str, int]: ...


class HeadCounts(Protocol):
    """What the light head of one source predicts on the text of another, which is elsewhere.

    Attributes:
        counts: of pairs of the predicted and the gold label.
        read: mentions of the other source that the head has read, by label.
    """

    @property
    def counts(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def read(self) -> Mapping[str, int]: ...


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
        salt: of evidence bundles with hashed forms, the secret that they were hashed
            with, or that of each by its name; it is not kept in any report.

    Raises:
        ConfigurationError: a setting is unknown, or set for another kind of evidence.
    """

    kind: EvidenceKind | None = None
    match: SpanMatch = "exact"
    center: Center = "source"
    embeddings: Embeddings | None = None
    salt: str | dict[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, choices in (
            ("kind", EvidenceKind),
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
        for name, default in (("match", "exact"), ("embeddings", None)):
            value = getattr(self, name)
            if self.kind in ("frozen", "surface") and value != default:
                raise ConfigurationError(
                    f"{name}={value!r}: this is of taggers, and evidence='{self.kind}' compares by none. Leave it out, "
                    "or set evidence='taggers'."
                )


def measure_similarity(
    sources: Sequence[NerSource],
    settings: EvidenceSettings,
    encoder: str,
    taggers: Mapping[str, SourceTagger],
    *,
    screened: MentionOverlap | None = None,
    shared: SharedSentences | None = None,
    seed: int = 42,
    bundles: Mapping[str, BundledEvidence] = MappingProxyType({}),
    answers: Mapping[tuple[str, str], HeadCounts] = MappingProxyType({}),
) -> SimilarityMatrix:
    """Measure the similarities of all pairs of labels of different sources.

    Args:
        sources: two or more sources.
        settings: how to measure; without a kind, by light heads.
        encoder: folder or Hub id of the pretrained encoder.
        taggers: of the sources, by name, where these are the evidence.
        screened: the overlap of mentions, where it is known: of all sentences where
            ``sources`` are samples, since it costs little and gains from more.
        shared: the annotation of sentences that sources share, where it was compared.
        seed: of the sentences that light heads read.
        bundles: by name, the evidence of sources that came without their text; of a source whose text is here, the
            evidence that was sent to others, which is used instead of what its text gives now.
        answers: what the head of the first source predicts on the text of the second, where that is not here.

    Raises:
        EncoderError: the encoder cannot be loaded.
    """
    labels = tuple(ref for source in sources for ref in source.label_refs)
    counts = {source.name: source.summary.entities["train"] for source in sources}
    screened = screened or mention_overlap(sources)
    nothing = np.zeros((len(labels), len(labels)), dtype=np.int64)
    surface = SimilarityMatrix(
        labels,
        np.array([counts[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64),
        matched=nothing,
        predicted=nothing,
        semantic=np.full(nothing.shape, np.nan),
        overlap=screened.matrix(labels),
        occurring=screened.occurring(labels),
        read=np.zeros(len(labels), dtype=np.int64),
        shared=nothing if shared is None else shared.compared,
        shared_same=nothing if shared is None else shared.same,
    )
    if settings.kind == "surface":
        return surface
    equal = int((np.triu(surface.equivalence) > surface.threshold()).sum())
    said = counted(equal, "pair") if equal else "no pair"
    say(
        f"By names and mention forms alone {said} of labels look{'s' * (equal < 2)} "
        "equal; more evidence is coming."
    )
    if settings.kind == "taggers":
        matched, predicted, centroids = _tagger_evidence(sources, settings, encoder, taggers)
        read, recall = surface.support, surface.recall
    else:
        matched, predicted = nothing.copy(), nothing.copy()
        read, recall = np.zeros_like(surface.support), np.full(len(labels), np.nan)
        texts = [source for source in sources if source.bundled is None]
        heads = _HeadsAndSpans(make_light_heads(texts, encoder, seed) if texts else {}, bundles)
        centroids = _light_evidence(heads, answers, labels, (matched, predicted, read, recall))
    close = semantic_similarity(centroids, labels, settings.center)
    same = surface.same_source
    return replace(
        surface,
        matched=matched,
        predicted=predicted,
        semantic=np.where(same, np.nan, close),
        siblings=np.where(same, close, np.nan),
        read=read,
        recall=recall,
        reliability=reliabilities(centroids, labels),
    )


def _tagger_evidence(
    sources: Sequence[NerSource],
    settings: EvidenceSettings,
    encoder: str,
    taggers: Mapping[str, SourceTagger],
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, LabelCentroids]]:
    """Return what taggers predict on the text of the other sources, and the sums of the vectors of mentions."""
    labels = [ref for source in sources for ref in source.label_refs]
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
    return matched, predicted, centroids


class _HeadsAndSpans:
    """The light heads of all sources, which are small, and the spans of those whose text is here, one at a time."""

    def __init__(self, artifacts: Mapping[str, Artifact], bundles: Mapping[str, BundledEvidence]) -> None:
        self._artifacts, self._bundles = artifacts, bundles
        own = {name: load_light_head(artifact).without_spans() for name, artifact in artifacts.items()}
        self.heads = own | {name: bundle.head for name, bundle in bundles.items()}

    def evidence(self, name: str) -> tuple[BundledEvidence, LightHead | None]:
        """Return what is measured of a source, and its spans where its text is here."""
        spans = load_light_head(self._artifacts[name]) if name in self._artifacts else None
        return self._bundles.get(name) or spans, spans  # type: ignore[return-value]


def _light_evidence(
    sources: _HeadsAndSpans,
    answers: Mapping[tuple[str, str], HeadCounts],
    labels: Sequence[LabelRef],
    counts: Sequence[NDArray[Any]],
) -> dict[str, LabelCentroids]:
    """Count what light heads predict on the spans that were read of the other sources, into arrays of zeros.

    Args:
        sources: their heads and spans.
        answers: the counts on sources whose text is elsewhere, as far as they came back.
        labels: of the sources, those of a source together.
        counts: matched and predicted, shape (labels, labels); mentions read and recall, shape (labels,).

    Returns:
        The sums of the mention vectors of each source.
    """
    matched, predicted, read, recall = counts
    position = {label: index for index, label in enumerate(labels)}
    centroids = {}
    for target in sources.heads:
        measured, spans = sources.evidence(target)
        centroids[target] = measured.centroids
        columns = [index for index, label in enumerate(labels) if label.source == target]
        # A bundle with noise is made of more text than heads of others read.
        by_heads = [answer.read for (_, answering), answer in answers.items() if answering == target]
        by_heads = by_heads or [measured.read] if spans is None else [spans.read]
        for label, count in chain.from_iterable(counts.items() for counts in by_heads):
            read[position[LabelRef(target, label)]] = max(read[position[LabelRef(target, label)]], count)
        for label, share in sources.heads[target].recall.items():
            recall[position[LabelRef(target, label)]] = share
        for name, head in sources.heads.items():
            if name == target:
                continue
            answer = answers.get((name, target))
            pairs = answer.counts if answer else {}
            if spans is not None:
                pairs = head.count_on(spans)
            for (label, gold), count in pairs.items():
                row = position[LabelRef(name, label)]
                predicted[row, columns] += count
                if gold != NO_MENTION:
                    matched[row, position[LabelRef(target, gold)]] += count
    return centroids
