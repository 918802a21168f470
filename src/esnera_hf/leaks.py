"""Sentences that stand in more than one split, so that no test sentence is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from esnera_hf.duplicates import Place, find_duplicates
from esnera_hf.sources import NerSource

#: A sentence of an earlier split must not stand in a later one.
_ORDER = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Leak:
    """A sentence of a train or validation split that also stands in a later split.

    Attributes:
        place: the sentence of train or validation.
        because: the same or nearly the same sentence in validation or test.
        exact: whether their texts are the same
            (:class:`~esnera_hf.duplicates.Duplicate`).
    """

    place: Place
    because: Place
    exact: bool

    @property
    def left_out(self) -> bool:
        """Whether a merge leaves the sentence out: a source's own leaks are only reported."""
        return self.place.source != self.because.source


def find_leaks(sources: Sequence[NerSource]) -> tuple[Leak, ...]:
    """Find the sentences of train and validation that also stand in validation or test.

    Args:
        sources: the sources to be merged.

    Returns:
        For each such sentence one leak that leads to another source, and one
        inside its source, where there are any; test before validation, the same
        text before nearly the same. In the order of the sources.
    """
    best: dict[tuple[Place, bool], Leak] = {}
    for pair in find_duplicates(sources).pairs:
        place, because = sorted((pair.first, pair.second), key=lambda p: _ORDER[p.split])
        if _ORDER[place.split] == _ORDER[because.split]:
            continue
        leak = Leak(place, because, pair.exact)
        known = best.setdefault((place, leak.left_out), leak)
        if _weight(leak) > _weight(known):
            best[place, leak.left_out] = leak
    rank = {source.name: index for index, source in enumerate(sources)}
    found = sorted(best.values(), key=lambda k: (rank[k.place.source], _ORDER[k.place.split]))
    return tuple(found)


def _weight(leak: Leak) -> tuple[int, bool]:
    return _ORDER[leak.because.split], leak.exact


def left_out_of_train(leaks: Sequence[Leak]) -> dict[str, set[str]]:
    """Return the ids of the train sentences that a merge leaves out, by source."""
    return {source: ids for (source, split), ids in left_out_ids(leaks).items() if split == "train"}


def left_out_ids(leaks: Sequence[Leak]) -> dict[tuple[str, str], set[str]]:
    """Return the ids of the sentences to leave out, by source and split."""
    ids: dict[tuple[str, str], set[str]] = {}
    for leak in leaks:
        if leak.left_out:
            ids.setdefault(leak.place.part, set()).add(leak.place.id)
    return ids


def leaks_between(leaks: Sequence[Leak], names: set[str]) -> list[Leak]:
    """Return the leaks between some of the sources, by name."""
    return [leak for leak in leaks if {leak.place.source, leak.because.source} <= names]
