"""Sources and merged datasets in the formats other tools read.

What a format cannot hold:

==============  ==============================================================
``jsonl``       nothing is lost
``conll``       sentence ids, sources, and which entities are pseudo-labels; tokens
                that are empty, hold a tab or a line end, or are ``-DOCSTART-``
                are refused, and a file that would begin with U+FEFF
``doccano``,    tokens: they hold texts with spans of characters, and whoever
label-studio    reads them cuts the text anew. Words come back as they were where
                they are cut alike, characters always; a mention that begins
                or ends inside a word of the reader is widened to that word,
                spaces around it are trimmed. Read characters of a script
                with spaces with ``ReadingOptions(characters=True)``. Entities
                without any character are refused
``doccano``     which entities are pseudo-labels, too
all             splits without any entity and sentences without tokens, which
                ``load_source`` does not load
==============  ==============================================================

``gold_only`` leaves pseudo-labels out, where a format cannot tell them apart.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from xml.sax.saxutils import quoteattr

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf._internal.arrow import count_entities
from esnera_hf._internal.files import new_folder
from esnera_hf._internal.text import is_unspaced, shown
from esnera_hf.alignment.mapping import MAPPING_FILE
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.result import MergeResult
from esnera_hf.sources.load import SourceLike, load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import GOLD, PSEUDO, Entity, entities_from_tags, tags_from_entities

_COLUMNS = ("id", "tokens", "ner_tags", "source")
_TOLD = ("origin", "confidence")
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ExportedSentence:
    """One sentence as it is written.

    Attributes:
        id: of the sentence.
        tokens: its tokens.
        entities: its entities; the ``score`` of a pseudo-label is its confidence.
        source: where it comes from.
        origins: of each entity, ``gold`` or ``pseudo``; ``None`` where the data does not say.
    """

    id: str
    tokens: list[str]
    entities: list[Entity]
    source: str
    origins: list[str] | None

    def is_pseudo(self, entity: int) -> bool:
        """Whether an entity, by its number, is a pseudo-label."""
        return self.origins is not None and self.origins[entity] == PSEUDO

    def gold(self) -> ExportedSentence:
        """Return the sentence without its pseudo-labels."""
        if self.origins is None:
            return self
        entities = list(compress(self.entities, (origin == GOLD for origin in self.origins)))
        return replace(self, entities=entities, origins=[GOLD] * len(entities))


class _Row(NamedTuple):
    """A row with names for ids; origin and confidence are empty where the data does not say."""

    id: str
    tokens: list[str]
    tags: list[str]
    source: str
    origin: list[str]
    confidence: list[float]


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
    """Yield the sentences of a split.

    Args:
        rows: of a split from :func:`splits_of`.
        gold_only: leave pseudo-labels out.
    """
    told = set(_TOLD) <= set(rows.column_names)
    for row in _rows(rows):
        entities, origins = entities_from_tags(row.tags)[0], None
        if told:
            entities = [replace(entity, score=row.confidence[entity.start]) for entity in entities]
            origins = [row.origin[entity.start] for entity in entities]
        sentence = ExportedSentence(row.id, row.tokens, entities, row.source, origins)
        yield sentence.gold() if gold_only else sentence


def _rows(rows: Dataset) -> Iterator[_Row]:
    tags, told = _names(rows, "ner_tags"), set(_TOLD) <= set(rows.column_names)
    origins = _names(rows, "origin") if told else None
    for batch in rows.select_columns([*_COLUMNS, *(_TOLD if told else ())]).iter(batch_size=_BATCH):
        columns = [batch[name] for name in _COLUMNS]
        columns += [batch[name] for name in _TOLD] if told else [[[]] * len(batch["id"])] * 2
        for row in map(_Row, *columns):
            yield row._replace(tags=_named(row.tags, tags), origin=_named(row.origin, origins))


def _names(rows: Dataset, column: str) -> list[str] | None:
    feature = rows.features[column].feature
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def _named(values: list[str], names: list[str] | None) -> list[str]:
    """Return values that are ids as their names."""
    return values if names is None else [names[int(value)] for value in values]


ExportFormat = Literal["conll", "jsonl", "label-studio", "doccano"]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
#: The labelling interface that Label Studio needs to show the tasks.
LABEL_STUDIO_CONFIG = "label_config.xml"
_SUFFIX = {"conll": "conll", "jsonl": "jsonl", "label-studio": "json", "doccano": "jsonl"}
_MOSTLY = 0.9
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_Writer = Callable[[Iterable[ExportedSentence], Mapping[str, str]], Iterator[str]]


def export(
    data: SourceLike | DatasetDict | MergeResult,
    folder: str | os.PathLike[str],
    form: ExportFormat = "jsonl",
    *,
    gold_only: bool = False,
) -> list[Path]:
    """Write a file for each split with sentences into a new folder.

    ``conll`` has a token and its IOB2 tag a line, parted by a tab; ``jsonl`` the
    tokens and spans of tokens, ends exclusive, and of a merged dataset the origin
    of each span, ``gold`` or ``pseudo``, and its score in [0, 1]; ``label-studio``
    and ``doccano`` what these tools import: texts with spans of characters (code
    points, ends exclusive), in Label Studio with score and remark at each
    pseudo-label. All of them can be read again by ``load_source``.

    Args:
        data: a source as for :func:`~esnera_hf.align`; a merged dataset, a result, or the folder of one.
        folder: where the files go; must not exist.
        form: the format.
        gold_only: leave pseudo-labels out.

    Returns:
        The files of the splits, in the order of the splits.

    Raises:
        ConfigurationError: there is no such format.
        OutputExistsError: the folder exists; nothing is written.
        SourceNotFoundError: a source cannot be found.
        SourceError: it cannot be read, the format cannot hold a token or an
            entity, or the dataset is no merged one; nothing is written.
        ConservationError: other entities were written than are in the data;
            nothing is kept.
    """
    writers: dict[str, _Writer] = {
        "conll": _conll,
        "jsonl": _jsonl,
        "label-studio": _label_studio,
        "doccano": _doccano,
    }
    if form not in writers:
        raise ConfigurationError(f"format {form!r}: expected one of {', '.join(EXPORT_FORMATS)}.")
    data = _loaded(data)
    splits = splits_of(data)
    target = Path(folder)
    files = []
    with new_folder(target) as staging:
        separators = _separators(splits) if form in ("doccano", "label-studio") else {}
        for split, rows in splits.items():
            if len(rows):
                name = f"{split}.{_SUFFIX[form]}"
                written: Counter[str] = Counter()
                counted = _counted(exported_sentences(rows, gold_only=gold_only), written)
                with (staging / name).open("w", encoding="utf-8", newline="\n") as stream:
                    stream.writelines(writers[form](counted, separators))
                _check_written(rows, split, written, gold_only=gold_only)
                files.append(target / name)
        if form == "label-studio":
            config = _label_studio_config(splits, gold_only=gold_only)
            (staging / LABEL_STUDIO_CONFIG).write_text(config, encoding="utf-8")
    return files


def _loaded(data: SourceLike | DatasetDict | MergeResult) -> NerSource | DatasetDict:
    if isinstance(data, (str, os.PathLike)) and (Path(data) / MAPPING_FILE).is_file():
        data = MergeResult.load(data)
    if isinstance(data, MergeResult):
        return data.dataset
    return data if isinstance(data, DatasetDict) else load_source(data)


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
    for sentence in sentences:
        written.update(f"{sentence.source}:{entity.label}" for entity in sentence.entities)
        yield sentence


def _check_written(rows: Dataset, split: str, written: Counter[str], *, gold_only: bool) -> None:
    """Check that as many entities were written as the tags begin.

    Raises:
        ConservationError: they differ.
    """
    begun: Counter[str] = Counter()
    for (source, label, origin), count in count_entities(rows).items():
        if not (gold_only and origin == PSEUDO):
            begun[f"{source}:{label}"] += count
    if begun != written:
        gained = {label: written[label] - begun[label] for label in begun | written}
        different = {label: count for label, count in sorted(gained.items()) if count}
        raise ConservationError(
            f"split {split}: entities gained or lost by label: {different}; nothing was exported. Expected IOB2 tags, "
            "in which every entity begins with B-. Load the data with load_source, which reads other schemes."
        )


def _separators(splits: Mapping[str, Dataset]) -> dict[str, str]:
    """Return what stands between the tokens of each source: nothing where they are characters."""
    tokens: Counter[str] = Counter()
    single: Counter[str] = Counter()
    for rows in splits.values():
        for batch in rows.select_columns(["source", "tokens"]).iter(batch_size=1000):
            for source, sentence in zip(batch["source"], batch["tokens"], strict=True):
                tokens[source] += len(sentence)
                single[source] += sum(len(token) == 1 for token in sentence)
    return {source: "" if single[source] > _MOSTLY * total else " " for source, total in tokens.items()}


def _conll(sentences: Iterable[ExportedSentence], _separators: Mapping[str, str]) -> Iterator[str]:
    for number, sentence in enumerate(sentences):
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
    for sentence in sentences:
        record: dict[str, Any] = {
            "id": sentence.id,
            "tokens": sentence.tokens,
            "spans": [[e.start, e.end, e.label] for e in sentence.entities],
            "source": sentence.source,
        }
        if sentence.origins is not None:
            record["origins"] = sentence.origins
            record["scores"] = [_score(entity) for entity in sentence.entities]
        yield _line(record)


def _doccano(sentences: Iterable[ExportedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    for sentence in sentences:
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        spans = [(_characters(e, offsets, sentence), e.label) for e in sentence.entities]
        label = [[start, end, name] for (start, end), name in spans]
        yield _line({"id": sentence.id, "text": text, "label": label})


def _label_studio(sentences: Iterable[ExportedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    yield "["
    for index, sentence in enumerate(sentences):
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
            if sentence.is_pseudo(number):
                region |= {"score": _score(entity), "meta": {"text": ["pseudo-label"]}}
            result.append(region)
        data = {"text": text, "id": sentence.id, "source": sentence.source}
        yield (",\n" if index else "\n") + _line({"data": data, "annotations": [{"result": result}]}).rstrip(
            "\n"
        )
    yield "\n]\n"


def _characters(
    entity: Entity, offsets: Sequence[tuple[int, int]], sentence: ExportedSentence
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


def _score(entity: Entity) -> float:
    return round(entity.score, 4)


def _label_studio_config(splits: Mapping[str, Dataset], *, gold_only: bool) -> str:
    """Return the labelling interface, which names the labels.

    Raises:
        SourceError: XML cannot hold a label.
    """
    labels = {
        label
        for rows in splits.values()
        for _, label, origin in count_entities(rows)
        if not (gold_only and origin == PSEUDO)
    }
    for label in sorted(labels):
        if _NOT_IN_XML.search(label):
            raise SourceError(
                f"label {shown(label)}: the configuration of Label Studio is XML, which cannot hold its control "
                "characters. Rename the label, or export as jsonl instead."
            )
    values = "\n".join(f"    <Label value={quoteattr(label)}/>" for label in sorted(labels))
    return (
        f'<View>\n  <Labels name="label" toName="text">\n{values}\n  </Labels>\n'
        '  <Text name="text" value="$text"/>\n</View>\n'
    )


def text_and_offsets(tokens: list[str], separator: str = " ") -> tuple[str, list[tuple[int, int]]]:
    """Join tokens into a text and say where each of them lies.

    Args:
        tokens: the tokens.
        separator: stands between tokens, but not beside characters of a script
            written without spaces.
    """
    parts: list[str] = []
    offsets: list[tuple[int, int]] = []
    end = 0
    last = ""
    for token in tokens:
        if last and token and not (is_unspaced(last) or is_unspaced(token[0])):
            parts.append(separator)
            end += len(separator)
        offsets.append((end, end + len(token)))
        end += len(token)
        parts.append(token)
        last = token[-1:] or last
    return "".join(parts), offsets


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
