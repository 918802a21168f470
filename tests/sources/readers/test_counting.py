"""How offsets count: told from mentions and from borders of words, asked for where that does not decide."""

from __future__ import annotations

import json
import unicodedata

import pytest

from corpora import compact, write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.counting import UNITS, Counting, counting_of, countings
from esnera_hf.sources.readers.json import json_reader
from esnera_hf.sources.readers.offsets import CUT
from esnera_hf.sources.readers.spans import READ_AS

SENTENCES = (
    ("Mara Quill visited Port Ellis.", (("Mara Quill", "PER"), ("Port Ellis", "LOC"))),
    ("Tolvex Ltd hired Jon Abara in May.", (("Tolvex Ltd", "ORG"), ("Jon Abara", "PER"))),
    ("Nothing happened there.", ()),
    ("The Brindle Bank of Osk closed.", (("Brindle Bank of Osk", "ORG"),)),
)
#: What stands before each sentence, so that a unit differs from characters.
BEFORE = {
    "characters": "",
    "utf-16": "😀😀 ",
    "bytes": "éé ",
    "crlf-as-one": "A.\r\nB.\r\nC.\r\n",
    "lf-as-two": "A.\nB.\nC.\n",
    "nfc": "e\u0301e\u0301e\u0301 ",
    "nfd": "가가가 ",
}


def length(text, unit):
    """Count a text in a unit, independently of the package."""
    if unit == "utf-16":
        return len(text.encode("utf-16-le")) // 2
    if unit == "bytes":
        return len(text.encode())
    if unit in ("nfc", "nfd"):
        return len(unicodedata.normalize(unit.upper(), text))
    changed = {"crlf-as-one": text.replace("\r\n", "\n"), "lf-as-two": text.replace("\n", "\r\n")}
    return len(changed.get(unit, text))


def record(text, mentions, counting, *, tell):
    """Write a record whose offsets count so, with its mentions if it is to tell them."""
    entities = []
    for mention, label in mentions:
        start = text.index(mention)
        ends = [length(text[:place], counting.unit) for place in (start, start + len(mention))]
        places = [ends[0] + counting.first, ends[1] + counting.first - counting.inclusive]
        entities.append(
            dict(zip(("start", "end"), places, strict=True), label=label)
            | ({"text": mention} if tell else {})
        )
    return {"text": text, "entities": entities}


def corpus(tmp_path, counting, *, tell, before=None):
    before = BEFORE[counting.unit] if before is None else before
    records = (record(before + text, mentions, counting, tell=tell) for text, mentions in SENTENCES)
    return write(tmp_path / "a.jsonl", "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))


def mentions_of(path, **options):
    """Return the mentions with their labels, and the kinds of repairs."""
    sentences = [*json_reader(path, ReadingOptions(**options))()]
    mentions = [
        (" ".join(sentence.tokens[span.start : span.end]), span.label)
        for sentence in sentences
        for span in sentence.spans
    ]
    return mentions, {kind for sentence in sentences for kind in sentence.repairs}


def read_or_asked(path):
    try:
        return mentions_of(path)[0]
    except SourceError as error:
        return "asked" if "offsets='" in str(error) else str(error)


EXPECTED = [mention for _, mentions in SENTENCES for mention in mentions]
ALL = [*countings([unit for unit in UNITS if unit != "tokens"])]


@pytest.mark.parametrize("counting", ALL, ids=str)
def test_mentions_tell_how_offsets_count(tmp_path, counting):
    read = READ_AS.format(counting)
    assert mentions_of(corpus(tmp_path, counting, tell=True)) == (
        EXPECTED,
        {read} - {READ_AS.format("characters")},
    )


@pytest.mark.parametrize("counting", ALL, ids=str)
def test_without_mentions_words_tell_or_the_reading_is_asked_for(tmp_path, counting):
    path = corpus(tmp_path, counting, tell=False)
    assert read_or_asked(path) in (EXPECTED, "asked")
    assert mentions_of(path, offsets=str(counting)) == (EXPECTED, set())


@pytest.mark.parametrize("counting", ["characters inclusive", "characters from-1", "utf-16", "crlf-as-one"])
def test_words_are_enough(tmp_path, counting):
    path = corpus(tmp_path, counting_of(counting), tell=False)
    assert mentions_of(path) == (EXPECTED, {READ_AS.format(counting)})
    with pytest.raises(SourceError, match="offsets read as"):
        load_source(path, options=ReadingOptions(strict=True))
    assert load_source(path, options=ReadingOptions(strict=True, offsets=counting)).repairs == {}


def test_what_no_counting_explains_is_refused(tmp_path):
    shifted = [[(place + 3) for place in (0, 9)] + ["PER"], [22, 31, "LOC"]]
    path = write(
        tmp_path / "a.jsonl",
        "".join(json.dumps({"text": SENTENCES[0][0] * 2, "label": shifted}) + "\n" for _ in range(3)),
    )
    with pytest.raises(SourceError, match="most spans begin or end inside words") as caught:
        mentions_of(path)
    assert "offsets='characters'" in str(caught.value)
    assert CUT in mentions_of(path, offsets="characters")[1]


CHINESE = (
    ("梅溪去港城。", ("梅溪", "港城")),
    ("北林公司在港城里", ("北林公司", "港城")),
    ("下雨了", ()),
    ("梅溪说", ("梅溪",)),
)


@pytest.mark.parametrize("inclusive", [False, True])
def test_scripts_that_show_no_words(tmp_path, inclusive):
    spans = [
        (text, [(text.index(m), text.index(m) + len(m) - inclusive, "X") for m in names])
        for text, names in CHINESE
    ]
    lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in spans)
    path = write(tmp_path / "a.jsonl", "".join(lines))
    expected = [" ".join(name) for _, names in CHINESE for name in names]
    if inclusive:  # the same letter follows wherever a mention occurs again
        with pytest.raises(SourceError, match="offsets='characters' or offsets='characters inclusive'"):
            mentions_of(path)
    offsets = "characters inclusive" if inclusive else None
    assert [mention for mention, _ in mentions_of(path, offsets=offsets)[0]] == expected


def test_a_few_spans_inside_words_change_nothing(tmp_path):
    spans = [[0, 4, "PER"], [19, 23, "LOC"], [12, 16, "X"]]
    records = [{"text": SENTENCES[0][0], "label": spans}] * 3
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(one) + "\n" for one in records))
    assert mentions_of(path)[1] == {CUT}


TOKENS = {"tokens": ["Mara", "Quill", "left", "Osk", "."]}


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([[0, 2, "PER"], [3, 4, "LOC"]], "0-2:PER 3-4:LOC"),
        (
            [[0, 1, "PER"], [3, 3, "LOC"]],
            "0-2:PER 3-4:LOC",
        ),  # an empty span is one token where ends are inclusive
        ([[0, 1, "PER"]], None),  # followed by what looks like a part of the name
        ([[3, 5, "LOC"]], "3-5:LOC"),  # reaches the end
    ],
)
def test_spans_of_tokens(tmp_path, spans, expected):
    path = write(tmp_path / "a.jsonl", json.dumps({**TOKENS, "entities": spans}) + "\n")
    if expected is None:
        with pytest.raises(SourceError, match="offsets='tokens' or offsets='tokens inclusive'"):
            list(json_reader(path)())
    else:
        assert [*map(compact, json_reader(path)())] == [f"Mara|Quill|left|Osk|. {expected}"]


def test_characters_taken_for_tokens_are_asked_for(tmp_path):
    one = {
        "text": "Bo met Al",
        "tokens": ["Bo", "met", "Al"],
        "entities": [{"start": 0, "end": 2, "label": "PER"}],
    }
    path = write(tmp_path / "a.jsonl", json.dumps(one) + "\n")
    with pytest.raises(SourceError, match="offsets='tokens' or offsets='characters'"):
        list(json_reader(path)())
    for offsets, expected in (("tokens", "0-2:PER"), ("characters", "0-1:PER")):
        assert [*map(compact, json_reader(path, ReadingOptions(offsets=offsets))())] == [
            f"Bo|met|Al {expected}"
        ]


BERT = ["Al", "Bo", "Bert", "Mara"]
IN_CHARACTERS = [(["Seen", "in", "May", ":", name, "."], [15, 15 + len(name), "PER"]) for name in BERT * 3]
IN_TOKENS = [(tokens, [4, 5, "PER"]) for tokens, _ in IN_CHARACTERS]
# All but the last sentence are of tokens of one character, where both countings are the same.
CHARACTERS = [([*"在北京见"], [1, 3, "LOC"])] * 12 + [([*"第", "21", *"次到北京见面"], [4, 6, "LOC"])]


@pytest.mark.parametrize(
    ("records", "with_text", "expected"),
    [
        (IN_CHARACTERS, True, "PER"),  # outside the tokens
        (IN_TOKENS, True, "PER"),  # at no border of the text
        (IN_TOKENS, False, "PER"),
        (CHARACTERS, False, "LOC"),
        (CHARACTERS, True, None),  # borders everywhere
        ([(["Al", "is", "in"], [0, 2, "PER"])] * 12, False, None),
    ],
)
def test_offsets_beside_tokens_are_asked_for_where_two_countings_fit(tmp_path, records, with_text, expected):
    rows = [{"tokens": tokens, "spans": [span]} for tokens, span in records]
    for row in rows if with_text else ():
        row["text"] = ("" if "北" in row["tokens"] else " ").join(row["tokens"])
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    if expected is None:
        with pytest.raises(SourceError, match="offsets='tokens' or offsets='characters'"):
            list(json_reader(path)())
        return
    for sentence, (tokens, _) in zip(json_reader(path)(), records, strict=True):
        (span,) = sentence.spans
        assert sentence.tokens == tokens
        assert "".join(tokens[span.start : span.end]) in ("北京", *BERT)
        assert span.label == expected


@pytest.mark.parametrize("text", ["", "letters", "characters tokens", "inclusive exclusive"])
def test_a_counting_that_nobody_knows(text):
    with pytest.raises(ConfigurationError, match="offsets="):
        ReadingOptions(offsets=text)
    assert counting_of("inclusive from-1") == Counting("characters", inclusive=True, first=1)
