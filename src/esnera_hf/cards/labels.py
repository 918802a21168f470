"""What cards say of labels: what was merged into what, on what evidence, and how sure that is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from esnera_hf.alignment import LabelMapping, MappedLabel
from esnera_hf.cards.statistics import Statistics
from esnera_hf.merging import GOLD, PSEUDO
from esnera_hf.text import shorten

_LONGEST_MENTION = 40
_WEAKEST = 3

Examples = Mapping[str, Sequence[Mapping[str, Any]]]


def merged_labels(mapping: LabelMapping, statistics: Statistics) -> list[dict[str, Any]]:
    """Return a row a unified label: the source labels it is made of, and its entities by origin.

    Each label is followed by its parts; ``parent`` is the label that it is a part of.
    """
    by_label = {label: {GOLD: 0, PSEUDO: 0} for label in mapping.unified_labels}
    for (_, _, label, origin), count in statistics.entities.items():
        by_label[label][origin] += count
    return [
        {
            "name": label,
            "parent": mapping.parents.get(label),
            "members": [str(ref) for ref in mapping.members(label)],
            **by_label[label],
        }
        for label in mapping.tree.order
    ]


def evidence_rows(mapping: LabelMapping, examples: Examples) -> list[dict[str, Any]]:
    """Return a row a source label, those of a unified label together, those left out last."""
    return [
        _evidence(entry, mapping, examples)
        for unified in (*mapping.tree.order, None)
        for entry in mapping.entries
        if entry.unified == unified
    ]


def _evidence(entry: MappedLabel, mapping: LabelMapping, examples: Examples) -> dict[str, Any]:
    evidence, other = entry.evidence, entry.compared_with
    return {
        "label": str(entry.label),
        "unified": entry.unified,
        "relation": entry.relation,
        "mentions": entry.mentions,
        "other": None if other is None else str(other),
        "merged": other is not None and is_merge(mapping, entry),
        "similarity": entry.similarity,
        "semantic": None if evidence is None else evidence.semantic,
        "forward": None if evidence is None else asdict(evidence.forward),
        "backward": None if evidence is None else asdict(evidence.backward),
        "examples": mentions(examples, str(entry.label)),
    }


def mentions(examples: Examples, label: str) -> list[str]:
    """Return example mentions of a source label, cut to a table's width."""
    return [shorten(str(example["mention"]), _LONGEST_MENTION) for example in examples.get(label, ())]


def is_merge(mapping: LabelMapping, entry: MappedLabel) -> bool:
    """Tell whether a label went to the same unified label as the one it was compared with."""
    other = entry.compared_with
    known = {found.label for found in mapping.entries}
    return other is not None and other in known and mapping.are_one(entry.label, other)


def weakest_merges(mapping: LabelMapping) -> list[dict[str, Any]]:
    """Return the three pairs of merged labels with the lowest similarity, the lowest first."""
    pairs: dict[frozenset[str], dict[str, Any]] = {}
    for entry in mapping.entries:
        if entry.similarity is not None and is_merge(mapping, entry):
            one, other = str(entry.label), str(entry.compared_with)
            row = {"one": one, "other": other, "similarity": entry.similarity}
            known = pairs.setdefault(frozenset((one, other)), row)
            known["similarity"] = min(known["similarity"], entry.similarity)
    return sorted(pairs.values(), key=lambda pair: (pair["similarity"], pair["one"]))[:_WEAKEST]


def merged_by_meaning_alone(mapping: LabelMapping) -> list[str]:
    """Return the labels that were merged though no tagger ever predicted them in the other source or back."""
    return [
        str(entry.label)
        for entry in mapping.entries
        if entry.evidence is not None
        and is_merge(mapping, entry)
        and not entry.evidence.forward.predicted
        and not entry.evidence.backward.predicted
    ]


def not_annotated(mapping: LabelMapping, sources: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield, for each source, the unified labels that it annotates under no name."""
    for source in mapping.sources:
        annotated = mapping.projection(source)
        missing = [label for label in mapping.unified_labels if label not in annotated]
        if missing and source in sources:
            yield {"source": source, "labels": missing}


def annotated_coarsely(mapping: LabelMapping, sources: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield, for each source and label of it that has parts, the parts that it gives only as that label."""
    for source in mapping.sources:
        projection = mapping.projection(source)
        for label in mapping.tree.order:
            parts = [part for part, known in projection.items() if known == label != part]
            if parts and source in sources:
                yield {"source": source, "label": label, "parts": parts}
