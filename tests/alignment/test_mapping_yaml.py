"""``mapping.yaml``: round trips, comments that stay comments, and errors with their line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import MappingError
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.tagging import LabelRef

ODD_NAMES = (
    *("NO", "null", "~", "1e3", "2024-01-01", "a: b", "- x", "人名", "x@y", "#", "<<", "=", "?"),
    *("'\"", "\x07", " ", "é\n", "a\x85b", "\u2028", "\nversion: 2"),
)


def test_text() -> None:
    evidence = None, Agreement(1, 3), Agreement(0, 0)
    made = LabelMapping(
        ("ORG",),
        (
            MappedLabel(LabelRef("a", "公司"), "ORG", 7, LabelRef("b", "ORG"), 0.5, *evidence, locked=True),
            MappedLabel(LabelRef("b", "ORG"), "ORG"),
            MappedLabel(LabelRef("b", "MISC"), None),
        ),
        "greedy",
        0.4,
    )
    text = made.to_yaml()
    assert text.startswith("# Label mapping of esnera_hf")
    assert "\n# ORG: 2 labels, 7 mentions\n" in text
    assert "\n# left out of the merged dataset: 1 label, 0 mentions\n" in text
    assert yaml.safe_load(text) == {
        "version": 2,
        "method": "greedy",
        "lambda": 0.4,
        "unified_labels": ["ORG"],
        "labels": [
            {
                **{"source": "a", "label": "公司", "unified": "ORG", "mentions": 7, "locked": True},
                "compared_with": {
                    **{"source": "b", "label": "ORG", "similarity": 0.5, "semantic": None},
                    "empirical_forward": {"share": 0.3333, "matched": 1, "predicted": 3},
                    "empirical_backward": {"share": None, "matched": 0, "predicted": 0},
                },
            },
            {"source": "b", "label": "ORG", "unified": "ORG", "mentions": 0},
            {"source": "b", "label": "MISC", "unified": None, "mentions": 0},
        ],
    }
    assert LabelMapping.from_yaml(text) == made


@given(data=st.data())
def test_any_mapping_survives(data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    text |= st.sampled_from(ODD_NAMES)
    names = data.draw(st.lists(text.filter(lambda name: name != "O"), min_size=1, max_size=4, unique=True))
    share = st.none() | st.floats(-1, 1)
    agreement = st.builds(Agreement, st.integers(0, 5), st.integers(5, 9))
    entry = st.builds(
        MappedLabel,
        st.builds(LabelRef, text, text),
        st.none() | st.sampled_from(names),
        st.integers(0, 10**9),
        locked=st.booleans(),
    )
    entries = data.draw(st.lists(entry, max_size=4, unique_by=lambda e: e.label))
    for index, item in enumerate(entries):
        if data.draw(st.booleans()):
            entries[index] = replace(
                item,
                compared_with=LabelRef(data.draw(text), data.draw(text)),
                similarity=data.draw(share),
                semantic=data.draw(share),
                forward=data.draw(agreement),
                backward=data.draw(agreement),
            )
    parents = {
        name: data.draw(st.sampled_from(names[:index]))
        for index, name in enumerate(names)
        if index and data.draw(st.booleans())
    }
    lam = data.draw(st.none() | st.floats(0, 1))
    method = data.draw(st.sampled_from(["equivalence", "greedy", "manual"]))
    schema = tuple(data.draw(st.permutations(names)))
    made = LabelMapping(schema, tuple(entries), method, lam, parents=parents)
    found = LabelMapping.from_yaml(made.to_yaml())
    assert found == made
    lines = made.to_yaml().split("\n")
    assert all(lines[line - 1].startswith("- source: ") for line in found.lines.values())
    assert set(found.lines) == {entry.label for entry in entries}


GOOD = """\
version: 2
method: equivalence
unified_labels:
- ORG
- LOC
- CITY
parents:
  CITY: LOC
  ORG: LOC
labels:
- {source: a, label: x, unified: ORG, mentions: 4}
- {source: a, label: y, unified: LOC}
- {source: b, label: z, unified: null, locked: true}
"""


def test_an_edited_file() -> None:
    read = LabelMapping.from_yaml(GOOD)
    assert read == LabelMapping(
        ("ORG", "LOC", "CITY"),
        (
            MappedLabel(LabelRef("a", "x"), "ORG", 4),
            MappedLabel(LabelRef("a", "y"), "LOC"),
            MappedLabel(LabelRef("b", "z"), None, locked=True),
        ),
        "equivalence",
        parents={"CITY": "LOC", "ORG": "LOC"},
    )
    assert read.lines == {LabelRef("a", "x"): 11, LabelRef("a", "y"): 12, LabelRef("b", "z"): 13}
    short = GOOD.replace("method: equivalence\n", "").replace("\n  CITY: LOC\n  ORG: LOC", " {}")
    read = LabelMapping.from_yaml(short)
    assert (read.method, read.lam, read.parents) == ("manual", None, {})


def compared(semantic: str, matched: int) -> str:
    """The evidence of an entry, of which two predicted mentions were so often matched."""
    return (
        f"compared_with: {{source: b, label: z, semantic: {semantic}, empirical_forward: {{matched: 1, "
        f"predicted: 2}}, empirical_backward: {{matched: {matched}, predicted: 2}}}}"
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version: 2", "version: 3", 1, "found version '3', expected version 2. Align anew, or read it with"),
        ("version: 2", "version: 1", 1, "say `version: 2`, delete `merge`, `stages` and each `relation`"),
        ("version: 2", "version: '2'x", 1, "not valid YAML"),
        ("version: 2", "version: 2.0", 1, "found version '2.0'"),
        ("version: 2", "name: x", 1, "no version"),
        (GOOD, "just text", 1, "no version"),
        (GOOD, "", 1, "no version"),
        ("- ORG", "- [ORG", 7, "not valid YAML"),
        ("method: equivalence", "method: typed", 2, "found 'typed', expected one of equivalence"),
        ("method: equivalence", "lambda: much", 2, "lambda: expected a number, or null"),
        ("method: equivalence", "lambda: .inf", 2, "found .inf, which YAML reads as a number"),
        ("method: equivalence", "lambda: " + "9" * 5000, 2, "which YAML reads as a number"),
        ("method: equivalence", "lambda: " + "9" * 400, 2, "which YAML reads as a number"),
        ("mentions: 4", "mentions: " + "9" * 400, 11, "which YAML reads as a number"),
        ("method: equivalence", "merge: tree", 2, "unknown key 'merge', expected one of"),
        ("mentions: 4", "relation: equal", 11, "unknown key 'relation'"),
        ("unified: LOC", "unified: LOK", 12, "expected a name of unified_labels. Did you mean 'LOC'"),
        ("unified: LOC", "unified:", 12, "the like in quotes), found nothing"),
        ("unified: LOC", "unifed: LOC", 12, "Did you mean 'unified'?"),
        (", unified: LOC", "", 12, "the key unified is missing"),
        ("label: x, ", "", 11, "the key label is missing"),
        ("unified_labels", "unified_label", 3, "Did you mean 'unified_labels'?"),
        ("- LOC\n", "- LOC\n- ORG\n", 6, "names 'ORG' twice, first in line 4"),
        ("- LOC\n", "- LOC\n- O\n", 6, "'outside'"),
        ("- LOC\n", "- LOC\n- ''\n", 6, "expected a name"),
        ("- LOC\n", "- LOC\n- NO\n", 6, "found NO, which YAML reads as true or false"),
        ("label: x", "label: null", 11, "the like in quotes), found null"),
        ("label: x", "label: 2024", 11, "found 2024, which YAML reads as a number"),
        ("label: x", "label: 2024-01-01", 11, "found '2024-01-01', which YAML reads as 'timestamp'"),
        ("label: x", "label: !!python/name:os.system x", 11, "Put text in quotes and remove tags"),
        ("label: x", "? [label]: x", 11, "expected text as a key, found a list or mapping"),
        ("label: y", "label: x", 12, "'a:x' is mapped twice, first in line 11"),
        ("unified: LOC}", "unified: LOC, unified: ORG}", 12, "'unified' stands twice, first in line 12"),
        ("locked: true", "locked: perhaps", 13, "expected true or false, found the text 'perhaps'"),
        ("- {source: a, label: x", "- x\n- {source: a, label: x", 11, "an entry: expected a mapping"),
        ("ORG, mentions: 4", "&anchor ORG, mentions: *anchor", 11, "found the alias *anchor"),
        ("mentions: 4", "mentions: -3", 11, "a whole number from 0, found -3"),
        ("mentions: 4", "mentions: " + "[" * 500 + "]" * 500, 11, "inside each other"),
        ("\n- ORG\n- LOC\n- CITY\n", " ORG\n", 3, "unified_labels: expected a list, found the text 'ORG'"),
        ("unified: ORG", 'unified: "\\UFFFFFFFF"', 11, "not valid YAML"),
        ("unified: ORG", "unified: \x07", 11, "found U+0007, which needs an escape"),
        ("mentions: 4", compared("x", 1), 11, "semantic: expected a number, or null where it is unknown"),
        ("mentions: 4", compared("null", 3), 11, "found 3 matched of 2 predicted, expected no more"),
        ("CITY: LOC", "CITY: LOK", 8, "parents, 'CITY': found 'LOK', expected a name of"),
        ("  CITY: LOC", "  CIT: LOC", 8, "unknown key 'CIT', expected one of ORG, LOC, CITY"),
        ("ORG: LOC", "CITY: ORG", 9, "the key 'CITY' stands twice, first in line 8"),
        ("ORG: LOC", "LOC: CITY", 8, "'CITY' (line 8) → 'LOC' (line 9) → 'CITY' (line 8)"),
        ("ORG: LOC", "ORG: ORG", 9, "in a circle: 'ORG' (line 9) → 'ORG' (line 9)"),
        ("ORG: LOC", "ORG: [LOC]", 9, "found a list"),
        ("parents:\n  CITY: LOC\n  ORG: LOC", "parents: [CITY]", 7, "expected a mapping (`key: value`)"),
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


def test_a_missing_undecodable_or_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="the mapping cannot be read"):
        LabelMapping.load(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
    with pytest.raises(MappingError, match="the mapping cannot be read"):
        LabelMapping.load(tmp_path / "latin.yaml")
    with pytest.raises(MappingError, match="found 10,000,001 characters, expected at most 10,000,000"):
        LabelMapping.from_yaml("#" * 10_000_001)


@given(text=st.text(max_size=60) | st.text("-[]{}:,&*!|>'\"#\n abOversion2", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"version: 2\nunified_labels: []\nlabels: []\n{text}", GOOD + text):
        with suppress(MappingError):
            LabelMapping.from_yaml(candidate)
