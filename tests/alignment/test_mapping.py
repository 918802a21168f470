"""The mapping: names of groups, evidence, and the YAML file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_matrix
from esnera_hf.alignment import LabelMapping, MappedLabel, greedy_merge_path, mapping_from_path
from esnera_hf.errors import MappingError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence

ODD_NAMES = (
    *("NO", "null", "~", "1e3", "2024-01-01", "a: b", "- x", "人名", "x@y", "#"),
    *("'\"", "\x07", " ", "é\n", "a\x85b", "\u2028"),
)


def mapping(*pairs: tuple[str, str], unified: tuple[str, ...] | None = None) -> LabelMapping:
    entries = tuple(MappedLabel(LabelRef(*name.split(":", 1)), target) for name, target in pairs)
    return LabelMapping(unified or tuple(dict.fromkeys(target for _, target in pairs)), entries)


class TestFromPath:
    def test_a_group_has_the_name_and_the_evidence_of_its_head(self) -> None:
        matrix = make_matrix(
            {"a:per": 3, "a:price": 2, "b:name": 5},
            {("a:per", "b:name"): (2, 3), ("b:name", "a:per"): (1, 4), ("b:name", "a:price"): (0, 4)},
            {("a:per", "b:name"): 0.123456, ("a:price", "b:name"): -0.25},
        )
        found = mapping_from_path(greedy_merge_path(matrix, 0.5, 0.3), matrix)
        evidence = PairEvidence(0.1235, Agreement(2, 3), Agreement(1, 4))
        reverse = PairEvidence(0.1235, Agreement(1, 4), Agreement(2, 3))
        alone = PairEvidence(-0.25, Agreement(0, 0), Agreement(0, 4))
        per, price, name = (LabelRef("a", "per"), LabelRef("a", "price"), LabelRef("b", "name"))
        assert found == LabelMapping(
            ("name", "price"),
            (
                MappedLabel(per, "name", "equal", 3, name, round((0.123456 + 2 / 3) / 2, 4), evidence),
                MappedLabel(price, "price", "equal", 2, name, -0.25, alone),
                MappedLabel(name, "name", "equal", 5, per, round((0.123456 + 0.25) / 2, 4), reverse),
            ),
            0.5,
            0.3,
            ("a", "b"),
        )

    def test_labels_that_stay_apart_never_share_a_name(self) -> None:
        matrix = make_matrix({"a:title": 1, "b:title": 1, "b:title@a": 1, "c:title": 1}, {}, {})
        found = mapping_from_path(greedy_merge_path(matrix, 0.4, 0.4), matrix)
        assert found.path == ("a", "b", "c")
        assert {str(entry.label): entry.unified for entry in found.entries} == {
            "c:title": "title",
            "b:title": "title@b",
            "b:title@a": "title@a",
            "a:title": "title@a@a",
        }
        assert found.unified_labels == ("title", "title@b", "title@a", "title@a@a")

    def test_one_name_for_labels_that_become_one(self) -> None:
        matrix = make_matrix({"a:title": 1, "b:title": 1}, {}, {("a:title", "b:title"): 0.9})
        found = mapping_from_path(greedy_merge_path(matrix, 0.4, 0.4), matrix)
        assert found.unified_labels == ("title",)
        assert found.members("title") == (LabelRef("a", "title"), LabelRef("b", "title"))

    def test_nothing_known_of_a_label(self) -> None:
        matrix = make_matrix({"a:x": 1, "b:y": 1}, {}, {})
        found = mapping_from_path(greedy_merge_path(matrix, 0.4, 0.4), matrix)
        assert [(entry.compared_with, entry.similarity, entry.evidence) for entry in found.entries] == [
            (None, None, None)
        ] * 2

    def test_a_member_that_is_unknown_with_its_head(self) -> None:
        matrix = make_matrix(
            {"a:x": 1, "b:y": 1, "c:z": 1},
            {("a:x", "b:y"): (5, 5), ("b:y", "c:z"): (4, 5)},
            {("a:x", "b:y"): 0.9, ("b:y", "c:z"): 0.9},
        )
        found = mapping_from_path(greedy_merge_path(matrix, 0.4, 0.4), matrix)
        assert found.unified_labels == ("z",)
        assert found.entries[0].compared_with == LabelRef("c", "z")
        assert found.entries[0].similarity is None
        assert LabelMapping.from_yaml(found.to_yaml()) == found


class TestFile:
    def test_text(self) -> None:
        made = LabelMapping(
            ("ORG",),
            (
                MappedLabel(
                    LabelRef("a", "公司"),
                    "ORG",
                    "equal",
                    7,
                    LabelRef("b", "ORG"),
                    0.5,
                    PairEvidence(None, Agreement(1, 3), Agreement(0, 0)),
                ),
                MappedLabel(LabelRef("b", "ORG"), "ORG"),
            ),
            0.4,
            0.3,
            ("a", "b"),
        )
        text = made.to_yaml()
        assert text.startswith("# Label mapping of esnera_hf")
        assert "公司" in text
        assert yaml.safe_load(text) == {
            "version": 1,
            "merge": "flat",
            "lambda": 0.4,
            "tau": 0.3,
            "path": ["a", "b"],
            "unified_labels": ["ORG"],
            "labels": [
                {
                    "source": "a",
                    "label": "公司",
                    "unified": "ORG",
                    "relation": "equal",
                    "mentions": 7,
                    "compared_with": {
                        "source": "b",
                        "label": "ORG",
                        "similarity": 0.5,
                        "semantic": None,
                        "empirical_forward": {"share": 0.3333, "matched": 1, "predicted": 3},
                        "empirical_backward": {"share": None, "matched": 0, "predicted": 0},
                    },
                },
                {"source": "b", "label": "ORG", "unified": "ORG", "relation": "equal", "mentions": 0},
            ],
        }
        assert LabelMapping.from_yaml(text) == made

    def test_odd_names_survive(self, tmp_path: Path) -> None:
        made = LabelMapping(
            ODD_NAMES,
            tuple(MappedLabel(LabelRef(name, name[::-1]), name) for name in ODD_NAMES),
            path=ODD_NAMES,
        )
        made.save(tmp_path / "mapping.yaml")
        assert LabelMapping.load(tmp_path / "mapping.yaml") == made

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_any_mapping_survives(self, data: st.DataObject) -> None:
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
        target = text.filter(lambda name: name != "O")
        names = data.draw(st.lists(target, min_size=1, max_size=4, unique=True))
        share = st.none() | st.floats(-1, 1)
        agreement = st.builds(Agreement, st.integers(0, 5), st.integers(5, 9))
        entry = st.builds(
            MappedLabel,
            st.builds(LabelRef, text, text),
            st.sampled_from(names),
            st.sampled_from(["equal", "subset", "superset", "overlap", "none"]),
            st.integers(0, 10**9),
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
        path = data.draw(st.lists(text, max_size=3))
        made = LabelMapping(tuple(names), tuple(entries), 0.4, 0.3, tuple(path))
        assert LabelMapping.from_yaml(made.to_yaml()) == made

    def test_an_edited_file_needs_no_evidence(self) -> None:
        found = LabelMapping.from_yaml(
            "version: 1\nunified_labels: [ORG]\nlabels:\n- {source: a, label: x, unified: ORG}\n"
        )
        assert found == mapping(("a:x", "ORG"))

    GOOD = (
        "version: 1\nunified_labels: [ORG]\nlabels:\n- {source: a, label: x, unified: ORG, relation: equal}\n"
    )

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("version: 1", "version: 2", "version 1, found version 2"),
            ("version: 1", "name: x", "found version None"),
            (GOOD, "just text", "found version None"),
            (GOOD, "", "found version None"),
            ("[ORG]", "[ORG", "not valid YAML"),
            ("relation: equal", "relation: like", "a:x: relation 'like', expected one of equal, subset"),
            ("unified: ORG", "unified: LOC", "a:x goes to 'LOC', which is not in the unified schema: ORG"),
            ("unified: ORG", "target: ORG", "a key is missing or of the wrong type: 'unified'"),
            ("unified_labels: [ORG]\n", "", "a key is missing or of the wrong type: 'unified_labels'"),
            ("unified_labels: [ORG]", "unified_labels: ORG", "expected a list, found 'ORG'"),
            ("[ORG]", "[ORG, ORG]", "names a label twice: ORG, ORG"),
            ("[ORG]", "[ORG, O]", "called 'O'"),
            ("[ORG]", "[ORG, '']", "a unified label is empty"),
            ("[ORG]", "[ORG, NO]", "expected text, found False"),
            ("label: x", "label: null", "expected text, found None"),
            ("label: x", "label: 2024", "expected text, found 2024"),
            ("- {", "- x\n- {", "a key is missing or of the wrong type"),
            ("- {", "- {source: a, label: x, unified: ORG}\n- {", "a:x is mapped twice"),
        ],
    )
    def test_a_bad_file_is_refused_by_name(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in self.GOOD
        file = tmp_path / "mapping.yaml"
        file.write_text(self.GOOD.replace(old, new))
        with pytest.raises(MappingError) as caught:
            LabelMapping.load(file)
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"{file}: ")

    def test_a_missing_or_undecodable_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MappingError, match="the mapping cannot be read"):
            LabelMapping.load(tmp_path / "missing.yaml")
        (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
        with pytest.raises(MappingError, match="the mapping cannot be read"):
            LabelMapping.load(tmp_path / "latin.yaml")


class TestChecks:
    def test_lookup(self) -> None:
        made = mapping(("a:x", "P"), ("b:y", "P"), ("b:z", "Q"))
        assert [made["a", "x"], made[LabelRef("b", "y")], made["b", "z"]] == ["P", "P", "Q"]
        assert made.members("P") == (LabelRef("a", "x"), LabelRef("b", "y"))
        assert made.members("R") == ()

    def test_text(self) -> None:
        made = mapping(("a:x", "P"), ("b:y", "P"), ("b:z", "组织名"))
        assert str(made) == "P       ←  a:x, b:y\n组织名  ←  b:z"

    def test_labels_left_out_are_named(self) -> None:
        made = mapping(("a:x", "P"))
        made.check_covers([LabelRef("a", "x")])
        with pytest.raises(MappingError, match="leaves out a:y, b:x"):
            made.check_covers([LabelRef("b", "x"), LabelRef("a", "x"), LabelRef("a", "y")])

    @pytest.mark.parametrize(
        ("pairs", "unified", "message"),
        [
            ([("a:x", "P"), ("a:x", "Q")], ("P", "Q"), "a:x is mapped twice"),
            ([("a:x", "P")], ("Q",), "a:x goes to 'P'"),
            ([("a:x", "P")], ("P", "P"), "names a label twice"),
            ([("a:x", "O")], ("O",), "called 'O'"),
        ],
    )
    def test_a_contradiction_is_refused(
        self, pairs: list[tuple[str, str]], unified: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(MappingError, match=message):
            mapping(*pairs, unified=unified)
