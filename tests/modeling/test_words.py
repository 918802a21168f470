"""Words of raw text, by their offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.modeling.hub_code.words import UNITS, word_spans


def words(text: str, unit: str = "auto") -> list[str]:
    return [text[start:end] for start, end in word_spans(text, unit)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\u3000", []),
        ("Anna met Bruno, in Paris.", "Anna met Bruno , in Paris ."),
        ("(Oslo)!? «Lima»", "( Oslo ) ! ? « Lima »"),
        ("John's dogs don't; we've can't", "John 's dogs do n't ; we 've ca n't"),
        ("John’s don’t", "John ’s do n’t"),
        ("l'Allemagne d’Artagnan dell'Italia", "l' Allemagne d’ Artagnan dell' Italia"),
        ("the students' '90s 'quoted'", "the students ' ' 90s ' quoted '"),
        ("Al-Ain, New York-based co\u2011op - so -- no", "Al-Ain , New York-based co\u2011op - so -- no"),
        ("3.5% of 1,000 at 10:30 on 1/2, 2024-05-01.", "3.5 % of 1,000 at 10:30 on 1/2 , 2024-05-01 ."),
        ("U.S. and J.K. Rowling, e.g. U.N., in U.S", "U.S. and J.K. Rowling , e.g. U.N. , in U.S"),
        ("Wait... end.", "Wait ... end ."),
        ("a_b@c.org 3rd COVID-19", "a_b @ c . org 3rd COVID-19"),
        ("हिन्दी में। नमस्ते", "हिन्दी में । नमस्ते"),
        ("cafe\u0301 e\u0301te\u0301", "cafe\u0301 e\u0301te\u0301"),
        ("서울 「책」", "서울 「 책 」"),
        ("I love 🍕\ufe0f!", "I love 🍕\ufe0f !"),
        ("Ünal Ångström'in ĳs", "Ünal Ångström' in ĳs"),
        ("\ufeffAnna", "\ufeff Anna"),
    ],
)
def test_spaced_scripts_have_words_and_punctuation_apart(text: str, expected: str | list[str]) -> None:
    assert words(text) == (expected.split(" ") if isinstance(expected, str) else expected)


@pytest.mark.parametrize("text", ["北 a", "かな", "カナ", "I met 王 there", "ｶﾅ", "𠮷野"])
def test_texts_with_han_or_kana_are_characters(text: str) -> None:
    assert words(text) == list(text)


def test_units() -> None:
    assert words("北京 站, b", "spaces") == ["北京", "站,", "b"]
    assert words("北京 站, b", "words") == ["北京", "站", ",", "b"]
    assert words("ab c", "characters") == ["a", "b", " ", "c"]
    with pytest.raises(ValueError, match="unit='letters': expected one of auto, characters, words, spaces"):
        word_spans("a", "letters")


@given(text=st.text(max_size=60), unit=st.sampled_from(UNITS))
def test_every_character_but_spaces_is_in_one_word(text: str, unit: str) -> None:
    spans = word_spans(text, unit)
    covered = [index for start, end in spans for index in range(start, end)]
    assert covered == sorted(set(covered))
    assert {index for index, char in enumerate(text) if not char.isspace()} <= set(covered)
    assert all(start < end for start, end in spans)
