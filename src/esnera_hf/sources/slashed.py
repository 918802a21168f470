"""One sentence a line, ``token/tag`` pairs between spaces (MSRA and relatives)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from esnera_hf.errors import SourceError
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import OUTSIDE, Entity, Scheme, TagError, detect_scheme, entities_from_tags
from esnera_hf.text import is_unspaced

#: MSRA writes ``o`` for outside and ``nr ns nt`` for whole segments.
_LOWER_OUTSIDE = "o"


def is_slashed_file(lines: list[str]) -> bool:
    """Tell a file of ``token/tag`` pairs from its first lines."""
    pairs = [pair for line in lines for pair in line.split()]
    return bool(pairs) and all(0 < pair.rfind("/") < len(pair) - 1 for pair in pairs)


def read_slashed_file(path: Path, *, scheme: Scheme | None = None) -> Iterator[RawSentence]:
    """Yield the sentences of a file of ``token/tag`` pairs.

    Segments of several characters in a script without spaces (``中国/ns``) are
    cut into characters; where tags have no prefix, each segment is an entity of
    its own.

    Raises:
        SourceError: a pair has no tag, or a tag is not of the scheme.
    """
    rows = []
    for line in read_lines(path):
        pairs = [pair.rpartition("/") for pair in line.text.split()]
        if any(not token or not tag for token, _, tag in pairs):
            raise SourceError(
                f"{path}, line {line.number}: expected token/tag pairs, found {line.text[:60]!r}."
            )
        if pairs:
            tags = [OUTSIDE if tag == _LOWER_OUTSIDE else tag for _, _, tag in pairs]
            rows.append((line, [token for token, _, _ in pairs], tags))
    scheme = scheme or detect_scheme(tags for _, _, tags in rows)
    for line, segments, tags in rows:
        try:
            spans, repairs = (_segments(tags), []) if scheme == "none" else entities_from_tags(tags, scheme)
        except TagError as error:
            raise SourceError(f"{path}, line {line.number}: {error}.") from None
        tokens, starts = _cut(segments)
        carried = [Entity(starts[s.start], starts[s.end], s.label) for s in spans]
        kinds = [repair.kind for repair in repairs] + [UNDECODABLE] * line.damaged
        yield RawSentence(tokens, carried, f"{path.name}, line {line.number}", kinds)


def _segments(tags: list[str]) -> list[Entity]:
    return [Entity(i, i + 1, tag) for i, tag in enumerate(tags) if tag != OUTSIDE]


def _cut(segments: list[str]) -> tuple[list[str], list[int]]:
    tokens: list[str] = []
    starts = []
    for segment in segments:
        starts.append(len(tokens))
        tokens.extend(segment if any(map(is_unspaced, segment)) else [segment])
    return tokens, [*starts, len(tokens)]
