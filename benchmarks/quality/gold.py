"""Gold relations between labels of two corpora, and the label pairs they let us judge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from esnera_hf.tagging import LabelRef

Relation = Literal["equal", "subset", "superset", "overlap", "none"]
RELATIONS: tuple[Relation, ...] = ("equal", "subset", "superset", "overlap", "none")
_INVERSE: dict[Relation, Relation] = {"subset": "superset", "superset": "subset"}

#: Labels with fewer mentions are not judged.
FEWEST_MENTIONS = 10
_SURE = ("verified", "high")


@dataclass(frozen=True, slots=True)
class GoldPair:
    """Two labels of two corpora and what is known of them.

    Attributes:
        first: the one label.
        second: the other.
        relation: of the first to the second; ``none`` where the gold lists
            none for a pair of corpora that it lists.
        sure: whether that is verified, or of high confidence.
        kin: how the corpora are related.
        support: mentions of the rarer label.
    """

    first: LabelRef
    second: LabelRef
    relation: Relation
    sure: bool
    kin: str
    support: int


def read_gold(file: Path, labels: Sequence[LabelRef], support: Mapping[LabelRef, int]) -> list[GoldPair]:
    """Return every pair of labels with mentions enough, of the pairs of corpora that the gold lists.

    Args:
        file: ``[{a, b, label_a, label_b, relation, confidence, kin}, …]``.
        labels: of the corpora at hand.
        support: their mentions.
    """
    listed: dict[tuple[LabelRef, LabelRef], tuple[Relation, str]] = {}
    kin: dict[tuple[str, str], str] = {}
    for record in json.loads(file.read_text("utf-8")):
        a, b = LabelRef(record["a"], record["label_a"]), LabelRef(record["b"], record["label_b"])
        if a.source == b.source:
            continue
        relation: Relation = record["relation"]
        if a.source > b.source:
            a, b, relation = b, a, _INVERSE.get(relation, relation)
        listed[a, b] = relation, record.get("confidence", "high")
        kin.setdefault((a.source, b.source), record.get("kin", "independent"))
    by_source: dict[str, list[LabelRef]] = {}
    for label in labels:
        if support[label] >= FEWEST_MENTIONS:
            by_source.setdefault(label.source, []).append(label)
    pairs = []
    for (a, b), kinship in sorted(kin.items()):
        if a in by_source and b in by_source:
            for one in by_source[a]:
                for other in by_source[b]:
                    relation, confidence = listed.get((one, other), ("none", "high"))
                    rarer = min(support[one], support[other])
                    pairs.append(GoldPair(one, other, relation, confidence in _SURE, kinship, rarer))
    return pairs


def closed(pairs: Sequence[GoldPair]) -> list[GoldPair]:
    """Return the pairs, those that the gold itself entails a relation of with it instead of none.

    Equal labels have the same parts and wholes, and a part of a part is a part.
    """
    one: dict[LabelRef, LabelRef] = {}

    def group(label: LabelRef) -> LabelRef:
        while one.get(label, label) != label:
            label = one[label]
        return label

    sure = [pair for pair in pairs if pair.sure]
    for pair in sure:
        if pair.relation == "equal":
            one[group(pair.first)] = group(pair.second)
    parts = {(group(p.first), group(p.second)) for p in sure if p.relation == "subset"}
    parts |= {(group(p.second), group(p.first)) for p in sure if p.relation == "superset"}
    while new := {(a, d) for a, b in parts for c, d in parts if b == c} - parts:
        parts |= new

    def entailed(pair: GoldPair) -> Relation:
        a, b = group(pair.first), group(pair.second)
        return (
            "equal" if a == b else "subset" if (a, b) in parts else "superset" if (b, a) in parts else "none"
        )

    return [replace(pair, relation=entailed(pair)) if pair.relation == "none" else pair for pair in pairs]


def truth(pairs: Sequence[GoldPair]) -> np.ndarray:
    """Return which pairs are equal, bool, shape (pairs,)."""
    return np.array([pair.relation == "equal" for pair in pairs], dtype=bool)


def read_traps(file: Path) -> list[tuple[LabelRef, LabelRef]]:
    """Return pairs of labels that look alike and must not be merged."""
    return [
        (LabelRef(record["a"], record["label_a"]), LabelRef(record["b"], record["label_b"]))
        for record in json.loads(file.read_text("utf-8"))
    ]


def read_coarse(file: Path) -> dict[LabelRef, str]:
    """Return the coarse class of each label that a file lists.

    Args:
        file: ``{source: {label: class}}`` or ``{"source:label": class}``.
    """
    classes: dict[LabelRef, str] = {}
    for name, value in json.loads(file.read_text("utf-8")).items():
        if isinstance(value, dict):
            classes |= {LabelRef(name, label): coarse for label, coarse in value.items()}
        else:
            source, _, label = name.partition(":")
            classes[LabelRef(source, label)] = value
    return classes
