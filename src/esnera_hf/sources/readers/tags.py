"""How the tags of a corpus are written: prefix and label, their order, what parts them, several tags in one cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from operator import or_
from typing import TypeAlias, cast

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.text import Row
from esnera_hf.sources.readings import Reading, choose_reading
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import (
    OUTSIDE,
    PREFIXES,
    Entity,
    Scheme,
    TagError,
    detect_scheme,
    entities_from_tags,
    scheme_of_pairs,
    split_tag,
)

LOWER_OUTSIDE = "tag 'o' beside 'O', read as O"
#: Of a tag that a message names, and of tags that it lists.
_SHOWN = 5

_LETTERS = "".join(sorted(PREFIXES))
#: Words that stand for prefixes, as in BEGIN-PER; no others, for labels are called first_name and end-date.
_PREFIX_WORDS = {"B": "begin beg", "I": "inside intermediate", "E": "end", "S": "single singleton unit"}
_LETTER_OF_WORD = {word: letter for letter, words in _PREFIX_WORDS.items() for word in words.split()}
#: What parts prefix and label, first of all the usual two; word processors make dashes of hyphens.
_SEPARATORS = ("-_", "\u2010-\u2015\u2212", ":", "/", ".", "|", "~", "=", " ", "#", "+", "@", "\\\\")
#: What parts several tags in one cell; of those in the first place one needs only the prefix of its cell.
_JOINTS = "|;,#", "/+&$ "
#: A cell that holds one tag as most corpora write it.
ONE_TAG = re.compile(rf"[{_LETTERS}{_LETTERS.lower()}][-_].+|[Oo]|.+[-_][BI]", re.DOTALL)
_ANY_PREFIX = re.compile(r"(?P<prefix>[BIbi])[\W_](?P<label>.+)", re.DOTALL)
#: What stands for "outside", or for nothing, beside labels without prefixes; PER[1] numbers a span.
_NO_LABEL = re.compile(r"[\W_\d]*|o|nan|none|null|outside|.*\[\d+\]", re.IGNORECASE | re.DOTALL)
#: Tags that prefixes are looked for in; what has more distinct ones is a column of words.
_MOST_TAGS = 5000


#: One way to write a prefix and a label as a tag.
_Form: TypeAlias = re.Pattern[str]


def _parts(form: _Form, tag: str) -> tuple[str, str] | None:
    """Return the letter of the prefix and the label, ``None`` for what is not written so."""
    match = form.fullmatch(tag)
    if match is None:
        return None
    prefix = match["prefix"]
    return _LETTER_OF_WORD.get(prefix.lower()) or prefix.upper(), match["label"]


def _forms(prefix: str) -> Iterator[_Form]:
    for marks in _SEPARATORS:
        yield re.compile(rf"(?P<prefix>{prefix})[{marks}](?P<label>.+)", re.DOTALL)
    for marks in _SEPARATORS:
        yield re.compile(rf"(?P<label>.+)[{marks}](?P<prefix>{prefix})", re.DOTALL)


_OF_LETTERS = (*_forms(f"[{_LETTERS}]"), *_forms(f"[{_LETTERS.lower()}]"))
_OF_WORDS = tuple(_forms("(?i:" + "|".join(sorted(_LETTER_OF_WORD, key=len, reverse=True)) + ")"))
_USUAL = _OF_LETTERS[0]
#: BPER and IPER, which many a label looks like: only where every inside tag has its begin tag.
_UNPARTED = re.compile(r"(?P<prefix>[BI])(?P<label>\w+)")


def is_usual_tag(tag: str) -> bool:
    """Tell ``O`` and tags such as ``B-PER``."""
    return tag == OUTSIDE or _parts(_USUAL, tag) is not None


@dataclass(frozen=True, slots=True)
class Notation:
    """How the tags of a corpus are written.

    Attributes:
        form: of a prefix and a label; ``None`` for labels without prefixes.
        joint: what parts several tags in one cell, ``""`` where no cell has several.
        outside: the tags that mean "outside every entity".
        doubt: why the tags cannot be told, ``""`` where they can.
    """

    form: _Form | None
    joint: str = ""
    outside: frozenset[str] = frozenset({OUTSIDE})
    doubt: str = ""

    def tags(self, cell: str) -> tuple[str, ...]:
        """Return the tags of one cell as they are usually written, ``B-PER``; what is no tag stays as it is."""
        pieces = [piece for piece in cell.split(self.joint) if piece] if self.joint else [cell]
        tags: list[str] = []
        prefix = ""
        for piece in pieces:
            parts = self.form and _parts(self.form, piece)
            if piece in self.outside:
                tags.append(OUTSIDE)
            elif parts:
                prefix = parts[0]
                tags.append(f"{prefix}-{parts[1]}")
            else:  # the labels behind the first may share its prefix
                tags.append(f"{prefix}-{piece}" if prefix else piece)
        return tuple(tags) or (cell,)


def detect_notation(counts: Mapping[str, int]) -> Notation:
    """Tell how tags are written from all tags of a corpus and how often each occurs."""
    joint = next((mark for mark in "".join(_JOINTS) if _joins(mark, counts)), "")
    pieces = {piece for cell in counts for piece in (cell.split(joint) if joint else [cell]) if piece}
    tags = pieces - {OUTSIDE}
    form = _form(tags - {"o"})
    is_lower = "o" in tags and (
        form is not None or OUTSIDE in pieces or counts["o"] >= max(counts.values(), default=0)
    )
    tags -= {"o"} if is_lower else set()
    outside = frozenset({OUTSIDE, "o"} if is_lower else {OUTSIDE})
    return Notation(form, joint, outside, "" if form else _doubt(tags))


def _joins(mark: str, cells: Collection[str]) -> bool:
    """Tell whether a mark parts several tags in one cell."""
    several = [cell.split(mark) for cell in cells if mark in cell.strip(mark)]
    if not several:
        return False
    alone = {cell for cell in cells if mark not in cell}
    labels = alone | {parts[1] for cell in alone if (parts := _parts(_USUAL, cell))}
    for pieces in several:
        whole = [ONE_TAG.fullmatch(piece) is not None for piece in pieces]
        if all(whole) or (mark in _JOINTS[0] and all(map(or_, whole, [p in labels for p in pieces]))):
            return True
    return False


def _form(tags: Collection[str]) -> _Form | None:
    if not tags or detect_scheme([[tag] for tag in tags]) != "none":
        return _USUAL
    if len(tags) > _MOST_TAGS:
        return None
    for form in (*_OF_LETTERS, *_OF_WORDS, _UNPARTED):
        parts = list(takewhile(bool, map(partial(_parts, form), tags)))
        if len(parts) == len(tags) and _is_convincing(cast(list[tuple[str, str]], parts), form):
            return form
    return None


def _is_convincing(parts: Collection[tuple[str, str]], form: _Form) -> bool:
    """Tell whether prefixes are those of a scheme rather than a part of labels."""
    labels: dict[str, set[str]] = {prefix: set() for prefix in _LETTERS}
    for prefix, label in parts:
        labels[prefix].add(label)
    prefixes = {prefix for prefix, own in labels.items() if own}
    if detect_scheme([[f"{prefix}-{label}"] for prefix, label in parts]) == "none":
        return False
    if form is _UNPARTED:
        return bool(labels["I"]) and labels["I"] <= labels["B"]
    goes_on = bool(prefixes & {"I", "M"}) or {"E", "S"} <= prefixes
    if form in _OF_WORDS:
        return "B" in prefixes and goes_on
    return ("B" in prefixes and goes_on) or (len(parts) > 1 and prefixes in ({"B"}, {"I"}))


def _doubt(tags: Collection[str]) -> str:
    """Return what makes labels without prefixes look like tags with prefixes."""
    examples = ", ".join(map(shown, sorted(tags)[:_SHOWN]))
    if "B" in tags and set(tags) <= set(_LETTERS):
        return (
            f"the tags {examples} are prefixes without labels. Give them labels: "
            "tag_names={'B': 'B-TERM', 'I': 'I-TERM'}."
        )
    for form in _OF_LETTERS if len(tags) <= _MOST_TAGS else ():
        parts = [(part[0], part[1].casefold()) for tag in tags if (part := _parts(form, tag))]
        prefixes: dict[str, set[str]] = {}
        for prefix, label in parts:
            prefixes.setdefault(label, set()).add(prefix)
        has_two = any(len(letters) > 1 for letters in prefixes.values())
        if has_two or (parts and len(parts) == len(tags) and "B" in {prefix for prefix, _ in parts}):
            return (
                f"the tags {examples} look like prefixes and labels, but are not written as in any scheme. Write "
                'them as B-PER and I-PER, name them in tag_names={…}, or pass scheme="none" if they are labels as '
                "they are."
            )
    letters: dict[str, set[str]] = {}
    for tag in tags:
        if match := _ANY_PREFIX.fullmatch(tag):
            letters.setdefault(match["label"].casefold(), set()).add(match["prefix"].upper())
    if any(len(written) > 1 for written in letters.values()):
        return (
            f"the prefixes of the tags {examples} are written in several ways. Write all of them alike, or name them "
            "in tag_names={…}."
        )
    return ""


class TagReader:
    """Reads the tags of sentences as entities; made by :func:`detect_tags`."""

    def __init__(
        self,
        scheme: Scheme,
        notation: Notation,
        names: Mapping[str, str] | None = None,
        layer: int | str | None = None,
    ) -> None:
        self.scheme, self.notation = scheme, notation
        self._names, self._layer = names or {}, layer
        self._tags: dict[str, tuple[str, ...]] = {}

    def __call__(self, cells: Sequence[str]) -> tuple[list[Entity], list[str]]:
        """Return the entities of the tags of a sentence, and the repairs.

        Raises:
            TagError: a tag is not of the scheme.
        """
        several = [self.tags(cell) for cell in cells]
        repairs = [LOWER_OUTSIDE] * ("o" in cells and OUTSIDE in cells and "o" in self.notation.outside)
        entities: dict[Entity, None] = {}
        for tags in self._layers(several):
            of_layer, kinds = entities_from_tags(tags, self.scheme)
            entities.update(dict.fromkeys(of_layer))
            repairs += [kind for _, kind in kinds]
        return list(entities), repairs

    def read(
        self, cells: Sequence[str], where: str, rows: Sequence[Row] = ()
    ) -> tuple[list[Entity], list[str]]:
        """Return the entities of the tags of a sentence, and the repairs.

        Raises:
            SourceError: a tag is not of the scheme; ``where`` is named, with the line of its row if there are rows.
        """
        try:
            return self(cells)
        except TagError as error:
            if rows:
                bad = next(index for index, cell in enumerate(cells) if not self._is_tag(cell))
                where = f"{where}, line {rows[bad][0]}"
            raise SourceError(
                f"{where}: {error}. Mend the tag, say what it stands for in tag_names=, or name the scheme if it is "
                "another."
            ) from None

    def tags(self, cell: str) -> tuple[str, ...]:
        """Return the tags of a cell as they are usually written."""
        tags = self._tags.get(cell)
        if tags is None:
            named = self._names.get(cell, cell)
            tags = self._tags[cell] = self.notation.tags(named) if named else (named,)
        return tags

    def _is_tag(self, cell: str) -> bool:
        try:
            for tag in self.tags(cell):
                split_tag(tag, self.scheme)
        except ValueError:
            return False
        return True

    def _layers(self, several: Sequence[tuple[str, ...]]) -> Iterator[list[str]]:
        if self._layer != "all":
            layer = self._layer if isinstance(self._layer, int) else 0
            yield [tags[layer] if layer < len(tags) else OUTSIDE for tags in several]
            return
        # A label keeps no place among the tags of its cells: each has a layer of its own.
        labels = dict.fromkeys(split_tag(tag, self.scheme)[1] for tags in several for tag in tags)
        for label in filter(None, labels):
            own = ((t for t in tags if split_tag(t, self.scheme)[1] == label) for tags in several)
            yield [next(tags, OUTSIDE) for tags in own]


#: Reads tags of IOB2 as they are usually written.
USUAL_TAGS = TagReader("IOB2", Notation(_USUAL))


def detect_tags(
    sentences: Callable[[], Iterable[Sequence[str]]],
    options: ReadingOptions,
    place: str,
    sample: Callable[[TagReader], Iterable[RawSentence]] | None = None,
) -> TagReader:
    """Tell how the tags of a corpus are read, from all of them.

    Args:
        sentences: yields the tags of every sentence.
        options: scheme, names and layer of tags, where they are not to be detected.
        place: of the tags, for messages.
        sample: yields sentences as a reader of tags reads them, for a message that shows two readings.

    Raises:
        SourceError: no tag is ``O`` and none has a prefix, as of parts of speech or numbers; prefixes
            and labels are written in several ways, or cells hold several tags and nothing says which.
    """
    names = options.tag_names or {}
    if not isinstance(names, Mapping):
        names = {str(number): name for number, name in enumerate(names)}
    pairs: Counter[tuple[str, str]] = Counter()
    for cells in sentences():
        tags = [names.get(cell, cell) for cell in cells]
        pairs.update(zip([OUTSIDE, *tags], tags, strict=False))
    counts: Counter[str] = Counter()
    for (_, tag), count in pairs.items():
        counts[tag] += count
    if options.scheme == "none":
        return TagReader("none", Notation(None), names)
    notation = detect_notation(counts)
    if notation.doubt and options.scheme is None:
        raise SourceError(f"{place}: {notation.doubt}")
    scheme = options.scheme or scheme_of_pairs(_neighbors(pairs, notation))
    if scheme == "none" and counts.keys().isdisjoint(notation.outside):
        raise SourceError(
            f"{place}: expected tags of entities, with {OUTSIDE!r} for what is none, found "
            f"{', '.join(map(shown, islice(counts, _SHOWN)))}. If another column holds them, name it: tag_column=. If "
            "they stand for others, as numbers or '-' for O, pass tag_names=. If every token is of an entity, pass "
            'scheme="none".'
        )
    layer = "all" if options.tag_layer is None and options.nested == "layers" else options.tag_layer
    if scheme == "none" and (
        odd := sorted(tag for tag in counts if tag not in notation.outside and _NO_LABEL.fullmatch(tag))
    ):
        raise SourceError(
            f"{place}: {', '.join(map(shown, odd[:_SHOWN]))} can hardly be the label of an entity. Name the column of "
            f'tags, tag_column=, or say what it stands for, tag_names={{{shown(odd[0])}: "O"}}.'
        )
    reader = TagReader(scheme, notation, names, layer)
    if notation.joint and layer is None:
        _ask_for_layer(counts, reader, place, sample)
    return reader


def _neighbors(pairs: Iterable[tuple[str, str]], notation: Notation) -> Iterator[tuple[str, str]]:
    """Yield each tag behind that of the cell before which has its label."""
    for before, cell in pairs:
        earlier = notation.tags(before)
        for tag in notation.tags(cell):
            yield next((one for one in earlier if one[2:] == tag[2:]), OUTSIDE), tag


def _ask_for_layer(
    counts: Mapping[str, int],
    reader: TagReader,
    place: str,
    sample: Callable[[TagReader], Iterable[RawSentence]] | None,
) -> None:
    cell = next(cell for cell in counts if len(reader.tags(cell)) > 1)
    advice = 'For all of them, pass tag_layer="all".'

    def reading(layer: int) -> Reading:
        one = TagReader(reader.scheme, reader.notation, None, layer)
        name = f"of several tags in a cell, such as {shown(cell)}, number {layer}"
        return Reading(name, f"tag_layer={layer}", lambda: sample(one) if sample else ())

    choose_reading(place, [reading(0), reading(1)], advice)
