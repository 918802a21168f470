"""The rows a tagger trains on, and the scores of its paths on the validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value, concatenate_datasets
from transformers import EvalPrediction, PreTrainedTokenizerBase

from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, scoped, score_entities
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.hub_code.windows import SpanReader, Window
from esnera_hf.modeling.joint import JointModel
from esnera_hf.modeling.tokenization import TaggingCollator, WordTokenizer, chain_tags, join_sentences
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, entities_from_tags

_ROW_FEATURES = Features(
    {
        "sentence": Value("int64"),
        "input_ids": List(Value("int32")),
        "words": List(Value("int32")),
        "word_positions": List(Value("int32")),
        "joins": Value("bool"),
        "labels": List(Value("int32")),
        "length": Value("int32"),
    }
)
#: The validation scores of an epoch: micro, over all labels.
FIGURES = ("f1", "precision", "recall")


class TrainingData:
    """The training and validation rows of a source for one model, and the scores on the latter.

    Args:
        scope: for a merged corpus, the labels that count, by source of a sentence, each of which counts alike;
            all labels if not given.
    """

    def __init__(
        self,
        source: NerSource,
        tokenizer: PreTrainedTokenizerBase,
        model: CrfTagger,
        scope: Scope | None = None,
    ) -> None:
        self.source = source
        self.scope = scope
        self.collate = TaggingCollator(tokenizer.pad_token_id)
        self.words = WordTokenizer(tokenizer, model.config.window_length)
        self.tags = model.config.tags
        self.tag_ids = model.config.label2id
        # Of whole sentences: what windows cut or lack counts as missed.
        self.gold = [(len(s.tokens), s.entities, s.source) for s in source.sentences("validation")]
        # Cut as in prediction, which knows no entities, or the scores would be too good.
        rows = self.rows("validation", cut_at_entities=False)
        longest_first = sorted(range(len(rows)), key=lambda i, lengths=rows["length"]: -lengths[i])  # type: ignore[misc]
        self.validation_rows = rows.select(longest_first)

    def rows(self, split: str, *, cut_at_entities: bool = True) -> Dataset:
        """Return one row per window, with the number of its source if the corpus is merged.

        Windows to predict on are cut without knowledge of the entities. That there is none is a ConfigurationError.
        """

        def encode(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
            entities = [entities_from_tags(tags)[0] for tags in batch["ner_tags"]]
            phrases = [[(entity.start, entity.end) for entity in row] for row in entities]
            windows = self.words.windows(batch["tokens"], phrases if cut_at_entities else None)
            return {
                "sentence": [indices[window.sentence] for window in windows],
                "input_ids": [window.input_ids for window in windows],
                "words": [window.words for window in windows],
                "word_positions": [window.positions for window in windows],
                "joins": [window.joins for window in windows],
                "labels": [
                    [self.tag_ids[tag] for tag in chain_tags(window, entities[window.sentence])]
                    for window in windows
                ],
                "length": [len(window.input_ids) for window in windows],
            }

        rows = self.source.dataset[split]
        windows = rows.map(
            encode,
            batched=True,
            with_indices=True,
            remove_columns=rows.column_names,
            features=_ROW_FEATURES,
            load_from_cache_file=False,
            desc=f"{self.source.name} {split}: pieces",
        )
        if not len(windows):
            raise ConfigurationError(
                f"{self.source.name}: the encoder's tokenizer turns all words of its {split} split, "
                f"{len(rows):,} sentences, into nothing. Choose an encoder for the language of the text, or check "
                "the words."
            )
        if self.scope is None:
            return windows
        numbers = {name: number for number, name in enumerate(sorted(self.scope))}
        of_sentence = [numbers[name] for name in rows["source"]]
        return windows.add_column("sources", [of_sentence[sentence] for sentence in windows["sentence"]])

    def scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Put the windows' paths together into sentences and score them against the gold entities."""
        windows = [
            Window(row["sentence"], [], row["words"], row["word_positions"], row["joins"])
            for row in self.validation_rows
        ]
        spans = SpanReader(self.tags)(windows, torch.from_numpy(prediction.predictions))
        order = sorted(range(len(windows)), key=lambda i: (windows[i].sentence, windows[i].words[0]))
        sentences = join_sentences(len(self.gold), [windows[i] for i in order], [spans[i] for i in order])
        predicted = [
            scoped(row, source, self.scope) for row, (_, _, source) in zip(sentences, self.gold, strict=True)
        ]
        if self.scope is None:
            return self._micro(predicted, range(len(predicted)))
        by_source: dict[str, list[int]] = {}
        for index, (_, _, source) in enumerate(self.gold):
            by_source.setdefault(source, []).append(index)
        return means({source: self._micro(predicted, rows) for source, rows in by_source.items()})

    def _micro(self, predicted: Sequence[Sequence[Entity]], rows: Sequence[int]) -> dict[str, float]:
        gold = [self.gold[row] for row in rows]
        lengths, entities = [length for length, _, _ in gold], [entities for _, entities, _ in gold]
        micro = score_entities(entities, [predicted[row] for row in rows], lengths).micro
        return {figure: getattr(micro, figure) for figure in FIGURES}


def means(by_source: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the means of figures over sources, and those of each source under its name."""
    # Each source counts alike, as one with many sentences would else choose the epoch for all.
    return {
        figure: float(np.mean([figures[figure] for figures in by_source.values()])) for figure in FIGURES
    } | {f"{figure}/{name}": figures[figure] for name, figures in by_source.items() for figure in FIGURES}


class JointData:
    """The training and validation rows of the sources of a model's heads, in their order, and scores on the latter."""

    def __init__(
        self, sources: Sequence[NerSource], tokenizer: PreTrainedTokenizerBase, model: JointModel
    ) -> None:
        self.collate = TaggingCollator(tokenizer.pad_token_id, sources=True)
        self.parts = {
            source.name: TrainingData(source, tokenizer, model.head_model(index))
            for index, source in enumerate(sources)
        }
        self.train_rows = _with_sources([part.rows("train") for part in self.parts.values()])
        self.validation_rows = _with_sources([part.validation_rows for part in self.parts.values()])

    def scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Score the paths of each source's rows and return the means, and each source's own."""
        by_source = {}
        start = 0
        for name, part in self.parts.items():
            end = start + len(part.validation_rows)
            by_source[name] = part.scores(EvalPrediction(prediction.predictions[start:end], None))
            start = end
        return means(by_source)


def _with_sources(parts: Sequence[Dataset]) -> Dataset:
    return concatenate_datasets(
        [rows.add_column("sources", np.full(len(rows), index)) for index, rows in enumerate(parts)]
    )
