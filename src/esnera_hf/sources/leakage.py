"""Sentences that stand in more than one split, so that no test sentence is trained on."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np
from datasets import Dataset, DatasetDict

from esnera_hf._internal.arrow import rows_with_ids
from esnera_hf._internal.text import counted
from esnera_hf.sources.duplicates import Duplicate, Pairs, find_pairs
from esnera_hf.sources.source import NerSource

#: A sentence of an earlier split must not stand in a later one.
_ORDER = {"train": 0, "validation": 1, "test": 2}


def find_leaks(sources: Sequence[NerSource], duplicates: Pairs | None = None) -> tuple[Duplicate, ...]:
    """Find the sentences of train and validation that also stand in validation or test.

    Args:
        sources: the sources to be merged.
        duplicates: what :func:`~esnera_hf.sources.duplicates.find_pairs` gives for them, if that is there already.

    Returns:
        For each such sentence, the first of a pair, one pair with another source, and
        one inside its source, where there are any; test before validation, the same
        text before nearly the same. In the order of the sources.
    """
    texts, pairs = duplicates or find_pairs(sources)
    first, second, exact, _ = pairs.T
    parts = texts.part_of(pairs[:, :2])  # shape: (pairs, 2), as those below
    source = np.array([index for index, source in enumerate(sources) for _ in source.dataset])[parts]
    order = np.array([_ORDER[split] for _, split in texts.parts])[parts]
    swapped = order[:, 1] < order[:, 0]
    place, because = np.where(swapped, second, first), np.where(swapped, first, second)
    # For each sentence and kind of leak, its first pair of the largest weight: a later split outweighs the same text.
    weight = 2 * order.max(axis=1) + exact
    key = 2 * place + (source[:, 0] != source[:, 1])
    ranked = np.lexsort((-weight, key))
    ranked = ranked[order[ranked, 0] != order[ranked, 1]]
    best = ranked[np.flatnonzero(np.diff(key[ranked], prepend=-1))]
    places = texts.places_of(np.union1d(place[best], because[best]))
    leaks = np.stack([place, because, exact], axis=1)[best].tolist()
    return tuple(Duplicate(places[leak], places[twin], bool(same)) for leak, twin, same in leaks)


def left_out_of_train(leaks: Sequence[Duplicate]) -> dict[str, set[str]]:
    """Return the ids of the train sentences that a merge leaves out, by source."""
    return {source: ids for (source, split), ids in left_out_ids(leaks).items() if split == "train"}


def left_out_ids(leaks: Sequence[Duplicate]) -> dict[tuple[str, str], set[str]]:
    """Return the ids of the sentences to leave out, by source and split."""
    ids: dict[tuple[str, str], set[str]] = {}
    for leak in leaks:
        if leak.across_sources:  # a source's own leaks are only reported
            ids.setdefault(leak.first.part, set()).add(leak.first.id)
    return ids


def rows_without(source: NerSource, split: str, left_out: Set[str]) -> Dataset:
    """Return the rows of a split but for those of some ids."""
    rows = source.dataset[split]
    return rows.select(np.flatnonzero(~rows_with_ids(rows, left_out))) if left_out else rows


def without_leaks(sources: Sequence[NerSource], leaks: Sequence[Duplicate]) -> tuple[NerSource, ...]:
    """Return sources as they may be trained on together: without the sentences that a merge of them leaves out.

    They still annotate all of their labels. A source that loses nothing is returned as it is.
    """
    out = left_out_ids(leaks)
    trained = []
    for source in sources:
        ids = {split: out.get((source.name, split), set()) for split in source.dataset}
        if count := sum(map(len, ids.values())):
            rows = DatasetDict({split: rows_without(source, split, ids[split]) for split in ids})
            note = f"without {counted(count, 'sentence', 'that stand')} in a later split of another source"
            source = replace(source, dataset=rows, notes=(*source.notes, note), vocabulary=source.labels)
        trained.append(source)
    return tuple(trained)
