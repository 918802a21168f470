"""Text to words: where each word of a text begins and ends."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: What a word is: a character, words and punctuation apart, what stands between spaces; or chosen by script.
UNITS = ("auto", "characters", "words", "spaces")

_HAN_OR_KANA = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff]"
)
_BETWEEN_SPACES = re.compile(r"\S+")
_LETTERS = r"(?:[a-z0]M*)+"
_END = r"(?![a-z0M])"
_CLITIC = rf"'(?:s|re|ve|ll|d|m){_END}"
# Read on the shape of a text: ASCII letters in lower case, `a` for other letters, `0` for digits, `M` for marks.
_WORD = re.compile(
    rf"(?<![a-z0M])(?:[a-z]\.)+[a-z]{_END}\.?"  # U.S.
    rf"|(?:[a-z0]M*)+?(?=n't{_END})|(?<=[a-z0M])n't{_END}"  # do n't
    rf"|(?<=[a-z0M]){_CLITIC}"  # John 's
    rf"|{_LETTERS}(?!{_CLITIC})'(?=[a-z])"  # l' Allemagne
    rf"|{_LETTERS}(?:(?:-|(?<=0)[.,:/](?=0)){_LETTERS})*"  # Al-Ain, 3.5, 1,000, 10:30
    r"|\.{2,}|-{2,}"
    r"|\SM*"
)


def word_spans(text: str, unit: str = "auto") -> list[tuple[int, int]]:
    """Return where the words of a text begin and end, as offsets of characters, ends exclusive.

    Args:
        text: any text.
        unit: ``characters``: every character, as Chinese NER corpora have it;
            ``words``: words and punctuation apart, as corpora of spaced scripts
            have it (hyphenated words, numbers and abbreviations whole, English
            clitics and elided articles apart); ``spaces``: what stands between
            spaces; ``auto``: characters if any is Han or kana, else words.

    Raises:
        ValueError: the unit is unknown.
    """
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r}: expected one of {', '.join(UNITS)}.")
    if unit == "auto":
        unit = "characters" if _HAN_OR_KANA.search(text) else "words"
    if unit == "characters":
        return [(index, index + 1) for index in range(len(text))]
    if unit == "spaces":
        return [match.span() for match in _BETWEEN_SPACES.finditer(text)]
    return [match.span() for match in _WORD.finditer("".join(map(_shape, text)))]


@lru_cache(maxsize=4096)
def _shape(char: str) -> str:
    """Return one character that stands for a character's class."""
    category = unicodedata.category(char)
    if char.isspace():
        return " "
    if category[0] == "N":
        return "0"
    if category[0] == "M" or category == "Cf":
        return "M"
    if category[0] == "L" or char == "_":
        return char.lower() if char.isascii() and char != "_" else "a"
    if char in "’＇":
        return "'"
    if char in "‐‑":
        return "-"
    return char if char.isascii() else "#"
