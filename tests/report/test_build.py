"""From what was merged to the facts of a report; test_golden has whole ones, of both methods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from datasets import DatasetDict

from builders import make_matrix, with_relations
from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.merging.merge import MergedData
from esnera_hf.report.build import all_at_once, build_report, near_pairs
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix


def works() -> SimilarityMatrix:
    """Two sources with the same persons; what the one calls WORK, the other calls book or movie."""
    return make_matrix(
        {"a:PER": 100, "a:WORK": 100, "b:book": 50, "b:movie": 50, "b:name": 100},
        {
            ("a:PER", "b:name"): (90, 100),
            ("b:name", "a:PER"): (90, 100),
            ("a:WORK", "b:book"): (48, 100),
            ("a:WORK", "b:movie"): (47, 100),
            ("b:book", "a:WORK"): (49, 50),
            ("b:movie", "a:WORK"): (48, 50),
        },
        {("a:PER", "b:name"): 0.8, ("a:WORK", "b:book"): 0.7, ("a:WORK", "b:movie"): 0.6},
    )


def test_both_labels_of_a_pair_that_stay_are_there_and_what_contains_others_says_so() -> None:
    matrix = make_matrix({"a:x": 5, "b:y": 5}, {}, {("a:x", "b:y"): 0.1})
    matrix = with_relations(matrix, np.array([[0, 0.1], [0.1, 0]]), np.zeros((2, 2)))
    mapping = merge_equivalent(matrix)
    (step,) = all_at_once(mapping, matrix).steps
    assert [(*map(str, d.group), str(d.candidate), d.merged) for d in step.decisions] == [
        ("a:x", "b:y", False),
        ("b:y", "a:x", False),
    ]
    assert not any(d.contains for d in step.decisions)
    over = replace(mapping, unified_labels=(*mapping.unified_labels, "z"), parents={"z": "y"})
    (step,) = all_at_once(over, matrix).steps
    text = str(MergeReport((), steps=(step,))).split("\n")
    assert text[0].startswith("a + b → each other, all at once (no two labels are probably equal)")
    assert text[1].startswith("  a:x  stays; nearest b:y  P(equal) 0.10")
    assert text[2].startswith("  b:y  contains others; nearest a:x  P(equal) 0.10")
    asked = replace(step.decisions[0], merged=True, constrained=True)
    text = str(MergeReport((), steps=(replace(step, decisions=(asked,)),))).split("\n")
    assert text[1].startswith("  a:x  merged, as asked for, into b:y  P(equal) 0.10")


def test_only_labels_that_must_link_are_merged_as_asked_for() -> None:
    matrix = works()
    for schema, asked in (
        ({"names": {"a:PER": "PERSON"}}, set()),
        ({"must_link": [["a:PER", "b:movie"]]}, {"a:PER", "b:movie"}),
        ({"names": {"a:PER": "X", "b:movie": "X"}}, {"a:PER", "b:movie"}),
    ):
        constraints = build_constraints(matrix.labels, None, SchemaSettings(**schema))  # type: ignore[arg-type]
        (step,) = all_at_once(merge_equivalent(matrix, constraints), matrix, constraints).steps
        found = {str(label) for d in step.decisions if d.constrained for label in (*d.group, d.candidate)}
        assert found == asked, schema


def test_a_mapping_that_was_applied_has_no_stages_of_its_own() -> None:
    assert build_report((), merge_equivalent(works()), MergedData(DatasetDict())).steps == ()


def test_only_the_nearest_are_kept() -> None:
    labels = {f"{source}:{letter}": 10 for source in "ab" for letter in "abcdef"}
    values = {(f"a:{one}", f"b:{other}"): 0.1 for one in "abcdef" for other in "abcdef"}
    matrix = make_matrix(labels, {}, values)
    mapping = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.9), matrix)
    assert len(near_pairs(matrix, mapping)) == 20 < len(values)
