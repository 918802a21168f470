"""The texts of some sources, levelled, by the number of the sentence; read from Arrow when they are asked for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from esnera_hf.sources import AnnotatedSentence, NerSource

#: A source and one of its splits.
Part = tuple[str, str]
Span = tuple[int, int, str]

#: Accents that stand alone, which are quotation marks in many a text, become a space and a mark under NFKC.
_IGNORED = {"Sk"}
#: What the Turkish capital I with a dot is folded to.
_DOTTED_I = "i\u0307"
#: They choose the picture of the character before them.
_VARIATIONS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))

_BATCH = 2000
#: Levelled tokens kept at a time.
_KNOWN = 100_000


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


def normalise(text: str) -> str:
    """Level Unicode form, width, case, spaces and punctuation.

    Letters with their marks, digits and symbols stay: vowel signs tell words
    apart, ``+`` tells C++ from C.
    """
    words = "".join(char for char in text if unicodedata.category(char) not in _IGNORED)
    folded = unicodedata.normalize("NFKC", words).casefold().replace(_DOTTED_I, "i")
    return "".join(char for char in unicodedata.normalize("NFKC", folded) if _is_kept(char))


def _is_kept(char: str) -> bool:
    return (char.isalnum() or unicodedata.category(char)[0] in "MS") and char not in _VARIATIONS


class _Levelling(dict[str, str]):
    """Levelled tokens, worked out once each while there are not too many."""

    def __missing__(self, token: str) -> str:
        if len(self) >= _KNOWN:
            self.clear()
        levelled = self[token] = normalise(token)
        return levelled


class Texts:
    """The sentences of all splits of some sources, numbered from 0 in their order.

    Args:
        sources: the sources.

    Attributes:
        parts: source and split, in order.
        ends: for each part the number after that of its last sentence.
    """

    def __init__(self, sources: Sequence[NerSource]) -> None:
        self._sources = [source for source in sources for _ in source.dataset]
        self.parts: list[Part] = [(source.name, split) for source in sources for split in source.dataset]
        sizes = [len(rows) for source in sources for rows in source.dataset.values()]
        self.ends = list(accumulate(sizes))
        self._levelling = _Levelling()

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def part_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the part that each sentence lies in."""
        parts: NDArray[np.int64] = np.searchsorted(self.ends, numbers, side="right")
        return parts

    def levelled(self) -> Iterator[list[str]]:
        """Yield the levelled texts of all sentences, in batches."""
        for source, (_, split) in zip(self._sources, self.parts, strict=True):
            yield from self._keys(source.dataset[split])

    def keys_of(self, numbers: NDArray[np.int64]) -> dict[int, str]:
        """Return the levelled texts of some sentences; numbers ascend."""
        found = (key for index, local in self._by_part(numbers) for key in self._part_keys(index, local))
        return dict(zip(numbers.tolist(), found, strict=True))

    def ids_of(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
        """Yield number and id of some sentences; numbers ascend."""
        ids = (row_id for index, local in self._by_part(numbers) for row_id in self._part_ids(index, local))
        yield from zip(numbers.tolist(), ids, strict=True)

    def places_of(self, numbers: NDArray[np.int64]) -> dict[int, Place]:
        """Return the places of some sentences, by number; numbers ascend."""
        parts = (self.parts[part] for part in self.part_of(numbers).tolist())
        return {
            number: Place(source, split, row_id)
            for (source, split), (number, row_id) in zip(parts, self.ids_of(numbers), strict=True)
        }

    def sentences_of(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, AnnotatedSentence]]:
        """Yield number and sentence of some sentences; numbers ascend."""
        found = (
            sentence
            for index, local in self._by_part(numbers)
            for sentence in self._sources[index].sentences(self.parts[index][1], local)
        )
        yield from zip(numbers.tolist(), found, strict=True)

    def spans(self, sentence: AnnotatedSentence) -> tuple[Span, ...]:
        """Return the entities of a sentence as spans of characters of its levelled text."""
        if not sentence.entities:
            return ()
        lengths = (len(self._levelling[token]) for token in sentence.tokens)
        ends = list(accumulate(lengths, initial=0))
        return tuple((ends[e.start], ends[e.end], e.label) for e in sentence.entities)

    def _by_part(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        parts = self.part_of(numbers)
        for index in np.unique(parts).tolist():
            start = self.ends[index - 1] if index else 0
            yield index, numbers[parts == index] - start

    def _rows(self, index: int, local: NDArray[np.int64]) -> Dataset:
        return self._sources[index].dataset[self.parts[index][1]].select(local)

    def _part_keys(self, index: int, local: NDArray[np.int64]) -> Iterator[str]:
        for keys in self._keys(self._rows(index, local)):
            yield from keys

    def _part_ids(self, index: int, local: NDArray[np.int64]) -> Iterator[str]:
        for table in _tables(self._rows(index, local), "id"):
            yield from table["id"].to_pylist()

    def _keys(self, rows: Dataset) -> Iterator[list[str]]:
        for table in _tables(rows, "tokens"):
            lists = table["tokens"].combine_chunks()
            tokens = pc.list_flatten(lists).dictionary_encode()
            levelled = pa.array([self._levelling[t] for t in tokens.dictionary.to_pylist()], pa.string())
            ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))
            offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
            joined = pc.binary_join(pa.ListArray.from_arrays(offsets, levelled.take(tokens.indices)), "")
            yield joined.to_pylist()


def _tables(rows: Dataset, column: str) -> Iterable[Any]:
    if not len(rows):
        return ()
    tables: Iterable[Any] = rows.select_columns(column).with_format("arrow").iter(_BATCH)
    return tables
