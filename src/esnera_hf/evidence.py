"""Similarities of a set of sources and the taggers they come from: everything an alignment rests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from esnera_hf.cache import Artefact
from esnera_hf.console import lap
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity import (
    Centre,
    LabelSums,
    SimilarityMatrix,
    SpanMatch,
    cross_predictions,
    semantic_similarity,
    sum_mentions,
)
from esnera_hf.source_taggers import TaggerPlan, Taggers, check_taggers, own_taggers
from esnera_hf.sources import NerSource
from esnera_hf.taggers import CachedTagger, encoder_identity, library_versions
from esnera_hf.tagging import Entity

_SUMS_FILE = "sums.npz"
_LABELS_FILE = "labels.json"


@dataclass(frozen=True)
class EvidenceSettings:
    """How similarities are measured.

    Attributes:
        match: how a predicted and a gold span match: ``exact`` boundaries or
            any ``overlap``.
        centre: which mean is subtracted from mention vectors: that of each
            ``source``, or one over ``all``.
        training: arguments of ``TaggerTrainingArguments`` that override what is
            chosen for the encoder and the corpus.
        taggers: a ``separate`` tagger a source, or one ``joint`` tagger that is
            trained on all of them, an encoder with a head a source.
    """

    match: SpanMatch = "exact"
    centre: Centre = "source"
    training: Mapping[str, Any] = field(default_factory=dict)
    taggers: Taggers = "separate"

    def __post_init__(self) -> None:
        if self.match not in ("exact", "overlap"):
            raise ConfigurationError(f"match={self.match!r}: expected 'exact' or 'overlap'.")
        if self.centre not in ("source", "all"):
            raise ConfigurationError(f"centre={self.centre!r}: expected 'source' or 'all'.")
        check_taggers(self.taggers)

    def plan(self, encoder: str) -> TaggerPlan:
        """Return how the sources' own taggers are made with an encoder."""
        return TaggerPlan(encoder, self.training, self.taggers)


@dataclass(frozen=True)
class Evidence:
    """The similarity matrices, the taggers behind them, and what they took."""

    matrix: SimilarityMatrix
    taggers: dict[str, CachedTagger]
    seconds: dict[str, float]

    def predictions(self, name: str, source: NerSource) -> Iterator[list[Entity]]:
        """Yield what one source's tagger predicts on the train split of another."""
        return self.taggers[name].predictions(source, "train")


def gather_evidence(sources: Sequence[NerSource], encoder: str, settings: EvidenceSettings) -> Evidence:
    """Train a tagger a source, then measure both similarities of all pairs of labels.

    Taggers, their predictions and the sums of mention vectors are taken from the
    cache where they were made before; an interrupted training goes on.

    Args:
        sources: two or more sources.
        encoder: folder or Hub id of a pretrained encoder.
        settings: how to measure.
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
        sums = _mention_sums(sources, encoder)
        semantic = semantic_similarity(sums, labels, settings.centre)
    by_name = {source.name: source.summary.entities["train"] for source in sources}
    support = np.array([by_name[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64)
    return Evidence(SimilarityMatrix(tuple(labels), support, matched, predicted, semantic), taggers, seconds)


def _mention_sums(sources: Sequence[NerSource], encoder: str) -> dict[str, LabelSums]:
    """Return the sums of mention vectors of each source, encoding only what was not encoded before."""
    encoders: list[Any] = []

    def load_encoder() -> Any:
        from esnera_hf.modeling import MentionEncoder

        if not encoders:
            encoders.append(MentionEncoder(encoder))
        return encoders[0]

    return {source.name: _cached_sums(source, encoder, load_encoder) for source in sources}


def _cached_sums(source: NerSource, encoder: str, load_encoder: Callable[[], Any]) -> LabelSums:
    artefact = Artefact(
        "mentions",
        {
            "sentences": source.fingerprint,
            "encoder": encoder_identity(encoder),
            "versions": library_versions(),
        },
    )

    def fill(folder: Path) -> None:
        sums = sum_mentions(source, load_encoder())
        labels = sorted(sums.total)
        np.savez(
            folder / _SUMS_FILE,
            total=np.array([sums.total[label] for label in labels]),
            count=np.array([sums.count[label] for label in labels], dtype=np.int64),
        )
        (folder / _LABELS_FILE).write_text(json.dumps(labels), encoding="utf-8")

    artefact.make(fill)
    labels = json.loads((artefact.folder / _LABELS_FILE).read_text(encoding="utf-8"))
    with np.load(artefact.folder / _SUMS_FILE, allow_pickle=False) as arrays:
        total, count = arrays["total"], arrays["count"]
    return LabelSums(dict(zip(labels, total, strict=True)), dict(zip(labels, count.tolist(), strict=True)))
