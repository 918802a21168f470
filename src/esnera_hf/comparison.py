"""Two taggers on the same sentences: F1 before and after, with intervals by bootstrap over sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf.tagging import Entity

RESAMPLES = 1000
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
        before: F1 of the first tagger.
        after: F1 of the second.
        change: after minus before, resampled in pairs.
    """

    support: int
    before: Estimate
    after: Estimate
    change: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Rebuild a comparison from :meth:`to_dict`."""
        estimates = {name: Estimate(**data[name]) for name in ("before", "after", "change")}
        return cls(data["support"], **estimates)


def count_matches(
    gold: Iterable[Sequence[Entity]], predicted: Iterable[Sequence[Entity]], labels: Sequence[str]
) -> NDArray[np.int32]:
    """Count entities found, predicted and annotated, sentence by sentence; boundaries and label must agree.

    Args:
        gold: annotated entities, a list a sentence.
        predicted: predicted entities, as many lists.
        labels: what is counted.

    Returns:
        Shape (sentences, labels, 3).
    """
    position = {label: index for index, label in enumerate(labels)}
    rows = []
    for annotated, found in zip(gold, predicted, strict=True):
        counts = np.zeros((len(labels), 3), dtype=np.int32)
        wanted = set(annotated)
        for entity in annotated:
            counts[position[entity.label], GOLD] += 1
        for entity in found:
            counts[position[entity.label], PREDICTED] += 1
            counts[position[entity.label], MATCHED] += entity in wanted
        rows.append(counts)
    return np.stack(rows) if rows else np.zeros((0, len(labels), 3), dtype=np.int32)


def f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return F1 of counts of shape (..., 3); NaN where nothing is annotated or predicted."""
    total = counts[..., PREDICTED] + counts[..., GOLD]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 2 * counts[..., MATCHED] / total, np.nan)


def compare(
    before: NDArray[np.int32], after: NDArray[np.int32], labels: Sequence[str], seed: int = 0
) -> tuple[Comparison, dict[str, Comparison]]:
    """Compare two taggers over all labels (micro-F1) and label by label.

    Args:
        before: counts of the first tagger, shape (sentences, labels, 3).
        after: counts of the second on the same sentences.
        labels: the names of the labels.
        seed: of the resampling.

    Returns:
        The comparison over all labels, and by label.
    """
    if before.shape != after.shape:
        raise ValueError(f"counts of shapes {before.shape} and {after.shape}: expected the same sentences")
    columns = np.stack([_with_micro(before), _with_micro(after)], axis=1)
    values = f1(columns.sum(axis=0, dtype=np.int64))
    resampled = f1(resample(columns, seed))
    found = [
        Comparison(
            int(columns[:, 0, index, GOLD].sum()),
            _estimate(values[0, index], resampled[:, 0, index]),
            _estimate(values[1, index], resampled[:, 1, index]),
            _estimate(values[1, index] - values[0, index], resampled[:, 1, index] - resampled[:, 0, index]),
        )
        for index in range(len(labels) + 1)
    ]
    return found[0], dict(zip(labels, found[1:], strict=True))


def resample(counts: NDArray[Any], seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Return sums of counts over sentences drawn with replacement, shape (resamples, ...)."""
    draw = np.random.default_rng(seed)
    sentences = len(counts)
    if not sentences:
        return np.zeros((resamples, *counts.shape[1:]))
    flat = counts.reshape(sentences, -1).astype(np.float64)
    parts = []
    for start in range(0, resamples, _AT_ONCE):
        times = min(_AT_ONCE, resamples - start)
        weights = draw.multinomial(sentences, np.full(sentences, 1 / sentences), size=times)
        parts.append(weights @ flat)
    return np.concatenate(parts).reshape(resamples, *counts.shape[1:])


def in_scope(entities: Iterable[Entity], labels: Collection[str]) -> list[Entity]:
    """Return the entities whose label is one of those that count."""
    return [entity for entity in entities if entity.label in labels]


def renamed(entities: Iterable[Entity], names: Mapping[str, str | None]) -> list[Entity]:
    """Return entities under other labels; those without a new label are left out."""
    found = []
    for entity in entities:
        name = names.get(entity.label)
        if name is not None:
            found.append(Entity(entity.start, entity.end, name, entity.score))
    return found


def _with_micro(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([counts.sum(axis=1, keepdims=True, dtype=np.int32), counts], axis=1)


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    known = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(known):
        return Estimate(None, None, None)
    low, high = np.percentile(known, _INTERVAL)
    return Estimate(round(float(value), 6), round(float(low), 6), round(float(high), 6))
