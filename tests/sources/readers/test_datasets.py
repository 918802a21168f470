"""Datasets in the layouts met on the Hub, read row by row."""

from __future__ import annotations

import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.datasets import reader_of
from esnera_hf.tagging import Entity

NAMES = ["O", "B-PER", "I-PER", "B-人名", "I-人名"]
TOKENS = [["Ann", "Lee", "ran"], ["ran"], ["ran", "李"]]
TAGS = [[1, 2, 0], [0], [0, 3]]
EXPECTED = [
    (["Ann", "Lee", "ran"], [(0, 2, "PER")]),
    (["ran"], []),
    (["ran", "李"], [(1, 2, "人名")]),
]


def tagged(tokens, tags, *, feature=None, token_column="tokens", tag_column="ner_tags"):
    feature = feature or List(ClassLabel(names=NAMES))
    features = Features({token_column: List(Value("string")), tag_column: feature})
    return Dataset.from_dict({token_column: tokens, tag_column: tags}, features)


def spanned(texts, entities, label="label", text_column="text", span_column="entities"):
    struct = {"start": Value("int64"), "end": Value("int64"), label: Value("string")}
    features = Features({text_column: Value("string"), span_column: List(struct)})
    rows = [
        spans and [dict(zip(("start", "end", label), span, strict=True)) for span in spans]
        for spans in entities
    ]
    return Dataset.from_dict({text_column: texts, span_column: rows}, features)


def out_of_range():
    """Return rows of which one holds a tag id that its feature has no name for."""
    storage = tagged([["a"], ["b"]], [[0], [9]], feature=List(Value("int64"))).data
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=NAMES))})
    return Dataset(storage.table.replace_schema_metadata(None)).cast(features)


def labelled(label):
    """Return a row with a span whose label is a number."""
    span = {"start": Value("int64"), "end": Value("int64"), "label": ClassLabel(names=["loc", "org"])}
    rows = [{"text": "上海", "entities": [{"start": 0, "end": 2, "label": label}]}]
    return Dataset.from_list(rows, Features({"text": Value("string"), "entities": List(span)}))


def read(dataset, **options):
    return [
        (s.tokens, s.spans and [(e.start, e.end, e.label) for e in s.spans])
        for s in reader_of(dataset, "corpus, split train", ReadingOptions(**options))()
    ]


STRINGS = [[NAMES[tag] for tag in row] for row in TAGS]


@pytest.mark.parametrize(
    "dataset",
    [
        *(
            tagged(TOKENS, TAGS, tag_column=name)
            for name in ("ner_tags", "ner", "tags", "labels", "named_entities")
        ),
        tagged(TOKENS, TAGS, token_column="words"),
        tagged(TOKENS, TAGS).with_format("numpy"),
        tagged(TOKENS, TAGS).with_format("torch"),
        tagged(TOKENS, TAGS).with_format(None, columns=["ner_tags"]),
        *(
            Dataset.from_dict(
                {"tokens": TOKENS, "ner_tags": STRINGS},
                Features(dict.fromkeys(("tokens", "ner_tags"), kind(string))),
            )
            for kind in (List, LargeList)
            for string in (Value("string"), Value("large_string"))
        ),
    ],
)
def test_token_and_tag_columns(dataset):
    assert read(dataset) == EXPECTED


def test_columns_and_scheme_can_be_named():
    dataset = tagged([["a", "b"]], [["B-x", "I-x"]], feature=List(Value("string")), tag_column="mine")
    assert read(dataset, tag_column="mine") == [(["a", "b"], [(0, 2, "x")])]
    assert read(dataset, tag_column="mine", scheme="none") == [(["a", "b"], [(0, 1, "B-x"), (1, 2, "I-x")])]


def test_the_row_and_the_repairs_of_a_sentence():
    sentences = list(reader_of(tagged([["a"], [], ["b"]], [[2], [], [0]]), "corpus, split train")())
    assert [s.where for s in sentences] == ["corpus, split train, row 0", "corpus, split train, row 2"]
    assert sentences[0].spans == [Entity(0, 1, "PER")]
    assert sentences[0].repairs == []


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (tagged([["a"], ["a", "b"]], [[0], [0]]), "corpus, split train, row 1: 2 tokens and 1 tags"),
        (tagged([["a"], ["a"]], [[0], [-1]]), "row 1, column 'ner_tags': tag id -1 is none of the 5 ids"),
        (tagged([["a"]], [[]]), "row 0: 1 tokens and 0 tags"),
        (tagged([["a"]], [None]), "row 0: a value is missing in column 'ner_tags'"),
        (tagged([["a"]], [[None]]), "row 0: a value is missing in column 'ner_tags'"),
        (tagged([None], [[0]]), "row 0: a value is missing in column 'tokens'"),
        (tagged([["a", None]], [[0, 0]]), "row 0: a value is missing in column 'tokens'"),
        (
            tagged([["a", "b"], ["c"]], [["B-x", "I-x"], ["y"]], feature=List(Value("string"))),
            "row 1: tag 'y' is not of scheme IOB2",
        ),
        (out_of_range(), "row 1, column 'ner_tags': tag id 9 is none of the 5 ids"),
        (labelled(-1), "row 0: tag id -1 is none of the 2 ids"),
        (labelled(None), "row 0: expected [start, end, label] or an object with"),
        (spanned(["ab"], [[(-1, 1, "x")]]), "row 0: 'x' at [-1, 1) lies outside the text of 2 characters"),
        (
            spanned(["ab", "c"], [[], [(0, None, "x")]]),
            "row 1: expected [start, end, label] or an object with",
        ),
    ],
)
def test_a_broken_row_is_named(dataset, message):
    with pytest.raises(SourceError) as caught:
        read(dataset)
    assert message in str(caught.value)


@pytest.mark.parametrize("label", ["label", "type", "entity_group"])
@pytest.mark.parametrize("span_column", ["entities", "spans"])
def test_character_spans(label, span_column):
    dataset = spanned(
        ["上海好", "b", ""], [[(0, 2, "loc"), (0, 3, "x")], [], []], label, "sentence", span_column
    )
    assert read(dataset) == [(list("上海好"), [(0, 2, "loc"), (0, 3, "x")]), (["b"], [])]


def test_other_spans():
    assert read(spanned(["a b"], [None])) == [(["a", "b"], None)]
    assert read(labelled(1)) == [(["上", "海"], [(0, 2, "org")])]
    span = {"start": Value("int64"), "end": Value("int64"), "type": Value("string")}
    features = Features({"tokens": List(Value("string")), "entities": List(span)})
    rows = [{"tokens": ["Ann", "Lee", "ran"], "entities": [{"start": 0, "end": 2, "type": "PER"}]}]
    assert read(Dataset.from_list(rows, features)) == [(["Ann", "Lee", "ran"], [(0, 2, "PER")])]


def test_documents_of_sentences():
    sentence = {"words": List(Value("string")), "named_entities": List(ClassLabel(names=NAMES))}
    features = Features({"document_id": Value("string"), "sentences": List(sentence)})
    rows = [{"words": words, "named_entities": tags} for words, tags in zip(TOKENS, TAGS, strict=True)]
    broken = [{"words": ["x", "y"], "named_entities": [1]}]
    documents = [{"document_id": "a", "sentences": part} for part in (rows, [], broken)]
    dataset = Dataset.from_list(documents, features)
    assert read(dataset.select([0, 1])) == EXPECTED
    places = [s.where for s in reader_of(dataset.select([0]), "corpus")()]
    assert places[-1] == "corpus, row 0, sentence 2"
    with pytest.raises(SourceError, match="row 2, sentence 0: 2 tokens and 1 tags"):
        read(dataset)


@pytest.mark.parametrize("named", [True, False])
def test_a_struct_of_lists(named):
    label = Value("string") if named else ClassLabel(names=["loc", "org"])
    spans = {"start": List(Value("int64")), "end": List(Value("int64")), "label": List(label)}
    rows = [
        {"text": "上海好", "spans": {"start": [0, 0], "end": [2, 3], "label": ["loc", "org"]}},
        {"text": "无", "spans": {"start": [], "end": [], "label": []}},
    ]
    dataset = Dataset.from_list(rows, Features({"text": Value("string"), "spans": spans}))
    assert read(dataset) == [(list("上海好"), [(0, 2, "loc"), (0, 3, "org")]), (["无"], [])]
    uneven = [{"text": "好", "spans": {"start": [0], "end": [1, 2], "label": ["loc"]}}]
    with pytest.raises(SourceError, match="row 0: the fields of the spans are lists of different lengths"):
        read(Dataset.from_list(uneven, dataset.features))


@pytest.mark.parametrize(
    ("tags", "shown"),
    [([["1", "0"]], "'1', '0'"), ([["NNP", "VB"]], "'NNP', 'VB'"), ([["b-per", "o"]], "'b-per', 'o'")],
)
def test_tags_that_are_none_of_entities(tags, shown):
    dataset = tagged([["Ann", "ran"]], tags, feature=List(Value("string")))
    with pytest.raises(
        SourceError, match=f"expected tags of entities, with 'O' for what is none, found {shown}"
    ):
        read(dataset)
    assert len(read(dataset, scheme="none")[0][1]) == 2
    numbers = List(ClassLabel(num_classes=2))
    with pytest.raises(SourceError, match="found '1', '0'"):
        read(tagged([["Ann", "ran"]], [[1, 0]], feature=numbers))


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["a"], "label": [1]},
        {"tokens": [["a"]], "ner_tags": [[0]]},
        {"tokens": ["a"], "ner_tags": [["O"]]},
        {"tokens": [["a"]], "pos": [["NN"]]},
    ],
)
def test_other_columns(columns):
    with pytest.raises(SourceError) as caught:
        read(Dataset.from_dict(columns))
    assert str(caught.value).startswith("corpus, split train: expected a column of tokens (tokens, words, ")
    assert all(repr(name) in str(caught.value) for name in columns)
    assert str(caught.value).endswith("numbers without names need tag_names=.")


def test_numbers_need_names():
    dataset = tagged(TOKENS, TAGS, feature=List(Value("int64")))
    assert read(dataset, tag_names=NAMES) == EXPECTED
    with pytest.raises(SourceError, match="numbers without names need tag_names="):
        read(dataset)
    with pytest.raises(SourceError, match="row 2, column 'ner_tags': tag id 3 is none of the 3 ids"):
        read(dataset, tag_names=NAMES[:3])
