"""What is odd about a sentence and left as it is: counted, so that people know."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from esnera_hf.sources.sentence import RawSentence

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")

INVISIBLE = "sentences with zero-width or bidirectional control characters"
REPLACEMENT = "sentences with U+FFFD, the mark of characters lost before"
NOT_NFC = "sentences not in Unicode form NFC"
BLANK_TOKEN = "sentences with empty or blank tokens"
REPEAT = "sentences that repeat another one of their split"
REPEAT_OTHERWISE = "sentences that repeat another one of their split with other annotation"


def observe(sentence: RawSentence) -> Iterator[str]:
    """Yield the oddities of a sentence, each kind once."""
    text = "".join(sentence.tokens)
    if not text.isascii():
        if _INVISIBLE.search(text):
            yield INVISIBLE
        if "\ufffd" in text:
            yield REPLACEMENT
        if not unicodedata.is_normalized("NFC", text):
            yield NOT_NFC
    if not all(map(str.strip, sentence.tokens)):
        yield BLANK_TOKEN


class Repeats:
    """Finds sentences of a split that stand there before, and those annotated differently."""

    def __init__(self) -> None:
        self._annotations: dict[int, int] = {}

    def observe(self, tokens: list[str], tags: list[str]) -> str | None:
        """Return the kind of repeat a sentence is, ``None`` if it is new."""
        text, annotation = hash(tuple(tokens)), hash(tuple(tags))
        if text not in self._annotations:
            self._annotations[text] = annotation
            return None
        return REPEAT if self._annotations[text] == annotation else REPEAT_OTHERWISE
