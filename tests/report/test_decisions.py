"""What was merged and what stayed apart, as a report keeps it."""

from __future__ import annotations

from dataclasses import replace

from builders import make_matrix
from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.report.build import NEAR, merge_stages, near_pairs
from esnera_hf.report.report import Report
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
        {
            ("a:PER", "b:name"): 0.8,
            ("a:WORK", "b:book"): 0.7,
            ("a:WORK", "b:movie"): 0.6,
        },
    )


def test_typed_merging_is_one_stage_with_each_pair_once() -> None:
    matrix = works()
    mapping = merge_equivalent(matrix)
    (stage,) = merge_stages((), mapping, matrix)
    assert (stage["sources"], stage["target"]) == (["a", "b"], "(all at once)")
    assert (stage["lambda"], stage["sum_empirical"], stage["merged"]) == (None, None, 1)
    shown = [(*d["group"], d["candidate"], d["merged"], d["part"]) for d in stage["decisions"]]
    assert shown == [
        ("a:PER", "b:name", True, False),
        ("b:book", "a:WORK", False, True),
        ("b:movie", "a:WORK", False, True),
    ]
    first = stage["decisions"][0]
    similarity = matrix.equivalence[matrix.labels.index(("a", "PER")), matrix.labels.index(("b", "name"))]
    assert first["similarity"] == round(float(similarity), 4)
    assert (first["matched"], first["predicted"], first["wished"]) == (90, 100, False)


def test_both_labels_of_a_pair_that_stay_are_there_and_what_holds_others_says_so() -> None:
    matrix = make_matrix({"a:x": 5, "b:y": 5}, {}, {("a:x", "b:y"): 0.1})
    mapping = merge_equivalent(matrix)
    (stage,) = merge_stages((), mapping, matrix)
    assert [(*d["group"], d["candidate"], d["merged"]) for d in stage["decisions"]] == [
        ("a:x", "b:y", False),
        ("b:y", "a:x", False),
    ]
    assert not any(d["holds"] for d in stage["decisions"])
    above = replace(mapping, unified_labels=(*mapping.unified_labels, "z"), parents={"z": "y"})
    (stage,) = merge_stages((), above, matrix)
    told = str(Report({}, [], stages=[stage])).split("\n")
    assert told[0].startswith("a + b, all at once (")
    assert told[1].startswith("  a:x  stays; nearest b:y  S")
    assert told[2].startswith("  b:y  holds others; nearest a:x  S")
    wished = {**stage["decisions"][0], "merged": True, "wished": True}
    told = str(Report({}, [], stages=[{**stage, "decisions": [wished]}])).split("\n")
    assert told[1].startswith("  a:x  as wished → b:y  S")


def test_only_what_was_to_be_together_is_as_wished() -> None:
    matrix = works()
    for wishes, wished in (
        ({"names": {"a:PER": "PERSON"}}, set()),
        ({"must_link": [["a:PER", "b:movie"]]}, {"a:PER", "b:movie"}),
        ({"names": {"a:PER": "X", "b:movie": "X"}}, {"a:PER", "b:movie"}),
    ):
        constraints = build_constraints(matrix.labels, None, SchemaSettings(**wishes))  # type: ignore[arg-type]
        mapping = merge_equivalent(matrix, constraints)
        (stage,) = merge_stages((), mapping, matrix, constraints)
        found = {label for d in stage["decisions"] if d["wished"] for label in (*d["group"], d["candidate"])}
        assert found == wished, wishes


def test_what_stayed_apart_tells_how_it_relates_parts_first() -> None:
    matrix = works()
    mapping = merge_equivalent(matrix)
    assert dict(mapping.parents) == {"book": "WORK", "movie": "WORK"}
    pairs = near_pairs(matrix, mapping)
    assert [(pair["one"], pair["other"], pair["relation"]) for pair in pairs[:2]] == [
        ("a:WORK", "b:book", "superset"),
        ("a:WORK", "b:movie", "superset"),
    ]
    covered = matrix.coverage
    work, book = matrix.labels.index(("a", "WORK")), matrix.labels.index(("b", "book"))
    assert pairs[0]["forward_coverage"] == round(float(covered[work, book]), 4)
    assert pairs[0]["backward_coverage"] == round(float(covered[book, work]), 4)
    assert pairs[0]["forward_similarity"] == pairs[0]["backward_similarity"]


def test_along_a_path_nothing_is_said_of_relations() -> None:
    matrix = works()
    path = greedy_merge_path(matrix, 0.4, 0.9)
    mapping = mapping_from_history(path, matrix)
    (stage,) = merge_stages(path.steps, mapping, matrix)
    assert stage["lambda"] == 0.4
    pairs = near_pairs(matrix, mapping)
    assert {"relation", "forward_coverage"} & set(pairs[0]) == set()
    assert [pairs[0]["one"], pairs[0]["other"]] == ["a:PER", "b:name"]
    assert pairs[0]["forward_similarity"] == round(0.6 * 0.8 + 0.4 * 0.9, 4)


def test_a_mapping_that_was_applied_has_no_stages_of_its_own() -> None:
    assert merge_stages((), merge_equivalent(works()), None) == []


def test_only_the_nearest_are_kept() -> None:
    labels = {f"{source}:{letter}": 10 for source in "ab" for letter in "abcdef"}
    values = {(f"a:{one}", f"b:{other}"): 0.1 for one in "abcdef" for other in "abcdef"}
    matrix = make_matrix(labels, {}, values)
    mapping = mapping_from_history(greedy_merge_path(matrix, 0.4, 0.9), matrix)
    assert len(near_pairs(matrix, mapping)) == NEAR < len(values)
