"""Sources and merged datasets in the formats other tools read.

``jsonl`` holds everything. ``conll`` lacks sentence ids, sources and what is a pseudo-label; tokens that would
not come back are refused. ``doccano`` and ``label-studio`` hold texts with spans of characters: words come back where
their reader cuts them alike, characters always (``ReadingOptions(characters=True)``), and a mention that begins or ends
inside a word of the reader is widened to it. ``load_source`` does not read splits without an entity again.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args
from xml.sax.saxutils import quoteattr

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf._internal.arrow import count_entities
from esnera_hf._internal.files import new_folder
from esnera_hf._internal.text import shown, text_and_offsets
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.sources.load import SourceLike, load_source
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import GOLD, PSEUDO, Entity, entities_from_tags, tags_from_entities

ExportFormat = Literal["conll", "jsonl", "label-studio", "doccano"]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
#: The labelling interface that Label Studio needs to show the tasks.
LABEL_STUDIO_CONFIG = "label_config.xml"
_SUFFIX = {"conll": "conll", "jsonl": "jsonl", "label-studio": "json", "doccano": "jsonl"}
_COLUMNS = ("id", "tokens", "ner_tags", "source")
_BATCH = 1000
#: A source is cut into characters if so many of its tokens are; some corpora keep numbers and Latin words whole.
_MOSTLY = 0.9
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


#: A sentence as it is written, and ``gold`` or ``pseudo`` for each entity, ``None`` where the data does not say.
ExportedSentence = tuple[AnnotatedSentence, list[str] | None]
_Writer = Callable[[Iterable[ExportedSentence], Mapping[str, str]], Iterator[str]]


def export(
    data: SourceLike | DatasetDict,
    folder: str | os.PathLike[str],
    form: ExportFormat = "jsonl",
    *,
    gold_only: bool = False,
) -> list[Path]:
    """Write a file for each split with sentences into a new folder; ``load_source`` reads all formats again.

    ``conll`` has a token and its IOB2 tag a line, parted by a tab; ``jsonl`` tokens and spans of tokens, ends
    exclusive, and of a merged dataset the origin of each span, ``gold`` or ``pseudo``, and its score in [0, 1];
    ``label-studio`` and ``doccano`` texts with spans of characters (code points, ends exclusive), in Label Studio with
    score and remark at each pseudo-label.

    Args:
        data: a merged dataset, or a source as for :func:`~esnera_hf.align`.
        folder: where the files go; must not exist.
        form: the format.
        gold_only: leave pseudo-labels out.

    Returns:
        The files of the splits, in the order of the splits.

    Raises:
        ConfigurationError: there is no such format, or the folder exists.
        SourceNotFoundError: a source cannot be found.
        SourceError: it cannot be read, the format cannot hold a token or an entity, or the dataset is no merged one.
        ConservationError: other entities were written than are in the data. Whatever is raised, nothing is written.
    """
    if form not in EXPORT_FORMATS:
        raise ConfigurationError(f"format {form!r}: expected one of {', '.join(EXPORT_FORMATS)}.")
    splits = splits_of(data if isinstance(data, DatasetDict) else load_source(data))
    target = Path(folder)
    files = []
    with new_folder(target) as staging:
        separators = _separators(splits) if form in ("doccano", "label-studio") else {}
        labels: set[str] = set()
        for split, rows in splits.items():
            if len(rows):
                name = f"{split}.{_SUFFIX[form]}"
                written: Counter[str] = Counter()
                counted = _counted(exported_sentences(rows, gold_only=gold_only), written)
                with (staging / name).open("w", encoding="utf-8", newline="\n") as stream:
                    stream.writelines(_WRITERS[form](counted, separators))
                labels |= _check_written(rows, split, written, gold_only=gold_only)
                files.append(target / name)
        if form == "label-studio":
            (staging / LABEL_STUDIO_CONFIG).write_text(_label_studio_config(sorted(labels)), encoding="utf-8")
    return files


def splits_of(data: NerSource | DatasetDict) -> Mapping[str, Dataset]:
    """Return the splits of a source or a merged dataset.

    Raises:
        SourceError: the dataset lacks the columns of a merged one.
    """
    splits: Mapping[str, Dataset] = data.dataset if isinstance(data, NerSource) else data
    for split, rows in splits.items():
        missing = set(_COLUMNS) - set(rows.column_names)
        if missing:
            raise SourceError(
                f"split {split}: expected a merged dataset, columns missing: {', '.join(sorted(missing))}. "
                "Load other data with load_source first."
            )
    return splits


def exported_sentences(rows: Dataset, *, gold_only: bool = False) -> Iterator[ExportedSentence]:
    """Yield the sentences of a split from :func:`splits_of`, without pseudo-labels if asked; scores are confidences."""
    extra = ["origin", "confidence"] if {"origin", "confidence"} <= set(rows.column_names) else []
    tag_of, origin_of = (_names(rows, column) for column in ("ner_tags", "origin"))
    for batch in rows.select_columns([*_COLUMNS, *extra]).iter(batch_size=_BATCH):
        columns = [batch[name] for name in (*_COLUMNS, *extra)]
        for row_id, tokens, tags, source, *more in zip(*columns, strict=True):
            entities, _ = entities_from_tags([tag_of(tag) for tag in tags])
            if not more:
                yield AnnotatedSentence(row_id, tokens, entities, source), None
                continue
            origin, confidence = more
            origins = [origin_of(origin[entity.start]) for entity in entities]
            entities = [replace(entity, score=confidence[entity.start]) for entity in entities]
            if gold_only:
                entities = [e for e, kind in zip(entities, origins, strict=True) if kind == GOLD]
                origins = [GOLD] * len(entities)
            yield AnnotatedSentence(row_id, tokens, entities, source), origins


def _names(rows: Dataset, column: str) -> Callable[[Any], str]:
    """Return what gives the text of a value of a column, which may be an id."""
    feature = rows.features[column].feature if column in rows.features else None
    return feature.int2str if isinstance(feature, ClassLabel) else str


def count_pseudo_labels(data: NerSource | DatasetDict) -> tuple[int, int]:
    """Return how many entities some data has, and how many of them are pseudo-labels.

    Raises:
        SourceError: the dataset lacks the columns of a merged one.
    """
    entities: Counter[str] = Counter()
    for rows in splits_of(data).values():
        for (_, _, origin), count in count_entities(rows).items():
            entities[origin] += count
    return entities.total(), entities[PSEUDO]


def _counted(sentences: Iterable[ExportedSentence], written: Counter[str]) -> Iterator[ExportedSentence]:
    """Yield sentences and count their entities by source and label as they pass."""
    for sentence, origins in sentences:
        written.update(f"{sentence.source}:{entity.label}" for entity in sentence.entities)
        yield sentence, origins


def _check_written(rows: Dataset, split: str, written: Counter[str], *, gold_only: bool) -> set[str]:
    """Check that as many entities were written as the tags begin, and return their labels.

    Raises:
        ConservationError: they differ.
    """
    begun: Counter[str] = Counter()
    labels = set()
    for (source, label, origin), count in count_entities(rows).items():
        if not (gold_only and origin == PSEUDO):
            begun[f"{source}:{label}"] += count
            labels.add(label)
    if begun != written:
        gained = {label: written[label] - begun[label] for label in begun | written}
        different = {label: count for label, count in sorted(gained.items()) if count}
        raise ConservationError(
            f"split {split}: entities gained or lost by label: {different}; nothing was exported. Expected IOB2 tags, "
            "in which every entity begins with B-. Load the data with load_source, which reads other schemes."
        )
    return labels


def _separators(splits: Mapping[str, Dataset]) -> dict[str, str]:
    """Return what stands between the tokens of each source: nothing where they are characters."""
    tokens: Counter[str] = Counter()
    single: Counter[str] = Counter()
    for rows in splits.values():
        for batch in rows.select_columns(["source", "tokens"]).iter(batch_size=_BATCH):
            for source, sentence in zip(batch["source"], batch["tokens"], strict=True):
                tokens[source] += len(sentence)
                single[source] += sum(len(token) == 1 for token in sentence)
    return {source: "" if single[source] > _MOSTLY * total else " " for source, total in tokens.items()}


def _conll(sentences: Iterable[ExportedSentence], _separators: Mapping[str, str]) -> Iterator[str]:
    for number, (sentence, _) in enumerate(sentences):
        tags = tags_from_entities(len(sentence.tokens), sentence.entities)
        for token in (*sentence.tokens, *(entity.label for entity in sentence.entities)):
            if not token or token == "-DOCSTART-" or any(char in token for char in "\t\n\r\0"):
                raise SourceError(
                    f"{sentence.id}: {token!r} does not fit a column file. Export as jsonl instead."
                )
        if number == 0 and "".join(sentence.tokens[:1]).startswith("\ufeff"):
            raise SourceError(
                f"{sentence.id}: a column file that begins with U+FEFF would lose it. Export as jsonl instead."
            )
        yield "".join(f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, tags, strict=True)) + "\n"


def _jsonl(sentences: Iterable[ExportedSentence], _separators: Mapping[str, str]) -> Iterator[str]:
    for sentence, origins in sentences:
        record: dict[str, Any] = {
            "id": sentence.id,
            "tokens": sentence.tokens,
            "spans": [[e.start, e.end, e.label] for e in sentence.entities],
            "source": sentence.source,
        }
        if origins is not None:
            record["origins"] = origins
            record["scores"] = [round(entity.score, 4) for entity in sentence.entities]
        yield _json(record) + "\n"


def _doccano(sentences: Iterable[ExportedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    for sentence, _ in sentences:
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        spans = [(_characters(e, offsets, sentence), e.label) for e in sentence.entities]
        label = [[start, end, name] for (start, end), name in spans]
        yield _json({"id": sentence.id, "text": text, "label": label}) + "\n"


def _label_studio(sentences: Iterable[ExportedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    yield "["
    for index, (sentence, origins) in enumerate(sentences):
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        result = []
        for number, entity in enumerate(sentence.entities):
            start, end = _characters(entity, offsets, sentence)
            value = {"start": start, "end": end, "text": text[start:end], "labels": [entity.label]}
            region: dict[str, Any] = {
                "id": f"{sentence.id}-{number}",
                "from_name": "label",
                "to_name": "text",
            }
            region |= {"type": "labels", "value": value}
            if origins is not None and origins[number] == PSEUDO:
                region |= {"score": round(entity.score, 4), "meta": {"text": ["pseudo-label"]}}
            result.append(region)
        data = {"text": text, "id": sentence.id, "source": sentence.source}
        yield (",\n" if index else "\n") + _json({"data": data, "annotations": [{"result": result}]})
    yield "\n]\n"


def _characters(
    entity: Entity, offsets: Sequence[tuple[int, int]], sentence: AnnotatedSentence
) -> tuple[int, int]:
    """Return where the characters of an entity begin and end in the text.

    Raises:
        SourceError: it has none.
    """
    start, end = offsets[entity.start][0], offsets[entity.end - 1][1]
    if start == end:
        raise SourceError(
            f"{sentence.id}: an entity of {entity.label!r} has no characters, only empty tokens. Export as jsonl "
            "instead."
        )
    return start, end


def _label_studio_config(labels: Sequence[str]) -> str:
    """Return the labelling interface, which names the labels.

    Raises:
        SourceError: XML cannot hold a label.
    """
    for label in labels:
        if _NOT_IN_XML.search(label):
            raise SourceError(
                f"label {shown(label)}: the configuration of Label Studio is XML, which cannot hold its control "
                "characters. Rename the label, or export as jsonl instead."
            )
    values = "\n".join(f"    <Label value={quoteattr(label)}/>" for label in labels)
    return (
        f'<View>\n  <Labels name="label" toName="text">\n{values}\n  </Labels>\n'
        '  <Text name="text" value="$text"/>\n</View>\n'
    )


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


_WRITERS: dict[str, _Writer] = {
    "conll": _conll,
    "jsonl": _jsonl,
    "label-studio": _label_studio,
    "doccano": _doccano,
}
