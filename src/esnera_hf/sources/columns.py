"""Column files: one token a line, blank lines between sentences (CoNLL and its many relatives)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import OUTSIDE, Entity, Scheme, TagError, detect_scheme, entities_from_tags

_DOCUMENT_MARKER = "-DOCSTART-"
_TAG_LIKE = re.compile(r"O|[BIESMWLU][-_].+", re.DOTALL)
_SNIFFED_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: list[str]
    damaged: bool


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """Where token and tag stand in a row; ``separator`` ``None`` means any run of spaces."""

    separator: str | None
    width: int
    token: int
    tag: int


def read_column_file(
    path: Path, *, scheme: Scheme | None = None, tag_column: int | None = None
) -> Iterator[RawSentence]:
    """Yield the sentences of a column file.

    Separator, columns and tagging scheme are told from the file unless given.

    Args:
        path: the file.
        scheme: its tagging scheme.
        tag_column: index of the column that holds the tags, from 0; negative
            values count from the end.

    Raises:
        SourceError: a row has other than the expected number of columns or a
            tag that the scheme does not know; file and line are named.
    """
    layout = _detect_layout(path, tag_column)
    sentences = list(_sentences(path, layout))
    if scheme is None:
        scheme = detect_scheme([row.cells[layout.tag] for row in rows] for rows in sentences)
    texts = [[row.cells[layout.token] for row in rows] for rows in sentences]
    for tokens, rows in zip(_without_positions(texts), sentences, strict=True):
        spans, repairs = _annotation(path, rows, layout, scheme)
        yield RawSentence(tokens, spans, f"{path.name}, line {rows[0].line}", repairs)


def _annotation(
    path: Path, rows: list[_Row], layout: ColumnLayout, scheme: Scheme
) -> tuple[list[Entity], list[str]]:
    tags = [row.cells[layout.tag] for row in rows]
    try:
        spans, repairs = entities_from_tags(tags, scheme)
    except TagError as error:
        bad = next(row for row in rows if not _is_tag(row.cells[layout.tag], scheme))
        raise SourceError(f"{path}, line {bad.line}: {error}. Name the scheme if it is another.") from None
    kinds = [repair.kind for repair in repairs]
    if any(row.damaged for row in rows):
        kinds.append(UNDECODABLE)
    return spans, kinds


def _without_positions(texts: list[list[str]]) -> list[list[str]]:
    """Take the position in its word off every token (Weibo: ``口0 腔1``), if all tokens carry one."""
    stripped: list[list[str]] = []
    inside_a_word = False
    for tokens in texts:
        position = -1
        bare = []
        for token in tokens:
            if len(token) < 2 or not token[-1].isdecimal():
                return texts
            suffix = str(position + 1) if token.endswith(str(position + 1)) else token[-1]
            if token == suffix:
                return texts
            position = int(suffix)
            bare.append(token.removesuffix(suffix))
            inside_a_word |= position > 0
        stripped.append(bare)
    return stripped if inside_a_word else texts


def _is_tag(tag: str, scheme: Scheme) -> bool:
    try:
        entities_from_tags([tag], scheme)
    except TagError:
        return False
    return True


def _sentences(path: Path, layout: ColumnLayout) -> Iterator[list[_Row]]:
    rows: list[_Row] = []
    for row in _rows(path, layout.separator):
        if row is None:
            if rows:
                yield rows
            rows = []
        elif row.cells[0].startswith("#") and len(row.cells) != layout.width:
            continue
        elif row.cells[0] == _DOCUMENT_MARKER:
            continue
        elif len(row.cells) != layout.width:
            raise SourceError(
                f"{path}, line {row.line}: expected {layout.width} columns as in the lines before, "
                f"found {len(row.cells)}: every token needs its tag. Mend the line."
            )
        else:
            rows.append(row)
    if rows:
        yield rows


def _rows(path: Path, separator: str | None) -> Iterator[_Row | None]:
    for line in read_lines(path):
        if line.text.strip():
            yield _Row(line.number, line.text.split(separator), line.damaged)
        else:
            yield None


def _detect_layout(path: Path, tag_column: int | None) -> ColumnLayout:
    separator = _detect_separator(path)
    sample: list[list[str]] = []
    width = 0
    for row in _rows(path, separator):
        if row is None or row.cells[0] == _DOCUMENT_MARKER:
            continue
        if row.cells[0].startswith("#") and len(row.cells) != max(width, 2):
            continue
        width = width or len(row.cells)
        if len(row.cells) == width:
            sample.append(row.cells)
        if len(sample) >= _SNIFFED_ROWS:
            break
    if width < 2:
        raise SourceError(
            f"{path}: no known format. Expected token and tag columns, JSON lines with character spans, "
            "or text with {{label:mention}} markup."
        )
    token = 1 if width > 2 and all(cells[0].isdigit() for cells in sample) else 0
    tag = _detect_tag_column(sample, width) if tag_column is None else tag_column % width
    return ColumnLayout(separator, width, token, tag)


def _detect_separator(path: Path) -> str | None:
    for line in read_lines(path):
        text = line.text.strip(" ")
        if "\t" in text.strip("\t") and not text.startswith("#"):
            return "\t"
        if text.strip() and not text.startswith("#"):
            return None
    return None


def _detect_tag_column(sample: Iterable[list[str]], width: int) -> int:
    columns = list(zip(*sample, strict=True))
    for index in range(width - 1, 0, -1):
        values = set(columns[index])
        if OUTSIDE in values and all(_TAG_LIKE.fullmatch(value) for value in values):
            return index
    return next((i for i in range(width - 1, 0, -1) if OUTSIDE in columns[i]), width - 1)
