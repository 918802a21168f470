"""What is exported of a source or a merged dataset: sentences, and which of their entities are pseudo-labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from typing import NamedTuple

from datasets import ClassLabel, Dataset, DatasetDict

from esnera_hf.errors import SourceError
from esnera_hf.merging import GOLD, PSEUDO
from esnera_hf.sources import NerSource
from esnera_hf.tagging import Entity, entities_from_tags

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


def begun_entities(rows: Dataset, *, gold_only: bool = False) -> Counter[tuple[str, str, str]]:
    """Count the tags that begin an entity, by source, label and origin; gold where the data does not say.

    Args:
        rows: of a split from :func:`splits_of`.
        gold_only: leave pseudo-labels out.
    """
    begun: Counter[tuple[str, str, str]] = Counter()
    for row in _rows(rows):
        origins = row.origin or [GOLD] * len(row.tags)
        for tag, origin in zip(row.tags, origins, strict=True):
            if tag.startswith("B-") and not (gold_only and origin == PSEUDO):
                begun[row.source, tag[2:], origin] += 1
    return begun


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
