"""Training the taggers of several sources as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import concatenate_datasets
from torch import Tensor
from transformers import EvalPrediction, PreTrainedTokenizerBase, set_seed

from esnera_hf.metrics import Scores
from esnera_hf.modeling.arguments import TaggerTrainingArguments, choose_arguments
from esnera_hf.modeling.batching import TaggingCollator
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.modeling.joint_model import JointModel
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.sampling import TemperatureSampler
from esnera_hf.modeling.training import TaggerTrainer, fit, tagger_optimizer, training_callbacks
from esnera_hf.modeling.training_data import TrainingData
from esnera_hf.sources import NerSource
from esnera_hf.tagging import iob2_tag_set

_FIGURES = ("f1", "precision", "recall")


@dataclass(frozen=True)
class JointTrainingResult:
    """A trained joint tagger and how its training went.

    Attributes:
        tagger: with the weights of the best epoch.
        validation: scores of each head on the validation split of its source.
        history: an entry an epoch: ``epoch``, ``loss`` (training), ``f1``,
            ``precision``, ``recall`` (validation, micro, means over the
            sources), and ``sources``: the same three by source.
        arguments: the settings that mattered.
    """

    tagger: JointTagger
    validation: dict[str, Scores]
    history: list[dict[str, Any]]
    arguments: dict[str, Any]


def train_joint_tagger(
    sources: Sequence[NerSource],
    encoder: str,
    output_dir: Path,
    overrides: Mapping[str, Any] | None = None,
) -> JointTrainingResult:
    """Train one encoder with a head a source on the train splits of all of them.

    An epoch has as many rows as all train splits together, drawn by
    :class:`TemperatureSampler`. The mean over sources of the micro-F1 on their
    validation splits chooses the epoch, so that each counts alike. A training
    that was interrupted goes on from its last checkpoint in ``output_dir``.

    Args:
        sources: the corpora, of different names.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints and the history go.
        overrides: arguments of :class:`TaggerTrainingArguments`.

    Raises:
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: an override is unknown.
    """
    base, tokenizer = load_encoder(encoder)
    sentences = sum(len(source.dataset["train"]) for source in sources)
    arguments = choose_arguments(base, sentences, str(output_dir), overrides or {})
    set_seed(arguments.seed)
    limit = window_length(base, tokenizer)
    model = JointModel.from_encoder(
        base,
        {source.name: iob2_tag_set(source.labels) for source in sources},
        window_length=min(arguments.window_length or limit, limit),
    )
    names = [source.name for source in sources]
    trainer = _trainer(model, JointData(sources, tokenizer, model), arguments, ", ".join(names))
    fit(trainer, output_dir)
    tagger = JointTagger(model, tokenizer)
    return JointTrainingResult(
        tagger,
        {
            source.name: tagger.head(source.name).evaluate(source.sentences("validation"))
            for source in sources
        },
        joint_history(trainer.state.log_history, names),
        {**arguments.reported(), "sampling_exponent": arguments.sampling_exponent},
    )


def _trainer(
    model: JointModel, data: JointData, arguments: TaggerTrainingArguments, name: str
) -> JointTrainer:
    return JointTrainer(
        model=model,
        args=arguments,
        train_dataset=data.train_rows,
        eval_dataset=data.validation_rows,
        data_collator=JointCollator(data.pad_id),
        compute_metrics=data.mean_scores,
        preprocess_logits_for_metrics=partial(_best_paths, model),
        callbacks=training_callbacks(arguments, name),
        optimizers=(tagger_optimizer(model, arguments), None),
    )


class JointData:
    """The training and validation rows of several sources, each with its head, and the scores on the latter.

    Args:
        sources: the corpora, in the order of the model's heads.
        tokenizer: of the model's encoder.
        model: the model to train.
    """

    def __init__(
        self, sources: Sequence[NerSource], tokenizer: PreTrainedTokenizerBase, model: JointModel
    ) -> None:
        self.pad_id: int = tokenizer.pad_token_id
        self.parts = {
            source.name: TrainingData(source, tokenizer, model.head_model(index))
            for index, source in enumerate(sources)
        }
        self.train_rows = _with_heads([part.rows("train") for part in self.parts.values()])
        self.validation_rows = _with_heads([part.validation_rows for part in self.parts.values()])

    def mean_scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Score the paths of each source's rows and return the means, and each source's own."""
        scores: dict[str, float] = {}
        start = 0
        for name, part in self.parts.items():
            end = start + len(part.validation_rows)
            own = part.micro_scores(EvalPrediction(prediction.predictions[start:end], None))
            scores |= {f"{figure}/{name}": own[figure] for figure in _FIGURES}
            start = end
        means = {
            figure: float(np.mean([scores[f"{figure}/{name}"] for name in self.parts])) for figure in _FIGURES
        }
        return {**means, **scores}


class JointCollator(TaggingCollator):
    """Pads training rows and adds the head of each."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        return {**super().__call__(rows), "heads": torch.tensor([row["head"] for row in rows])}


class JointTrainer(TaggerTrainer):
    """A Trainer that draws its rows from several sources."""

    def _get_train_sampler(self, train_dataset: Any = None) -> TemperatureSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        lengths: dict[int, list[int]] = {}
        for head, length in zip(rows["head"], rows["length"], strict=True):
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


def _best_paths(model: JointModel, outputs: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
    emissions, heads = outputs
    return model.best_paths(emissions, heads, labels != -100)


def _with_heads(parts: list[Any]) -> Any:
    return concatenate_datasets(
        [rows.add_column("head", np.full(len(rows), index)) for index, rows in enumerate(parts)]
    )


def joint_history(log_history: list[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return loss and validation scores, means and by source, an entry an epoch, from a Trainer's log."""
    epochs: dict[int, dict[str, Any]] = {}
    for entry in log_history:
        epoch = math.ceil(entry["epoch"])
        record = epochs.setdefault(epoch, {"epoch": epoch, "sources": {}})
        if "loss" in entry:
            record["loss"] = round(entry["loss"], 5)
        if "eval_f1" in entry:
            record |= {figure: round(entry[f"eval_{figure}"], 5) for figure in _FIGURES}
            record["sources"] = {
                name: {figure: round(entry[f"eval_{figure}/{name}"], 5) for figure in _FIGURES}
                for name in names
            }
    return [epochs[epoch] for epoch in sorted(epochs)]


def save_joint_result(result: JointTrainingResult, path: Path) -> None:
    """Write the joint tagger, its validation scores and its history to a folder."""
    record = {
        "validation": {name: scores.to_dict() for name, scores in result.validation.items()},
        "history": result.history,
        "arguments": result.arguments,
    }
    JointTagger(result.tagger.model, result.tagger.tokenizer, record).save_pretrained(path)
