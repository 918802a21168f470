"""Tokens back to readable text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def join_tokens(tokens: Sequence[str]) -> str:
    """Join tokens with spaces, without one beside a character of a script that is written without them."""
    text = ""
    for token in tokens:
        if text and token and not (_unspaced(text[-1]) or _unspaced(token[0])):
            text += " "
        text += token
    return text


def display_width(text: str) -> int:
    """Return the number of terminal columns a text takes: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def pad(text: str, width: int) -> str:
    """Pad a text with spaces on the right to so many terminal columns."""
    return text + " " * (width - display_width(text))


def _unspaced(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" and not 0xAC00 <= ord(char) <= 0xD7A3


def split_tokens(text: str, unit: str = "auto") -> list[str]:
    """Split a text into tokens: ``characters``, ``spaces``, or ``auto`` (characters if any is Han or kana)."""
    if unit == "auto":
        unit = "characters" if any(_unspaced(char) for char in text) else "spaces"
    return list(text) if unit == "characters" else text.split()
