"""Files of CoNLL-2011 and 2012: fixed columns and entities in brackets: ``(GPE*``, ``*``, ``*)``, ``(PERSON)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.text import UNDECODABLE, Row, read_blocks
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

#: The columns of words and of entities. Between them stand part of speech, parse, predicate, sense
#: and speaker, behind them arguments and coreference.
_WORD, _BRACKETS = 3, 10
_BRACKET_CELL = re.compile(r"((?:\([^()*\s]+)*)(\*?)(\)*)")


def is_bracket_file(lines: list[str]) -> bool:
    """Tell a CoNLL-2012 file from its first lines."""
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return (
        bool(rows)
        and all(len(row) > _BRACKETS for row in rows)
        and all(_BRACKET_CELL.fullmatch(row[_BRACKETS]) for row in rows)
    )


def read_bracket_file(path: Path) -> Iterator[RawSentence]:
    """Yield the sentences of a CoNLL-2012 file.

    Raises:
        SourceError: a bracket is opened and not closed in its sentence, or
            closed and not opened; file and line are named.
    """
    return (_bracket_sentence(path, rows) for rows in read_blocks(path, _cells))


def _cells(text: str, where: str) -> list[str]:
    cells = text.split()
    if len(cells) <= _BRACKETS:
        raise SourceError(f"{where}: expected at least {_BRACKETS + 1} columns, found {len(cells)}.")
    return cells


def _bracket_sentence(path: Path, rows: list[Row]) -> RawSentence:
    spans: list[Entity] = []
    open_brackets: list[tuple[int, str]] = []
    for index, (number, cells, _) in enumerate(rows):
        match = _BRACKET_CELL.fullmatch(cells[_BRACKETS])
        if match is None:
            raise SourceError(
                f"{path}, line {number}: expected an entity in brackets such as (GPE*, * or *), "
                f"found {shown(cells[_BRACKETS])}."
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
        [cells[_WORD] for _, cells, _ in rows], spans, f"{path.name}, line {rows[0][0]}", repairs
    )
