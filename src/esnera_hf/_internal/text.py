"""Tokens to readable text."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence

#: General categories of Unicode: emoji and skin tones; marks on a letter, and characters that only steer others.
_SYMBOLS = {"So", "Sk"}
_NO_WIDTH = {"Mn", "Me", "Cf"}
#: Blocks of Unicode: Thai and Lao; Myanmar; Khmer; Tai Le and New Tai Lue; Tai Tham; Myanmar Extended-B and -A.
_SOUTHEAST_ASIAN = (
    ("\u0e00", "\u0eff"),
    ("\u1000", "\u109f"),
    ("\u1780", "\u17ff"),
    ("\u1950", "\u19df"),
    ("\u1a20", "\u1aaf"),
    ("\ua9e0", "\ua9ff"),
    ("\uaa60", "\uaa7f"),
)
#: What a formula begins with in the spreadsheets of offices, in whichever width.
_FORMULA = tuple("=+-@\t\r＝＋－＠")
#: Characters of a foreign text in a message, which is to stay one line.
_LONGEST_SHOWN = 60


def join_tokens(tokens: Sequence[str]) -> str:
    """Join tokens with spaces, without one beside a character of a script that is written without them.

    Tokens that are all single characters are those of a corpus cut into
    characters: they are joined as they are.
    """
    return text_and_offsets(tokens, "" if all(len(token) <= 1 for token in tokens) else " ")[0]


def text_and_offsets(tokens: Sequence[str], separator: str = " ") -> tuple[str, list[tuple[int, int]]]:
    """Join tokens into a text and say where in it each of them begins and ends.

    The separator stands between tokens, but not beside characters of a script written
    without spaces.
    """
    parts: list[str] = []
    offsets: list[tuple[int, int]] = []
    end, last = 0, ""
    for token in tokens:
        if last and token and not (is_unspaced(last) or is_unspaced(token[0])):
            parts.append(separator)
            end += len(separator)
        offsets.append((end, end + len(token)))
        end += len(token)
        parts.append(token)
        last = token[-1:] or last
    return "".join(parts), offsets


def display_width(text: str) -> int:
    """Return the number of terminal columns a text takes: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.category(char) in _NO_WIDTH else 2 if _is_wide(char) else 1 for char in text)


def pad(text: str, width: int) -> str:
    """Pad a text with spaces on the right to so many terminal columns."""
    return text + " " * (width - display_width(text))


def in_columns(rows: Sequence[Sequence[str]]) -> str:
    """Return a line for each row, whose cells stand below those of the other rows."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(pad, row, widths)).rstrip() for row in rows)


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """Return at most so many lines, and one that says how many more there are."""
    more = [f"… and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def counted(count: int, noun: str, verb: str = "") -> str:
    """Return a number with its noun and verb: ``1 label``, ``1 sentence stands``, ``2,000 entities``."""
    if count == 1:
        return f"1 {noun}{f' {verb}s' if verb else ''}"
    nouns = {"corpus": "corpora", "entity": "entities"}
    return f"{count:,} {nouns.get(noun, noun + 's')}{f' {verb}' if verb else ''}"


def visible(text: str) -> str:
    """Make characters that cannot be printed visible as U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def shorten(text: str, longest: int) -> str:
    """Cut a text to so many characters and make those that cannot be printed visible as U+FFFD."""
    return visible(text if len(text) <= longest else text[: longest - 1]) + "…" * (len(text) > longest)


def table_cell(text: str) -> str:
    """Return a text for a cell of a table: what a spreadsheet would take for a formula follows an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def shown(text: str) -> str:
    """Quote a text for a message, shortened, so that nothing in it breaks out of its line."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def hint(name: str, names: Collection[str]) -> str:
    """Return the question for the known name closest to another, ``""`` if none is close."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {shown(close[0])}?" if close else ""


def is_unspaced(char: str) -> bool:
    """Tell whether a character is of a script written without spaces, or of its punctuation."""
    return is_southeast_asian(char) or is_east_asian(char)


def is_east_asian(char: str) -> bool:
    """Tell Chinese and Japanese characters and their punctuation, of which each can be a token."""
    # Wide characters are those of Chinese, Japanese and Korean, which has spaces, and emoji.
    script = unicodedata.name(char, "").partition(" ")[0]
    return _is_wide(char) and script != "HANGUL" and unicodedata.category(char) not in _SYMBOLS


def is_southeast_asian(char: str) -> bool:
    """Tell characters of Thai, Lao, Khmer, Burmese and their relatives, written without spaces between words."""
    return any(first <= char <= last for first, last in _SOUTHEAST_ASIAN)


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
