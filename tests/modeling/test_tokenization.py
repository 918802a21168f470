"""Windows of long sentences, tags of their words, and entities read back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import VANISHING, make_tokenizer
from esnera_hf.errors import EncoderError
from esnera_hf.modeling.hub_code.windows import Window, read_spans
from esnera_hf.modeling.tokenization import (
    WordTokenizer,
    chain_tags,
    join_windows,
    read_entities,
)
from esnera_hf.tagging import Entity, entities_from_tags

TOKENIZER = make_tokenizer()
CLS, SEP = TOKENIZER.convert_tokens_to_ids(["[CLS]", "[SEP]"])
PIECES = {
    word: TOKENIZER(word, add_special_tokens=False)["input_ids"]
    for word in ("a", "paris", "xyz", "abcdefgh", "中国", "☃", ".", "。", ",", VANISHING, "\x07", "", " ")
}
WORDS = st.lists(st.sampled_from(sorted(PIECES)), max_size=25)


@st.composite
def annotated(draw: st.DrawFn, words: st.SearchStrategy[list[str]] = WORDS) -> tuple[list[str], list[Entity]]:
    """Words and spans over them without overlap."""
    tokens = draw(words)
    bounds = sorted(draw(st.sets(st.integers(0, len(tokens)), max_size=8)))
    spans = [
        Entity(start, end, draw(st.sampled_from("xy")))
        for start, end in pairwise(bounds)
        if draw(st.booleans())
    ]
    return tokens, spans


def kept_words(words: list[str]) -> list[int]:
    return [index for index, word in enumerate(words) if PIECES[word]]


def test_the_words_of_these_tests_cover_the_cases() -> None:
    assert [len(PIECES[word]) for word in ("a", "paris", "xyz", "abcdefgh", "中国")] == [1, 1, 3, 8, 2]
    assert PIECES["☃"] == [TOKENIZER.unk_token_id]
    assert [PIECES[word] for word in (VANISHING, "\x07", "", " ")] == [[], [], [], []]


@settings(max_examples=150, deadline=None)
@given(sentences=st.lists(annotated(), max_size=4), length=st.integers(3, 12), known=st.booleans())
def test_windows_hold_every_word_once_and_never_exceed_the_limit(
    sentences: list[tuple[list[str], list[Entity]]], length: int, known: bool
) -> None:
    tokenizer = WordTokenizer(TOKENIZER, length)
    assert tokenizer.budget == length - 2
    entities = [spans for _, spans in sentences] if known else None
    windows = tokenizer.windows([words for words, _ in sentences], entities)
    assert [window.sentence for window in windows] == sorted(window.sentence for window in windows)
    for index, (words, _) in enumerate(sentences):
        mine = [window for window in windows if window.sentence == index]
        assert [word for window in mine for word in window.words] == kept_words(words)
        assert not any(window.joins for window in mine[:1])
        for window in mine:
            assert len(window.input_ids) <= length
            assert (window.input_ids[0], window.input_ids[-1]) == (CLS, SEP)
            expected = [PIECES[words[word]][: length - 2] for word in window.words]
            bounds = [*window.positions, len(window.input_ids) - 1]
            found = [window.input_ids[a:b] for a, b in pairwise(bounds)]
            assert found == expected


@settings(max_examples=150, deadline=None)
@given(sentence=annotated(), length=st.integers(4, 12))
def test_an_entity_that_fits_into_a_window_is_never_cut(
    sentence: tuple[list[str], list[Entity]], length: int
) -> None:
    words, entities = sentence
    windows = WordTokenizer(TOKENIZER, length).windows([words], [entities])
    for entity in entities:
        inside = [i for i in kept_words(words) if entity.start <= i < entity.end]
        pieces = sum(min(len(PIECES[words[i]]), length - 2) for i in inside)
        holding = [window for window in windows if set(window.words) & set(inside)]
        if pieces <= length - 2:
            assert len(holding) == bool(inside)


@settings(max_examples=150, deadline=None)
@given(sentence=annotated(), length=st.integers(4, 30))
def test_entities_come_back_as_the_hull_of_their_words_with_pieces(
    sentence: tuple[list[str], list[Entity]], length: int
) -> None:
    words, entities = sentence
    nothing = Window(0, [], [], [])
    window = next(iter(WordTokenizer(TOKENIZER, length).windows([words], [entities])), nothing)
    expected = []
    for entity in entities:
        inside = [i for i in window.words if entity.start <= i < entity.end]
        if inside:
            expected.append(Entity(inside[0], inside[-1] + 1, entity.label))
    tags = chain_tags(window, entities)
    assert len(tags) == len(window.words)
    assert read_entities(window, tags) == expected


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(st.sampled_from(["a", "xyz", VANISHING, "中国"]), min_size=1, max_size=25),
    gap=st.integers(0, 4),
    length=st.integers(5, 9),
)
def test_a_phrase_cut_by_hard_cuts_is_one_entity_again(words: list[str], gap: int, length: int) -> None:
    words = ["a"] * gap + words
    kept = kept_words(words)
    phrase = [Entity(gap, len(words), "x")] if gap < len(words) else []
    windows = WordTokenizer(TOKENIZER, length).windows([words])
    found = [read_entities(window, chain_tags(window, phrase)) for window in windows]
    inside = [i for i in kept if i >= gap]
    expected = [Entity(inside[0], inside[-1] + 1, "x")] if inside else []
    assert join_windows(windows, found) == expected


def cut_words(words: list[str], length: int, entities: list[Entity] | None = None) -> list[list[str]]:
    windows = WordTokenizer(TOKENIZER, length).windows([words], None if entities is None else [entities])
    return [[words[i] for i in window.words] for window in windows]


def test_a_cut_prefers_the_end_of_a_sentence() -> None:
    words = ["a", "a", "a", "。", "a", ",", "a", "a"]
    assert cut_words(words, 8) == [["a", "a", "a", "。"], ["a", ",", "a", "a"]]


def test_a_cut_prefers_the_end_of_a_clause_to_none() -> None:
    words = ["a", "a", "a", ",", "a", "a", "a", "a"]
    assert cut_words(words, 8) == [["a", "a", "a", ","], ["a", "a", "a", "a"]]


def test_a_mark_in_the_first_half_of_a_window_does_not_cut() -> None:
    words = ["a", "。", "a", "a", "a", "a", "a", "a"]
    assert cut_words(words, 8) == [["a", "。", "a", "a", "a", "a"], ["a", "a"]]


def test_a_mark_inside_an_entity_does_not_cut() -> None:
    words = ["a", "a", "a", "a", ".", "a", "a", "a"]
    assert cut_words(words, 8, [Entity(3, 6, "x")]) == [words[:6], words[6:]]
    assert cut_words(words, 8, [Entity(3, 7, "x")]) == [words[:3], words[3:]]


def test_an_entity_that_begins_with_a_vanished_word_may_open_a_window() -> None:
    words = ["a", "a", VANISHING, "a", "a", "a"]
    assert cut_words(words, 5, [Entity(2, 6, "x")]) == [["a", "a"], ["a", "a", "a"]]


def test_a_window_after_a_sentence_end_does_not_join() -> None:
    words = ["a", "a", "a", "。", "a", "a", "a"]
    first, second = WordTokenizer(TOKENIZER, 6).windows([words])
    assert (len(first.words), second.joins) == (4, False)
    found = [[Entity(0, 4, "x")], [Entity(4, 7, "x")]]
    assert join_windows([first, second], found) == [Entity(0, 4, "x"), Entity(4, 7, "x")]


def hard_cut() -> tuple[Window, Window]:
    first, second = WordTokenizer(TOKENIZER, 5).windows([["a"] * 6])
    assert (first.words, second.words, second.joins) == ([0, 1, 2], [3, 4, 5], True)
    return first, second


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([Entity(1, 3, "x")], [Entity(3, 4, "y")]),
        ([Entity(1, 2, "x")], [Entity(3, 4, "x")]),
        ([Entity(1, 3, "x")], [Entity(4, 5, "x")]),
        ([], [Entity(3, 4, "x")]),
    ],
)
def test_entities_that_do_not_meet_stay_apart(before: list[Entity], after: list[Entity]) -> None:
    assert join_windows(hard_cut(), [before, after]) == [*before, *after]


def test_a_joined_entity_has_the_smaller_score() -> None:
    found = [[Entity(1, 3, "x", 0.9)], [Entity(3, 4, "x", 0.4), Entity(5, 6, "x", 0.1)]]
    joined = join_windows(hard_cut(), found)
    assert [(e.start, e.end, e.score) for e in joined] == [(1, 4, 0.4), (5, 6, 0.1)]


def test_an_entity_has_the_smallest_score_of_its_words() -> None:
    window = Window(0, [2, 5, 6, 7, 3], [0, 2, 3], [1, 2, 3])
    (entity,) = read_entities(window, ["B-x", "I-x", "O"], [0.9, 0.7, 0.1])
    assert (entity, entity.score) == (Entity(0, 3, "x"), 0.7)


@given(tags=st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y", "B-I-x", "I-I-x"]), max_size=12))
def test_tags_are_read_as_the_package_reads_them(tags: list[str]) -> None:
    window = Window(0, [], list(range(len(tags))), list(range(len(tags))))
    found = [Entity(span.start, span.end, span.label) for span in read_spans(window, tags)]
    assert found == entities_from_tags(tags)[0]


def test_the_pieces_of_a_span() -> None:
    (window,) = WordTokenizer(TOKENIZER, 12).windows([["a", "xyz", "a"]])
    assert [window.piece_range(*span, suffix=1) for span in ((0, 0), (1, 1), (0, 2), (2, 2))] == [
        (1, 2),
        (2, 5),
        (1, 6),
        (5, 6),
    ]


def test_sentences_without_pieces_have_no_window() -> None:
    tokenizer = WordTokenizer(TOKENIZER, 10)
    assert tokenizer.windows([]) == []
    assert [w.sentence for w in tokenizer.windows([[], [VANISHING], ["a"], [""]])] == [2]


def test_a_window_too_small_for_text_is_refused() -> None:
    with pytest.raises(EncoderError, match="a window of 2 pieces leaves no room"):
        WordTokenizer(TOKENIZER, 2)


def test_a_tokenizer_that_cannot_map_pieces_to_words_is_refused() -> None:
    class Slow:
        is_fast = False

    slow: Any = Slow()
    with pytest.raises(EncoderError, match="Slow is a pure-Python tokenizer"):
        WordTokenizer(slow, 10)
