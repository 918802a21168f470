"""Small corpora written by the tests, and annotation written out in every tagging scheme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from hypothesis import strategies as st

from esnera_hf.sources.files import file_reader
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import SOURCE_FEATURES, NerSource, RawSentence, Reader
from esnera_hf.tagging import Entity, entities_from_tags

#: Prefixes of a one-token entity and of the first, inner and last token of a longer one.
PREFIXES = {
    "IOB2": ("B", "B", "I", "I"),
    "BIOES": ("S", "B", "I", "E"),
    "BMES": ("S", "B", "M", "E"),
    "BMEWO": ("W", "B", "M", "E"),
    "BILOU": ("U", "B", "I", "L"),
}
PREFIXED_SCHEMES = ("IOB1", *PREFIXES)
LABELS = ("PER", "GPE.NOM", "art-film", "product name", "人名", "B-cell", "O-type", "I", "-", "x_y")

Annotated = tuple[list[str], list[Entity]]
Spans = list[tuple[int, int, str]]


def encode(length: int, entities: Sequence[Entity], scheme: str, separator: str = "-") -> list[str]:
    """Write entities, in order, as tags of any scheme, independently of the package."""
    tags = ["O"] * length
    before: Entity | None = None
    for entity in entities:
        touches_twin = before is not None and (before.end, before.label) == (entity.start, entity.label)
        prefixes = _prefixes(entity.end - entity.start, scheme, touches_twin)
        for index, prefix in enumerate(prefixes, entity.start):
            tags[index] = entity.label if scheme == "none" else f"{prefix}{separator}{entity.label}"
        before = entity
    return tags


def _prefixes(width: int, scheme: str, touches_twin: bool) -> list[str]:
    if scheme in ("IOB1", "none"):
        return ["B" if touches_twin else "I"] + ["I"] * (width - 1)
    single, first, inner, last = PREFIXES[scheme]
    return [single] if width == 1 else [first, *[inner] * (width - 2), last]


@st.composite
def annotated(draw: st.DrawFn, tokens: st.SearchStrategy[str], labels: Sequence[str] = LABELS) -> Annotated:
    """Draw a sentence with entities in order and without overlap, often side by side."""
    entities: list[Entity] = []
    position = 0
    pieces = draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(labels)), max_size=5)
    )
    for gap, width, label in pieces:
        entities.append(Entity(position + gap, position + gap + width, label))
        position += gap + width
    length = max(1, position + draw(st.integers(0, 2)))
    return draw(st.lists(tokens, min_size=length, max_size=length)), entities


def raw_reader(*sentences: tuple[str, Spans | None]) -> Reader:
    """Return a reader of sentences given as text, a token a character, with spans."""
    return lambda: iter(
        RawSentence(
            list(text), None if spans is None else [Entity(*span) for span in spans], f"given, line {number}"
        )
        for number, (text, spans) in enumerate(sentences, 1)
    )


def write(path: Path, content: str | bytes) -> Path:
    """Write a file byte for byte and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bracket_rows(*pairs: tuple[str, str]) -> str:
    """Write words with their entity brackets as rows of CoNLL-2012."""
    return "".join(
        f"bc/d   0   {index}   {word}   NN   (NP*)   -   -   -   A   {cell}   *   -\n"
        for index, (word, cell) in enumerate(pairs)
    )


def split_of(texts: Iterable[str], name: str = "s") -> Dataset:
    """Return texts without entities, a token a character, as a split in canonical form."""
    rows = [
        {"id": f"{name}-{index}", "tokens": list(text), "ner_tags": ["O"] * len(text), "source": name}
        for index, text in enumerate(texts)
    ]
    return Dataset.from_dict({key: [row[key] for row in rows] for key in SOURCE_FEATURES}, SOURCE_FEATURES)


def texts_of(rows: Dataset) -> list[str]:
    """Return the texts of a split."""
    return ["".join(tokens) for tokens in rows["tokens"]]


def sentences_of(source: NerSource) -> list[tuple[str, Spans]]:
    """Return text and spans of every sentence of a source; fail where its form is not canonical."""
    found = []
    assert list(source.dataset) == ["train", "validation", "test"]
    for rows in source.dataset.values():
        assert rows.features == SOURCE_FEATURES
        for row in rows:
            assert row["source"] == source.name
            assert row["tokens"]
            assert len(row["tokens"]) == len(row["ner_tags"])
            entities, repairs = entities_from_tags(row["ner_tags"], "IOB2")
            assert repairs == []
            found.append(("".join(row["tokens"]), [(e.start, e.end, e.label) for e in entities]))
    return found


def compact(sentence: RawSentence) -> str:
    """Write a sentence as its tokens, parted by bars, and its spans: ``Ann|ran 0-1:PER``."""
    spans = "".join(f" {span.start}-{span.end}:{span.label}" for span in sentence.spans or ())
    return "|".join(sentence.tokens) + spans


def read_spans(path: Path, **options: Any) -> list[tuple[list[str], list[tuple[int, int, str]], list[str]]]:
    """Read a file and return for each sentence its tokens, its spans in order, and the repairs in order."""
    return [
        (s.tokens, sorted((e.start, e.end, e.label) for e in s.spans or ()), sorted(s.repairs))
        for s in file_reader([path], ReadingOptions(**options))()
    ]
