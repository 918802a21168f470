"""Training taggers: of one corpus, and of several sources as one joint tagger."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Sampler
from tqdm.auto import tqdm
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
from transformers.trainer_pt_utils import get_length_grouped_indices
from transformers.utils import SAFE_WEIGHTS_NAME

from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope
from esnera_hf.modeling.arguments import TaggerTrainingArguments, TrainingLike, choose_arguments
from esnera_hf.modeling.calibration import fit_temperature
from esnera_hf.modeling.checkpoints import CheckpointRecorder, best_of_stopped, last_whole_checkpoint
from esnera_hf.modeling.encoders import load_encoder, window_length
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.joint import JointModel, JointTagger
from esnera_hf.modeling.partial import partial_rows
from esnera_hf.modeling.tagger import Tagger
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
    # Before the head is made, whose weights are drawn.
    set_seed(arguments.seed)
    limit = window_length(base, tokenizer, arguments.window_length)
    model = CrfTagger.from_encoder(base, iob2_tag_set(source.labels), window_length=limit)
    data = TrainingData(source, tokenizer, model, scope)
    rows = data.rows("train") if annotation is None else partial_rows(data, annotation)
    trainer = TaggerTrainer(model, arguments, rows, data)
    trainer.fit(source.name)
    tagger = Tagger(model.eval(), tokenizer)
    model.config.confidence_temperature = fit_temperature(tagger, source.sentences("validation"), scope)
    return tagger.with_record(
        validation=tagger.evaluate(source.sentences("validation"), scope).to_dict(),
        history=epoch_history(trainer.state.log_history),
        arguments=arguments.reported(),
    )


def fit_joint_tagger(
    sources: Sequence[NerSource], encoder: str, output_dir: Path, training: TrainingLike | None = None
) -> JointTagger:
    """Train one encoder with a head per source on the train splits of all of them.

    An epoch has as many rows as all train splits together, drawn by
    :class:`TemperatureSampler`. The mean over sources of the micro-F1 on their
    validation splits chooses the epoch, so that each counts alike. A training
    that was interrupted goes on from its last checkpoint in ``output_dir``.

    Args:
        sources: the corpora, of different names; all else as for :func:`fit_tagger`.

    Returns:
        The tagger of the best epoch. Its record is like that of a tagger, with ``validation`` scores by source, and
        in its ``history`` means over the sources, and figures by ``sources``.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: a setting cannot be set.
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
        fit_temperature(tagger.head(source.name), source.sentences("validation")) for source in sources
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
        arguments: of the training.
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
        """Train from the last checkpoint on, with a progress bar that names the data.

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
        # As the Trainer does at the end of a training that was not interrupted.
        self.model.load_state_dict(load_file(best / SAFE_WEIGHTS_NAME))

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # The Trainer would sort them by length as in training, and scores go by position.
        if self.args.world_size <= 1:
            return torch.utils.data.SequentialSampler(eval_dataset)
        return None


class JointTrainer(TaggerTrainer):
    """A Trainer that draws its rows from several sources."""

    def _get_train_sampler(self, train_dataset: Any = None) -> TemperatureSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths: dict[int, list[int]] = {}
        for head, length in zip(rows["heads"], rows["length"], strict=True):
            lengths.setdefault(head, []).append(length)
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return TemperatureSampler(
            [lengths[head] for head in sorted(lengths)], batch, self.args.sampling_exponent, seed
        )

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **options: Any) -> Any:
        """Compute the loss; of several processes each lets all heads have gradients.

        The others wait for those of heads that are absent from this one's rows.
        """
        computed = super().compute_loss(model, inputs, return_outputs=return_outputs, **options)
        if self.args.world_size == 1 or not model.training:
            return computed
        nothing = 0.0 * sum(parameter.sum() for parameter in self.model.head_parameters())
        return (computed[0] + nothing, computed[1]) if return_outputs else computed + nothing

    def best_paths(self, emissions: Any, labels: Tensor) -> Tensor:
        """Return the best tag ids of a batch, each row's by its own head."""
        logits, heads = emissions
        paths: Tensor = self.model.best_paths(logits, heads, labels != -100)
        return paths


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """A progress bar over the steps of a training on named data, with the validation F1 of the epochs behind it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            title = f"train {self.name}"
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc=title, file=sys.stderr)

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


def quotas(sizes: Sequence[int], exponent: float) -> list[int]:
    """Return how many rows of each source make up an epoch: shares ∝ size^exponent of all rows.

    Args:
        sizes: rows of each source, each above 0.
        exponent: in [0, 1]: 1 leaves the sources as they are, 0 makes them equal.

    Returns:
        Numbers that add up to the sum of the sizes (largest remainders are rounded up).
    """
    total = sum(sizes)
    weights = np.array(sizes, dtype=np.float64) ** exponent
    shares = total * weights / weights.sum()
    whole = np.floor(shares).astype(int)
    remainders = shares - whole
    # An epoch is as long as one over all rows, so that its number of steps is known beforehand.
    for index in np.argsort(-remainders, kind="stable")[: total - whole.sum()]:
        whole[index] += 1
    return whole.tolist()  # type: ignore[no-any-return]


class TemperatureSampler(Sampler[int]):
    """Draws the rows of an epoch from several sources, and groups those of like length.

    The rows of a source are gone through in an order that is drawn anew each
    time all of them were used: none comes again before. Epoch, seed and sizes
    decide everything, so that a training that was interrupted goes on alike.

    Args:
        lengths: of the rows of each source; rows are numbered source by source.
        batch_size: rows per batch.
        exponent: see :func:`quotas`.
        seed: of the order.
    """

    def __init__(self, lengths: Sequence[Sequence[int]], batch_size: int, exponent: float, seed: int) -> None:
        self.lengths = [list(own) for own in lengths]
        self.quotas = quotas([len(own) for own in self.lengths], exponent)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return sum(self.quotas)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that is drawn next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        drawn: list[int] = []
        lengths: list[int] = []
        offset = 0
        for source, own in enumerate(self.lengths):
            rows = list(self._rows(source))
            drawn.extend(offset + row for row in rows)
            lengths.extend(own[row] for row in rows)
            offset += len(own)
        generator = torch.Generator().manual_seed(_seed(self.seed, self.epoch))
        order = get_length_grouped_indices(lengths, self.batch_size, generator=generator)
        yield from (drawn[index] for index in order)

    def _rows(self, source: int) -> Iterator[int]:
        """Yield the rows of a source in this epoch."""
        size = len(self.lengths[source])
        start = self.epoch * self.quotas[source]
        end = start + self.quotas[source]
        # An order of its own seed per lap: an interrupted training need not draw the earlier ones again.
        for lap in range(start // size, -(-end // size)):
            generator = torch.Generator().manual_seed(_seed(self.seed, source, lap))
            order = torch.randperm(size, generator=generator).tolist()
            yield from order[max(start - lap * size, 0) : end - lap * size]


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence([part % 2**32 for part in parts]).generate_state(1)[0])
