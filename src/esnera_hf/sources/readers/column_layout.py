"""What the columns of a file are for: tokens, tags, names of sentences; told from the first rows, or asked."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.column_kinds import ENOUGH, WORD_PIECE, Column, role_of
from esnera_hf.sources.readers.tags import ONE_TAG, is_usual_tag
from esnera_hf.sources.readers.text import read_lines
from esnera_hf.sources.readings import Reading, choose_reading
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE

COMMENT = "#"
DOCUMENT_MARKER = "-DOCSTART-"
#: Rows that the layout is detected from: a second layer of nested spans may begin late.
SNIFFED_ROWS = 20_000
#: Separators of columns, the preferred first; ``None`` means runs of spaces and tabs.
_SEPARATORS = ("\t", None, ",", ";", "|")
_SPACES = re.compile(r"[ \t]+")

#: Yields the sentences of a file as other options read them.
Read = Callable[[ReadingOptions], Iterable[RawSentence]]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a file are for.

    Attributes:
        separator: what parts them; ``None`` for runs of spaces and tabs.
        quoted: whether cells may stand in quotation marks that are none of their text.
        names: those of the columns, where the first row says them.
        width: how many there are.
        token: the column of tokens.
        tags: those of tags; nested annotation fills several.
        sentence: those whose change begins a sentence.
        number: the one of token numbers, where they alone tell where a sentence begins.
        columns: those that are the same for all tokens of a sentence, by name.
        prefixed: whether tags carry prefixes.
        known_tags: the tags of the first rows: what begins with ``#`` and has another one is a comment.
    """

    separator: str | None
    quoted: bool
    names: tuple[str, ...]
    width: int
    token: int = 0
    tags: tuple[int, ...] = ()
    sentence: tuple[int, ...] = ()
    number: int | None = None
    columns: tuple[tuple[str, int], ...] = ()
    prefixed: bool = False
    known_tags: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "\n".join(self.roles())

    def roles(self) -> Iterator[str]:
        """Yield what each column is for, and those that are not read."""
        yield f"tokens: {self._listed([self.token])}"
        yield f"tags: {self._listed(self.tags)}"
        if self.sentence or self.number is not None:
            yield f"sentences: {self._listed(self.sentence or [self.number or 0])}"
        if self.columns:
            yield f"kept: {self._listed([index for _, index in self.columns])}"
        used = {self.token, *self.tags, *self.sentence, self.number, *(index for _, index in self.columns)}
        if rest := [index for index in range(self.width) if index not in used]:
            yield f"not read: {self._listed(rest)}"

    def _listed(self, columns: Iterable[int]) -> str:
        named = [f"{i} {shown(self.names[i])}" if self.names and self.names[i] else str(i) for i in columns]
        return f"column{'s' * (len(named) > 1)} {', '.join(named)}"

    def cells(self, text: str) -> list[str] | None:
        """Return the cells of a line; ``None`` for what stands between sentences and documents."""
        text = text.rstrip(" \t")
        if not text or text.isspace():
            return None
        if self.separator is None:
            cells = _SPACES.split(text.lstrip(" \t"))
        elif self.quoted:
            try:
                cells = next(csv.reader([text], delimiter=self.separator))
            except csv.Error:
                cells = [text]
        else:
            cells = text.split(self.separator)
        # Spreadsheets write an empty row as separators alone.
        return None if cells[0] == DOCUMENT_MARKER or not any(cells) else cells


def detect_layout(path: Path, options: ReadingOptions, read: Read) -> Layout:
    """Tell the layout of a column file from its first rows; a refusal shows what is read with other options.

    Raises:
        SourceError: no column holds tags, or several readings of the columns fit, or none does.
        ConfigurationError: a column that the options name is not there.
    """
    lines = [text for _, text, _ in islice(read_lines(path), SNIFFED_ROWS)]
    layout = _separated(lines)
    rows, blocks = _rows(lines, layout)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    asked = {name: getattr(options, name) for name in ("tag_column", "token_column")}
    names: list[str] = []
    if rows and (_is_header(rows[0], list(asked.values())) or _is_without_tag(rows)):
        # R writes no name above its names of rows.
        names = [""] * (len(rows[0]) == width - 1) + rows[0]
        rows, blocks, width = rows[1:], blocks[1:], len(names)
    whole = [(row, block) for row, block in zip(rows, blocks, strict=True) if len(row) == width]
    cells = zip(*(row for row, _ in whole), strict=True)
    columns = [
        Column(index, names[index] if names else "", column, [block for _, block in whole])
        for index, column in enumerate(cells)
    ]
    chosen = {name: _named(value, name, columns, path) for name, value in asked.items() if value is not None}
    layout = replace(layout, names=tuple(names), width=width)
    if names and not chosen and (unnamed := [c.index for c in columns if not c.name]):
        raise SourceError(
            f"{path}: the first row names the columns, but not column {unnamed[0]}, as where pandas writes its index: "
            f"{', '.join(map(shown, names))[:200]}. Name the columns of tokens and tags: {_advised(columns)}."
        )
    ask = partial(_reading, read, options)
    token = chosen.get("token_column")
    free = [column for column in columns if column is not token]
    tags = [chosen["tag_column"]] if "tag_column" in chosen else _tag_columns(free, path, options, ask)
    others = [column for column in columns if column not in tags]
    if not tags or not others:
        raise SourceError(
            f"{path}: no known format. Expected token and tag columns (with tags 'O'), JSON lines with "
            "character spans, or text with {{label:mention}} markup. If columns hold tokens and tags, name them: "
            "token_column= and tag_column=."
        )
    token = token or _token_column(others, path, ask)
    if not names and not chosen:
        _check_no_name(tags, token, path)
    layout = replace(
        layout,
        token=token.index,
        tags=tuple(column.index for column in tags),
        prefixed=any(column.notation.form and column.labels for column in tags),
        known_tags=frozenset().union(*(column.counts for column in tags)),
    )
    return _with_groups(layout, columns)


def _separated(lines: Sequence[str]) -> Layout:
    """Return the layout by which most rows have as many columns, at least two."""
    best, most = Layout(None, False, (), 0), 0.0
    for separator in _SEPARATORS:
        layout = Layout(separator, separator not in ("\t", None), (), 0)
        rows, _ = _rows(lines, layout)
        widths = Counter(map(len, rows))
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        if width > 1 and count > most:
            best, most = layout, count
            if separator == "\t":
                # Spreadsheets and pandas write a quotation mark as four.
                cells = {cell for row in rows for cell in row if cell.startswith('"')}
                best = replace(layout, quoted='""""' in cells and all(map(_is_quoted, cells)))
    return best


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"')


def _rows(lines: Iterable[str], layout: Layout) -> tuple[list[list[str]], list[int]]:
    """Return the rows, without comments, and the number of the block between blank lines each stands in."""
    rows: list[list[str]] = []
    blocks: list[int] = []
    block, parted = 0, False
    for text in lines:
        cells = layout.cells(text)
        if cells is None:
            parted = bool(rows)
        elif not cells[0].startswith(COMMENT) or (WORD_PIECE.match(cells[0]) and len(cells) > 1):
            block += parted
            parted = False
            rows.append(cells)
            blocks.append(block)
    return rows, blocks


def _is_header(row: Sequence[str], asked: Sequence[int | str | None]) -> bool:
    """Tell whether a row names the columns: by the names that options give, or by what names mean."""
    if any(isinstance(name, str) and name in row for name in asked):
        return True
    roles = [role_of(cell) for cell in row]
    named = [role for role in roles if role]
    is_tagged = any(cell == OUTSIDE or ONE_TAG.fullmatch(cell) for cell in row)
    return len(named) > 1 and len(set(named)) > 1 and not is_tagged and bool({"token", "tag"} & {*named})


def _is_without_tag(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row, and no other, lacks a tag: it names the columns in words that are not listed."""
    first, *rest = (row for row in rows if len(row) == len(rows[0]))
    if len(rest) < ENOUGH or any(map(str.isdecimal, first)):
        return False
    for index, cells in enumerate(zip(*rest, strict=True)):
        column = Column(index, "", cells, [])
        tags, bare = column.notation.tags, {first[index], *column.notation.tags(first[index])}
        if column.is_tagged and all(is_usual_tag(tag) for cell in column.counts for tag in tags(cell)):
            return not any(is_usual_tag(name) or name in column.labels for name in bare)
    return False


def _check_no_name(columns: Sequence[Column], token: Column, path: Path) -> None:
    """Check that no tag without a prefix stands in the first row alone, which may then name the columns."""
    for column in columns:
        first = column.cells[0]
        if not column.is_bare or column.counts[first] > 1 or len(column.cells) <= ENOUGH:
            continue
        labels = [cell for cell in column.counts if cell not in column.notation.outside]
        once = sum(column.counts[cell] == 1 for cell in labels)
        if first in labels and 2 * once < len(labels):
            word = token.cells[0]
            raise SourceError(
                f"{path}: the first row has {shown(word)} and {shown(first)}, which no other row has as a tag. "
                f"Say what they are: names of columns (token_column={word!r}, tag_column={first!r}), or a token and "
                f"its tag (token_column={token.index}, tag_column={column.index})."
            )


def _named(value: int | str, option: str, columns: Sequence[Column], path: Path) -> Column:
    width = len(columns)
    if isinstance(value, int):
        if -width <= value < width:
            return columns[value]
        raise SourceError(
            f"{path}: there is no column {value}, the rows have {width} columns. Count from 0, or from -1 backwards."
        )
    same_name = [column for column in columns if column.name == value]
    if len(same_name) == 1:
        return same_name[0]
    names = ", ".join(shown(column.name) for column in columns if column.name)
    raise ConfigurationError(
        f"{option}={value!r}: "
        + (
            f"{path.name} has the columns {names}. Name one of them."
            if names
            else f"the columns of {path.name} have numbers, not names. Give the number, from 0."
        )
    )


def _advised(columns: Sequence[Column]) -> str:
    options = []
    for role in ("token", "tag"):
        name = next((column.key for column in columns if column.role == role), "…")
        options.append(f"{role}_column={name}")
    return ", ".join(options)


def _reading(
    read: Read, options: ReadingOptions, what: str, column: Column, objections: Iterable[str], option: str
) -> Reading:
    value = column.name or column.index
    other = replace(options, **{option: value})  # type: ignore[arg-type]
    return Reading(f"{what} {column}", f"{option}={column.key}", lambda: read(other), tuple(objections))


Ask = Callable[[str, Column, Iterable[str], str], Reading]


def _tag_columns(columns: Sequence[Column], path: Path, options: ReadingOptions, ask: Ask) -> list[Column]:
    """Return the tag columns: one, or the layers of one nested annotation.

    Raises:
        SourceError: several columns may hold the tags, or the only one that does has much against it.
    """
    held = [c for c in columns if c.is_tagged or c.is_bare or (c.is_empty and c.index)]
    candidates = [c for c in held if c.index or len(columns) == 2 or c.is_tagged] or held
    if any(column.holds_sentences(columns) for column in candidates):
        raise SourceError(
            f"{path}: each row holds a whole sentence, its tokens in one cell and its tags in another. If so, pass "
            "format='rows'."
        )
    named = [column for column in candidates if column.role == "tag"]
    candidates = (named or candidates)[::-1]
    objections = {column: tuple(column.tag_objections()) for column in candidates}
    fitting = [column for column in candidates if not objections[column]]
    empty = [column for column in candidates if column.is_empty]
    if len(fitting) > 1 and (options.tag_layer == "all" or options.nested == "layers"):
        return sorted([*fitting, *empty], key=lambda column: column.index)
    if len(fitting) > 1 and not named and _are_layers(fitting):
        return sorted([*fitting, *empty], key=lambda column: column.index)
    if len(fitting) == 1:
        layers = empty if fitting[0].is_tagged and not named else []
        return sorted([*fitting, *layers], key=lambda column: column.index)
    only = [column for column in candidates if not column.is_empty] or candidates[:1]
    if len(only) == 1 and (only[0].is_tagged or only[0].is_empty):  # of chunks, or nothing annotated
        return only
    rest = fitting or only
    if not rest:
        everything = [c for c in columns if c.notation.form and c.labels]
        return [c for c in everything if all(map(ONE_TAG.fullmatch, c.counts))][-1:]
    readings = [ask("tags in", column, objections[column], "tag_column") for column in rest]
    advice = 'To read all of them as nested entities, pass tag_layer="all".' if len(fitting) > 1 else ""
    return [rest[choose_reading(f"{path}, column of tags", readings, advice)]]


def _are_layers(columns: Sequence[Column]) -> bool:
    """Tell whether columns are layers of one nested annotation: kindred labels, the inner ones within outer ones.

    Columns of which the smaller has much the same tags are a gold standard and a
    prediction, and those that annotate as many tokens, two annotations of them.
    """
    outer, *inner = sorted(columns, key=lambda column: column.counts[OUTSIDE])
    for layer in inner:
        pairs = list(zip(outer.cells, layer.cells, strict=True))
        both = sum(OUTSIDE not in pair for pair in pairs)
        own, same = sum(cell != OUTSIDE for _, cell in pairs), sum(a == b != OUTSIDE for a, b in pairs)
        whole = sum(cell != OUTSIDE for cell in outer.cells)
        kindred = any(
            one.startswith(other) or other.startswith(one) for one in layer.labels for other in outer.labels
        )
        if not kindred or 10 * both < 9 * own or 2 * same > own or 2 * own > whole:
            return False
    return True


def _token_column(others: Sequence[Column], path: Path, ask: Ask) -> Column:
    """Return the column of tokens: the one that its name tells, else the first that could be.

    Raises:
        SourceError: none could be, or the first that could has few words and another many.
    """
    alone = len(others) == 1
    objections = {column: tuple(column.token_objections(alone=alone)) for column in others}
    fitting = [column for column in others if not objections[column]]
    named = [column for column in fitting if column.role == "token"]
    if len(named) == 1:
        return named[0]
    fitting = named or fitting
    # The word comes first, and what is said of it behind it. A lemma or a part of speech has fewer forms.
    rivals = [column for column in fitting[1:] if len(column.counts) >= 2 * len(fitting[0].counts)]
    if len(fitting) > 1 and not named and not rivals:
        return fitting[0]
    if len(fitting) == 1:
        return fitting[0]
    candidates = [fitting[0], *rivals] if rivals and not named else fitting or others
    readings = [ask("tokens in", column, objections[column], "token_column") for column in candidates]
    return candidates[choose_reading(f"{path}, column of tokens", readings)]


def _with_groups(layout: Layout, columns: Sequence[Column]) -> Layout:
    """Add the columns that tell where sentences begin, and those that say something of whole sentences."""
    others = [c for c in columns if c.index != layout.token and c.index not in layout.tags]
    parted = len(set(columns[0].blocks)) > 1
    groups = [c for c in others if c.role in ("sentence", "document") and not c.counts_up]
    if parted:
        groups = [c for c in groups if c.role == "sentence" and c.numbers_sentences]
    else:
        groups += [
            c
            for c in others
            if c not in groups and (c.numbers_sentences or (c.index < layout.token and c.names_groups))
        ]
    numbers = [c.index for c in others if c.counts_up] if not parted and not groups else []
    keys: list[Sequence[object]] = [c.cells for c in groups] or [columns[0].blocks]
    sentence = [number for number, (_, rows) in enumerate(groupby(zip(*keys, strict=True))) for _ in rows]
    constant: dict[str, int] = {}
    for column in others:
        whole = Column(column.index, column.name, column.cells, sentence)
        says_something = column.name or (column.names_groups and not column.numbers_sentences)
        if (column in groups and column.name) or (
            whole.is_constant and says_something and any(column.counts)
        ):
            constant.setdefault(column.name or f"column_{column.index}", column.index)
    return replace(
        layout,
        sentence=tuple(sorted(column.index for column in groups)),
        number=next(iter(numbers), None),
        columns=tuple(constant.items()),
    )
