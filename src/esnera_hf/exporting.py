"""Sources and merged datasets in the formats other tools read.

What a format cannot hold:

==============  ==============================================================
``jsonl``       nothing is lost
``conll``       sentence ids; tokens that are empty, hold a tab or a line end, or
                are ``-DOCSTART-`` are refused
``doccano``,    tokens: they hold texts with spans of characters, and whoever
label-studio    reads them cuts the text anew. Words come back as they were where
                they are cut alike, characters always; a mention that begins
                or ends inside a word of the reader is widened to that word,
                spaces around it are trimmed. Read characters of a script
                with spaces with ``ReadingOptions(characters=True)``
all             splits without any entity, which ``load_source`` does not load
==============  ==============================================================
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from xml.sax.saxutils import quoteattr

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.result import new_folder
from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.tagging import entities_from_tags, tags_from_entities
from esnera_hf.text import is_unspaced

ExportFormat = Literal["conll", "jsonl", "label-studio", "doccano"]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
#: The labelling interface that Label Studio needs to show the tasks.
LABEL_STUDIO_CONFIG = "label_config.xml"
_SUFFIX = {"conll": "conll", "jsonl": "jsonl", "label-studio": "json", "doccano": "jsonl"}
_MOSTLY = 0.9

_Writer = Callable[[Iterable[AnnotatedSentence], Mapping[str, str]], Iterator[str]]


def export(
    data: NerSource | DatasetDict, folder: str | os.PathLike[str], form: ExportFormat = "jsonl"
) -> list[Path]:
    """Write a file for each split with sentences into a new folder.

    ``conll`` has a token and its IOB2 tag a line, parted by a tab; ``jsonl`` the
    tokens and spans of tokens, ends exclusive; ``label-studio`` and ``doccano``
    what these tools import: texts with spans of characters (code points, ends
    exclusive). All of them can be read again by ``load_source``.

    Args:
        data: a source or a merged dataset.
        folder: where the files go; must not exist.
        form: the format.

    Returns:
        The files of the splits, in the order of the splits.

    Raises:
        ConfigurationError: there is no such format.
        OutputExistsError: the folder exists; nothing is written.
        SourceError: ``conll`` cannot hold a token, or the dataset is no merged
            one; nothing is written.
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
    splits = data.dataset if isinstance(data, NerSource) else data
    target = Path(folder)
    files = []
    with new_folder(target) as staging:
        separators = _separators(data) if form in ("doccano", "label-studio") else {}
        for split, rows in splits.items():
            if len(rows):
                name = f"{split}.{_SUFFIX[form]}"
                written: Counter[str] = Counter()
                counted = _counted(annotated_sentences(data, split), written)
                with (staging / name).open("w", encoding="utf-8", newline="\n") as stream:
                    stream.writelines(writers[form](counted, separators))
                _check_written(rows, split, written)
                files.append(target / name)
        if form == "label-studio":
            (staging / LABEL_STUDIO_CONFIG).write_text(_label_studio_config(data), encoding="utf-8")
    return files


def _counted(sentences: Iterable[AnnotatedSentence], written: Counter[str]) -> Iterator[AnnotatedSentence]:
    """Yield sentences and count their entities by source and label as they pass."""
    for sentence in sentences:
        written.update(f"{sentence.source}:{entity.label}" for entity in sentence.entities)
        yield sentence


def _check_written(rows: Dataset, split: str, written: Counter[str]) -> None:
    """Check that as many entities were written as the tags begin.

    Raises:
        ConservationError: they differ.
    """
    names = _tag_names(rows, split)
    begun: Counter[str] = Counter()
    for batch in rows.select_columns(["source", "ner_tags"]).iter(batch_size=1000):
        for source, tags in zip(batch["source"], batch["ner_tags"], strict=True):
            named = tags if names is None else [names[tag] for tag in tags]
            begun.update(f"{source}:{tag[2:]}" for tag in named if tag.startswith("B-"))
    if begun != written:
        gained = {label: written[label] - begun[label] for label in begun | written}
        different = {label: count for label, count in sorted(gained.items()) if count}
        raise ConservationError(
            f"split {split}: entities gained or lost by label: {different}; nothing was exported. Expected IOB2 tags, "
            "in which every entity begins with B-. Load the data with load_source, which reads other schemes."
        )


def annotated_sentences(data: NerSource | DatasetDict, split: str) -> Iterator[AnnotatedSentence]:
    """Yield the sentences of a split of a source or of a merged dataset.

    Raises:
        SourceError: the dataset lacks the columns of a merged one.
    """
    if isinstance(data, NerSource):
        yield from data.sentences(split)
        return
    names = _tag_names(data[split], split)
    columns = ["id", "tokens", "ner_tags", "source"]
    for batch in data[split].select_columns(columns).iter(batch_size=1000):
        for row_id, tokens, tags, source in zip(*(batch[name] for name in columns), strict=True):
            named = tags if names is None else [names[tag] for tag in tags]
            yield AnnotatedSentence(row_id, tokens, entities_from_tags(named)[0], source)


def _tag_names(rows: Dataset, split: str) -> list[str] | None:
    missing = {"id", "tokens", "ner_tags", "source"} - set(rows.column_names)
    if missing:
        raise SourceError(
            f"split {split}: expected a merged dataset, columns missing: {', '.join(sorted(missing))}. "
            "Load other data with load_source first."
        )
    feature = rows.features["ner_tags"].feature
    return list(feature.names) if isinstance(feature, ClassLabel) else None


def _separators(data: NerSource | DatasetDict) -> dict[str, str]:
    """Return what stands between the tokens of each source: nothing where they are characters."""
    if isinstance(data, DatasetDict):
        for split, rows in data.items():
            _tag_names(rows, split)
    tokens: Counter[str] = Counter()
    single: Counter[str] = Counter()
    for rows in (data.dataset if isinstance(data, NerSource) else data).values():
        for batch in rows.select_columns(["source", "tokens"]).iter(batch_size=1000):
            for source, sentence in zip(batch["source"], batch["tokens"], strict=True):
                tokens[source] += len(sentence)
                single[source] += sum(len(token) == 1 for token in sentence)
    return {source: "" if single[source] > _MOSTLY * total else " " for source, total in tokens.items()}


def _conll(sentences: Iterable[AnnotatedSentence], _separators: Mapping[str, str]) -> Iterator[str]:
    for sentence in sentences:
        tags = tags_from_entities(len(sentence.tokens), sentence.entities)
        for token in (*sentence.tokens, *(entity.label for entity in sentence.entities)):
            if not token or token == "-DOCSTART-" or any(char in token for char in "\t\n\r\0"):
                raise SourceError(
                    f"{sentence.id}: {token!r} does not fit a column file. Export as jsonl instead."
                )
        yield "".join(f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, tags, strict=True)) + "\n"


def _jsonl(sentences: Iterable[AnnotatedSentence], _separators: Mapping[str, str]) -> Iterator[str]:
    for sentence in sentences:
        spans = [[e.start, e.end, e.label] for e in sentence.entities]
        yield _line({"id": sentence.id, "tokens": sentence.tokens, "spans": spans})


def _doccano(sentences: Iterable[AnnotatedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    for sentence in sentences:
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        label = [[offsets[e.start][0], offsets[e.end - 1][1], e.label] for e in sentence.entities]
        yield _line({"id": sentence.id, "text": text, "label": label})


def _label_studio(sentences: Iterable[AnnotatedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    yield "["
    for index, sentence in enumerate(sentences):
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        result = []
        for number, entity in enumerate(sentence.entities):
            start, end = offsets[entity.start][0], offsets[entity.end - 1][1]
            value = {"start": start, "end": end, "text": text[start:end], "labels": [entity.label]}
            region = {"id": f"{sentence.id}-{number}", "from_name": "label", "to_name": "text"}
            result.append({**region, "type": "labels", "value": value})
        task = {"data": {"text": text, "id": sentence.id}, "annotations": [{"result": result}]}
        yield (",\n" if index else "\n") + _line(task).rstrip("\n")
    yield "\n]\n"


def _label_studio_config(data: NerSource | DatasetDict) -> str:
    splits = data.dataset if isinstance(data, NerSource) else data
    labels = {e.label for split in splits for s in annotated_sentences(data, split) for e in s.entities}
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
