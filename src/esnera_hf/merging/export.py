"""Sources and merged datasets in the formats other tools read.

``jsonl`` holds everything. ``conll`` lacks sentence ids, sources and what is a pseudo-label; tokens that would
not come back are refused. ``doccano`` and ``label-studio`` hold texts with spans of characters. In Label Studio the
tokens are beside the text and come back; from doccano words come back where its reader cuts them alike, characters
always (``ReadingOptions(characters=True)``). ``load_source`` does not read splits without an entity again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf._internal.arrow import count_entities
from esnera_hf._internal.files import new_folder
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError, ConservationError, SourceError
from esnera_hf.merging.export_formats import (
    ExportedSentence,
    conll,
    docbin,
    doccano,
    jsonl,
    label_studio,
    label_studio_config,
    schema_digest,
)
from esnera_hf.merging.label_levels import allowed_labels
from esnera_hf.sources.load import SourceLike, load_source
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import GOLD, PSEUDO, WRITTEN_SCHEMES, WrittenScheme, entities_from_tags

ExportFormat = Literal["conll", "jsonl", "label-studio", "doccano", "spacy"]
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
#: The labelling interface that Label Studio needs to show the tasks.
LABEL_STUDIO_CONFIG = "label_config.xml"
_SUFFIX = {
    "conll": "conll",
    "jsonl": "jsonl",
    "label-studio": "json",
    "doccano": "jsonl",
    "spacy": "spacy",
}
_COLUMNS = ("id", "tokens", "ner_tags", "source")
_BATCH = 1000
#: A source is cut into characters if so many of its tokens are; some corpora keep numbers and Latin words whole.
_MOSTLY = 0.9

_Writer = Callable[[Iterable[ExportedSentence]], Iterator[str | bytes]]


def export(
    data: SourceLike | DatasetDict,
    folder: str | os.PathLike[str],
    form: ExportFormat = "jsonl",
    *,
    gold_only: bool = False,
    scheme: WrittenScheme | None = None,
    mapping: LabelMapping | None = None,
) -> list[Path]:
    """Write a file for each split with sentences into a new folder; ``load_source`` reads all formats again.

    ``conll`` has a token and its tag a line, parted by a tab; ``jsonl`` tokens and spans of tokens, ends
    exclusive, and of a merged dataset the origin of each span, ``gold`` or ``pseudo``, and its score in [0, 1];
    ``label-studio`` and ``doccano`` texts with spans of characters (code points, ends exclusive). In Label Studio a
    sentence with pseudo-labels is a prediction, to be looked at, with a score at each mention; any other is an
    annotation. ``spacy`` is a DocBin, in which tokens that a source may have left unannotated are missing values.

    Args:
        data: a merged dataset, or a source as for :func:`~esnera_hf.align`.
        folder: where the files go; must not exist.
        form: the format.
        gold_only: leave pseudo-labels out.
        scheme: of ``conll``; ``IOB2`` if not given.
        mapping: that the dataset was merged by: it says for ``spacy`` which labels a source annotates. Without it, a
            source annotates the labels that occur in its sentences.

    Returns:
        The files of the splits, in the order of the splits.

    Raises:
        ConfigurationError: there is no such format or scheme, or the folder exists.
        SourceNotFoundError: a source cannot be found.
        SourceError: it cannot be read, the format cannot hold a token or an entity, spaCy is not installed, or the
            dataset is no merged one.
        ConservationError: other entities were written than are in the data. Whatever is raised, nothing is written.
    """
    if form not in EXPORT_FORMATS:
        raise ConfigurationError(f"format {form!r}: expected one of {', '.join(EXPORT_FORMATS)}.")
    if scheme is not None and (form != "conll" or scheme not in WRITTEN_SCHEMES):
        raise ConfigurationError(
            f"scheme {scheme!r}: expected one of {', '.join(WRITTEN_SCHEMES)}, and only of format 'conll', which has "
            f"tags; found format {form!r}. Leave the scheme out, or choose another."
        )
    splits = splits_of(data if isinstance(data, DatasetDict) else load_source(data))
    target = Path(folder)
    files = []
    with new_folder(target) as staging:
        separators = _separators(splits) if form in ("doccano", "label-studio", "spacy") else {}
        partial_sources = _partial_sources(splits, mapping) if form == "spacy" else set()
        labels: set[str] = set()
        for split, rows in splits.items():
            if len(rows):
                name = f"{split}.{_SUFFIX[form]}"
                written: Counter[str] = Counter()
                counted = _counted(exported_sentences(rows, gold_only=gold_only), written)
                writers: dict[str, _Writer] = {
                    "conll": partial(conll, scheme=scheme or "IOB2"),
                    "jsonl": jsonl,
                    "label-studio": partial(
                        label_studio, separators=separators, split=split, schema=schema_digest(rows)
                    ),
                    "doccano": partial(doccano, separators=separators),
                    "spacy": partial(docbin, separators=separators, partial_sources=partial_sources),
                }
                with (staging / name).open("wb") as stream:
                    for piece in writers[form](counted):
                        stream.write(piece.encode("utf-8") if isinstance(piece, str) else piece)
                labels |= _check_written(rows, split, written, gold_only=gold_only)
                files.append(target / name)
        if form == "label-studio":
            (staging / LABEL_STUDIO_CONFIG).write_text(label_studio_config(sorted(labels)), encoding="utf-8")
    return files


def _partial_sources(splits: Mapping[str, Dataset], mapping: LabelMapping | None) -> Set[str]:
    """Return the sources that leave some label unannotated, whose mentions of it are tokens like any other."""
    if mapping is not None:
        open_labels = allowed_labels(mapping, mapping.sources)
        return {source for source, allowed in open_labels.items() if allowed.unannotated}
    annotated: dict[str, set[str]] = {}
    for rows in splits.values():
        for source in rows.unique("source"):
            annotated.setdefault(source, set())
        for source, label, origin in count_entities(rows):
            annotated[source] |= {label} if origin != PSEUDO else set()
    labels = set().union(*annotated.values())
    return {source for source, own in annotated.items() if own < labels}


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
