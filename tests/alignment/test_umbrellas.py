"""Umbrellas: average linkage against scipy, what the user decides, and proposed names."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from builders import make_matrix, with_coverage, with_relations
from esnera_hf.alignment.constraints import Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.umbrellas import BELONGS, add_umbrellas, relatedness
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

SCHEMA = {"a:ORG": 90, "a:hue": 80, "b:org_name": 60, "b:shape": 50, "b:tone": 70, "c:organization": 40}
RELATED = {
    ("a:ORG", "b:org_name"): 0.5,
    ("b:org_name", "c:organization"): 0.6,
    ("a:ORG", "c:organization"): 0.4,
}


def related(support: dict[str, int], shares: dict[tuple[str, str], float]) -> SimilarityMatrix:
    """Return a matrix in which pairs, across sources or within one, are so much related and others not at all."""
    found = make_matrix(support, {}, {})
    square = np.zeros((len(support), len(support)))
    for (one, other), share in shares.items():
        i, j = (found.index[LabelRef(*name.split(":"))] for name in (one, other))
        square[i, j] = square[j, i] = share
    found = replace(found, siblings=np.where(found.same_source, square, np.nan))
    return with_relations(found, square, np.zeros_like(square))


def apart(matrix: SimilarityMatrix, parents: dict[str, str] | None = None) -> LabelMapping:
    """Return a mapping in which no two labels are one."""
    names = [label.label for label in matrix.labels]
    entries = tuple(MappedLabel(label, label.label, 1) for label in matrix.labels)
    bare = [name for name in (parents or {}).values() if name not in names]
    return LabelMapping((*names, *dict.fromkeys(bare)), entries, parents=parents or {})


def test_relatedness_is_the_mean_of_what_is_known() -> None:
    found = make_matrix(
        {"a:x": 9, "a:y": 9, "a:z": 9, "b:u": 9, "b:v": 9}, {}, {("a:x", "b:u"): 0.8, ("a:y", "b:u"): -0.5}
    )
    siblings, equal, part = np.full((5, 5), np.nan), np.zeros((5, 5)), np.zeros((5, 5))
    siblings[0, 1] = siblings[1, 0] = 0.3
    equal[0, 3] = equal[3, 0] = 0.1
    part[0, 3], part[3, 0], part[1, 3], part[4, 0] = 0.2, 0.1, 0.4, 0.7
    value = relatedness(with_relations(replace(found, siblings=siblings), equal, part))
    assert value[0, 3] == pytest.approx((0.4 + 0.8) / 2)
    # opposite directions are not less than unrelated ones
    assert value[1, 3] == pytest.approx((0.4 + 0.0) / 2)
    assert value[0, 4] == pytest.approx(0.7)  # of the probabilities alone
    assert value[0, 1] == 0.3
    assert np.isnan(value[0, 2])
    np.testing.assert_array_equal(value, value.T)


@pytest.mark.parametrize(
    ("one", "other", "equal", "expected"),
    [
        ("title", "title", 0.0, 0.1),
        ("title", "title", 0.6, 0.25 * (0.6 + 0.2) / 2 + 0.75),
        ("writer", "politician", 0.0, 0.25 * 0.1 + 0.75),
        ("book", "zzyzx", 0.0, 0.1),
    ],
    ids=["a name of two meanings", "one meaning", "kinds of one", "not listed"],
)
def test_names_relate_but_where_they_mislead(one: str, other: str, equal: float, expected: float) -> None:
    pair = (f"a:{one}", f"b:{other}")
    matrix = make_matrix(dict.fromkeys(pair, 9), {}, {pair: 0.2})
    value = relatedness(with_relations(matrix, np.array([[0, equal], [equal, 0]]), np.zeros((2, 2))))
    assert value[0, 1] == pytest.approx(expected)


def test_what_overlaps_without_a_whole_gets_a_common_parent() -> None:
    matrix = related(SCHEMA, RELATED)
    mapping = add_umbrellas(apart(matrix), matrix)
    assert dict(mapping.parents) == dict.fromkeys(("ORG", "org_name", "organization"), "ORG+")
    assert mapping.unified_labels[0] == "ORG+"
    assert mapping.umbrellas == {"ORG+"}
    assert mapping.members("ORG+") == ()
    assert str(mapping).startswith("ORG+            ←  (its parts only)\n  ORG           ←  a:ORG\n")
    assert LabelMapping.from_yaml(mapping.to_yaml()) == replace(mapping)
    once_more = add_umbrellas(mapping, matrix)
    assert once_more == mapping


@st.composite
def squares(draw: st.DrawFn) -> NDArray[np.float64]:
    """Relatedness of up to eight labels, one per source so that all of it is known."""
    n = draw(st.integers(2, 8))
    square = np.zeros((n, n))
    for i, j in combinations(range(n), 2):
        square[i, j] = square[j, i] = draw(st.integers(0, 999)) / 1000 + (i * n + j) * 1e-7  # no ties
    return square


def labels_of(square: NDArray[np.float64]) -> tuple[SimilarityMatrix, LabelMapping]:
    names = [f"{source}:{label}" for source, label in zip("abcdefgh", "stuvwxyz", strict=True)][: len(square)]
    matrix = make_matrix(dict.fromkeys(names, 10), {}, {})
    matrix = with_relations(matrix, square, np.zeros_like(square))
    return matrix, apart(matrix)


def partition(mapping: LabelMapping) -> set[frozenset[str]]:
    return {
        frozenset(label for label in mapping.mentions if mapping.root(label) == root)
        for root in mapping.tree.roots
    }


@given(square=squares())
def test_groups_are_those_of_average_linkage(square: NDArray[np.float64]) -> None:
    matrix, mapping = labels_of(square)
    distance = 1 - square
    np.fill_diagonal(distance, 0.0)
    clusters = fcluster(linkage(squareform(distance), "average"), 1 - BELONGS, "distance")
    expected = {
        frozenset(
            label for label, other in zip(mapping.unified_labels, clusters, strict=True) if other == cluster
        )
        for cluster in clusters
    }
    assert partition(add_umbrellas(mapping, matrix)) == expected


@given(square=squares(), data=st.data())
def test_what_the_user_decides_holds(square: NDArray[np.float64], data: st.DataObject) -> None:
    matrix, mapping = labels_of(square)
    names = list(mapping.unified_labels)
    parent = st.one_of(st.none(), st.just("ALL"))
    locked: dict[str, str | None] = data.draw(st.dictionaries(st.sampled_from(names), parent, max_size=3))
    apart_names = data.draw(st.sets(st.sampled_from(list(combinations(names, 2))), max_size=4))
    ref = {label.label: label for label in matrix.labels}
    above = {child: whole for child, whole in locked.items() if whole}
    bare = {"ALL": None} if above else {}
    constraints = Constraints(
        unrelated=frozenset(frozenset(ref[name] for name in pair) for pair in apart_names),
        names={ref[name]: name for name in locked},
        parents={**locked, **bare},
    )
    before = apart(matrix, above)
    after = add_umbrellas(before, matrix, constraints)
    for label, whole in locked.items():
        assert after.parents.get(label) == whole
    assert "ALL" not in after.parents
    for one, other in apart_names:
        if not (above.keys() >= {one, other}):
            assert after.root(one) != after.root(other)
    assert after.mentions == before.mentions
    assert set(after.parents.values()) == set(after.umbrellas)
    # What is left apart is less related than that, or must be so.
    value = np.nan_to_num(relatedness(matrix))
    groups = [sorted(group) for group in partition(after)]
    for one, other in combinations(groups, 2):
        free = not any(name in locked and not locked[name] for name in (*one, *other))
        asked = any((a, b) in apart_names or (b, a) in apart_names for a in one for b in other)
        mean = np.mean([value[names.index(a), names.index(b)] for a in one for b in other])
        assert not free or asked or mean < BELONGS


def test_a_given_schema_gets_no_umbrella() -> None:
    matrix = related(SCHEMA, RELATED)
    for target in ("a", ["ORG"]):
        constraints = build_constraints(matrix.labels, target, SchemaSettings())
        assert add_umbrellas(apart(matrix), matrix, constraints) == apart(matrix)


def test_a_locked_umbrella_takes_in_what_belongs_to_its_parts() -> None:
    matrix = related(SCHEMA, RELATED)
    mapping = add_umbrellas(apart(matrix), matrix)
    renamed = LabelMapping.from_yaml(mapping.to_yaml().replace("ORG+", "BODY"))
    entries = tuple(replace(e, locked=e.unified == "ORG") for e in renamed.entries)
    settings = SchemaSettings(locked=replace(renamed, entries=entries))
    constraints = build_constraints(matrix.labels, None, settings)
    start = apart(matrix, {"ORG": "BODY"})
    assert dict(add_umbrellas(start, matrix, constraints).parents) == dict(renamed.parents)


@pytest.mark.parametrize(
    ("support", "covered", "name"),
    [
        # the word that all share, whatever its case
        ({"a:ORG.NAM": 5, "b:ORG.NOM": 9}, {}, "ORG"),
        ({"a:share-org": 5, "a:share-per": 9}, {}, "share"),
        ({"a:ORG": 5, "b:org.nom": 9}, {}, "ORG+"),
        # the one with most mentions, or that holds most with what it covers of the others
        ({"a:book": 50, "b:art": 40}, {}, "book+"),
        ({"a:book": 50, "b:art": 40}, {("a:book", "b:art"): 0.9}, "art+"),
        # what tells two labels of one name apart is no part of it
        ({"a:title@a": 50, "b:art": 40}, {}, "title"),
        ({"a:@": 50, "b:art": 40}, {}, "@+"),
        ({"a:x+": 5, "a:x": 50}, {}, "x++"),
    ],
)
def test_proposed_names(support: dict[str, int], covered: dict[tuple[str, str], float], name: str) -> None:
    one, other = support
    matrix = related(support, {(one, other): 0.9})
    coverage = np.where(matrix.same_source, np.nan, 0.0)
    for pair, share in covered.items():
        coverage[tuple(list(support).index(label) for label in pair)] = share
    matrix = replace(matrix, semantic=np.where(matrix.same_source, np.nan, 1.0))
    matrix = with_coverage(matrix, coverage)
    mapping = add_umbrellas(apart(matrix), matrix)
    assert set(mapping.parents.values()) == {name}
    assert sorted(mapping.parents) == sorted(label.partition(":")[2] for label in support)
