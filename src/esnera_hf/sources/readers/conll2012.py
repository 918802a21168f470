"""CoNLL-2011 and 2012 column files: entities in brackets, ``(GPE*``, ``*``, ``*)``, ``(PERSON)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.text import UNDECODABLE, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

WORD_COLUMN = 3
ENTITY_COLUMN = 10
_CELL = re.compile(r"((?:\([^()*\s]+)*)(\*?)(\)*)")
#: The number of a line, its cells, and whether bytes of it were not UTF-8.
_Row = tuple[int, list[str], bool]


def is_bracket_file(lines: list[str]) -> bool:
    """Tell a CoNLL-2012 file from its first lines."""
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return (
        bool(rows)
        and all(len(row) > ENTITY_COLUMN for row in rows)
        and all(_CELL.fullmatch(row[ENTITY_COLUMN]) for row in rows)
    )


def read_bracket_file(path: Path) -> Iterator[RawSentence]:
    """Yield the sentences of a CoNLL-2012 file.

    Raises:
        SourceError: a bracket is opened and not closed in its sentence, or
            closed and not opened; file and line are named.
    """
    rows: list[_Row] = []
    for number, text, damaged in read_lines(path):
        if text.startswith("#"):
            continue
        if cells := text.split():
            if len(cells) <= ENTITY_COLUMN:
                raise SourceError(
                    f"{path}, line {number}: expected at least {ENTITY_COLUMN + 1} columns, "
                    f"found {len(cells)}."
                )
            rows.append((number, cells, damaged))
        elif rows:
            yield _sentence(path, rows)
            rows = []
    if rows:
        yield _sentence(path, rows)


def _sentence(path: Path, rows: list[_Row]) -> RawSentence:
    spans: list[Entity] = []
    open_brackets: list[tuple[int, str]] = []
    for index, (number, cells, _) in enumerate(rows):
        match = _CELL.fullmatch(cells[ENTITY_COLUMN])
        if match is None:
            raise SourceError(
                f"{path}, line {number}: expected an entity in brackets such as (GPE*, * or *), "
                f"found {shown(cells[ENTITY_COLUMN])}."
            )
        open_brackets += [(index, label) for label in match.group(1).split("(")[1:]]
        for _ in match.group(3):
            if not open_brackets:
                raise SourceError(
                    f"{path}, line {number}: ')' closes no entity of its sentence. Mend the line."
                )
            start, label = open_brackets.pop()
            spans.append(Entity(start, index + 1, label))
    if open_brackets:
        start, label = open_brackets[-1]
        raise SourceError(
            f"{path}, line {rows[start][0]}: {shown('(' + label)} is not closed in its sentence. Mend the line."
        )
    repairs = [UNDECODABLE] * any(damaged for _, _, damaged in rows)
    return RawSentence(
        [cells[WORD_COLUMN] for _, cells, _ in rows], spans, f"{path.name}, line {rows[0][0]}", repairs
    )
