"""The tagging scheme of a source, told from its tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from esnera_hf.errors import SourceError
from esnera_hf.tagging import OUTSIDE, Scheme, detect_scheme
from esnera_hf.text import shown

_SHOWN = 5


def told_scheme(sentences: Iterable[Sequence[str]], place: str) -> Scheme:
    """Return the scheme of the tags of a corpus.

    Args:
        sentences: the tags of each.
        place: how messages call it.

    Raises:
        SourceError: they have no prefixes and none is ``O``, as parts of speech
            or the numbers of tags.
    """
    found: dict[str, None] = {}
    outside = False

    def watched() -> Iterator[Sequence[str]]:
        nonlocal outside
        for tags in sentences:
            outside = outside or OUTSIDE in tags
            if len(found) < _SHOWN:
                found.update(dict.fromkeys(tags))
            yield tags

    scheme = detect_scheme(watched())
    if scheme == "none" and not outside:
        raise SourceError(
            f"{place}: expected tags of entities, with {OUTSIDE!r} for what is none, found "
            f"{', '.join(map(shown, list(found)[:_SHOWN]))}. If another column holds them, name it: tag_column=. If "
            'these are numbers of tags, pass tag_names=. If every token is of an entity, pass scheme="none".'
        )
    return scheme
