"""Words cut into characters, so that corpora of one script can be compared token by token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from esnera_hf.sources.offsets import written_without_spaces
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.tagging import Entity
from esnera_hf.text import is_unspaced

_FEW = 0.05


def language_of(sentences: Iterable[Sequence[str]]) -> str:
    """Tell Chinese (``zh``) and Japanese (``ja``) from the script of the tokens of sentences, else ``""``."""
    texts = ["".join(tokens) for tokens in sentences]
    if not written_without_spaces(texts):
        return ""
    kana = sum("\u3040" <= char <= "\u30ff" for text in texts for char in text)
    return "ja" if kana > 0.05 * sum(map(len, texts)) else "zh"


def has_words(sentences: Iterable[RawSentence]) -> bool:
    """Tell whether tokens in a script without spaces are words rather than characters."""
    lengths = [
        len(token) for sentence in sentences for token in sentence.tokens if token and is_unspaced(token[0])
    ]
    return sum(length > 1 for length in lengths) > _FEW * len(lengths)


def as_characters(sentence: RawSentence) -> RawSentence:
    """Cut every token of a sentence into its characters and move the spans along."""
    starts = [0, *accumulate(len(token) or 1 for token in sentence.tokens)]
    tokens = [char for token in sentence.tokens for char in (token or [""])]
    spans = sentence.spans
    if spans is not None:
        spans = [Entity(starts[s.start], starts[s.end], s.label) for s in spans]
    return replace(sentence, tokens=tokens, spans=spans)
