"""Which way of counting offsets fits a corpus: mentions decide, else where words begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

from esnera_hf._internal.text import join_tokens
from esnera_hf.sources.readers.counting import (
    Counting,
    Place,
    WrittenSpan,
    countings,
    same_words,
    units_of_text,
)
from esnera_hf.sources.readers.offsets import is_border
from esnera_hf.sources.readings import Reading, choose_reading
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

#: Spans from which the borders of words decide against the usual counting; fewer only ask.
_ENOUGH = 3
#: Share of spans at borders of words from which a counting fits, and up to which it does not. People annotate parts
#: of words (compounds, prefixes), but hardly ever most of the time.
_FITS, _FAILS = 0.9, 0.3
#: A single span among so many says nothing of how the others count.
_MANY = 10
#: Marks that end a sentence or clause rather than a name, and what hardly begins one.
_CLOSING = frozenset(".,;:!?)]}。、，；：！？）」』")


_Words = str | Sequence[str]
#: A span with the text, or the tokens, that it is in.
_Located = tuple[_Words, WrittenSpan]


def choose_counting(records: Iterable[RawSentence], place: str) -> Counting:
    """Return the way of counting that fits the spans of records with a text and no tokens.

    Raises:
        SourceError: two ways fit, or none does.
    """
    located = _located((record.text, record) for record in records)
    candidates = _countings_of_texts(located)
    mentioned = [(words, span) for words, span in located if span.mention]
    if not located or 2 * len(mentioned) >= len(located):
        return max(candidates, key=partial(_holds, mentioned), default=Counting())
    return _by_borders(candidates, located, place)


def choose_token_counting(records: Iterable[RawSentence], place: str) -> Counting:
    """Return the way of counting that fits the spans of records with tokens: tokens, unless mentions say otherwise.

    Raises:
        SourceError: two ways fit, or none does.
    """
    records = list(records)
    tokens = _located((record.tokens, record) for record in records)
    texts = _located((_text_of(record), record) for record in records)
    by_tokens, by_text = [*countings(["tokens"])], _countings_of_texts(texts)
    mentioned = [index for index, (_, span) in enumerate(tokens) if span.mention]
    if not tokens:
        return Counting("tokens")
    if 2 * len(mentioned) >= len(tokens):
        shares = {one: _holds([tokens[index] for index in mentioned], one) for one in by_tokens}
        shares |= {one: _holds([texts[index] for index in mentioned], one) for one in by_text}
        best = max(shares, key=lambda one: shares[one])
        if len(mentioned) >= _ENOUGH and shares[best] < _FAILS:
            _refuse([(by_tokens[0], tokens)], place, "hardly any mention stands at its offsets")
        return best if shares[best] > 0 else Counting("tokens")
    return _characters_instead(by_text, records, tokens, texts, place) or _inclusive_or_not(tokens, place)


def _located(records: Iterable[tuple[_Words, RawSentence]]) -> list[_Located]:
    return [(words, span) for words, record in records for span in record.written or () if span.labels]


def _countings_of_texts(located: Iterable[_Located]) -> list[Counting]:
    texts = {str(text) for text, _ in located}
    return [*countings([*dict.fromkeys(unit for text in texts for unit in units_of_text(text))])]


def _text_of(record: RawSentence) -> str:
    return record.text or join_tokens(record.tokens)


def _holds(located: Sequence[_Located], counting: Counting) -> float:
    """Return the share of spans at whose offsets their mention stands."""
    held = 0.0
    for words, span in located:
        place = counting.place(span.start, span.end, words)
        if place is not None and same_words(words[slice(*place)], span.mention or ""):
            # Exactly so, rather than but for spaces, tells apart readings that differ by a space.
            held += 1 if words[slice(*place)] == span.mention else 0.99
    return held / max(1, len(located))


def _by_borders(candidates: Sequence[Counting], located: Sequence[_Located], place: str) -> Counting:
    usual = candidates[0]
    overall = {one: _share(_fits(one, None, located)) for one in candidates}
    rivals: list[tuple[Counting, bool]] = []
    for one in candidates[1:]:
        differing, fit, usual_fit = _compared(one, usual, located)
        lone = differing == 1 and len(located) >= _MANY
        if differing and not lone and fit - usual_fit > _FAILS:
            rivals.append((one, differing >= _ENOUGH and fit >= _FITS and usual_fit <= _FAILS))
    if not rivals:
        if len(located) >= _ENOUGH and overall[usual] < 0.5:
            _refuse([(usual, located)], place, "most spans begin or end inside words")
        inclusive = Counting(inclusive=True)
        if _always_go_on(located) and all(_trimmed(inclusive, *pair) for pair in located):
            _refuse([(usual, located), (inclusive, located)], place)
        return usual
    rivals.sort(key=lambda rival: -overall[rival[0]])
    best, clear = rivals[0]
    others = (_compared(one, best, located) for one, _ in rivals[1:])
    if clear and not any(differing and fit > best_fit - _FAILS for differing, fit, best_fit in others):
        return best
    _refuse([(one, located) for one in (usual, best)], place)
    return usual


def _always_go_on(located: Sequence[_Located]) -> bool:
    """Tell whether the same letter follows wherever a mention occurs again, in scripts that show no end of words.

    It is then likely the last letter of the mention, whose end is inclusive.
    """
    following: dict[str, dict[str, str]] = {}
    for words, span in located:
        text = str(words)
        if place := _trimmed(Counting(), text, span):
            start, end = place
            # Where the end of a word can be seen, other evidence has decided.
            hidden = end < len(text) and is_border(text, end, is_end=True) is None
            following.setdefault(text[start:end], {})[text] = text[end] if hidden else ""
    again = [{*letters.values()} for letters in following.values() if len(letters) > 1]
    return len(again) > 1 and all(len(letters) == 1 and "" not in letters for letters in again)


def _compared(one: Counting, other: Counting, located: Sequence[_Located]) -> tuple[int, float, float]:
    """Return how many spans two ways of counting place differently, and the share of these at borders in each."""
    differing = [pair for pair in located if _trimmed(one, *pair) != _trimmed(other, *pair)]
    fits, other_fits = _fits(one, other, differing), _fits(other, one, differing)
    return len(differing), _share(fits), _share(other_fits)


def _fits(counting: Counting, other: Counting | None, located: Sequence[_Located]) -> list[bool]:
    """Return for each span whether it lies at borders of words, where the script shows them.

    Of its ends, only those count that lie elsewhere in another counting, if one is given.
    """
    fits = []
    for words, span in located:
        theirs = None if other is None else _trimmed(other, words, span)
        fits.append(_at_borders(str(words), _trimmed(counting, words, span), theirs))
    return [fit for fit in fits if fit is not None]


def _share(fits: Sequence[bool]) -> float:
    # Where nothing speaks against it: scripts without spaces have no borders of words to see.
    return sum(fits) / len(fits) if fits else 1.0


def _trimmed(counting: Counting, words: _Words, span: WrittenSpan) -> Place | None:
    place = counting.place(span.start, span.end, words)
    if place is None:
        return None
    held = str(words)[slice(*place)]
    start = place[0] + len(held) - len(held.lstrip())
    return (start, place[0] + len(held.rstrip())) if held.strip() else None


def _at_borders(text: str, place: Place | None, other: Place | None) -> bool | None:
    """Tell whether a span begins and ends at borders of words, ``None`` where the script does not show them.

    Of its ends, only those count that lie elsewhere in another reading.
    """
    if place is None:
        return False
    start, end = place
    edges = []
    if other is None or other[0] != start:
        edges.append(False if text[start] in _CLOSING else is_border(text, start, is_end=False))
    if other is None or other[1] != end:
        edges.append(False if text[end - 1] in _CLOSING else is_border(text, end, is_end=True))
    return False if False in edges else (True if True in edges else None)


def _characters_instead(
    by_text: Sequence[Counting],
    records: Sequence[RawSentence],
    tokens: Sequence[_Located],
    texts: Sequence[_Located],
    place: str,
) -> Counting | None:
    """Return the way of counting characters whose offsets begin and end with tokens, where those of tokens do not fit.

    Raises:
        SourceError: characters fit, and tokens, too.
    """
    by_tokens = Counting("tokens")
    edges = [_token_edges(record) for record in records for span in record.written or () if span.labels]
    inside = [by_tokens.place(span.start, span.end, words) is not None for words, span in tokens]
    outside = inside.count(False)
    for counting in by_text:
        if (not outside or len(tokens) < _ENOUGH) and (counting.inclusive or counting.first):
            continue  # rare, and likely to fit a few spans of tokens by chance
        fits = []
        for (text, span), (starts, ends) in zip(texts, edges, strict=True):
            start, end = counting.place(span.start, span.end, text) or (-1, -1)
            # Among tokens of one character both are the same, which says nothing.
            if (starts.get(start), ends.get(end)) != (span.start, span.end):
                fits.append(start in starts and end in ends)
        # Records without a text of their own hardly count its characters, unless most of their spans say so.
        few = 0 if any(record.text for record in records) else _FAILS * len(tokens)
        if len(fits) <= few or _share(fits) < _FITS:
            continue
        if outside >= _ENOUGH and outside > _FAILS * len(fits) and all(fits):
            return counting
        _refuse([(by_tokens, tokens), (counting, texts)], place)
    return None


def _token_edges(record: RawSentence) -> tuple[dict[int, int], dict[int, int]]:
    """Return the number of the token that begins, and of the one after that which ends, by characters of the text."""
    text, start = _text_of(record), 0
    starts, ends = {}, {}
    for number, token in enumerate(record.tokens):
        start = text.find(token, start)
        if start < 0:
            return {}, {}
        starts[start] = number
        start += len(token)
        ends[start] = number + 1
    return starts, ends


def _inclusive_or_not(located: Sequence[_Located], place: str) -> Counting:
    """Tell whether the ends of spans of tokens are those of their last token."""
    usual, inclusive = Counting("tokens"), Counting("tokens", inclusive=True)
    empty = sum(span.start == span.end for _, span in located)
    reaches_end = any(span.end == len(words) for words, span in located)
    if empty:
        # A few empty spans are mistakes, which reading names; where ends are inclusive, those of one token look so.
        common = empty >= max(1, 0.1 * len(located))
        return inclusive if common and not reaches_end else usual
    if reaches_end or len(located) >= _MANY or not _next_like_names(located):
        return usual
    _refuse([(usual, located), (inclusive, located)], place)
    return usual


def _next_like_names(located: Sequence[_Located]) -> bool:
    """Tell whether most spans of tokens are followed by a token that looks like a further part of a name."""
    following = [words[span.end] for words, span in located if 0 <= span.end < len(words)]
    return 2 * sum(token[:1].isupper() or token[:1].isdigit() for token in following) > len(following)


def _refuse(readings: Sequence[tuple[Counting, Sequence[_Located]]], place: str, objection: str = "") -> None:
    """Refuse what is ambiguous, or has an objection, with the first sentences of each reading."""
    objections = (objection,) if objection else ()
    choose_reading(
        place,
        [
            Reading(f"offsets of {one}", f"offsets='{one}'", partial(_read, one, located), objections)
            for one, located in readings
        ],
    )


def _read(counting: Counting, located: Sequence[_Located]) -> Iterator[RawSentence]:
    for words, spans in groupby(located, key=itemgetter(0)):
        entities = []
        for _, span in spans:
            if place := counting.place(span.start, span.end, words):
                entities.append(Entity(*place, span.labels[0]))
        if isinstance(words, str):
            yield RawSentence([], entities, "", text=words)
        else:
            yield RawSentence(list(words), entities, "")
