"""Annotation inside the line: ``token/tag`` pairs (MSRA and relatives), ``token|tag`` pairs of WikiNER and spaCy's
``.iob``, also with a part of speech between them, and the markup of BosonNER.

https://figshare.com/articles/dataset/5462500 (WikiNER); https://spacy.io/api/cli#convert
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path

from esnera_hf._internal.text import is_east_asian, shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.offsets import to_tokens
from esnera_hf.sources.readers.tags import TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE, Line, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE, Entity

#: MSRA writes ``o`` for outside and ``nr ns nt`` for whole segments.
_LOWER_OUTSIDE = "o"
#: WikiNER has no other tags, and of them B- only where an entity touches another one of its type.
_TAGS = frozenset(
    [OUTSIDE, *(f"{prefix}-{label}" for prefix in "IB" for label in ("LOC", "PER", "ORG", "MISC"))]
)
#: Other white space occurs inside tokens.
_SPACES = re.compile(r"[ \t]+")
_LIKE_TAG = re.compile(r"O|[BIESLUMW][-_].+")
#: One mark at a time: a pattern for a whole mention would try every end of one that is never closed.
_MARKUP = re.compile(r"\{\{([^{}:：]+)[:：]|\}\}")


def is_slashed_file(lines: list[str]) -> bool:
    """Tell a file of ``token/tag`` pairs from its first lines."""
    pairs = [pair for line in lines for pair in line.split()]
    return bool(pairs) and all(0 < pair.rfind("/") < len(pair) - 1 for pair in pairs)


class _TaggedLines:
    """A file with a sentence a line, each token with its tag, read from its beginning each time it is called."""

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        self._options = options or ReadingOptions()

    @cached_property
    def tags(self) -> TagReader:
        """What reads the tags, told from all of them."""
        return detect_tags(
            lambda: (tags for _, _, tags in self._pairs()), self._options, str(self.path), self._sentences
        )

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences; an error names file and line of what is no token with its tag."""
        return self._sentences(self.tags)

    def _sentences(self, reader: TagReader) -> Iterator[RawSentence]:
        for (number, _, damaged), tokens, tags in self._pairs():
            spans, kinds = reader.read(tags, f"{self.path}, line {number}")
            kinds += [UNDECODABLE] * damaged
            yield RawSentence(tokens, spans, f"{self.path.name}, line {number}", kinds)

    def _pairs(self) -> Iterator[tuple[Line, list[str], list[str]]]:
        """Yield each line with its tokens and their tags."""
        raise NotImplementedError


class SlashedFile(_TaggedLines):
    """A file of ``token/tag`` pairs.

    Segments of several characters in a script without spaces (``中国/ns``) are
    cut into characters; where labels without a prefix stand behind such segments, each
    is an entity of its own, else neighbors of one label are one entity, as in columns.
    """

    @cached_property
    def _are_segments(self) -> bool:
        return self.tags.scheme == "none" and any(
            len(segment) > 1 and is_east_asian(segment[0]) and tag != OUTSIDE
            for _, segments, tags in self._pairs()
            for segment, tag in zip(segments, tags, strict=True)
        )

    def _sentences(self, reader: TagReader) -> Iterator[RawSentence]:
        for (number, _, damaged), segments, tags in self._pairs():
            spans: list[Entity] = []
            kinds: list[str] = []
            # One by one, no neighbors become one entity.
            for first, part in enumerate([tag] for tag in tags) if self._are_segments else [(0, tags)]:
                entities, repairs = reader.read(part, f"{self.path}, line {number}")
                spans += [replace(e, start=e.start + first, end=e.end + first) for e in entities]
                kinds += repairs
            pieces = [
                list(segment) if any(map(is_east_asian, segment)) else [segment] for segment in segments
            ]
            starts = [0, *accumulate(map(len, pieces))]
            spans = [Entity(starts[span.start], starts[span.end], span.label) for span in spans]
            where = f"{self.path.name}, line {number}"
            kinds += [UNDECODABLE] * damaged
            yield RawSentence([token for piece in pieces for token in piece], spans, where, kinds)

    def _pairs(self) -> Iterator[tuple[Line, list[str], list[str]]]:
        for line in read_lines(self.path):
            pairs = [pair.rpartition("/") for pair in line[1].split()]
            if any(not token or not tag for token, _, tag in pairs):
                raise SourceError(
                    f"{self.path}, line {line[0]}: expected token/tag pairs, found {line[1][:60]!r}."
                )
            if pairs:
                tags = [OUTSIDE if tag == _LOWER_OUTSIDE else tag for _, _, tag in pairs]
                yield line, [token for token, _, _ in pairs], tags


def is_wikiner_file(path: Path, lines: list[str]) -> bool:
    """Tell a file of WikiNER from its first lines that are not blank.

    Raises:
        SourceError: other tags stand behind the bars, and no more is known of the file.
    """
    cells = [cell.rsplit("|", 2) for line in lines for cell in _SPACES.split(line)]
    if len(cells) <= len(lines) or not all(len(cell) > 1 and _LIKE_TAG.fullmatch(cell[-1]) for cell in cells):
        return False
    first = [_SPACES.split(line)[0].rpartition("|")[2] for line in lines]
    if any(len(cell) < 3 or cell[2] not in _TAGS for cell in cells) or any(tag[0] == "B" for tag in first):
        raise SourceError(
            f"{path}: looks like token|tag or token|part of speech|tag, a sentence a line, but not with the tags of "
            "WikiNER, in which B- never begins a sentence. If that is what it is, pass format='wikiner'."
        )
    return True


class WikiNerFile(_TaggedLines):
    """A file of ``token|part of speech|tag`` or ``token|tag``."""

    @cached_property
    def _width(self) -> int:
        """How many cells belong to a token: three where most in the first lines have a part of speech."""
        lines = (_SPACES.split(text) for _, text, _ in islice(read_lines(self.path), 200))
        bars = [cell.count("|") for line in lines for cell in line if cell]
        return 3 if 2 * sum(count > 1 for count in bars) > len(bars) else 2

    def _pairs(self) -> Iterator[tuple[Line, list[str], list[str]]]:
        for line in read_lines(self.path):
            cells = [cell.rsplit("|", self._width - 1) for cell in _SPACES.split(line[1]) if cell]
            if any(len(cell) != self._width or not cell[0] or not cell[-1] for cell in cells):
                expected = "token|part of speech|tag" if self._width > 2 else "token|tag"
                raise SourceError(
                    f"{self.path}, line {line[0]}: expected {expected}, parted by spaces, found {shown(line[1][:60])}."
                )
            if cells:
                yield line, [cell[0] for cell in cells], [cell[-1] for cell in cells]


def read_boson(path: Path) -> Iterator[RawSentence]:
    """Yield the paragraphs of a Boson file, one a line, with inline markup ``{{label:mention}}``.

    Nested markup gives nested spans (``{{a:x{{b:y}}}}``). A line without markup
    is a paragraph without entities; blank lines are skipped. Spaces around a
    mention stay in the text and leave the span; a mention of nothing else is
    left out. An error names file and line of markup that is opened and not closed, or
    closed and not opened.
    """
    for number, line, damaged in read_lines(path):
        text, spans = _without_markup(line.strip(), f"{path}, line {number}")
        record = RawSentence([], spans, f"{path.name}, line {number}", text=text)
        sentence = to_tokens(record, characters=True)
        if sentence.tokens:
            sentence.repairs.extend([UNDECODABLE] * damaged)
            yield sentence


def _without_markup(line: str, place: str) -> tuple[str, list[Entity]]:
    text = ""
    position = 0
    spans: list[Entity] = []
    open_marks: list[tuple[int, str]] = []
    for mark in _MARKUP.finditer(line):
        text += line[position : mark.start()]
        position = mark.end()
        if mark.group(1):
            open_marks.append((len(text), mark.group(1).strip()))
            continue
        if not open_marks:
            near = line[max(0, mark.start() - 10) : mark.end()]
            raise SourceError(f"{place}: '}}}}' closes no '{{{{label:' at {near!r}. Mend the markup.")
        start, label = open_marks.pop()
        spans.append(Entity(start, len(text), label))
    if open_marks:
        opened = shown(f"{{{{{open_marks[-1][1]}:")
        raise SourceError(f"{place}: {opened} is never closed by '}}}}'. Mend the markup.")
    return text + line[position:], spans
