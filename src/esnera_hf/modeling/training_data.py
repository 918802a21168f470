"""The rows a tagger trains on, and the scores of its paths on the validation rows."""

from __future__ import annotations

from typing import Any

from datasets import Dataset, Features, List, Value
from transformers import EvalPrediction, PreTrainedTokenizerBase

from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, scoped, score_entities
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.hub_code.windows import Window
from esnera_hf.modeling.tokenization import EntityReader, WordTokenizer, chain_tags, join_sentences
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import entities_from_tags

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
        source: the corpus.
        tokenizer: of the model's encoder.
        model: the model to train.
        scope: the labels that count, by source of a sentence; all if not given.
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
        self.pad_id: int = tokenizer.pad_token_id
        self.words = WordTokenizer(tokenizer, model.config.window_length)
        self.tags = model.config.tags
        self.tag_ids = model.config.label2id
        self.gold = [(len(s.tokens), s.entities, s.source) for s in source.sentences("validation")]
        rows = self.rows("validation", cut_at_entities=False)
        longest_first = sorted(range(len(rows)), key=lambda i, lengths=rows["length"]: -lengths[i])  # type: ignore[misc]
        self.validation_rows = rows.select(longest_first)

    def rows(self, split: str, *, cut_at_entities: bool = True) -> Dataset:
        """Return one row per window; windows to predict on are cut without knowledge of the entities.

        Raises:
            ConfigurationError: there is no window.
        """

        def encode(batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
            entities = [entities_from_tags(tags)[0] for tags in batch["ner_tags"]]
            windows = self.words.windows(batch["tokens"], entities if cut_at_entities else None)
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
        return windows

    def scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Put the windows' paths together into sentences and score them against the gold entities."""
        windows = [
            Window(row["sentence"], [], row["words"], row["word_positions"], row["joins"])
            for row in self.validation_rows
        ]
        entities = EntityReader(self.tags)(windows, prediction.predictions)
        order = sorted(range(len(windows)), key=lambda i: (windows[i].sentence, windows[i].words[0]))
        sentences = join_sentences(len(self.gold), [windows[i] for i in order], [entities[i] for i in order])
        predicted = [
            scoped(row, source, self.scope) for row, (_, _, source) in zip(sentences, self.gold, strict=True)
        ]
        lengths, gold, _ = zip(*self.gold, strict=True) if self.gold else ((), (), ())
        micro = score_entities(gold, predicted, lengths).micro
        return {figure: getattr(micro, figure) for figure in FIGURES}
