"""Character spans over a text become token spans."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from esnera_hf._internal.text import is_unspaced
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

#: Words with inner hyphens and apostrophes, or single other characters that are not space.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")

#: Of Unicode: marks that combine with a letter, and format characters, such as the joiners between letters.
_MARKS = ("Mn", "Mc", "Me", "Cf")

WIDENED = "offset inside a token, span widened to the token"
TRIMMED = "mention with leading or trailing spaces, trimmed"
EMPTY = "span without any token, left out"


def written_without_spaces(texts: Iterable[str]) -> bool:
    """Tell whether a corpus is in a script written without spaces, whose tokens are its characters."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(char.isalpha() for char in text)
        unspaced += sum(char.isalpha() and is_unspaced(char) for char in text)
    # Less is quoted: an English text on Chinese has a few per cent, a Chinese one on brands rarely half Latin letters.
    return unspaced > 0.3 * letters


def to_tokens(record: RawSentence, *, characters: bool) -> RawSentence:
    """Tokenize the text of a record into words and punctuation marks and carry its spans over.

    With ``characters``, every character is a token: spaces too, so that offsets stay.
    """
    if characters:
        size = len(record.text)
        return _with_spans(record, list(record.text), range(size), range(1, size + 1))
    starts, ends = _word_offsets(record.text)
    tokens = [record.text[start:end] for start, end in zip(starts, ends, strict=True)]
    return _with_spans(record, tokens, starts, ends)


def onto_tokens(record: RawSentence, tokens: Sequence[str]) -> RawSentence | None:
    """Carry the spans of a text over to tokens that are given.

    Returns:
        The sentence; ``None`` if the tokens do not stand in the text one after the other.
    """
    starts: list[int] = []
    ends = [0]
    for token in tokens:
        start = record.text.find(token, ends[-1])
        if start < 0:
            return None
        starts.append(start)
        ends.append(start + len(token))
    return _with_spans(record, list(tokens), starts, ends[1:])


def _with_spans(
    record: RawSentence, tokens: list[str], starts: Sequence[int], ends: Sequence[int]
) -> RawSentence:
    """Return the sentence of tokens that stand at offsets of a text, with its spans."""
    repairs = list(record.repairs)
    if record.spans is None:
        return RawSentence(tokens, None, record.where, repairs)
    spans = [_project(span, record.text, starts, ends, repairs) for span in record.spans]
    return RawSentence(tokens, [span for span in spans if span is not None], record.where, repairs)


def _word_offsets(text: str) -> tuple[list[int], list[int]]:
    starts: list[int] = []
    ends: list[int] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        joins = ends and ends[-1] == start and not text.isascii()
        if joins and (_is_mark(text[start]) or (_is_mark(text[start - 1]) and text[start].isalnum())):
            ends[-1] = end
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


def _is_mark(char: str) -> bool:
    """Tell a combining mark or joiner, which belongs to the letter before it (vowel signs, accents, ZWNJ)."""
    return unicodedata.category(char) in _MARKS


def _project(
    span: Entity, text: str, starts: Sequence[int], ends: Sequence[int], repairs: list[str]
) -> Entity | None:
    mention = text[span.start : span.end]
    start = span.start + len(mention) - len(mention.lstrip())
    end = span.start + len(mention.rstrip())
    first = bisect_right(ends, start)
    last = bisect_left(starts, end) - 1
    if start >= end or first > last:
        repairs.append(EMPTY)
        return None
    if (start, end) != (span.start, span.end):
        repairs.append(TRIMMED)
    if (starts[first], ends[last]) != (start, end):
        repairs.append(WIDENED)
    return Entity(first, last + 1, span.label)
