"""What cards are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import DatasetDict

from esnera_hf.alignment import LabelMapping
from esnera_hf.licensing import Terms
from esnera_hf.report import Report
from esnera_hf.similarity import SimilarityMatrix


@dataclass(frozen=True)
class DatasetCardFacts:
    """What the card of a merged dataset, or of its recipe, is made from.

    Attributes:
        repo_id: ``owner/name``.
        report: the account of the alignment.
        mapping: source labels to unified labels.
        terms: the licence of the whole and why.
        configs: the configurations by name; the first one, ``merged``, is the
            merged dataset, others hold the same columns.
        similarity: the similarities, if any were measured.
        text: whether the dataset is published; if not, the card holds
            statistics and no mention, and says how to make the dataset again.
    """

    repo_id: str
    report: Report
    mapping: LabelMapping
    terms: Terms
    configs: Mapping[str, DatasetDict] = field(repr=False)
    similarity: SimilarityMatrix | None = field(default=None, repr=False)
    text: bool = True

    @property
    def merged(self) -> DatasetDict:
        """The merged dataset."""
        return next(iter(self.configs.values()))


@dataclass(frozen=True)
class ModelCardFacts:
    """What the card of a tagger is made from.

    Attributes:
        repo_id: ``owner/name``.
        tagger_labels: the labels it predicts.
        base_encoder: Hub id of the encoder, ``""`` if it was a local folder.
        report: of the alignment, ``None`` for a tagger of a single source.
        mapping: what its labels merge, likewise.
        terms: the licence of the training data and why.
        record: how training went: ``validation`` (scores), ``history``,
            ``arguments``; empty where it is not known.
        dataset_repo: Hub id of the merged dataset, if it is published.
        sources: summaries of the sources, where there is no report.
    """

    repo_id: str
    tagger_labels: Sequence[str]
    base_encoder: str
    report: Report | None
    mapping: LabelMapping | None
    terms: Terms
    record: Mapping[str, Any]
    dataset_repo: str = ""
    sources: Sequence[Mapping[str, Any]] = ()

    @property
    def summaries(self) -> Sequence[Mapping[str, Any]]:
        """Summaries of the sources it was trained on."""
        return self.sources or (self.report.sources if self.report else ())
