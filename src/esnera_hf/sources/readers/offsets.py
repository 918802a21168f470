"""Character spans over a text become token spans; a token ends where a span does."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from esnera_hf._internal.text import is_east_asian, is_southeast_asian, is_unspaced
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

#: Words with inner hyphens and apostrophes, or single other characters that are not space.
_WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")

#: Of Unicode: marks that combine with a letter, and format characters, such as the joiners between letters.
_MARKS = ("Mn", "Mc", "Me", "Cf")

CUT = "span that begins or ends inside a word, the word cut there"
TRIMMED = "mention with leading or trailing spaces, trimmed"
UNCOVERED = "characters of a span that are in no token, left out"
EMPTY = "span without any token, left out"


def written_without_spaces(texts: Iterable[str]) -> bool:
    """Tell whether a corpus is in a script written without spaces, whose tokens are its characters."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(char.isalpha() for char in text)
        unspaced += sum(char.isalpha() and is_east_asian(char) for char in text)
    # Less is quoted: an English text on Chinese has a few per cent, a Chinese one on brands rarely half Latin letters.
    return unspaced > 0.3 * letters


def to_tokens(record: RawSentence, *, characters: bool) -> RawSentence:
    """Tokenize the text of a record into words and punctuation marks and carry its spans over.

    A word in which a span begins or ends is cut there. With ``characters``, every
    character is a token: spaces too, so that offsets stay.
    """
    if characters:
        size = len(record.text)
        return _with_spans(record, list(range(size)), list(range(1, size + 1)))
    return _with_spans(record, *_word_offsets(record.text))


def onto_tokens(record: RawSentence, tokens: Sequence[str]) -> RawSentence | None:
    """Carry the spans of a text over to tokens that are given, those cut in which a span begins or ends.

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
    return _with_spans(record, starts, ends[1:])


def is_border(text: str, index: int, *, is_end: bool) -> bool | None:
    """Tell whether a word begins or ends at an index of a text, ``None`` where that cannot be seen."""
    if not 0 < index < len(text):
        return True
    before, after = text[index - 1], text[index]
    if _is_mark(after):
        return False
    if not (_is_word(before) and _is_word(after)):
        return True
    if is_unspaced(before) and is_unspaced(after):
        return None
    if before.isdigit() != after.isdigit() or is_unspaced(before) != is_unspaced(after):
        return True  # 10mg; a Chinese word beside a Latin one
    if "\uac00" <= before <= "\ud7a3" and "\uac00" <= after <= "\ud7a3":
        return None if is_end else False  # Korean particles follow their noun without a space
    return None if before.islower() and after.isupper() else False


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_" or _is_mark(char)


def _with_spans(record: RawSentence, starts: list[int], ends: list[int]) -> RawSentence:
    """Return the sentence of tokens that stand at offsets of a text, with its spans."""
    text, repairs = record.text, list(record.repairs)
    spans = record.spans and [_trimmed(span, text, repairs) for span in record.spans]
    edges = {edge for span in spans or () for edge in ((span.start, False), (span.end, True))}
    for edge, is_end in sorted(edges):
        index = bisect_right(starts, edge) - 1
        if index >= 0 and starts[index] < edge < ends[index]:
            starts.insert(index + 1, edge)
            ends.insert(index, edge)
            repairs += [CUT] * (is_border(text, edge, is_end=is_end) is False)
    tokens = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    projected = [_project(span, text, starts, ends, repairs) for span in spans or ()]
    entities = None if record.spans is None else [span for span in projected if span is not None]
    return replace(record, tokens=tokens, spans=entities, repairs=repairs, text="")


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
    if any(map(is_southeast_asian, text)):
        # Nothing shows where words end there: each letter with its marks is a token, as in Chinese.
        inner = [
            index
            for start, end in zip(starts, ends, strict=True)
            for index in range(start + 1, end)
            if not _is_mark(text[index]) and any(map(is_southeast_asian, text[index - 1 : index + 1]))
        ]
        starts, ends = sorted([*starts, *inner]), sorted([*ends, *inner])
    return starts, ends


def _is_mark(char: str) -> bool:
    """Tell a combining mark or joiner, which belongs to the letter before it (vowel signs, accents, ZWNJ)."""
    return unicodedata.category(char) in _MARKS


def _trimmed(span: Entity, text: str, repairs: list[str]) -> Entity:
    """Return a span without spaces at its ends; one of nothing else stays as it is."""
    mention = text[span.start : span.end]
    start = span.start + len(mention) - len(mention.lstrip())
    end = span.start + len(mention.rstrip())
    if start >= end:
        return span
    if (start, end) != (span.start, span.end):
        repairs.append(TRIMMED)
    return replace(span, start=start, end=end)


def _project(
    span: Entity, text: str, starts: Sequence[int], ends: Sequence[int], repairs: list[str]
) -> Entity | None:
    first = bisect_right(ends, span.start)
    last = bisect_left(starts, span.end) - 1
    if first > last or not text[span.start : span.end].strip():
        repairs.append(EMPTY)
        return None
    if (starts[first], ends[last]) != (span.start, span.end):
        repairs.append(UNCOVERED)
    return replace(span, start=first, end=last + 1)
