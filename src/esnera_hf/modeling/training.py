"""Training taggers: of one corpus, and of several sources as one joint tagger."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils import SAFE_WEIGHTS_NAME

from esnera_hf.candidates import PartialAnnotation
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope
from esnera_hf.modeling.arguments import TaggerTrainingArguments, TrainingLike, choose_arguments
from esnera_hf.modeling.checkpoints import CheckpointRecorder, best_of_stopped, last_whole_checkpoint
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.partial import PartialTagger
from esnera_hf.modeling.partial_data import PartialCollator, partial_rows
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.progress import TrainingProgress
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training_data import FIGURES, TrainingData
from esnera_hf.sources import NerSource
from esnera_hf.tagging import iob2_tag_set


def fit_tagger(
    source: NerSource,
    encoder: str,
    output_dir: Path,
    training: TrainingLike | None = None,
    scope: Scope | None = None,
    annotation: PartialAnnotation | None = None,
) -> Tagger:
    """Train a tagger on the train split of a source; its validation split chooses the epoch.

    A training that was interrupted goes on from its last checkpoint in
    ``output_dir``.

    Args:
        source: the corpus.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints go.
        training: settings that win over those chosen for encoder and corpus.
        scope: for a merged corpus, the labels that count in the validation
            scores, by source of a sentence.
        annotation: for a merged corpus, the labels that its sources leave open;
            the annotation is taken for whole if not given.

    Returns:
        The tagger of the best epoch. Its record holds ``validation`` scores,
        ``history`` (per epoch: ``epoch``, training ``loss``, and ``f1``,
        ``precision``, ``recall`` on validation, micro) and the ``arguments`` that mattered.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: a setting cannot be set, or nothing is left to train on or to choose by.
    """
    base, tokenizer = load_encoder(encoder)
    arguments = choose_arguments(base, len(source.dataset["train"]), str(output_dir), training or {})
    set_seed(arguments.seed)
    kind = CrfTagger if annotation is None else PartialTagger
    limit = window_length(base, tokenizer, arguments.window_length)
    model = kind.from_encoder(base, iob2_tag_set(source.labels), window_length=limit)
    data = TrainingData(source, tokenizer, model, scope)
    if annotation is None or not isinstance(model, PartialTagger):
        rows, trained = data.rows("train"), model
    else:
        rows, trained = partial_rows(data, model, annotation), model.trained()
    trainer = TaggerTrainer(
        model,
        arguments,
        rows,
        data.validation_rows,
        data_collator=PartialCollator(data.pad_id),
        compute_metrics=data.micro_scores,
        preprocess_logits_for_metrics=partial(_best_paths, model),
    )
    trainer.fit(source.name)
    tagger = Tagger(trained.eval(), tokenizer)
    return tagger.with_record(
        validation=tagger.evaluate(source.sentences("validation"), scope).to_dict(),
        history=epoch_history(trainer.state.log_history),
        arguments=arguments.reported(),
    )


def _best_paths(model: CrfTagger, emissions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return model.crf.viterbi(emissions, labels != -100)


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose evaluation keeps the order of its dataset, which the metrics rely on.

    Args:
        model: with an ``encoder`` and ``head_parameters``.
        arguments: of the training.
        rows: to train on.
        validation_rows: to choose the epoch by.
        **options: of the Trainer.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TaggerTrainingArguments,
        rows: Dataset,
        validation_rows: Dataset,
        **options: Any,
    ) -> None:
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            eval_dataset=validation_rows,
            # Whoever stops a training after a checkpoint finds that recorded.
            callbacks=[CheckpointRecorder(), EarlyStopping(arguments.early_stopping_patience)],
            optimizers=(tagger_optimizer(model, arguments), None),
            **options,
        )
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)

    def fit(self, name: str) -> None:
        """Train from the last checkpoint on.

        Args:
            name: of the data, for the progress bar.

        Raises:
            ConfigurationError: all rows together are less than a batch, and those are to be dropped.
        """
        self.add_callback(TrainingProgress(name))
        arguments, rows = self.args, len(self.train_dataset)
        batch = arguments.train_batch_size * arguments.world_size
        if arguments.dataloader_drop_last and rows < batch:
            raise ConfigurationError(
                f"dataloader_drop_last=True leaves nothing to train on: expected at least a batch of {batch} windows, "
                f"found {rows}. Leave it out, or set per_device_train_batch_size lower."
            )
        checkpoint = last_whole_checkpoint(Path(arguments.output_dir))
        # The Trainer notes the epochs begun, so 3 of 2.5; steps, if they are given, come before epochs.
        planned = (
            {"max_steps": arguments.max_steps}
            if arguments.max_steps > 0
            else {"num_train_epochs": math.ceil(arguments.num_train_epochs)}
        )
        best = checkpoint and best_of_stopped(Path(checkpoint), planned, arguments.early_stopping_patience)
        if not best:
            self.train(resume_from_checkpoint=checkpoint)
            return
        # The Trainer would train another epoch: it forgets that it was told to stop.
        self.state = TrainerState.load_from_json(os.path.join(str(checkpoint), TRAINER_STATE_NAME))
        self.model.load_state_dict(load_file(best / SAFE_WEIGHTS_NAME))

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        if self.args.world_size <= 1:
            return torch.utils.data.SequentialSampler(eval_dataset)
        return None


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """Early stopping that starts counting once anything is found: a CRF predicts only ``O`` at first."""

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any
    ) -> None:
        if metrics["eval_f1"] > 0:
            super().on_evaluate(args, state, control, metrics, **kwargs)


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


def epoch_history(log: Sequence[Mapping[str, Any]], sources: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return loss and validation scores per epoch, from a Trainer's log.

    Args:
        log: of the Trainer.
        sources: of a joint tagger: whose scores there are, too.
    """
    epochs: dict[int, dict[str, Any]] = {}
    for entry in log:
        epoch = math.ceil(entry["epoch"])
        record = epochs.setdefault(epoch, {"epoch": epoch})
        if "loss" in entry:
            record["loss"] = round(entry["loss"], 5)
        if "eval_f1" in entry:
            record |= {figure: round(entry[f"eval_{figure}"], 5) for figure in FIGURES}
        if "eval_f1" in entry and sources:
            record["sources"] = {
                name: {figure: round(entry[f"eval_{figure}/{name}"], 5) for figure in FIGURES}
                for name in sources
            }
    return [epochs[epoch] for epoch in sorted(epochs)]
