"""Character offsets become token offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import compact
from esnera_hf.sources.readers.offsets import CUT, EMPTY, TRIMMED, to_tokens, written_without_spaces
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity


def project(text, *span, characters=False):
    sentence = to_tokens(RawSentence([], [Entity(*span, "x")], "here", text=text), characters=characters)
    return (compact(sentence), *sentence.repairs)


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("Ann Lee ran.", (0, 7), ("Ann|Lee|ran|. 0-2:x",)),
        ("Ann Lee", (0, 4), ("Ann|Lee 0-1:x", TRIMMED)),
        ("Ann Lee", (1, 5), ("A|nn|L|ee 1-3:x", CUT, CUT)),
        ("Ann  Lee", (3, 5), ("Ann|Lee", EMPTY)),
        ("Ann Lee", (2, 4), ("An|n|Lee 1-2:x", TRIMMED, CUT)),
        ("O'Neil's x-ray", (0, 8), ("O'Neil's|x-ray 0-1:x",)),
        ("é e\u0301a b", (2, 5), ("é|e\u0301a|b 1-2:x",)),
        ("हिन्दी है", (0, 6), ("हिन्दी|है 0-1:x",)),
        # Borders that people set inside what looks like a word: units, possessives, particles, scripts without spaces.
        ("10mg daily", (0, 2), ("10|mg|daily 0-1:x",)),
        ("Jon's bank", (0, 3), ("Jon|'s|bank 0-1:x",)),
        ("Osk-Ellis", (4, 9), ("Osk-|Ellis 1-2:x",)),
        ("서울에서 산다", (0, 2), ("서울|에서|산다 0-1:x",)),
        ("ไปกรุงเทพ", (2, 9), ("ไ|ป|ก|รุ|ง|เ|ท|พ 2-8:x",)),
        ("ရန်ကုန်မြို့", (0, 7), ("ရ|န်|ကု|န်|မြို့ 0-4:x",)),
        ("می\u200cخواهم.", (0, 8), ("می\u200cخواهم|. 0-1:x",)),
    ],
)
def test_words(text, span, expected):
    assert project(text, *span) == expected


def test_characters():
    assert project("a 北京", 1, 4, characters=True) == ("a| |北|京 2-4:x", TRIMMED)
    assert project("a  b", 1, 3, characters=True) == ("a| | |b", EMPTY)


def test_no_tokens_and_no_annotation():
    assert to_tokens(RawSentence([], [], "here", text="  "), characters=False).tokens == []
    assert to_tokens(RawSentence([], None, "here", text="a"), characters=False).spans is None


@given(st.text(st.sampled_from("ab é\u0301北.-"), min_size=1, max_size=12), st.data(), st.booleans())
def test_a_span_covers_its_mention(text, data, characters):
    start, end = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True)))
    record = RawSentence([], [Entity(start, end, "x")], "here", text=text)
    sentence = to_tokens(record, characters=characters)
    if not sentence.tokens:
        assert not text.strip()
        return
    assert "".join("".join(sentence.tokens).split()) == "".join(text.split())
    mention = "".join(text[start:end].split())
    if mention:
        (span,) = sentence.spans
        covered = "".join("".join(sentence.tokens[span.start : span.end]).split())
        assert covered == mention
    else:
        assert (sentence.spans, sentence.repairs) == ([], [EMPTY])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("北京大学", True), ("カタカナ", True), ("한국어 말", False), ("in 北京 a word", False), ("", False)],
)
def test_scripts(text, expected):
    assert written_without_spaces([text]) is expected
