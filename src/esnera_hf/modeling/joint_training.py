"""Training the taggers of several sources as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from torch import Tensor
from transformers import EvalPrediction, PreTrainedTokenizerBase, set_seed

from esnera_hf.modeling.arguments import TrainingLike, choose_arguments
from esnera_hf.modeling.batching import TaggingCollator
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.modeling.joint_model import JointModel
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.sampling import TemperatureSampler
from esnera_hf.modeling.training import TaggerTrainer, epoch_history
from esnera_hf.modeling.training_data import FIGURES, TrainingData
from esnera_hf.sources import NerSource
from esnera_hf.tagging import iob2_tag_set


def fit_joint_tagger(
    sources: Sequence[NerSource], encoder: str, output_dir: Path, training: TrainingLike | None = None
) -> JointTagger:
    """Train one encoder with a head per source on the train splits of all of them.

    An epoch has as many rows as all train splits together, drawn by
    :class:`TemperatureSampler`. The mean over sources of the micro-F1 on their
    validation splits chooses the epoch, so that each counts alike. A training
    that was interrupted goes on from its last checkpoint in ``output_dir``.

    Args:
        sources: the corpora, of different names.
        encoder: folder or Hub id of a pretrained encoder.
        output_dir: where checkpoints go.
        training: settings that win over those chosen for encoder and corpora.

    Returns:
        The tagger of the best epoch. Its record holds ``validation`` scores by
        source, ``history`` (per epoch: ``epoch``, training ``loss``, ``f1``,
        ``precision``, ``recall`` on validation, micro, as means over the sources,
        and by ``sources``) and the ``arguments`` that mattered.

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
    trainer = JointTrainer(
        model,
        arguments,
        data.train_rows,
        data.validation_rows,
        data_collator=JointCollator(data.pad_id),
        compute_metrics=data.mean_scores,
        preprocess_logits_for_metrics=partial(_best_joint_paths, model),
    )
    names = [source.name for source in sources]
    trainer.fit(", ".join(names))
    tagger = JointTagger(model, tokenizer)
    scores = (tagger.head(source.name).evaluate(source.sentences("validation")) for source in sources)
    record = {
        "validation": {name: own.to_dict() for name, own in zip(names, scores, strict=True)},
        "history": epoch_history(trainer.state.log_history, names),
        "arguments": {**arguments.reported(), "sampling_exponent": arguments.sampling_exponent},
    }
    return JointTagger(model, tokenizer, record)


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
            scores |= {f"{figure}/{name}": own[figure] for figure in FIGURES}
            start = end
        means = {
            figure: float(np.mean([scores[f"{figure}/{name}"] for name in self.parts])) for figure in FIGURES
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


def _best_joint_paths(model: JointModel, outputs: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
    emissions, heads = outputs
    return model.best_paths(emissions, heads, labels != -100)


def _with_heads(parts: Sequence[Dataset]) -> Dataset:
    return concatenate_datasets(
        [rows.add_column("head", np.full(len(rows), index)) for index, rows in enumerate(parts)]
    )
