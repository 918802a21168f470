"""JSON: records in the shapes annotation tools write, broken ones, and the layouts of files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import compact, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.counting_choice import choose_counting, choose_token_counting
from esnera_hf.sources.readers.json import json_reader
from esnera_hf.sources.readers.label_studio import NOT_ACCEPTED, OTHER_FIELD, UNLABELLED
from esnera_hf.sources.readers.offsets import CUT
from esnera_hf.sources.readers.records import (
    NO_SPAN,
    SPAN_KEYS,
    TAG_KEYS,
    TEXT_KEYS,
    TOKEN_KEYS,
    read_record,
)
from esnera_hf.sources.readers.spans import DISCONTINUOUS, LABEL_KEYS, OTHER_MENTION, READ_AS, with_spans
from esnera_hf.sources.readers.tags import USUAL_TAGS, TagReader

TEXT, TOKENS = "Ann met Bob", ["Ann", "met", "Bob"]
ANN, BOB = (0, 3, "PER"), (8, 11, "PER")
BOTH = f"{TEXT} 0-3:PER 8-11:PER"


def read(record, tags=USUAL_TAGS, keys=TAG_KEYS):
    """Return text and spans of a record, and what was repaired."""
    written = read_record(record, "f, line 1", tags, keys, SPAN_KEYS if keys is TAG_KEYS else keys)
    choose = choose_token_counting if written.tokens else choose_counting
    sentence = with_spans(written, choose([written], "f, line 1"), stated=False)
    shown = replace(sentence, tokens=[sentence.text]) if sentence.text else sentence
    return (compact(shown) + (" none" if sentence.spans is None else ""), *sentence.repairs)


def studio(*annotations, text=TEXT, key="annotations"):
    return {"id": 1, "data": {"text": text}, key: list(annotations)}


def result(start, end, *labels, text=None):
    value = {"start": start, "end": end, "labels": list(labels)} | ({} if text is None else {"text": text})
    return {"value": value, "from_name": "label", "to_name": "text", "type": "labels"}


def named(start_key, end_key, label_key, **more):
    """Return the two mentions as objects."""
    return [{start_key: start, end_key: end, label_key: label, **more} for start, end, label in (ANN, BOB)]


def word(text, start, end):
    return {"word": text, "start": start, "end": end, "entity_type": "PER"}


SHAPES = {
    "doccano, label": {"text": TEXT, "label": [list(ANN), list(BOB)]},
    "doccano, data": {"id": 1, "data": TEXT, "label": [list(ANN), list(BOB)]},
    "labels": {"data": TEXT, "text": TEXT, "labels": [ANN, BOB]},
    "doccano, entities": {"text": TEXT, "entities": named("start_offset", "end_offset", "label"), "x": []},
    "spaCy": [TEXT, {"entities": [list(ANN), list(BOB)]}],
    "text and spans": [TEXT, [ANN, BOB]],
    "prodigy": {
        "text": TEXT,
        "tokens": [{"text": "Ann", "start": 0, "end": 3, "id": 0}],
        "spans": named("start", "end", "label", token_start=0),
        "answer": "accept",
    },
    "Stockmark": {
        "text": TEXT,
        "entities": [{"name": TEXT[a:b], "span": [a, b], "type": "PER"} for a, b in ((0, 3), (8, 11))],
    },
    "Label Studio": studio({"result": [result(0, 3, "PER", text="Ann"), result(8, 11, "PER")]}),
    "Label Studio, short": {
        "text": TEXT,
        "label": [{"start": a, "end": b, "text": TEXT[a:b], "labels": ["PER"]} for a, b in ((0, 3), (8, 11))],
    },
    "CLUENER": {"text": TEXT, "label": {"PER": {"Ann": [[0, 2]], "Bob": [[8, 10]]}}},
}


@pytest.mark.parametrize("record", SHAPES.values(), ids=SHAPES)
def test_shapes_with_a_text(record):
    assert read(record) == (BOTH,)


@pytest.mark.parametrize("text_key", TEXT_KEYS)
@pytest.mark.parametrize("span_key", SPAN_KEYS)
def test_names_of_text_and_spans(text_key, span_key):
    assert read({text_key: TEXT, span_key: [list(ANN)]}) == (f"{TEXT} 0-3:PER",)


@pytest.mark.parametrize("token_key", TOKEN_KEYS)
def test_tokens(token_key):
    assert read({token_key: TOKENS, "spans": [[0, 1, "PER"]]}) == ("Ann|met|Bob 0-1:PER",)
    entity = {"start": 2, "end": 3, "type": "PER"}
    assert read({token_key: TOKENS, "entities": [entity]}) == ("Ann|met|Bob 2-3:PER",)
    assert read({token_key: TOKENS}) == ("Ann|met|Bob none",)
    for tag_key in TAG_KEYS:
        assert read({token_key: TOKENS, tag_key: ["B-PER", "I-PER", "O"]}) == ("Ann|met|Bob 0-2:PER",)
    tags = {token_key: TOKENS, "tags": ["O", "I-PER", "E-PER"]}
    assert read(tags, TagReader("BIOES", USUAL_TAGS.notation)) == (
        "Ann|met|Bob 1-3:PER",
        "inside tag without a begin tag",
    )


RELATION, CHOICE = {"type": "relation", "from_id": "a"}, {"value": {"choices": ["x"]}}
FIRST = {"result": [result(0, 3, "PER", "NAME"), RELATION, CHOICE]}
OTHER = {"result": [result(4, 7, "VERB")]}
CANCELLED = {**OTHER, "was_cancelled": True}
ELSEWHERE = {**result(0, 3, "PER"), "to_name": "title"}
OTHER_KIND = {"value": {"start": 4, "end": 7, "hypertextlabels": ["VERB"]}, "to_name": "text"}
TITLED = {"data": {"text": TEXT, "title": "A title"}, "annotations": [{"result": [ELSEWHERE, OTHER_KIND]}]}
INCLUSIVE = READ_AS.format("characters inclusive")
TOKENS_INCLUSIVE = READ_AS.format("tokens inclusive")
EMOJI = "😀😀 Ann met"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (studio(CANCELLED, FIRST), (f"{TEXT} 0-3:PER 0-3:NAME",)),
        ({"content": TEXT, "entities": [word("Ann", 0, 2), word("Bob", 8, 10)]}, (BOTH, *[INCLUSIVE] * 2)),
        (studio(FIRST, key="completions"), (f"{TEXT} 0-3:PER 0-3:NAME",)),
        (studio({"result": []}), (TEXT,)),
        (studio(), (f"{TEXT} none",)),
        (studio(CANCELLED), (" none", NOT_ACCEPTED)),
        ({"data": {"review": TEXT}, "annotations": [OTHER]}, (f"{TEXT} 4-7:VERB",)),
        (TITLED, (TEXT, OTHER_FIELD, UNLABELLED)),
        # The regions of an only text may call it as they like.
        (studio({"result": [ELSEWHERE]}), (f"{TEXT} 0-3:PER",)),
        # Offsets in UTF-16 units, as browsers count, or in characters.
        (
            studio({"result": [result(5, 8, "PER", text="Ann")]}, text=EMOJI),
            (f"{EMOJI} 3-6:PER", READ_AS.format("utf-16")),
        ),
        (studio({"result": [result(3, 6, "PER", text="Ann")]}, text=EMOJI), (f"{EMOJI} 3-6:PER",)),
        # Spans beside events, and empty lists.
        ({"text": TEXT, "entities": [list(ANN)], "events": [{"type": "x"}]}, (f"{TEXT} 0-3:PER",)),
        ({"text": TEXT, "entities": [], "label": [list(BOB)]}, (f"{TEXT} 8-11:PER",)),
        ({"text": TEXT, "entities": [], "label": []}, (TEXT,)),
        ({"text": TEXT, "events": []}, (TEXT,)),
        ({"text": TEXT, "label": {}}, (TEXT,)),
        ({"text": TEXT}, (f"{TEXT} none",)),
    ],
)
def test_records_with_a_text(record, expected):
    assert read(record) == expected


def test_event_arguments():
    def mention(word, span, role):
        return {"word": word, "span": span, "role": role}

    events = [
        {"type": "a", "mentions": [mention("Ann", [0, 3], "sub"), mention("met", [4, 7], "trigger")]},
        {"type": "b", "mentions": [mention("Ann", [0, 3], "sub"), mention("Ann", [0, 3], "obj")]},
        {"type": "c", "mentions": [mention("", None, "date")]},
        {"type": "d"},
    ]
    record = {"id": "x", "content": TEXT, "events": events}
    assert read(record) == (f"{TEXT} 0-3:sub 0-3:obj", NO_SPAN)


ALICE = ["Alice", "Smith", "met", "Bob"]
LOVE = {"text": "我们爱北京", "tokens": ["我们", "爱", "北京"]}


def place(start, end, **mention):
    return {"entities": [{"start": start, "end": end, "label": "X", **mention}]}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        # A mention beside tokens decides whether ends are inclusive.
        ({"tokens": ALICE, **place(0, 2, text="Alice Smith")}, ("0-2:X",)),
        ({"tokens": ALICE, **place(0, 1, text="Alice Smith")}, ("0-2:X", TOKENS_INCLUSIVE)),
        ({"tokens": ALICE, **place(0, 1, text="AliceSmith ")}, ("0-2:X", TOKENS_INCLUSIVE)),
        ({"tokens": ALICE, **place(3, 3, text="Bob")}, ("3-4:X", TOKENS_INCLUSIVE)),
        ({"tokens": ALICE, **place(3, 4, text="BOB")}, ("3-4:X", OTHER_MENTION)),
        ({"tokens": ALICE, **place(3, 4, entity="X")}, ("3-4:X",)),
        # Offsets of characters beside tokens.
        ({**LOVE, **place(3, 5, text="北京")}, ("2-3:X",)),
        ({"text": "我爱北京", "tokens": ["我", "爱", "北京"], **place(2, 4, text="北京")}, ("2-3:X",)),
    ],
)
def test_offsets_beside_tokens(record, expected):
    assert read(record) == (f"{'|'.join(record['tokens'])} {expected[0]}", *expected[1:])


def test_tokens_are_cut_where_a_span_begins():
    assert read({**LOVE, **place(4, 5, text="京")}) == ("我们|爱|北|京 3-4:X",)
    record = {"text": "a10mg b", "tokens": ["a10mg", "b"], **place(0, 2, text="a1")}
    assert read(record) == ("a1|0mg|b 0-1:X", CUT)


def test_spans_under_a_name_of_their_own():
    text = {"text": TEXT, "entities": [[0, 3, "COARSE"]], "fine": [[0, 3, "FINE"]]}
    tokens = {"tokens": TOKENS, "entities": [[0, 1, "COARSE"]], "fine": [[0, 1, "FINE"]]}
    assert read(text, keys=("fine",)) == (f"{TEXT} 0-3:FINE",)
    assert read(tokens, keys=("fine",)) == ("Ann|met|Bob 0-1:FINE",)
    with pytest.raises(SourceError, match="f, line 1: the tags are numbers"):
        read({**tokens, "fine": [1, 0, 0]}, keys=("fine",))


def prodigy(text, answer):
    return {"text": text, "spans": [{"start": 0, "end": 2, "label": "X"}], "answer": answer}


def by_tokens(text, answer):
    return {"tokens": text.split(), "spans": [[0, 1, "X"]], "answer": answer}


def task(text, answer):
    regions = [{"value": {"start": 0, "end": 2, "text": text[:2], "labels": ["X"]}}]
    return studio({"was_cancelled": answer != "accept", "result": regions}, text=text)


@pytest.mark.parametrize("record", [prodigy, by_tokens, task])
@pytest.mark.parametrize(
    ("answers", "counts"),
    [
        ("aria", {"Ab saw 0": 0, "Ab saw 3": 2}),
        ("ra", {"Ab saw 1": 1}),
        ("aaii", {"Ab saw 0": 0, "Ab saw 1": 2}),
        ("r", {}),
    ],
)
def test_records_that_were_not_accepted_are_left_out_and_counted(tmp_path, record, answers, counts):
    full = {"a": "accept", "r": "reject", "i": "ignore"}
    rows = [record(f"Ab saw {number}", full[answer]) for number, answer in enumerate(answers)]
    path = write(tmp_path / "a.jsonl", lines(*rows))
    read = [(" ".join(one.tokens), one.repairs.count(NOT_ACCEPTED)) for one in json_reader(path)()]
    assert dict(read) == counts
    assert len(read) == answers.count("a")


ODD_SPANS = ("x", 3, [0, 1], {"span": [0], "label": "x"}, [0, 1.5, "x"], ["0", 1, "x"], {"start": 0})
CUT_SHORT = {"start": 2, "end": 4, "label": "x", "word": "cd"}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "expected an object with text and spans, found 3"),
        (["a", "b", "c"], "expected an object with text and spans"),
        ({}, "expected a text (text, content, sentence, data) or tokens"),
        ({"body": "a"}, "found the keys body"),
        *(
            ({**words, "spans": [span]}, "expected [start, end, label] or an object with")
            for words in ({"text": "a"}, {"tokens": ["a"]})
            for span in ODD_SPANS
        ),
        ({"text": "a", "spans": [{"start": 0, "end": 1}]}, "a label, found {'start': 0, 'end': 1}"),
        ({"text": "a", "spans": [[0, 2, "x"]]}, "'x' at [0, 2) lies outside the text of 1 characters"),
        ({"text": "ab", "spans": [[1, 1, "x"]]}, "'x' at [1, 1) lies outside"),
        (
            {"text": "abcd", "spans": [{**CUT_SHORT, "start": 1}]},
            "offsets [1, 4) of 'x' hold 'bcd', expected 'cd'",
        ),
        ({"tokens": ["a"], "tags": ["O", "O"]}, "1 tokens and 2 tags"),
        ({"tokens": ["a"], "ner_tags": [0]}, "the tags are numbers"),
        ({"tokens": ["a"], "tags": ["x"]}, "tag 'x' is not of scheme IOB2"),
        ({"tokens": ["a"], "spans": [[0, 2, "x"]]}, "'x' at tokens [0, 2) lies outside the sentence of 1"),
        (
            {"text": "a cd", "tokens": ["a", "b"], "spans": [CUT_SHORT]},
            "the offsets count characters of a text",
        ),
        ({"data": 3, "annotations": []}, "expected a text in data, found 3"),
        (studio(3), "expected a list of objects, found 3 in it"),
        (studio({"result": [3]}), "expected a list of objects, found 3 in it"),
        ({"text": "a", "events": [3]}, "expected a list of objects, found 3 in it"),
        ({"text": "a", "label": {"x": 3}}, 'expected "label" as'),
    ],
)
def test_a_broken_record_is_named(record, message):
    with pytest.raises(SourceError) as caught:
        read(record)
    assert str(caught.value).startswith("f, line 1: ")
    assert message in str(caught.value)


INNER_KEYS = ("start", "end", "span", "data", "annotations", "result", "value", "events", "mentions", "word")
keys = st.sampled_from([*TEXT_KEYS, *TOKEN_KEYS, *TAG_KEYS, *SPAN_KEYS, *LABEL_KEYS, *INNER_KEYS])
values = st.recursive(
    st.booleans() | st.integers(-1, 3) | st.floats(0, 2) | st.sampled_from([None, "", "ab", "x", "O", "B-x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values | st.dictionaries(keys, values, min_size=1, max_size=4))
def test_any_value_is_a_record_or_an_error(value):
    sentence = record_or_message(value)
    if isinstance(sentence, str):
        assert sentence.startswith("here: ")
        return
    length = len(sentence.tokens or sentence.text)
    assert all(0 <= span.start < span.end <= length for span in sentence.spans or ())
    assert all(isinstance(span.label, str) for span in sentence.spans or ())


def record_or_message(value):
    try:
        return read_record(value, "here")
    except SourceError as error:
        return str(error)


RECORDS = [{"text": "Ann ran.", "spans": [[0, 3, "PER"]]}, {"text": "Bob", "spans": []}]
EXPECTED = ["Ann|ran|. 0-1:PER", "Bob"]


def read_file(path, **options):
    return [*map(compact, json_reader(path, ReadingOptions(**options))())]


def lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


LAYOUTS = {
    "lines": lines(*RECORDS),
    "BOM and CRLF": "\ufeff\r\n" + lines(*RECORDS).replace("\n", "\r\n\r\n"),
    "list": json.dumps(RECORDS),
    "indented": json.dumps(RECORDS, indent=1),
    "object": json.dumps({"version": 1, "data": RECORDS}, indent=2),
    "spaCy lines": lines(*([r["text"], {"entities": r["spans"]}] for r in RECORDS)),
    "spaCy list": json.dumps([[r["text"], {"entities": r["spans"]}] for r in RECORDS]),
}


@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_files(tmp_path, text):
    path = write(tmp_path / "a.json", text)
    assert detect_format(path) == "json"
    assert read_file(path) == EXPECTED


def test_the_script_decides_on_characters(tmp_path):
    path = write(tmp_path / "a.jsonl", lines({"text": "在 北京", "label": [[2, 4, "loc"]]}))
    assert read_file(path) == ["在| |北|京 2-4:loc"]
    assert read_file(path, characters=False) == ["在|北京 1-2:loc"]
    english = write(tmp_path / "b.jsonl", lines(*RECORDS))
    assert read_file(english, characters=True)[0] == "A|n|n| |r|a|n|. 0-3:PER"


def test_numbers_need_names(tmp_path):
    path = write(tmp_path / "a.jsonl", lines({"tokens": ["a", "b"], "ner_tags": [1, 0]}))
    assert read_file(path, tag_names=("O", "B-x")) == ["a|b 0-1:x"]
    with pytest.raises(SourceError, match=r"a\.jsonl, line 1: the tags are numbers"):
        read_file(path)


def test_escaped_pairs_are_characters(tmp_path):
    text = '{"text": "\\ud83d\\ude00\\u4e2d", "label": {"x": {"\\u4e2d": [[1, 1]]}}}'
    assert read_file(write(tmp_path / "a.json", text)) == ["😀|中 1-2:x"]


SPANS = {"text": TEXT, "entities": [list(ANN)]}
GOLD = {"text": TEXT, "label": [list(ANN)], "spans": [list(BOB)]}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"version": 1, "data": [SPANS]}),
        json.dumps({"examples": [SPANS]}),
        json.dumps({"classes": ["PER"], "annotations": [[TEXT, {"entities": [list(ANN)]}], None]}),
        lines({"text": TOKENS, "labels": ["B-PER", "O", "O"]}, {"text": ["No"], "labels": ["O"]}),
        lines({**SPANS, "labels": ["sports"]}, {"text": "No", "entities": [], "labels": ["sports"]}),
        lines({"text": TEXT, "spans": [list(ANN)], "answer": "accept"}, {"text": "No", "answer": "accept"}),
        json.dumps([{**SPANS, "annotation_id": 1}, {"text": "No", "annotation_id": 2}]),
        lines({**SPANS, "spans": [list(BOB)]}),  # "entities" is the name that the field has for them
        lines({"text": TEXT, "entities": [{"start": 0, "end": 3, "label": "B-PER"}, [4, 7, "I-PER"]]}),
    ],
)
def test_forms_of_files(tmp_path, text):
    """Each holds one sentence with one entity, and perhaps another without."""
    first, *others = read_file(write(tmp_path / "a.json", text))
    assert first in ("Ann|met|Bob 0-1:PER", "Ann|met|Bob 0-2:PER")
    assert others in ([], ["No"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"train": [SPANS], "test": [SPANS]}), "the lists train, test all hold records"),
        (lines(GOLD), "tag_column='spans' or tag_column='label'"),
        (json.dumps([{**SPANS, "annotator": name} for name in (1, 2)]), "annotated by 1, 2.*annotator="),
        (
            json.dumps(
                [studio({"result": [result(*ANN)], "completed_by": 1}, {"result": [], "completed_by": 2})]
            ),
            "annotated differently by 1, 2.*annotator=",
        ),
        (
            json.dumps([studio({"result": [result(*ANN)]}, {"result": []})]),
            "an unnamed annotator, an unnamed annotator. Mark one of them as ground truth",
        ),
    ],
)
def test_what_is_asked_for(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        read_file(write(tmp_path / "a.json", text))


def test_what_is_asked_for_can_be_said(tmp_path):
    gold = write(tmp_path / "a.json", lines(GOLD))
    assert read_file(gold, tag_column="label") == ["Ann|met|Bob 0-1:PER"]
    done = [
        {"result": [], "completed_by": 1},
        {"result": [result(*ANN)], "completed_by": {"id": 2, "email": "b@x"}},
    ]
    tasks = write(tmp_path / "b.json", json.dumps([studio(*done), studio(done[0], text="left out")]))
    assert read_file(tasks, annotator="b@x") == read_file(tasks, annotator="2") == ["Ann|met|Bob 0-1:PER"]
    done[1]["ground_truth"] = True
    truth = write(tmp_path / "c.json", json.dumps([studio(*done)]))
    assert read_file(truth) == read_file(truth, annotator="1") == ["Ann|met|Bob 0-1:PER"]
    odd = write(tmp_path / "d.json", lines({"frase": TOKENS, "oro": ["B-PER", "O", "O"]}))
    assert read_file(odd, token_column="frase", tag_column="oro") == ["Ann|met|Bob 0-1:PER"]
    body = write(tmp_path / "e.json", lines({"body": TEXT, "text": "x", "marks": [list(ANN)]}))
    assert read_file(body, token_column="body", tag_column="marks") == ["Ann|met|Bob 0-1:PER"]
    with pytest.raises(SourceError, match="no list of tokens and no text 'frase', which token_column= names"):
        read_file(body, token_column="frase")


def test_a_discontinuous_span_gives_way_to_a_whole_one_of_its_label(tmp_path):
    gaps = {"type": "X", "text": ["a", "d"], "offsets": [[0, 1], [6, 7]]}
    whole = {"type": "X", "text": ["c d"], "offsets": [[4, 7]]}
    path = write(tmp_path / "a.json", lines({"text": "a b c d", "entities": [gaps, whole]}))
    source = load_source(path)
    assert [row["ner_tags"] for rows in source.dataset.values() for row in rows] == [["O", "O", "B-X", "I-X"]]
    assert source.repairs == {DISCONTINUOUS: 1}
    assert source.summary.dropped == {
        "discontinuous, with another of its label between or across its parts": 1
    }


def test_records_of_several_shapes_in_one_file_keep_their_spans(tmp_path):
    records = [
        {"text": "Osk fell", "label": [[0, 3, "LOC"]]},
        {"text": "In Osk", "entities": [{"start": 3, "end": 6, "label": "LOC"}]},
        {"text": "It fell", "spans": []},
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, records)))
    found = [([(s.start, s.end, s.label) for s in one.spans], one.repairs) for one in json_reader(path)()]
    assert found == [([(0, 1, "LOC")], []), ([(1, 2, "LOC")], []), ([], [])]
