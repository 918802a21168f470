"""Tables with a sentence a row: its tokens in one cell and its tags in another.

A cell holds a list as JSON, Python or NumPy writes it, or words parted by spaces. Rows may span lines, as quoted
cells do.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice, product, zip_longest
from pathlib import Path
from typing import Any, Literal

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.column_kinds import CHUNKS, role_of
from esnera_hf.sources.readers.json import records_reader
from esnera_hf.sources.readers.records import Record, RecordReader
from esnera_hf.sources.readers.tags import is_usual_tag
from esnera_hf.sources.readers.text import Row, check_characters, read_lines
from esnera_hf.tagging import OUTSIDE

#: Rows that the columns are told from.
_SNIFFED = 200
#: Each is compared with each: what has more is no table of sentences.
_MOST_COLUMNS = 100
#: Characters. A quotation mark that is a token opens a cell without end, which is not to be read to the end of a file.
_LONGEST_CELL = 1 << 20
_SEPARATORS = (",", "\t", ";", "|")
_LIST = re.compile(r"\s*\[(.*)\]\s*", re.DOTALL)
#: One entry of a list and what parts it from the next: a comma, or spaces alone as NumPy writes them. Since version 2
#: NumPy puts the type around its values.
_ENTRY = re.compile(
    r"""\s*(?P<type>np\.\w+\()?(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+)(?(type)\))"""
    r"(?:\s*,|\s+|\s*$)",
    re.DOTALL,
)
#: A cell between quotation marks that needs none.
_QUOTED = re.compile(r'"[^"]+"')

#: The numbers of the columns of tokens and of tags.
_Columns = tuple[int, int]


class _Table:
    """A table and how it is written.

    Attributes:
        names: of the columns, if the first row says them.
        lists: by column, whether most of its cells are lists.
        pairs: the columns that may hold tokens and tags.
        unequal: where there are none, named columns of words and of tags, in other numbers.
    """

    def __init__(self, path: Path, separator: str, marks_are_words: bool) -> None:
        self.path, self.separator = path, separator
        self.quoting: Literal[0, 3] = csv.QUOTE_NONE if marks_are_words else csv.QUOTE_MINIMAL
        self.names: list[str] = []
        self.lists: list[bool] = []
        self.pairs: list[_Columns] = []
        self.unequal: list[_Columns] = []

    def named(self, column: int) -> str:
        return f"column {column}" + (f" {shown(self.names[column])}" if self.names else "")

    def role(self, column: int) -> str:
        return role_of(self.names[column]) if self.names else ""


def is_sentence_table(path: Path) -> bool:
    """Tell whether most of the first rows have a cell of tags and one of as many tokens, or seem to.

    No other format has lists in its cells, or columns with such names. Words and tags with neither could be something
    else: they are asked for.
    """
    table = _table(path)
    return table is not None and (bool(table.names) or any(table.lists[tags] for _, tags in table.pairs))


def sentence_rows_reader(path: Path, options: ReadingOptions) -> RecordReader:
    """Return a reader of a table with a sentence a row.

    Raises:
        SourceError: no two columns hold as many tokens as tags, or several may hold either.
    """
    table = _table(path)
    if table is None:
        raise SourceError(
            f"{path}: expected a sentence a row, with a list of tokens in one cell and of as many tags in another, or "
            f"both parted by spaces, of at most {_LONGEST_CELL:,} characters each. Found none such in most rows."
        )
    if not table.pairs:
        of_words, of_tags = map(table.named, table.unequal[0])
        raise SourceError(
            f"{path}: each row seems to hold a sentence, but in most rows {of_words} has not as many words as "
            f"{of_tags} has tags. Give the tokens that were tagged, as a list or parted by spaces."
        )
    tokens, tags = _chosen(table, options)
    records = partial(_records, table, (tokens, tags))
    reader = records_reader(records, path, replace(options, token_column=None, tag_column=None))
    reader.layout = f"tokens: {table.named(tokens)}\ntags: {table.named(tags)}"
    return reader


def _table(path: Path) -> _Table | None:
    """Return how a table is written, with the pairs of columns that may hold tokens and tags; ``None`` for no table."""
    unequal = None
    for separator in _SEPARATORS:
        for marks_are_words in _ways_of_marks(path, separator):
            table = _Table(path, separator, marks_are_words)
            try:
                rows = [cells for _, cells, _ in islice(_rows(table), _SNIFFED)]
            except csv.Error:  # a quotation mark that is a token opens a cell without end
                continue
            _add_columns(table, rows)
            if table.pairs:
                return table
            if table.unequal:
                unequal = unequal or table
    return unequal


def _ways_of_marks(path: Path, separator: str) -> tuple[bool, ...]:
    """Return whether quotation marks may be words, or part of them, the probable way first.

    Words need none around them where no separator is among them. Who writes them around some cells of a column then
    means the marks themselves. Commas are among most words.
    """
    if separator == ",":
        return (False,)
    lines = islice(read_lines(path), 1, _SNIFFED)
    columns = zip_longest(*(text.split(separator, _MOST_COLUMNS) for _, text, _ in lines), fillvalue='"')
    are_words = any(
        any(map(_QUOTED.fullmatch, column)) and not all(cell.startswith('"') for cell in column)
        for column in columns
    )
    return are_words, not are_words


def _add_columns(table: _Table, rows: list[list[str]]) -> None:
    """Set the names of a table and what its columns hold."""
    if not rows or not 2 <= len(rows[0]) <= _MOST_COLUMNS:
        return
    if not any(_LIST.fullmatch(cell) or _are_tags(cell.split()) for cell in rows[0]):
        table.names = rows.pop(0)
    width = len(table.names or rows[0])
    cells = list(zip(*(row for row in rows if len(row) == width), strict=True))
    table.lists = [_mostly(map(bool, map(_LIST.fullmatch, column))) for column in cells]
    columns = [[_parts(cell, own) for cell in column] for column, own in zip(cells, table.lists, strict=True)]
    tagged = [i for i, column in enumerate(columns) if _mostly(map(_are_tags, column))]
    several = [_mostly(len(parts) > 1 for parts in column) for column in columns]
    for i, j in product(range(len(columns)), tagged):
        sizes = [(len(one), len(other)) for one, other in zip(columns[i], columns[j], strict=True)]
        if i in tagged:
            continue
        if _mostly(one == other for one, other in sizes) and any(one == other > 1 for one, other in sizes):
            table.pairs.append((i, j))
        elif table.names and several[i] and several[j]:
            table.unequal.append((i, j))


def _mostly(facts: Iterable[bool]) -> bool:
    """Tell whether more than half are true: a damaged row is an error of its own, with its place."""
    values = list(facts)
    return 2 * sum(values) > len(values)


def _are_tags(parts: Sequence[str | int]) -> bool:
    """Tell a list of tags: all are usual ones, or numbers, in a list."""
    return bool(parts) and all(isinstance(part, int) or is_usual_tag(part) for part in parts)


def _parts(cell: str, is_list: bool) -> list[str | int]:
    """Return the words of a text, or the entries of a list; nothing if it is no list or cannot be read."""
    if not is_list:
        return list(cell.split())
    inner = _LIST.fullmatch(cell)
    parts: list[str | int] = []
    place, text = 0, inner[1].rstrip() if inner else ""
    while place < len(text):
        entry = _ENTRY.match(text, place)
        value = None if entry is None else _entry(entry["value"])
        if entry is None or value is None:
            return []
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


def _chosen(table: _Table, options: ReadingOptions) -> _Columns:
    """Return the pair that the options or else the names of the columns tell."""
    chosen = list(table.pairs)
    for place, (option, what) in enumerate((("token_column", "tokens"), ("tag_column", "tags of entities"))):
        value, columns = getattr(options, option), dict.fromkeys(pair[place] for pair in chosen)
        if value is not None:
            fitting = [column for column in columns if value in (column, *table.names[column:][:1])]
            message = (
                f"{option}={value!r}: expected {', '.join(map(table.named, columns))}. Name one of these."
            )
        else:
            objections = {column: _objection(table, column, what) for column in columns}
            fitting = [column for column in columns if not objections[column]]
            against = "; ".join(f"{table.named(column)}: {text}" for column, text in objections.items())
            message = (
                f"expected a sentence a row, with as many {what} as {('tags', 'tokens')[place]}. Against what fits "
                f"speaks: {against}. Part the texts at spaces as the tags are, or name the column all the same: "
                f"{option}=."
            )
        if not fitting:
            raise SourceError(f"{table.path}: {message}")
        chosen = [pair for pair in chosen if pair[place] in fitting]
    for place, roles in enumerate((("token", "sentence"), ("tag",))):
        chosen = [pair for pair in chosen if table.role(pair[place]) in roles] or chosen
    if len(chosen) > 1:
        tokens, tags = (dict.fromkeys(table.named(pair[place]) for pair in chosen) for place in (0, 1))
        raise SourceError(
            f"{table.path}: each row holds a sentence, with tokens in {' or '.join(tokens)} and tags in "
            f"{' or '.join(tags)}. Name the columns: token_column= and tag_column=."
        )
    return chosen[0]


def _objection(table: _Table, column: int, what: str) -> str:
    """Return what speaks against a column of tokens, or of tags of entities; nothing if nothing does."""
    fitting = ("", "tag", "token", "sentence", "document") if what == "tokens" else ("", "tag")
    if table.role(column) not in fitting:
        return "its name says otherwise"
    if what == "tokens":
        return ""
    rows = islice(_rows(table), bool(table.names), _SNIFFED)
    cells = [cells[column] for _, cells, _ in rows if len(cells) > column]
    tags = {str(tag) for cell in cells for tag in _parts(cell, table.lists[column])} - {OUTSIDE}
    return "its labels are those of chunks" if tags and {tag[2:] for tag in tags} <= CHUNKS else ""


def _rows(table: _Table) -> Iterator[Row]:
    """Yield the rows, each with the number of its last line and whether bytes of it were not UTF-8."""
    damaged = False

    def lines() -> Iterator[str]:
        nonlocal damaged
        for _, text, whole in read_lines(table.path):
            damaged |= whole
            yield f"{text}\n"

    # Strict: or else marks around the first word of a text would be lost.
    reader = csv.reader(lines(), delimiter=table.separator, quoting=table.quoting, strict=True)
    for cells in iter(partial(_next_cells, reader), None):
        if any(cells):
            yield reader.line_num, cells, damaged
        damaged = False


def _next_cells(reader: Iterator[list[str]]) -> list[str] | None:
    # Of the whole process, so only for this row: a document may be longer than is usual.
    usual = csv.field_size_limit(_LONGEST_CELL)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(usual)


def _records(table: _Table, columns: _Columns) -> Iterator[Record]:
    where = str(table.path)
    try:
        for number, cells, damaged in islice(_rows(table), bool(table.names), None):
            where = f"{table.path}, line {number}"
            yield _record(table, cells, columns, where), where, damaged
    except csv.Error as error:
        raise SourceError(
            f"{where}: no row of a table follows ({error}). Mend the quotation marks there; cells of more than "
            f"{_LONGEST_CELL:,} characters can be written as JSON."
        ) from None


def _record(table: _Table, cells: list[str], columns: _Columns, where: str) -> dict[str, Any]:
    if len(cells) <= max(columns):
        raise SourceError(f"{where}: {len(cells)} cells, expected at least {max(columns) + 1}. Mend the row.")
    tokens, tags = (_parts(cells[column], table.lists[column]) for column in columns)
    for column, parts in zip(columns, (tokens, tags), strict=True):
        cell = cells[column].strip()
        if table.lists[column] and not parts and cell.strip("[] \n"):
            raise SourceError(
                f"{where}, {table.named(column)}: expected a list of texts in quotation marks, or of numbers, found "
                f"{shown(cell)}. Mend the cell."
            )
        if not table.lists[column] and "\n" in cell:
            raise SourceError(
                f"{where}, {table.named(column)}: expected words in one line, found {shown(cell)}. Mend the quotation "
                "marks there, or write a list."
            )
    check_characters(" ".join(map(str, tokens)), where)
    return {"tokens": [str(token) for token in tokens], "ner_tags": tags}
