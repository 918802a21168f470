"""Tables with a sentence a row: its tokens in one cell and its tags in another.

A cell holds a list as JSON, Python or NumPy writes it, or words parted by spaces. Rows may span lines, as quoted
cells do.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.column_kinds import role_of
from esnera_hf.sources.readers.json import SURROGATE, records_reader
from esnera_hf.sources.readers.records import Record, RecordReader
from esnera_hf.sources.readers.tags import is_usual_tag
from esnera_hf.sources.readers.text import Row, read_lines

#: Rows that the columns are told from.
_SNIFFED = 200
_SEPARATORS = (",", "\t", ";", "|")
_LIST = re.compile(r"\s*\[(.*)\]\s*", re.DOTALL)
#: One entry of a list and what parts it from the next: a comma, or spaces alone as NumPy writes them.
_ENTRY = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+)(?:\s*,|\s+|\s*$)""", re.DOTALL)

#: The numbers of the columns of tokens and of tags.
_Columns = tuple[int, int]


def is_sentence_table(path: Path) -> bool:
    """Tell whether most of the first rows have a cell of tags and one of as many tokens, or seem to.

    No other format has lists in its cells, or columns with such names. Words and tags with neither could be something
    else: they are asked for.
    """
    layout = _layout(path)
    if layout is None:
        return False
    separator, names, pairs, _ = layout
    column = pairs[0][1]
    rows = (cells for _, cells, _ in islice(_rows(path, separator), _SNIFFED) if len(cells) > column)
    return bool(names) or any(_LIST.fullmatch(cells[column]) for cells in rows)


def sentence_rows_reader(path: Path, options: ReadingOptions) -> RecordReader:
    """Return a reader of a table with a sentence a row.

    Raises:
        SourceError: no two columns hold as many tokens as tags, or several may hold either.
    """
    layout = _layout(path)
    if layout is None:
        raise SourceError(
            f"{path}: expected a sentence a row, with a list of tokens in one cell and of as many tags in another, or "
            "both parted by spaces. Found none such in most rows."
        )
    separator, names, pairs, fits = layout
    if not fits:
        of_words, of_tags = (_named(column, names) for column in pairs[0])
        raise SourceError(
            f"{path}: each row seems to hold a sentence, but in most rows {of_words} has not as many words as "
            f"{of_tags} has tags. Give the tokens that were tagged, as a list or parted by spaces."
        )
    tokens, tags = _chosen(path, names, pairs, options)
    records = partial(_records, path, separator, (tokens, tags), bool(names))
    folder = str(path)[: -len(path.name)]
    reader = records_reader(records, str(path), replace(options, token_column=None, tag_column=None), folder)
    reader.layout = f"tokens: {_named(tokens, names)}\ntags: {_named(tags, names)}"
    return reader


def _layout(path: Path) -> tuple[str, list[str], list[_Columns], bool] | None:
    """Return the separator, the names of the columns and the pairs of columns that may hold tokens and tags.

    The last value tells whether there are as many tokens as tags. Named columns of words and of tags are told
    without.
    """
    unequal = None
    for separator in _SEPARATORS:
        try:
            rows = [cells for _, cells, _ in islice(_rows(path, separator), _SNIFFED)]
        except csv.Error:  # a quotation mark that is a token opens a cell without end
            continue
        if not rows or len(rows[0]) < 2:
            continue
        has_names = not any(_are_tags(_parts(cell)) for cell in rows[0])
        names, rows = (rows[0], rows[1:]) if has_names else ([], rows)
        rows = [row for row in rows if len(row) == len(rows[0])]
        columns = [[_parts(cell) for cell in column] for column in zip(*rows, strict=True)]
        tagged = [i for i, column in enumerate(columns) if _mostly(map(_are_tags, column))]
        possible = [
            (i, j)
            for j in tagged
            for i in range(len(columns))
            if i not in tagged and any(len(parts) > 1 for parts in columns[j])
        ]
        pairs = [
            (i, j)
            for i, j in possible
            if _mostly(len(one) == len(other) for one, other in zip(columns[i], columns[j], strict=True))
        ]
        if pairs:
            return separator, names, pairs, True
        several = [pair for pair in possible if all(_mostly(len(p) > 1 for p in columns[c]) for c in pair)]
        if names and several:
            unequal = unequal or (separator, names, several, False)
    return unequal


def _mostly(facts: Iterator[bool]) -> bool:
    """Tell whether more than half are true: a damaged row is an error of its own, with its place."""
    values = list(facts)
    return 2 * sum(values) > len(values)


def _are_tags(parts: Sequence[str | int]) -> bool:
    """Tell a list of tags: all are usual ones, or numbers, in a list."""
    return bool(parts) and all(isinstance(part, int) or is_usual_tag(part) for part in parts)


def _parts(cell: str) -> list[str | int]:
    """Return the entries of a list, or the words of a text."""
    inner = _LIST.fullmatch(cell)
    if inner is None:
        return list(cell.split())
    parts: list[str | int] = []
    place, text = 0, inner[1].rstrip()
    while place < len(text):
        entry = _ENTRY.match(text, place)
        value = None if entry is None else _entry(entry[1])
        if entry is None or value is None:  # a text in brackets
            return list(cell.split())
        parts.append(value)
        place = entry.end()
    return parts


def _entry(text: str) -> str | int | None:
    """Return a number or a text in quotation marks; ``None`` where its escapes are none."""
    for read in (json.loads, ast.literal_eval):  # JSON alone has escapes of two halves of a character
        with suppress(ValueError, SyntaxError):
            value: str | int = read(text)
            return value
    return None


def _chosen(path: Path, names: list[str], pairs: list[_Columns], options: ReadingOptions) -> _Columns:
    """Return the pair that the options or else the names of the columns tell."""
    chosen = pairs
    for place, option in enumerate(("token_column", "tag_column")):
        value = getattr(options, option)
        if value is not None:
            chosen = [pair for pair in chosen if value in (pair[place], *names[pair[place] :][:1])]
            if not chosen:
                listed = ", ".join(dict.fromkeys(_named(pair[place], names) for pair in pairs))
                raise SourceError(f"{path}: {option}={value!r}: expected {listed}. Name one of these.")
    for place, roles in enumerate((("token", "sentence"), ("tag",))):
        fitting = [pair for pair in chosen if names and role_of(names[pair[place]]) in roles]
        chosen = fitting or chosen
    if len(chosen) > 1:
        tokens, tags = (dict.fromkeys(_named(pair[place], names) for pair in chosen) for place in (0, 1))
        raise SourceError(
            f"{path}: each row holds a sentence, with tokens in {' or '.join(tokens)} and tags in {' or '.join(tags)}. "
            "Name the columns: token_column= and tag_column=."
        )
    return chosen[0]


def _named(column: int, names: list[str]) -> str:
    return f"column {column}" + (f" {shown(names[column])}" if names else "")


def _rows(path: Path, separator: str) -> Iterator[Row]:
    """Yield the rows, each with the number of its last line and whether bytes of it were not UTF-8."""
    damaged = False

    def lines() -> Iterator[str]:
        nonlocal damaged
        for _, text, whole in read_lines(path):
            damaged |= whole
            yield f"{text}\n"

    reader = csv.reader(lines(), delimiter=separator)
    for cells in reader:
        if any(cells):
            yield reader.line_num, cells, damaged
        damaged = False


def _records(path: Path, separator: str, columns: _Columns, has_names: bool) -> Iterator[Record]:
    where = str(path)
    try:
        for number, cells, damaged in islice(_rows(path, separator), has_names, None):
            where = f"{path}, line {number}"
            yield _record(cells, columns, where), where, damaged
    except csv.Error as error:
        raise SourceError(
            f"{where}: no row of a table follows ({error}). Mend the quotation marks there."
        ) from None


def _record(cells: list[str], columns: _Columns, where: str) -> dict[str, Any]:
    if len(cells) <= max(columns):
        raise SourceError(f"{where}: {len(cells)} cells, expected at least {max(columns) + 1}. Mend the row.")
    tokens, tags = (_parts(cells[column]) for column in columns)
    if any(SURROGATE.search(token) for token in map(str, tokens)):
        raise SourceError(f"{where}: half of a surrogate pair is no character. Mend the \\u escapes.")
    return {"tokens": [str(token) for token in tokens], "ner_tags": tags}
