"""Similarities of a set of sources and the taggers they come from: everything an alignment rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from esnera_hf._internal.console import lap
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.empirical import SpanMatch, cross_predictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import Center, LabelCentroids, semantic_similarity
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import (
    TaggerPlan,
    Taggers,
    TrainingLike,
    check_joint_of,
    check_taggers,
    training_settings,
)
from esnera_hf.taggers.source_taggers import CachedHead, CachedTagger, own_taggers, pretrained_sums
from esnera_hf.tagging import Entity

Embeddings = Literal["pretrained", "tuned"]


@dataclass(frozen=True)
class EvidenceSettings:
    """How similarities are measured.

    Attributes:
        match: how a predicted and a gold span match: ``exact`` boundaries or
            any ``overlap``.
        center: which mean is subtracted from mention vectors: that of each
            ``source``, or one over ``all``.
        training: settings by name, or ``TrainingArguments``, that win over those
            chosen for the encoder and the corpus.
        taggers: a ``separate`` tagger a source, or one ``joint`` tagger that is
            trained on all of them, an encoder with a head a source.
        joint_of: names of the sources that the joint tagger is trained on, such as
            those of a finished alignment; each of the others gets a tagger of its
            own, which begins with the joint tagger's encoder. ``None`` means all.
        embeddings: whose vectors of mentions are compared: those of the
            ``pretrained`` encoder, or those of the joint tagger's encoder, ``tuned``
            on the sources, which come from the pass that predicts. What suits the
            taggers if not given: ``tuned`` with a joint one, else ``pretrained``.
    """

    match: SpanMatch = "exact"
    center: Center = "source"
    training: TrainingLike = field(default_factory=dict)
    taggers: Taggers = "joint"
    joint_of: tuple[str, ...] | None = None
    embeddings: Embeddings | None = None

    def __post_init__(self) -> None:
        if self.match not in ("exact", "overlap"):
            raise ConfigurationError(f"match={self.match!r}: expected 'exact' or 'overlap'.")
        if self.center not in ("source", "all"):
            raise ConfigurationError(f"center={self.center!r}: expected 'source' or 'all'.")
        object.__setattr__(self, "training", training_settings(self.training))
        check_taggers(self.taggers)
        check_joint_of(self.joint_of, self.taggers)
        if self.chosen_embeddings not in get_args(Embeddings):
            raise ConfigurationError(
                f"embeddings={self.embeddings!r}: expected {' or '.join(map(repr, get_args(Embeddings)))}."
            )
        if self.embeddings == "tuned" and self.taggers != "joint":
            raise ConfigurationError(
                "embeddings='tuned' needs taggers='joint': the vectors of several taggers do not compare."
            )
        if self.joint_of is not None:
            object.__setattr__(self, "joint_of", tuple(self.joint_of))

    @property
    def chosen_embeddings(self) -> Embeddings:
        """The embeddings given, or those that suit the taggers."""
        return self.embeddings or ("tuned" if self.taggers == "joint" else "pretrained")

    def plan(self, encoder: str) -> TaggerPlan:
        """Return how the sources' own taggers are made with an encoder."""
        return TaggerPlan(encoder, training_settings(self.training), self.taggers, self.joint_of)


@dataclass(frozen=True)
class Evidence:
    """The similarity matrices, the taggers and the mention vectors behind them, and what they took."""

    matrix: SimilarityMatrix
    taggers: dict[str, CachedTagger]
    sums: dict[str, LabelCentroids]
    seconds: dict[str, float]

    def predictions(self, name: str, source: NerSource) -> Iterator[list[Entity]]:
        """Yield what one source's tagger predicts on the train split of another."""
        return self.taggers[name].predictions(source, "train")


def gather_evidence(
    sources: Sequence[NerSource],
    encoder: str,
    settings: EvidenceSettings,
    screened: Sequence[NerSource] | None = None,
) -> Evidence:
    """Train a tagger a source, then measure both similarities of all pairs of labels.

    Taggers, their predictions and the sums of mention vectors are taken from the
    cache where they were made before; an interrupted training goes on.

    Args:
        sources: two or more sources.
        encoder: folder or Hub id of a pretrained encoder.
        settings: how to measure.
        screened: the same sources with all their sentences, where ``sources`` are
            samples: the overlap of mentions costs little and gains from more.
    """
    seconds: dict[str, float] = {}
    with lap(seconds, "training"):
        taggers = own_taggers(sources, settings.plan(encoder))
    labels = [ref for source in sources for ref in source.label_refs]
    with lap(seconds, "empirical similarity"):
        matched, predicted = cross_predictions(
            lambda name, source: taggers[name].predictions(source, "train"), sources, labels, settings.match
        )
    with lap(seconds, "semantic similarity"):
        sums = (
            _tuned_sums(sources, taggers)
            if settings.chosen_embeddings == "tuned"
            else pretrained_sums(sources, encoder)
        )
        semantic = semantic_similarity(sums, labels, settings.center)
    with lap(seconds, "screen"):
        overlap = mention_overlap(screened or sources).matrix(labels)
    by_name = {source.name: source.summary.entities["train"] for source in sources}
    support = np.array([by_name[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64)
    matrix = SimilarityMatrix(tuple(labels), support, matched, predicted, semantic, overlap)
    return Evidence(matrix, taggers, sums, seconds)


def _tuned_sums(
    sources: Sequence[NerSource], taggers: Mapping[str, CachedTagger]
) -> dict[str, LabelCentroids]:
    """Return the sums of the mention vectors of the joint tagger's encoder, by source."""
    joint = next(tagger for tagger in taggers.values() if isinstance(tagger, CachedHead))
    return {source.name: joint.mention_sums(source) for source in sources}
