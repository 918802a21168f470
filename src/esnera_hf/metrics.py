"""Entity-level precision, recall and F1, strict: boundaries and label must agree.

Computed by seqeval (mode ``strict``, scheme IOB2). Labels are numbered before
seqeval sees them, since it trims hyphens off label names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2

from esnera_hf.tagging import OUTSIDE, Entity, split_tag, tags_from_entities

#: The labels that count in the sentences of a source, by name of the source; others are no errors there.
#: A mapping of labels says what each counts as: where a source annotates PRODUCT alone, a book is one.
Scope = Mapping[str, Collection[str] | Mapping[str, str]]


def scoped(entities: Sequence[Entity], source: str, scope: Scope | None) -> list[Entity]:
    """Return the entities whose label counts in a sentence of a source, as what counts; all without a scope."""
    if scope is None:
        return list(entities)
    labels = scope[source]
    counted = [entity for entity in entities if entity.label in labels]
    if not isinstance(labels, Mapping):
        return counted
    return [replace(entity, label=labels[entity.label]) for entity in counted]


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

    def __str__(self) -> str:
        f1 = f"micro-F1 {self.micro.f1:.3f}, macro-F1 {self.macro_f1:.3f}"
        return f"{f1} on {self.micro.support:,} entities"

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scores:
        """Rebuild scores from :meth:`to_dict`."""
        labels = {label: LabelScore(**score) for label, score in data["by_label"].items()}
        return cls(LabelScore(**data["micro"]), data["macro_f1"], labels)


def check_lengths(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> None:
    """Check that there is a predicted tag for every reference tag.

    Raises:
        ValueError: the sentences differ in number or in length.
    """
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
    inside tag opens an entity.

    Args:
        tags: one IOB2 tag a token.

    Raises:
        TagError: a tag is not of IOB2.
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
    """Score IOB2 tag sequences.

    Args:
        references: gold tags, a list a sentence.
        predictions: predicted tags, of the same lengths.

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
