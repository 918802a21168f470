"""Oddities are counted and left as they are."""

from __future__ import annotations

import pytest

from esnera_hf.sources.defects import (
    BLANK_TOKEN,
    INVISIBLE,
    NOT_NFC,
    REPEAT,
    REPEAT_OTHERWISE,
    REPLACEMENT,
    Repeats,
    observe,
)
from esnera_hf.sources.sentence import RawSentence


@pytest.mark.parametrize(
    ("tokens", "kinds"),
    [
        (["a", "北"], []),
        (["a\u200b"], [INVISIBLE]),
        (["\ufeff", "\u202e"], [INVISIBLE]),
        (["\ufffd"], [REPLACEMENT]),
        (["e\u0301"], [NOT_NFC]),
        (["é"], []),
        (["a", ""], [BLANK_TOKEN]),
        (["\u3000"], [BLANK_TOKEN]),
        (["\ufffd\u200be\u0301", " "], [INVISIBLE, REPLACEMENT, NOT_NFC, BLANK_TOKEN]),
    ],
)
def test_kinds(tokens, kinds):
    sentence = RawSentence(tokens, [], "here")
    assert list(observe(sentence)) == kinds
    assert sentence.tokens == tokens


def test_repeats():
    repeats = Repeats()
    for text, tags in [
        ("ab", ["O", "O"]),
        ("ba", ["O", "O"]),
        ("ab", ["O", "O"]),
        ("ab", ["B-x", "O"]),
        ("ab", ["O", "O"]),
    ]:
        repeats.add(list(text), tags)
    assert repeats.counts() == {REPEAT: 2, REPEAT_OTHERWISE: 1}
    repeats = Repeats()
    assert repeats.counts() == {}
    for tokens in (["a", "b"], ["ab"]):
        repeats.add(tokens, ["O"])
    assert repeats.counts() == {}
