"""Partially annotated rows, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from esnera_hf.candidates import PartialAnnotation
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.batching import TaggingCollator
from esnera_hf.modeling.partial import CandidateTags, PartialTagger
from esnera_hf.modeling.training_data import TrainingData


def partial_rows(data: TrainingData, model: PartialTagger, annotation: PartialAnnotation) -> Dataset:
    """Return the training rows with the source of each, and tell the model what sources leave open.

    Labels without a mention have no tags, and are no candidates.

    Args:
        data: of a merged corpus.
        model: to train on them.
        annotation: what is left open.

    Raises:
        ConfigurationError: it does not tell of a source of the rows.
    """
    labels = data.source.labels
    candidates = {name: known.restricted(labels) for name, known in annotation.candidates.items()}
    tags = CandidateTags(data.tags, candidates, annotation.pseudo_noise)
    sources = data.source.dataset["train"]["source"]
    unknown = sorted(set(sources) - set(tags.sources))
    if unknown:
        raise ConfigurationError(
            f"partial annotation: no candidate labels of {', '.join(unknown)}: expected those of every source, "
            f"found {', '.join(tags.sources)}."
        )
    rows = data.rows("train")
    model.candidate_tags = tags
    return rows.add_column("candidates", [tags.sources[sources[index]] for index in rows["sentence"]])


class PartialCollator(TaggingCollator):
    """Pads training rows and says of which source each is, where that is known."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(list(rows))
        if "candidates" in rows[0]:
            batch["candidates"] = torch.tensor([row["candidates"] for row in rows])
        return batch
