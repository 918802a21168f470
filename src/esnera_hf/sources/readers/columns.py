"""Column files: one token a line, sentences parted by blank lines or a column (CoNLL and its many relatives).

Separator, columns, names of columns and tagging scheme are detected from the first rows. Files of CoNLL-2011 and 2012
have fixed columns and entities in brackets: ``(GPE*``, ``*``, ``*)``, ``(PERSON)``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import combinations, groupby
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.text import UNDECODABLE, Row, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE, Entity, Scheme, TagError, detect_scheme, entities_from_tags, split_tag

_COMMENT = "#"
#: A row that is a token without its tag rather than a comment.
_HASHTAG = re.compile(r"#(?!\d+$)\w+")
_TAG_LIKE = re.compile(r"O|[BIESMWLU][-_].+", re.DOTALL)
_DOCUMENT_MARKER = "-DOCSTART-"
_TOKEN_NAMES = frozenset("token tokens word words char character text form".split())
_TAG_NAMES = frozenset("tag tags label labels ner ner_tag ner_tags entity entities ne".split())
_SPACES = re.compile(r"[ \t]+")
_INDEX = re.compile(r"\d+([-.]\d+)?")
#: Rows that the layout is detected from: a second layer of nested spans may begin late.
_SNIFFED_ROWS = 20_000
#: Positions in words may be wrong in so many of all tokens: Weibo has such slips.
_FEW = 0.001


#: Of CoNLL-2012, the columns of words and of entities. Between them stand part of speech, parse, predicate, sense
#: and speaker, behind them arguments and coreference.
_WORD, _BRACKETS = 3, 10
_BRACKET_CELL = re.compile(r"((?:\([^()*\s]+)*)(\*?)(\)*)")


class ColumnFile:
    """A column file, read from its beginning each time it is called.

    Tag columns of kindred labels are layers of one nested annotation (GermEval,
    DaN+): the spans of all of them are read. Among the options are its tagging scheme
    and the index of its tag column, from 0; negative values count from the end.
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
        #: Number of columns; 0 until the layout is detected.
        self._width = 0
        #: Between columns; ``None`` means runs of spaces and tabs.
        self._separator: str | None = None
        #: Indices of the columns of tokens and of tags; nested annotation fills more than one.
        self._token = 0
        self._tags: tuple[int, ...] = ()
        #: Index of the column that names the sentence, where no blank lines part them.
        self._group: int | None = None
        #: Whether tags carry prefixes; a row that begins with ``#`` and has other tags is then a comment.
        self._prefixed = False
        #: The labels of the first rows where they carry no prefix and spaces part the columns: a row before a
        #: sentence that begins with ``# `` and has another one is a comment of as many words as columns.
        self._bare: frozenset[str] | None = None

    @cached_property
    def scheme(self) -> Scheme:
        """The tagging scheme, told from all tags."""
        if self._scheme is not None:
            return self._scheme
        return detect_scheme(_column(rows, index) for rows in self._sentences() for index in self._tags)

    @cached_property
    def has_positions(self) -> bool:
        """Whether every token carries its position in its word (Weibo: ``口0 腔1``)."""
        tokens = inside_a_word = jumps = 0
        for rows in self._sentences():
            parts = _positions(_column(rows, self._token))
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
            SourceError: no column holds tags, or a row has another number of columns or a
                tag of another scheme; file and line are named.
        """
        for rows in self._sentences():
            tokens = _column(rows, self._token)
            parts = _positions(tokens) if self.has_positions else None
            spans: list[Entity] = []
            kinds = [UNDECODABLE] * any(damaged for _, _, damaged in rows)
            for index in self._tags:
                entities, repairs = self._decoded(rows, index)
                spans += entities
                kinds += repairs
            where = f"{self.path.name}, line {rows[0][0]}"
            yield RawSentence(tokens if parts is None else [bare for bare, _ in parts], spans, where, kinds)

    def _decoded(self, rows: list[Row], index: int) -> tuple[list[Entity], list[str]]:
        tags = _column(rows, index)
        try:
            entities, repairs = entities_from_tags(tags, self.scheme)
        except TagError as error:
            bad = next(row[0] for row, tag in zip(rows, tags, strict=True) if not _is_tag(tag, self.scheme))
            raise SourceError(
                f"{self.path}, line {bad}: {error}. Mend the line, or name the scheme if it is another."
            ) from None
        return entities, [kind for _, kind in repairs]

    def _sentences(self) -> Iterator[list[Row]]:
        if not self._width:
            self._detect_layout()
        rows: list[Row] = []
        begun = False
        group = ""
        for number, text, damaged in read_lines(self.path):
            cells = _cells(text, self._separator)
            if cells is None:
                if rows:
                    yield rows
                rows = []
                continue
            header = not begun and self._is_header(cells)
            begun = True
            if header or (cells[0].startswith(_COMMENT) and self._is_comment(cells, first=not rows)):
                continue
            if len(cells) != self._width:
                raise SourceError(
                    f"{self.path}, line {number}: expected {self._width} columns as in the lines before, "
                    f"found {len(cells)}: every token needs its tag. Mend the line."
                )
            name = "" if self._group is None else cells[self._group]
            if rows and name not in ("", group):
                yield rows
                rows = []
            group = name or group
            rows.append((number, cells, damaged))
        if rows:
            yield rows

    def _is_header(self, cells: list[str]) -> bool:
        """Tell whether a row names the columns."""
        names = [cell.strip().lower() for cell in cells]
        return (
            len(names) == self._width
            and _TAG_NAMES.issuperset(names[index] for index in self._tags)
            and names[self._token] in _TOKEN_NAMES
        )

    def _is_comment(self, cells: list[str], *, first: bool) -> bool:
        """Tell whether a row that begins with ``#``, before a sentence (``first``) or inside, is no token."""
        spaced = cells[0] == _COMMENT or cells[0].startswith(f"{_COMMENT} ")
        if len(cells) != self._width:
            return spaced or (first and not (len(cells) == 1 and _HASHTAG.fullmatch(cells[0])))
        tags = [cells[index] for index in self._tags]
        if any(map(_TAG_LIKE.fullmatch, tags)):
            return False
        return self._prefixed or (first and spaced and self._bare is not None and self._bare.isdisjoint(tags))

    def _detect_layout(self) -> None:
        separator = _detect_separator(self.path)
        sample: list[list[str]] = []
        # Blank lines between rows part sentences, whatever the columns hold; those at the ends say nothing.
        blank = parted = False
        for _, text, _ in read_lines(self.path):
            cells = _cells(text, separator)
            if cells is None or cells[0].startswith(_COMMENT):
                blank |= cells is None and bool(sample)
                continue
            parted |= blank
            if not sample or len(cells) == len(sample[0]):
                sample.append(cells)
            if len(sample) >= _SNIFFED_ROWS:
                break
        columns = [list(column) for column in zip(*sample, strict=True)]
        width = len(columns)
        if self._tag_column is None:
            tags = _detect_tag_columns(columns, self.path)
        elif -width <= self._tag_column < width:
            tags = (self._tag_column % width,)
        else:
            raise SourceError(
                f"{self.path}: there is no column {self._tag_column}, the rows have {width} columns. Count from 0, "
                "or from -1 backwards."
            )
        if width < 2 or not tags:
            raise SourceError(
                f"{self.path}: no known format. Expected token and tag columns (with tags 'O'), JSON lines with "
                "character spans, or text with {{label:mention}} markup. If a column holds the tags, name it: "
                "tag_column=."
            )
        others = [index for index in range(width) if index not in tags]
        grouped = len(others) > 1 and others[0] == 0 and not parted and _are_groups(columns[0])
        numbered = others[0] == 0 and others[1:2] == [1] and all(map(_INDEX.fullmatch, columns[0]))
        tag_cells = [columns[tag] for tag in tags]
        self._separator, self._width, self._tags = separator, width, tags
        self._token = others[1 if grouped or numbered else 0]
        self._group = 0 if grouped else None
        self._prefixed = any(map(_labels, tag_cells)) and detect_scheme(tag_cells) != "none"
        if separator is None and not self._prefixed:
            self._bare = frozenset(cell for column in tag_cells for cell in column if cell != OUTSIDE)


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


def _is_tag(tag: str, scheme: Scheme) -> bool:
    try:
        split_tag(tag, scheme)
    except TagError:
        return False
    return True


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


def _detect_separator(path: Path) -> str | None:
    """Detect the separator of the columns of a file from its first row, or the second one after a row of names."""
    for _, line, _ in read_lines(path):
        text = line.strip()
        if not text or text.startswith((_COMMENT, _DOCUMENT_MARKER)):
            continue
        if "\t" in line.rstrip():
            return "\t"
        ends = {mark: text.rpartition(mark)[2] for mark in ",;|" if mark in text}
        mark = next(
            (m for m, end in ends.items() if _TAG_LIKE.fullmatch(end) and not _SPACES.search(end)), None
        )
        if mark is None and any(end.strip().lower() in _TAG_NAMES for end in ends.values()):
            continue
        return mark
    return None


def _detect_tag_columns(columns: list[list[str]], path: Path) -> tuple[int, ...]:
    """Return the tag columns: the last that looks like one and has labels, and those of kindred labels or none yet."""
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


def _are_groups(column: list[str]) -> bool:
    """Tell whether a column names sentences: in each row of one, or in its first row with empty cells below."""
    names = [name for name, _ in groupby(filter(None, column))]
    # A name that comes back is a word or a tag; names of one row each are numbers of rows.
    return 1 < len(names) == len(set(names)) and 2 * len(names) <= len(column)


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
    rows: list[Row] = []
    for number, text, damaged in read_lines(path):
        if text.startswith("#"):
            continue
        if cells := text.split():
            if len(cells) <= _BRACKETS:
                raise SourceError(
                    f"{path}, line {number}: expected at least {_BRACKETS + 1} columns, found {len(cells)}."
                )
            rows.append((number, cells, damaged))
        elif rows:
            yield _bracket_sentence(path, rows)
            rows = []
    if rows:
        yield _bracket_sentence(path, rows)


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
