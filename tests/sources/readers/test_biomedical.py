"""PubTator and BioC: passages, ways of counting, relations, and XML that attacks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from corpora import read_spans, write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.options import ReadingOptions

DRUG = "1|t|Aspirin dose.\n1|a|Osk has Aspirin.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            DRUG + "1\t0\t7\tAspirin\tDrug\tD1\n1\t22\t29\tAspirin\tDrug\tD1\n1\tCID\tD1\tD2\n",
            [("Aspirin dose .", [(0, 1, "Drug")]), ("Osk has Aspirin .", [(2, 3, "Drug")])],
            id="title and abstract, a relation",
        ),
        pytest.param(
            "1|t|😊 é Osk.\n1|a|Osk fell.\n1\t5\t8\tOsk\tLOC\n1\t10\t13\tOsk\tLOC\n",
            [("😊 é Osk . Osk fell .", [(2, 3, "LOC"), (4, 5, "LOC")])],
            id="offsets in UTF-16 units",
        ),
        pytest.param(
            "1|t|é Osk.\n1|a|Osk fell.\n1\t3\t6\tOsk\tLOC\n1\t8\t11\tOsk\tLOC\n",
            [("é Osk . Osk fell .", [(1, 2, "LOC"), (3, 4, "LOC")])],
            id="offsets in bytes",
        ),
        pytest.param(
            DRUG + "1\t8\t17\tdose. Osk\tOdd\n",
            [("Aspirin dose . Osk has Aspirin .", [(1, 4, "Odd")])],
            id="from title to abstract",
        ),
        pytest.param(
            DRUG + "1\t0\t7\tAspirin\tT109,T121\tC1\n",
            [("Aspirin dose .", [(0, 1, "T109"), (0, 1, "T121")]), ("Osk has Aspirin .", [])],
            id="several types",
        ),
        pytest.param(
            "1|t|Osk.\n2|t|Rain|a|b.\n2|a|\n", [("Osk .", []), ("Rain | a | b .", [])], id="no annotation"
        ),
        pytest.param(
            "1|t|Osk.\n1\t0\t3\tOsk\tLOC\tQ1\tOsk|Port\n\n\n1|t|Osk.\n1\t0\t3\tOsk\tORG\n",
            [("Osk .", [(0, 1, "LOC")]), ("Osk .", [(0, 1, "ORG")])],
            id="an id twice, composite mentions",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_pubtator(tmp_path: Path, text: str, expected: Any, end: str, mark: str) -> None:
    found = read_spans(write(tmp_path / "a.txt", mark + text.replace("\n", end)))
    assert [(" ".join(tokens), spans) for tokens, spans, _ in found] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            DRUG + "1\t0\t7\tAspirim\tDrug\n",
            "of 'Drug' hold 'Aspirin', expected 'Aspirim'",
        ),
        (DRUG + "1\t0\t99\tAspirin\tDrug\n", "outside the text"),
        (DRUG + "2\t0\t7\tAspirin\tDrug\n", "line 3: expected a document's text"),
        (DRUG + "1\t0\tx\tAspirin\tDrug\n", "line 3: expected a document's text"),
        (DRUG + "1\t0\t7\tAspirin\n", "line 3: expected a document's text"),
        (DRUG + "1\t0\t7\tAspirin\t \n", "line 3: expected a document's text"),
        (DRUG + "more of the abstract\n", "line 3: expected a document's text"),
        ("1|t|Osk.\n1\t0\t3\tOsk\tLOC\n1|a|Osk.\n", "line 3: expected the text of 1 before its annotations"),
    ],
)
def test_pubtator_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_spans(write(tmp_path / "a.txt", text))
    assert message in str(caught.value)


def annotation(label: str, text: str | None, *places: tuple[int, int]) -> dict[str, Any]:
    locations = [{"offset": offset, "length": length} for offset, length in places]
    return {"id": "1", "infons": {"type": label, "code": "Q1"}, "text": text, "locations": locations}


def passage(offset: int, text: str | None, *annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    texts = {} if text is None else {"text": text}
    return {"infons": {}, "offset": offset, **texts, "annotations": list(annotations), **more}


def as_xml(document: dict[str, Any]) -> str:
    """Write a document of BioC in XML, independently of the package."""

    def element(name: str, content: str) -> str:
        return f"<{name}>{content}</{name}>"

    def escaped(text: Any) -> str:
        return str(text).replace("&", "&amp;").replace("<", "&lt;")

    def body(unit: dict[str, Any]) -> str:
        parts = [
            f"<infon key='{key}'>{escaped(value)}</infon>" for key, value in unit.get("infons", {}).items()
        ]
        parts += [element(key, escaped(unit[key])) for key in ("id", "offset") if key in unit]
        parts += [
            f"<location offset='{p['offset']}' length='{p['length']}'/>" for p in unit.get("locations", ())
        ]
        parts += [element("text", escaped(unit["text"]))] if unit.get("text") is not None else []
        for name in ("passage", "sentence", "annotation"):
            parts += [element(name, body(inner)) for inner in unit.get(f"{name}s", ())]
        return "".join(parts)

    head = '<?xml version="1.0"?>\n<!DOCTYPE collection SYSTEM "BioC.dtd">\n'
    return f"{head}<collection><source/><date/><key/>{element('document', body(document))}</collection>"


WRITERS = {
    "xml": as_xml,
    "json": lambda document: json.dumps({"source": "s", "infons": {}, "documents": [document]}),
    "pretty": lambda document: json.dumps({"date": "", "documents": [document]}, indent=1),
    "list": lambda document: json.dumps([document]),
    "line": lambda document: json.dumps(document) + "\n",
    "PubTator3": lambda document: json.dumps({"PubTator3": [document]}),
}


@pytest.mark.parametrize("written", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("passages", "expected"),
    [
        pytest.param(
            [
                passage(0, "Osk & Rim.", annotation("LOC", "Osk", (0, 3)), annotation("LOC", "Rim", (6, 3))),
                passage(11, "In Osk.", annotation("LOC", "Osk", (14, 3))),
            ],
            [("Osk & Rim .", [(0, 1, "LOC"), (2, 3, "LOC")]), ("In Osk .", [(1, 2, "LOC")])],
            id="passages",
        ),
        pytest.param(
            [passage(0, "Osk."), passage(5, "In Osk.", annotation("LOC", "Osk", (3, 3)))],
            [("Osk .", []), ("In Osk .", [(1, 2, "LOC")])],
            id="offsets begin anew",
        ),
        pytest.param(
            [passage(0, "Osk."), passage(5, "North of Osk.", annotation("LOC", "Osk", (9, 3)))],
            [("Osk .", []), ("North of Osk .", [(2, 3, "LOC")])],
            id="offsets begin anew, as mentions tell",
        ),
        pytest.param(
            [
                passage(
                    0,
                    None,
                    sentences=[passage(0, "Osk."), passage(5, "In Osk.", annotation("LOC", "Osk", (8, 3)))],
                )
            ],
            [("Osk .", []), ("In Osk .", [(1, 2, "LOC")])],
            id="sentences",
        ),
        pytest.param(
            [passage(7, "é😊 Osk.", annotation("LOC", "Osk", (11, 3)))],
            [("é 😊 Osk .", [(2, 3, "LOC")])],
            id="UTF-16",
        ),
        pytest.param(
            [passage(7, "é😊 Osk.", annotation("LOC", "Osk", (14, 3)))],
            [("é 😊 Osk .", [(2, 3, "LOC")])],
            id="bytes",
        ),
        pytest.param(
            [passage(0, "Port of Osk.", annotation("LOC", "Port Osk", (0, 4), (8, 3)))],
            [("Port of Osk .", [(0, 3, "LOC")])],
            id="discontinuous",
        ),
        pytest.param(
            [passage(0, ""), passage(0, "Osk.", annotation("LOC", None, (0, 3)))],
            [("Osk .", [(0, 1, "LOC")])],
        ),
    ],
)
def test_bioc(tmp_path: Path, written: Any, passages: Any, expected: Any) -> None:
    path = write(tmp_path / "a.data", written({"id": "d1", "infons": {}, "passages": passages}))
    assert [(" ".join(tokens), spans) for tokens, spans, _ in read_spans(path)] == expected
    packed = tmp_path / "a.data.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [(" ".join(tokens), spans) for tokens, spans, _ in read_spans(packed)] == expected


def test_another_infon_holds_the_type(tmp_path: Path) -> None:
    document = {"id": "d1", "passages": [passage(0, "Osk.", annotation("LOC", "Osk", (0, 3)))]}
    path = write(tmp_path / "a.xml", as_xml(document))
    assert read_spans(path, tag_column="code") == [(["Osk", "."], [(0, 1, "Q1")], [])]
    with pytest.raises(
        SourceError, match=r"without the infon 'kind'.*it has type, code. Name .*: tag_column="
    ):
        read_spans(path, tag_column="kind")
    with pytest.raises(ConfigurationError, match=r"the infons of BioC \(a.xml\) have names"):
        read_spans(path, tag_column=3)


LAUGHS = '<!DOCTYPE collection [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><collection>&b;</collection>'
OUTSIDE = '<!DOCTYPE collection [<!ENTITY a SYSTEM "file:///etc/passwd">]><collection>&a;</collection>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<collection><document><id>1</id>", "the XML is damaged: no element found"),
        ("<collection>&nbsp;</collection>", "the XML is damaged: undefined entity"),
        (LAUGHS, "line 1: declares the entity 'a'"),
        (OUTSIDE, "line 1: declares the entity 'a'"),
        ("<collection>" + "<a>" * 100_000, "line 1: elements nested 51 deep"),
        (
            as_xml({"passages": []}),
            "document 0: a document without an id, which BioC asks for.*format='bioc'",
        ),
        (
            as_xml({"id": 1, "passages": [{"text": "Osk."}]}),
            "document 1.*expected a number as 'offset', found 'None'",
        ),
        ('[{"id": 1, "passages": [3]}]', "document 1: expected a list of objects as 'passages'"),
        (
            '[{"id": 1, "passages": [{"offset": -1, "text": "a"}]}]',
            "expected a number as 'offset', found '-1'",
        ),
        ('[{"passages": []}, 3]', "a document without an id"),
        ('[{"id": 1, "passages": []}, 3]', "expected a document with passages, found 3"),
        ('{"passages": [], "a": \n', "expected one JSON value, or one in every line"),
        ('[{"id": "\\ud800", "passages": []}]', "half of a surrogate pair"),
        (as_xml({"id": 1, "passages": [passage(0, "Osk.", annotation("LOC", "Osk"))]}), "without a location"),
        (
            as_xml({"id": 1, "passages": [passage(0, "Osk.", annotation("LOC", "Rim", (0, 3)))]}),
            "expected 'Rim'",
        ),
        (
            as_xml({"id": 1, "passages": [passage(0, "Osk.", annotation(" ", "Osk", (0, 3)))]}),
            "without the infon 'type'",
        ),
    ],
)
def test_bioc_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "a.data", text)
    with pytest.raises(SourceError, match=message):
        list(file_reader([path], ReadingOptions())())


def test_a_document_without_an_id_is_read_when_asked_for(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.xml", as_xml({"passages": [passage(0, "Osk.", annotation("LOC", "Osk", (0, 3)))]})
    )
    assert read_spans(path, format="bioc") == [(["Osk", "."], [(0, 1, "LOC")], [])]
