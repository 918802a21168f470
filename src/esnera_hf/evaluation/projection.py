"""Scores of a merged tagger on each source: in unified labels, or back in the labels of the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.metrics import Comparison, compare, count_matches, renamed
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity

Predictions = Iterable[Sequence[Entity]]
#: Of the tagger of a source, if it was trained, and of a merged one, sentence by sentence.
PredictionPair = tuple[Predictions | None, Predictions]


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


def score_merged(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    predictions: Mapping[str, PredictionPair],
    split: str,
    *,
    native: bool,
) -> MergedScores:
    """Score on each source in its own labels (native), or in unified ones (method, Scoring a mapping).

    In unified labels, gold entities and those of the tagger of the source are projected through the mapping. Of the
    merged tagger's those count that the source annotates, under the label that it has for them: a book is a PRODUCT
    where the source knows no finer label. One whose parts alone the source annotates is neither right nor wrong.

    In its own labels, a unified label that several labels of a source went to is read back as the one with most
    mentions in its train split: what a flat merge loses shows.

    Args:
        predictions: by source, those of its tagger and of the merged one on that split.
    """
    scores = {}
    totals_before: list[NDArray[np.int32]] = []
    totals: list[NDArray[np.int32]] = []
    for source in sources:
        own_names: Mapping[str, str | None] = {
            ref.label: ref.label if native else mapping[ref] for ref in source.label_refs
        }
        merged_names = names_back(source, mapping) if native else mapping.projection(source.name)
        labels = source.labels if native else sorted(mapping.scope(source.name))
        gold = [renamed(sentence.entities, own_names) for sentence in source.sentences(split)]
        own, merged = predictions[source.name]
        after = count_matches(gold, (renamed(row, merged_names) for row in merged), labels)
        before = (
            None if own is None else count_matches(gold, (renamed(row, own_names) for row in own), labels)
        )
        scores[source.name] = compare(before, after, labels)
        # Sentences of all sources together, added up over labels, since those differ: shape (sentences, 1, 3).
        totals.append(_over_labels(after))
        if before is not None:
            totals_before.append(_over_labels(before))
    return MergedScores(
        compare(np.concatenate(totals_before) if totals_before else None, np.concatenate(totals), ["all"])[0],
        {name: micro for name, (micro, _) in scores.items()},
        {name: by_label for name, (_, by_label) in scores.items()},
    )


def names_back(source: NerSource, mapping: LabelMapping) -> dict[str, str]:
    """Return the source's label for each unified label that it annotates: the most frequent one in train.

    A part of what it annotates is read back as the whole. The source may lack some
    of its labels, as a file of it does.
    """
    support = source.summary.entities["train"]
    labels = (entry.label.label for entry in mapping.entries if entry.label.source == source.name)
    ascending = sorted(labels, key=lambda label: (support.get(label, 0), label))
    back = {mapping[source.name, label]: label for label in ascending}
    return {unified: back[nearest] for unified, nearest in mapping.projection(source.name).items()}


def _over_labels(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    total: NDArray[np.int32] = counts.sum(axis=1, keepdims=True, dtype=np.int32)
    return total
