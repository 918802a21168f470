"""The sentences of a corpus, as readers yield them, become a :class:`NerSource`, with everything accounted for."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property, lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, List, NamedSplit, Value
from datasets.exceptions import DatasetGenerationError

from esnera_hf._internal.arrow import batches, count_labels
from esnera_hf._internal.cache_contents import (
    CACHE_VARIABLE,
    SOURCES,
    cache_folder,
    keep_bound,
    mark_used,
    reading_code,
)
from esnera_hf._internal.files import write_problem
from esnera_hf._internal.text import join_tokens, shown, visible
from esnera_hf.errors import ConservationError, SourceError
from esnera_hf.sources.characters import as_characters, has_words, language_of
from esnera_hf.sources.licenses import stated_license
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.plausibility import check_labels, check_tokens, label_notes
from esnera_hf.sources.source import (
    SOURCE_FEATURES,
    TWICE,
    Dropped,
    NerSource,
    RawSentence,
    Reader,
    flatten,
)
from esnera_hf.sources.splits import complete_splits
from esnera_hf.tagging import OUTSIDE, Entity, tags_from_entities

LABEL_NORMALIZED = "label in another Unicode form, with spaces around it or unprintable, normalized"
#: Columns of the second and further layers of nested spans begin so, their numbers follow.
LAYER = "ner_tags_"
WORDS_CUT = "words cut into characters"
#: Sentences that language and tokenization are detected from.
_SNIFFED = 500
#: Keys of records that a message names.
_SHOWN_KEYS = 20
#: Sentences of a split that stay in memory; more go to an Arrow file, which is mapped.
_IN_MEMORY = 10_000
#: A row of a source, and what reading left out and repaired there, so that a cached source has it too.
_ROW_FEATURES = Features(
    {
        **SOURCE_FEATURES,
        "dropped": List(
            {name: Value("int64" if name in ("start", "end") else "string") for name in Dropped._fields[1:]}
        ),
        "repairs": List(Value("string")),
        "columns": List({"name": Value("string"), "value": Value("string")}),
    }
)


def build_source(
    terms: NerSource,
    readers: Mapping[str, Reader],
    options: ReadingOptions | None = None,
    *,
    origin: str | None = None,
) -> NerSource:
    """Build a source from a reader for each split.

    Args:
        terms: a source without sentences: name, license, language, notes, provenance, and in
            ``vocabulary`` the labels that it is known to annotate, if they are.
        readers: by canonical split name; called more than once.
        options: characters or words, strictness, seed.
        origin: a digest of what is read; the sentences are then cached under it and not read again.

    Raises:
        SourceError: no split is labelled, nothing is annotated anywhere, a
            split mixes labelled and unlabelled sentences, a label is ``O``, or there is no
            room for the sentences; with ``strict`` also anything to repair or leave out.
    """
    options = options or ReadingOptions()
    terms = replace(terms, language=options.language or terms.language)
    if options.license is not None:
        terms = replace(terms, license=stated_license(options.license))
    reading = _Reading(terms, readers, options)
    stored = {split: reading.stored(split, origin) for split in readers}
    labels, repairs = Counter[str](), Counter[str]()
    dropped: list[Dropped] = []
    splits: dict[str, Dataset] = {}
    notes: list[str] = []
    for split, rows in stored.items():
        split_labels, split_dropped = _annotation(split, rows, repairs)
        labels += split_labels
        dropped += split_dropped
        if split_labels:
            splits[split] = rows
        else:
            notes.append(f"{split} carries no annotation: not loaded")
    further = set().union(*map(_further_columns, splits.values()))
    splits = {split: _canonical(rows, further) for split, rows in splits.items()}
    if repairs.pop(WORDS_CUT, 0):
        notes.insert(0, WORDS_CUT)
    if not splits:
        keys = dict.fromkeys(key for reader in readers.values() for key in getattr(reader, "keys", ()))
        shown_keys = f"keys {', '.join(shown(key) for key in islice(keys, _SHOWN_KEYS))}" if keys else ""
        layout = "; ".join(_described(readers)) or shown_keys
        raise SourceError(
            f"{terms.name}: no entities in any split ({', '.join(readers) or 'none found'})"
            f"{f', read as {layout}' if layout else ''}. Expected at least one split with annotated sentences: name "
            "the column or key of the annotation (tag_column=) and the format (format=)."
        )
    if options.scheme != "none":
        check_labels(terms.name, labels)
    if options.token_column is None:
        tokens = chain.from_iterable(next(iter(splits.values()))[:_SNIFFED]["tokens"])
        check_tokens(terms.name, list(tokens), labels)
    dataset, cuts = complete_splits(splits, options.seed)
    return replace(
        terms,
        dataset=dataset,
        language=terms.language or language_of(next(iter(stored.values()))[:_SNIFFED]["tokens"]),
        dropped=tuple(dropped),
        repairs=dict(repairs),
        notes=(*terms.notes, *notes, *label_notes(terms, labels), *cuts),
        vocabulary=(),
        reading=tuple(_described(readers)),
    )


class _Reading:
    """Turns what readers yield into rows."""

    def __init__(self, terms: NerSource, readers: Mapping[str, Reader], options: ReadingOptions) -> None:
        self._terms, self._readers, self._options = terms, readers, options

    def stored(self, split: str, origin: str | None) -> Dataset:
        """Return the rows of a split: a few in memory; more, and those with an origin, in a mapped Arrow file."""
        read: Callable[[], Iterator[dict[str, Any]]] = partial(self.rows, split)
        if origin is None:
            stream = read()
            first = list(islice(stream, _IN_MEMORY))
            if len(first) < _IN_MEMORY:
                return Dataset(pa.Table.from_pylist(first, schema=self._features.arrow_schema))
            read = partial(chain, first, stream)
            # Without a key, datasets keys by the pickled generator and returns rows of files that have changed since.
            folder, variable, key = Path(_temporary_folder().name), "TMPDIR", uuid4().hex
        else:
            identity = (origin, split, self._terms.name, self._terms.language, self._options)
            key = hashlib.sha256(repr(identity).encode("utf-8", "surrogatepass")).hexdigest()[:32]
            folder, variable = cache_folder() / SOURCES / reading_code(), CACHE_VARIABLE
        place: dict[str, Any] = {"cache_dir": str(folder), "split": NamedSplit(split), "fingerprint": key}
        try:
            rows = Dataset.from_generator(read, features=self._features, **place)
        except (DatasetGenerationError, OSError) as error:
            cause = error.__cause__ if isinstance(error, DatasetGenerationError) else error
            if problem := write_problem(cause, folder):
                raise SourceError(
                    f"{folder}: the sentences cannot be kept there: {problem}. Make room, or set {variable} to a "
                    "folder with more."
                ) from error
            raise cause or error from None
        if origin is not None:
            mark_used(Path(rows.cache_files[0]["filename"]).parents[1])
            keep_bound()
        return rows

    @cached_property
    def _cuts_words(self) -> bool:
        if self._options.characters is not None:
            return self._options.characters
        sample = list(islice(next(iter(self._readers.values()))(), _SNIFFED))
        language = self._terms.language or language_of(sentence.tokens for sentence in sample)
        return language.partition("-")[0] in ("zh", "ja") and has_words(sample)

    @cached_property
    def _frequency(self) -> Mapping[str, int]:
        return label_frequency(self._readers.values())

    @cached_property
    def _features(self) -> Features:
        """The columns of a row: one of tags, and one for each further layer of nested spans if they are kept."""
        depth = 1
        if self._options.nested == "layers":
            sentences = chain.from_iterable(read() for read in self._readers.values())
            depth = max((len(self._layers(sentence)[0]) for sentence in sentences), default=1)
        further = {f"{LAYER}{number}": SOURCE_FEATURES["ner_tags"] for number in range(2, depth + 1)}
        return Features({**_ROW_FEATURES, **further})

    def rows(self, split: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a split, read from its beginning."""
        name = self._terms.name
        # By whether it is annotated, where the first such sentence stands.
        annotated: dict[bool, str] = {}
        for index, sentence in enumerate(self._readers[split]()):
            annotated.setdefault(sentence.spans is not None, sentence.where)
            if len(annotated) == 2:
                raise SourceError(
                    f"{name}, {split}: {annotated[True]} is annotated and {annotated[False]} is not. "
                    "A split must be annotated throughout (an empty annotation is one): part the file."
                )
            if self._cuts_words:
                sentence = as_characters(sentence)
            layers, dropped, repairs = self._annotation(sentence)
            outside = [OUTSIDE] * len(sentence.tokens)
            further = [name for name in self._features if name.startswith(LAYER)]
            yield {
                "id": f"{name}-{split}-{index}",
                "tokens": sentence.tokens,
                "ner_tags": layers[0],
                **dict(zip(further, [*layers[1:], *[outside] * len(further)], strict=False)),
                "source": name,
                "dropped": dropped,
                "repairs": [*repairs, *([WORDS_CUT] if index == 0 and self._cuts_words else ())],
                "columns": [{"name": name, "value": value} for name, value in sentence.columns.items()],
            }

    def _annotation(self, sentence: RawSentence) -> tuple[list[list[str]], list[dict[str, Any]], list[str]]:
        """Return the tags of a sentence, layer by layer, the spans left out, and the repairs."""
        where = f"{self._terms.name}, {sentence.where}"
        layers, clashes, repairs = self._layers(sentence)
        if self._options.strict and (repairs or clashes):
            problem = repairs[0] if repairs else f"{clashes[0][0]}: {clashes[0][1]}"
            raise SourceError(f"{where}: {problem}. Mend it, or read without strict=True.")
        dropped = []
        for span, reason in clashes:
            mention = join_tokens(sentence.tokens[span.start : span.end])
            values = (sentence.where, span.start, span.end, span.label, mention, reason)
            dropped.append(dict(zip(Dropped._fields[1:], values, strict=True)))
        return [tags_from_entities(len(sentence.tokens), flat) for flat in layers], dropped, repairs

    def _layers(
        self, sentence: RawSentence
    ) -> tuple[list[list[Entity]], list[tuple[Entity, str]], list[str]]:
        """Return spans that do not overlap, once or as often as it takes, those left out, and the repairs."""
        where, spans, repairs = f"{self._terms.name}, {sentence.where}", [], list(sentence.repairs)
        for span in sentence.spans or ():
            label = normalized_label(span.label)
            if label == OUTSIDE or not label:
                raise SourceError(
                    f"{where}: a label called {label!r}. {OUTSIDE!r} means 'outside every entity' in every tagging "
                    "scheme: rename the label in the source."
                )
            if label != span.label:
                repairs.append(LABEL_NORMALIZED)
            spans.append(replace(span, label=label))
        # The frequency of labels, which takes reading all, counts only where one span has two.
        doubled = len({(span.start, span.end) for span in spans}) < len(spans)
        frequency = self._frequency if doubled else {}
        nested = self._options.nested
        layers: list[list[Entity]] = []
        left_out: list[tuple[Entity, str]] = []
        rest = spans
        while rest or not layers:
            flat, clashes = flatten(rest, frequency, innermost=nested == "innermost")
            layers.append(flat)
            rest = [span for span, why in clashes if nested == "layers" and why != TWICE]
            left_out += [clash for clash in clashes if nested != "layers" or clash[1] == TWICE]
        # Entities are conserved: in = in the dataset + dropped, or nobody could trust a count.
        if (count := sum(map(len, layers))) + len(left_out) != len(spans):
            raise ConservationError(
                f"{where}: {len(spans)} spans read, {count} kept, {len(left_out)} dropped. Please report this."
            )
        return layers, left_out, repairs


@lru_cache(maxsize=10_000)
def normalized_label(label: str) -> str:
    """Return a label in NFKC, without spaces around it, unprintable characters replaced by U+FFFD."""
    return visible(unicodedata.normalize("NFKC", label).strip())


def label_frequency(readers: Iterable[Reader]) -> Counter[str]:
    """Count annotated spans by label over all splits."""
    sentences = chain.from_iterable(read() for read in readers)
    return Counter(normalized_label(span.label) for sentence in sentences for span in sentence.spans or ())


def _annotation(split: str, rows: Dataset, repairs: Counter[str]) -> tuple[Counter[str], list[Dropped]]:
    """Count the labels annotated in a split, collect the spans left out, and add up the repairs."""
    labels = count_labels(rows)
    dropped: list[Dropped] = []
    for spans, kinds in batches(rows, "dropped", "repairs"):
        dropped += [Dropped(split=split, **span) for span in pc.list_flatten(spans).to_pylist()]
        repairs.update(pc.list_flatten(kinds).to_pylist())
    labels.update(drop.label for drop in dropped)
    return labels, dropped


def _described(readers: Mapping[str, Reader]) -> Iterator[str]:
    """Yield what the columns or keys of each split are for; of splits that are alike, once."""
    layouts = {split: str(getattr(reader, "layout", "")) for split, reader in readers.items()}
    by_layout: dict[str, list[str]] = {}
    for split, layout in layouts.items():
        by_layout.setdefault(layout, []).append(split)
    for layout, splits in by_layout.items():
        if layout:
            yield from [f"{', '.join(splits)}:"] * (len(by_layout) > 1)
            yield from layout.split("\n")


@cache
def _temporary_folder() -> TemporaryDirectory[str]:  # one for the process, removed at its end
    return TemporaryDirectory(prefix="esnera-")


def _further_columns(rows: Dataset) -> set[str]:
    names: set[str] = set()
    for (column,) in batches(rows, "columns"):
        names.update(pc.struct_field(pc.list_flatten(column), "name").to_pylist())
    return names - {*SOURCE_FEATURES}


def _canonical(rows: Dataset, further: Iterable[str]) -> Dataset:
    """Return the rows with further columns, without what reading left out and repaired.

    Their fingerprint is one of their content: the default tells the name and age of a
    file, and so would everything made of them.
    """
    digest = hashlib.sha256()
    for file in rows.cache_files:
        with open(file["filename"], "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    fingerprint = digest.hexdigest()[:16] if rows.cache_files else None
    kept = [name for name in rows.features if name in SOURCE_FEATURES or name.startswith(LAYER)]
    features = Features({name: rows.features[name] for name in kept})
    table = rows.data.select(list(features)).cast(features.arrow_schema)
    for name in sorted(further):
        chunks = [
            [
                next((pair["value"] for pair in pairs if pair["name"] == name), "")
                for pairs in column.to_pylist()
            ]
            for (column,) in batches(rows, "columns")
        ]
        table = table.append_column(name, pa.chunked_array(chunks, pa.string()))
    return Dataset(table, fingerprint=fingerprint)
