"""Training taggers: of one corpus, and of several sources as one joint tagger."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader
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

from esnera_hf._internal.console import progress_bar
from esnera_hf.metrics import Scope
from esnera_hf.modeling.arguments import TaggerTrainingArguments, TrainingLike, choose_arguments
from esnera_hf.modeling.batches import MixedBatches
from esnera_hf.modeling.calibration import fit_temperatures
from esnera_hf.modeling.checkpoints import CheckpointRecorder, best_of_stopped, last_whole_checkpoint
from esnera_hf.modeling.encoders import load_encoder, window_length
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.joint import JointModel, JointTagger
from esnera_hf.modeling.partial import allowed_tags
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator
from esnera_hf.modeling.training_data import FIGURES, JointData, TrainingData
from esnera_hf.sources.partial_annotation import PartialAnnotation
from esnera_hf.sources.source import NerSource
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

    Args:
        source: the corpus.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints go, from the last of which an interrupted training goes on.
        training: settings that win over those chosen for encoder and corpus.
        scope: for a merged corpus, the labels that count in the validation
            scores, by source of a sentence; the mean over sources chooses the epoch.
        annotation: for a merged corpus, the labels that its sources leave open: the
            tagger learns how each source annotates, and what all of them say together.
            The annotation is taken for whole if not given.

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
    # Before the head is made, whose weights are drawn.
    set_seed(arguments.seed)
    limit = window_length(base, tokenizer, arguments.window_length)
    allowed = None if annotation is None else allowed_tags(source, annotation)
    model = CrfTagger.from_encoder(
        base,
        iob2_tag_set(source.labels),
        window_length=limit,
        sources=[] if allowed is None else allowed.annotated,
    )
    data = TrainingData(source, tokenizer, model, scope)
    data.collate = TaggingCollator(tokenizer.pad_token_id, sources=allowed is not None, evidence=allowed)
    kind = TaggerTrainer if allowed is None else JointTrainer
    trainer = kind(model, arguments, data.rows("train"), data)
    trainer.fit(source.name)
    tagger = Tagger(model.eval(), tokenizer)
    validation = list(source.sentences("validation"))
    temperature, *own_temperatures = fit_temperatures(tagger, validation, scope)
    model.config.confidence_temperature, model.config.source_temperatures = temperature, own_temperatures
    return tagger.with_record(
        validation=tagger.evaluate(validation, scope).to_dict(),
        history=epoch_history(trainer.state.log_history, sorted(scope or ())),
        arguments=arguments.reported(),
    )


def fit_joint_tagger(
    sources: Sequence[NerSource], encoder: str, output_dir: Path, training: TrainingLike | None = None
) -> JointTagger:
    """Train one encoder with a head per source on the train splits of all of them.

    An epoch has as many rows as all train splits together, drawn by
    :class:`~esnera_hf.modeling.batches.MixedBatches`. The mean over sources of the micro-F1 on their
    validation splits chooses the epoch, so that each counts alike.

    Args:
        sources: the corpora, of different names; all else as for :func:`fit_tagger`.

    Returns:
        The tagger of the best epoch. Its record is like that of a tagger, with ``validation`` scores by source, and
        in its ``history`` means over the sources, and figures by ``sources``.
    """
    base, tokenizer = load_encoder(encoder)
    sentences = sum(len(source.dataset["train"]) for source in sources)
    arguments = choose_arguments(base, sentences, str(output_dir), training or {})
    set_seed(arguments.seed)
    model = JointModel.from_encoder(
        base,
        {source.name: iob2_tag_set(source.labels) for source in sources},
        window_length=window_length(base, tokenizer, arguments.window_length),
    )
    data = JointData(sources, tokenizer, model)
    trainer = JointTrainer(model, arguments, data.train_rows, data)
    names = [source.name for source in sources]
    trainer.fit(", ".join(names))
    tagger = JointTagger(model, tokenizer)
    model.config.temperatures = [
        fit_temperatures(tagger.head(source.name), source.sentences("validation"))[0] for source in sources
    ]
    scores = (tagger.head(source.name).evaluate(source.sentences("validation")) for source in sources)
    record = {
        "validation": {name: own.to_dict() for name, own in zip(names, scores, strict=True)},
        "history": epoch_history(trainer.state.log_history, names),
        "arguments": {**arguments.reported(), "sampling_exponent": arguments.sampling_exponent},
    }
    return JointTagger(model, tokenizer, record)


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose evaluation keeps the order of its dataset, which the metrics rely on.

    Args:
        model: with an ``encoder`` and ``head_parameters``.
        rows: to train on.
        data: the rows to choose the epoch by, and scores on them.
    """

    def __init__(
        self,
        model: CrfTagger | JointModel,
        arguments: TaggerTrainingArguments,
        rows: Dataset,
        data: TrainingData | JointData,
    ) -> None:
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            eval_dataset=data.validation_rows,
            data_collator=data.collate,
            compute_metrics=data.scores,
            preprocess_logits_for_metrics=self.best_paths,
            # Whoever stops a training after a checkpoint finds that recorded.
            callbacks=[CheckpointRecorder(), EarlyStopping(arguments.early_stopping_patience)],
            optimizers=(tagger_optimizer(model, arguments), None),
        )
        # They print figures of every epoch to standard output, which belongs to the command's result.
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)

    def best_paths(self, emissions: Any, labels: Tensor) -> Tensor:
        """Return the best tag ids of a batch, shape (rows, words), -100 where masked."""
        paths: Tensor = self.model.crf.viterbi(emissions, labels != -100)
        return paths

    def fit(self, name: str) -> None:
        """Train from the last checkpoint on, with a progress bar that names the data."""
        self.add_callback(TrainingProgress(name))
        arguments = self.args
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
        # As the Trainer does at the end of a training that was not interrupted.
        self.model.load_state_dict(load_file(best / SAFE_WEIGHTS_NAME))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of an epoch, of all sources mixed and of like cost."""
        rows, arguments = self.train_dataset, self.args
        batches = MixedBatches(
            rows["length"],
            rows["sources"] if "sources" in rows.column_names else [0] * len(rows),
            arguments.train_batch_size,
            exponent=arguments.sampling_exponent,
            seed=arguments.seed if arguments.data_seed is None else arguments.data_seed,
            process=(arguments.process_index, arguments.world_size),
        )
        loader = DataLoader(
            rows,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            pin_memory=arguments.dataloader_pin_memory,
        )
        # The batches are shared out already: accelerate can do that for those of one size only.
        shared: DataLoader[Any] = prepare_data_loader(
            loader, self.accelerator.device, num_processes=1, process_index=0, put_on_device=True
        )
        return shared

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # The Trainer would sort them by length as in training, and scores go by position.
        if self.args.world_size <= 1:
            return torch.utils.data.SequentialSampler(eval_dataset)
        return None


class JointTrainer(TaggerTrainer):
    """A Trainer of a model with a head for each of several sources."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **options: Any) -> Any:
        """Compute the loss; of several processes each lets all heads have gradients, as the others wait for them."""
        computed = super().compute_loss(model, inputs, return_outputs=return_outputs, **options)
        if self.args.world_size == 1 or not model.training:
            return computed
        nothing = 0.0 * sum(parameter.sum() for parameter in self.model.head_parameters())
        return (computed[0] + nothing, computed[1]) if return_outputs else computed + nothing

    def best_paths(self, emissions: Any, labels: Tensor) -> Tensor:
        """Return the best tag ids of a batch, each row's by its own head."""
        logits, sources = emissions
        paths: Tensor = self.model.paths_of_rows(logits, sources, labels != -100)
        return paths


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """A progress bar over the steps of a training on named data, with the validation F1 of the epochs behind it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            title, done = f"train {self.name}", state.global_step
            self.bar = progress_bar(title, state.max_steps, unit="steps", initial=done)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_evaluate(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if self.bar is not None and state.epoch is not None:
            loss = next((e["loss"] for e in reversed(state.log_history) if "loss" in e), math.nan)
            f1 = kwargs["metrics"]["eval_f1"]
            self.bar.set_postfix_str(f"epoch {state.epoch:.0f}, loss {loss:.4f}, F1 {f1:.3f}")

    def on_train_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class EarlyStopping(EarlyStoppingCallback):  # type: ignore[misc]
    """Early stopping that starts counting once anything is found: a CRF predicts only ``O`` at first."""

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if kwargs["metrics"]["eval_f1"] > 0:
            super().on_evaluate(args, state, control, **kwargs)


def tagger_optimizer(model: PreTrainedModel, arguments: TaggerTrainingArguments) -> torch.optim.Optimizer:
    """Return the optimizer of a model with an ``encoder`` and ``head_parameters``, which learn faster."""
    # Biases and layer norms are not decayed, as in BERT's own training, nor is the small head.
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
        # On a CPU a step took 0.012 s instead of 0.10 for 19 million weights.
        fused=True,
    )


def epoch_history(log: Sequence[Mapping[str, Any]], sources: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return loss and validation scores per epoch, from a Trainer's log; of a joint tagger, those by source, too."""
    epochs: dict[int, dict[str, Any]] = {}
    for entry in log:
        # The loss may be logged a step before the epoch ends.
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
