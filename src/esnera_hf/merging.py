"""Mapping and sources become one ``DatasetDict`` with one ``ClassLabel`` schema.

Label ids are made here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from esnera_hf.alignment import LabelMapping
from esnera_hf.augmentation import PseudoLabels
from esnera_hf.errors import ConservationError
from esnera_hf.leaks import Leak, left_out_ids
from esnera_hf.sources import NerSource
from esnera_hf.sources.source import SOURCE_FEATURES
from esnera_hf.tagging import OUTSIDE, Entity, iob2_tag_set

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


def merge_sources(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    leaks: Sequence[Leak] = (),
    pseudo: PseudoLabels | None = None,
) -> DatasetDict:
    """Relabel every source and concatenate them split by split.

    Args:
        sources: the sources, in the order their sentences are to appear.
        mapping: covers every label of every source.
        leaks: as :func:`~esnera_hf.leaks.find_leaks` gives them; those between sources are left
            out of the merged train and validation splits, so that no test
            sentence is trained on.
        pseudo: entities to add to the train split, none of them to a sentence
            that is left out.

    Returns:
        Splits ``train``, ``validation`` and ``test``.

    Raises:
        MappingError: mapping and sources do not fit.
        ConservationError: the merged dataset does not hold exactly the sentences
            and gold entities of the sources, but for those left out, and the
            pseudo-labels.
    """
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    features = merged_features(mapping)
    out = left_out_ids(leaks)
    merged = DatasetDict(
        {
            split: concatenate_datasets(
                [
                    _relabel(
                        _without(source, split, out.get((source.name, split), ())),
                        _renamed_tags(source, mapping),
                        pseudo.of(source.name) if pseudo is not None and split == "train" else {},
                        features,
                    )
                    for source in sources
                ]
            )
            for split in sources[0].dataset
        }
    )
    check_conserved(sources, mapping, merged, leaks, pseudo)
    return merged


def as_source(name: str, merged: DatasetDict) -> NerSource:
    """Return a merged dataset as a source, to train on: tags as strings, gold and pseudo alike."""

    def to_names(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"ner_tags": [[tags[tag] for tag in row] for row in batch["ner_tags"]]}

    splits = {}
    for split, rows in merged.items():
        tags = rows.features["ner_tags"].feature.names
        kept = rows.select_columns(list(SOURCE_FEATURES))
        if not len(kept):
            splits[split] = Dataset.from_dict({column: [] for column in SOURCE_FEATURES}, SOURCE_FEATURES)
            continue
        splits[split] = kept.map(
            to_names,
            batched=True,
            features=SOURCE_FEATURES,
            load_from_cache_file=False,
            desc=f"{name} {split}",
        )
    return NerSource(name, DatasetDict(splits))


def _without(source: NerSource, split: str, left_out: Collection[str]) -> Dataset:
    rows = source.dataset[split]
    if not left_out:
        return rows
    return rows.select([index for index, row_id in enumerate(rows["id"]) if row_id not in left_out])


def _renamed_tags(source: NerSource, mapping: LabelMapping) -> dict[str, str]:
    """Return the unified tag of every tag of a source; those of labels left out become ``O``."""
    rename = {OUTSIDE: OUTSIDE}
    for ref in source.label_refs:
        unified = mapping[ref]
        for prefix in ("B-", "I-"):
            rename[prefix + ref.label] = OUTSIDE if unified is None else prefix + unified
    return rename


def _relabel(
    rows: Dataset, rename: Mapping[str, str], added: Mapping[str, Sequence[Entity]], features: Features
) -> Dataset:
    def relabel(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        source_tags = batch["ner_tags"]
        tags = [[rename[tag] for tag in row] for row in source_tags]
        origin = [[GOLD] * len(row) for row in tags]
        confidence = [[1.0] * len(row) for row in tags]
        for index, row_id in enumerate(batch["id"]):
            for entity in added.get(row_id, ()):
                for token in range(entity.start, entity.end):
                    prefix = "B-" if token == entity.start else "I-"
                    tags[index][token] = prefix + entity.label
                    origin[index][token] = PSEUDO
                    confidence[index][token] = entity.score
        return {
            **batch,
            "ner_tags": tags,
            "source_tags": source_tags,
            "origin": origin,
            "confidence": confidence,
        }

    if not len(rows):  # map leaves the features of an empty dataset as they are
        return Dataset.from_dict({name: [] for name in features}, features=features)
    return rows.map(relabel, batched=True, features=features, load_from_cache_file=False, desc="merge")


def check_conserved(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    merged: DatasetDict,
    leaks: Sequence[Leak] = (),
    pseudo: PseudoLabels | None = None,
) -> None:
    """Check that the merged dataset holds the entities of the sources, no more and no fewer.

    What is in the sources must be in the merged dataset, in the sentences left
    out as leaks, or of a label that the mapping leaves out; what is in the merged
    dataset beside that must be a pseudo-label of a sentence that is in it.

    Raises:
        ConservationError: sentences by split, or counts by split, source,
            unified label and origin differ.
    """
    out = left_out_ids(leaks)
    for split, rows in merged.items():
        expected: Counter[tuple[str, str, str]] = Counter()
        sentences = 0
        for source in sources:
            ids = out.get((source.name, split), set())
            removed, labels = _count_left_out(source, split, ids)
            sentences += source.summary.sentences[split] - removed
            for label, count in source.summary.entities[split].items():
                unified = mapping[(source.name, label)]
                if unified is not None:
                    expected[source.name, unified, GOLD] += count - labels[label]
            if pseudo is not None and split == "train":
                for entities in pseudo.of(source.name).values():
                    expected.update((source.name, entity.label, PSEUDO) for entity in entities)
        found = Counter(_merged_labels(rows))
        if expected != found:
            difference = {
                f"{source}:{label}" + (" (pseudo)" if origin == PSEUDO else ""): found[key] - expected[key]
                for key in sorted(expected | found)
                for source, label, origin in [key]
                if found[key] != expected[key]
            }
            raise ConservationError(f"split {split}: entities gained or lost by label: {difference}.")
        if sentences != len(rows):
            raise ConservationError(f"split {split}: expected {sentences:,} sentences, found {len(rows):,}.")


def _count_left_out(source: NerSource, split: str, ids: Collection[str]) -> tuple[int, Counter[str]]:
    """Count the sentences of these ids and their entities by label."""
    sentences = 0
    labels: Counter[str] = Counter()
    for sentence in source.sentences(split) if ids else ():
        if sentence.id in ids:
            sentences += 1
            labels.update(entity.label for entity in sentence.entities)
    if sentences < len(ids):
        raise ConservationError(
            f"{source.name}, {split}: {len(ids):,} sentences to leave out, {sentences:,} found. "
            "Pass the leaks of these very sources."
        )
    return sentences, labels


def _merged_labels(rows: Dataset) -> Iterator[tuple[str, str, str]]:
    """Yield source, unified label and origin of every entity."""
    names = rows.features["ner_tags"].feature.names
    origins = rows.features["origin"].feature.names
    begins = {index: name[2:] for index, name in enumerate(names) if name.startswith("B-")}
    columns = ["source", "ner_tags", "origin"]
    for batch in rows.select_columns(columns).iter(batch_size=1000):
        for source, tags, origin in zip(*(batch[column] for column in columns), strict=True):
            for tag, where_from in zip(tags, origin, strict=True):
                if tag in begins:
                    yield source, begins[tag], origins[where_from]
