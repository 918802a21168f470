"""A reading is a hypothesis with evidence: where two fit, or none does, the data is refused and both are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from esnera_hf._internal.text import join_tokens, shorten, visible
from esnera_hf.errors import SourceError
from esnera_hf.sources.source import RawSentence, flatten
from esnera_hf.tagging import Entity

#: Sentences and readings that a refusal shows: enough to see which one is right.
_SHOWN_SENTENCES, _SHOWN_READINGS = 3, 2
_LONGEST_SENTENCE = 110


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read data.

    Attributes:
        what: what it takes for what, such as ``"tokens in column 1, tags in column 3"``.
        options: what chooses it, as a user writes it, such as ``"token_column=1, tag_column=3"``;
            ``""`` where no option does.
        sentences: yields what it reads, from the beginning each time it is called.
        objections: what speaks against it; it fits if nothing does.
    """

    what: str
    options: str
    sentences: Callable[[], Iterable[RawSentence]]
    objections: tuple[str, ...] = ()


def choose_reading(place: str, readings: Sequence[Reading], advice: str = "") -> int:
    """Return the index of the only reading that nothing speaks against.

    Args:
        place: file, or data set and split, for the message.
        readings: in the order of preference, at least one.
        advice: what else can be done, added to a refusal.

    Raises:
        SourceError: several readings fit, or none does; the message shows the first two with
            what speaks against them, three sentences of each, and the options that choose them.
    """
    fitting = [reading for reading in readings if not reading.objections]
    if len(fitting) > 1:  # a reading that breaks off in its first sentences is none
        fitting = [reading for reading in map(_tried, fitting) if not reading.objections]
    if len(fitting) == 1:
        return readings.index(fitting[0])
    rivals = fitting or list(readings)
    count = f"{len(fitting)} readings fit" if fitting else "no reading fits well"
    lines = [f"{place}: {count}, and none is chosen by guessing."]
    for reading in rivals[:_SHOWN_READINGS]:
        lines += _described(reading)
    if more := rivals[_SHOWN_READINGS:]:
        lines.append(f"  and {', '.join(reading.options or reading.what for reading in more)}")
    options = " or ".join(reading.options for reading in rivals[:_SHOWN_READINGS] if reading.options)
    lines.append(" ".join(filter(None, [f"Say which one is right: {options}." if options else "", advice])))
    raise SourceError("\n".join(lines))


def marked_sentence(sentence: RawSentence, longest: int = _LONGEST_SENTENCE) -> str:
    """Return a sentence on one line, its entities in brackets: ``[Ann Lee: PER] ran``.

    Of nested entities, the outermost are marked.
    """
    pieces = sentence.tokens or list(sentence.text)
    flat: list[Entity] = flatten(sentence.spans or (), {})[0]
    parts: list[str] = []
    end = 0
    for span in flat:
        parts += pieces[end : span.start]
        parts.append(f"[{join_tokens(pieces[span.start : span.end])}: {span.label}]")
        end = span.end
    parts += pieces[end:]
    return shorten(join_tokens(parts) if sentence.tokens else "".join(parts), longest)


def _tried(reading: Reading) -> Reading:
    try:
        list(islice(reading.sentences(), _SHOWN_SENTENCES))
    except SourceError as error:
        return replace(reading, objections=(_first_line(error),))
    return reading


def _first_line(error: SourceError) -> str:
    """Return the first line of an error, which may show readings of its own below."""
    return visible(str(error).partition("\n")[0])


def _described(reading: Reading) -> Iterator[str]:
    yield f"  {reading.what}" + (f" ({reading.options})" if reading.options else "")
    for objection in reading.objections:
        yield f"    against it: {objection}"
    try:
        for sentence in islice(reading.sentences(), _SHOWN_SENTENCES):
            yield f"    {marked_sentence(sentence)}"
    except SourceError as error:
        yield f"    {_first_line(error)}"
