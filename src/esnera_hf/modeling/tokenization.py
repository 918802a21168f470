"""Words to encoder windows and back.

A window is what the encoder sees at once. A sentence longer than the encoder
takes becomes several windows, cut after a sentence end where there is one; no
word is lost. Words that the tokenizer turns into nothing take no part in the
CRF's chain and are put back when entities are read off it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase

from esnera_hf.errors import EncoderError
from esnera_hf.tagging import OUTSIDE, Entity, entities_from_tags, tags_from_entities

_SENTENCE_ENDS = frozenset("。！？!?；;….．")
_CLAUSE_ENDS = frozenset('，,、：:）)】》」"”—~～ 　')


@dataclass(frozen=True, slots=True)
class Window:
    """One encoder input.

    Attributes:
        sentence: index of the sentence it is cut from.
        input_ids: its pieces with the special ones.
        words: index in the sentence of each word that has pieces.
        positions: index in ``input_ids`` of each such word's first piece.
        joins: whether the cut before it parts a phrase, so that entities of one
            label that touch there are one entity.
    """

    sentence: int
    input_ids: list[int]
    words: list[int]
    positions: list[int]
    joins: bool = False

    def piece_range(self, first: int, last: int, suffix: int) -> tuple[int, int]:
        """Return the range of pieces of the words ``first`` to ``last`` (indices into ``words``)."""
        following = last + 1
        end = self.positions[following] if following < len(self.words) else len(self.input_ids) - suffix
        return self.positions[first], end


class WordTokenizer:
    """Cuts sentences of words into :class:`Window` objects.

    Args:
        tokenizer: a tokenizer of the ``tokenizers`` library.
        window_length: most pieces in a window, special ones included.

    Raises:
        EncoderError: the tokenizer cannot say which word a piece belongs to.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, window_length: int) -> None:
        if not tokenizer.is_fast:
            raise EncoderError(
                f"{type(tokenizer).__name__} is a pure-Python tokenizer that cannot map pieces to words. "
                "Choose an encoder whose tokenizer has a tokenizer.json."
            )
        self.tokenizer = tokenizer
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        full = tokenizer("a")["input_ids"]
        start = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
        self.prefix: list[int] = full[:start]
        self.suffix: list[int] = full[start + len(bare) :]
        self.budget = window_length - len(self.prefix) - len(self.suffix)
        if self.budget < 1:
            raise EncoderError(f"a window of {window_length} pieces leaves no room for text.")

    def windows(
        self, sentences: Sequence[Sequence[str]], entities: Sequence[Sequence[Entity]] | None = None
    ) -> list[Window]:
        """Cut sentences into windows.

        Args:
            sentences: lists of words.
            entities: gold entities a sentence, not to be cut through; left out
                when predicting.

        Returns:
            The windows in order; none for a sentence without any piece.
        """
        if not sentences:
            return []
        encoded: Any = self.tokenizer(
            [list(words) for words in sentences],
            is_split_into_words=True,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        windows: list[Window] = []
        for index, words in enumerate(sentences):
            pieces = _pieces_by_word(encoded["input_ids"][index], encoded.word_ids(index), self.budget)
            kept = [word for word, _ in pieces]
            barred = _inside_entities(kept, entities[index]) if entities else set()
            windows.extend(self._cut(index, words, pieces, barred))
        return windows

    def _cut(
        self, sentence: int, words: Sequence[str], pieces: list[tuple[int, list[int]]], barred: set[int]
    ) -> Iterable[Window]:
        start = 0
        joins = False
        while start < len(pieces):
            end, length = start, 0
            while end < len(pieces) and length + len(pieces[end][1]) <= self.budget:
                length += len(pieces[end][1])
                end += 1
            if end < len(pieces):
                end = _best_cut(words, [word for word, _ in pieces], start, end, barred)
            input_ids = list(self.prefix)
            positions = []
            for _, ids in pieces[start:end]:
                positions.append(len(input_ids))
                input_ids.extend(ids)
            input_ids.extend(self.suffix)
            yield Window(sentence, input_ids, [word for word, _ in pieces[start:end]], positions, joins)
            last_word = words[pieces[end - 1][0]]
            joins = not (last_word[-1:] in _SENTENCE_ENDS or last_word[-1:] in _CLAUSE_ENDS)
            start = end


def _pieces_by_word(
    input_ids: list[int], word_ids: list[int | None], budget: int
) -> list[tuple[int, list[int]]]:
    pieces: list[tuple[int, list[int]]] = []
    for piece, word in zip(input_ids, word_ids, strict=True):
        if word is None:
            continue
        if not pieces or pieces[-1][0] != word:
            pieces.append((word, []))
        if len(pieces[-1][1]) < budget:
            pieces[-1][1].append(piece)
    return pieces


def _inside_entities(kept: list[int], entities: Sequence[Entity]) -> set[int]:
    """Return the words before which a cut would part an entity."""
    owner = {word: entity for entity in entities for word in range(entity.start, entity.end)}
    return {word for before, word in pairwise(kept) if word in owner and owner.get(before) == owner[word]}


def _best_cut(words: Sequence[str], kept: list[int], start: int, end: int, barred: set[int]) -> int:
    """Choose where a window ends: after a sentence, else a clause, else anywhere but inside an entity."""
    allowed = [cut for cut in range(end, start, -1) if kept[cut] not in barred]
    late = [cut for cut in allowed if cut > start + (end - start) // 2]
    for marks in (_SENTENCE_ENDS, _CLAUSE_ENDS):
        for cut in late:
            if words[kept[cut - 1]][-1:] in marks:
                return cut
    return allowed[0] if allowed else end


def chain_tags(window: Window, entities: Sequence[Entity]) -> list[str]:
    """Write the entities of a sentence as IOB2 tags of a window's words."""
    projected = []
    for entity in entities:
        inside = [i for i, word in enumerate(window.words) if entity.start <= word < entity.end]
        if inside:
            projected.append(Entity(inside[0], inside[-1] + 1, entity.label))
    return tags_from_entities(len(window.words), projected) if projected else [OUTSIDE] * len(window.words)


def read_entities(window: Window, tags: Sequence[str], scores: Sequence[float] | None = None) -> list[Entity]:
    """Read the entities off a window's tags, as spans of the sentence's words.

    Args:
        window: the window.
        tags: an IOB2 tag for each of its words.
        scores: the probability of each tag; an entity's score is the smallest
            of its words'.
    """
    found = []
    for entity in entities_from_tags(tags)[0]:
        score = min(scores[entity.start : entity.end]) if scores is not None else 1.0
        start, last = window.words[entity.start], window.words[entity.end - 1]
        found.append(Entity(start, last + 1, entity.label, score))
    return found


def join_windows(windows: Sequence[Window], entities: Sequence[list[Entity]]) -> list[Entity]:
    """Put the entities of one sentence's windows together."""
    joined: list[Entity] = []
    previous_end = 0
    for window, found in zip(windows, entities, strict=True):
        rest = list(found)
        if window.joins and joined and rest:
            last, first = joined[-1], rest[0]
            meet = last.end == previous_end and first.start == window.words[0]
            if meet and last.label == first.label:
                joined[-1] = Entity(last.start, first.end, last.label, min(last.score, first.score))
                rest = rest[1:]
        joined.extend(rest)
        previous_end = window.words[-1] + 1
    return joined
