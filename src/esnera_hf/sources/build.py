"""Raw sentences of one source become a :class:`NerSource`, with everything accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from datasets import Dataset, concatenate_datasets
from tqdm.auto import tqdm

from esnera_hf.errors import ConservationError, SourceError
from esnera_hf.sources.sentence import Dropped, RawSentence, Reader, flatten, label_frequency
from esnera_hf.sources.source import SOURCE_FEATURES, Licence, NerSource
from esnera_hf.sources.splits import complete_splits
from esnera_hf.tagging import OUTSIDE, tags_from_entities
from esnera_hf.text import join_tokens

_CHUNK = 10_000


@dataclass(frozen=True)
class SourceTerms:
    """What is known of a source beside its sentences."""

    name: str
    licence: Licence = field(default_factory=Licence)
    language: str = ""
    seed: int = 42
    notes: tuple[str, ...] = ()


@dataclass
class _Ledger:
    frequency: Mapping[str, int]
    dropped: list[Dropped] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    read: int = 0
    kept: int = 0


def build_source(terms: SourceTerms, readers: Mapping[str, Reader]) -> NerSource:
    """Build a source from a reader for each split.

    Args:
        terms: name, licence and language.
        readers: by canonical split name; called more than once.

    Raises:
        SourceError: no split is labelled, nothing is annotated anywhere, a
            split mixes labelled and unlabelled sentences, or a label is ``O``.
    """
    ledger = _Ledger(label_frequency(readers.values()))
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
    if ledger.read != ledger.kept + len(ledger.dropped):
        raise ConservationError(
            f"{terms.name}: {ledger.read} spans read, {ledger.kept} kept, {len(ledger.dropped)} dropped. "
            "Please report this."
        )
    dataset, cuts = complete_splits(splits, terms.seed)
    return NerSource(
        name=terms.name,
        dataset=dataset,
        licence=terms.licence,
        language=terms.language,
        dropped=tuple(ledger.dropped),
        repairs=dict(ledger.repairs),
        notes=(*notes, *cuts),
    )


def _read_split(name: str, split: str, read: Reader, ledger: _Ledger) -> Dataset | None:
    chunks: list[Dataset] = []
    columns: dict[str, list[object]] = {column: [] for column in SOURCE_FEATURES}
    unlabelled: str | None = None
    labelled: str | None = None
    entities = 0
    for index, sentence in enumerate(tqdm(read(), desc=f"{name} {split}", unit=" sentences", delay=2)):
        if sentence.spans is None:
            unlabelled = unlabelled or sentence.where
        else:
            labelled = labelled or sentence.where
            entities += len(sentence.spans)
        if labelled and unlabelled:
            raise SourceError(
                f"{name}, {split}: {labelled} is annotated and {unlabelled} is not. "
                "A split must be annotated throughout (an empty annotation is one): part the file."
            )
        columns["id"].append(f"{name}-{split}-{index}")
        columns["tokens"].append(sentence.tokens)
        columns["ner_tags"].append(_tags(name, split, sentence, ledger))
        columns["source"].append(name)
        if len(columns["id"]) == _CHUNK:
            chunks.append(_to_dataset(columns))
    if not entities:
        return None
    chunks.append(_to_dataset(columns))
    return concatenate_datasets(chunks)


def _tags(name: str, split: str, sentence: RawSentence, ledger: _Ledger) -> list[str]:
    spans = sentence.spans or []
    for span in spans:
        if span.label == OUTSIDE or not span.label.strip():
            raise SourceError(
                f"{name}, {sentence.where}: a label called {span.label!r}. {OUTSIDE!r} means "
                "'outside every entity' in every tagging scheme: rename the label in the source."
            )
    ledger.repairs.update(sentence.repairs)
    kept, clashes = flatten(spans, ledger.frequency)
    ledger.read += len(spans)
    ledger.kept += len(kept)
    for span, reason in clashes:
        mention = join_tokens(sentence.tokens[span.start : span.end])
        ledger.dropped.append(
            Dropped(split, sentence.where, span.start, span.end, span.label, mention, reason)
        )
    return tags_from_entities(len(sentence.tokens), kept)


def _to_dataset(columns: dict[str, list[object]]) -> Dataset:
    dataset = Dataset.from_dict(columns, features=SOURCE_FEATURES)
    for values in columns.values():
        values.clear()
    return dataset
