"""WebAnno TSV 3: escapes, stacked and partial annotations, offsets in UTF-16 units, the choice of the feature."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.label_studio import UNLABELLED
from esnera_hf.sources.readers.webanno import SPLIT, ZERO_WIDTH

FORMAT = "#FORMAT=WebAnno TSV 3.3\n"
ENTITIES = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
POS = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue\n"


def rows(*tokens: str, cells: int = 2, sentence: int = 1) -> str:
    """Write the rows of tokens, ``token cell …`` each; cells that are missing are empty."""
    lines, at = [f"#Text={' '.join(token.split()[0] for token in tokens)}"], 0
    for number, token in enumerate(tokens, 1):
        form, *own = token.split(" ")
        end = at + len(re.sub(r"\\(->|.)", r"\1", form).encode("utf-16-le")) // 2
        lines.append(
            "\t".join([f"{sentence}-{number}", f"{at}-{end}", form, *["_"] * (cells - len(own)), *own, ""])
        )
        at = end + 1
    return "\n" + "\n".join(lines) + "\n"


def read(tmp_path: Path, text: str, **options):
    path = tmp_path / "a.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    sentences = list(file_reader([path], ReadingOptions(**options))())
    return [(s.tokens, sorted((e.start, e.end, e.label) for e in s.spans), s.repairs) for s in sentences]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            rows("Mara PER[1]", "Quill PER[1]", "in", "Osk LOC"),
            [(["Mara", "Quill", "in", "Osk"], [(0, 2, "PER"), (3, 4, "LOC")], [])],
            id="a number joins rows",
        ),
        pytest.param(
            rows("Mara PER", "Quill PER"),
            [(["Mara", "Quill"], [(0, 1, "PER"), (1, 2, "PER")], [])],
            id="none parts them",
        ),
        pytest.param(
            rows("Mara PER[1]", "Quill PER[2]"),
            [(["Mara", "Quill"], [(0, 1, "PER"), (1, 2, "PER")], [])],
            id="neighbors",
        ),
        pytest.param(
            rows("Osk ORG[1]|LOC[2]", "Bank ORG[1]", "of ORG[1]|LOC[3]"),
            [(["Osk", "Bank", "of"], [(0, 1, "LOC"), (0, 3, "ORG"), (2, 3, "LOC")], [])],
            id="stacked",
        ),
        pytest.param(
            rows(r"\[Osk\] a\|b\[1\]\_c[4]", r"\\ a\|b\[1\]\_c[4]", r"\_ \_", r"x\->y \*"),
            [(["[Osk]", "\\", "_", "x->y"], [(0, 2, "a|b[1]_c"), (2, 3, "_"), (3, 4, "*")], [])],
            id="escapes",
        ),
        pytest.param(
            rows("Osk *", "is *[2]", "so *[2]"), [(["Osk", "is", "so"], [], [UNLABELLED] * 2)], id="no label"
        ),
        pytest.param(
            "#Text=😊x Oskside\n1-1\t0-3\t😊x\t_\t_\n1-1.1\t0-2\t😊\t_\tE\n1-2\t4-11\tOskside\t_\t_\n"
            "1-2.1\t4-7\tOsk\t_\tLOC[3]\n1-2.2\t7-7\t\t_\tNIL\n1-3\t12-13\tx\t_\tLOC[3]\n",
            [(["😊", "x", "Oskside", "x"], [(0, 1, "E"), (2, 4, "LOC")], [ZERO_WIDTH])],
            id="parts of tokens",
        ),
        pytest.param(
            rows("Bank ORG[1]", "of", "Osk ORG[1]"),
            [(["Bank", "of", "Osk"], [(0, 1, "ORG"), (2, 3, "ORG")], [SPLIT])],
            id="a gap",
        ),
        pytest.param(
            rows("Bank", "Osk ORG[1]")
            + rows("Ltd ORG[1]", "left", sentence=2)
            + rows("Osk ORG[1]", sentence=3),
            [
                (["Bank", "Osk"], [(1, 2, "ORG")], []),
                (["Ltd", "left"], [(0, 1, "ORG")], [SPLIT]),
                (["Osk"], [(0, 1, "ORG")], []),
            ],
            id="across sentences",
        ),
        pytest.param(
            "#Text=a\n#Text=b\n#Sentence.id=s1\n1-1\t0-1\ta\t_\tX[1]\n1-2\t2-3\tb\t_\tX[1]\n",
            [(["a", "b"], [(0, 2, "X")], [])],
            id="a sentence of several lines, rows without the last tab",
        ),
        pytest.param("", [], id="no sentence"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_rows_say(tmp_path, body, expected, end, mark):
    text = (mark + FORMAT + ENTITIES + "\n\n" + body).replace("\n", end)
    found = read(tmp_path, text)
    assert [(tokens, spans, sorted(repairs)) for tokens, spans, repairs in found] == expected


OWN = "#T_SP=webanno.custom.Mention|kind\n"
SLOTS = (
    "#T_SP=webanno.custom.Frame|FE|ROLE_webanno.custom.Frame:Roles_webanno.custom.Link|webanno.custom.Lu\n"
)
OTHERS = (
    "#T_CH=de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink|referenceType|referenceRelation\n"
    "#T_RL=webanno.custom.Near|BT_webanno.custom.Mention\n"
)


@pytest.mark.parametrize(
    ("header", "row", "wanted", "label"),
    [
        (POS + ENTITIES, ["NN", "Q1", "LOC"], None, "LOC"),
        (POS + OWN, ["NN", "LOC"], None, "LOC"),
        (OWN + ENTITIES, ["x", "_", "LOC"], None, "LOC"),
        (OWN + ENTITIES, ["x", "Q1", "LOC"], "kind", "x"),
        (OWN + ENTITIES, ["x", "Q1", "LOC"], "Mention|kind", "x"),
        (POS + ENTITIES, ["NN", "Q1", "LOC"], "lexmorph.type.pos.POS|PosValue", "NN"),
        (SLOTS + OWN, ["_", "a;b", "1-1;1-2", "LOC"], None, "LOC"),
        (OWN + OTHERS, ["LOC", "pr[1]", "coref->1-1", "1-1"], None, "LOC"),
    ],
)
def test_the_feature_that_holds_entities(tmp_path, header, row, wanted, label):
    text = FORMAT + header + "\n\n" + rows(" ".join(["Osk", *row]), cells=len(row))
    assert read(tmp_path, text, tag_column=wanted) == [(["Osk"], [(0, 1, label)], [])]


@pytest.mark.parametrize(
    ("header", "body", "options", "message"),
    [
        (
            SLOTS + OWN,
            rows("Osk e s 1-1 LOC", cells=4),
            {},
            "Frame|FE: 'e'; webanno.custom.Mention|kind: 'LOC'. Name it",
        ),
        (POS, rows("Osk NN", cells=1), {}, "found none. Name it: tag_column="),
        ("", rows("Osk", cells=0), {}, "found none. Name it: tag_column="),
        (ENTITIES, rows("Osk Q1 LOC"), {"tag_column": "POS"}, "tag_column='POS' names 0 of the features"),
        (OWN + "#T_SP=x.Other|kind\n", rows("Osk a b"), {"tag_column": "kind"}, "names 2 of the features"),
        (ENTITIES, "1-1\t0-3\tOsk\t_\n", {}, "line 4: expected 5 columns beginning with sentence-token"),
        (ENTITIES, "Osk\t0-3\tOsk\t_\tLOC\n", {}, "line 4: expected 5 columns beginning with sentence-token"),
        (ENTITIES, "1-1\t0\tOsk\t_\tLOC\n", {}, "line 4: expected 5 columns beginning with sentence-token"),
        (
            ENTITIES,
            "1-1\t0-3\tOsk\t_\tLOC[a]\n",
            {},
            "line 4: expected LABEL, LABEL[number] or _, found 'LOC[a]'",
        ),
        (ENTITIES, "1-1\t0-3\tOsk\t_\t\n", {}, "line 4: expected LABEL, LABEL[number] or _, found ''"),
        (ENTITIES, "1-1.1\t0-3\tOsk\t_\tLOC\n", {}, "line 4: '1-1.1' lies in no token before it"),
        (ENTITIES, rows("Osk") + "1-1.1\t2-4\tk\t_\tLOC\n", {}, "line 7: '1-1.1' lies in no token before it"),
        (
            ENTITIES,
            rows("😊Osk") + "1-1.1\t1-2\tO\t_\tLOC\n",
            {},
            "line 7: offsets [1, 2] hold '😊', expected 'O'",
        ),
        ("#T_SP=|value\n", rows("Osk LOC", cells=1), {}, "line 2: expected the name of a layer"),
    ],
)
def test_what_is_refused(tmp_path, header, body, options, message):
    with pytest.raises(SourceError) as caught:
        read(tmp_path, FORMAT + header + "\n" + body, **options)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "a.tsv"))


def test_a_number_is_no_name_of_a_feature(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"tag_column=4: the features of WebAnno TSV \(a.tsv\) have names"
    ):
        read(tmp_path, FORMAT + ENTITIES, tag_column=4)


def test_documents_without_entities_are_read_beside_the_others(tmp_path):
    for name, cell in (("1", "LOC"), ("2", "_"), ("3", "_")):
        text = FORMAT + OWN + "\n\n" + rows(f"Osk{name} {cell}", "rain", cells=1)
        (tmp_path / f"{name}.tsv").write_text(text, encoding="utf-8")
    source = load_source(tmp_path, name="a")
    assert sorted(tokens[0] for rows in source.dataset.values() for tokens in rows["tokens"]) == [
        "Osk1",
        "Osk2",
        "Osk3",
    ]
    assert source.labels == ("LOC",)
