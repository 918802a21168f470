"""Label errors: annotation that is likely wrong, ranked by what a tagger says that has not seen it."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import quiet_libraries, say
from esnera_hf._internal.text import join_tokens, shorten, table_cell, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.load import SourceLike, load_sources
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.taggers.identity import default_encoder, encoder_identity, library_versions
from esnera_hf.tagging import Entity, LabelRef

if TYPE_CHECKING:
    from esnera_hf.modeling.frozen_tagger import Reading

ErrorKind = Literal["wrong label", "wrong borders", "spurious", "missed"]
#: Encoder layers, and parts of the sentences, each of which is read by a head that learns from the others.
_LAYERS, _FOLDS = 4, 4
#: Probabilities below are taken for as small: how small is chance. Of heads that learnt from other texts, a vote of
#: half the weight.
_LEAST, _LEAST_OF_OTHERS, _WEIGHT_OF_OTHERS = 1e-4, 1e-2, 0.5
#: Digits of probabilities: further ones differ from machine to machine.
_DIGITS = 4
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class LabelError:
    """A mention whose annotation is likely wrong, or that is likely missing.

    Attributes:
        source: the name of the source.
        sentence: with the annotation as it is.
        place: split and row, from 0.
        kind: ``wrong label``, ``wrong borders``, ``spurious`` (no mention of any label) or ``missed``.
        annotated: the mention as annotated, ``None`` where it is missed; its score is its probability.
        likely: what is likelier, ``None`` where nothing is; its score is its probability.
        score: by which errors are ranked: the logarithm of how many times likelier it is than the annotation, and half
            of what others say of that.
    """

    source: str
    sentence: AnnotatedSentence
    place: tuple[str, int]
    kind: ErrorKind
    annotated: Entity | None
    likely: Entity | None
    probabilities: tuple[float, float]
    score: float

    @property
    def marked(self) -> str:
        """The sentence, shortened, with the mention in brackets and what is likelier in braces if it lies elsewhere."""
        spans = {
            (e.start, e.end): brackets for e, brackets in ((self.likely, "{}"), (self.annotated, "[]")) if e
        }
        tokens = self.sentence.tokens
        first, last = min(start for start, _ in spans), max(end for _, end in spans)
        parts = []
        for index, token in enumerate(tokens[first:last], first):
            opened = "".join(b[0] for (start, _), b in spans.items() if start == index)
            closed = "".join(b[1] for (_, end), b in reversed(spans.items()) if end == index + 1)
            parts.append(f"{opened}{token}{closed}")
        before, after = join_tokens(tokens[:first]), join_tokens(tokens[last:])
        left = f"…{before[-_LONGEST_SHOWN + 1 :]}" if len(before) > _LONGEST_SHOWN else before
        text = join_tokens([part for part in (left, join_tokens(parts), after[:_LONGEST_SHOWN]) if part])
        return shorten(text, 4 * _LONGEST_SHOWN) + "…" * (len(after) > _LONGEST_SHOWN)

    def __str__(self) -> str:
        annotated, likely = (
            f"{visible(entity.label) if entity else 'nothing'} {probability:.2f}"
            for entity, probability in zip((self.annotated, self.likely), self.probabilities, strict=True)
        )
        split, row = self.place
        return f"{self.kind}: {annotated} → {likely}   {self.source}, {split} row {row}\n     {self.marked}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; offsets are of tokens, ends exclusive."""
        split, row = self.place
        plain: dict[str, Any] = {"source": self.source, "split": split, "row": row, "id": self.sentence.id}
        plain |= {"kind": self.kind, "score": round(self.score, _DIGITS)}
        for name, entity, probability in zip(
            ("annotated", "likely"), (self.annotated, self.likely), self.probabilities, strict=True
        ):
            plain |= {
                f"{name}_start": entity.start if entity else None,
                f"{name}_end": entity.end if entity else None,
                f"{name}_label": entity.label if entity else None,
                f"{name}_probability": round(probability, _DIGITS),
            }
        return {**plain, "tokens": self.sentence.tokens}


@dataclass(frozen=True)
class LabelErrors:
    """Likely errors of annotation, the likeliest first.

    Attributes:
        errors: all that were found.
        mentions: the number of annotated mentions that were checked.
    """

    errors: tuple[LabelError, ...]
    mentions: int

    def __iter__(self) -> Iterator[LabelError]:
        return iter(self.errors)

    def __len__(self) -> int:
        return len(self.errors)

    @cached_property
    def sentences(self) -> list[tuple[AnnotatedSentence, list[LabelError]]]:
        """The sentences with likely errors, that with the likeliest first, and the errors of each."""
        by_place: dict[tuple[str, tuple[str, int]], list[LabelError]] = {}
        for error in self.errors:
            by_place.setdefault((error.source, error.place), []).append(error)
        return [(own[0].sentence, own) for own in by_place.values()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of them to a new file, by its ending: JSON lines, or a table (.csv) with tokens parted by spaces.

        In the table an apostrophe precedes what a spreadsheet would take for a formula.

        Raises:
            ConfigurationError: the file exists, or has another ending.
        """
        file = Path(path)
        check_file(file)
        rows = [error.to_dict() for error in self.errors]
        with file.open("w", encoding="utf-8", newline="" if file.suffix == ".csv" else None) as stream:
            if file.suffix == ".jsonl":
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            elif rows:
                table = csv.DictWriter(stream, rows[0])
                table.writeheader()
                for row in rows:
                    cells = {**row, "tokens": " ".join(row["tokens"])}
                    table.writerow(
                        {n: table_cell(cell) if isinstance(cell, str) else cell for n, cell in cells.items()}
                    )

    def only(self, split: str | None = None, kind: ErrorKind | None = None) -> LabelErrors:
        """Return those of one split, of one kind, or both."""
        wanted = (e for e in self.errors if split in (None, e.place[0]) and kind in (None, e.kind))
        return replace(self, errors=tuple(wanted))

    def table(self, top: int = 50) -> str:
        """Return the first of them as text, three lines each."""
        counts = Counter(error.kind for error in self.errors)
        kinds = ", ".join(f"{counts[kind]:,} {kind}" for kind in get_args(ErrorKind))
        title = (
            f"{len(self):,} differences to {self.mentions:,} annotated mentions, the likeliest first: {kinds}"
        )
        rows = [f"{number:3}. {error}" for number, error in enumerate(self.errors[:top], 1)]
        return "\n".join([title, *rows])

    def __str__(self) -> str:
        return self.table()

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row an error."""
        return pandas.DataFrame([error.to_dict() for error in self.errors])


def check_file(file: Path) -> None:
    """Check that label errors can be written to a file.

    Raises:
        ConfigurationError: it exists, its folder does not, or it has another ending than .jsonl or .csv.
    """
    if file.suffix not in (".jsonl", ".csv"):
        raise ConfigurationError(f"{file}: expected a file that ends with .jsonl or .csv.")
    if file.exists():
        raise ConfigurationError(f"{file} exists already. Choose another file, or remove it.")
    if not file.parent.is_dir():
        raise ConfigurationError(f"{file}: there is no folder {file.parent}. Make it first.")


def find_label_errors(
    sources: Sequence[SourceLike],
    *,
    encoder: str | os.PathLike[str] | None = None,
    mapping: LabelMapping | str | os.PathLike[str] | None = None,
    max_samples: int | None = None,
    seed: int = 42,
) -> LabelErrors:
    """Rank mentions by how likely their annotation is wrong, and find mentions that are likely missed.

    The sentences of all splits of a source are parted in four. Each part is read by a CRF on the states of a frozen
    encoder that has learnt from the three others. Where it finds something else than was annotated, the ratio of both
    probabilities ranks the error: a difference would rank all high of which it is sure, though it is sure by mistake
    more often than annotators are. What the CRFs of other sources say counts where labels are equal.

    Nothing is trained for long, and no data are changed.

    Args:
        sources: one or several, as for :func:`~esnera_hf.align`.
        encoder: folder or Hub id of a pretrained encoder; chosen by language if not given.
        mapping: which labels of the sources are equal, or its file; those of one name if not given.
        max_samples: use at most so many sentences per split.
        seed: of the parts.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: a source has too few sentences, or the mapping lacks a source.
    """
    if isinstance(mapping, (str, os.PathLike)):
        mapping = LabelMapping.load(mapping)
    with quiet_libraries():
        loaded = load_sources(sources, max_samples, seed)
        if mapping is not None:
            mapping.check_fits(ref for source in loaded for ref in source.label_refs)
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        readings = _readings(loaded, name, seed)
    errors = []
    for source in loaded:
        own = readings[source.name, source.name]
        others = [
            (readings[other.name, source.name], _equal_labels(source, other, mapping))
            for other in loaded
            if other is not source
        ]
        for number, (place, sentence) in enumerate(_sentences(source)):
            opinions = [(rows[number], equal) for rows, equal in others]
            for kind, annotated, likely in _differences(own[number]):
                pair, score = _judged((annotated, likely), own[number], opinions)
                errors.append(LabelError(source.name, sentence, place, kind, annotated, likely, pair, score))
    errors.sort(key=lambda error: (-error.score, error.source, error.place))
    return LabelErrors(
        tuple(errors), sum(sum(counts.values()) for s in loaded for counts in s.summary.entities.values())
    )


def _sentences(source: NerSource) -> Iterator[tuple[tuple[str, int], AnnotatedSentence]]:
    for split in source.dataset:
        for row, sentence in enumerate(source.sentences(split)):
            yield (split, row), sentence


def _equal_labels(source: NerSource, other: NerSource, mapping: LabelMapping | None) -> dict[str, str]:
    """Return the label of another source that is equal to a label, for each that has one."""

    def are_equal(label: LabelRef, candidate: LabelRef) -> bool:
        if mapping is None:
            return label.label.casefold() == candidate.label.casefold()
        return mapping.are_one(label, candidate)

    pairs = product(source.label_refs, other.label_refs)
    return {label.label: candidate.label for label, candidate in pairs if are_equal(label, candidate)}


def _differences(reading: Reading) -> Iterator[tuple[ErrorKind, Entity | None, Entity | None]]:
    """Yield where a head finds something else than was annotated: the kind, the annotation, and what it finds."""
    for annotated in reading.annotated:
        rivals = [e for e in reading.predicted if e.start < annotated.end and annotated.start < e.end]
        if annotated in rivals:
            continue
        likely = max(rivals, key=lambda entity: entity.score, default=None)
        if likely is None:
            yield "spurious", annotated, None
        else:
            yield "wrong borders" if likely.label == annotated.label else "wrong label", annotated, likely
    for entity in reading.predicted:
        if not any(e.start < entity.end and entity.start < e.end for e in reading.annotated):
            yield "missed", None, entity


def _judged(
    pair: tuple[Entity | None, Entity | None],
    own: Reading,
    others: Sequence[tuple[Reading, Mapping[str, str]]],
) -> tuple[tuple[float, float], float]:
    """Return the probabilities of the annotation and of what is likelier, and the score of the error."""
    place: Any = pair[0] or pair[1]
    nothing = min(own.outside[place.start : place.end])
    annotated, likely = (nothing if entity is None else entity.score for entity in pair)
    opinions = []
    for reading, equal in others:
        figures = [_by_other(entity, place, reading, equal) for entity in pair]
        if None not in figures:
            # A head of another source tells nothing of a mention that it does not find itself.
            opinions.append(_log_ratio(figures, _LEAST_OF_OTHERS))
    score = _log_ratio((annotated, likely), _LEAST)
    return (annotated, likely), score + (_WEIGHT_OF_OTHERS * fmean(opinions) if opinions else 0.0)


def _log_ratio(probabilities: Sequence[float | None], least: float) -> float:
    annotated, likely = (math.log((probability or 0.0) + least) for probability in probabilities)
    return likely - annotated


def _by_other(
    entity: Entity | None, place: Entity, reading: Reading, equal: Mapping[str, str]
) -> float | None:
    """Return the probability that the head of another source gives a mention, or none; ``None`` if it cannot say."""
    if (entity or place).label not in equal:
        return None
    if entity is None:
        return min(reading.outside[place.start : place.end])
    same = Entity(entity.start, entity.end, equal[entity.label])
    return next((other.score for other in reading.predicted if other == same), 0.0)


def _readings(sources: Sequence[NerSource], encoder: str, seed: int) -> dict[tuple[str, str], list[Reading]]:
    """Return what the head of each source, by name, says of the sentences of each, read now or before."""
    from esnera_hf.modeling.frozen_tagger import Reading

    identity = {
        "sources": [source.identity for source in sources],
        "encoder": encoder_identity(encoder),
        "heads": [_LAYERS, _FOLDS, seed],
        "versions": library_versions(),
    }
    artifact = Artifact("label_errors", identity)
    artifact.make(lambda folder: _read_all(sources, encoder, seed, folder))
    result = {}
    with artifact.reading():
        for (number, head), (other, source) in product(enumerate(sources), repeat=2):
            with (artifact.folder / f"{number}-{other}.jsonl").open(encoding="utf-8") as stream:
                result[head.name, source.name] = [
                    Reading([Entity(*e) for e in annotated], [Entity(*e) for e in predicted], outside)
                    for annotated, predicted, outside in map(json.loads, stream)
                ]
    return result


def _read_all(sources: Sequence[NerSource], encoder: str, seed: int, folder: Path) -> None:
    """Let the heads of all sources read all sources, and write what they say."""
    from esnera_hf.modeling.frozen_tagger import FrozenStates, cross_readings
    from esnera_hf.modeling.mention_vectors import MentionEncoder

    model = MentionEncoder(encoder, _LAYERS)
    states = []
    for source in sources:
        sentences = [sentence for _, sentence in _sentences(source)]
        if sum(bool(sentence.entities) for sentence in sentences) < _FOLDS:
            raise ConfigurationError(
                f"{source.name}: expected at least {_FOLDS} sentences with entities, as errors are told from the rest."
            )
        say(f"{source.name}: reading {len(sentences):,} sentences")
        states.append(FrozenStates(model, sentences))
    for number, (source, own) in enumerate(zip(sources, states, strict=True)):
        own_readings, head = cross_readings(own, source.labels, _FOLDS, seed)
        for other, read in enumerate(states):
            readings = own_readings
            if read is not own:
                readings = read.readings(head.read(read, range(len(read.windows)), annotated=False))
            with (folder / f"{number}-{other}.jsonl").open("w", encoding="utf-8") as stream:
                for reading in readings:
                    spans = [
                        [(e.start, e.end, e.label, round(e.score, _DIGITS)) for e in row]
                        for row in reading[:2]
                    ]
                    outside = [round(probability, _DIGITS) for probability in reading.outside]
                    stream.write(json.dumps([*spans, outside], ensure_ascii=False) + "\n")
