"""CoNLL-U with entities among the attributes of its last column, MISC: ``NER=B-PER``, ``Entity=(1-person``.

https://universaldependencies.org/format.html; https://corefud.github.io for ``Entity``
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, column_name
from esnera_hf.sources.readers.tags import TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE, Row, read_blocks, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE, Entity

_COLUMNS, _FORM, _MISC = 10, 1, 9
#: Words, multiword tokens and empty nodes; only words are tokens.
_ID = re.compile(r"\d+(?P<range>-\d+)?(?P<empty>\.\d+)?")
_TAG = re.compile(r"(?:O|[BIESLUMW][-_].+)", re.DOTALL)
#: Attributes that hold types without prefixes in corpora of Universal Dependencies.
_USUAL = frozenset("ner ne nertag ner_tag namedentity entity name".split())
_BRACKETS = re.compile(r"\(([^()]*)(\))?|([^()]+)\)|(?P<rest>.)", re.DOTALL)
PARTIAL = "discontinuous or unclosed mention of Entity=, left out"


def is_conllu_file(lines: list[str]) -> bool:
    """Tell a file of CoNLL-U from its first lines that are not blank; one whose last column holds tags is none."""
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return (
        bool(rows)
        and all(len(row) == _COLUMNS and _ID.fullmatch(row[0]) for row in rows)
        and all(row[_MISC] == "_" or "=" in row[_MISC] for row in rows)
    )


class ConlluFile:
    """A CoNLL-U file, read from its beginning each time it is called.

    Entities are the tags of one attribute in MISC; ``tag_column`` names it where there are several.
    """

    def __init__(self, path: Path, options: ReadingOptions) -> None:
        self.path, self._options = path, options
        self._wanted = column_name(options, "tag_column", f"the attributes of {path.name}", "NER")

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: no attribute holds entities or several do, or a row is none of the format.
        """
        for rows in self._sentences():
            repairs = [UNDECODABLE] * any(damaged for _, _, damaged in rows)
            values = self._values(rows)
            if self._label_place is not None:
                spans = _bracketed(values, self._label_place, repairs)
            else:
                spans, kinds = self.tags.read(values, str(self.path), rows)
                repairs += kinds
            tokens = [cells[_FORM] for _, cells, _ in rows]
            yield RawSentence(tokens, spans, f"{self.path.name}, line {rows[0][0]}", repairs)

    @cached_property
    def tags(self) -> TagReader:
        """What reads the tags, told from all of them."""
        return detect_tags(lambda: map(self._values, self._sentences()), self._options, str(self.path))

    def _values(self, rows: list[Row]) -> list[str]:
        return [_attributes(cells[_MISC]).get(self._attribute, OUTSIDE) for _, cells, _ in rows]

    @cached_property
    def _attribute(self) -> str:
        """The attribute that holds the entities."""
        values: dict[str, Counter[str]] = {}
        for rows in self._sentences():
            for _, cells, _ in rows:
                for key, value in _attributes(cells[_MISC]).items():
                    values.setdefault(key, Counter())[value] += 1
        if self._wanted is not None:
            if self._wanted not in values:
                raise SourceError(
                    f"{self.path}: MISC holds no {self._wanted!r}: expected one of {', '.join(values) or 'nothing'}."
                )
            return self._wanted
        tagged = [
            key for key, seen in values.items() if seen.keys() - {OUTSIDE} and all(map(_TAG.fullmatch, seen))
        ]
        named = [key for key in values if key.lower() in _USUAL]
        if len(tagged or named) == 1:
            return (tagged or named)[0]
        examples = (f"{key}={value}" for key, seen in values.items() for value, _ in seen.most_common(1))
        raise SourceError(
            f"{self.path}: expected one attribute in MISC with tags of entities, such as NER=B-PER, found "
            f"{', '.join(map(shown, examples)) or 'none'}. Name it: tag_column='NER' or another."
        )

    @cached_property
    def _label_place(self) -> int | None:
        """The place of the type among the parts of a mention in brackets, ``None`` where there are tags."""
        opened = False
        for _, text, _ in read_lines(self.path):
            if text.startswith("# global.Entity"):
                parts = text.partition("=")[2].strip().split("-")
                place = next((parts.index(one) for one in ("etype", "entity") if one in parts), None)
                if self._attribute == "Entity" and place is not None:
                    return place
            opened = opened or f"{self._attribute}=(" in text
        if opened:
            raise SourceError(
                f"{self.path}: the mentions of {self._attribute}= are in brackets, and no line '# global.Entity = ' "
                "with 'etype' says where in them the type stands. Add it."
            )
        return None

    def _sentences(self) -> Iterator[list[Row]]:
        return read_blocks(self.path, _word)


def _word(text: str, where: str) -> list[str] | None:
    """Return the columns of a word, ``None`` for a multiword token or an empty node."""
    cells = text.split("\t")
    match = _ID.fullmatch(cells[0])
    if match is None or len(cells) != _COLUMNS or not cells[_FORM]:
        raise SourceError(
            f"{where}: expected {_COLUMNS} columns parted by tabs, the first a number, found {shown(text[:60])}."
        )
    return None if match["range"] or match["empty"] else cells


def _attributes(cell: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in cell.split("|"))
    return {key: value for key, equals, value in pairs if equals}


def _bracketed(values: list[str], label_place: int, repairs: list[str]) -> list[Entity]:
    """Return the mentions that brackets open and close by their number: ``(1-person``, ``1)``, ``(2-place)``."""
    spans: list[Entity] = []
    opened: dict[str, list[tuple[int, str]]] = {}
    for index, value in enumerate(values):
        for match in _BRACKETS.finditer("" if value == OUTSIDE else value):
            begun, closed, ended = match.group(1), match.group(2), match.group(3)
            number, *parts = (begun or ended or "").split("-")
            if match["rest"] is not None or "[" in number:
                repairs.append(PARTIAL)
            elif begun is not None:
                parts = [number, *parts]
                label = parts[label_place] if label_place < len(parts) else ""
                if closed:
                    spans.append(Entity(index, index + 1, label))
                else:
                    opened.setdefault(number, []).append((index, label))
            elif opened.get(number):
                start, label = opened[number].pop()
                spans.append(Entity(start, index + 1, label))
            else:
                repairs.append(PARTIAL)
    repairs.extend([PARTIAL] * sum(map(len, opened.values())))
    named = [span for span in spans if span.label]
    repairs.extend([PARTIAL] * (len(spans) - len(named)))
    return named
