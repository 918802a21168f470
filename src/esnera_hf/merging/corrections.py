"""Exports for Label Studio that people corrected there, brought back into the data they were made of."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf._internal.arrow import batches
from esnera_hf._internal.text import shown, text_and_offsets
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import SourceError, SourceNotFoundError
from esnera_hf.merging.export_formats import schema_digest
from esnera_hf.merging.label_levels import COARSE_TAGS, coarse_names
from esnera_hf.sources.readers.counting import Counting
from esnera_hf.sources.readers.json import json_records
from esnera_hf.sources.readers.label_studio import SENTENCE_ID, annotator_of, is_looked_at
from esnera_hf.sources.readers.records import read_record
from esnera_hf.sources.readers.spans import with_spans
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import GOLD, OUTSIDE, Entity, entities_from_tags, tags_from_entities

#: Problems that a message names; one usually has the cause of the others.
_SHOWN = 5


def with_corrections(
    dataset: DatasetDict,
    path: str | os.PathLike[str],
    mapping: LabelMapping,
    *,
    annotator: str | None = None,
) -> tuple[DatasetDict, Counter[str]]:
    """Return a merged dataset with the annotation of a corrected export, and how many sentences of each source differ.

    Sentences are found by their id and keep tokens, split and source. A mention that stands in the dataset already
    keeps its origin and confidence; any other was made by a person, and is gold. What was not annotated in Label
    Studio stays as it is, and so do ``source_tags``, the annotation of the source.

    Args:
        dataset: the one that was exported.
        path: the JSON (or JSON_MIN) that Label Studio exports.
        mapping: that the dataset was merged by.
        annotator: whose annotation counts where several annotated a sentence differently.

    Raises:
        SourceNotFoundError: there is no such file.
        SourceError: it is no export of these sentences, a text was changed, spans overlap or lie across tokens, a
            label is not in the mapping, or it is open whose annotation counts. All problems are named, the first in
            full.
    """
    file = Path(path)
    if not file.is_file():
        raise SourceNotFoundError(f"{file}: no such file. Expected the JSON that Label Studio exports.")
    corrected = _Corrections(file, mapping, annotator, schema_digest(dataset["train"]))
    counts: Counter[str] = Counter()
    splits = {split: corrected.applied(rows, counts) for split, rows in dataset.items()}
    corrected.check()
    return DatasetDict(splits), counts


def count_corrected(dataset: DatasetDict, mapping: LabelMapping) -> int:
    """Return how many sentences have other gold entities than the mapping makes of the annotation of their source."""
    count = 0
    for rows in dataset.values():
        names = rows.features["ner_tags"].feature.names
        gold = rows.features["origin"].feature.str2int(GOLD)
        for columns in batches(rows, "source", "ner_tags", "source_tags", "origin"):
            for source, tags, own, origin in zip(*(column.to_pylist() for column in columns), strict=True):
                labels = [None if tag == OUTSIDE else mapping[source, tag[2:]] for tag in own]
                expected = [
                    OUTSIDE if label is None else tag[:2] + label
                    for tag, label in zip(own, labels, strict=True)
                ]
                is_gold = (kind == gold for kind in origin)
                actual = [names[tag] if own else OUTSIDE for tag, own in zip(tags, is_gold, strict=True)]
                count += expected != actual
    return count


class _Corrections:
    """The annotated tasks of a file, by the id of their sentence."""

    def __init__(self, file: Path, mapping: LabelMapping, annotator: str | None, schema: str) -> None:
        self._file, self._mapping, self._schema = file, mapping, schema
        self._problems: list[str] = []
        self._tasks: dict[str, RawSentence] = {}
        for value, where, _ in json_records(file):
            self._add(value, where, annotator)
        if not self._tasks and not self._problems:
            by = "" if annotator is None else f" by {shown(annotator)}"
            raise SourceError(
                f"{file}: no task is annotated{by}. Submit the tasks in Label Studio, then export them as JSON"
                f"{', or give another annotator' * bool(by)}."
            )

    def _add(self, value: Any, where: str, annotator: str | None) -> None:
        data = value.get("data") if isinstance(value, Mapping) else None
        fields = data if isinstance(data, Mapping) else value
        row_id = fields.get(SENTENCE_ID) if isinstance(fields, Mapping) else None
        if not isinstance(row_id, str):
            raise SourceError(
                f"{where}: no {SENTENCE_ID!r}, by which the sentence is found. Expected an export of Label Studio of "
                "tasks that came from `esnera-hf export --format label-studio`."
            )
        if fields.get("schema") != self._schema:
            raise SourceError(
                f"{where}: exported with other labels than these data have, as of another grain or another mapping. "
                "Export the merged dataset without --grain and --labels, and correct that."
            )
        if isinstance(data, Mapping) and not is_looked_at(value, where):
            return
        # In JSON_MIN each annotator has a record of a sentence.
        if annotator is not None and annotator_of(value) not in (None, annotator):
            return
        # JSON_MIN has the spans, which count characters of the text, beside the tokens.
        record = {key: item for key, item in value.items() if key != "tokens"}
        task = read_record(record, where, span_keys=("label",), annotator=annotator)
        if task is None or task.written is None:
            return
        twin = self._tasks.setdefault(row_id, task)
        if twin is not task and _written(twin) != _written(task):
            self._problems.append(
                f"{where}: {row_id} is annotated differently in {twin.where}. Leave one of the two out, "
                "or say whose annotation counts: annotator=."
            )

    def applied(self, rows: Dataset, counts: Counter[str]) -> Dataset:
        """Return a split with what is annotated in the file, and count the sentences that differ by source."""
        features = rows.features
        changed: dict[int, dict[str, Any]] = {}
        for index, row_id in enumerate(rows["id"]):
            task = self._tasks.pop(row_id, None)
            if task is None:
                continue
            row = rows[index]
            entities = self._entities(task, row)
            if entities is not None and (new := self._row(row, entities, features)) is not None:
                changed[index] = new
                counts[row["source"]] += 1
        if not changed:
            return rows
        options = {"features": features, "load_from_cache_file": False, "desc": "correct"}
        return rows.map(lambda row, index: changed.get(index, row), with_indices=True, **options)

    def _row(
        self, row: Mapping[str, Any], entities: Sequence[Entity], features: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Return a row with other entities, ``None`` if they are its own."""
        names: ClassLabel = features["ner_tags"].feature
        tags = names.int2str(row["ner_tags"])
        before, _ = entities_from_tags(tags)
        if before == list(entities):
            return None
        gold, length = features["origin"].feature.str2int(GOLD), len(tags)
        origin, confidence = [gold] * length, [1.0] * length
        for entity in {*before} & {*entities}:
            span = slice(entity.start, entity.end)
            origin[span], confidence[span] = row["origin"][span], row["confidence"][span]
        written = tags_from_entities(length, entities)
        new = {**row, "ner_tags": names.str2int(written), "origin": origin, "confidence": confidence}
        if COARSE_TAGS in features:
            coarse = coarse_names(self._mapping)
            new[COARSE_TAGS] = features[COARSE_TAGS].feature.str2int([coarse[tag] for tag in written])
        return new

    def _entities(self, task: RawSentence, row: Mapping[str, Any]) -> list[Entity] | None:
        """Return the spans of a task as entities of a row, ``None`` if there is a problem with one."""
        joined = (text_and_offsets(row["tokens"], separator) for separator in (" ", ""))
        offsets = next((offsets for text, offsets in joined if text == task.text), None)
        if offsets is None:
            self._problems.append(
                f"{task.where}: {shown(task.text)} is not the text of {row['id']}, whose tokens are to stay. Undo the "
                "change of the text."
            )
            return None
        try:  # offsets may count as a browser does, which the mention beside them shows
            placed = with_spans(task, Counting("characters"), stated=False)
        except SourceError as error:
            self._problems.append(str(error))
            return None
        problems = len(self._problems)
        entities = list(self._onto_tokens(placed, offsets))
        for one, other in pairwise(entities):
            if other.start < one.end:
                self._problems.append(
                    f"{task.where}: {shown(one.label)} and {shown(other.label)} overlap in {shown(task.text)}. Keep "
                    "one of the two."
                )
        return None if len(self._problems) > problems else entities

    def _onto_tokens(self, task: RawSentence, offsets: Sequence[tuple[int, int]]) -> Iterator[Entity]:
        starts = {start: index for index, (start, end) in enumerate(offsets) if start < end}
        ends = {end: index + 1 for index, (start, end) in enumerate(offsets) if start < end}
        for span in sorted({*(task.spans or ())}):
            start, end = span.start, span.end
            # A double click selects the space behind a word, too.
            while start < end - 1 and start not in starts and task.text[start].isspace():
                start += 1
            while end > start + 1 and end not in ends and task.text[end - 1].isspace():
                end -= 1
            mention = shown(task.text[span.start : span.end])
            if span.label not in self._mapping.unified_labels:
                self._problems.append(
                    f"{task.where}: label {shown(span.label)} of {mention} is not one of the mapping, "
                    f"{', '.join(self._mapping.unified_labels)}. Choose one of these, or add it there and apply again."
                )
            elif start not in starts or end not in ends:
                self._problems.append(
                    f"{task.where}: {shown(span.label)} of {mention} begins or ends inside a token. Move it to where "
                    "tokens begin and end."
                )
            else:
                yield Entity(starts[start], ends[end], span.label)

    def check(self) -> None:
        """Check that every task went to a sentence.

        Raises:
            SourceError: one did not.
        """
        problems = [
            *self._problems,
            *(f"{task.where}: no sentence {row_id} in the data" for row_id, task in self._tasks.items()),
        ]
        if problems:
            more = [f"… and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
            found = "\n  ".join([*problems[:_SHOWN], *more])
            raise SourceError(
                f"{self._file}: {len(problems):,} things to mend in the export, or in Label Studio; nothing was "
                f"changed:\n  {found}"
            )


def _written(task: RawSentence) -> tuple[str, list[str]]:
    return task.text, sorted(map(repr, task.written or ()))
