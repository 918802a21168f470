"""Scripts that are written without spaces: the language they tell, and words cut into characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, chain

from esnera_hf._internal.text import is_east_asian
from esnera_hf.sources.readers.offsets import written_without_spaces
from esnera_hf.sources.source import RawSentence

#: Share of tokens with several characters from which the tokens of an unspaced script are words: a corpus
#: cut into characters still holds numbers and Latin words.
_WORDS = 0.05
#: Share of kana from which such a script is Japanese: Chinese texts quote some.
_KANA = 0.05


def language_of(sentences: Iterable[Sequence[str]]) -> str:
    """Tell Chinese (``zh``) and Japanese (``ja``) from the script of the tokens of sentences, else ``""``."""
    texts = ["".join(tokens) for tokens in sentences]
    if not written_without_spaces(texts):
        return ""
    kana = sum("\u3040" <= char <= "\u30ff" for text in texts for char in text)
    return "ja" if kana > _KANA * sum(map(len, texts)) else "zh"


def has_words(sentences: Iterable[RawSentence]) -> bool:
    """Tell whether tokens in a script without spaces are words rather than characters."""
    tokens = chain.from_iterable(sentence.tokens for sentence in sentences)
    lengths = [len(token) for token in tokens if token and is_east_asian(token[0])]
    return sum(length > 1 for length in lengths) > _WORDS * len(lengths)


def as_characters(sentence: RawSentence) -> RawSentence:
    """Cut every token of a sentence into its characters and move the spans along."""
    starts = [0, *accumulate(len(token) or 1 for token in sentence.tokens)]
    tokens = [char for token in sentence.tokens for char in (token or [""])]
    spans = sentence.spans
    if spans is not None:
        spans = [replace(span, start=starts[span.start], end=starts[span.end]) for span in spans]
    return replace(sentence, tokens=tokens, spans=spans)
