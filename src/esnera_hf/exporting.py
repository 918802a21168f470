"""Sources and merged datasets in the formats other tools read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from datasets import ClassLabel, DatasetDict

from esnera_hf.errors import ConfigurationError, OutputExistsError, SourceError
from esnera_hf.sources import AnnotatedSentence, NerSource
from esnera_hf.tagging import entities_from_tags, tags_from_entities
from esnera_hf.text import is_unspaced

ExportFormat = Literal["conll", "jsonl", "label-studio", "doccano"]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
_SUFFIX = {"conll": "conll", "jsonl": "jsonl", "label-studio": "json", "doccano": "jsonl"}


def export(
    data: NerSource | DatasetDict, folder: str | os.PathLike[str], form: ExportFormat = "jsonl"
) -> list[Path]:
    """Write a file for each split.

    ``conll`` has a token and its IOB2 tag a line, parted by a tab; ``jsonl`` the
    tokens and spans of tokens; ``label-studio`` and ``doccano`` what these tools
    import: texts with spans of characters. All of them can be read again by
    ``load_source``.

    Args:
        data: a source or a merged dataset.
        folder: a new folder.
        form: the format.

    Returns:
        The files.

    Raises:
        ConfigurationError: there is no such format.
        OutputExistsError: the folder exists; nothing is written.
        SourceError: ``conll`` cannot hold a token (empty, or with a tab or a
            line end).
    """
    if form not in EXPORT_FORMATS:
        raise ConfigurationError(f"format {form!r}: expected one of {', '.join(EXPORT_FORMATS)}.")
    target = Path(folder)
    if target.exists():
        raise OutputExistsError(f"{target} exists already; nothing was written. Choose another folder.")
    writers: dict[str, Callable[[Iterator[AnnotatedSentence]], Iterator[str]]] = {
        "conll": _conll,
        "jsonl": _jsonl,
        "label-studio": _label_studio,
        "doccano": _doccano,
    }
    splits = data.dataset if isinstance(data, NerSource) else data
    contents = {split: list(writers[form](annotated_sentences(data, split))) for split in splits}
    target.mkdir(parents=True)
    files = []
    for split, parts in contents.items():
        file = target / f"{split}.{_SUFFIX[form]}"
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(parts)
        files.append(file)
    return files


def annotated_sentences(data: NerSource | DatasetDict, split: str) -> Iterator[AnnotatedSentence]:
    """Yield the sentences of a split of a source or of a merged dataset."""
    if isinstance(data, NerSource):
        yield from data.sentences(split)
        return
    feature = data[split].features["ner_tags"].feature
    names = feature.names if isinstance(feature, ClassLabel) else None
    for batch in data[split].iter(batch_size=1000):
        for row_id, tokens, tags in zip(batch["id"], batch["tokens"], batch["ner_tags"], strict=True):
            named = tags if names is None else [names[tag] for tag in tags]
            yield AnnotatedSentence(row_id, tokens, entities_from_tags(named)[0])


def _conll(sentences: Iterator[AnnotatedSentence]) -> Iterator[str]:
    for sentence in sentences:
        tags = tags_from_entities(len(sentence.tokens), sentence.entities)
        for token in sentence.tokens:
            if not token or "\t" in token or "\n" in token or token.endswith("\r"):
                raise SourceError(
                    f"{sentence.id}: the token {token!r} does not fit a column file. Export as jsonl."
                )
        yield "".join(f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, tags, strict=True)) + "\n"


def _jsonl(sentences: Iterator[AnnotatedSentence]) -> Iterator[str]:
    for sentence in sentences:
        spans = [[e.start, e.end, e.label] for e in sentence.entities]
        yield _line({"id": sentence.id, "tokens": sentence.tokens, "spans": spans})


def _doccano(sentences: Iterator[AnnotatedSentence]) -> Iterator[str]:
    for sentence in sentences:
        text, offsets = text_and_offsets(sentence.tokens)
        label = [[offsets[e.start][0], offsets[e.end - 1][1], e.label] for e in sentence.entities]
        yield _line({"id": sentence.id, "text": text, "label": label})


def _label_studio(sentences: Iterator[AnnotatedSentence]) -> Iterator[str]:
    first = True
    yield "["
    for sentence in sentences:
        text, offsets = text_and_offsets(sentence.tokens)
        result = [
            {
                "id": f"{sentence.id}-{number}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "value": {
                    "start": offsets[e.start][0],
                    "end": offsets[e.end - 1][1],
                    "text": text[offsets[e.start][0] : offsets[e.end - 1][1]],
                    "labels": [e.label],
                },
            }
            for number, e in enumerate(sentence.entities)
        ]
        task = {"data": {"text": text, "id": sentence.id}, "annotations": [{"result": result}]}
        yield ("\n" if first else ",\n") + json.dumps(task, ensure_ascii=False)
        first = False
    yield "\n]\n"


def text_and_offsets(tokens: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens into a text and say where each of them lies.

    Tokens are parted by a space, but not beside characters of a script written
    without spaces.
    """
    text = ""
    offsets = []
    for token in tokens:
        if text and token and not (is_unspaced(text[-1]) or is_unspaced(token[0])):
            text += " "
        offsets.append((len(text), len(text) + len(token)))
        text += token
    return text, offsets


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
