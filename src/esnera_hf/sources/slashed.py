"""One sentence a line, ``token/tag`` pairs between spaces (MSRA and relatives)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, Line, read_lines
from esnera_hf.sources.told_scheme import told_scheme
from esnera_hf.tagging import OUTSIDE, Entity, Scheme, TagError, entities_from_tags
from esnera_hf.text import is_unspaced

#: MSRA writes ``o`` for outside and ``nr ns nt`` for whole segments.
_LOWER_OUTSIDE = "o"


class _Pairs(NamedTuple):
    line: Line
    segments: list[str]
    tags: list[str]


def is_slashed_file(lines: list[str]) -> bool:
    """Tell a file of ``token/tag`` pairs from its first lines."""
    pairs = [pair for line in lines for pair in line.split()]
    return bool(pairs) and all(0 < pair.rfind("/") < len(pair) - 1 for pair in pairs)


class SlashedFile:
    """A file of ``token/tag`` pairs, read from its beginning each time it is called.

    Segments of several characters in a script without spaces (``中国/ns``) are
    cut into characters; where tags have no prefix, each segment is an entity of
    its own.

    Args:
        path: the file.
        scheme: its tagging scheme; told from all tags if not given.
    """

    def __init__(self, path: Path, *, scheme: Scheme | None = None) -> None:
        self.path = path
        self._scheme = scheme

    @cached_property
    def scheme(self) -> Scheme:
        """The tagging scheme."""
        return self._scheme or told_scheme((pairs.tags for pairs in _pairs(self.path)), str(self.path))

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: a pair has no tag, or a tag is not of the scheme; file
                and line are named.
        """
        for line, segments, tags in _pairs(self.path):
            spans, kinds = self._spans(line, tags)
            tokens, starts = _cut(segments)
            carried = [Entity(starts[s.start], starts[s.end], s.label) for s in spans]
            kinds += [UNDECODABLE] * line.damaged
            yield RawSentence(tokens, carried, f"{self.path.name}, line {line.number}", kinds)

    def _spans(self, line: Line, tags: list[str]) -> tuple[list[Entity], list[str]]:
        if self.scheme == "none":
            return [Entity(i, i + 1, tag) for i, tag in enumerate(tags) if tag != OUTSIDE], []
        try:
            spans, repairs = entities_from_tags(tags, self.scheme)
        except TagError as error:
            raise SourceError(f"{self.path}, line {line.number}: {error}. Mend the line.") from None
        return spans, [repair.kind for repair in repairs]


def _pairs(path: Path) -> Iterator[_Pairs]:
    for line in read_lines(path):
        pairs = [pair.rpartition("/") for pair in line.text.split()]
        if any(not token or not tag for token, _, tag in pairs):
            raise SourceError(
                f"{path}, line {line.number}: expected token/tag pairs, found {line.text[:60]!r}."
            )
        if pairs:
            tags = [OUTSIDE if tag == _LOWER_OUTSIDE else tag for _, _, tag in pairs]
            yield _Pairs(line, [token for token, _, _ in pairs], tags)


def _cut(segments: list[str]) -> tuple[list[str], list[int]]:
    tokens: list[str] = []
    starts = []
    for segment in segments:
        starts.append(len(tokens))
        unspaced = not segment.isascii() and any(map(is_unspaced, segment))
        tokens.extend(segment if unspaced else [segment])
    return tokens, [*starts, len(tokens)]
