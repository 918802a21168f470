"""Whether a merged dataset is the one that a mapping makes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset

from esnera_hf.alignment import LabelMapping
from esnera_hf.errors import ConservationError
from esnera_hf.levels import check_coarse
from esnera_hf.merging import GOLD
from esnera_hf.sources.arrow_batches import batches
from esnera_hf.tagging import OUTSIDE, iob2_tag_set
from esnera_hf.text import shown

_COLUMNS = ("source", "source_tags", "ner_tags", "origin")


def contradiction(rows: Dataset, mapping: LabelMapping, split: str) -> str:
    """Say what of a merged split is not as a mapping makes it, pseudo-labels apart; ``""`` if all is.

    Without the columns ``source_tags`` and ``origin`` only the schemas are compared.

    Args:
        rows: the split.
        mapping: the mapping.
        split: its name, for the message.
    """
    if not _same_labels(rows, mapping, split):
        return f"its unified labels or their parents are not those of the {split} split beside it"
    found = _first_tag(rows, mapping) if set(_COLUMNS) <= set(rows.column_names) else None
    if found is None:
        return ""
    made = "does not name it" if found.mapped is None else f"makes it {shown(found.mapped)}"
    return (
        f"the tag {shown(found.tag)} of {shown(found.source)} is {shown(found.found)} in the {split} split beside it, "
        f"the mapping {made}"
    )


class _Contradiction(NamedTuple):
    """A gold tag of a source, what the mapping makes of it, ``None`` if nothing, and what the dataset has."""

    source: str
    tag: str
    mapped: str | None
    found: str


def _same_labels(rows: Dataset, mapping: LabelMapping, split: str) -> bool:
    if rows.features["ner_tags"].feature.names != iob2_tag_set(mapping.unified_labels):
        return False
    try:
        check_coarse(rows, mapping, split)
    except ConservationError:
        return False
    return True


def _first_tag(rows: Dataset, mapping: LabelMapping) -> _Contradiction | None:
    names = rows.features["ner_tags"].feature.names
    numbers = {name: number for number, name in enumerate(names)}
    gold = rows.features["origin"].feature.str2int(GOLD)
    mapped = _mapped_tags(mapping)
    for source, source_tags, ner_tags, origin in batches(rows, *_COLUMNS):
        owners, tags = source.dictionary_encode(), pc.list_flatten(source_tags).dictionary_encode()
        sources, kinds = owners.dictionary.to_pylist(), tags.dictionary.to_pylist()
        wanted = np.array([[numbers.get(mapped.get((s, tag), ""), -1) for tag in kinds] for s in sources])
        owner = owners.indices.to_numpy()[pc.list_parent_indices(source_tags).to_numpy()]
        kind = tags.indices.to_numpy()
        found = pc.list_flatten(ner_tags).to_numpy()
        wrong = np.flatnonzero((wanted[owner, kind] != found) & (pc.list_flatten(origin).to_numpy() == gold))
        if len(wrong):
            name, tag = sources[owner[wrong[0]]], kinds[kind[wrong[0]]]
            return _Contradiction(name, tag, mapped.get((name, tag)), names[found[wrong[0]]])
    return None


def _mapped_tags(mapping: LabelMapping) -> dict[tuple[str, str], str]:
    """Return what a mapping makes of every tag of each source."""
    tags = {(source, OUTSIDE): OUTSIDE for source in mapping.sources}
    for entry in mapping.entries:
        for prefix in ("B-", "I-"):
            unified = OUTSIDE if entry.unified is None else prefix + entry.unified
            tags[entry.label.source, prefix + entry.label.label] = unified
    return tags
