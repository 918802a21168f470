"""Every format: sentences survive, damage is counted, and errors name file and line."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import LABELS, PREFIXED_SCHEMES, annotated, bracket_rows, encode, sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import FORMATS, ReadingOptions
from esnera_hf.sources.readers.text import UNDECODABLE
from esnera_hf.tagging import Entity

PLAIN_LABELS = ("PER", "GPE.NOM", "art-film", "人名")
LONG = "x" * 10_000_000


def read(path, form, **options):
    return list(file_reader([path], ReadingOptions(format=form, **options))())


def columns(tokens, entities, scheme):
    tags = encode(len(tokens), entities, scheme)
    return "".join(f"{token}\t{tag}\n" for token, tag in zip(tokens, tags, strict=True)) + "\n"


def slashed(tokens, entities, scheme):
    return " ".join(map("/".join, zip(tokens, encode(len(tokens), entities, scheme), strict=True))) + "\n"


def tags(tokens, entities, scheme):
    return json.dumps({"tokens": tokens, "ner_tags": encode(len(tokens), entities, scheme)}) + "\n"


def token_spans(tokens, entities, scheme):
    return json.dumps({"tokens": tokens, "spans": [[e.start, e.end, e.label] for e in entities]}) + "\n"


def cluener(tokens, entities, scheme):
    label = {}
    for e in entities:
        surface = "".join(tokens[e.start : e.end])
        label.setdefault(e.label, {}).setdefault(surface, []).append([e.start, e.end - 1])
    return json.dumps({"text": "".join(tokens), "label": label}, ensure_ascii=False) + "\n"


def boson(tokens, entities, scheme):
    pieces = list(tokens)
    for e in entities:
        pieces[e.start] = f"{{{{{e.label}:{pieces[e.start]}"
        pieces[e.end - 1] += "}}"
    return "".join(pieces) + "\n"


def brackets(tokens, entities, scheme):
    cells = ["*"] * len(tokens)
    for e in entities:
        cells[e.start] = f"({e.label}" + cells[e.start]
        cells[e.end - 1] += ")"
    return bracket_rows(*zip(tokens, cells, strict=True)) + "\n"


ODD_TOKENS = (
    *("\u200b", "\u202eab\u202c", "\u2066x\u2069", "e\u0301\u0323", "Z\u0351\u036b\u0343"),
    *("\U0001f468\u200d\U0001f469", "\U0001f1e9\U0001f1ea", "\ufeffa", "a\u2028b", "a\x85b", "\x1b[31m"),
    *("\x07", "\u3164", "=1+1", "../../x", "\ufffe"),
)
ODD_CHARACTERS = st.sampled_from("ab#北é。\u2028\u0085\u3000\u00a0\v")
ODD_TEXT = st.sampled_from(ODD_TOKENS) | st.text(ODD_CHARACTERS, min_size=1, max_size=3)
CHARACTERS = st.sampled_from("北京ab:：。")
WRITERS = [
    *(("columns", columns, ODD_TEXT, PLAIN_LABELS, scheme) for scheme in PREFIXED_SCHEMES),
    *(("slashed", slashed, st.sampled_from(["a", "b/c", "北"]), PLAIN_LABELS, s) for s in PREFIXED_SCHEMES),
    *(("json", tags, st.sampled_from(["a", "北", "\u2028"]), LABELS, scheme) for scheme in PREFIXED_SCHEMES),
    ("json", token_spans, st.sampled_from(["a", "北", "", *ODD_TOKENS]), LABELS, ""),
    ("cluener", cluener, CHARACTERS, LABELS, ""),
    ("boson", boson, CHARACTERS, PLAIN_LABELS, ""),
    ("brackets", brackets, st.sampled_from(["a", "北", "(", "*"]), PLAIN_LABELS, ""),
]


@pytest.mark.parametrize(
    ("form", "written", "tokens", "labels", "scheme"),
    WRITERS,
    ids=lambda value: getattr(value, "__name__", None),
)
@given(data=st.data(), end=st.sampled_from(["\n", "\r\n"]), mark=st.sampled_from(["", "\ufeff"]))
def test_sentences_survive(tmp_path_factory, form, written, tokens, labels, scheme, data, end, mark):
    corpus = data.draw(st.lists(annotated(tokens, labels), min_size=1, max_size=3))
    corpus = [(["x", "."], []), *corpus]
    text = "".join(written(*sentence, scheme) for sentence in corpus)
    path = write(tmp_path_factory.getbasetemp() / "survive.txt", mark + text.replace("\n", end))
    # Random tokens and spans look like no text: how offsets count is stated.
    found = read(path, form, **({"offsets": "tokens"} if written is token_spans else {}))
    assert [(s.tokens, sorted(s.spans), s.repairs) for s in found] == [(t, e, []) for t, e in corpus]


@pytest.mark.parametrize(
    ("form", "content", "expected"),
    [
        ("columns", b"\xff\tO\n\xfe\tB-X\n\nb\tO\n\n\xff\tO\n", {1: [UNDECODABLE], 4: [], 6: [UNDECODABLE]}),
        ("slashed", b"a/o\n\n\xff/nr\n", {1: [], 3: [UNDECODABLE]}),
        ("boson", b"\xef\xbb\xbf{{a:x}}\r\n\r\n \n\xff{{a:y}}\n", {1: [], 4: [UNDECODABLE]}),
        ("brackets", bracket_rows(("?", "(X)")).encode().replace(b"?", b"\xff"), {1: [UNDECODABLE]}),
        ("json", b'{"text": "a"}\n{"text": ""}\n{"text": "\xff"}', {1: [], 3: [UNDECODABLE]}),
    ],
)
def test_damaged_bytes_are_counted_by_sentence(tmp_path, form, content, expected):
    found = read(write(tmp_path / "a.txt", content), form)
    assert {sentence.where: sentence.repairs for sentence in found} == {
        f"a.txt, line {line}": repairs for line, repairs in expected.items()
    }


SEPARATOR = "expected 2 columns as in the lines before, found"
HERE = {"start": 0, "end": 1, "label": LONG}
LABEL_FORM = 'expected "label" as'
BROKEN = [
    ("columns", "a\tO\nb\n", f"line 2: {SEPARATOR} 1"),
    ("columns", "a\tB-X\n#wow\nb\tO\n", f"line 2: {SEPARATOR} 1"),
    ("columns", "#MeToo\nis\tO\nAnn\tB-PER\n", f"line 1: {SEPARATOR} 1"),
    ("columns", "a O\n\nb B-X\nc d O\n", f"line 4: {SEPARATOR} 3"),
    ("columns", "w\tB-x\n" + "w\t" * 999_999 + "O\n", f"line 2: {SEPARATOR} 1000000"),
    ("columns", "a B-X B-X\nb O O\nc B-Y I-Y\nd B-Y B-Y\n", ", column of tags: 2 readings fit"),
    ("columns", "a\tB-X\nb\tI-X\nc\tLOC\nd\tO\n", "line 3: tag 'LOC' is not of scheme IOB2"),
    ("columns", "a\tB-X\nb\tI-X\nc\tS-X\nd\tM-X\ne\tO\n", "line 4: tag 'M-X' is not of scheme BIOES"),
    ("columns", "a\tA\tO\nb\tB\tB-X\nc\tB-A\tO\nd\tA\tX\n", "line 4: tag 'X' is not of scheme IOB2"),
    *(
        ("columns", text, ": no known format. Expected token and tag columns")
        for text in ("just\nwords\n", "\n\n", "a film\t1\na bad film\t0\n", "It was late and\nno\n", "\ufeff")
    ),
    ("columns", f"a\tB-x\nb\tO\nc\t{LONG}\n", "line 3: tag "),
    ("slashed", "a/B-x\n中国\n", "line 2: expected token/tag pairs, found '中国'"),
    ("slashed", "a/B-x\n中国/\n", "line 2: expected token/tag pairs"),
    ("slashed", "a/B-x\n/ns\n", "line 2: expected token/tag pairs"),
    ("slashed", LONG, "line 1: expected token/tag pairs"),
    ("boson", "好\n在{{location:北京\n", "line 2: '{{location:' is never closed by '}}'"),
    ("boson", "{{a:x{{b:y}}", "line 1: '{{a:' is never closed by '}}'"),
    ("boson", "在北京}}", "line 1: '}}' closes no '{{label:' at '在北京}}'"),
    ("boson", "{{a:x}}}}", "line 1: '}}' closes no '{{label:' at '{{a:x}}}}'"),
    ("boson", "{{location北京}}", "line 1: '}}' closes no '{{label:'"),
    ("boson", "{{:北京}}", "line 1: '}}' closes no '{{label:'"),
    ("boson", f"a{{{{{LONG}:b", "line 1: "),
    ("boson", f"{LONG}}}}}", "line 1: '}}' closes no"),
    ("brackets", bracket_rows(("a", "(X*"), ("b", "*")), "line 1: '(X' is not closed in its sentence"),
    ("brackets", bracket_rows(("a", "*"), ("b", "*)")), "line 2: ')' closes no entity of its sentence"),
    ("brackets", bracket_rows(("a", "B-X")), "line 1: expected an entity in brackets such as (GPE*, * or *)"),
    ("brackets", bracket_rows(("a", "*")) + "b * *\n", "line 2: expected at least 11 columns, found 3"),
    ("brackets", f"d 0 0 a NN * - - - - {LONG}", "line 1: "),
    ("json", '{"text": "a"}\n{"text": \n', "line 2: expected a JSON record, found '{\"text\": '"),
    ("json", '{"text": "a"}\n3\n', "line 2: expected an object with text and spans, found 3"),
    ("json", '{"text": "a"}\n{"text": "\\ud800"}', "line 2: half of a surrogate pair"),
    ("json", '{"text": "a"}\n{"text": ' + "[" * 100_000, "line 2: expected a JSON record"),
    ("json", f'{{"text": "a"}}\n{LONG}', "line 2: expected a JSON record"),
    ("json", json.dumps({LONG: 1}), "line 1: expected a text"),
    ("json", json.dumps({"text": "ab", "spans": [{**HERE, "text": LONG}]}), ": 2 readings fit"),
    ("json", '[{"text": "\\ud800"}]', ": neither JSON lines nor one JSON value: half of a surrogate pair"),
    ("json", '[{"text": "a"', ": neither JSON lines nor one JSON value"),
    ("json", "[" * 100_000, ": neither JSON lines nor one JSON value"),
    ("json", "3", ": expected a list of records, found int"),
    ("json", " \n", ": nothing but blank lines"),
    ("json", '[{"text": "a"}, 3]', "record 1: expected an object"),
    ("cluener", '{"text": "好"}\n\n{"text": "a"', "line 3: expected a JSON record"),
    ("cluener", '{"text": "a", "label": ["x"]}', "line 1: expected [start, end, label]"),
    ("cluener", '{"text": "a", "label": {"x": {"a": 0}}}', f"line 1: {LABEL_FORM}"),
    ("cluener", '{"text": "a", "label": {"x": {"a": [[0, "0"]]}}}', f"line 1: {LABEL_FORM}"),
    ("cluener", '{"text": "a", "label": {"x": {"a": [[0]]}}}', f"line 1: {LABEL_FORM}"),
    (
        "cluener",
        '{"text": "a", "label": {"\\udc00": {"a": [[0, 0]]}}}',
        ": neither JSON lines nor one JSON value: half of",
    ),
    ("cluener", json.dumps({"text": "ab", "label": {LONG: {LONG: [[0, 1]]}}}), "line 1: offsets [0, 1]"),
    *(
        (
            "cluener",
            json.dumps({"text": "王五在这", "label": {"name": {surface: [offsets]}}}),
            f"line 1: offsets {offsets} of 'name' hold ",
        )
        for surface, offsets in [
            *(("王五", [*pair]) for pair in [(0, 2), (1, 2), (0, 0), (-5, -4), (0, 40), (4, 5), (9, 10)]),
            ("王五在这", [0, 7]),
            ("", [1, 0]),
            ("在", [-2, -2]),
        ]
    ),
]


@pytest.mark.parametrize(("form", "content", "message"), BROKEN, ids=lambda value: value[:30])
def test_a_broken_file_names_its_place(tmp_path, form, content, message):
    path = write(tmp_path / "a.txt", content)
    with pytest.raises(SourceError) as caught:
        read(path, form)
    separator = ", " if message.startswith(("line", "record")) else ""
    assert str(caught.value).startswith(f"{path}{separator}{message}")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("form", "content"), [("columns", "a\tS-X\nb\tO\n"), ("slashed", "a/S-X b/O")])
def test_a_scheme_that_is_named_is_held_to(tmp_path, form, content):
    with pytest.raises(SourceError, match="line 1: tag 'S-X' is not of scheme IOB2"):
        read(write(tmp_path / "a.txt", content), form, scheme="IOB2")


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("columns", f"{LONG}\tB-x\nb\tO\n"),
        ("json", json.dumps({"tokens": [LONG, "b"], "spans": [[0, 1, "x"]]})),
        ("slashed", f"{LONG}/B-x b/O\n"),
    ],
    ids=["columns", "json", "slashed"],
)
def test_a_line_of_ten_megabytes_is_read(tmp_path, form, content):
    (sentence,) = read(write(tmp_path / "data.txt", content), form)
    assert [len(token) for token in sentence.tokens] == [10_000_000, 1]
    assert sentence.spans == [Entity(0, 1, "x")]


#: Lines of every format; what is broken comes from the table above.
SOUND = {
    "columns": b"a\tB-x\nb\tI-x\nc\tO\n#\tO\n\xff\tI-y\n\xe2\x80\xa8\tB-y\n# note\n",
    "cluener": b'{"text": "ab", "label": {"x": {"b": [[1, 1]], "ab": [[0, 1]]}}}\n'
    b'{"text": "abc", "label": {"y": {"ab": [[0, 1]]}, "x": {"bc": [[1, 2]]}}}\n{"text": "\xff", "label": {}}\n',
    "boson": b"a{{x:b}}\n{{x:a{{y:b}}}}\n{{x: a}}{{y:}}\n{{z:1:2}}\n\xff\n",
    "json": b'{"text": "ab cd", "label": [[0, 2, "x"], [3, 5, "y"]]}\n["ab cd", {"entities": [[0, 2, "x"]]}]\n'
    b'{"text": "ab cd", "entities": [{"start_offset": 1, "end_offset": 4, "label": "x"}]}\n'
    b'{"tokens": ["a", "b"], "spans": [[0, 1, "x"], [0, 2, "y"]]}\n{"text": "\xff", "spans": []}\n'
    b'{"tokens": ["a", "b"], "ner_tags": ["B-x", "O"]}\n',
    "brackets": b"d 0 0 a NN (S * - - - (PER) -\nd 0 1 b NN (S * - - - (ORG(LOC* -\nd 0 2 c NN *) * - - - *)) -\n"
    b"d 0 3 d NN * * - - - * -\n#begin document (d); part 000\n",
    "slashed": "中国/ns 人/o\n中/B-LOC 国/I-LOC\nab/nr a/o\na/b/O\n".encode() + b"\xff/nt\n",
    "rows": b'w,t\n"[\'a\', \'b\']","[\'B-x\', \'O\']"\na b,B-x I-x\n"[""a""]",[O]\n\xff,O\n"a\nb",O B-y\n',
    "dataturks": b'{"content": "ab cd", "annotation": [{"label": ["x"], "points": [{"start": 0, "end": 1}]}]}\n'
    b'{"content": "ab", "annotation": null, "metadata": {}}\n{"content": "ab cd", "annotation": [{"label": ["x", "y"], '
    b'"points": [{"start": 3, "end": 4, "text": "cd"}]}]}\n{"content": "\xff", "annotation": []}\n',
    "webanno": b"#FORMAT=WebAnno TSV 3.3\n#T_SP=a.NamedEntity|value\n\n#Text=ab c\n1-1\t0-2\tab\tx[1]|y\t\n"
    b"1-1.1\t1-2\tb\tz\t\n1-2\t3-4\tc\tx[1]\t\n2-1\t5-6\t\xff\t*\t\n2-2\t6-7\td\\_\t_\t\n",
    "conllu": "\t".join(["1", "a", *"______", "_", "NER=B-x"]).encode()
    + b"\n2-3\tbc"
    + b"\t_" * 8
    + b"\n2\tb"
    + b"\t_" * 8
    + b"\n3\tc"
    + b"\t_" * 7
    + b"\tNER=I-x|SpaceAfter=No\n# note\n\n1\t\xff"
    + b"\t_" * 7
    + b"\tNER=O\n",
    "wikiner": b"a|N|I-LOC b|N|O\n\xff|N|B-LOC |N|O\na|b|N|O\n",
    "pubtator": b"1|t|a b\n1|a|a\n1\t0\t1\ta\tx\tD1\n1\t4\t5\ta\tT001,T002\n1\tCID\tD1\tD2\n\n2|t|\xff\n",
    "bioc": b'{"documents": [{"id": 1, "passages": [{"offset": 0, "text": "a b", "annotations": [{"text": "a", '
    b'"infons": {"type": "x"}, "locations": [{"offset": 0, "length": 1}]}]}]}]}\n<collection><document><id>1</id>'
    b"<passage><offset>3</offset><text>a b</text><annotation><infon key='type'>x</infon><location offset='5' "
    b"length='1'/><text>b</text></annotation></passage></document></collection>\n",
    "docbin": b"x\x9c\x01\n",
    "brat": b"T1\tx 0 2\tab\nT2\ty 0 2;3 5\nR1\tr Arg1:T1\n",
}
NOISE = [*(bytes([byte]) for byte in b'\0\xff\r\t {}":O\n'), b"\xef\xbb\xbf", b"B-", b"-1"]


@st.composite
def contents(draw, form):
    """Draw lines of a format, often all of them sound, with noise strewn into some of the files."""
    form = form or draw(st.sampled_from(FORMATS))
    sound = SOUND[form].split(b"\n")
    texts = [text.encode() for one, text, _ in BROKEN if one == form and len(text) < 200]
    broken = [line for text in texts for line in text.split(b"\n")]
    lines = draw(st.sampled_from([sound, sound, [*sound, *broken]]))
    content = draw(st.sampled_from([b"\n", b"\r\n"])).join(draw(st.lists(st.sampled_from(lines), max_size=6)))
    for noise in draw(st.lists(st.sampled_from(NOISE) | st.binary(max_size=3), max_size=2)):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + noise + content[place:]
    return content


def load_or_message(path, form):
    try:
        return load_source(path, options=ReadingOptions(format=form))
    except SourceError as error:
        return str(error)


@pytest.mark.parametrize("form", [None, *FORMATS])
@given(data=st.data())
def test_any_bytes_are_a_source_or_an_error(tmp_path_factory, form, data):
    content = data.draw(contents(form) | st.binary(max_size=30))
    path = write(tmp_path_factory.getbasetemp() / "bytes.txt", content)
    source = load_or_message(path, form)
    if isinstance(source, str):
        assert "bytes" in source
        return
    raw = read(path, form)
    found = sentences_of(source)
    assert Counter(text for text, _ in found) == Counter("".join(s.tokens) for s in raw)
    kept = Counter(label for _, spans in found for _, _, label in spans)
    dropped = Counter(drop.label for drop in source.dropped)
    labels = (unicodedata.normalize("NFKC", span.label).strip() for s in raw for span in s.spans)
    printable = ("".join(c if c.isprintable() else "\ufffd" for c in label) for label in labels)
    assert kept + dropped == Counter(printable)
    assert source.labels
