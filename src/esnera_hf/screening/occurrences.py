"""How often the forms of one source occur in the text of another, and as what."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from esnera_hf.screening.forms import LABELS, Forms
from esnera_hf.sources import NerSource

#: Occurrences kept before they are added up.
_AT_ONCE = 1 << 18


class Occurrences(NamedTuple):
    """Counts of forms of one source in another.

    Attributes:
        form: number of the form.
        kind: what it is there; no form has one kind twice.
        times: how often.
        labels: of the other source, in the order of their kinds.
    """

    form: NDArray[np.int64]
    kind: NDArray[np.int64]
    times: NDArray[np.int64]
    labels: tuple[str, ...]

    def only(self, mask: NDArray[np.bool_]) -> Occurrences:
        """Return some of the counts."""
        return Occurrences(self.form[mask], self.kind[mask], self.times[mask], self.labels)

    def sorted_by(self, key: NDArray[np.int64]) -> Occurrences:
        """Return the counts in another order."""
        order = np.argsort(key, kind="stable")
        return Occurrences(self.form[order], self.kind[order], self.times[order], self.labels)


def count_occurrences(
    other: NerSource, forms: Mapping[str, Forms], splits: Sequence[str]
) -> dict[str, Occurrences]:
    """Count, for the forms of each source that occur in another, what they are there.

    Args:
        other: the source whose text is read.
        forms: by the name of their source.
        splits: the splits that are read.
    """
    kinds = {label: kind for kind, label in enumerate(other.labels, LABELS)}
    sums = {name: _Sums() for name in forms}
    size = LABELS + len(kinds)
    for split in splits:
        for sentence in other.sentences(split):
            for name, own in forms.items():
                sums[name].add([number * size + kind for number, kind in own.found_in(sentence, kinds)])
    found = {}
    for name, total in sums.items():
        codes, counts = total.counts()
        form, kind = np.divmod(codes, size)
        found[name] = Occurrences(form, kind, counts, other.labels)
    return found


class _Sums:
    """Counts numbers without keeping them all."""

    def __init__(self) -> None:
        self._codes = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)
        self._new = array("q")

    def add(self, codes: Sequence[int]) -> None:
        """Count some numbers."""
        self._new.extend(codes)
        if len(self._new) >= _AT_ONCE:
            self._add_up()

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers met, ascending, and how often."""
        self._add_up()
        return self._codes, self._counts

    def _add_up(self) -> None:
        new = np.array(self._new, dtype=np.int64)
        self._new = array("q")
        codes, position = np.unique(np.concatenate([self._codes, new]), return_inverse=True)
        counts = np.concatenate([self._counts, np.ones(len(new), dtype=np.int64)])
        self._counts = np.bincount(position, weights=counts, minlength=len(codes)).astype(np.int64)
        self._codes = codes
