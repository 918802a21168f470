"""Tokens as text, with and without spaces, and their width on a terminal."""

from __future__ import annotations

import pytest

from esnera_hf._internal.text import (
    counted,
    display_width,
    in_columns,
    is_unspaced,
    join_tokens,
    pad,
    shorten,
    text_and_offsets,
)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([], ""),
        (["New", "York"], "New York"),
        (["北", "京"], "北京"),
        (["在", "Paris", "住"], "在Paris住"),
        (["서울", "시청"], "서울 시청"),
        (["ㅋㅋ", "네"], "ㅋㅋ 네"),
        (["ＡＢ", "銀行"], "ＡＢ銀行"),
        (["love", "🍕", "today"], "love 🍕 today"),
        (["an", "", "ox"], "an ox"),
        (["C", "S"], "CS"),
        (["I", "saw"], "I saw"),
        (["。", "b"], "。b"),
    ],
)
def test_joining(tokens, text):
    assert join_tokens(tokens) == text


WIDTHS = {"": 0, "abc": 3, "北京": 4, "ＡＢ": 4, "e\u0301": 1, "ท\u0e35": 1, "a\u200db": 2, "서울": 4}


@pytest.mark.parametrize(("text", "width"), list(WIDTHS.items()))
def test_width_and_padding(text, width):
    assert display_width(text) == width
    assert pad(text, width + 2) == text + "  "
    assert pad(text, 0) == text


def test_cells_stand_below_each_other() -> None:
    assert in_columns([("北京", "b", "c"), ("a", "", "")]) == "北京  b  c\na"
    assert in_columns([]) == ""


def test_scripts_written_without_spaces():
    assert all(map(is_unspaced, "北かカ。「，Ａ々〇กြ"))
    assert not any(map(is_unspaced, "aé서ㅋ🍕. «"))


def test_shortened_text_can_be_printed() -> None:
    assert shorten("abcd", 4) == "abcd"
    assert shorten("abcde", 4) == "abc…"
    assert shorten("a\x1b[2J\n北", 10) == "a\ufffd[2J\ufffd北"


def test_text_and_offsets() -> None:
    assert text_and_offsets(["a", "b", "北", "京"]) == ("a b北京", [(0, 1), (2, 3), (3, 4), (4, 5)])
    assert text_and_offsets(["a", "", "b"]) == ("a b", [(0, 1), (1, 1), (2, 3)])
    assert text_and_offsets(["i", "P"], "") == ("iP", [(0, 1), (1, 2)])


@pytest.mark.parametrize(
    ("count", "noun", "verb", "said"),
    [
        (1, "label", "", "1 label"),
        (0, "label", "", "0 labels"),
        (2000, "entity", "", "2,000 entities"),
        (1, "entity", "", "1 entity"),
        (2, "corpus", "", "2 corpora"),
        (1, "sentence", "stand", "1 sentence stands"),
        (2, "sentence", "that stand", "2 sentences that stand"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(count: int, noun: str, verb: str, said: str) -> None:
    assert counted(count, noun, verb) == said
