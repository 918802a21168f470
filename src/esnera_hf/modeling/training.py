"""Training a CRF tagger with the Trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, List, Value
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scores, score_entities
from esnera_hf.modeling.batching import TaggingCollator
from esnera_hf.modeling.model import CrfTagger
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.progress import TrainingProgress
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import Window, WordTokenizer, chain_tags, join_windows, read_entities
from esnera_hf.sources import NerSource
from esnera_hf.tagging import Entity, entities_from_tags, iob2_tag_set

HISTORY_FILE = "training_history.json"

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


@dataclass
class TaggerTrainingArguments(TrainingArguments):  # type: ignore[misc]
    """The Trainer's arguments and three of a tagger's own.

    Attributes:
        head_learning_rate: of the emission layer and the CRF, which start
            untrained and want a higher one than the encoder.
        early_stopping_patience: epochs without a better validation micro-F1
            after which training stops.
        window_length: most pieces the encoder is given at once; what it takes
            if ``None``.
    """

    head_learning_rate: float = field(default=2e-3)
    early_stopping_patience: int = field(default=4)
    window_length: int | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "num_train_epochs",
            "per_device_train_batch_size",
            "learning_rate",
            "head_learning_rate",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number above 0.")


@dataclass(frozen=True)
class TrainingResult:
    """A trained tagger and how its training went.

    Attributes:
        tagger: with the weights of the best epoch.
        validation: its scores on the validation split.
        history: an entry an epoch: ``epoch``, ``loss`` (training), ``f1``,
            ``precision``, ``recall`` (validation, micro).
        arguments: the settings that mattered.
    """

    tagger: Tagger
    validation: Scores
    history: list[dict[str, float]]
    arguments: dict[str, Any]


def recommended_settings(width: int, sentences: int) -> dict[str, Any]:
    """Return the settings of a training that depend on encoder and corpus, and those that were tuned.

    The learning rate falls with the width of the encoder (3e-5 at 768, 5e-4 at
    384), since small encoders need far higher ones; batches are small where
    sentences are few, so that an epoch has enough steps.

    Args:
        width: hidden size of the encoder.
        sentences: number of training sentences.
    """
    return {
        "learning_rate": float(f"{min(max(3e-5 * (768 / width) ** 4, 1e-5), 5e-4):.1g}"),
        "head_learning_rate": 2e-3,
        "num_train_epochs": 20 if sentences < 5000 else 10,
        "early_stopping_patience": 4,
        "per_device_train_batch_size": 16 if sentences < 5000 else 32,
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
    }


def choose_arguments(
    encoder: PreTrainedModel, sentences: int, output_dir: str, overrides: Mapping[str, Any]
) -> TaggerTrainingArguments:
    """Choose training arguments for an encoder and a corpus size.

    Args:
        encoder: the pretrained encoder.
        sentences: number of training sentences.
        output_dir: where checkpoints go.
        overrides: arguments the user gave; they win.

    Raises:
        ConfigurationError: an override is no argument of
            :class:`TaggerTrainingArguments`.
    """
    chosen: dict[str, Any] = {
        **recommended_settings(encoder.config.hidden_size, sentences),
        "output_dir": output_dir,
        "per_device_eval_batch_size": 64,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,
        "metric_for_best_model": "f1",
        "train_sampling_strategy": "group_by_length",
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    try:
        return TaggerTrainingArguments(**{**chosen, **overrides})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"training arguments {dict(overrides)}: {error}") from error


def train_tagger(
    source: NerSource, encoder: str, output_dir: Path, overrides: Mapping[str, Any] | None = None
) -> TrainingResult:
    """Train a tagger on the train split of a source; its validation split chooses the epoch.

    A training that was interrupted goes on from its last checkpoint in
    ``output_dir``.

    Args:
        source: the corpus.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints and the history go.
        overrides: arguments of :class:`TaggerTrainingArguments`.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: an override is unknown.
    """
    model, tokenizer = load_encoder(encoder)
    arguments = choose_arguments(model, len(source.dataset["train"]), str(output_dir), overrides or {})
    set_seed(arguments.seed)
    limit = window_length(model, tokenizer)
    tagger_model = CrfTagger.from_encoder(
        model, iob2_tag_set(source.labels), window_length=min(arguments.window_length or limit, limit)
    )
    data = _Data(source, tokenizer, tagger_model)
    progress = TrainingProgress(source.name)
    trainer = TaggerTrainer(
        model=tagger_model,
        args=arguments,
        train_dataset=data.rows("train"),
        eval_dataset=data.validation_rows,
        data_collator=TaggingCollator(tokenizer.pad_token_id),
        compute_metrics=data.micro_scores,
        preprocess_logits_for_metrics=partial(_best_paths, tagger_model),
        callbacks=[EarlyStopping(arguments.early_stopping_patience), progress],
        optimizers=(_optimizer(tagger_model, arguments), None),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.train(resume_from_checkpoint=last_complete_checkpoint(output_dir))
    history = epoch_history(trainer.state.log_history)
    tagger = Tagger(tagger_model, tokenizer)
    return TrainingResult(
        tagger, tagger.evaluate(source.sentences("validation")), history, _settings(arguments)
    )


def last_complete_checkpoint(output_dir: Path) -> str | None:
    """Return the latest checkpoint that was written to its end, ``None`` if there is none."""
    states = output_dir.glob(f"checkpoint-*/{TRAINER_STATE_NAME}")
    complete = sorted((state.parent for state in states), key=lambda folder: int(folder.name.split("-")[1]))
    return str(complete[-1]) if complete else None


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """Early stopping that starts counting once anything is found: a CRF predicts only ``O`` at first."""

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any
    ) -> None:
        if metrics["eval_f1"] > 0:
            super().on_evaluate(args, state, control, metrics, **kwargs)


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose evaluation keeps the order of its dataset, which the metrics rely on."""

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        if self.args.world_size <= 1:
            return torch.utils.data.SequentialSampler(eval_dataset)
        return None


class _Data:
    """The training and validation rows of a source for one model, and the scores on the latter."""

    def __init__(self, source: NerSource, tokenizer: PreTrainedTokenizerBase, model: CrfTagger) -> None:
        self.source = source
        self.words = WordTokenizer(tokenizer, model.config.window_length)
        self.tags = model.config.tags
        self.tag_ids = model.config.label2id
        self.gold = [(len(s.tokens), s.entities) for s in source.sentences("validation")]
        rows = self.rows("validation", cut_at_entities=False)
        longest_first = sorted(range(len(rows)), key=lambda i, lengths=rows["length"]: -lengths[i])  # type: ignore[misc]
        self.validation_rows = rows.select(longest_first)

    def rows(self, split: str, *, cut_at_entities: bool = True) -> Dataset:
        """Return one row a window; windows to predict on are cut without knowledge of the entities."""

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
        return rows.map(
            encode,
            batched=True,
            with_indices=True,
            remove_columns=rows.column_names,
            features=_ROW_FEATURES,
            load_from_cache_file=False,
            desc=f"{self.source.name} {split}: pieces",
        )

    def micro_scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Put the windows' paths together into sentences and score them against the gold entities."""
        pieces: dict[int, list[tuple[Window, list[Entity]]]] = {}
        for row, path in zip(self.validation_rows, prediction.predictions, strict=True):
            window = Window(row["sentence"], [], row["words"], row["word_positions"], row["joins"])
            found = read_entities(window, [self.tags[tag] for tag in path[: len(window.words)]])
            pieces.setdefault(window.sentence, []).append((window, found))
        predicted = []
        for index in range(len(self.gold)):
            parts = sorted(pieces.get(index, ()), key=lambda part: part[0].words[0])
            predicted.append(join_windows([window for window, _ in parts], [found for _, found in parts]))
        scores = score_entities([gold for _, gold in self.gold], predicted, [n for n, _ in self.gold])
        return {"f1": scores.micro.f1, "precision": scores.micro.precision, "recall": scores.micro.recall}


def _best_paths(model: CrfTagger, emissions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return model.crf.viterbi(emissions, labels != -100)


def _optimizer(model: CrfTagger, arguments: TaggerTrainingArguments) -> torch.optim.Optimizer:
    head = model.head_parameters()
    encoder = list(model.encoder.parameters())
    groups = [
        {"params": [p for p in encoder if p.ndim >= 2], "weight_decay": arguments.weight_decay},
        {"params": [p for p in encoder if p.ndim < 2], "weight_decay": 0.0},
        {"params": head, "lr": arguments.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=arguments.learning_rate)


def epoch_history(log_history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return loss and validation scores, an entry an epoch, from a Trainer's log."""
    epochs: dict[int, dict[str, float]] = {}
    for entry in log_history:
        record = epochs.setdefault(math.ceil(entry["epoch"]), {"epoch": math.ceil(entry["epoch"])})
        if "loss" in entry:
            record["loss"] = round(entry["loss"], 5)
        for name in ("f1", "precision", "recall"):
            if f"eval_{name}" in entry:
                record[name] = round(entry[f"eval_{name}"], 5)
    return [epochs[epoch] for epoch in sorted(epochs)]


def _settings(arguments: TaggerTrainingArguments) -> dict[str, Any]:
    names = (
        "learning_rate",
        "head_learning_rate",
        "num_train_epochs",
        "per_device_train_batch_size",
        "early_stopping_patience",
        "warmup_steps",
        "weight_decay",
        "seed",
    )
    return {name: getattr(arguments, name) for name in names}


def save_result(result: TrainingResult, path: Path) -> None:
    """Write the tagger, its validation scores and its history to a folder."""
    result.tagger.save_pretrained(path)
    record = {
        "validation": result.validation.to_dict(),
        "history": result.history,
        "arguments": result.arguments,
    }
    (path / HISTORY_FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def load_result(path: Path) -> TrainingResult:
    """Read what :func:`save_result` wrote."""
    record = json.loads((path / HISTORY_FILE).read_text(encoding="utf-8"))
    return TrainingResult(
        Tagger.from_pretrained(path),
        Scores.from_dict(record["validation"]),
        record["history"],
        record["arguments"],
    )
