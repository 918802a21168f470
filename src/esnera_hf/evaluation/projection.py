"""Scores of a merged tagger on each source: in unified labels, or back in the labels of the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.metrics import (
    Comparison,
    compare,
    count_matches,
    renamed,
)
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity

Predictions = Iterable[Sequence[Entity]]
#: Of the tagger of a source and of a merged one, sentence by sentence.
PredictionPair = tuple[Predictions, Predictions]


@dataclass(frozen=True)
class MergedScores:
    """Scores of the taggers of the sources (before) and of a merged one (after) on a split.

    Attributes:
        pooled: micro-F1 over all sources.
        sources: micro-F1 per source.
        by_label: F1 per source and label.
    """

    pooled: Comparison
    sources: dict[str, Comparison]
    by_label: dict[str, dict[str, Comparison]]


def score_unified(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    predictions: Mapping[str, PredictionPair],
    split: str,
) -> MergedScores:
    """Score on unified labels (method, Scoring a mapping).

    Gold entities and those of the tagger of the source are projected through the mapping. Of the
    merged tagger's those count that the source annotates, under the label that it
    has for them: a book is a PRODUCT where the source knows no finer label. One
    whose parts alone the source annotates is neither right nor wrong.

    Args:
        sources: the sources.
        mapping: their labels to unified labels.
        predictions: by source, those of its tagger and of the merged one on that split.
        split: the split.
    """
    counts = {}
    for source in sources:
        own, merged = predictions[source.name]
        labels = sorted(mapping.scope(source.name))
        names = {ref.label: mapping[ref] for ref in source.label_refs}
        gold = [renamed(sentence.entities, names) for sentence in source.sentences(split)]
        before = count_matches(gold, (renamed(row, names) for row in own), labels)
        projection = mapping.projection(source.name)
        after = count_matches(gold, (renamed(row, projection) for row in merged), labels)
        counts[source.name] = labels, (before, after)
    return _scores(counts)


def score_native(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    predictions: Mapping[str, PredictionPair],
    split: str,
) -> MergedScores:
    """Score in each source's own labels.

    A unified label that several labels of a source went to is read back as the
    one with most mentions in its train split: what a flat merge loses shows.

    Args:
        sources: the sources.
        mapping: their labels to unified labels.
        predictions: as for :func:`score_unified`.
        split: the split.
    """
    counts = {}
    for source in sources:
        own, merged = predictions[source.name]
        names = names_back(source, mapping)
        gold = [sentence.entities for sentence in source.sentences(split)]
        before = count_matches(gold, own, source.labels)
        after = count_matches(gold, (renamed(row, names) for row in merged), source.labels)
        counts[source.name] = source.labels, (before, after)
    return _scores(counts)


def names_back(source: NerSource, mapping: LabelMapping) -> dict[str, str]:
    """Return the source's label for each unified label that it annotates: the most frequent one in train.

    A part of what it annotates is read back as the whole. The source may lack some
    of its labels, as a file of it does.
    """
    support = source.summary.entities["train"]
    labels = (entry.label.label for entry in mapping.entries if entry.label.source == source.name)
    ascending = sorted(labels, key=lambda label: (support.get(label, 0), label))
    back = {mapping[source.name, label]: label for label in ascending}
    return {unified: back[known] for unified, known in mapping.projection(source.name).items()}


def _scores(
    counts: Mapping[str, tuple[Sequence[str], tuple[NDArray[np.int32], NDArray[np.int32]]]],
) -> MergedScores:
    scores = {name: compare(before, after, labels) for name, (labels, (before, after)) in counts.items()}
    # Added up over labels, with the sentences of all sources together: shape (sentences, 1, 3).
    before, after = (
        np.concatenate([pair[side].sum(axis=1, keepdims=True, dtype=np.int32) for _, pair in counts.values()])
        for side in (0, 1)
    )
    return MergedScores(
        compare(before, after, ["all"])[0],
        {name: micro for name, (micro, _) in scores.items()},
        {name: by_label for name, (_, by_label) in scores.items()},
    )
