"""``mapping.yaml``: round trips, comments that stay comments, and errors with their line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.alignment import LabelMapping, MappedLabel, MappingStage
from esnera_hf.errors import MappingError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence

ODD_NAMES = (
    *("NO", "null", "~", "1e3", "2024-01-01", "a: b", "- x", "人名", "x@y", "#"),
    *("'\"", "\x07", " ", "é\n", "a\x85b", "\u2028", "\nversion: 2"),
)


def test_text() -> None:
    evidence = PairEvidence(None, Agreement(1, 3), Agreement(0, 0))
    made = LabelMapping(
        ("ORG",),
        (
            MappedLabel(
                LabelRef("a", "公司"), "ORG", "equal", 7, LabelRef("b", "ORG"), 0.5, evidence, locked=True
            ),
            MappedLabel(LabelRef("b", "ORG"), "ORG"),
            MappedLabel(LabelRef("b", "MISC"), None),
        ),
        (MappingStage(("a",), "b", 0.4, 0.3),),
    )
    text = made.to_yaml()
    assert text.startswith("# Label mapping of esnera_hf")
    assert "\n# ORG: 2 labels, 7 mentions\n" in text
    assert "\n# left out of the merged dataset: 1 label, 0 mentions\n" in text
    plain = {"relation": "equal", "mentions": 0}
    assert yaml.safe_load(text) == {
        "version": 1,
        "merge": "flat",
        "stages": [{"sources": ["a"], "target": "b", "lambda": 0.4, "tau": 0.3}],
        "unified_labels": ["ORG"],
        "labels": [
            {
                "source": "a",
                "label": "公司",
                "unified": "ORG",
                "relation": "equal",
                "mentions": 7,
                "locked": True,
                "compared_with": {
                    "source": "b",
                    "label": "ORG",
                    "similarity": 0.5,
                    "semantic": None,
                    "empirical_forward": {"share": 0.3333, "matched": 1, "predicted": 3},
                    "empirical_backward": {"share": None, "matched": 0, "predicted": 0},
                },
            },
            {"source": "b", "label": "ORG", "unified": "ORG", **plain},
            {"source": "b", "label": "MISC", "unified": None, **plain},
        ],
    }
    assert LabelMapping.from_yaml(text) == made


def test_odd_names_survive(tmp_path: Path) -> None:
    entries = tuple(MappedLabel(LabelRef(name, name[::-1]), name) for name in ODD_NAMES)
    made = LabelMapping(ODD_NAMES, entries, (MappingStage(ODD_NAMES, ODD_NAMES[0], None, None),))
    made.save(tmp_path / "mapping.yaml")
    assert LabelMapping.load(tmp_path / "mapping.yaml") == made


@given(data=st.data())
def test_any_mapping_survives(data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    names = data.draw(st.lists(text.filter(lambda name: name != "O"), min_size=1, max_size=4, unique=True))
    share = st.none() | st.floats(-1, 1)
    agreement = st.builds(Agreement, st.integers(0, 5), st.integers(5, 9))
    entry = st.builds(
        MappedLabel,
        st.builds(LabelRef, text, text),
        st.none() | st.sampled_from(names),
        st.sampled_from(["equal", "subset", "superset", "overlap", "none"]),
        st.integers(0, 10**9),
        locked=st.booleans(),
    )
    entries = data.draw(st.lists(entry, max_size=4, unique_by=lambda e: e.label))
    for index, item in enumerate(entries):
        if data.draw(st.booleans()):
            evidence = PairEvidence(data.draw(share), data.draw(agreement), data.draw(agreement))
            entries[index] = replace(
                item,
                compared_with=LabelRef(data.draw(text), data.draw(text)),
                similarity=data.draw(share),
                evidence=evidence,
            )
    number = st.none() | st.floats(0, 1)
    stage = st.builds(MappingStage, st.lists(text, min_size=1, max_size=2).map(tuple), text, number, number)
    made = LabelMapping(tuple(names), tuple(entries), tuple(data.draw(st.lists(stage, max_size=2))))
    found = LabelMapping.from_yaml(made.to_yaml())
    assert found == made
    lines = made.to_yaml().split("\n")
    assert all(lines[line - 1].startswith("- source: ") for line in found.lines.values())
    assert set(found.lines) == {entry.label for entry in entries}


GOOD = """\
version: 1
unified_labels:
- ORG
- LOC
labels:
- {source: a, label: x, unified: ORG, relation: equal}
- {source: a, label: y, unified: LOC}
- {source: b, label: z, same_as: "a:y", locked: true}
"""


def test_an_edited_file() -> None:
    found = LabelMapping.from_yaml(GOOD)
    assert found == LabelMapping(
        ("ORG", "LOC"),
        (
            MappedLabel(LabelRef("a", "x"), "ORG"),
            MappedLabel(LabelRef("a", "y"), "LOC"),
            MappedLabel(LabelRef("b", "z"), "LOC", locked=True),
        ),
    )
    assert found.lines == {LabelRef("a", "x"): 6, LabelRef("a", "y"): 7, LabelRef("b", "z"): 8}


def compared(semantic: str, matched: int) -> str:
    """The evidence of an entry, of which two predicted mentions were so often matched."""
    return (
        f"compared_with: {{source: b, label: z, semantic: {semantic}, empirical_forward: {{matched: 1, "
        f"predicted: 2}}, empirical_backward: {{matched: {matched}, predicted: 2}}}}"
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version: 1", "version: 2", 1, "found version '2', expected version 1"),
        ("version: 1", "name: x", 1, "no version"),
        (GOOD, "just text", 1, "no version"),
        (GOOD, "", 1, "found nothing"),
        ("- ORG", "- [ORG", 5, "not valid YAML"),
        ("relation: equal", "relation: like", 6, "relation: found 'like', expected one of equal, subset"),
        ("unified: LOC", "unified: LOK", 7, "found 'LOK', expected a name of unified_labels"),
        ("unified: LOC", "unifed: LOC", 7, "'unified'"),
        ("label: x, ", "", 6, "label"),
        ("unified_labels", "unified_label", 2, "unified_labels"),
        ("- LOC\n", "- LOC\n- ORG\n", 5, "names 'ORG' twice, first in line 3"),
        ("- LOC\n", "- LOC\n- O\n", 5, "'outside'"),
        ("- LOC\n", "- LOC\n- ''\n", 5, "expected a name"),
        ("- LOC\n", "- LOC\n- NO\n", 5, "in quotes"),
        ("label: x", "label: null", 6, "label"),
        ("label: x", "label: 2024", 6, "in quotes"),
        ("label: y", "label: x", 7, "'a:x' is mapped twice, first in line 6"),
        ("unified: LOC}", "unified: LOC, unified: ORG}", 7, "twice"),
        ("unified: LOC}", 'unified: LOC, same_as: "a:x"}', 7, "both unified and same_as"),
        (", unified: LOC}", "}", 7, "neither unified nor same_as"),
        ('"a:y"', '"a:q"', 8, "same_as: found 'a:q', expected the source:label of an entry"),
        ("unified: LOC}", 'same_as: "b:z"}', 7, "round in a circle: 'a:y' (line 7) → 'b:z' (line 8) → 'a:y'"),
        ('"a:y"', '"b:z"', 8, "round in a circle"),
        ("locked: true", "locked: perhaps", 8, "expected true or false"),
        ("- {source: a, label: x", "- x\n- {source: a, label: x", 6, ""),
        ("unified: ORG", "unified: &anchor ORG, mentions: *anchor", 6, "alias"),
        ("unified: ORG", "unified: ORG, mentions: -3", 6, "mentions"),
        ("relation: equal", "relation: " + "[" * 500 + "]" * 500, 6, "inside each other"),
        ("\n- ORG\n- LOC\n", " ORG\n", 2, "unified_labels: expected a list, found"),
        ("unified: ORG", 'unified: "\\UFFFFFFFF"', 6, "not valid YAML"),
        ("relation: equal", compared("x", 1), 6, "semantic: expected a number, or null where it is unknown"),
        ("relation: equal", compared("null", 3), 6, "found 3 matched of 2 predicted, expected no more"),
        (
            '- {source: b, label: z, same_as: "a:y"',
            '- {source: a, label: "b:y", unified: LOC}\n- {source: "a:b", label: y, unified: ORG}\n'
            '- {source: b, label: z, same_as: "a:b:y"',
            10,
            "may be the label of line 8 and 9. Say unified instead",
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert old in GOOD
    file = tmp_path / "mapping.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(MappingError) as caught:
        LabelMapping.load(file)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}, line {line}: ")


def test_a_missing_or_undecodable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="the mapping cannot be read"):
        LabelMapping.load(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
    with pytest.raises(MappingError, match="the mapping cannot be read"):
        LabelMapping.load(tmp_path / "latin.yaml")


@given(text=st.text(max_size=60) | st.text("-[]{}:,&*!|>'\"#\n abOversion1", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"version: 1\nunified_labels: []\nlabels: []\n{text}", GOOD + text):
        with suppress(MappingError):
            LabelMapping.from_yaml(candidate)
