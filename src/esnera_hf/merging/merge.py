"""Mapping and sources become one ``DatasetDict`` with one ``ClassLabel`` schema."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from esnera_hf._internal.arrow import count_entities, list_offsets, rows_with_ids
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.processes import process_count, process_index
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConservationError
from esnera_hf.merging.label_levels import COARSE_TAGS, check_coarse, coarse_features, coarse_names
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.leakage import left_out_ids, rows_without
from esnera_hf.sources.source import SOURCE_FEATURES, NerSource
from esnera_hf.taggers.predictions import make_together, rank_folder
from esnera_hf.tagging import GOLD, OUTSIDE, PSEUDO, Entity, iob2_tag_set

_ORIGINS = (GOLD, PSEUDO)
#: Sentences relabelled at once, which stay with one process. datasets writes so many at a time: files of batches that
#: are cut elsewhere hold the same rows in other bytes.
_BATCH = 1000


@dataclass(frozen=True)
class MergedData:
    """A merged dataset and what sets it apart from the sum of its sources.

    Attributes:
        dataset: splits ``train``, ``validation`` and ``test``.
        leaks: sentences that stand in a later split, too; those between sources were left out.
        pseudo_labels: what was added to the train split, if it was asked for.
    """

    dataset: DatasetDict
    leaks: tuple[Duplicate, ...] = ()
    pseudo_labels: PseudoLabels | None = None


def merged_features(mapping: LabelMapping) -> Features:
    """Return the columns of the merged dataset; ``coarse_tags`` is there where labels are parts of others."""
    return Features(
        {
            "id": Value("string"),
            "tokens": List(Value("string")),
            # The only place where ids of labels are made: integers of the sources mean something else in each.
            "ner_tags": List(ClassLabel(names=iob2_tag_set(mapping.unified_labels))),
            **coarse_features(mapping),
            "source": Value("string"),
            "source_tags": List(Value("string")),
            "origin": List(ClassLabel(names=list(_ORIGINS))),
            "confidence": List(Value("float32")),
        }
    )


def merge_sources(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    leaks: Sequence[Duplicate] = (),
    pseudo: PseudoLabels | None = None,
) -> DatasetDict:
    """Relabel every source and concatenate them split by split.

    Args:
        sources: the sources, in the order their sentences are to appear.
        mapping: covers every label of every source.
        leaks: of :func:`~esnera_hf.sources.leakage.find_leaks`; those between sources are left out of train and
            validation, so that no sentence of a test split is trained on.
        pseudo: entities to add to the train split, none of them to a sentence that is left out.

    Raises:
        MappingError: mapping and sources do not fit.
        ConservationError: other sentences or entities came out than :func:`check_conserved` expects.
    """
    # Every label has to be named, if only to be left out: a forgotten one would become O in silence.
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    merging = _Merging(sources, mapping, leaks, pseudo)
    merged = merging.by_all_processes() if process_count() > 1 else merging.by_one_process()
    check_conserved(sources, mapping, merged, leaks, pseudo)
    return merged


class _Merging:
    """The parts that a merged dataset is joined of: a split of a source each, or this process's share of it."""

    def __init__(
        self,
        sources: Sequence[NerSource],
        mapping: LabelMapping,
        leaks: Sequence[Duplicate],
        pseudo: PseudoLabels | None,
    ) -> None:
        self._sources, self._mapping, self._pseudo = sources, mapping, pseudo
        self._features = merged_features(mapping)
        self._coarse = coarse_names(mapping) if mapping.parents else {}
        self._out = left_out_ids(leaks)
        out = sorted((source, split, sorted(ids)) for (source, split), ids in self._out.items())
        added = [] if pseudo is None else sorted(pseudo.entities.items())
        everything = [[source.identity for source in sources], mapping.fingerprint, out, repr(added)]
        #: Of all that decides the result: the files that hold it are the same by however many processes.
        self._digest = hashlib.sha256(json.dumps(everything).encode()).hexdigest()

    def by_one_process(self) -> DatasetDict:
        """Relabel everything."""
        return self._joined(lambda split: [self._relabelled(source, split) for source in self._sources])

    def by_all_processes(self) -> DatasetDict:
        """Let each process of the launch relabel its share of the sentences; all get the whole, from the cache."""
        artifact = Artifact("merged", {"content": self._digest, "processes": process_count()})

        def work() -> None:
            folder = rank_folder(artifact, process_index())
            shutil.rmtree(folder, ignore_errors=True)  # of a launch that was killed
            folder.mkdir(parents=True)
            for split in self._splits:
                for number, source in enumerate(self._sources):
                    self._relabelled(source, split, folder / f"{split}-{number}-{process_index()}.arrow")

        def save(_: None, target: Path) -> None:
            for rank in range(process_count()):
                for file in sorted(rank_folder(artifact, rank).iterdir()):
                    shutil.move(file, target / file.name)

        def parts(split: str) -> list[Dataset]:
            shares = product(range(len(self._sources)), range(process_count()))
            files = (artifact.folder / f"{split}-{number}-{rank}.arrow" for number, rank in shares)
            # What has no sentences has no file.
            return [Dataset.from_file(str(file)) for file in files if file.exists()]

        make_together(artifact, work, save)
        with artifact.reading():
            return self._joined(parts)

    @property
    def _splits(self) -> list[str]:
        return list(self._sources[0].dataset)

    def _joined(self, parts: Callable[[str], list[Dataset]]) -> DatasetDict:
        splits = {}
        for split in self._splits:
            empty = Dataset.from_dict({name: [] for name in self._features}, features=self._features)
            rows = concatenate_datasets([part for part in parts(split) if len(part)] or [empty])
            fingerprint = hashlib.sha256(f"{self._digest}{split}".encode()).hexdigest()[:16]
            splits[split] = Dataset(rows.data, fingerprint=fingerprint)
        return DatasetDict(splits)

    def _relabelled(self, source: NerSource, split: str, file: Path | None = None) -> Dataset:
        """Return a split of a source in the columns of the merged dataset; with a file, this process's share."""
        rows = rows_without(source, split, self._out.get((source.name, split), set()))
        if file is not None:
            rank, count = process_index(), process_count()
            batches = -(-len(rows) // _BATCH)
            first, last = (min(batches * n // count * _BATCH, len(rows)) for n in (rank, rank + 1))
            rows = rows.select(range(first, last) if first < last else [])
        # datasets: map leaves the features of an empty dataset as they are.
        if not len(rows):
            return rows
        added = self._pseudo.of(source.name) if self._pseudo is not None and split == "train" else {}
        identity = f"{self._digest}{source.name} {split} {file and file.name}"
        relabelled = rows.with_format("arrow").map(
            _relabelled,
            fn_kwargs={
                "rename": _renamed_tags(source, self._mapping),
                "added": added,
                "features": self._features,
                "coarse": self._coarse,
            },
            batched=True,
            batch_size=_BATCH,
            features=self._features,
            load_from_cache_file=False,
            cache_file_name=None if file is None else str(file),
            # Else datasets pickles all arguments, each pseudo-label among them, for a name of its own.
            new_fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
            desc="merge",
        )
        return relabelled.with_format(None)


def as_source(name: str, merged: DatasetDict) -> NerSource:
    """Return a merged dataset as a source, to train on: tags as strings, gold and pseudo alike."""

    def to_names(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"ner_tags": [[tags[tag] for tag in row] for row in batch["ner_tags"]]}

    splits = {}
    for split, rows in merged.items():
        tags = rows.features["ner_tags"].feature.names
        selected = rows.select_columns(list(SOURCE_FEATURES))
        if not len(selected):
            splits[split] = Dataset.from_dict({column: [] for column in SOURCE_FEATURES}, SOURCE_FEATURES)
            continue
        splits[split] = selected.map(
            to_names,
            batched=True,
            features=SOURCE_FEATURES,
            load_from_cache_file=False,
            desc=f"{name} {split}",
        )
    return NerSource(name, DatasetDict(splits))


def _renamed_tags(source: NerSource, mapping: LabelMapping) -> dict[str, str]:
    """Return the unified tag of every tag of a source; those of labels left out become ``O``."""
    rename = {OUTSIDE: OUTSIDE}
    for ref in source.label_refs:
        unified = mapping[ref]
        for prefix in ("B-", "I-"):
            rename[prefix + ref.label] = OUTSIDE if unified is None else prefix + unified
    return rename


def _relabelled(
    batch: pa.Table,
    rename: Mapping[str, str],
    added: Mapping[str, Sequence[Entity]],
    features: Features,
    coarse: Mapping[str, str],
) -> pa.Table:
    """Return the columns of the merged dataset for a batch of sentences, with pseudo-labels by sentence id."""
    lists = batch["ner_tags"].combine_chunks()
    offsets = list_offsets(lists)
    unified = features["ner_tags"].feature
    encoded = pc.list_flatten(lists).dictionary_encode()
    ids = [unified.str2int(rename[tag]) for tag in encoded.dictionary.to_pylist()]
    tags = np.array(ids, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    origin = np.full(len(tags), _ORIGINS.index(GOLD))
    confidence = np.ones(len(tags), dtype=np.float32)
    for row, row_id in enumerate(batch["id"].to_pylist() if added else ()):
        own = slice(*offsets[row : row + 2].tolist())
        for entity in added.get(row_id, ()):
            if not 0 <= entity.start < entity.end <= own.stop - own.start:
                raise ConservationError(
                    f"{row_id}: the pseudo-label {entity} does not lie in its sentence of {own.stop - own.start} "
                    "tokens. Pass pseudo-labels of these very sources."
                )
            span = slice(entity.start, entity.end)
            # All tokens as inside first, then the first of them as the beginning.
            tags[own][span] = unified.str2int(f"I-{entity.label}")
            tags[own][entity.start] = unified.str2int(f"B-{entity.label}")
            origin[own][span] = _ORIGINS.index(PSEUDO)
            confidence[own][span] = entity.score
    columns = {"ner_tags": tags, "origin": origin, "confidence": confidence}
    if coarse:
        outermost = features[COARSE_TAGS].feature
        to_coarse = [outermost.str2int(coarse[tag]) for tag in unified.names]
        columns[COARSE_TAGS] = np.array(to_coarse, dtype=np.int64)[tags]
    ends = pa.array(offsets, pa.int32())
    arrays = {name: pa.ListArray.from_arrays(ends, pa.array(values)) for name, values in columns.items()}
    arrays["source_tags"] = lists
    return pa.table({name: arrays[name] if name in arrays else batch[name] for name in features})


def check_conserved(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    merged: DatasetDict,
    leaks: Sequence[Duplicate] = (),
    pseudo: PseudoLabels | None = None,
) -> None:
    """Check that the merged dataset holds the entities of the sources, no more and no fewer.

    Each is in it, or in a sentence left out as a leak, or of a label left out; all else there is a pseudo-label.

    Raises:
        ConservationError: sentences by split, or entities by split, source, unified label and origin differ, or a
            coarse tag is not that of its fine one.
    """
    out = left_out_ids(leaks)
    for split, rows in merged.items():
        expected: Counter[tuple[str, str, str]] = Counter()
        sentences = 0
        for source in sources:
            if source.bundled is not None:  # of which no sentence is here
                continue
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
        actual = count_entities(rows)
        # Counted from the tags of both sides, and not from what relabelling says it did.
        if expected != actual:
            difference = {
                f"{source}:{label}" + (" (pseudo)" if origin == PSEUDO else ""): actual[key] - expected[key]
                for key in sorted(expected | actual)
                for source, label, origin in [key]
                if actual[key] != expected[key]
            }
            raise ConservationError(
                f"split {split}: entities gained or lost by label: {difference}. Nothing was written; please "
                "report this."
            )
        if sentences != len(rows):
            raise ConservationError(
                f"split {split}: expected {sentences:,} sentences, found {len(rows):,}. Nothing was written; please "
                "report this."
            )
        check_coarse(rows, mapping, split)


def _count_left_out(source: NerSource, split: str, ids: Set[str]) -> tuple[int, Counter[str]]:
    """Count the sentences of these ids and their entities by label."""
    sentences = 0
    labels: Counter[str] = Counter()
    rows = np.flatnonzero(rows_with_ids(source.dataset[split], ids)) if ids else ()
    for sentence in source.sentences(split, rows):
        sentences += 1
        labels.update(entity.label for entity in sentence.entities)
    if sentences < len(ids):
        raise ConservationError(
            f"{source.name}, {split}: {len(ids):,} sentences to leave out, {sentences:,} found. "
            "Pass the leaks of these very sources."
        )
    return sentences, labels
