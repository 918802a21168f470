"""Vectors of mentions: mean states of their pieces in an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esnera_hf.modeling.encoders import load_encoder, window_length
from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs
from esnera_hf.modeling.tokenization import (
    CHUNK,
    WordTokenizer,
    batches_by_length,
    chunks,
    device,
    words_within,
)
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity

#: Labels and vectors, shape (mentions, width), of a batch of mentions.
MentionBatch = tuple[list[str], NDArray[np.float32]]


class MentionEncoder:
    """Encodes annotated entities in their sentences, for the semantic similarity.

    Args:
        name: folder or Hub id of a pretrained encoder.
        layers: only so many of its lowest layers; all if not given.
    """

    def __init__(self, name: str, layers: int | None = None) -> None:
        self.name = name
        self.model, tokenizer = load_encoder(name, layers)
        self.model.to(device()).eval()
        self.words = WordTokenizer(tokenizer, window_length(self.model, tokenizer))
        self.pad_id: int = tokenizer.pad_token_id

    def mention_vectors(self, sentences: Iterable[AnnotatedSentence]) -> Iterator[MentionBatch]:
        """Yield the labels and vectors of batches of mentions.

        An entity's vector is the mean of the last hidden states of its pieces.
        Entities whose words the tokenizer turns into nothing are left out.
        """
        for chunk in chunks((sentence for sentence in sentences if sentence.entities), CHUNK):
            for labels, vectors, _ in self.located_mentions(chunk):
                yield labels, vectors

    def located_mentions(
        self, sentences: Sequence[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], NDArray[np.float32], list[int]]]:
        """Yield what :meth:`mention_vectors` does, and the index of the sentence of each mention."""
        entities = [sentence.entities for sentence in sentences]
        phrases = [[(entity.start, entity.end) for entity in row] for row in entities]
        windows = self.words.windows([sentence.tokens for sentence in sentences], phrases)
        for _, part in batches_by_length(windows):
            labels, spans = mentions_within(part, entities)
            yield labels, self.vectors(part, spans), [part[row].sentence for row, _, _ in spans]

    @torch.inference_mode()
    def vectors(
        self, windows: Sequence[Window], spans: Iterable[tuple[int, int, int]]
    ) -> NDArray[np.float32]:
        """Return the mean states of the pieces of spans, shape (spans, width).

        Args:
            windows: of like length.
            spans: as :func:`mentions_within` returns them.
        """
        inputs = encoder_inputs([window.input_ids for window in windows], self.pad_id)
        states = self.model(**{name: t.to(self.model.device) for name, t in inputs.items()}).last_hidden_state
        suffix = len(self.words.suffix)
        pieces = [(row, *windows[row].piece_range(first, end, suffix)) for row, first, end in spans]
        return span_means(states, pieces)


def mentions_within(
    windows: Sequence[Window], entities: Sequence[Sequence[Entity]]
) -> tuple[list[str], list[tuple[int, int, int]]]:
    """Return the labels of the mentions in windows, and where each lies.

    An entity that a cut parts is a mention in each of its windows. Those whose
    words the tokenizer turns into nothing are left out.

    Args:
        entities: those of each sentence, by ``window.sentence``.

    Returns:
        Labels, and as many places: indices of the window, and in ``window.words`` of the first word and the end.
    """
    labels, spans = [], []
    for row, window in enumerate(windows):
        for entity in entities[window.sentence]:
            first, end = words_within(window, entity)
            if first < end:
                labels.append(entity.label)
                spans.append((row, first, end))
    return labels, spans


def span_means(states: Tensor, spans: Sequence[tuple[int, int, int]]) -> NDArray[np.float32]:
    """Return the mean state of each span, shape (spans, width).

    Args:
        states: shape (rows, positions, width).
        spans: row, first position and the one after the last, never empty.
    """
    if not spans:
        return np.empty((0, states.shape[2]), dtype=np.float32)
    rows, starts, ends = np.array(spans).T
    lengths = ends - starts
    offsets = np.cumsum(lengths) - lengths
    positions = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
    within = torch.from_numpy(np.repeat(rows, lengths)), torch.from_numpy(positions)
    flat = states[tuple(index.to(states.device) for index in within)].float().cpu().numpy()
    return np.asarray(np.add.reduceat(flat, offsets, axis=0) / lengths[:, None], dtype=np.float32)
