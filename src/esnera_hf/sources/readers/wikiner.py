"""WikiNER and spaCy's ``.iob``: a sentence a line, ``token|part of speech|tag`` or ``token|tag`` each.

https://figshare.com/articles/dataset/5462500; https://spacy.io/api/cli#convert
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.tags import TagReader, detect_tags
from esnera_hf.sources.readers.text import UNDECODABLE, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import OUTSIDE, TagError

#: WikiNER has no other tags, and of them B- only where an entity touches another one of its type.
_TAGS = frozenset(
    [OUTSIDE, *(f"{prefix}-{label}" for prefix in "IB" for label in ("LOC", "PER", "ORG", "MISC"))]
)
#: Other white space occurs inside tokens.
_SPACES = re.compile(r"[ \t]+")
_LIKE_TAG = re.compile(r"O|[BIESLUMW][-_].+")


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


class WikiNerFile:
    """A file of ``token|part of speech|tag`` or ``token|tag``, read from its beginning each time it is called."""

    def __init__(self, path: Path, options: ReadingOptions) -> None:
        self.path, self._options = path, options

    @cached_property
    def tags(self) -> TagReader:
        """What reads the tags, told from all of them."""

        def tags() -> Iterator[list[str]]:
            return ([tag for _, tag in pairs] for _, pairs in self._sentences())

        return detect_tags(tags, self._options, str(self.path))

    @cached_property
    def _width(self) -> int:
        """How many cells belong to a token: three where most in the first lines have a part of speech."""
        lines = (_SPACES.split(text) for _, text, _ in islice(read_lines(self.path), 200))
        bars = [cell.count("|") for line in lines for cell in line if cell]
        return 3 if 2 * sum(count > 1 for count in bars) > len(bars) else 2

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences; an error names file and line of what is no token with its tag."""
        for (number, damaged), pairs in self._sentences():
            try:
                spans, kinds = self.tags([tag for _, tag in pairs])
            except TagError as error:
                raise SourceError(f"{self.path}, line {number}: {error}. Mend the line.") from None
            kinds += [UNDECODABLE] * damaged
            yield RawSentence([token for token, _ in pairs], spans, f"{self.path.name}, line {number}", kinds)

    def _sentences(self) -> Iterator[tuple[tuple[int, bool], list[tuple[str, str]]]]:
        for number, text, damaged in read_lines(self.path):
            cells = [cell.rsplit("|", self._width - 1) for cell in _SPACES.split(text) if cell]
            if any(len(cell) != self._width or not cell[0] or not cell[-1] for cell in cells):
                expected = "token|part of speech|tag" if self._width > 2 else "token|tag"
                raise SourceError(
                    f"{self.path}, line {number}: expected {expected}, parted by spaces, found {shown(text[:60])}."
                )
            if cells:
                yield (number, damaged), [(cell[0], cell[-1]) for cell in cells]
