"""Sentences as the files of other tools: columns, JSON lines, tasks of Label Studio, doccano, spaCy's DocBin."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any
from xml.sax.saxutils import quoteattr

from datasets import ClassLabel, Dataset

from esnera_hf._internal.text import shown, text_and_offsets
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.label_studio import MODEL_VERSION, SENTENCE_ID
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import PSEUDO, Entity, TagError, WrittenScheme, tags_in_scheme

#: A sentence as it is written, and ``gold`` or ``pseudo`` for each entity, ``None`` where the data does not say.
ExportedSentence = tuple[AnnotatedSentence, list[str] | None]

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def schema_digest(rows: Dataset) -> str:
    """Return a digest of the labels that a split can have; of a source, whose tags are texts, of none."""
    feature = rows.features["ner_tags"].feature
    names = feature.names if isinstance(feature, ClassLabel) else []
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:12]


def conll(sentences: Iterable[ExportedSentence], scheme: WrittenScheme) -> Iterator[str]:
    """Yield sentences as lines of a token and its tag, parted by a tab.

    Raises:
        SourceError: a token or a label would not come back, or the scheme cannot part two entities.
    """
    for number, (sentence, _) in enumerate(sentences):
        for token in (*sentence.tokens, *(entity.label for entity in sentence.entities)):
            if not token or token == "-DOCSTART-" or any(char in token for char in "\t\n\r\0"):
                raise SourceError(
                    f"{sentence.id}: {token!r} does not fit a column file. Export as jsonl instead."
                )
        if number == 0 and "".join(sentence.tokens[:1]).startswith("\ufeff"):
            raise SourceError(
                f"{sentence.id}: a column file that begins with U+FEFF would lose it. Export as jsonl instead."
            )
        try:
            tags = tags_in_scheme(len(sentence.tokens), sentence.entities, scheme)
        except TagError as error:
            raise SourceError(
                f"{sentence.id}: {error}. Choose a scheme that marks where entities begin, such as IOB2 or IOB1."
            ) from None
        yield "".join(f"{token}\t{tag}\n" for token, tag in zip(sentence.tokens, tags, strict=True)) + "\n"


def jsonl(sentences: Iterable[ExportedSentence]) -> Iterator[str]:
    """Yield sentences as JSON lines of tokens and spans of tokens."""
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


def doccano(sentences: Iterable[ExportedSentence], separators: Mapping[str, str]) -> Iterator[str]:
    """Yield sentences as JSON lines of a text and spans of its characters."""
    for sentence, _ in sentences:
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        spans = [(_characters(e, offsets, sentence), e.label) for e in sentence.entities]
        label = [[start, end, name] for (start, end), name in spans]
        yield _json({"id": sentence.id, "text": text, "label": label}) + "\n"


def label_studio(
    sentences: Iterable[ExportedSentence], separators: Mapping[str, str], split: str, schema: str
) -> Iterator[str]:
    """Yield the pieces of a JSON list of tasks: predictions where an entity is predicted, else annotations.

    Args:
        sentences: of one split.
        separators: what stands between the tokens of each source.
        split: its name.
        schema: of :func:`schema_digest`.
    """
    yield "["
    for index, (sentence, origins) in enumerate(sentences):
        text, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        is_predicted = origins is not None and PSEUDO in origins
        regions = []
        for number, entity in enumerate(sentence.entities):
            start, end = _characters(entity, offsets, sentence)
            region = label_studio_region(f"{sentence.id}-{number}", text, start, end, entity.label)
            if is_predicted:
                region |= {"score": round(entity.score, 4)}
            if origins is not None and origins[number] == PSEUDO:
                region |= {"meta": {"text": ["pseudo-label"]}}
            regions.append(region)
        # With the tokens, so that a corrected export comes back in the same ones.
        names = {SENTENCE_ID: sentence.id, "source": sentence.source, "split": split, "schema": schema}
        task: dict[str, Any] = {"data": {"text": text, **names, "tokens": sentence.tokens}}
        if is_predicted:
            # Label Studio sorts tasks by the score of a prediction: the least sure mention decides what is looked at.
            score = min(region["score"] for region in regions)
            prediction = {"model_version": MODEL_VERSION, "score": score, "result": regions}
            task |= {"annotations": [], "predictions": [prediction]}
        else:
            task |= {"annotations": [{"result": regions}]}
        yield (",\n" if index else "\n") + _json(task)
    yield "\n]\n"


def label_studio_region(name: str, text: str, start: int, end: int, label: str) -> dict[str, Any]:
    """Return a region of Label Studio: a span of characters of the text that :func:`label_studio_config` shows."""
    region = {"id": name, "from_name": "label", "to_name": "text", "type": "labels"}
    return {**region, "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]}}


def docbin(
    sentences: Iterable[ExportedSentence], separators: Mapping[str, str], partial_sources: Set[str]
) -> Iterator[bytes]:
    """Yield a DocBin of a document a sentence, whose id and source are in ``user_data``.

    Tokens outside the entities of a source that leaves labels unannotated are missing values (``ent_iob`` 0), from
    which spaCy learns nothing; those of others are outside every entity.

    Raises:
        SourceError: spaCy is not installed, or cannot hold a token or an entity.
    """
    try:
        from spacy.tokens import Doc, DocBin, Span
        from spacy.vocab import Vocab
    except ImportError:
        raise SourceError(
            "spaCy writes its own format, and is not installed. Run pip install 'esnera-hf[spacy]'."
        ) from None
    vocabulary, stored = Vocab(), DocBin(store_user_data=True)
    for sentence, _ in sentences:
        if not all(sentence.tokens):
            raise SourceError(f"{sentence.id}: spaCy has no empty tokens. Export as jsonl instead.")
        _, offsets = text_and_offsets(sentence.tokens, separators[sentence.source])
        following = [start for start, _ in offsets[1:]] + [offsets[-1][1] if offsets else 0]
        spaces = [end < after for (_, end), after in zip(offsets, following, strict=True)]
        doc = Doc(vocabulary, words=sentence.tokens, spaces=spaces)
        for entity in sentence.entities:
            if not "".join(sentence.tokens[entity.start : entity.end]).strip():
                raise SourceError(
                    f"{sentence.id}: an entity of {shown(entity.label)} is nothing but white space, which spaCy takes "
                    "for no entity. Export as jsonl instead."
                )
        spans = [Span(doc, entity.start, entity.end, entity.label) for entity in sentence.entities]
        doc.set_ents(spans, default="missing" if sentence.source in partial_sources else "outside")
        doc.user_data |= {SENTENCE_ID: sentence.id, "source": sentence.source}
        stored.add(doc)
    yield stored.to_bytes()


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


def label_studio_config(labels: Sequence[str]) -> str:
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
