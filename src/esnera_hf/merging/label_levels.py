"""The levels of a merged dataset's labels: fine, coarse, and as the sources have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypeVar, get_args

import numpy as np
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, concatenate_datasets

from esnera_hf._internal.arrow import batches, count_entities
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.tagging import OUTSIDE, LabelRef, iob2_tag_set

COARSE_TAGS = "coarse_tags"
Level = Literal["fine", "coarse", "original"]

_NEEDED = ("tokens", "ner_tags", "source", "source_tags")
#: What the description of a view begins with, as its columns are those of a flat merge.
_VIEW = "A merged dataset with its"
#: They say something of the merged tags alone.
_NOT_ORIGINAL = ("source_tags", "origin", "confidence")

Data = TypeVar("Data", Dataset, DatasetDict)


def coarse_features(mapping: LabelMapping) -> dict[str, List]:
    """Return the column of the outermost labels, ``coarse_tags``; none under a flat merge."""
    if not mapping.parents:
        return {}
    return {COARSE_TAGS: List(ClassLabel(names=iob2_tag_set(mapping.tree.roots)))}


def coarse_names(mapping: LabelMapping) -> dict[str, str]:
    """Return the tag of the outermost label for every unified tag."""
    roots = {label: mapping.root(label) for label in mapping.unified_labels}
    tags = {prefix + label: prefix + root for label, root in roots.items() for prefix in ("B-", "I-")}
    return {OUTSIDE: OUTSIDE, **tags}


def check_coarse(rows: Dataset, mapping: LabelMapping, split: str) -> None:
    """Check that a merged split has coarse tags if and only if labels have parts, each the outermost of its fine tag.

    Raises:
        ConservationError: it is not so.
    """
    wanted = coarse_features(mapping).get(COARSE_TAGS)
    if rows.features.get(COARSE_TAGS) != wanted:
        raise ConservationError(
            f"split {split}: the column {COARSE_TAGS} is not the one that the parents in the mapping ask for: "
            f"expected {wanted}, found {rows.features.get(COARSE_TAGS)}. Align or apply again."
        )
    if wanted is None:
        return
    names = coarse_names(mapping)
    ids = [wanted.feature.str2int(names[name]) for name in rows.features["ner_tags"].feature.names]
    for fine, coarse in batches(rows, "ner_tags", COARSE_TAGS):
        expected = np.array(ids)[pc.list_flatten(fine).to_numpy()]
        found = pc.list_flatten(coarse).to_numpy()
        if not np.array_equal(pc.list_value_length(fine), pc.list_value_length(coarse)):
            raise ConservationError(
                f"split {split}: a row has not as many {COARSE_TAGS} as ner_tags. Align or apply again, or edit both."
            )
        wrong = int((expected != found).sum())
        if wrong:
            raise ConservationError(
                f"split {split}: {wrong:,} {COARSE_TAGS} are not of the outermost label of their ner_tags. "
                "Align or apply again, or edit both."
            )


def view(dataset: Data, level: Level) -> Data:
    """Return a merged dataset with one kind of tags, in ``ner_tags``; sentences, their order and other columns stay.

    Args:
        dataset: a merged dataset, or a split of one, just made or loaded back from disk or the Hub.
        level: ``fine``, the label that the source gives, in the unified schema; ``coarse``, the outermost label that
            holds it, the same as ``fine`` under a flat merge; ``original``, the labels of the sources as
            ``source:label``, those that occur, without pseudo-labels, ``source_tags``, ``origin`` and ``confidence``.

    Raises:
        ConfigurationError: there is no such level.
        SourceError: the dataset lacks the columns of a merged one, or is a view of one, as far as its description
            tells: files of parquet do not keep it.
    """
    if level not in get_args(Level):
        raise ConfigurationError(f"level {level!r}: expected one of {', '.join(get_args(Level))}.")
    splits = dataset if isinstance(dataset, DatasetDict) else {"dataset": dataset}
    for split, rows in splits.items():
        missing = [name for name in _NEEDED if name not in rows.column_names]
        if missing:
            raise SourceError(
                f"{split}: expected a merged dataset, columns missing: {', '.join(missing)}. Only a merged "
                "dataset as it was made has several levels; a view of it has one: view the merged dataset itself."
            )
        if rows.info.description.startswith(_VIEW):
            raise SourceError(
                f"{split}: expected a merged dataset, found a view of one: {rows.info.description} It has no other "
                "level: view the merged dataset itself."
            )
    labels = _source_labels(splits.values()) if level == "original" else ()
    found = {split: _view(rows, level, labels) for split, rows in splits.items()}
    return DatasetDict(found) if isinstance(dataset, DatasetDict) else found["dataset"]


def _view(rows: Dataset, level: Level, labels: Iterable[LabelRef]) -> Dataset:
    columns = [name for name in rows.column_names if name != COARSE_TAGS]
    if level != "original" and COARSE_TAGS not in rows.column_names:
        return rows.select_columns(columns)
    if level != "original":
        if level == "coarse":
            rows = rows.remove_columns("ner_tags").rename_column(COARSE_TAGS, "ner_tags")
        seen = rows.select_columns(columns)
        seen.info.description = f"{_VIEW} {level} labels."
        return seen
    columns = [name for name in columns if name not in _NOT_ORIGINAL]
    kept = rows.select_columns([name for name in columns if name != "ner_tags"])
    tags = _original_tags(rows, list(labels))
    if not len(rows):  # a concatenation leaves out what is empty
        features = Features({**kept.features, **tags.features})
        kept = Dataset.from_dict({name: [] for name in features}, features=features)
        return kept.select_columns(columns)
    return concatenate_datasets([kept, tags], axis=1).select_columns(columns)


def _source_labels(splits: Iterable[Dataset]) -> list[LabelRef]:
    """Return the labels of the sources that occur in any split, sorted.

    Raises:
        SourceError: two of them are written alike, as ``source:label``.
    """
    found = {
        LabelRef(source, label)
        for rows in splits
        for source, label, _ in count_entities(
            rows.select_columns(["source", "source_tags"]).rename_column("source_tags", "ner_tags")
        )
    }
    for name, count in Counter(map(str, found)).items():
        if count > 1:
            raise SourceError(f"{name} is the name of two labels. Give their sources names without a colon.")
    return sorted(found)


def _original_tags(rows: Dataset, labels: list[LabelRef]) -> Dataset:
    """Return a dataset of one column: the tags of the sources as ids of ``source:label`` tags."""
    features = Features({"ner_tags": List(ClassLabel(names=iob2_tag_set(list(map(str, labels)))))})
    ids = {
        (ref.source, prefix + ref.label): 1 + 2 * index + inside
        for index, ref in enumerate(labels)
        for inside, prefix in enumerate(("B-", "I-"))
    }
    found: list[list[int]] = []
    for sources, tags in batches(rows, "source", "source_tags"):
        for source, row in zip(sources.to_pylist(), tags.to_pylist(), strict=True):
            found.append([0 if tag == OUTSIDE else ids[source, tag] for tag in row])
    return Dataset.from_dict({"ner_tags": found}, features=features)
