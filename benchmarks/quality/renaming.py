"""Labels under other names: how much of an alignment is what the names say?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from esnera_hf.similarity import names
from esnera_hf.tagging import LabelRef

WRITTEN, UNLISTED, RANDOM, SWAPPED = "as written", "not listed", "random words", "swapped"


def renamed(labels: Sequence[LabelRef], kind: str, seed: int) -> tuple[LabelRef, ...]:
    """Return labels with other names: random words, or those of other labels of the same corpus."""
    generator = random.Random(f"{kind} {seed}")
    if kind == RANDOM:
        syllables = [one + other for one in "bcdfghjklmnprstvwz" for other in "aeiou"]
        return tuple(
            LabelRef(label.source, "".join(generator.choices(syllables, k=generator.randint(2, 4))))
            for label in labels
        )
    if kind == SWAPPED:
        of_source = {source: [one.label for one in labels if one.source == source] for source, _ in labels}
        for listed in of_source.values():
            generator.shuffle(listed)
        return tuple(LabelRef(label.source, of_source[label.source].pop()) for label in labels)
    return tuple(labels)


@contextmanager
def without_lexicon() -> Iterator[None]:
    """Take no name to be listed meanwhile."""
    with mock.patch.object(names, "lexicon", return_value=({}, {})):
        names.concepts_of.cache_clear()
        yield
    names.concepts_of.cache_clear()
