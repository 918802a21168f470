"""Column files: one token a line, sentences parted by blank lines or a column (CoNLL and its many relatives).

Separator, columns, names of columns and tagging scheme are detected from the file; where several readings
fit, or none does, the file is refused with two of them shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.column_layout import COMMENT, Layout, detect_layout
from esnera_hf.sources.readers.tags import ONE_TAG, TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE, Row, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE, Entity

#: A row that is a token without its tag rather than a comment.
_HASHTAG = re.compile(r"#(?!\d+$)\w+")
_SPACED_COMMENT = re.compile(r"#+(\s.*)?", re.DOTALL)
#: Positions in words may be wrong in so many of all tokens: Weibo has such slips.
_FEW = 0.001


class ColumnFile:
    """A column file, read from its beginning each time it is called.

    Tag columns of kindred labels are layers of one nested annotation (GermEval,
    DaN+): the spans of all of them are read. The options name its columns by index, from 0, negative
    values from the end, or by name where the first row has names.
    """

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        self._options = options or ReadingOptions()

    @cached_property
    def layout(self) -> Layout:
        """What its columns are for."""
        return detect_layout(self.path, self._options, lambda options: ColumnFile(self.path, options)())

    @cached_property
    def tags(self) -> TagReader:
        """What reads the tags, told from all of them."""

        return detect_tags(
            lambda: (_column(rows, index) for rows in self._rows() for index in self.layout.tags),
            self._options,
            str(self.path),
            self._sentences,
        )

    @cached_property
    def has_positions(self) -> bool:
        """Whether every token carries its position in its word (Weibo: ``口0 腔1``)."""
        tokens = inside_a_word = jumps = 0
        for rows in self._rows():
            parts = _positions(_column(rows, self.layout.token))
            if parts is None:
                return False
            tokens += len(parts)
            inside_a_word += sum(position > 0 for _, position in parts)
            before = [-1, *(position for _, position in parts)]
            jumps += sum(now not in (0, last + 1) for last, (_, now) in zip(before, parts, strict=False))
        return inside_a_word > 0 and jumps <= _FEW * tokens

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: it is open which columns hold tokens and tags, or a row has another number of
                columns or a tag of another scheme; file and line are named.
        """
        return self._sentences(self.tags)

    def _sentences(self, reader: TagReader) -> Iterator[RawSentence]:
        for rows in self._rows():
            tokens = _column(rows, self.layout.token)
            parts = _positions(tokens) if self.has_positions else None
            spans: dict[Entity, None] = {}
            kinds = [UNDECODABLE] * any(damaged for _, _, damaged in rows)
            for index in self.layout.tags:
                entities, repairs = reader.read(_column(rows, index), str(self.path), rows)
                spans.update(dict.fromkeys(entities))
                kinds += repairs
            where = f"{self.path.name}, line {rows[0][0]}"
            shared = {name: rows[0][1][index] for name, index in self.layout.columns}
            tokens = tokens if parts is None else [bare for bare, _ in parts]
            yield RawSentence(tokens, list(spans), where, kinds, columns=shared)

    def _rows(self) -> Iterator[list[Row]]:
        """Yield the rows of each sentence."""
        # A third of the reading of a corpus is spent in this loop: what all lines share stands before it.
        layout, split = self.layout, self.layout.cells
        width, group = layout.width, layout.sentence
        headers = [[*layout.names], [*filter(None, layout.names)]] if layout.names else []
        rows: list[Row] = []
        key: list[str] = []
        for number, text, damaged in read_lines(self.path):
            cells = split(text)
            if cells is None or cells in headers:
                if rows:
                    yield rows
                rows = []
                continue
            if cells[0].startswith(COMMENT) and self._is_comment(cells, first=not rows):
                continue
            if len(cells) != width:
                raise SourceError(
                    f"{self.path}, line {number}: expected {width} columns as in the lines before, "
                    f"found {len(cells)}: every token needs its tag. Mend the line."
                )
            if group or layout.number is not None:
                # Where only the first row of a sentence is named, the cells below are empty.
                own = [cells[index] or (key[place] if key else "") for place, index in enumerate(group)]
                if rows and (own != key or self._begins_anew(rows[-1], cells)):
                    yield rows
                    rows = []
                key = own
            rows.append((number, cells, damaged))
        if rows:
            yield rows

    def _begins_anew(self, before: Row, cells: list[str]) -> bool:
        place = self.layout.number
        if place is None:
            return False
        numbers = [row[place].partition(".")[0] for row in (before[1], cells)]
        # Digits are compared as they are written: a number may have too many of them for an integer.
        earlier, later = ((len(digits), digits) for digits in (number.lstrip("0") for number in numbers))
        return later <= earlier

    def _is_comment(self, cells: list[str], *, first: bool) -> bool:
        """Tell whether a row that begins with ``#``, before a sentence (``first``) or inside, is no token."""
        spaced = _SPACED_COMMENT.fullmatch(cells[0]) is not None
        if len(cells) != self.layout.width:
            return spaced or (first and not (len(cells) == 1 and _HASHTAG.fullmatch(cells[0])))
        tags = [cells[index] for index in self.layout.tags]
        if any(tag == OUTSIDE or ONE_TAG.fullmatch(tag) for tag in tags):
            return False
        if self.layout.prefixed:
            return spaced
        is_first = first and self.layout.separator is None
        return spaced and is_first and self.layout.known_tags.isdisjoint(tags)


def _column(rows: list[Row], index: int) -> list[str]:
    return [cells[index] for _, cells, _ in rows]


def _positions(tokens: list[str]) -> list[tuple[str, int]] | None:
    """Part every token from its position in its word; ``None`` if one carries none."""
    position = -1
    parts = []
    for token in tokens:
        if len(token) < 2 or not token[-1].isdecimal():
            return None
        following = str(position + 1)
        suffix = following if token.endswith(following) and token != following else token[-1]
        position = int(suffix)
        parts.append((token.removesuffix(suffix), position))
    return parts
