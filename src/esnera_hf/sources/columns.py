"""Column files: one token a line, blank lines between sentences (CoNLL and its many relatives)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import OUTSIDE, Entity, Scheme, TagError, detect_scheme, entities_from_tags, split_tag

_DOCUMENT_MARKER = "-DOCSTART-"
_COMMENT = "#"
_TAG_LIKE = re.compile(r"O|[BIESMWLU][-_].+", re.DOTALL)
#: A row that is a token without its tag rather than a comment.
_HASHTAG = re.compile(r"#(?!\d+$)\w+")
_TOKEN_NAMES = frozenset("token tokens word words char character text form".split())
_TAG_NAMES = frozenset("tag tags label labels ner ner_tag ner_tags entity entities ne".split())
_SPACES = re.compile(r"[ \t]+")
_INDEX = re.compile(r"\d+([-.]\d+)?")
_SNIFFED_ROWS = 20_000
#: Positions in words may be wrong in so many of all tokens.
_FEW = 0.001


class _Rows(NamedTuple):
    """The rows of one sentence and the lines they stand in."""

    lines: list[int]
    cells: list[list[str]]
    damaged: bool

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.cells]


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """Where the token and its tags stand in a row.

    Attributes:
        separator: what parts the columns; ``None`` means runs of spaces and tabs.
        width: number of columns.
        token: index of the token column.
        tags: indices of the tag columns; nested annotation fills more than one.
        prefixed: whether tags carry prefixes; a row that begins with ``#`` and
            has other tags is then a comment.
        bare: the labels of the first rows if they carry no prefix and spaces part
            the columns, else ``None``; a row before a sentence that begins with
            ``# `` and has another one is then a comment, whose words happen to be
            as many as columns.
    """

    separator: str | None
    width: int
    token: int
    tags: tuple[int, ...]
    prefixed: bool
    bare: frozenset[str] | None = None

    def is_header(self, cells: list[str]) -> bool:
        """Tell whether a row names the columns."""
        names = [cells[index].strip().lower() for index in self.tags] if len(cells) == self.width else []
        return (
            bool(names) and _TAG_NAMES.issuperset(names) and cells[self.token].strip().lower() in _TOKEN_NAMES
        )


class ColumnFile:
    """A column file, read from its beginning each time it is called.

    Separator, columns and tagging scheme are told from the file unless given.
    Tag columns of kindred labels are layers of one nested annotation (GermEval,
    DaN+): the spans of all of them are read.

    Args:
        path: the file.
        scheme: its tagging scheme.
        tag_column: index of the column that holds the tags, from 0; negative
            values count from the end.
    """

    def __init__(self, path: Path, *, scheme: Scheme | None = None, tag_column: int | None = None) -> None:
        self.path = path
        self._scheme = scheme
        self._tag_column = tag_column

    @cached_property
    def layout(self) -> ColumnLayout:
        """Where token and tags stand, told from the first rows."""
        return _detect_layout(self.path, self._tag_column)

    @cached_property
    def scheme(self) -> Scheme:
        """The tagging scheme, told from all tags."""
        if self._scheme is not None:
            return self._scheme
        return detect_scheme(rows.column(index) for rows in self._sentences() for index in self.layout.tags)

    @cached_property
    def has_positions(self) -> bool:
        """Whether every token carries its position in its word (Weibo: ``口0 腔1``)."""
        tokens = inside_a_word = jumps = 0
        for rows in self._sentences():
            bare = _without_positions(rows.column(self.layout.token))
            if bare is None:
                return False
            tokens += len(bare.tokens)
            inside_a_word += bare.inside_a_word
            jumps += bare.jumps
        return inside_a_word > 0 and jumps <= _FEW * tokens

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: no column holds tags, or a row has other than the
                expected number of columns or a tag that the scheme does not
                know; file and line are named.
        """
        for rows in self._sentences():
            tokens = rows.column(self.layout.token)
            bare = _without_positions(tokens) if self.has_positions else None
            spans, repairs = _annotation(self.path, rows, self.layout, self.scheme)
            where = f"{self.path.name}, line {rows.lines[0]}"
            yield RawSentence(tokens if bare is None else bare.tokens, spans, where, repairs)

    def _sentences(self) -> Iterator[_Rows]:
        return _sentences(self.path, self.layout)


def _annotation(
    path: Path, rows: _Rows, layout: ColumnLayout, scheme: Scheme
) -> tuple[list[Entity], list[str]]:
    spans: list[Entity] = []
    kinds = [UNDECODABLE] if rows.damaged else []
    for index in layout.tags:
        tags = rows.column(index)
        try:
            entities, repairs = entities_from_tags(tags, scheme)
        except TagError as error:
            bad = next(line for line, tag in zip(rows.lines, tags, strict=True) if not _is_tag(tag, scheme))
            raise SourceError(
                f"{path}, line {bad}: {error}. Mend the line, or name the scheme if it is another."
            ) from None
        spans += entities
        kinds += [repair.kind for repair in repairs]
    return spans, kinds


class _BareTokens(NamedTuple):
    """Tokens without their positions.

    Attributes:
        tokens: the tokens.
        inside_a_word: how many are not the first of their word.
        jumps: how many stand neither first in a word nor after the one before.
    """

    tokens: list[str]
    inside_a_word: int
    jumps: int


def _without_positions(tokens: list[str]) -> _BareTokens | None:
    """Take the position in its word off every token; ``None`` if one carries none."""
    position = -1
    inside_a_word = jumps = 0
    bare = []
    for token in tokens:
        if len(token) < 2 or not token[-1].isdecimal():
            return None
        following = str(position + 1)
        suffix = following if token.endswith(following) and token != following else token[-1]
        jumps += int(suffix) not in (0, position + 1)
        position = int(suffix)
        bare.append(token.removesuffix(suffix))
        inside_a_word += position > 0
    return _BareTokens(bare, inside_a_word, jumps)


def _is_tag(tag: str, scheme: Scheme) -> bool:
    try:
        split_tag(tag, scheme)
    except TagError:
        return False
    return True


def _sentences(path: Path, layout: ColumnLayout) -> Iterator[_Rows]:
    lines: list[int] = []
    rows: list[list[str]] = []
    damaged = False
    begun = False
    for number, text, is_damaged in read_lines(path):
        cells = _cells(text, layout.separator)
        if cells is not None and not begun:
            begun = True
            if layout.is_header(cells):
                continue
        if cells is None:
            if rows:
                yield _Rows(lines, rows, damaged)
                lines, rows, damaged = [], [], False
        elif cells[0].startswith(_COMMENT) and _is_comment(cells, layout, first=not rows):
            continue
        elif len(cells) != layout.width:
            raise SourceError(
                f"{path}, line {number}: expected {layout.width} columns as in the lines before, "
                f"found {len(cells)}: every token needs its tag. Mend the line."
            )
        else:
            lines.append(number)
            rows.append(cells)
            damaged |= is_damaged
    if rows:
        yield _Rows(lines, rows, damaged)


def _is_comment(cells: list[str], layout: ColumnLayout, *, first: bool) -> bool:
    """Tell whether a row that begins with ``#`` is a comment rather than a token.

    Args:
        cells: the row.
        layout: of the file.
        first: whether it stands before a sentence rather than inside.
    """
    spaced = cells[0] == _COMMENT or cells[0].startswith(f"{_COMMENT} ")
    if len(cells) != layout.width:
        return spaced or (first and not (len(cells) == 1 and _HASHTAG.fullmatch(cells[0])))
    tags = [cells[index] for index in layout.tags]
    if any(map(_TAG_LIKE.fullmatch, tags)):
        return False
    return layout.prefixed or (first and spaced and layout.bare is not None and layout.bare.isdisjoint(tags))


def _cells(text: str, separator: str | None) -> list[str] | None:
    """Return the cells of a line; ``None`` for what stands between sentences and documents."""
    text = text.rstrip(" \t")
    if not text or text.isspace():
        return None
    if separator is None:
        cells = _SPACES.split(text.lstrip(" \t"))
    elif separator == "\t":
        cells = text.split("\t")
    else:
        try:
            cells = next(csv.reader([text], delimiter=separator))
        except csv.Error:
            cells = [text]
    return None if cells[0] == _DOCUMENT_MARKER else cells


def _detect_layout(path: Path, tag_column: int | None) -> ColumnLayout:
    separator = _detect_separator(path)
    sample: list[list[str]] = []
    for line in read_lines(path):
        cells = _cells(line.text, separator)
        if cells is None or cells[0].startswith(_COMMENT):
            continue
        if not sample or len(cells) == len(sample[0]):
            sample.append(cells)
        if len(sample) >= _SNIFFED_ROWS:
            break
    columns = [list(column) for column in zip(*sample, strict=True)]
    width = len(columns)
    if tag_column is None:
        tags = _detect_tag_columns(columns, path)
    elif -width <= tag_column < width:
        tags = (tag_column % width,)
    else:
        raise SourceError(
            f"{path}: there is no column {tag_column}, the rows have {width} columns. Count from 0, or "
            "from -1 backwards."
        )
    if width < 2 or not tags:
        raise SourceError(
            f"{path}: no known format. Expected token and tag columns (with tags 'O'), JSON lines with "
            "character spans, or text with {{label:mention}} markup. If a column holds the tags, name it: "
            "tag_column=."
        )
    token = 1 if width > 2 and 1 not in tags and all(_INDEX.fullmatch(cell) for cell in columns[0]) else 0
    if token in tags:
        token = next(index for index in range(width) if index not in tags)
    tag_cells = [columns[tag] for tag in tags]
    prefixed = any(map(_labels, tag_cells)) and detect_scheme(tag_cells) != "none"
    words = separator is None and not prefixed
    bare = frozenset(cell for column in tag_cells for cell in column if cell != OUTSIDE) if words else None
    return ColumnLayout(separator, width, token, tags, prefixed, bare)


def _detect_separator(path: Path) -> str | None:
    """Tell what parts the columns of a file from its first row, or the second one after a row of names."""
    for line in read_lines(path):
        text = line.text.strip()
        if not text or text.startswith((_COMMENT, _DOCUMENT_MARKER)):
            continue
        if "\t" in line.text.rstrip():
            return "\t"
        if not _SPACES.search(text):
            ends = {mark: text.rpartition(mark)[2] for mark in ",;|" if mark in text}
            mark = next((mark for mark, end in ends.items() if _TAG_LIKE.fullmatch(end)), None)
            if mark is None and any(end.strip().lower() in _TAG_NAMES for end in ends.values()):
                continue
            return mark
        return None
    return None


def _detect_tag_columns(columns: list[list[str]], path: Path) -> tuple[int, ...]:
    """Return the tag columns: the last that looks like one and has labels, and those of kindred labels or none yet.

    Raises:
        SourceError: two hold much the same tags, as of a gold standard and a prediction.
    """
    candidates = range(len(columns) - 1, 0, -1)
    with_outside = [index for index in candidates if OUTSIDE in columns[index]]
    tagged = [index for index in with_outside if _is_mostly_tags(columns[index])]
    if not tagged and len(columns) > 1 and OUTSIDE in columns[0] and _is_mostly_tags(columns[0]):
        return (0,)
    chosen = next(
        (index for index in tagged if _labels(columns[index])), next(iter(tagged or with_outside), None)
    )
    if chosen is None:
        return tuple(index for index in candidates if all(map(_TAG_LIKE.fullmatch, columns[index])))[:1]
    labels = _labels(columns[chosen])
    layers = {
        index for index in tagged if not _labels(columns[index]) or _are_kin(_labels(columns[index]), labels)
    }
    for one, other in combinations(sorted(layers), 2):
        if _are_copies(columns[one], columns[other]):
            raise SourceError(
                f"{path}: columns {one} and {other} hold much the same tags, as of a gold standard and a prediction. "
                "Say which one counts: tag_column=."
            )
    return tuple(sorted(layers | {chosen}))


def _are_copies(column: list[str], other: list[str]) -> bool:
    """Tell whether most of what two columns annotate has the same tag in both, as layers of nested spans never have."""
    tags = [(one, two) for one, two in zip(column, other, strict=True) if not one == two == OUTSIDE]
    return 2 * sum(one == two for one, two in tags) > len(tags)


def _are_kin(labels: set[str], others: set[str]) -> bool:
    """Tell whether labels are equal or one derives from the other (``LOC`` and ``LOCpart``)."""
    return any(one.startswith(other) or other.startswith(one) for one in labels for other in others)


def _is_mostly_tags(column: list[str]) -> bool:
    return 2 * sum(_TAG_LIKE.fullmatch(cell) is not None for cell in column) >= len(column)


def _labels(column: list[str]) -> set[str]:
    return {cell[2:] for cell in set(column) if cell != OUTSIDE and _TAG_LIKE.fullmatch(cell)}
