"""A joint tagger: one encoder pass gives the entities of the labels of several sources."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.batching import CHUNK, batches_by_length, chunks, device, mixed_precision
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.hub_code.windows import Window, window_inputs
from esnera_hf.modeling.joint_model import JointModel
from esnera_hf.modeling.mentions import mentions_within, span_means
from esnera_hf.modeling.pretrained import load_saved
from esnera_hf.modeling.tagger import Tagger, read_record, save_record, save_tokenizer
from esnera_hf.modeling.tokenization import EntityReader, WordTokenizer, join_sentences
from esnera_hf.sources import AnnotatedSentence
from esnera_hf.tagging import Entity

#: Labels and vectors, shape (mentions, width), of batches of mentions.
MentionBatches = list[tuple[list[str], NDArray[np.float32]]]


class JointTagger:
    """Taggers of several sources that share one encoder.

    Args:
        model: the trained model.
        tokenizer: the tokenizer of its encoder.
        record: how it was trained: ``validation`` (by source), ``history`` and
            ``arguments``.
    """

    def __init__(
        self,
        model: JointModel,
        tokenizer: PreTrainedTokenizerBase,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.record = dict(record or {})
        self.words = WordTokenizer(tokenizer, model.config.window_length)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sources it was trained on."""
        names: tuple[str, ...] = self.model.config.names
        return names

    def head(self, name: str) -> Tagger:
        """Return the tagger of one source; it shares its weights with this one.

        Raises:
            ConfigurationError: there is no head of that name.
        """
        if name not in self.names:
            raise ConfigurationError(f"head {name!r}: expected one of {', '.join(self.names)}.")
        model = self.model.head_model(self.names.index(name))
        return Tagger(model, self.tokenizer, head_record(self.record, name))

    def predict_all(
        self, sentences: Iterable[Sequence[str]], *, scores: bool = False, batch_size: int | None = None
    ) -> Iterator[dict[str, list[Entity]]]:
        """Yield what each head finds in each sentence, in order, by name; the encoder runs once for all.

        Args:
            sentences: lists of words, taken in chunks.
            scores: give each entity the smallest marginal probability of its
                words' tags; 1.0 otherwise.
            batch_size: windows a forward pass; chosen by their length and the device
                if not given.

        Raises:
            ConfigurationError: a sentence is a text, or the batch size is below 1.
        """
        for chunk in chunks(sentences, CHUNK):
            found, _ = self._read(chunk, [()] * len(chunk), scores, batch_size)
            yield from found

    def read(
        self, sentences: Sequence[AnnotatedSentence]
    ) -> tuple[list[dict[str, list[Entity]]], MentionBatches]:
        """Return what each head finds in annotated sentences, and the vectors of their mentions, from one pass.

        A mention's vector is the mean of what the heads are given for its words:
        the encoder's last state of each word's first piece.

        Args:
            sentences: not more than memory holds.

        Returns:
            What :meth:`predict_all` yields, with scores; and labels and vectors of
            batches of mentions, as :meth:`MentionEncoder.mention_vectors` yields them.
        """
        return self._read([s.tokens for s in sentences], [s.entities for s in sentences], scores=True)

    def _read(
        self,
        tokens: Sequence[Sequence[str]],
        annotated: Sequence[Sequence[Entity]],
        scores: bool,
        batch_size: int | None = None,
    ) -> tuple[list[dict[str, list[Entity]]], MentionBatches]:
        self.model.to(device()).eval()
        heads = {name: self.model.head_model(index) for index, name in enumerate(self.names)}
        readers = {name: EntityReader(head.config.tags) for name, head in heads.items()}
        windows = self.words.windows(tokens)
        found: dict[str, list[list[Entity]]] = {name: [[] for _ in windows] for name in self.names}
        vectors: MentionBatches = []
        for batch in batches_by_length(windows, batch_size):
            part = [windows[i] for i in batch]
            states, paths = self._best_paths(heads, part, scores)
            for name, path in paths.items():
                for index, entities in zip(batch, readers[name](part, *path), strict=True):
                    found[name][index] = entities
            mentions = mentions_within(part, annotated)
            means = span_means(states, [(m.row, m.first, m.beyond) for m in mentions])
            vectors.append(([mention.label for mention in mentions], means))
        joined = [join_sentences(len(tokens), windows, found[name]) for name in self.names]
        return [dict(zip(self.names, rows, strict=True)) for rows in zip(*joined, strict=True)], vectors

    @torch.no_grad()
    def _best_paths(
        self, heads: Mapping[str, CrfTagger], windows: list[Window], scores: bool
    ) -> tuple[Tensor, dict[str, tuple[NDArray[np.int64], NDArray[np.float32] | None]]]:
        """Return the states of windows' words, and each head's tag ids of them and, if asked for, probabilities."""
        inputs = window_inputs(windows, self.tokenizer.pad_token_id)
        inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
        mask = inputs["word_positions"] >= 0
        with mixed_precision():
            states = self.model.word_states(**inputs)
            emissions = {name: head.classifier(states).float() for name, head in heads.items()}
        found = {}
        for name, head in heads.items():
            paths, probabilities = head.best_paths(emissions[name], mask, scores=scores)
            found[name] = paths.cpu().numpy(), None if probabilities is None else probabilities.cpu().numpy()
        return states, found

    def save_pretrained(self, path: str | os.PathLike[str]) -> None:
        """Write model (safetensors, the encoder once), tokenizer and record; the same gives the same bytes."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)
        save_record(self.record, folder)

    def save_encoder(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder and its tokenizer, without heads, as a folder to load like any pretrained encoder."""
        encoder: Any = self.model.encoder
        encoder.save_pretrained(path)
        save_tokenizer(self.tokenizer, Path(path))

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> JointTagger:
        """Load a joint tagger saved by :meth:`save_pretrained`.

        Raises:
            EncoderError: there is none, or it is damaged.
        """
        loaded = load_saved(JointModel, os.fspath(path), "joint tagger", "heads")
        return cls(*loaded, read_record(Path(path)))


def head_record(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what the record of a joint tagger says of one source, in the form of a tagger's own record.

    The loss in its history is that of all sources.
    """
    own: dict[str, Any] = {key: value for key, value in record.items() if key == "arguments"}
    if "validation" in record:
        own["validation"] = record["validation"][name]
    if "history" in record:
        own["history"] = [
            {
                **{key: entry[key] for key in ("epoch", "loss") if key in entry},
                **entry.get("sources", {}).get(name, {}),
            }
            for entry in record["history"]
        ]
    return own
