"""The canonical form of a source: string tags in IOB2, and what became of everything in the original."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas
from datasets import DatasetDict, Features, List, Value

from esnera_hf._internal.arrow import count_labels, count_sentences_and_tokens, text_digests
from esnera_hf._internal.checks import is_count
from esnera_hf._internal.text import counted, visible
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.counting import WrittenSpan
from esnera_hf.tagging import Entity, LabelRef, entities_from_tags


@dataclass(slots=True)
class RawSentence:
    """One sentence as its file says it.

    Attributes:
        tokens: the tokens; none where there is a text instead.
        spans: annotated spans, possibly nested, crossing or doubled; ``None``
            where the file carries no annotation at all.
        where: file and line (or row), for messages.
        repairs: what had to be repaired while reading, a kind each.
        text: a text that is not cut into tokens yet; the spans count its characters, ends exclusive.
        written: spans as the file writes them, while it is open how their offsets count.
        columns: what else is known of it, by the name of the column that it is kept in.
        words: the tokens that the text is to be cut into, where the file says.
    """

    tokens: list[str]
    spans: list[Entity] | None
    where: str
    repairs: list[str] = field(default_factory=list)
    text: str = ""
    written: list[WrittenSpan] | None = None
    columns: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


#: Reads a split from its beginning, each time it is called.
Reader = Callable[[], Iterator[RawSentence]]


class Dropped(NamedTuple):
    """One annotated span that did not enter the dataset, and why."""

    split: str
    where: str
    start: int
    end: int
    label: str
    mention: str
    reason: str


TWICE = "annotated twice"


def flatten(
    spans: Iterable[Entity], frequency: Mapping[str, int], *, innermost: bool = False
) -> tuple[list[Entity], list[tuple[Entity, str]]]:
    """Choose spans that do not overlap; return them in order, and those that gave way, each with the reason.

    The outermost of nested spans wins, or the innermost if asked for; the same span
    under two labels takes the label more frequent in the source (ties: the first by
    name); of two crossing spans the longer wins (the shorter), then the earlier. A
    discontinuous span gives way to others of its label: "potassium and magnesium
    replacement" has two, of which one is whole.
    """
    spans = list(spans)
    split = {
        id(span) for span in spans if span.discontinuous and any(_is_whole_rival(o, span) for o in spans)
    }
    # In order and without overlap, so that a span can only clash with its neighbors.
    chosen: list[Entity] = []
    clashes: list[tuple[Entity, str]] = []
    sign = 1 if innermost else -1

    def precedence(span: Entity) -> tuple[Any, ...]:
        width = sign * (span.end - span.start)
        return id(span) in split, width, span.start, -frequency.get(span.label, 0), span.label

    for span in sorted(spans, key=precedence):
        place = bisect_left(chosen, span.end, key=lambda earlier: earlier.start)
        rival = chosen[place - 1] if place and span.start < chosen[place - 1].end else None
        if rival is None:
            chosen.insert(place, span)
        else:
            clashes.append((span, _clash_reason(span, rival)))
    return chosen, clashes


def _is_whole_rival(other: Entity, span: Entity) -> bool:
    overlap = other.start < span.end and span.start < other.end
    return overlap and other.label == span.label and not other.discontinuous


def _clash_reason(span: Entity, rival: Entity) -> str:
    if span.discontinuous and _is_whole_rival(rival, span):
        return "discontinuous, with another of its label between or across its parts"
    if (span.start, span.end) == (rival.start, rival.end):
        return TWICE if span.label == rival.label else "second label of the same span"
    if rival.start <= span.start and span.end <= rival.end:
        return "nested in a longer span"
    if span.start <= rival.start and rival.end <= span.end:
        return "around a shorter span"
    return "crosses a longer or earlier span"


SPLITS = ("train", "validation", "test")
#: Rows that are Python objects at a time.
_BATCH = 1000

SOURCE_FEATURES = Features(
    {
        "id": Value("string"),
        "tokens": List(Value("string")),
        "ner_tags": List(Value("string")),
        "source": Value("string"),
    }
)


@dataclass(frozen=True, slots=True)
class License:
    """The terms a corpus is offered under.

    Attributes:
        name: as stated by its owner, ``"unknown"`` where nothing is stated.
        text_may_be_shared: whether its text may be passed on; ``None`` where
            nothing is stated.
        clause: the sentence of the license that decides it.
    """

    name: str = "unknown"
    text_may_be_shared: bool | None = None
    clause: str = ""

    def __str__(self) -> str:
        shared = {True: "text may be shared", False: "text must not be shared", None: "sharing not stated"}
        return f"{self.name} ({shared[self.text_may_be_shared]})"


def least_allowed(licenses: Iterable[License]) -> License:
    """Return the first of the licenses that allow the least: forbidden, then not stated, then allowed."""
    return min(licenses, key=lambda license: (False, None, True).index(license.text_may_be_shared))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a corpus comes from; everything is empty where it is not known.

    Attributes:
        homepage: where it is published.
        citation: how to cite it.
        hub_id: ``owner/name`` on the Hub, if it was read from there.
        revision: commit of that repository.
    """

    homepage: str = ""
    citation: str = ""
    hub_id: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class AnnotatedSentence:
    """One sentence and its entities, in order and without overlap; ``source`` is the name of its source."""

    id: str
    tokens: list[str]
    entities: list[Entity]
    source: str = ""


@dataclass(frozen=True)
class SourceSummary:
    """What is in a source and what happened to it on the way in.

    Attributes:
        sentences: sentences by split.
        tokens: tokens by split.
        entities: entities by split and label.
        dropped: annotated spans left out, by reason.
        repairs: repairs made while reading, by kind.
        notes: splits that were cut, renamed or not loaded.
        language: BCP 47 code, ``""`` where unknown.
        provenance: where the source comes from.
        max_samples: sentences a split that it was cut to; ``None`` where it is whole.
    """

    name: str
    license: License
    sentences: dict[str, int]
    tokens: dict[str, int]
    entities: dict[str, dict[str, int]]
    dropped: dict[str, int]
    repairs: dict[str, int]
    notes: tuple[str, ...]
    language: str = ""
    provenance: Provenance = Provenance()
    max_samples: int | None = None

    def __str__(self) -> str:
        sample = (
            f"; a sample of at most {counted(self.max_samples, 'sentence')} a split"
            if self.max_samples
            else ""
        )
        lines = [f"{self.name}: license {self.license}{sample}"]
        for split, sentences in self.sentences.items():
            total = sum(self.entities[split].values())
            counts = ((sentences, "sentence"), (self.tokens[split], "token"), (total, "entity"))
            lines.append(f"  {split}: {', '.join(counted(*count) for count in counts)}")
        labels = sum(map(Counter, self.entities.values()), Counter[str]())
        lines.append(f"  labels: {', '.join(f'{label} {labels[label]:,}' for label in sorted(labels))}")
        lines += [f"  dropped: {counted(count, 'span')} ({reason})" for reason, count in self.dropped.items()]
        lines += [f"  repaired: {count:,} × {kind}" for kind, count in self.repairs.items()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({label for counts in self.entities.values() for label in counts}))


@dataclass(frozen=True, repr=False)
class NerSource:
    """A corpus in canonical form.

    Attributes:
        name: unique among the sources of one alignment.
        dataset: splits ``train``, ``validation``, ``test`` with the columns
            ``id``, ``tokens``, ``ner_tags`` (IOB2 strings) and ``source``.
        license: the terms of the corpus.
        language: BCP 47 code, ``""`` where unknown.
        provenance: where the corpus comes from.
        dropped: every annotated span that was left out, with the reason.
        repairs: repairs made while reading, counted by kind.
        notes: what was done to the splits.
        vocabulary: labels it annotates though they may not occur, as in a sample.
        max_samples: sentences a split that it was cut to; ``None`` where it is whole.
        bundled: where it came as an evidence bundle, without its text, the mentions of each label in its train split.
        origin: name, path or Hub id it was loaded from, as ``load_source`` takes it;
            ``""`` for data in memory.
        reading_options: how it was read.
        reading: what its columns or keys are for, ``()`` where a format needs no such choice.
    """

    name: str
    dataset: DatasetDict = field(default_factory=DatasetDict)
    license: License = License()
    language: str = ""
    provenance: Provenance = Provenance()
    dropped: tuple[Dropped, ...] = ()
    repairs: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    max_samples: int | None = None
    bundled: Mapping[str, int] | None = None
    origin: str = field(default="", compare=False)
    reading_options: ReadingOptions = field(default_factory=ReadingOptions, compare=False)
    reading: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in self.dataset.items())
        sample = f", a sample of at most {self.max_samples:,} a split" if self.max_samples else ""
        labels = counted(len(self.labels), "label")
        return f"NerSource({self.name!r}: {sizes} sentences{sample}; {labels}; {self.license})"

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per label, with its mentions in each split."""
        entities = self.summary.entities
        rows = [
            {"label": label, **{split: counts.get(label, 0) for split, counts in entities.items()}}
            for label in self.labels
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        return f"<p>{escape(visible(repr(self)))}</p>{self.to_pandas().to_html(index=False)}"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels this source annotates, sorted."""
        return tuple(sorted({*self.summary.labels, *self.vocabulary}))

    @property
    def label_refs(self) -> tuple[LabelRef, ...]:
        """The labels with the name of the source."""
        return tuple(LabelRef(self.name, label) for label in self.labels)

    @cached_property
    def summary(self) -> SourceSummary:
        """Counts by split and label, and the defects met."""
        rows = self.dataset.items()
        entities = {split: dict(sorted(count_labels(own).items())) for split, own in rows}
        if self.bundled is not None:
            entities["train"] = {label: count for label, count in sorted(self.bundled.items()) if count}
        return SourceSummary(
            name=self.name,
            license=self.license,
            sentences={split: len(own) for split, own in rows},
            tokens={split: count_sentences_and_tokens(own)[1].total() for split, own in rows},
            entities=entities,
            dropped=dict(sorted(Counter(drop.reason for drop in self.dropped).items())),
            repairs=dict(sorted(self.repairs.items())),
            notes=self.notes,
            language=self.language,
            provenance=self.provenance,
            max_samples=self.max_samples,
        )

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the sentences and their annotation, split by split; of a bundle, of what is noted of it."""
        digest = hashlib.blake2b(digest_size=16)
        if self.bundled is not None:
            digest.update(json.dumps([sorted(self.bundled.items()), self.notes]).encode())
        # Without the name and the ids of rows: the same corpus under two names is found out.
        for split in self.dataset:
            for sentence in self.sentences(split):
                record = [split, sentence.tokens, [(e.start, e.end, e.label) for e in sentence.entities]]
                digest.update(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @property
    def identity(self) -> list[Any]:
        """What tells its name, sentences and labels from those of others, as JSON can hold it."""
        sizes = [[split, len(rows)] for split, rows in self.dataset.items()]
        return [self.name, self.fingerprint, sizes, list(self.labels)]

    def sentences(self, split: str, rows: Iterable[int] | None = None) -> Iterator[AnnotatedSentence]:
        """Yield the sentences of a split, or those in some of its rows, read from Arrow in batches."""
        dataset = self.dataset[split] if rows is None else self.dataset[split].select(rows)
        for batch in dataset.iter(batch_size=_BATCH):
            columns = (batch[name] for name in SOURCE_FEATURES)
            for row_id, tokens, tags, source in zip(*columns, strict=True):
                yield AnnotatedSentence(row_id, tokens, entities_from_tags(tags)[0], source)

    def sample(self, max_samples: int, seed: int = 42) -> NerSource:
        """Return this source with at most so many sentences a split; itself where none has more.

        It still annotates all of its labels, those that no longer occur too. The
        choice depends on the texts and the seed, not on their order, which
        is kept.

        Raises:
            ConfigurationError: the number is not positive.
        """
        if not is_count(max_samples):
            raise ConfigurationError(f"max_samples={max_samples!r}: expected a positive number.")
        if all(len(rows) <= max_samples for rows in self.dataset.values()):
            return self
        splits = {}
        for split, rows in self.dataset.items():
            if len(rows) > max_samples:
                # By a hash of the text: a corpus that grows or is sorted anew keeps most of its sample.
                ranked = np.argsort(text_digests(rows, seed, 8)[:, 0], kind="stable")
                rows = rows.select(np.sort(ranked[:max_samples]))
            splits[split] = rows
        return replace(
            self,
            dataset=DatasetDict(splits),
            notes=(
                *self.notes,
                f"sampled to at most {counted(max_samples, 'sentence')} a split (seed {seed})",
            ),
            vocabulary=self.labels,
            max_samples=max_samples,
        )
