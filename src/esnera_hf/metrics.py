"""Entity-level precision, recall and F1, strict: boundaries and label must agree.

Computed by seqeval (mode ``strict``, scheme IOB2). Labels are numbered before
seqeval sees them, since it trims hyphens off label names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas
from numpy.typing import NDArray
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from esnera_hf._internal.text import counted
from esnera_hf.tagging import OUTSIDE, Entity, split_tag, tags_from_entities

#: The labels that count in the sentences of a source, by name of the source; others are no errors there.
#: A mapping of labels says what each counts as: where a source annotates PRODUCT alone, a book is one.
Scope = Mapping[str, Collection[str] | Mapping[str, str]]


def scoped(entities: Sequence[Entity], source: str, scope: Scope | None) -> list[Entity]:
    """Return the entities whose label counts in a sentence of a source, as what counts; all without a scope."""
    if scope is None:
        return list(entities)
    labels = scope[source]
    return renamed(entities, labels if isinstance(labels, Mapping) else {label: label for label in labels})


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Precision, recall and F1 in [0, 1] and the number of gold entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Scores:
    """Scores by label and over all labels.

    Attributes:
        micro: over all entities.
        macro_f1: mean of the labels' F1.
        by_label: for every label that is annotated or predicted, sorted.
    """

    micro: LabelScore
    macro_f1: float
    by_label: dict[str, LabelScore]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per label, and one over all of them, ``(micro)``."""
        rows = {"(micro)": self.micro, **self.by_label}
        return pandas.DataFrame([{"label": label, **asdict(score)} for label, score in rows.items()])

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.3f}".format))

    def __str__(self) -> str:
        f1 = f"micro-F1 {self.micro.f1:.3f}, macro-F1 {self.macro_f1:.3f}"
        return f"{f1} on {counted(self.micro.support, 'entity')}"

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scores:
        """Rebuild scores from :meth:`to_dict`."""
        labels = {label: LabelScore(**score) for label, score in data["by_label"].items()}
        return cls(LabelScore(**data["micro"]), data["macro_f1"], labels)


def check_lengths(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> None:
    """Raise ValueError unless there is a predicted tag for every reference tag."""
    if len(references) != len(predictions):
        raise ValueError(f"{len(references)} reference sentences and {len(predictions)} predicted ones")
    for index, (gold, predicted) in enumerate(zip(references, predictions, strict=True)):
        if len(gold) != len(predicted):
            raise ValueError(
                f"sentence {index}: {len(gold)} reference tags and {len(predicted)} predicted ones"
            )


def strict_entities(tags: Sequence[str]) -> list[Entity]:
    """Read the entities that strict scoring counts: a begin tag and the inside tags of its label after it.

    :func:`esnera_hf.tagging.entities_from_tags` repairs instead: there a stray
    inside tag opens an entity. A tag that is not of IOB2 is a TagError.
    """
    entities = []
    start, label = -1, ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        role, name = split_tag(tag, "IOB2")
        if start >= 0 and not (role == "I" and name == label):
            entities.append(Entity(start, index, label))
            start = -1
        if role == "B":
            start, label = index, name
    return entities


def score_tags(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> Scores:
    """Score IOB2 tags, a list a sentence.

    Raises:
        ValueError: the lengths differ, or a tag is not of IOB2.
    """
    check_lengths(references, predictions)
    tags = {tag for rows in (references, predictions) for row in rows for tag in row}
    split = {tag: split_tag(tag, "IOB2") for tag in tags - {OUTSIDE}}
    # An inside tag without a begin tag is no entity.
    labels = sorted({label for role, label in split.values() if role == "B"})
    if not labels:
        return Scores(LabelScore(0.0, 0.0, 0.0, 0), 0.0, {})
    # Of like length, so that their order is that of the names.
    numbers = {label: f"{index:05d}" for index, label in enumerate(labels)}
    numbered = {tag: f"{role}-{numbers[label]}" for tag, (role, label) in split.items() if label in numbers}
    arguments = [
        [[numbered.get(tag, OUTSIDE) for tag in row] for row in rows] for rows in (references, predictions)
    ]
    settings: dict[str, Any] = {"scheme": IOB2, "zero_division": 0}
    p, r, f, s = precision_recall_fscore_support(*arguments, average=None, **settings)
    micro = precision_recall_fscore_support(*arguments, average="micro", **settings)
    by_label = {
        label: LabelScore(float(p[i]), float(r[i]), float(f[i]), int(s[i])) for i, label in enumerate(labels)
    }
    total = LabelScore(float(micro[0]), float(micro[1]), float(micro[2]), int(sum(s)))
    return Scores(total, sum(score.f1 for score in by_label.values()) / len(by_label), by_label)


def score_entities(
    references: Sequence[Sequence[Entity]], predictions: Sequence[Sequence[Entity]], lengths: Sequence[int]
) -> Scores:
    """Score entities, a list a sentence, given the sentences' lengths in tokens."""
    return score_tags(
        [tags_from_entities(n, row) for n, row in zip(lengths, references, strict=True)],
        [tags_from_entities(n, row) for n, row in zip(lengths, predictions, strict=True)],
    )


#: Bins of confidence, of equal width, as they are usual (Guo et al. 2017).
_BINS = 15


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Return the expected calibration error: how far confidences are from the shares of predictions that are right.

    It is the mean, over predictions, of the difference between mean confidence and share in a prediction's bin of
    confidence. Where predictions are few, chance alone makes it 0.05 and more.

    Args:
        confidences: in [0, 1], one for each predicted mention.
        right: whether each is annotated, with the same label and borders.

    Returns:
        In [0, 1]; NaN without predictions.
    """
    if not len(confidences):
        return float("nan")
    sure, hit = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    number = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(number, sure - hit, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(sure))


#: Resamples of a bootstrap: the ends of a 95 % interval then rest on 25 of them each.
RESAMPLES = 1000
#: Resamples drawn at once, a part of all, which keeps the weights of a million sentences at 400 MB.
_AT_ONCE = 50
_INTERVAL = (2.5, 97.5)

#: Columns of the counts: entities found, predicted, annotated.
MATCHED, PREDICTED, GOLD = range(3)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; ``None`` where there is nothing to measure."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """F1 of two taggers on the same gold entities.

    Attributes:
        support: gold entities.
        before: F1 of the first tagger; of ``None`` if there is none, as is the change.
        after: F1 of the second.
        change: after minus before, resampled in pairs.
    """

    support: int
    before: Estimate
    after: Estimate
    change: Estimate


def count_matches(
    gold: Iterable[Sequence[Entity]], predicted: Iterable[Sequence[Entity]], labels: Sequence[str]
) -> NDArray[np.int32]:
    """Count entities found, predicted and annotated, shape (sentences, labels, 3); boundaries and label must agree."""
    position = {label: index for index, label in enumerate(labels)}
    rows = []
    for annotated, guessed in zip(gold, predicted, strict=True):
        counts = np.zeros((len(labels), 3), dtype=np.int32)
        for entity in annotated:
            counts[position[entity.label], GOLD] += 1
        for entity in guessed:
            counts[position[entity.label], PREDICTED] += 1
            counts[position[entity.label], MATCHED] += entity in annotated
        rows.append(counts)
    return np.stack(rows) if rows else np.zeros((0, len(labels), 3), dtype=np.int32)


def f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return F1 of counts of shape (..., 3); NaN where nothing is annotated or predicted."""
    total = counts[..., PREDICTED] + counts[..., GOLD]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 2 * counts[..., MATCHED] / total, np.nan)


def compare(
    before: NDArray[np.int32] | None, after: NDArray[np.int32], labels: Sequence[str]
) -> tuple[Comparison, dict[str, Comparison]]:
    """Compare two taggers over all labels (micro-F1), and label by label.

    Args:
        before: counts of the first tagger, shape (sentences, labels, 3); ``None`` if there is none.
        after: counts of the second on the same sentences.
    """
    if before is None:
        alone, rows = compare(after, after, labels)
        unknown = Estimate(None, None, None)
        micro, *by_label = (replace(row, before=unknown, change=unknown) for row in (alone, *rows.values()))
        return micro, dict(zip(labels, by_label, strict=True))
    if before.shape != after.shape:
        raise ValueError(f"counts of shapes {before.shape} and {after.shape}: expected the same sentences")
    columns = np.stack([before, after], axis=1)
    columns = np.concatenate([columns.sum(axis=2, keepdims=True, dtype=np.int32), columns], axis=2)
    values = f1(columns.sum(axis=0, dtype=np.int64))
    resampled = f1(resample(columns))
    micro, *by_label = [
        Comparison(
            int(columns[:, 0, index, GOLD].sum()),
            _estimate(values[0, index], resampled[:, 0, index]),
            _estimate(values[1, index], resampled[:, 1, index]),
            _estimate(values[1, index] - values[0, index], resampled[:, 1, index] - resampled[:, 0, index]),
        )
        for index in range(len(labels) + 1)
    ]
    return micro, dict(zip(labels, by_label, strict=True))


def resample(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return sums of counts over sentences drawn with replacement, shape (resamples, ...)."""
    draw = np.random.default_rng(0)
    sentences = len(counts)
    if not sentences:
        return np.zeros((RESAMPLES, *counts.shape[1:]))
    flat = counts.reshape(sentences, -1).astype(np.float64)
    shares = np.full(sentences, 1 / sentences)
    parts = [draw.multinomial(sentences, shares, size=_AT_ONCE) @ flat for _ in range(RESAMPLES // _AT_ONCE)]
    return np.concatenate(parts).reshape(RESAMPLES, *counts.shape[1:])


def renamed(entities: Iterable[Entity], names: Mapping[str, str | None]) -> list[Entity]:
    """Return entities under other labels; those without a new label are left out."""
    return [
        Entity(entity.start, entity.end, name, entity.score)
        for entity in entities
        if (name := names.get(entity.label)) is not None
    ]


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    resampled = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(resampled):
        return Estimate(None, None, None)
    low, high = np.percentile(resampled, _INTERVAL)
    # Six digits: those behind them differ from machine to machine.
    return Estimate(round(float(value), 6), round(float(low), 6), round(float(high), 6))
