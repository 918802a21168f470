"""CRFs on the states of a frozen encoder: what the rest of a corpus says of each of its sentences."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from esnera_hf.modeling.calibration import Read, best_temperature
from esnera_hf.modeling.hub_code.crf import ConstrainedCRF
from esnera_hf.modeling.hub_code.windows import Span, SpanReader, pad
from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.modeling.tokenization import batches_by_length, chain_tags, chunks, device, join_sentences
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity, iob2_tag_set

#: A head is linear, and what it reads is fixed: further passes change little, but a few hundred steps are needed.
_EPOCHS, _LEAST_STEPS, _BATCH = 10, 400, 32
_LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 1e-2, 1e-3, 0.2


class Reading(NamedTuple):
    """What a head says of a sentence.

    Attributes:
        annotated: its annotated mentions, each with the probability that the head gives it.
        predicted: the mentions that the head finds, with their probabilities.
        outside: for each token, the probability that it belongs to no mention.
    """

    annotated: list[Entity]
    predicted: list[Entity]
    outside: list[float]


class FrozenStates:
    """The states that a frozen encoder gives the words of annotated sentences.

    Args:
        encoder: reads them.
        sentences: not more than memory holds; a word takes two bytes a dimension.
    """

    def __init__(self, encoder: MentionEncoder, sentences: Sequence[AnnotatedSentence]) -> None:
        self.sentences = sentences
        phrases = [[(entity.start, entity.end) for entity in sentence.entities] for sentence in sentences]
        self.windows = encoder.words.windows([sentence.tokens for sentence in sentences], phrases)
        states: dict[int, NDArray[np.float16]] = {}
        for batch, part in batches_by_length(self.windows):
            words = [(row, word, word + 1) for row, w in enumerate(part) for word in range(len(w.words))]
            ends = np.cumsum([len(window.words) for window in part])
            vectors = np.split(encoder.vectors(part, words).astype(np.float16), ends[:-1])
            states.update(zip(batch, vectors, strict=True))
        every = np.concatenate([states[index] for index in range(len(states))])
        # Encoders have dimensions that are large for every word and tell none from another.
        mean, deviation = every.mean(axis=0, dtype=np.float64), every.std(axis=0, dtype=np.float64) + 1e-3
        self.states = [((states[i] - mean) / deviation).astype(np.float16) for i in range(len(states))]

    def batches(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Yield the indices of windows in batches of like length."""
        return chunks(sorted(indices, key=lambda index: len(self.states[index])), _BATCH)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the states of windows, shape (windows, words, width), and which of them are words."""
        rows = [torch.from_numpy(self.states[index]).float() for index in indices]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(padded.shape[1]) < lengths.unsqueeze(1)
        return padded.to(device()), mask.to(device())

    def readings(self, by_window: Mapping[int, tuple[list[Span], list[Span], list[float]]]) -> list[Reading]:
        """Put what a head says of windows together to readings of sentences."""
        rows = [by_window[index] for index in range(len(self.windows))]
        count = len(self.sentences)
        annotated = join_sentences(count, self.windows, [own for own, _, _ in rows])
        predicted = join_sentences(count, self.windows, [spans for _, spans, _ in rows])
        # Words that the tokenizer turns into nothing are in no mention.
        outside = [[1.0] * len(sentence.tokens) for sentence in self.sentences]
        for window, (_, _, probabilities) in zip(self.windows, rows, strict=True):
            for word, probability in zip(window.words, probabilities, strict=True):
                outside[window.sentence][word] = probability
        return [Reading(*parts) for parts in zip(annotated, predicted, outside, strict=True)]


class FrozenTagger(nn.Module):
    """A linear emission layer and a CRF over IOB2 tags, on frozen states.

    Args:
        labels: of the source that it learns from.
        width: of the states.
        seed: of initialisation, order and dropout.
    """

    def __init__(self, labels: Sequence[str], width: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.tags = iob2_tag_set(labels)
        self.classifier = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(width, len(self.tags)))
        self.crf = ConstrainedCRF(self.tags)
        self.temperature = 1.0
        self._order = random.Random(seed)
        self.to(device())

    def gold(self, states: FrozenStates, indices: Sequence[int]) -> Tensor:
        """Return the annotated tag ids of windows, shape (windows, words)."""
        ids = {tag: index for index, tag in enumerate(self.tags)}
        windows = [states.windows[index] for index in indices]
        tags = [chain_tags(window, states.sentences[window.sentence].entities) for window in windows]
        return pad([[ids[tag] for tag in row] for row in tags], 0).to(device())

    def fit(self, states: FrozenStates, indices: Sequence[int]) -> None:
        """Learn from the annotation of windows."""
        batches = list(states.batches(indices))
        optimizer = torch.optim.AdamW(self.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        epochs = max(_EPOCHS, -(-_LEAST_STEPS // len(batches)))
        steps = epochs * len(batches)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
        self.train()
        for _ in range(epochs):
            self._order.shuffle(batches)
            for batch in batches:
                inputs, mask = states.batch(batch)
                emissions = self.classifier(inputs)
                loss = -self.crf(emissions, self.gold(states, batch), mask, reduction="token_mean")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        self.eval()

    @torch.no_grad()
    def calibrate(self, states: FrozenStates, indices: Sequence[int]) -> None:
        """Choose the temperature by the annotation of windows that were not learnt from."""
        read, batches, right = SpanReader(self.tags), list[Read](), list[float]()
        for batch in states.batches(indices):
            inputs, mask = states.batch(batch)
            emissions = self.classifier(inputs)
            paths = self.crf.viterbi(emissions, mask)
            batches.append((emissions, paths, mask, read.places(paths)))
            windows = [states.windows[index] for index in batch]
            for window, spans in zip(windows, read(windows, paths), strict=True):
                annotated = states.sentences[window.sentence].entities
                right += [Entity(*span) in annotated for span in spans]
        self.temperature = best_temperature(self.crf, batches, right)

    @torch.no_grad()
    def read(
        self, states: FrozenStates, indices: Sequence[int], *, annotated: bool
    ) -> dict[int, tuple[list[Span], list[Span], list[float]]]:
        """Return annotated mentions of windows (if their labels are its own), predicted ones, and P(outside)."""
        read = SpanReader(self.tags)
        result = {}
        for batch in states.batches(indices):
            inputs, mask = states.batch(batch)
            emissions = self.classifier(inputs)
            windows = [states.windows[index] for index in batch]
            spans = []
            for paths in (
                self.crf.viterbi(emissions, mask),
                *([self.gold(states, batch)] if annotated else []),
            ):
                factors = self.crf.path_probabilities(emissions, paths, mask, self.temperature)[1]
                spans.append(read(windows, paths.masked_fill(~mask, -100), factors))
            predicted, own = spans[0], spans[1] if annotated else [[] for _ in batch]
            outside = self.crf.marginals(emissions, mask, self.temperature)[:, :, 0].tolist()
            for index, *of_window, row in zip(batch, own, predicted, outside, strict=True):
                result[index] = *of_window, row[: len(states.states[index])]
        return result


def cross_readings(
    states: FrozenStates, labels: Sequence[str], folds: int, seed: int
) -> tuple[list[Reading], FrozenTagger]:
    """Let heads read the sentences that they did not learn from.

    Args:
        states: of a source.
        labels: all that occur in it.
        folds: parts of the sentences; as many heads, each of which learns from all parts but one and reads that.
        seed: of the parts and of the heads.

    Returns:
        The readings of all sentences, and the first head.
    """
    order = random.Random(seed)
    # Copies of a text are in one part: they would be read by a head that knows the answer.
    texts = sorted({tuple(sentence.tokens) for sentence in states.sentences})
    part_of = {text: order.randrange(folds) for text in texts}
    parts = [part_of[tuple(states.sentences[window.sentence].tokens)] for window in states.windows]
    by_window = {}
    heads = []
    for fold in range(folds):
        head = FrozenTagger(labels, states.states[0].shape[1], seed + fold)
        seen = [index for index, part in enumerate(parts) if part != fold]
        unseen = [index for index, part in enumerate(parts) if part == fold]
        if seen:
            head.fit(states, seen)
        head.calibrate(states, unseen)
        by_window.update(head.read(states, unseen, annotated=True))
        heads.append(head)
    return states.readings(by_window), heads[0]
