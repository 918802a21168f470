"""Records in the shapes annotation tools write, and records that are broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.json import (
    LABEL_KEYS,
    NO_SPAN,
    OTHER_ANNOTATORS,
    OTHER_FIELD,
    OTHER_MENTION,
    SPAN_KEYS,
    START_KEYS,
    TAG_KEYS,
    TEXT_KEYS,
    TOKEN_KEYS,
    UNLABELLED,
    read_record,
    with_tag_names,
)
from esnera_hf.sources.readers.offsets import WIDENED, CharacterSpans
from esnera_hf.sources.source import RawSentence

TEXT = "Ann met Bob"
ANN = (0, 3, "PER")
BOB = (8, 11, "PER")


def read(record, scheme=None):
    found = read_record(record, "f, line 1", scheme)
    text = found.text if isinstance(found, CharacterSpans) else found.tokens
    return text, found.spans and [(e.start, e.end, e.label) for e in found.spans], found.repairs


def studio(*annotations, text=TEXT, key="annotations"):
    return {"id": 1, "data": {"text": text}, key: list(annotations)}


def result(start, end, *labels, text=None):
    value = {"start": start, "end": end, "labels": list(labels)}
    if text is not None:
        value["text"] = text
    return {"value": value, "from_name": "label", "to_name": "text", "type": "labels"}


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"text": TEXT, "label": [list(ANN), list(BOB)]}, id="doccano, label"),
        pytest.param({"data": TEXT, "text": TEXT, "labels": [ANN, BOB]}, id="labels"),
        pytest.param(
            {
                "id": 7,
                "text": TEXT,
                "entities": [
                    {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 3},
                    {"id": 2, "label": "PER", "start_offset": 8, "end_offset": 11},
                ],
                "relations": [],
                "Comments": [],
            },
            id="doccano, entities",
        ),
        pytest.param([TEXT, {"entities": [list(ANN), list(BOB)]}], id="spaCy"),
        pytest.param([TEXT, [ANN, BOB]], id="text and spans"),
        pytest.param(
            {
                "text": TEXT,
                "tokens": [{"text": "Ann", "start": 0, "end": 3, "id": 0}],
                "spans": [
                    {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PER"},
                    {"start": 8, "end": 11, "token_start": 2, "token_end": 2, "label": "PER"},
                ],
                "answer": "accept",
            },
            id="prodigy",
        ),
        pytest.param(
            {
                "text": TEXT,
                "entities": [
                    {"name": "Ann", "span": [0, 3], "type": "PER"},
                    {"name": "Bob", "span": [8, 11], "type": "PER"},
                ],
            },
            id="Stockmark",
        ),
        pytest.param(
            {
                "content": TEXT,
                "entities": [
                    {"word": "Ann", "start": 0, "end": 2, "entity_type": "PER"},
                    {"word": "Bob", "start": 8, "end": 10, "entity_type": "PER"},
                ],
            },
            id="inclusive ends",
        ),
        pytest.param(
            studio({"result": [result(0, 3, "PER", text="Ann"), result(8, 11, "PER")]}), id="Label Studio"
        ),
        pytest.param(
            {
                "id": 1,
                "text": TEXT,
                "label": [
                    {"start": 0, "end": 3, "text": "Ann", "labels": ["PER"]},
                    {"start": 8, "end": 11, "text": "Bob", "labels": ["PER"]},
                ],
            },
            id="Label Studio, short",
        ),
        pytest.param({"text": TEXT, "label": {"PER": {"Ann": [[0, 2]], "Bob": [[8, 10]]}}}, id="CLUENER"),
    ],
)
def test_shapes_with_a_text(record):
    assert read(record) == (TEXT, [ANN, BOB], [])


@pytest.mark.parametrize("text_key", TEXT_KEYS)
@pytest.mark.parametrize("span_key", SPAN_KEYS)
def test_names_of_text_and_spans(text_key, span_key):
    assert read({text_key: TEXT, span_key: [list(ANN)]}) == (TEXT, [ANN], [])


@pytest.mark.parametrize("start_key", START_KEYS)
@pytest.mark.parametrize("label_key", LABEL_KEYS)
def test_names_inside_spans(start_key, label_key):
    assert read({"text": TEXT, "spans": [{start_key: 0, "end": 3, label_key: "PER"}]}) == (TEXT, [ANN], [])


@pytest.mark.parametrize("token_key", TOKEN_KEYS)
def test_tokens(token_key):
    tokens = TEXT.split()
    assert read({token_key: tokens, "spans": [[0, 1, "PER"]]}) == (tokens, [(0, 1, "PER")], [])
    assert read({token_key: tokens, "entities": [{"start": 2, "end": 3, "type": "PER"}]})[1] == [
        (2, 3, "PER")
    ]
    assert read({token_key: tokens})[1] is None
    for tag_key in TAG_KEYS:
        assert read({token_key: tokens, tag_key: ["B-PER", "I-PER", "O"]})[1] == [(0, 2, "PER")]
    tags = ["O", "I-PER", "E-PER"]
    assert read({token_key: tokens, "tags": tags}, "BIOES")[2] == ["inside tag without a begin tag"]


def test_label_studio_annotators_and_labels():
    first = {
        "result": [
            result(0, 3, "PER", "NAME"),
            {"type": "relation", "from_id": "a"},
            {"value": {"choices": ["x"]}},
        ]
    }
    other = {"result": [result(4, 7, "VERB")]}
    cancelled = {"was_cancelled": True, "result": [result(4, 7, "VERB")]}
    assert read(studio(cancelled, first, other, other)) == (
        TEXT,
        [ANN, (0, 3, "NAME")],
        [OTHER_ANNOTATORS] * 2,
    )
    assert read(studio(first, key="completions"))[1] == [ANN, (0, 3, "NAME")]
    assert read(studio({"result": []}))[1] == []
    assert read(studio())[1] is None
    assert read(studio(cancelled))[1] is None
    assert read({"data": {"review": TEXT}, "annotations": [first]})[0] == TEXT


def test_label_studio_regions_that_are_not_read():
    elsewhere = {**result(0, 3, "PER"), "to_name": "title"}
    other_kind = {"value": {"start": 4, "end": 7, "hypertextlabels": ["VERB"]}, "to_name": "text"}
    record = studio({"result": [result(8, 11, "PER"), elsewhere, other_kind]})
    record["data"]["title"] = "A title"
    assert read(record) == (TEXT, [BOB], [OTHER_FIELD, UNLABELLED])
    # The regions of an only text may call it as they like.
    assert read(studio({"result": [elsewhere]}))[1] == [ANN]


def test_spans_beside_events_and_empty_lists():
    assert read({"text": TEXT, "entities": [list(ANN)], "events": []})[1] == [ANN]
    assert read({"text": TEXT, "entities": [list(ANN)], "events": [{"type": "x"}]})[1] == [ANN]
    assert read({"text": TEXT, "entities": [], "label": [list(BOB)]})[1] == [BOB]
    assert read({"text": TEXT, "entities": [], "label": []})[1] == []
    assert read({"text": TEXT, "events": []})[1] == []


def test_offsets_in_utf_16_units():
    text = "😀😀 Ann met"
    assert read(studio({"result": [result(5, 8, "PER", text="Ann")]}, text=text))[1] == [(3, 6, "PER")]
    assert read(studio({"result": [result(3, 6, "PER", text="Ann")]}, text=text))[1] == [(3, 6, "PER")]


def test_event_arguments():
    def mention(word, span, role):
        return {"word": word, "span": span, "role": role}

    events = [
        {"type": "a", "mentions": [mention("Ann", [0, 3], "sub"), mention("met", [4, 7], "trigger")]},
        {"type": "b", "mentions": [mention("Ann", [0, 3], "sub"), mention("Ann", [0, 3], "obj")]},
        {"type": "c", "mentions": [mention("", None, "date")]},
        {"type": "d"},
    ]
    assert read({"id": "x", "content": TEXT, "events": events}) == (
        TEXT,
        [(0, 3, "sub"), (0, 3, "obj")],
        [NO_SPAN],
    )


@pytest.mark.parametrize(
    ("entry", "expected", "repairs"),
    [
        ({"start": 0, "end": 2, "text": "Alice Smith"}, (0, 2), []),
        ({"start": 0, "end": 1, "text": "Alice Smith"}, (0, 2), []),
        ({"start": 0, "end": 1, "text": "AliceSmith "}, (0, 2), []),
        ({"start": 3, "end": 3, "text": "Bob"}, (3, 4), []),
        ({"start": 3, "end": 4, "text": "BOB"}, (3, 4), [OTHER_MENTION]),
        ({"start": 3, "end": 4, "entity": "PER"}, (3, 4), []),
    ],
)
def test_a_mention_beside_tokens_decides_whether_ends_are_inclusive(entry, expected, repairs):
    record = {"tokens": ["Alice", "Smith", "met", "Bob"], "entities": [{**entry, "label": "PER"}]}
    assert read(record) == (record["tokens"], [(*expected, "PER")], repairs)


def test_offsets_of_characters_beside_tokens():
    """The tokens stay as they are, as in records without entities, which tell nothing of offsets."""
    bei_jing = {"start": 3, "end": 5, "label": "LOC", "text": "北京"}
    record = {"text": "我们爱北京", "tokens": ["我们", "爱", "北京"], "entities": [bei_jing]}
    assert read(record) == (["我们", "爱", "北京"], [(2, 3, "LOC")], [])
    single = {
        "text": "我爱北京",
        "tokens": ["我", "爱", "北京"],
        "entities": [{**bei_jing, "start": 2, "end": 4}],
    }
    assert read(single) == (["我", "爱", "北京"], [(2, 3, "LOC")], [])
    inside = {**record, "entities": [{**bei_jing, "start": 4, "text": "京"}]}
    assert read(inside) == (["我们", "爱", "北京"], [(2, 3, "LOC")], [WIDENED])


def test_spans_under_a_name_of_their_own():
    text = {"text": TEXT, "entities": [[0, 3, "COARSE"]], "fine": [[0, 3, "FINE"]]}
    tokens = {"tokens": TEXT.split(), "entities": [[0, 1, "COARSE"]], "fine": [[0, 1, "FINE"]]}
    for record in (text, tokens):
        assert {span.label for span in read_record(record, "here", None, ("fine",)).spans} == {"FINE"}
    with pytest.raises(SourceError, match="here: the tags are numbers"):
        read_record({**tokens, "fine": [1, 0, 0]}, "here", None, ("fine",))


def test_numbers_with_names():
    record = {"tokens": ["a", "b"], "ner_tags": [1, 0]}
    assert with_tag_names(record, ["O", "B-x"], "here") == {"tokens": ["a", "b"], "ner_tags": ["B-x", "O"]}
    assert with_tag_names([1], ["O"], "here") == [1]
    with pytest.raises(SourceError, match="here: tag id 2 is none of the 2 ids"):
        with_tag_names({"ner_tags": [2]}, ["O", "B-x"], "here")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "expected an object with text and spans, found 3"),
        (["a", "b", "c"], "expected an object with text and spans"),
        ({}, "expected a text (text, content, sentence, data) or tokens"),
        ({"body": "a"}, "found the keys body"),
        ({"text": "a", "spans": ["x"]}, "a label, found 'x'."),
        ({"text": "a", "spans": [[0, 1]]}, "expected [start, end, label] or an object"),
        (
            {"text": "a", "spans": [{"span": [0], "label": "x"}]},
            "expected [start, end, label] or an object",
        ),
        ({"text": "a", "spans": [[0, 1.5, "x"]]}, "with integer offsets and a label, found [0, 1.5, 'x']"),
        ({"text": "a", "spans": [{"start": 0, "end": 1}]}, "integer offsets and a label, found {"),
        ({"text": "a", "spans": [[0, 2, "x"]]}, "'x' at [0, 2) lies outside the text of 1 characters"),
        ({"text": "ab", "spans": [[1, 1, "x"]]}, "'x' at [1, 1) lies outside"),
        (
            {"text": "ab", "spans": [{"start": 0, "end": 1, "label": "x", "word": "b"}]},
            "hold 'a', expected 'b'",
        ),
        ({"text": "ab", "spans": [], "answer": "reject"}, "the annotator did not accept this record"),
        ({"tokens": ["a"], "tags": ["O", "O"]}, "1 tokens and 2 tags"),
        ({"tokens": ["a"], "ner_tags": [0]}, "the tags are numbers"),
        ({"tokens": ["a"], "tags": ["x"]}, "tag 'x' is not of scheme IOB2"),
        ({"tokens": ["a"], "spans": [[0, 2, "x"]]}, "'x' at tokens [0, 2) lies outside the sentence of 1"),
        ({"tokens": ["a"], "spans": [["0", 1, "x"]]}, "integer offsets and a label"),
        (
            {
                "text": "a cd",
                "tokens": ["a", "b"],
                "spans": [{"start": 2, "end": 4, "label": "x", "word": "cd"}],
            },
            "the offsets count characters of a text in which the tokens are not found one after the other",
        ),
        ({"tokens": ["a"], "spans": [3]}, "a label, found 3."),
        ({"data": 3, "annotations": []}, "expected a text in data, found 3"),
        (studio(3), "expected a list of objects, found 3 in it"),
        (studio({"result": [3]}), "expected a list of objects, found 3 in it"),
        ({"text": "a", "events": [3]}, "expected a list of objects, found 3 in it"),
        ({"text": "a", "label": {"x": 3}}, 'expected "label" as'),
    ],
)
def test_a_broken_record_is_named(record, message):
    with pytest.raises(SourceError) as caught:
        read(record, "IOB2")
    assert str(caught.value).startswith("f, line 1: ")
    assert message in str(caught.value)


keys = st.sampled_from(
    [
        *TEXT_KEYS,
        *TOKEN_KEYS,
        *TAG_KEYS,
        *SPAN_KEYS,
        *LABEL_KEYS,
        "start",
        "end",
        "span",
        "data",
        "annotations",
        "result",
        "value",
        "events",
        "mentions",
        "word",
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.floats(0, 2)
    | st.sampled_from(["", "ab", "x", "O", "B-x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values | st.dictionaries(keys, values, min_size=1, max_size=4))
def test_any_value_is_a_record_or_an_error(value):
    found = read_or_message(value)
    if isinstance(found, str):
        assert found.startswith("here: ")
        return
    length = len(found.tokens) if isinstance(found, RawSentence) else len(found.text)
    assert all(0 <= span.start < span.end <= length for span in found.spans or ())
    assert all(isinstance(span.label, str) for span in found.spans or ())


def read_or_message(value):
    try:
        return read_record(value, "here", "IOB2")
    except SourceError as error:
        return str(error)
