"""Mapping and sources become one ``DatasetDict`` with one ``ClassLabel`` schema.

Label ids are made here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from esnera_hf.alignment import LabelMapping
from esnera_hf.errors import ConservationError
from esnera_hf.labels import LabelRef
from esnera_hf.sources import NerSource
from esnera_hf.tagging import OUTSIDE, iob2_tag_set

GOLD = "gold"
PSEUDO = "pseudo"


def merged_features(mapping: LabelMapping) -> Features:
    """Return the columns of the merged dataset.

    ``ner_tags`` holds ids of the unified IOB2 tags, ``O`` first; ``source_tags``
    the tags as the source has them; ``origin`` says for each token whether its
    tag is gold or pseudo-labelled, ``confidence`` how sure it is, in [0, 1].
    """
    return Features(
        {
            "id": Value("string"),
            "tokens": List(Value("string")),
            "ner_tags": List(ClassLabel(names=iob2_tag_set(mapping.unified_labels))),
            "source": Value("string"),
            "source_tags": List(Value("string")),
            "origin": List(ClassLabel(names=[GOLD, PSEUDO])),
            "confidence": List(Value("float32")),
        }
    )


def merge_sources(sources: Sequence[NerSource], mapping: LabelMapping) -> DatasetDict:
    """Relabel every source and concatenate them split by split.

    Args:
        sources: the sources, in the order their sentences are to appear.
        mapping: covers every label of every source.

    Returns:
        Splits ``train``, ``validation`` and ``test``.

    Raises:
        MappingError: the mapping leaves out a label.
        ConservationError: the merged dataset does not hold exactly the entities
            of the sources.
    """
    mapping.check_covers(ref for source in sources for ref in source.label_refs)
    features = merged_features(mapping)
    merged = DatasetDict(
        {
            split: concatenate_datasets([_relabel(s, split, mapping, features) for s in sources])
            for split in sources[0].dataset
        }
    )
    check_conserved(sources, mapping, merged)
    return merged


def _relabel(source: NerSource, split: str, mapping: LabelMapping, features: Features) -> Dataset:
    rename = {OUTSIDE: OUTSIDE}
    for ref in source.label_refs:
        for prefix in ("B-", "I-"):
            rename[prefix + ref.label] = prefix + mapping[ref]

    def relabel(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        tags = batch["ner_tags"]
        return {
            **batch,
            "ner_tags": [[rename[tag] for tag in row] for row in tags],
            "source_tags": tags,
            "origin": [[GOLD] * len(row) for row in tags],
            "confidence": [[1.0] * len(row) for row in tags],
        }

    rows = source.dataset[split]
    if not len(rows):  # map leaves the features of an empty dataset as they are
        return Dataset.from_dict({name: [] for name in features}, features=features)
    return rows.map(
        relabel,
        batched=True,
        features=features,
        load_from_cache_file=False,
        desc=f"merge {source.name} {split}",
    )


def check_conserved(sources: Sequence[NerSource], mapping: LabelMapping, merged: DatasetDict) -> None:
    """Check that the merged dataset holds the entities of the sources, no more and no fewer.

    Raises:
        ConservationError: counts by split, source and unified label differ.
    """
    for split, rows in merged.items():
        expected: Counter[LabelRef] = Counter()
        for source in sources:
            for label, count in source.summary.entities[split].items():
                expected[LabelRef(source.name, mapping[(source.name, label)])] += count
        found: Counter[LabelRef] = Counter()
        names = rows.features["ner_tags"].feature.names
        begins = {index: name[2:] for index, name in enumerate(names) if name.startswith("B-")}
        for batch in rows.select_columns(["source", "ner_tags"]).iter(batch_size=1000):
            for source_name, tags in zip(batch["source"], batch["ner_tags"], strict=True):
                found.update(LabelRef(source_name, begins[tag]) for tag in tags if tag in begins)
        if expected != found:
            difference = {str(k): found[k] - expected[k] for k in expected | found if found[k] != expected[k]}
            raise ConservationError(f"split {split}: entities gained or lost by label: {difference}.")
