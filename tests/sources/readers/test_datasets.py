"""Datasets in the layouts met on the Hub, read row by row."""

from __future__ import annotations

import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value

from corpora import compact
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.datasets import reader_of

NAMES = ["O", "B-PER", "I-PER", "B-人名", "I-人名"]
TOKENS = [["Ann", "Lee", "ran"], ["ran"], ["ran", "李"]]
TAGS = [[1, 2, 0], [0], [0, 3]]
STRINGS = [[NAMES[tag] for tag in row] for row in TAGS]
EXPECTED = ["Ann|Lee|ran 0-2:PER", "ran", "ran|李 1-2:人名"]
TEXT, TEXTS, IDS = Value("string"), List(Value("string")), List(ClassLabel(names=NAMES))


def tagged(words, tags, feature=IDS, tokens=TEXTS, token_column="tokens", tag_column="ner_tags"):
    features = Features({token_column: tokens, tag_column: feature})
    return Dataset.from_dict({token_column: words, tag_column: tags}, features)


def spanned(texts, entities, label="label", kind=TEXT, text_column="text", span_column="entities"):
    """Return rows of texts or tokens with spans as triples."""
    struct = {"start": Value("int64"), "end": Value("int64"), label: kind}
    words = TEXT if isinstance(texts[0], str) else TEXTS
    features = Features({text_column: words, span_column: List(struct)})
    rows = [spans and [dict(zip(struct, span, strict=True)) for span in spans] for spans in entities]
    return Dataset.from_dict({text_column: texts, span_column: rows}, features)


def labelled(label):
    """Return a row with a span whose label is a number."""
    return spanned(["上海"], [[(0, 2, label)]], kind=ClassLabel(names=["loc", "org"]))


def out_of_range():
    """Return rows of which one holds a tag id that its feature has no name for."""
    storage = tagged([["a"], ["b"]], [[0], [9]], feature=List(Value("int64"))).data
    features = Features({"tokens": TEXTS, "ner_tags": IDS})
    return Dataset(storage.table.replace_schema_metadata(None)).cast(features)


def read(dataset, **options):
    return [*map(compact, reader_of(dataset, "corpus, split train", ReadingOptions(**options))())]


STRING_KINDS = [kind(text) for kind in (List, LargeList) for text in (TEXT, Value("large_string"))]


@pytest.mark.parametrize(
    "dataset",
    [
        *(
            tagged(TOKENS, TAGS, tag_column=n)
            for n in ("ner_tags", "ner", "tags", "labels", "named_entities")
        ),
        tagged(TOKENS, TAGS, token_column="words"),
        *(tagged(TOKENS, TAGS).with_format(kind) for kind in ("numpy", "torch")),
        tagged(TOKENS, TAGS).with_format(None, columns=["ner_tags"]),
        *(tagged(TOKENS, STRINGS, tokens=kind, feature=kind) for kind in STRING_KINDS),
    ],
)
def test_token_and_tag_columns(dataset):
    assert read(dataset) == EXPECTED


def test_columns_and_scheme_can_be_named():
    dataset = tagged([["a", "b"]], [["B-x", "I-x"]], feature=TEXTS, tag_column="mine")
    assert read(dataset, tag_column="mine") == ["a|b 0-2:x"]
    assert read(dataset, tag_column="mine", scheme="none") == ["a|b 0-1:B-x 1-2:I-x"]


def test_the_row_and_the_repairs_of_a_sentence():
    sentences = list(reader_of(tagged([["a"], [], ["b"]], [[2], [], [0]]), "corpus, split train")())
    assert [s.where for s in sentences] == ["corpus, split train, row 0", "corpus, split train, row 2"]
    assert (compact(sentences[0]), sentences[0].repairs) == ("a 0-1:PER", [])


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
        (tagged([["a", "b"], ["c"]], [["B-x", "I-x"], ["y"]], feature=TEXTS), "row 1: tag 'y' is not of"),
        (out_of_range(), "row 1, column 'ner_tags': tag id 9 is none of the 5 ids"),
        (labelled(-1), "row 0: tag id -1 is none of the 2 ids"),
        (labelled(None), "row 0: expected [start, end, label] or an object with"),
        (spanned(["ab"], [[(-1, 1, "x")]]), "row 0: 'x' at [-1, 1) lies outside the text of 2 characters"),
        (spanned(["ab", "c"], [[], [(0, None, "x")]]), "row 1: expected [start, end, label] or an object"),
    ],
)
def test_a_broken_row_is_named(dataset, message):
    with pytest.raises(SourceError) as caught:
        read(dataset)
    assert message in str(caught.value)


@pytest.mark.parametrize("label", ["label", "type", "entity_group"])
@pytest.mark.parametrize("column", ["entities", "spans"])
def test_spans(label, column):
    spans = [[(0, 2, "loc"), (0, 3, "x")], [], [], None]
    dataset = spanned(["上海好", "b", "", "a b"], spans, label, text_column="sentence", span_column=column)
    sentences = list(reader_of(dataset, "corpus")())
    assert [*map(compact, sentences)] == ["上|海|好 0-2:loc 0-3:x", "b", "a| |b"]
    assert [sentence.spans is None for sentence in sentences] == [False, False, True]
    tokens = spanned([["Ann", "Lee"]], [[(0, 2, "PER")]], label, text_column="tokens", span_column=column)
    assert read(tokens) == ["Ann|Lee 0-2:PER"]


def test_documents_of_sentences():
    sentence = {"words": TEXTS, "named_entities": IDS}
    features = Features({"document_id": TEXT, "sentences": List(sentence)})
    rows = [{"words": words, "named_entities": tags} for words, tags in zip(TOKENS, TAGS, strict=True)]
    parts = (rows, [], [{"words": ["x", "y"], "named_entities": [1]}])
    dataset = Dataset.from_list([{"document_id": "a", "sentences": part} for part in parts], features)
    assert read(dataset.select([0, 1])) == EXPECTED
    places = [s.where for s in reader_of(dataset.select([0]), "corpus")()]
    assert places[-1] == "corpus, row 0, sentence 2"
    with pytest.raises(SourceError, match="row 2, sentence 0: 2 tokens and 1 tags"):
        read(dataset)


@pytest.mark.parametrize("named", [True, False])
def test_a_struct_of_lists(named):
    label = TEXT if named else ClassLabel(names=["loc", "org"])
    spans = {"start": List(Value("int64")), "end": List(Value("int64")), "label": List(label)}
    rows = [
        {"text": "上海好", "spans": {"start": [0, 0], "end": [2, 3], "label": ["loc", "org"]}},
        {"text": "无", "spans": {"start": [], "end": [], "label": []}},
    ]
    dataset = Dataset.from_list(rows, Features({"text": TEXT, "spans": spans}))
    assert read(dataset) == ["上|海|好 0-2:loc 0-3:org", "无"]
    assert read(labelled(1)) == ["上|海 0-2:org"]
    uneven = [{"text": "好", "spans": {"start": [0], "end": [1, 2], "label": ["loc"]}}]
    with pytest.raises(SourceError, match="row 0: the fields of the spans are lists of different lengths"):
        read(Dataset.from_list(uneven, dataset.features))


@pytest.mark.parametrize(
    ("tags", "shown"),
    [([["1", "0"]], "'1', '0'"), ([["NNP", "VB"]], "'NNP', 'VB'"), ([["-", "PER"]], "'-', 'PER'")],
)
def test_tags_that_are_none_of_entities(tags, shown):
    dataset = tagged([["Ann", "ran"]], tags, feature=TEXTS)
    message = f"expected tags of entities, with 'O' for what is none, found {shown}"
    with pytest.raises(SourceError, match=message):
        read(dataset)
    assert read(dataset, scheme="none")[0].count(":") == 2
    with pytest.raises(SourceError, match="found '1', '0'"):
        read(tagged([["Ann", "ran"]], [[1, 0]], feature=List(ClassLabel(num_classes=2))))


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
