"""The grains of a merged dataset's labels: fine, medium, coarse, any number of them, and as the sources have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar, get_args

import numpy as np
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, concatenate_datasets

from esnera_hf._internal.arrow import batches, count_entities
from esnera_hf.alignment.hierarchy import TreeCut
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.sources.partial_annotation import AllowedLabels
from esnera_hf.tagging import OUTSIDE, LabelRef, iob2_tag_set

COARSE_TAGS = "coarse_tags"
Grain = Literal["coarse", "medium", "fine", "original"]

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


def allowed_labels(mapping: LabelMapping, sources: Sequence[str]) -> dict[str, AllowedLabels]:
    """Return the unified labels that the annotation of each source leaves open under a mapping."""
    labels = mapping.unified_labels
    parts = {label: mapping.descendants(label) for label in labels}
    allowed = {}
    for name in sources:
        annotated = mapping.scope(name)
        covered = [label for label in labels if mapping.tree.covered(label, annotated)]
        allowed[name] = AllowedLabels.of(labels, mapping.projection(name), covered, parts)
    return allowed


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
    if wanted is None:  # a flat merge has no second level
        return
    names = coarse_names(mapping)
    ids = [wanted.feature.str2int(names[name]) for name in rows.features["ner_tags"].feature.names]
    for fine, coarse in batches(rows, "ner_tags", COARSE_TAGS):
        expected = np.array(ids)[pc.list_flatten(fine).to_numpy()]
        actual = pc.list_flatten(coarse).to_numpy()
        if not np.array_equal(pc.list_value_length(fine), pc.list_value_length(coarse)):
            raise ConservationError(
                f"split {split}: a row has not as many {COARSE_TAGS} as ner_tags. Align or apply again, or edit both."
            )
        wrong = int((expected != actual).sum())
        if wrong:
            raise ConservationError(
                f"split {split}: {wrong:,} {COARSE_TAGS} are not of the outermost label of their ner_tags. "
                "Align or apply again, or edit both."
            )


def view(
    dataset: Data, grain: Grain = "fine", *, mapping: LabelMapping | None = None, labels: int | None = None
) -> Data:
    """Return a merged dataset with one kind of tags, in ``ner_tags``; sentences, their order and other columns stay.

    Args:
        dataset: a merged dataset, or a split of one, just made or loaded back from disk or the Hub.
        grain: ``fine``, the label that the source gives, in the unified schema; ``medium``, the outermost label that
            holds it and that some source annotates; ``coarse``, the outermost label, be it an umbrella; all three are
            the same under a flat merge; ``original``, the labels of the sources as ``source:label``, those that occur,
            without pseudo-labels, ``source_tags``, ``origin`` and ``confidence``.
        mapping: that the dataset was merged by, for ``medium`` and ``labels``.
        labels: instead of a grain, the most labels that are to be left, as of
            :meth:`~esnera_hf.alignment.hierarchy.LabelTree.cut_to`.

    Raises:
        ConfigurationError: there is no such grain, the mapping is missing, or there are more outermost labels.
        SourceError: the dataset lacks the columns of a merged one, has the labels of another mapping, or is a view of
            one, as far as its description tells: files of parquet do not keep it.
    """
    if grain not in get_args(Grain):
        raise ConfigurationError(f"grain {grain!r}: expected one of {', '.join(get_args(Grain))}.")
    if labels is not None and grain != "fine":
        raise ConfigurationError(f"found grain {grain!r} and labels={labels!r}, expected one of the two.")
    splits = dataset if isinstance(dataset, DatasetDict) else {"dataset": dataset}
    for split, rows in splits.items():
        _check_merged(rows, split)
    cut = None
    if labels is not None or grain == "medium":
        if mapping is None:
            raise ConfigurationError(
                "grain 'medium' and labels=… need the mapping that the dataset was merged by: view(dataset, …, "
                "mapping=LabelMapping.load('mapping.yaml'))."
            )
        cut = mapping.cut("medium", labels=labels)
        for split, rows in splits.items():
            if rows.features["ner_tags"].feature.names != iob2_tag_set(mapping.unified_labels):
                raise SourceError(
                    f"{split}: expected the labels of the mapping, {', '.join(mapping.unified_labels)}, found others: "
                    "the dataset was merged by another mapping. Give that one."
                )
    sources = _source_labels(splits.values()) if grain == "original" else ()
    seen = {}
    for split, rows in splits.items():
        if grain == "original":
            seen[split] = _original(rows, sources)
        else:
            seen[split] = _unified(rows, "coarse" if grain == "coarse" else "fine")
            if cut is not None and mapping is not None and mapping.parents:
                seen[split] = _cut(seen[split], cut)
                words = "medium" if labels is None else f"{len(cut.labels)} cut"
                seen[split].info.description = f"{_VIEW} {words} labels."
    return DatasetDict(seen) if isinstance(dataset, DatasetDict) else seen["dataset"]


def _check_merged(rows: Dataset, split: str) -> None:
    missing = [name for name in _NEEDED if name not in rows.column_names]
    if missing:
        raise SourceError(
            f"{split}: expected a merged dataset, columns missing: {', '.join(missing)}. Only a merged "
            "dataset as it was made has several grains; a view of it has one: view the merged dataset itself."
        )
    if rows.info.description.startswith(_VIEW):
        raise SourceError(
            f"{split}: expected a merged dataset, found a view of one: {rows.info.description} It has no other "
            "grain: view the merged dataset itself."
        )


def _unified(rows: Dataset, grain: Literal["coarse", "fine"]) -> Dataset:
    columns = [name for name in rows.column_names if name != COARSE_TAGS]
    if COARSE_TAGS not in rows.column_names:
        return rows.select_columns(columns)
    if grain == "coarse":
        rows = rows.remove_columns("ner_tags").rename_column(COARSE_TAGS, "ner_tags")
    seen = rows.select_columns(columns)
    seen.info.description = f"{_VIEW} {grain} labels."
    return seen


def _original(rows: Dataset, labels: Sequence[LabelRef]) -> Dataset:
    columns = [name for name in rows.column_names if name not in (COARSE_TAGS, *_NOT_ORIGINAL)]
    features = Features({"ner_tags": List(ClassLabel(names=iob2_tag_set(list(map(str, labels)))))})
    ids = {
        (ref.source, prefix + ref.label): 1 + 2 * index + inside
        for index, ref in enumerate(labels)
        for inside, prefix in enumerate(("B-", "I-"))
    }
    tags: list[list[int]] = []
    for sources, rows_of_tags in batches(rows, "source", "source_tags"):
        for source, row in zip(sources.to_pylist(), rows_of_tags.to_pylist(), strict=True):
            tags.append([0 if tag == OUTSIDE else ids[source, tag] for tag in row])
    return _with_tags(rows.select_columns(columns), tags, features)


def _cut(rows: Dataset, cut: TreeCut) -> Dataset:
    names = rows.features["ner_tags"].feature.names
    features = Features({"ner_tags": List(ClassLabel(names=iob2_tag_set(cut.labels)))})
    place = features["ner_tags"].feature.names.index
    # A label that no source label goes to has no tags: its own need no id.
    cut_names = [name[:2] + cut.names[name[2:]] if name != OUTSIDE else OUTSIDE for name in names]
    ids = [place(name) if name == OUTSIDE or name[2:] in cut.labels else 0 for name in cut_names]
    tags = [[ids[tag] for tag in row] for (batch,) in batches(rows, "ner_tags") for row in batch.to_pylist()]
    return _with_tags(rows, tags, features)


def _with_tags(rows: Dataset, tags: list[list[int]], features: Features) -> Dataset:
    """Return rows with other tags, the column where it was."""
    columns = rows.column_names
    others = rows.select_columns([name for name in columns if name != "ner_tags"])
    # datasets: a concatenation leaves out what is empty.
    if not len(rows):
        both = Features({**others.features, **features})
        return Dataset.from_dict({name: [] for name in both}, features=both).select_columns(columns)
    added = Dataset.from_dict({"ner_tags": tags}, features=features)
    return concatenate_datasets([others, added], axis=1).select_columns(columns)


def _source_labels(splits: Iterable[Dataset]) -> list[LabelRef]:
    """Return the labels of the sources that occur in any split, sorted.

    Raises:
        SourceError: two of them are written alike, as ``source:label``.
    """
    labels = {
        LabelRef(source, label)
        for rows in splits
        for source, label, _ in count_entities(
            rows.select_columns(["source", "source_tags"]).rename_column("source_tags", "ner_tags")
        )
    }
    for name, count in Counter(map(str, labels)).items():
        if count > 1:
            raise SourceError(f"{name} is the name of two labels. Give their sources names without a colon.")
    return sorted(labels)
