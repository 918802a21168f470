"""Mention vectors of a pretrained encoder, for the semantic similarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from esnera_hf.modeling.batching import (
    CHUNK,
    batches_by_length,
    chunks,
    device,
)
from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs
from esnera_hf.modeling.mentions import mentions_within, span_means
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.tokenization import WordTokenizer
from esnera_hf.sources import AnnotatedSentence


class MentionEncoder:
    """Encodes annotated entities in their sentences.

    Args:
        name: folder or Hub id of a pretrained encoder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.model, tokenizer = load_encoder(name)
        self.words = WordTokenizer(tokenizer, window_length(self.model, tokenizer))
        self.pad_id: int = tokenizer.pad_token_id

    def mention_vectors(
        self, sentences: Iterable[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield the labels and vectors of batches of mentions.

        An entity's vector is the mean of the last hidden states of its pieces.
        Entities whose words the tokenizer turns into nothing are left out.

        Yields:
            The labels of the mentions of a batch and their vectors, shape
            (mentions, hidden size).
        """
        self.model.to(device()).eval()
        with_entities = (sentence for sentence in sentences if sentence.entities)
        for chunk in chunks(with_entities, CHUNK):
            windows = self.words.windows([s.tokens for s in chunk], [s.entities for s in chunk])
            for batch in batches_by_length(windows):
                yield self._encode([windows[i] for i in batch], chunk)

    @torch.no_grad()
    def _encode(
        self, windows: list[Window], sentences: list[AnnotatedSentence]
    ) -> tuple[list[str], NDArray[np.float32]]:
        inputs = encoder_inputs([window.input_ids for window in windows], self.pad_id)
        states = self.model(**{name: t.to(self.model.device) for name, t in inputs.items()}).last_hidden_state
        mentions = mentions_within(windows, [sentence.entities for sentence in sentences])
        suffix = len(self.words.suffix)
        spans = [(m.row, *windows[m.row].piece_range(m.first, m.beyond - 1, suffix)) for m in mentions]
        return [mention.label for mention in mentions], span_means(states, spans)
