"""A merged dataset without its text: what is needed to make it again from one's own copies of the sources."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import DatasetDict

from esnera_hf.errors import RecipeError
from esnera_hf.merging import PSEUDO
from esnera_hf.sources.source import SPLITS
from esnera_hf.tagging import Entity, entities_from_tags

RECIPE_FILE = "recipe.json"
ROWS_FOLDER = "recipe"
VERSION = 1

_ROWS = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "text": pa.binary(16),
        "annotation": pa.binary(16),
        "pseudo": pa.list_(
            pa.struct(
                {
                    "start": pa.int32(),
                    "end": pa.int32(),
                    "label": pa.string(),
                    "confidence": pa.float32(),
                }
            )
        ),
    }
)


@dataclass(frozen=True, slots=True)
class RecipeRow:
    """One sentence of a merged dataset, without its text.

    Attributes:
        id: its id in the merged dataset.
        source: the source it comes from.
        text: fingerprint of its tokens.
        annotation: fingerprint of tokens and the source's own tags.
        pseudo: pseudo-labels that were added to it.
    """

    id: str
    source: str
    text: bytes
    annotation: bytes
    pseudo: tuple[Entity, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What a merged dataset is made of.

    Attributes:
        salt: keeps fingerprints of two recipes from being compared.
        sources: summaries of the sources: name, counts, licence, where to get it.
        rows: the sentences, in order, by split.
        floor: smallest confidence of the pseudo-labels, ``None`` if there are none.
    """

    salt: bytes
    sources: Sequence[Mapping[str, Any]]
    rows: Mapping[str, Sequence[RecipeRow]] = field(repr=False)
    floor: float | None = None

    def write(self, folder: Path) -> list[Path]:
        """Write it to a folder and return the files: ``recipe.json``, and a table a split."""
        head = {
            "version": VERSION,
            "salt": self.salt.hex(),
            "splits": list(self.rows),
            "pseudo_label_floor": self.floor,
            "sources": [dict(source) for source in self.sources],
        }
        file = folder / RECIPE_FILE
        file.write_text(json.dumps(head, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / ROWS_FOLDER).mkdir()
        tables = []
        for split, rows in self.rows.items():
            tables.append(folder / ROWS_FOLDER / f"{split}.parquet")
            pq.write_table(_to_table(rows), tables[-1])
        return [file, *tables]

    @classmethod
    def read(cls, folder: Path) -> Recipe:
        """Read a recipe written by :meth:`write`.

        Raises:
            RecipeError: there is none, or it is damaged or of another version.
        """
        file = folder / RECIPE_FILE
        try:
            head = json.loads(file.read_text(encoding="utf-8"))
            if head["version"] != VERSION:
                raise RecipeError(
                    f"{file}: a recipe of version {str(head['version'])[:40]}; this esnera_hf reads version {VERSION}. "
                    "Update esnera_hf."
                )
            _check_head(head)
            rows = {
                split: _from_table(pq.read_table(folder / ROWS_FOLDER / f"{split}.parquet", schema=_ROWS))
                for split in head["splits"]
            }
            return cls(bytes.fromhex(head["salt"]), head["sources"], rows, head["pseudo_label_floor"])
        except FileNotFoundError as error:
            raise RecipeError(
                f"{folder}: no recipe, {Path(error.filename or file).name} is missing. Expected what "
                "push_to_hub(text=False) publishes."
            ) from None
        except (KeyError, TypeError, ValueError, RecursionError, pa.ArrowInvalid) as error:
            if isinstance(error, RecipeError):
                raise
            problem = f"{type(error).__name__}: {str(error)[:200]}"
            raise RecipeError(f"{file}: the recipe is damaged: {problem}. Fetch it again.") from error


def _check_head(head: Mapping[str, Any]) -> None:
    """Check the parts of ``recipe.json``.

    Raises:
        ValueError: one is not what it should be.
    """
    splits, sources, floor = head["splits"], head["sources"], head["pseudo_label_floor"]
    if not isinstance(splits, list) or sorted(splits) != sorted(SPLITS):
        raise ValueError(f"splits {splits!r}, expected {', '.join(SPLITS)}")
    if not isinstance(sources, list) or not all(
        isinstance(source, dict) and isinstance(source.get("name"), str) for source in sources
    ):
        raise ValueError("sources, expected a list of objects with a name")
    if not (floor is None or (isinstance(floor, (int, float)) and 0 <= floor <= 1)):
        raise ValueError(f"pseudo_label_floor {floor!r}, expected a number from 0 to 1 or null")


def make_recipe(
    dataset: DatasetDict, sources: Sequence[Mapping[str, Any]], floor: float | None = None
) -> Recipe:
    """Take the fingerprints of a merged dataset.

    Args:
        dataset: as :func:`~esnera_hf.merging.merge_sources` makes it.
        sources: summaries of its sources.
        floor: smallest confidence of its pseudo-labels.
    """
    salt = _salt(dataset)
    rows = {split: [_row(row, salt) for row in _rows(part)] for split, part in dataset.items()}
    return Recipe(salt, sources, rows, floor)


def text_fingerprint(tokens: Sequence[str], salt: bytes) -> bytes:
    """Return a fingerprint of tokens, 16 bytes."""
    return _digest(json.dumps(list(tokens)), salt)


def annotation_fingerprint(tokens: Sequence[str], tags: Sequence[str], salt: bytes) -> bytes:
    """Return a fingerprint of tokens with their source's tags, 16 bytes."""
    return _digest(json.dumps([list(tokens), list(tags)]), salt)


def _digest(text: str, salt: bytes) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16, key=salt).digest()


def _salt(dataset: DatasetDict) -> bytes:
    """Return a salt that depends on the text alone, so that the same dataset has the same recipe."""
    digest = hashlib.blake2b(digest_size=16)
    for part in dataset.values():
        for batch in part.select_columns(["tokens"]).iter(batch_size=1000):
            digest.update(json.dumps(batch["tokens"]).encode())
    return digest.digest()


def _rows(part: Any) -> Iterator[dict[str, Any]]:
    names = part.features["ner_tags"].feature.names
    pseudo = part.features["origin"].feature.str2int(PSEUDO)
    for batch in part.iter(batch_size=1000):
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            row["ner_tags"] = [
                names[tag] if origin == pseudo else "O"
                for tag, origin in zip(row["ner_tags"], row["origin"], strict=True)
            ]
            yield row


def _row(row: Mapping[str, Any], salt: bytes) -> RecipeRow:
    added = tuple(
        Entity(entity.start, entity.end, entity.label, row["confidence"][entity.start])
        for entity in entities_from_tags(row["ner_tags"])[0]
    )
    return RecipeRow(
        row["id"],
        row["source"],
        text_fingerprint(row["tokens"], salt),
        annotation_fingerprint(row["tokens"], row["source_tags"], salt),
        added,
    )


def _to_table(rows: Iterable[RecipeRow]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in _ROWS.names}
    for row in rows:
        for name in ("id", "source", "text", "annotation"):
            columns[name].append(getattr(row, name))
        columns["pseudo"].append(
            [{"start": e.start, "end": e.end, "label": e.label, "confidence": e.score} for e in row.pseudo]
        )
    return pa.table(columns, schema=_ROWS)


def _from_table(table: pa.Table) -> list[RecipeRow]:
    return [
        RecipeRow(
            row["id"],
            row["source"],
            row["text"],
            row["annotation"],
            tuple(Entity(e["start"], e["end"], e["label"], e["confidence"]) for e in row["pseudo"]),
        )
        for row in table.to_pylist()
    ]


@dataclass(frozen=True, slots=True)
class Difference:
    """A sentence in which a copy of a source differs from what a recipe was made of.

    Attributes:
        kind: ``missing`` (its text is not in the copy), ``annotated otherwise``,
            or ``not in the recipe`` (in the copy alone).
        source: the source.
        split: of the recipe, or of the copy for what is not in the recipe.
        id: of the sentence there.
    """

    kind: str
    source: str
    split: str
    id: str

    def to_dict(self) -> dict[str, str]:
        """Return it as plain data."""
        return asdict(self)


def count_differences(differences: Iterable[Difference]) -> Counter[tuple[str, str]]:
    """Count differences by source and kind."""
    return Counter((difference.source, difference.kind) for difference in differences)
