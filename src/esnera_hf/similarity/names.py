"""How alike the names of labels are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from esnera_hf.tagging import LabelRef

_PARTS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
#: Longer names are compared by their beginnings: SequenceMatcher takes quadratic time.
_LONGEST = 200


# A matrix is asked several times, and fifty corpora have a hundred thousand pairs of names.
@lru_cache(maxsize=1 << 18)
def name_similarity(first: str, second: str) -> float:
    """Return how alike two names are, in [0, 1]: the better of their letters and of their words.

    Case, and what parts the words (``company_name``, ``companyName``), play no
    part; prefixes of one name count for what they share (``PER``, ``person``).
    """
    # SequenceMatcher is not symmetric.
    one, other = sorted((_words(first), _words(second)))
    if not one:
        return float(first == second)
    letters = difflib.SequenceMatcher(None, "".join(one), "".join(other), autojunk=False).ratio()
    words = len(set(one) & set(other)) / max(len(set(one) | set(other)), 1)
    return max(letters, words)


def name_similarities(labels: Sequence[LabelRef]) -> NDArray[np.float64]:
    """Return how alike the names of labels are, shape (labels, labels)."""
    names = sorted({label.label for label in labels})
    place = {name: index for index, name in enumerate(names)}
    values = np.eye(len(names))
    for i, one in enumerate(names):
        for j in range(i):
            values[i, j] = values[j, i] = name_similarity(one, names[j])
    rows = [place[label.label] for label in labels]
    return values[np.ix_(rows, rows)]


def _words(name: str) -> list[str]:
    return [part.casefold() for part in _PARTS.split(name[:_LONGEST]) if part]
