"""Words to encoder windows and tags back to spans of words.

A window is what the encoder sees at once. A sentence longer than the encoder
takes becomes several windows, cut after a sentence end where there is one; no
word is lost. Words that the tokenizer turns into nothing take no part in the
CRF's chain and are put back when entities are read off it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

#: Words whose pieces are remembered at most; a corpus has fewer, a stream of texts may have more.
_MOST_WORDS = 1 << 17
# Marks of spaced and of Chinese scripts, as corpora mix them; no entity goes on behind one.
_SENTENCE_ENDS = frozenset("。！？!?；;….．")
_CLAUSE_ENDS = frozenset('，,、：:）)】》」"”—~～ 　')


#: The first word of an entity, the one after its last, its label, and its score in [0, 1].
Span: TypeAlias = tuple[int, int, str, float]


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

    def piece_range(self, first: int, end: int, suffix: int) -> tuple[int, int]:
        """Return the range of pieces of a range of words (indices into ``words``, of which the end is exclusive)."""
        last = self.positions[end] if end < len(self.words) else len(self.input_ids) - suffix
        return self.positions[first], last


class WindowTokenizer:
    """Cuts sentences of words into :class:`Window` objects.

    The tokenizer is asked once for each word and its pieces are remembered: in
    sentences given as words, those of a word do not depend on its neighbours.

    Args:
        tokenizer: a tokenizer of the ``tokenizers`` library.
        window_length: most pieces in a window, special ones included.

    Raises:
        ValueError: the tokenizer cannot say which word a piece belongs to, or
            the window holds no text (or ``error``, where a subclass sets it).
    """

    error: type[Exception] = ValueError

    def __init__(self, tokenizer: PreTrainedTokenizerBase, window_length: int) -> None:
        if not tokenizer.is_fast:
            raise self.error(
                f"{type(tokenizer).__name__} is a pure-Python tokenizer that cannot map pieces to words. "
                "Choose an encoder whose tokenizer has a tokenizer.json."
            )
        self.tokenizer = tokenizer
        # Nothing else tells which special pieces stand before a text and which behind it.
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        full = tokenizer("a")["input_ids"]
        start = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), None)
        if start is None or not bare:
            raise self.error(
                "the tokenizer turns a letter into other pieces alone than in a text. Copy it again."
            )
        self.prefix: list[int] = full[:start]
        self.suffix: list[int] = full[start + len(bare) :]
        self.budget = window_length - len(self.prefix) - len(self.suffix)
        if self.budget < 1:
            raise self.error(
                f"a window of {window_length} pieces leaves no room for text. Raise window_length, or choose an "
                "encoder that takes more."
            )
        self._pieces: dict[str, tuple[int, ...]] = {}

    def windows(
        self, sentences: Sequence[Sequence[str]], phrases: Sequence[Sequence[tuple[int, int]]] | None = None
    ) -> list[Window]:
        """Cut sentences into windows.

        Args:
            sentences: lists of words.
            phrases: first word, and the one after the last, of gold entities per sentence, which
                are not to be cut through; left out when predicting.

        Returns:
            The windows in order; none for a sentence without any piece.
        """
        pieces_of = self._pieces_of_words(sentences)
        windows: list[Window] = []
        for index, words in enumerate(sentences):
            pieces = {word: pieces_of[text] for word, text in enumerate(words) if pieces_of[text]}
            if sum(map(len, pieces.values())) > self.budget:
                barred = _inside_phrases(list(pieces), phrases[index]) if phrases else set()
                windows.extend(self._cut(index, words, pieces, barred))
            elif pieces:
                windows.append(self._window(index, list(pieces), list(pieces.values())))
        return windows

    def _pieces_of_words(self, sentences: Sequence[Sequence[str]]) -> dict[str, tuple[int, ...]]:
        """Return the pieces of each word of the sentences, at most as many as a window holds."""
        if len(self._pieces) > _MOST_WORDS:
            self._pieces = {}  # a new one, as another thread may be reading the old
        pieces = self._pieces
        new = list(set().union(*sentences).difference(pieces))
        if new:
            encoded: Any = self.tokenizer(
                [[word] for word in new],
                is_split_into_words=True,
                add_special_tokens=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )
            pieces.update(
                # A longer word would fit into no window.
                (word, tuple(ids[: self.budget]))
                for word, ids in zip(new, encoded["input_ids"], strict=True)
            )
        return pieces

    def _cut(
        self, sentence: int, words: Sequence[str], pieces_of: dict[int, tuple[int, ...]], barred: set[int]
    ) -> Iterable[Window]:
        places, pieces = list(pieces_of), list(pieces_of.values())
        start = 0
        joins = False
        while start < len(pieces):
            end, length = start, 0
            while end < len(pieces) and length + len(pieces[end]) <= self.budget:
                length += len(pieces[end])
                end += 1
            if end < len(pieces):
                end = _best_cut(words, places, start, end, barred)
            yield self._window(sentence, places[start:end], pieces[start:end], joins)
            joins = words[places[end - 1]][-1:] not in _SENTENCE_ENDS | _CLAUSE_ENDS
            start = end

    def _window(
        self, sentence: int, words: list[int], pieces: list[tuple[int, ...]], joins: bool = False
    ) -> Window:
        input_ids = [*self.prefix, *chain.from_iterable(pieces), *self.suffix]
        positions = list(accumulate(map(len, pieces[:-1]), initial=len(self.prefix)))
        return Window(sentence, input_ids, words, positions, joins)


def _inside_phrases(places: list[int], phrases: Sequence[tuple[int, int]]) -> set[int]:
    """Return the words before which a cut would part a phrase."""
    owner = {word: phrase for phrase in phrases for word in range(*phrase)}
    return {word for before, word in pairwise(places) if word in owner and owner.get(before) == owner[word]}


def _best_cut(words: Sequence[str], places: list[int], start: int, end: int, barred: set[int]) -> int:
    """Choose where a window ends: after a sentence, else a clause, else anywhere but inside a phrase."""
    allowed = [cut for cut in range(end, start, -1) if places[cut] not in barred]
    # A mark in its first half would leave a window half empty.
    late = [cut for cut in allowed if cut > start + (end - start) // 2]
    for marks in (_SENTENCE_ENDS, _CLAUSE_ENDS):
        for cut in late:
            if words[places[cut - 1]][-1:] in marks:
                return cut
    # An entity longer than a window is cut all the same.
    return allowed[0] if allowed else end


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Return rows padded on the right, shape (rows, longest row)."""
    lengths = torch.tensor([len(row) for row in rows])
    filled = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    padded = torch.full(filled.shape, value, dtype=torch.long)
    padded[filled] = torch.tensor(list(chain.from_iterable(rows)), dtype=torch.long)
    return padded


def encoder_inputs(rows: Sequence[Sequence[int]], pad_id: int) -> dict[str, Tensor]:
    """Return ``input_ids`` and ``attention_mask`` of rows of pieces."""
    return {"input_ids": pad(rows, pad_id), "attention_mask": pad([[1] * len(row) for row in rows], 0)}


def window_inputs(windows: Sequence[Window], pad_id: int) -> dict[str, Tensor]:
    """Return what a tagger is given for a batch of windows."""
    inputs = encoder_inputs([window.input_ids for window in windows], pad_id)
    inputs["word_positions"] = pad([window.positions for window in windows], -1)
    return inputs


class SpanReader:
    """Reads entities off paths of tag ids, all rows of a batch at once.

    A broken sequence is read as ``conlleval`` reads it: an inside tag that
    continues nothing opens an entity.

    Args:
        tags: the IOB2 tags, by id.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self.labels = sorted({tag[2:] for tag in tags if tag != "O"})
        place = {label: index for index, label in enumerate(self.labels)}
        # One id more, the last, for padding, which is outside.
        self._label = torch.tensor([*(-1 if tag == "O" else place[tag[2:]] for tag in tags), -1])
        self._inside = torch.tensor([*(tag.startswith("I-") for tag in tags), False])

    def places(self, paths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return row, first position, the one after the last, and index in ``labels`` of each entity, in order."""
        ids = paths.cpu().clamp(min=-1)
        label = self._label[ids]
        continues = torch.zeros_like(ids, dtype=torch.bool)
        continues[:, 1:] = self._inside[ids[:, 1:]] & (label[:, 1:] == label[:, :-1])
        closes = label >= 0
        rows, starts = (closes & ~continues).nonzero(as_tuple=True)
        closes[:, :-1] &= ~continues[:, 1:]
        return rows, starts, closes.nonzero(as_tuple=True)[1] + 1, label[rows, starts]

    def __call__(
        self, windows: Sequence[Window], paths: Tensor, factors: Tensor | None = None
    ) -> list[list[Span]]:
        """Return the entities of each window, as spans of its sentence's words.

        Args:
            paths: tag ids of the windows' words, shape (windows, words), negative where padded.
            factors: logarithms that add up, over the words of an entity, to that of its probability, which is
                its score, shape (windows, words); NaN is if not given.
        """
        logarithms = None if factors is None else factors.tolist()
        spans: list[list[Span]] = [[] for _ in windows]
        for row, start, end, name in zip(*(column.tolist() for column in self.places(paths)), strict=True):
            words = windows[row].words
            score = math.exp(math.fsum(logarithms[row][start:end])) if logarithms else math.nan
            spans[row].append((words[start], words[end - 1] + 1, self.labels[name], score))
        return spans


def join_spans(windows: Sequence[Window], spans: Sequence[Sequence[Span]]) -> list[Span]:
    """Put the entities of one sentence's windows together.

    The score of an entity that a cut parted is the product of its parts', as windows know nothing of each other.
    """
    joined: list[Span] = []
    previous_end = 0
    for window, own in zip(windows, spans, strict=True):
        rest = list(own)
        if window.joins and joined and rest:
            start, last_end, label, score = joined[-1]
            first_start, end, first_label, first_score = rest[0]
            if (last_end, first_start, first_label) == (previous_end, window.words[0], label):
                joined[-1] = start, end, label, score * first_score
                rest = rest[1:]
        joined.extend(rest)
        previous_end = window.words[-1] + 1
    return joined
