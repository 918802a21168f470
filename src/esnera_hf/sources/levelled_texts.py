"""The texts of sentences with spelling levelled, and where each sentence stands."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from esnera_hf._internal.arrow import batches, list_offsets
from esnera_hf.sources.source import AnnotatedSentence, NerSource

#: Accents that stand alone, which are quotation marks in many a text, become a space and a mark under NFKC.
_IGNORED = "Sk"
#: What the Turkish capital I with a dot is folded to.
_DOTTED_I = "i\u0307"
#: They choose the picture of the character before them.
_VARIATIONS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))

#: A source and one of its splits.
Part = tuple[str, str]
Span = tuple[int, int, str]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One sentence of one source."""

    source: str
    split: str
    id: str

    @property
    def part(self) -> Part:
        """Source and split."""
        return self.source, self.split


def normalize(text: str) -> str:
    """Level Unicode form, width, case, spaces and punctuation.

    Letters with their marks, digits and symbols stay: vowel signs tell words
    apart, ``+`` tells C++ from C.
    """
    words = "".join(char for char in text if unicodedata.category(char) != _IGNORED)
    folded = unicodedata.normalize("NFKC", words).casefold().replace(_DOTTED_I, "i")
    return "".join(
        char
        for char in unicodedata.normalize("NFKC", folded)
        if (char.isalnum() or unicodedata.category(char)[0] in "MS") and char not in _VARIATIONS
    )


#: Normalizes a token; most of them recur.
_level = lru_cache(maxsize=100_000)(normalize)


class Texts:
    """The sentences of all splits of some sources, numbered from 0 in their order, read when asked for.

    Attributes:
        parts: source and split, in order.
        ends: for each part the number after that of its last sentence.
    """

    def __init__(self, sources: Sequence[NerSource]) -> None:
        self._sources = [source for source in sources for _ in source.dataset]
        self._rows = [rows for source in sources for rows in source.dataset.values()]
        self.parts: list[Part] = [(source.name, split) for source in sources for split in source.dataset]
        self.ends = list(accumulate(map(len, self._rows)))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def part_of(self, numbers: Numbers) -> Numbers:
        """Return the index of the part of each sentence."""
        return np.searchsorted(self.ends, numbers, side="right").astype(np.int64)

    def levelled(self) -> Iterator[list[str]]:
        """Yield the levelled texts of all sentences, in batches."""
        for rows in self._rows:
            yield from self._keys(rows)

    def keys_of(self, numbers: Numbers) -> dict[int, str]:
        """Return the levelled texts of some sentences; numbers ascend."""
        keys = (self._keys(self._rows[part].select(local)) for part, local in self._by_part(numbers))
        return dict(zip(numbers.tolist(), chain.from_iterable(chain.from_iterable(keys)), strict=True))

    def places_of(self, numbers: Numbers) -> dict[int, Place]:
        """Return the places of some sentences, by number; numbers ascend."""
        ids = ((part, self._rows[part].select(local)["id"]) for part, local in self._by_part(numbers))
        places = (Place(*self.parts[part], row_id) for part, own in ids for row_id in own)
        return dict(zip(numbers.tolist(), places, strict=True))

    def sentences_of(self, numbers: Numbers) -> Iterator[tuple[int, AnnotatedSentence]]:
        """Yield number and sentence of some sentences; numbers ascend."""
        sentences = (
            self._sources[part].sentences(self.parts[part][1], local)
            for part, local in self._by_part(numbers)
        )
        yield from zip(numbers.tolist(), chain.from_iterable(sentences), strict=True)

    def spans(self, sentence: AnnotatedSentence) -> tuple[Span, ...]:
        """Return the entities of a sentence as spans of characters of its levelled text."""
        if not sentence.entities:
            return ()
        ends = list(accumulate((len(_level(token)) for token in sentence.tokens), initial=0))
        return tuple((ends[e.start], ends[e.end], e.label) for e in sentence.entities)

    def level(self, sentence: AnnotatedSentence) -> str:
        """Return the levelled text of a sentence, which :meth:`spans` counts the characters of."""
        return "".join(map(_level, sentence.tokens))

    def _by_part(self, numbers: Numbers) -> Iterator[tuple[int, Numbers]]:
        parts = self.part_of(numbers)
        for part in np.unique(parts).tolist():
            yield part, numbers[parts == part] - (self.ends[part - 1] if part else 0)

    def _keys(self, rows: Dataset) -> Iterator[list[str]]:
        for (lists,) in batches(rows, "tokens"):
            tokens = pc.list_flatten(lists).dictionary_encode()
            levelled = pa.array([_level(t) for t in tokens.dictionary.to_pylist()], pa.string())
            offsets = pa.array(list_offsets(lists), pa.int32())
            joined = pc.binary_join(pa.ListArray.from_arrays(offsets, levelled.take(tokens.indices)), "")
            yield joined.to_pylist()
