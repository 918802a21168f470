"""Column files: one token a line, sentences parted by blank lines or a column (CoNLL and its many relatives)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.column_layout import COMMENT, TAG_LIKE, ColumnLayout, cells_of, detect_layout
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import Entity, Scheme, TagError, detect_scheme, entities_from_tags, split_tag

#: A row that is a token without its tag rather than a comment.
_HASHTAG = re.compile(r"#(?!\d+$)\w+")
#: Positions in words may be wrong in so many of all tokens.
_FEW = 0.001


class _Rows(NamedTuple):
    """The rows of one sentence and the lines they stand in."""

    lines: list[int]
    cells: list[list[str]]
    damaged: bool

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.cells]


class ColumnFile:
    """A column file, read from its beginning each time it is called.

    Separator, columns and tagging scheme are told from the file unless given.
    Tag columns of kindred labels are layers of one nested annotation (GermEval,
    DaN+): the spans of all of them are read.

    Args:
        path: the file.
        options: its tagging scheme, and the index of the column that holds the tags,
            from 0; negative values count from the end.
    """

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        options = options or ReadingOptions()
        if isinstance(options.tag_column, str):
            raise ConfigurationError(
                f"tag_column={options.tag_column!r}: the columns of {path.name} have numbers, not names. Give the "
                "number, from 0."
            )
        self._scheme, self._tag_column = options.scheme, options.tag_column

    @cached_property
    def layout(self) -> ColumnLayout:
        """Where token and tags stand, told from the first rows."""
        return detect_layout(self.path, self._tag_column)

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
    group = ""
    for number, text, is_damaged in read_lines(path):
        cells = cells_of(text, layout.separator)
        if cells is not None and not begun:
            begun = True
            if layout.is_header(cells):
                continue
        if cells is None:
            if rows:
                yield _Rows(lines, rows, damaged)
                lines, rows, damaged = [], [], False
        elif cells[0].startswith(COMMENT) and _is_comment(cells, layout, first=not rows):
            continue
        elif len(cells) != layout.width:
            raise SourceError(
                f"{path}, line {number}: expected {layout.width} columns as in the lines before, "
                f"found {len(cells)}: every token needs its tag. Mend the line."
            )
        else:
            name = "" if layout.group is None else cells[layout.group]
            if rows and name not in ("", group):
                yield _Rows(lines, rows, damaged)
                lines, rows, damaged = [], [], False
            group = name or group
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
    spaced = cells[0] == COMMENT or cells[0].startswith(f"{COMMENT} ")
    if len(cells) != layout.width:
        return spaced or (first and not (len(cells) == 1 and _HASHTAG.fullmatch(cells[0])))
    tags = [cells[index] for index in layout.tags]
    if any(map(TAG_LIKE.fullmatch, tags)):
        return False
    return layout.prefixed or (first and spaced and layout.bare is not None and layout.bare.isdisjoint(tags))
