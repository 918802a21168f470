"""Mapping and sources become one ``DatasetDict`` with one ``ClassLabel`` schema.

Label ids are made here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from esnera_hf.alignment import LabelMapping
from esnera_hf.duplicates import Place, find_duplicates
from esnera_hf.errors import ConservationError
from esnera_hf.labels import LabelRef
from esnera_hf.sources import NerSource
from esnera_hf.tagging import OUTSIDE, iob2_tag_set

GOLD = "gold"
PSEUDO = "pseudo"

#: A sentence of an earlier split must not stand in a later one.
_ORDER = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Leak:
    """A sentence of a train or validation split that also stands in a later split.

    Attributes:
        place: the sentence of train or validation.
        because: the same or nearly the same sentence in validation or test.
        exact: whether their texts are the same
            (:class:`~esnera_hf.duplicates.Duplicate`).
    """

    place: Place
    because: Place
    exact: bool

    @property
    def left_out(self) -> bool:
        """Whether a merge leaves the sentence out: a source's own leaks are only reported."""
        return self.place.source != self.because.source


def find_leaks(sources: Sequence[NerSource]) -> tuple[Leak, ...]:
    """Find the sentences of train and validation that also stand in validation or test.

    Args:
        sources: the sources to be merged.

    Returns:
        For each such sentence one leak that leads to another source, and one
        inside its source, where there are any; test before validation, the same
        text before nearly the same. In the order of the sources.
    """
    best: dict[tuple[Place, bool], Leak] = {}
    for pair in find_duplicates(sources).pairs:
        place, because = sorted((pair.first, pair.second), key=lambda p: _ORDER[p.split])
        if _ORDER[place.split] == _ORDER[because.split]:
            continue
        leak = Leak(place, because, pair.exact)
        known = best.setdefault((place, leak.left_out), leak)
        if _weight(leak) > _weight(known):
            best[place, leak.left_out] = leak
    rank = {source.name: index for index, source in enumerate(sources)}
    found = sorted(best.values(), key=lambda k: (rank[k.place.source], _ORDER[k.place.split]))
    return tuple(found)


def _weight(leak: Leak) -> tuple[int, bool]:
    return _ORDER[leak.because.split], leak.exact


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
    sources: Sequence[NerSource], mapping: LabelMapping, leaks: Sequence[Leak] = ()
) -> DatasetDict:
    """Relabel every source and concatenate them split by split.

    Args:
        sources: the sources, in the order their sentences are to appear.
        mapping: covers every label of every source.
        leaks: as :func:`find_leaks` gives them; those between sources are left
            out of the merged train and validation splits, so that no test
            sentence is trained on.

    Returns:
        Splits ``train``, ``validation`` and ``test``.

    Raises:
        MappingError: the mapping leaves out a label.
        ConservationError: the merged dataset does not hold exactly the sentences
            and entities of the sources, but for those left out.
    """
    mapping.check_covers(ref for source in sources for ref in source.label_refs)
    features = merged_features(mapping)
    out = _left_out(leaks)
    merged = DatasetDict(
        {
            split: concatenate_datasets(
                [_relabel(s, split, mapping, features, out.get((s.name, split), ())) for s in sources]
            )
            for split in sources[0].dataset
        }
    )
    check_conserved(sources, mapping, merged, leaks)
    return merged


def _left_out(leaks: Sequence[Leak]) -> dict[tuple[str, str], set[str]]:
    """Return the ids of the sentences to leave out, by source and split."""
    ids: dict[tuple[str, str], set[str]] = {}
    for leak in leaks:
        if leak.left_out:
            ids.setdefault(leak.place.part, set()).add(leak.place.id)
    return ids


def _relabel(
    source: NerSource, split: str, mapping: LabelMapping, features: Features, left_out: Collection[str]
) -> Dataset:
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
    if left_out:
        rows = rows.select([index for index, row_id in enumerate(rows["id"]) if row_id not in left_out])
    if not len(rows):  # map leaves the features of an empty dataset as they are
        return Dataset.from_dict({name: [] for name in features}, features=features)
    return rows.map(
        relabel,
        batched=True,
        features=features,
        load_from_cache_file=False,
        desc=f"merge {source.name} {split}",
    )


def check_conserved(
    sources: Sequence[NerSource], mapping: LabelMapping, merged: DatasetDict, leaks: Sequence[Leak] = ()
) -> None:
    """Check that the merged dataset holds the entities of the sources, no more and no fewer.

    What is in the sources must be in the merged dataset or in the sentences left
    out as leaks.

    Raises:
        ConservationError: sentences by split, or counts by split, source and
            unified label differ.
    """
    out = _left_out(leaks)
    for split, rows in merged.items():
        expected: Counter[LabelRef] = Counter()
        sentences = 0
        for source in sources:
            removed, labels = _count_left_out(source, split, out.get((source.name, split), ()))
            sentences += source.summary.sentences[split] - removed
            for label, count in source.summary.entities[split].items():
                expected[LabelRef(source.name, mapping[(source.name, label)])] += count - labels[label]
        found = Counter(_merged_labels(rows))
        if expected != found:
            difference = {str(k): found[k] - expected[k] for k in expected | found if found[k] != expected[k]}
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


def _merged_labels(rows: Dataset) -> Iterator[LabelRef]:
    names = rows.features["ner_tags"].feature.names
    begins = {index: name[2:] for index, name in enumerate(names) if name.startswith("B-")}
    for batch in rows.select_columns(["source", "ner_tags"]).iter(batch_size=1000):
        for source_name, tags in zip(batch["source"], batch["ner_tags"], strict=True):
            yield from (LabelRef(source_name, begins[tag]) for tag in tags if tag in begins)
