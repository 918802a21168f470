"""Training a CRF tagger with the Trainer."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerState,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import SAFE_WEIGHTS_NAME

from esnera_hf.candidates import PartialAnnotation
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, Scores
from esnera_hf.modeling.arguments import TaggerTrainingArguments, choose_arguments
from esnera_hf.modeling.checkpoints import CheckpointRecorder, best_of_stopped, last_whole_checkpoint
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.partial import PartialTagger
from esnera_hf.modeling.partial_data import PartialCollator, partial_rows
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.progress import TrainingProgress
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training_data import TrainingData
from esnera_hf.sources import NerSource
from esnera_hf.tagging import iob2_tag_set


@dataclass(frozen=True)
class MergedTraining:
    """What the training of a merged corpus takes beyond that of a source.

    Attributes:
        scope: the labels that count in the validation scores, by source of a
            sentence.
        partial: what the sources leave open; the annotation is taken for whole if
            not given.
    """

    scope: Scope | None = None
    partial: PartialAnnotation | None = None


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


def train_tagger(
    source: NerSource,
    encoder: str,
    output_dir: Path,
    overrides: Mapping[str, Any] | None = None,
    merged: MergedTraining | None = None,
) -> TrainingResult:
    """Train a tagger on the train split of a source; its validation split chooses the epoch.

    A training that was interrupted goes on from its last checkpoint in
    ``output_dir``.

    Args:
        source: the corpus.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints and the history go.
        overrides: arguments of :class:`TaggerTrainingArguments`.
        merged: what more a merged corpus takes.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: an override is unknown, or nothing is left to train on or to choose by.
    """
    merged = merged or MergedTraining()
    model, tokenizer = load_encoder(encoder)
    arguments = choose_arguments(model, len(source.dataset["train"]), str(output_dir), overrides or {})
    set_seed(arguments.seed)
    limit = window_length(model, tokenizer)
    window = min(arguments.window_length or limit, limit)
    tags = iob2_tag_set(source.labels)
    tagger_model: CrfTagger
    if merged.partial is None:
        tagger_model = CrfTagger.from_encoder(model, tags, window_length=window)
        data = TrainingData(source, tokenizer, tagger_model, merged.scope)
        trainer = _trainer(tagger_model, data, data.rows("train"), arguments)
    else:
        partial_model = PartialTagger.from_encoder(model, tags, window_length=window)
        data = TrainingData(source, tokenizer, partial_model, merged.scope)
        trainer = _trainer(partial_model, data, partial_rows(data, partial_model, merged.partial), arguments)
        tagger_model = partial_model.trained()
    fit(trainer, output_dir)
    history = epoch_history(trainer.state.log_history)
    tagger = Tagger(tagger_model.eval(), tokenizer)
    validation = tagger.evaluate(source.sentences("validation"), merged.scope)
    return TrainingResult(tagger, validation, history, arguments.reported())


def _trainer(
    model: CrfTagger, data: TrainingData, rows: Dataset, arguments: TaggerTrainingArguments
) -> TaggerTrainer:
    return TaggerTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=data.validation_rows,
        data_collator=PartialCollator(data.pad_id),
        compute_metrics=data.micro_scores,
        preprocess_logits_for_metrics=partial(_best_paths, model),
        callbacks=training_callbacks(arguments, data.source.name),
        optimizers=(tagger_optimizer(model, arguments), None),
    )


def fit(trainer: Trainer, output_dir: Path) -> None:
    """Train from the last checkpoint on, without the Trainer's own log lines.

    Raises:
        ConfigurationError: all rows together are less than a batch, and those are to be dropped.
    """
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    checkpoint = last_whole_checkpoint(output_dir)
    given: Any = trainer.args
    batch = given.train_batch_size * given.world_size
    if given.dataloader_drop_last and len(trainer.train_dataset) < batch:
        raise ConfigurationError(
            f"dataloader_drop_last=True leaves nothing to train on: expected at least a batch of {batch} windows, "
            f"found {len(trainer.train_dataset)}. Leave it out, or set per_device_train_batch_size lower."
        )
    # The Trainer notes the epochs begun, so 3 of 2.5; steps, if they are given, come before epochs.
    planned = (
        {"max_steps": given.max_steps}
        if given.max_steps > 0
        else {"num_train_epochs": math.ceil(given.num_train_epochs)}
    )
    patience = given.early_stopping_patience
    best = None if checkpoint is None else best_of_stopped(Path(checkpoint), planned, patience)
    if best is None:
        trainer.train(resume_from_checkpoint=checkpoint)
        return
    # The Trainer would train another epoch: it forgets that it was told to stop.
    trainer.state = TrainerState.load_from_json(os.path.join(str(checkpoint), TRAINER_STATE_NAME))
    trainer.model.load_state_dict(load_file(best / SAFE_WEIGHTS_NAME))


def training_callbacks(arguments: TaggerTrainingArguments, name: str) -> list[TrainerCallback]:
    """Return the callbacks of a training; whoever stops it after a checkpoint finds that recorded."""
    return [CheckpointRecorder(), EarlyStopping(arguments.early_stopping_patience), TrainingProgress(name)]


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


def _best_paths(model: CrfTagger, emissions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return model.crf.viterbi(emissions, labels != -100)


def tagger_optimizer(model: PreTrainedModel, arguments: TaggerTrainingArguments) -> torch.optim.Optimizer:
    """Return the optimizer of a model with an ``encoder`` and ``head_parameters``, which learn faster."""
    head = model.head_parameters()
    encoder = list(model.encoder.parameters())
    groups = [
        {"params": [p for p in encoder if p.ndim >= 2], "weight_decay": arguments.weight_decay},
        {"params": [p for p in encoder if p.ndim < 2], "weight_decay": 0.0},
        {"params": head, "lr": arguments.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=arguments.learning_rate,
        betas=(arguments.adam_beta1, arguments.adam_beta2),
        eps=arguments.adam_epsilon,
    )


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


def save_result(result: TrainingResult, path: Path) -> None:
    """Write the tagger, its validation scores and its history to a folder."""
    result.tagger.with_record(
        validation=result.validation.to_dict(), history=result.history, arguments=result.arguments
    ).save_pretrained(path)
