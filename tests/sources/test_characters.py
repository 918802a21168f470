"""Words cut into characters."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import annotated, sentences_of
from esnera_hf.sources.build import SourceTerms, as_characters, build_source, has_words, language_of
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity


def sentence(text, *spans):
    return RawSentence(text.split(), [Entity(*span) for span in spans], "here")


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("他 在 北京 。", "zh", True),
        ("他 在 北 京 iPhone", "zh", False),
        ("東京 に いる", "ja", True),
        ("the man in 北京", "", True),
        ("서울 에", "", False),
    ],
)
def test_language_and_words(text, language, words):
    assert (language_of([sentence(text).tokens]), has_words([sentence(text)])) == (language, words)


@given(annotated(st.sampled_from(["北京", "a", "", "iPad"])))
def test_mentions_survive(drawn):
    tokens, entities = drawn
    cut = as_characters(RawSentence(tokens, entities, "here"))
    assert "".join(cut.tokens) == "".join(tokens)
    assert all(len(token) <= 1 for token in cut.tokens)
    assert ["".join(cut.tokens[e.start : e.end]) for e in cut.spans] == [
        "".join(tokens[e.start : e.end]) for e in entities
    ]


@pytest.mark.parametrize(
    ("characters", "expected"), [(None, "北|京|大|学"), (True, "北|京|大|学"), (False, "北京|大学")]
)
def test_chinese_words_are_cut_unless_asked_otherwise(characters, expected):
    def read():
        return iter([sentence("北京 大学", (0, 1, "loc"))])

    options = ReadingOptions(characters=characters)
    source = build_source(SourceTerms("c"), dict.fromkeys(("train", "validation", "test"), read), options)
    assert "|".join(source.dataset["train"]["tokens"][0]) == expected
    assert source.language == "zh"
    assert ("words cut into characters" in source.notes) is (characters is not False)
    assert Counter(text for text, _ in sentences_of(source)) == {"北京大学": 3}


def test_english_words_stay():
    def read():
        return iter([sentence("Ann ran", (0, 1, "per"))])

    source = build_source(
        SourceTerms("c", language="zh"), dict.fromkeys(("train", "validation", "test"), read)
    )
    assert source.dataset["train"]["tokens"][0] == ["Ann", "ran"]
