"""A trained tagger: entities for sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from esnera_hf.errors import EncoderError
from esnera_hf.metrics import Scope, Scores, scoped, score_entities
from esnera_hf.modeling.batching import (
    CHUNK,
    batches_by_length,
    chunks,
    device,
    encoder_inputs,
    pad,
    prediction_batch_size,
)
from esnera_hf.modeling.configuration import CrfTaggerConfig
from esnera_hf.modeling.model import CrfTagger
from esnera_hf.modeling.tokenization import Window, WordTokenizer, join_windows, read_entities
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from esnera_hf.sources import AnnotatedSentence


class Tagger:
    """A CRF tagger with its tokenizer.

    Args:
        model: the trained model.
        tokenizer: the tokenizer of its encoder.
    """

    def __init__(self, model: CrfTagger, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.words = WordTokenizer(tokenizer, model.config.window_length)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it predicts."""
        return tuple(tag[2:] for tag in self.model.config.tags if tag.startswith("B-"))

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> Tagger:
        """Load a tagger saved by :meth:`save_pretrained`.

        Raises:
            EncoderError: the folder holds no tagger of this package.
        """
        try:
            config = AutoConfig.from_pretrained(path, trust_remote_code=False)
            if not isinstance(config, CrfTaggerConfig):
                raise ValueError(f"it is a model of type {config.model_type!r}.")
            model = CrfTagger.from_pretrained(path, config=config, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = str(error).strip().split("\n")[0]
            raise EncoderError(
                f"{os.fspath(path)!r} holds no tagger: {reason} Expected a folder written by "
                "`esnera-hf train` (config.json, model.safetensors, tokenizer.json)."
            ) from error
        return cls(model, tokenizer)

    def save_pretrained(self, path: str | os.PathLike[str]) -> None:
        """Write model (safetensors) and tokenizer to a folder."""
        Path(path).mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(path)
        self.tokenizer.save_pretrained(path)

    def predict(
        self, sentences: Iterable[Sequence[str]], *, scores: bool = False, batch_size: int | None = None
    ) -> Iterator[list[Entity]]:
        """Yield the entities of each sentence, in order.

        Sentences are taken from the iterable in chunks, so memory does not grow
        with their number.

        Args:
            sentences: lists of words.
            scores: give each entity the smallest marginal probability of its
                words' tags; 1.0 otherwise.
            batch_size: windows a forward pass; chosen by device if not given.
        """
        target = device()
        self.model.to(target).eval()
        batch_size = batch_size or prediction_batch_size()
        for chunk in chunks(sentences, CHUNK):
            windows = self.words.windows(chunk)
            found: list[list[Entity]] = [[] for _ in windows]
            for batch in batches_by_length(windows, batch_size):
                for index, entities in zip(
                    batch, self._predict_batch([windows[i] for i in batch], scores), strict=True
                ):
                    found[index] = entities
            by_sentence: list[list[int]] = [[] for _ in chunk]
            for index, window in enumerate(windows):
                by_sentence[window.sentence].append(index)
            for indices in by_sentence:
                yield join_windows([windows[i] for i in indices], [found[i] for i in indices])

    @torch.no_grad()
    def _predict_batch(self, windows: list[Window], scores: bool) -> Iterator[list[Entity]]:
        inputs = encoder_inputs([window.input_ids for window in windows], self.tokenizer.pad_token_id)
        inputs["word_positions"] = pad([window.positions for window in windows], -1)
        inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
        emissions = self.model(**inputs).logits
        mask = inputs["word_positions"] >= 0
        paths = self.model.crf.viterbi(emissions, mask)
        probabilities: list[list[float]] | None = None
        if scores:
            marginals = self.model.crf.marginals(emissions, mask)
            probabilities = marginals.gather(2, paths.clamp(min=0).unsqueeze(2)).squeeze(2).tolist()
        tags = self.model.config.tags
        for row, (window, path) in enumerate(zip(windows, paths.tolist(), strict=True)):
            names = [tags[tag] for tag in path[: len(window.words)]]
            yield read_entities(window, names, probabilities[row] if probabilities else None)

    def evaluate(self, sentences: Iterable[AnnotatedSentence], scope: Scope | None = None) -> Scores:
        """Score the tagger on annotated sentences, entity by entity, strictly.

        Args:
            sentences: with their gold entities.
            scope: the labels that count, by source of a sentence; all if not given.
        """
        gold = list(sentences)
        predicted = self.predict([sentence.tokens for sentence in gold])
        return score_entities(
            [sentence.entities for sentence in gold],
            [scoped(found, s.source, scope) for s, found in zip(gold, predicted, strict=True)],
            [len(s.tokens) for s in gold],
        )
