"""Raw sentences of one source become a :class:`NerSource`, with everything accounted for."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from datasets import Dataset
from tqdm.auto import tqdm

from esnera_hf.errors import ConservationError, SourceError
from esnera_hf.sources.characters import as_characters, has_words, language_of
from esnera_hf.sources.defects import Repeats, observe
from esnera_hf.sources.licence_table import licence_from_id
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.row_writer import RowWriter
from esnera_hf.sources.sentence import Dropped, RawSentence, Reader, flatten, label_frequency
from esnera_hf.sources.source import Licence, NerSource, Provenance
from esnera_hf.sources.splits import complete_splits
from esnera_hf.tagging import OUTSIDE, Entity, tags_from_entities
from esnera_hf.text import join_tokens

_SNIFFED = 500
LABEL_NORMALISED = "label in another Unicode form, with spaces around it or unprintable, normalised"


@dataclass(frozen=True)
class SourceTerms:
    """What is known of a source beside its sentences; ``labels`` is empty where they are not known."""

    name: str
    licence: Licence = field(default_factory=Licence)
    language: str = ""
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


@dataclass
class _Ledger:
    readers: Mapping[str, Reader]
    strict: bool
    dropped: list[Dropped] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    observed: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    kept: int = 0

    @cached_property
    def frequency(self) -> Mapping[str, int]:
        """How often each label is annotated: asked for only where one span has two labels."""
        return label_frequency(self.readers.values())


def build_source(
    terms: SourceTerms, readers: Mapping[str, Reader], options: ReadingOptions | None = None
) -> NerSource:
    """Build a source from a reader for each split.

    Args:
        terms: name, licence and language.
        readers: by canonical split name; called more than once.
        options: characters or words, strictness, seed.

    Raises:
        SourceError: no split is labelled, nothing is annotated anywhere, a
            split mixes labelled and unlabelled sentences, or a label is ``O``;
            with ``strict`` also anything to repair or leave out.
    """
    options = options or ReadingOptions()
    terms = replace(terms, language=options.language or terms.language)
    terms, readers = _in_characters(terms, readers, options)
    readers = {split: _normalised(read) for split, read in readers.items()}
    ledger = _Ledger(readers, options.strict)
    splits: dict[str, Dataset] = {}
    notes = list(terms.notes)
    for split, read in readers.items():
        rows = _read_split(terms.name, split, read, ledger)
        if rows is None:
            notes.append(f"{split} carries no annotation: not loaded")
        else:
            splits[split] = rows
    if not splits:
        raise SourceError(
            f"{terms.name}: no entities in any split ({', '.join(readers) or 'none found'}). "
            "Expected at least one split with annotated sentences: check the tag column and the format."
        )
    if ledger.labels.total() != ledger.kept + len(ledger.dropped):
        raise ConservationError(
            f"{terms.name}: {ledger.labels.total()} spans read, {ledger.kept} kept, {len(ledger.dropped)} dropped. "
            "Please report this."
        )
    dataset, cuts = complete_splits(splits, options.seed)
    licence = terms.licence
    if options.licence is not None:
        licence = licence_from_id(options.licence, "as stated by whoever loaded it")
    return NerSource(
        name=terms.name,
        dataset=dataset,
        licence=licence,
        language=terms.language,
        provenance=terms.provenance,
        dropped=tuple(ledger.dropped),
        repairs=dict(ledger.repairs),
        observed=dict(ledger.observed),
        notes=(*notes, *_unknown_labels(terms, ledger.labels), *_case_variants(ledger.labels), *cuts),
    )


def _in_characters(
    terms: SourceTerms, readers: Mapping[str, Reader], options: ReadingOptions
) -> tuple[SourceTerms, Mapping[str, Reader]]:
    """Tell the language where it is unknown, and cut words into characters where that is wanted."""
    first = next(iter(readers.values()), None)
    if first is None:
        return terms, readers
    sample = list(islice(first(), _SNIFFED))
    if not terms.language:
        terms = replace(terms, language=language_of(sample))
    wanted = options.characters
    if wanted is None:
        wanted = terms.language.partition("-")[0] in ("zh", "ja") and has_words(sample)
    if not wanted:
        return terms, readers
    terms = replace(terms, notes=(*terms.notes, "words cut into characters"))
    return terms, {split: as_characters(read) for split, read in readers.items()}


def _normalised(read: Reader) -> Reader:
    """Return a reader whose labels are in NFKC and without spaces around them."""
    known: dict[str, str] = {}

    def renamed(span: Entity) -> Entity:
        label = known.get(span.label)
        if label is None:
            text = unicodedata.normalize("NFKC", span.label).strip()
            label = known[span.label] = "".join(c if c.isprintable() else "\ufffd" for c in text)
        return span if label == span.label else replace(span, label=label)

    def read_normalised() -> Iterator[RawSentence]:
        for sentence in read():
            spans = [renamed(span) for span in sentence.spans or ()]
            changed = sum(new is not old for new, old in zip(spans, sentence.spans or (), strict=True))
            if changed:
                sentence.spans = spans
                sentence.repairs.extend([LABEL_NORMALISED] * changed)
            yield sentence

    return read_normalised


def _unknown_labels(terms: SourceTerms, frequency: Mapping[str, int]) -> Iterator[str]:
    unknown = sorted(set(frequency) - set(terms.labels))
    if terms.labels and unknown:
        yield f"labels that {terms.name} is not known to annotate: {', '.join(unknown)}"


def _case_variants(frequency: Mapping[str, int]) -> Iterator[str]:
    by_fold: dict[str, list[str]] = {}
    for label in sorted(frequency):
        by_fold.setdefault(label.casefold(), []).append(label)
    for variants in by_fold.values():
        if len(variants) > 1:
            yield f"labels that differ only in case, kept apart: {', '.join(variants)}"


def _read_split(name: str, split: str, read: Reader, ledger: _Ledger) -> Dataset | None:
    rows = RowWriter()
    repeats = Repeats()
    places: dict[bool, str] = {}
    entities = 0
    for index, sentence in enumerate(tqdm(read(), desc=f"{name} {split}", unit=" sentences", delay=2)):
        entities += len(sentence.spans or ())
        places.setdefault(sentence.spans is not None, sentence.where)
        if len(places) == 2:
            raise SourceError(
                f"{name}, {split}: {places[True]} is annotated and {places[False]} is not. "
                "A split must be annotated throughout (an empty annotation is one): part the file."
            )
        tags = _tags(name, split, sentence, ledger)
        ledger.observed.update(observe(sentence))
        repeats.add(sentence.tokens, tags)
        rows.add(f"{name}-{split}-{index}", sentence.tokens, tags, name)
    ledger.observed.update(repeats.counts())
    return rows.finish() if entities else None


def _tags(name: str, split: str, sentence: RawSentence, ledger: _Ledger) -> list[str]:
    spans = sentence.spans or []
    for span in spans:
        if span.label == OUTSIDE or not span.label:
            raise SourceError(
                f"{name}, {sentence.where}: a label called {span.label!r}. {OUTSIDE!r} means "
                "'outside every entity' in every tagging scheme: rename the label in the source."
            )
    ledger.repairs.update(sentence.repairs)
    kept, clashes = flatten(spans, ledger.frequency if _has_double_labels(spans) else {})
    if ledger.strict and (sentence.repairs or clashes):
        problem = sentence.repairs[0] if sentence.repairs else f"{clashes[0].span}: {clashes[0].reason}"
        raise SourceError(f"{name}, {sentence.where}: {problem}. Mend it, or read without strict=True.")
    ledger.labels.update(span.label for span in spans)
    ledger.kept += len(kept)
    for span, reason in clashes:
        mention = join_tokens(sentence.tokens[span.start : span.end])
        ledger.dropped.append(
            Dropped(split, sentence.where, span.start, span.end, span.label, mention, reason)
        )
    return tags_from_entities(len(sentence.tokens), kept)


def _has_double_labels(spans: list[Entity]) -> bool:
    return len(spans) > 1 and len({(span.start, span.end) for span in spans}) < len(spans)
