"""What is odd about a sentence and left as it is: counted, so that people know."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator

import numpy as np

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
    """Counts sentences of a split that stand there before, and those annotated differently.

    Of each sentence 16 bytes are kept.
    """

    def __init__(self) -> None:
        self._texts = array("q")
        self._annotations = array("q")

    def add(self, tokens: list[str], tags: list[str]) -> None:
        """Take the next sentence."""
        self._texts.append(hash(tuple(tokens)))
        self._annotations.append(hash(tuple(tags)))

    def counts(self) -> dict[str, int]:
        """Return how many sentences repeat an earlier one, by kind; what does not occur is left out."""
        texts = np.array(self._texts, dtype=np.int64)
        order = np.argsort(texts, kind="stable")
        annotations = np.array(self._annotations, dtype=np.int64)[order]
        _, first, position = np.unique(texts[order], return_index=True, return_inverse=True)
        same = annotations == annotations[first[position]]
        found = {REPEAT: int(same.sum()) - len(first), REPEAT_OTHERWISE: int((~same).sum())}
        return {kind: count for kind, count in found.items() if count}
