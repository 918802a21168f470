"""A joint tagger: one encoder pass gives the entities of the labels of several sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.encoders import load_saved, read_record
from esnera_hf.modeling.hub_code.configuration_crf_tagger import EncoderTaggerConfig
from esnera_hf.modeling.hub_code.crf import ConstrainedCRF, RowwiseCRF
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger, EncoderTagger, emissions_of_rows
from esnera_hf.modeling.hub_code.windows import Span, SpanReader
from esnera_hf.modeling.mention_vectors import MentionBatch, mentions_within, span_means
from esnera_hf.modeling.tagger import Tagger, TrainedModel, save_tokenizer
from esnera_hf.modeling.tokenization import batches_by_length, device, join_sentences, mixed_precision
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity


class JointTaggerConfig(EncoderTaggerConfig):
    """Configuration of a joint tagger.

    Args:
        encoder_config: see :class:`EncoderTaggerConfig`, as are further arguments.
        heads: IOB2 tags (by id, ``O`` first) of each head by its name, or such pairs, in order.
        temperatures: those of confidence of the heads, see :class:`CrfTaggerConfig`; 1 each if not given.
    """

    model_type = "esnera-joint-tagger"

    def __init__(
        self,
        encoder_config: dict[str, Any] | None = None,
        heads: Mapping[str, list[str]] | Sequence[tuple[str, list[str]]] = (),
        temperatures: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder_config, **kwargs)
        pairs = list(heads.items() if isinstance(heads, Mapping) else heads)
        if not all(isinstance(part, str) for name, tags in pairs for part in (name, *tags)):
            raise ValueError("heads: expected a list of names and lists of tags.")
        # Pairs and not a dictionary: the order of the heads must survive a file with sorted keys.
        self.heads: list[list[Any]] = [[name, list(tags)] for name, tags in pairs]
        self.temperatures = list(temperatures or [1.0] * len(pairs))
        if len(self.temperatures) != len(pairs):
            raise ValueError(f"temperatures: expected one of each of {len(pairs)} heads.")


class JointModel(EncoderTagger):
    """An encoder and, for each source, a linear emission layer and a CRF over IOB2 tags."""

    config_class = JointTaggerConfig

    def __init__(self, config: JointTaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config, encoder)
        width = self.encoder.config.hidden_size
        self.classifiers = nn.ModuleList(nn.Linear(width, len(tags)) for _, tags in config.heads)
        self.crfs = nn.ModuleList(ConstrainedCRF(tags) for _, tags in config.heads)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        word_positions: Tensor,
        sources: Tensor,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the emissions of each row's own head and, given labels, the loss.

        Args:
            input_ids: as for :class:`CrfTagger`, as are the two that follow.
            attention_mask: of the pieces.
            word_positions: index of each word's first piece.
            sources: index of each row's head, shape (batch,).
            labels: tag ids of the own head, shape (batch, words), -100 where padded.

        Returns:
            ``logits``: shape (batch, words, tags), padded to the longest list of
            tags of the heads in the batch; ``sources``; ``loss``: the negative
            log-likelihood per word, over the words of all heads.
        """
        states = self.word_states(input_ids, attention_mask, word_positions)
        # Heads without a row have no gradient, and cost nothing.
        present, rows = torch.unique(sources, return_inverse=True)
        layers = [(layer.weight, layer.bias) for layer in (self.classifiers[i] for i in present.tolist())]
        emissions = emissions_of_rows(states, layers, rows)
        outputs = {"logits": emissions, "sources": sources}
        if labels is not None:
            crf = self._rowwise(present, rows)
            likelihood = crf(emissions, labels.clamp(min=0), word_positions >= 0, reduction="token_mean")
            outputs = {"loss": -likelihood, **outputs}
        return outputs

    def _rowwise(self, present: Tensor, rows: Tensor) -> RowwiseCRF:
        return RowwiseCRF([self.crfs[head] for head in present.tolist()], rows)

    @torch.no_grad()
    def paths_of_rows(self, emissions: Tensor, sources: Tensor, mask: Tensor) -> Tensor:
        """Return the best legal tag ids of each row, by its own head, shape (batch, words), -100 where masked."""
        return self._rowwise(*torch.unique(sources, return_inverse=True)).viterbi(emissions, mask)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that start untrained: emission layers and CRFs."""
        return [*self.classifiers.parameters(), *self.crfs.parameters()]

    def head_model(self, index: int) -> CrfTagger:
        """Return a head with the encoder as a tagger of one source; all weights are shared."""
        model = self.with_tags(self.config.heads[index][1], self.config.temperatures[index])
        model.classifier, model.crf = self.classifiers[index], self.crfs[index]
        return model.train(self.training)  # type: ignore[no-any-return]


class JointTagger(TrainedModel):
    """Taggers of several sources that share one encoder; its record has their ``validation`` scores by source."""

    model: JointModel

    def __repr__(self) -> str:
        return f"JointTagger(names={self.names!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sources it was trained on, in the order of its heads."""
        return tuple(name for name, _ in self.model.config.heads)

    def head(self, name: str) -> Tagger:
        """Return the tagger of one source; it shares its weights with this one."""
        if name not in self.names:
            raise ConfigurationError(f"head {name!r}: expected one of {', '.join(self.names)}.")
        model = self.model.head_model(self.names.index(name))
        return Tagger(model, self.tokenizer, head_record(self.record, name))

    @torch.no_grad()
    def read(
        self, sentences: Sequence[AnnotatedSentence]
    ) -> tuple[list[dict[str, list[Entity]]], list[MentionBatch]]:
        """Return the entities that each head finds in annotated sentences, and the vectors of their mentions.

        The encoder runs once for all heads. A mention's vector is the mean of
        the states that the heads are given for its words: the encoder's last
        state of each word's first piece.

        Args:
            sentences: not more than memory holds.

        Returns:
            Per sentence, the entities by name of the head, each with its probability; and labels and vectors of
            batches of mentions, as :meth:`MentionEncoder.mention_vectors` yields them.
        """
        self.model.to(device()).eval()
        heads = {name: self.model.head_model(index) for index, name in enumerate(self.names)}
        readers = {name: SpanReader(head.config.tags) for name, head in heads.items()}
        annotated = [sentence.entities for sentence in sentences]
        windows = self.words.windows([sentence.tokens for sentence in sentences])
        spans: dict[str, list[list[Span]]] = {name: [[] for _ in windows] for name in self.names}
        vectors: list[MentionBatch] = []
        for batch, part in batches_by_length(windows):
            inputs = self.inputs(part)
            mask = inputs["word_positions"] >= 0
            with mixed_precision():
                states = self.model.word_states(**inputs)
                emissions = {name: head.classifier(states).float() for name, head in heads.items()}
            for name, head in heads.items():
                paths, _, factors = head.best_paths(emissions[name], mask)
                for index, row in zip(batch, readers[name](part, paths, factors), strict=True):
                    spans[name][index] = row
            # These states are better vectors than those of a pass of the pretrained encoder (cost.md).
            labels, places = mentions_within(part, annotated)
            vectors.append((labels, span_means(states, places)))
        joined = [join_sentences(len(sentences), windows, spans[name]) for name in self.names]
        return [dict(zip(self.names, rows, strict=True)) for rows in zip(*joined, strict=True)], vectors

    def save_encoder(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder and its tokenizer, without heads, as a folder to load like any pretrained encoder."""
        self.model.encoder.save_pretrained(path)
        save_tokenizer(self.tokenizer, Path(path))

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> JointTagger:
        """Load a joint tagger saved by :meth:`save_pretrained`."""
        loaded = load_saved(JointModel, os.fspath(path), "joint tagger", "heads")
        return cls(*loaded, read_record(Path(path)))


def head_record(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return one source's part of a joint tagger's record, in the form of a tagger's own record.

    The loss in its history is that of all sources.
    """
    if not record:
        return {}
    history = [
        {
            **{key: entry[key] for key in ("epoch", "loss") if key in entry},
            **entry.get("sources", {}).get(name, {}),
        }
        for entry in record["history"]
    ]
    return {"arguments": record["arguments"], "validation": record["validation"][name], "history": history}
