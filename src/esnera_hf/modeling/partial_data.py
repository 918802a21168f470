"""Partially annotated rows: which source each is of, and how many entity tokens its sources let expect."""

from __future__ import annotations

from collections import Counter
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
from esnera_hf.tagging import OUTSIDE


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
    tags = CandidateTags(data.tags, candidates, annotation.likelihood.pseudo_noise)
    sources = data.source.dataset["train"]["source"]
    unknown = sorted(set(sources) - set(tags.sources))
    if unknown:
        raise ConfigurationError(
            f"partial annotation: no candidate labels of {', '.join(unknown)}: expected those of every source, "
            f"found {', '.join(tags.sources)}."
        )
    rows = data.rows("train")
    model.learn_from(tags, annotation.likelihood, entity_ratio(data, annotation))
    return rows.add_column("candidates", [tags.sources[sources[index]] for index in rows["sentence"]])


def entity_ratio(data: TrainingData, annotation: PartialAnnotation) -> float:
    """Return the share of entity tokens that would be there if every source annotated every label.

    It adds up the shares of all labels, each over the tokens of the sources that
    annotate it; those of parts are left to a whole that some source annotates.
    """
    tokens: Counter[str] = Counter()
    inside: Counter[tuple[str, str]] = Counter()
    for batch in data.source.dataset["train"].select_columns(["source", "ner_tags"]).iter(batch_size=1000):
        for source, tags in zip(batch["source"], batch["ner_tags"], strict=True):
            tokens[source] += len(tags)
            inside.update((source, tag[2:]) for tag in tags if tag != OUTSIDE)
    shares = 0.0
    entities = [known.entities for known in annotation.candidates.values()]
    parts = {part for known in entities for whole, parts in known.items() for part in parts if part != whole}
    for label in sorted({label for known in entities for label in known} - parts):
        annotating = [name for name, known in annotation.candidates.items() if label in known.entities]
        read = sum(tokens[name] for name in annotating)
        shares += sum(inside[name, label] for name in annotating) / read if read else 0.0
    return min(shares, 1.0)


class PartialCollator(TaggingCollator):
    """Pads training rows and says of which source each is, where that is known."""

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(list(rows))
        if "candidates" in rows[0]:
            batch["candidates"] = torch.tensor([row["candidates"] for row in rows])
        return batch
