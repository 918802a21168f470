"""How the offsets of spans count: what, from which number, and whether the end is the last or the one after it."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product
from typing import NamedTuple

from esnera_hf.errors import ConfigurationError

Place = tuple[int, int]


class WrittenSpan(NamedTuple):
    """A span as its file writes it.

    Attributes:
        start: its first offset.
        end: its last offset, or the one after it.
        labels: its labels.
        mention: the text that the file repeats beside the offsets, if it does.
        broken: whether it has gaps, and the offsets are those of its first and last part.
    """

    start: int
    end: int
    labels: list[str]
    mention: str | None = None
    broken: bool = False


def _normalized(form: str) -> Callable[[str], list[int]]:
    def widths(text: str) -> list[int]:
        # A letter and the marks on it are normalized together; they count at the letter.
        lengths = [0] * len(text)
        starts = [index for index, char in enumerate(text) if index == 0 or not _joins(char)]
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            lengths[start] = len(unicodedata.normalize(form, text[start:end]))  # type: ignore[arg-type]
        return lengths

    return widths


def _joins(char: str) -> bool:
    """Tell a mark, or a vowel or last consonant of a Korean syllable, which NFC joins with what stands before it."""
    return unicodedata.combining(char) > 0 or "\u1160" <= char <= "\u11ff"


#: Units that offsets in a text may count, with how many of them each character takes; the first one needs no table.
_WIDTHS: dict[str, Callable[[str], list[int]]] = {
    "utf-16": lambda text: [1 + (char > "\uffff") for char in text],
    "bytes": lambda text: [len(char.encode("utf-8", "surrogatepass")) for char in text],
    "crlf-as-one": lambda text: [int(text[i : i + 2] != "\r\n") for i in range(len(text))],
    "lf-as-two": lambda text: [1 + (char == "\n" and text[i - 1 : i] != "\r") for i, char in enumerate(text)],
    "nfc": _normalized("NFC"),
    "nfd": _normalized("NFD"),
}
UNITS = ("characters", "tokens", *_WIDTHS)
_INCLUSIVE, _FROM_ONE = "inclusive", "from-1"


@dataclass(frozen=True, slots=True)
class Counting:
    """One way of counting offsets.

    Attributes:
        unit: what they count, one of :data:`UNITS`.
        inclusive: whether the end is that of the last unit of the span, not of the one after it.
        first: the number of the first unit, 0 or 1.
    """

    unit: str = "characters"
    inclusive: bool = False
    first: int = 0

    def __str__(self) -> str:
        return " ".join([self.unit, *[_INCLUSIVE] * self.inclusive, *[_FROM_ONE] * self.first])

    def place(self, start: int, end: int, words: str | Sequence[str]) -> Place | None:
        """Return where offsets lie in a text or among tokens, from 0 and with an exclusive end.

        Returns:
            Start and end; ``None`` where they lie outside, hold nothing, or cut a character.
        """
        start, end = start - self.first, end - self.first + self.inclusive
        if self.unit not in _WIDTHS:
            return (start, end) if 0 <= start < end <= len(words) else None
        edges = _edges(self.unit, str(words))
        if not 0 <= start < end <= edges[-1]:
            return None
        first, last = bisect_right(edges, start) - 1, bisect_left(edges, end)
        return (first, last) if (edges[first], edges[last]) == (start, end) and first < last else None


@lru_cache(maxsize=64)
def _edges(unit: str, text: str) -> list[int]:
    return [0, *accumulate(_WIDTHS[unit](text))]


def counting_of(text: str) -> Counting:
    """Return the counting that words name, such as ``"utf-16 inclusive from-1"``.

    Raises:
        ConfigurationError: they name none.
    """
    words = text.split()
    units = [word for word in words if word in UNITS]
    if not words or len(units) > 1 or {*words} - {*units, _INCLUSIVE, _FROM_ONE}:
        raise ConfigurationError(
            f"offsets={text!r}: expected one of {', '.join(UNITS)}, with {_INCLUSIVE!r} where ends are those of the "
            f"last one and {_FROM_ONE!r} where the first one is 1, such as 'characters {_INCLUSIVE}'."
        )
    unit = units[0] if units else "characters"
    return Counting(unit, _INCLUSIVE in words, int(_FROM_ONE in words))


def countings(unit_kinds: Sequence[str]) -> Iterator[Counting]:
    """Yield every counting of units, the usual ones first."""
    for first, inclusive, unit in product((0, 1), (False, True), unit_kinds):
        yield Counting(unit, inclusive, first)


def units_of_text(text: str) -> list[str]:
    """Return the units in which offsets of a text may differ from those in characters, after ``characters``."""
    if text.isascii() and "\n" not in text:
        return ["characters"]
    size = len(text)
    return ["characters", *(unit for unit in _WIDTHS if _edges(unit, text)[-1] != size)]


def same_words(held: str | Sequence[str], mention: str) -> bool:
    """Tell whether a piece of a text, or some tokens, are a mention but for white space and Unicode normalization."""
    if isinstance(held, str):
        return held == mention or _normal(held).split() == _normal(mention).split()
    return "".join(_normal("".join(held)).split()) == "".join(_normal(mention).split())


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
