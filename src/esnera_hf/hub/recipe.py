"""A published merge, made again from one's own copies of the sources and compared with what was published.

Without the text a repository holds a fingerprint of every sentence and the pseudo-labels as positions; with it, the
same is taken from the data.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, concatenate_datasets

from esnera_hf._internal.arrow import DAMAGED_ARROW, check_rows, dataset_fingerprint
from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.json import read_json
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.errors import MappingError
from esnera_hf.hub.repository import fetch
from esnera_hf.merging.export import exported_sentences
from esnera_hf.merging.merge import merged_features
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.call import is_published
from esnera_hf.report.files import write_json
from esnera_hf.sources.source import SOURCE_FEATURES, SPLITS, NerSource
from esnera_hf.tagging import PSEUDO, Entity

RECIPE_FILE = "recipe.json"
ROWS_FOLDER = "recipe"
DATA_FOLDER = "data/merged"
#: 2: the fingerprint of the dataset stands in the recipe, the smallest confidence does not.
VERSION = 2

_DIGEST = re.compile(r"[0-9a-f]{32}")
_PSEUDO = pa.struct(
    {"start": pa.int32(), "end": pa.int32(), "label": pa.string(), "confidence": pa.float32()}
)
_ROWS = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "text": pa.binary(16),
        "annotation": pa.binary(16),
        "pseudo": pa.list_(_PSEUDO),
    }
)


#: Kind (``missing`` or ``annotated otherwise``), source, split and id of a published sentence that a copy of its source
#: does not hold as it was published.
Difference: TypeAlias = tuple[str, str, str, str]


@dataclass(frozen=True)
class Comparison:
    """Whether a dataset holds the rows and labels of the published one, and the sentences in which copies differ."""

    same: bool
    differences: tuple[Difference, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        if self.same:
            return "the same dataset as the published one"
        ids: dict[tuple[str, str], list[str]] = {}
        for kind, source, _, sentence in self.differences:
            ids.setdefault((source, kind), []).append(sentence)
        lines = [
            f"  {source}: {len(of_kind):,} {kind}: {', '.join(of_kind[:5])}{', …' if len(of_kind) > 5 else ''}"
            for (source, kind), of_kind in sorted(ids.items())
        ]
        return "\n".join(["NOT the dataset that was published", *lines])


@dataclass(frozen=True)
class Recipe:
    """What a published dataset is made of.

    Attributes:
        mapping: source labels to unified labels.
        sources: names of the sources, and where each is published, ``""`` where that is not known.
        rows: the sentences, in order, by split: ``id``, ``source``, fingerprints of the tokens (``text``) and of tokens
            with the source's tags (``annotation``), and ``pseudo``, the pseudo-labels as positions of tokens.
        salt: keeps the fingerprints of two recipes from being compared.
        fingerprint: of the dataset.
    """

    mapping: LabelMapping
    sources: Mapping[str, str]
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(repr=False)
    salt: bytes
    fingerprint: str

    @classmethod
    def of(cls, dataset: DatasetDict, mapping: LabelMapping, sources: Mapping[str, str]) -> Recipe:
        """Take the fingerprints of a merged dataset."""
        # The salt is made of the text alone, so that the same dataset has the same recipe.
        digest = hashlib.blake2b(digest_size=16)
        for part in dataset.values():
            for batch in part.select_columns(["tokens"]).iter(batch_size=1000):
                digest.update(json.dumps(batch["tokens"]).encode())
        salt = digest.digest()
        rows = {split: list(_rows(part, salt)) for split, part in dataset.items()}
        return cls(mapping, sources, rows, salt, dataset_fingerprint(dataset))

    def write(self, folder: Path) -> None:
        """Write ``recipe.json`` and a table per split; the mapping has a file of its own."""
        head = {
            "version": VERSION,
            "salt": self.salt.hex(),
            "dataset": self.fingerprint,
            "splits": list(self.rows),
            "sources": dict(self.sources),
        }
        write_json(head, folder / RECIPE_FILE)
        (folder / ROWS_FOLDER).mkdir()
        for split, rows in self.rows.items():
            table = pa.Table.from_pylist(list(rows), schema=_ROWS)
            pq.write_table(table, folder / ROWS_FOLDER / f"{split}.parquet")

    @classmethod
    def read(cls, folder: Path) -> Recipe:
        """Read what was published, with or without its text.

        Raises:
            MappingError: nothing was published here, or it is damaged or of another version.
        """
        has_text = (folder / DATA_FOLDER).is_dir()
        for needed in (MAPPING_FILE,) if has_text else (MAPPING_FILE, RECIPE_FILE):
            if not (folder / needed).is_file():
                raise MappingError(
                    f"{folder}: {needed} is missing. Expected what push_to_hub or save_for_hub writes."
                )
        mapping = LabelMapping.load(folder / MAPPING_FILE)
        try:
            if has_text:
                dataset = DatasetDict({split: _read_data(folder / DATA_FOLDER, split) for split in SPLITS})
                check_rows(dataset, merged_features(mapping))
                names = sorted({source for part in dataset.values() for source in part.unique("source")})
                return cls.of(dataset, mapping, dict.fromkeys(names, ""))
            head = read_json(folder / RECIPE_FILE, MappingError)
            _check_head(head, folder)
            files = {split: folder / ROWS_FOLDER / f"{split}.parquet" for split in head["splits"]}
            rows = {split: _read_rows(file) for split, file in files.items()}
            return cls(mapping, head["sources"], rows, bytes.fromhex(head["salt"]), head["dataset"])
        except DAMAGED_ARROW as error:
            if isinstance(error, MappingError):
                raise
            problem = f"{type(error).__name__}: {str(error)[:200].removesuffix('.')}"
            raise MappingError(f"{folder}: it is damaged: {problem}. Fetch it again.") from error

    def cut(
        self, copies: Sequence[NerSource]
    ) -> tuple[list[NerSource], PseudoLabels | None, tuple[Difference, ...]]:
        """Cut copies of the sources to the sentences of the recipe, wherever in a copy they stand.

        A sentence that a copy annotates otherwise is taken as the copy has it; one that it does not have is left out.

        Args:
            copies: the sources under their names in the recipe, sorted by name.

        Returns:
            The sources with the splits, order and ids of the recipe; the pseudo-labels, if it has any; the differences.

        Raises:
            MappingError: a source is missing or unknown to the recipe, or none of its sentences is found.
        """
        self._check_names([source.name for source in copies])
        parts = [self._cut_one(source) for source in copies]
        entities = {source.name: added for source, added, _ in parts}
        added = [(name, e) for name, rows in entities.items() for row in rows.values() for e in row]
        # Which tagger predicted an entity, and above which threshold, the recipe does not say.
        counts = sorted(Counter((name, entity.label, "as published") for name, entity in added).items())
        lowest = min((entity.score for _, entity in added), default=0.0)
        numbers = tuple((*key, number) for key, number in counts)
        pseudo = PseudoLabels(lowest, entities, numbers) if added else None
        return [source for source, *_ in parts], pseudo, tuple(d for *_, part in parts for d in part)

    def compare(self, dataset: DatasetDict, differences: Sequence[Difference]) -> Comparison:
        """Compare a dataset that was made from :meth:`cut` sources with the published one.

        Raises:
            MappingError: no sentence differs and the dataset does.
        """
        same = dataset_fingerprint(dataset) == self.fingerprint
        if not same and not differences:
            raise MappingError(
                "every published sentence was found and the dataset is another one: the recipe contradicts itself, in "
                "its order of sources, its salt, its mapping or its fingerprint. Ask whoever published it."
            )
        return Comparison(same, tuple(differences))

    def _check_names(self, names: Sequence[str]) -> None:
        lacking = [
            f"{name} ({home})" if home else name for name, home in self.sources.items() if name not in names
        ]
        strange = [name for name in names if name not in self.sources]
        if lacking or strange:
            unknown = f"; it does not know {', '.join(strange)}" if strange else ""
            needs = f"the recipe needs {', '.join(lacking)}" if lacking else "the recipe has all it needs"
            raise MappingError(f"{needs}{unknown}. Name each source as the recipe does: 'name=path'.")

    def _cut_one(self, source: NerSource) -> tuple[NerSource, dict[str, list[Entity]], list[Difference]]:
        wanted = [
            (split, row) for split, rows in self.rows.items() for row in rows if row["source"] == source.name
        ]
        places = _find(source, [row for _, row in wanted], self.salt)
        if wanted and all(place is None for place, _ in places):
            raise MappingError(
                f"{source.name}: none of the {len(wanted):,} sentences of the recipe is in this copy. Get the copy "
                "that it was made of: the same corpus, cut into the same tokens."
            )
        taken: dict[str, list[tuple[int, str]]] = {split: [] for split in self.rows}
        differences: list[Difference] = []
        for (split, row), (place, same) in zip(wanted, places, strict=True):
            if place is not None:
                taken[split].append((place, row["id"]))
            if not same:
                kind = "missing" if place is None else "annotated otherwise"
                differences.append((kind, source.name, split, row["id"]))
        everything = concatenate_datasets(list(source.dataset.values()))
        splits = DatasetDict({split: _chosen(everything, rows) for split, rows in taken.items()})
        labels = tuple(e.label.label for e in self.mapping.entries if e.label.source == source.name)
        cut = NerSource(source.name, splits, source.license, vocabulary=labels)
        added = {row["id"]: row["pseudo"] for _, row in wanted if row["pseudo"]}
        return cut, _pseudo_labels(cut, added, self.mapping.unified_labels), differences


def find_recipe(published: str) -> Recipe | None:
    """Return what was published under ``owner/name`` or ``owner/name@revision``, or written to a folder for it.

    ``None`` if the text is neither: the path of a mapping.

    Raises:
        HubError: there is no such repository, or it cannot be reached.
        MappingError: it holds no merged dataset and no recipe of this version.
    """
    if os.path.isdir(published):
        return Recipe.read(Path(published))
    if not is_published(published):
        return None
    # Not the card, the report or anything else that lies there: nothing of it is needed.
    files = [MAPPING_FILE, RECIPE_FILE, f"{ROWS_FOLDER}/*.parquet", f"{DATA_FOLDER}/*.parquet"]
    return Recipe.read(fetch(published, files))


def _rows(part: Dataset, salt: bytes) -> Iterator[dict[str, Any]]:
    batches = part.select_columns(["source_tags"]).iter(batch_size=1000)
    source_tags = chain.from_iterable(batch["source_tags"] for batch in batches)
    for (sentence, origins), tags in zip(exported_sentences(part), source_tags, strict=True):
        yield {
            "id": sentence.id,
            "source": sentence.source,
            "text": _digest(sentence.tokens, salt),
            "annotation": _digest([sentence.tokens, tags], salt),
            "pseudo": [
                {"start": e.start, "end": e.end, "label": e.label, "confidence": e.score}
                for e, origin in zip(sentence.entities, origins or (), strict=True)
                if origin == PSEUDO
            ],
        }


def _digest(content: Any, salt: bytes) -> bytes:
    # Keyed: without the salt nobody can try whether a sentence of another dataset is in this one.
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16, key=salt).digest()


def _check_head(head: Mapping[str, Any], folder: Path) -> None:
    if head["version"] != VERSION:
        raise MappingError(
            f"{folder}: a recipe of version {str(head['version'])[:40]!r}; this esnera_hf reads version {VERSION}. Use "
            "the version that wrote it."
        )
    if not isinstance(head["splits"], list) or sorted(head["splits"]) != sorted(SPLITS):
        raise ValueError(f"splits {head['splits']!r}, expected {', '.join(SPLITS)}")
    if strange := head.keys() - {"version", "salt", "dataset", "splits", "sources"}:
        raise ValueError(f"unknown: {', '.join(sorted(strange))}")
    from_plain(dict[str, str], head["sources"], "sources")
    for name in ("salt", "dataset"):
        if not _DIGEST.fullmatch(from_plain(str, head[name], name)):
            raise ValueError(f"{name}={head[name]!r:.80}: expected 32 hexadecimal digits")


def _read_rows(file: Path) -> list[dict[str, Any]]:
    # Of a stranger's file: the schema decides what is read, and an empty field is no fingerprint.
    table = pq.read_table(file, schema=_ROWS)
    entities = table["pseudo"].combine_chunks().flatten()
    if any(column.null_count for column in [*table.columns, entities, *entities.flatten()]):
        raise ValueError(f"{file.name}: found empty fields")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _read_data(folder: Path, split: str) -> Dataset:
    files = sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        raise ValueError(f"no {split} split in {folder}")
    return Dataset(pa.concat_tables(map(pq.read_table, files)))


def _find(
    source: NerSource, wanted: Sequence[Mapping[str, Any]], salt: bytes
) -> list[tuple[int | None, bool]]:
    """Return for each row the place of its sentence in the copy, and whether it is annotated alike there."""
    by_annotation: dict[bytes, deque[int]] = {}
    by_text: dict[bytes, deque[int]] = {}
    parts = [part.select_columns(["tokens", "ner_tags"]) for part in source.dataset.values()]
    batches = (batch for part in parts for batch in part.iter(batch_size=1000))
    sentences = (pair for batch in batches for pair in zip(batch["tokens"], batch["ner_tags"], strict=True))
    for number, (tokens, tags) in enumerate(sentences):
        by_annotation.setdefault(_digest([tokens, tags], salt), deque()).append(number)
        by_text.setdefault(_digest(tokens, salt), deque()).append(number)
    # First those annotated alike, so that no other row takes the place of one of them.
    queues = [by_annotation.get(row["annotation"]) for row in wanted]
    alike = [queue.popleft() if queue else None for queue in queues]
    taken = set(alike)
    places: list[tuple[int | None, bool]] = []
    for row, place in zip(wanted, alike, strict=True):
        same, queue = place is not None, by_text.get(row["text"], deque())
        while place is None and queue:
            first = queue.popleft()
            place = None if first in taken else first
        places.append((place, same))
    return places


def _chosen(rows: Dataset, taken: Sequence[tuple[int, str]]) -> Dataset:
    """Return the rows at some places under other ids."""
    chosen = rows.select([place for place, _ in taken])
    columns = {name: chosen[name][:] if taken else [] for name in ("tokens", "ner_tags", "source")}
    return Dataset.from_dict({"id": [name for _, name in taken], **columns}, SOURCE_FEATURES)


def _pseudo_labels(
    source: NerSource, rows: Mapping[str, Sequence[Mapping[str, Any]]], labels: Collection[str]
) -> dict[str, list[Entity]]:
    """Return the pseudo-labels by sentence, but those that share a token with what a copy annotates otherwise."""
    free: dict[str, list[Entity]] = {}
    for sentence in source.sentences("train"):
        for row in rows.get(sentence.id, ()):
            start, end, label = row["start"], row["end"], row["label"]
            if not 0 <= start < end <= len(sentence.tokens) or label not in labels:
                raise MappingError(
                    f"the recipe is damaged: a pseudo-label of {sentence.id} is {label!r} at {start} to {end}; "
                    f"expected a unified label within the sentence's {len(sentence.tokens)} tokens. Fetch it again."
                )
            if not any(gold.start < end and start < gold.end for gold in sentence.entities):
                free.setdefault(sentence.id, []).append(Entity(start, end, label, row["confidence"]))
    return free
