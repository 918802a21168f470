"""Parts that the user names: they end below their wholes whatever the evidence, or are refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix, random_relations, with_relations
from esnera_hf.alignment.constraints import Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.search import GreedySettings, merge_greedily
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

LABELS = ("a:x", "a:y", "b:x", "b:y", "c:x", "c:y")


def matrix(equal: dict[tuple[str, str], float] | None = None, seed: int | None = None) -> SimilarityMatrix:
    """Return a matrix of chosen, or of random, probabilities of relations."""
    plain = make_matrix(dict.fromkeys(LABELS, 50), {}, {})
    if seed is not None:
        return random_relations(plain, seed)
    values = np.zeros((6, 6))
    for (one, other), value in (equal or {}).items():
        i, j = LABELS.index(one), LABELS.index(other)
        values[i, j] = values[j, i] = value
    return with_relations(plain, values, np.zeros((6, 6)))


def asked(**wishes: Any) -> Constraints:
    return build_constraints(matrix().labels, None, SchemaSettings(**wishes))


def below(mapping: LabelMapping, part: str, whole: str) -> bool:
    return mapping[whole] in mapping.ancestors(mapping[part] or "")


PAIRS = st.lists(st.sampled_from(LABELS), min_size=2, max_size=2, unique=True)


@given(
    st.lists(PAIRS, min_size=1, max_size=4),
    st.lists(PAIRS, max_size=2),
    st.lists(PAIRS, max_size=2),
    st.integers(0, 10_000),
)
def test_parts_are_below_their_wholes_unless_they_contradict_what_is_asked_for(
    parts: list[list[str]], together: list[list[str]], apart: list[list[str]], seed: int
) -> None:
    possible = are_possible(parts, together, apart)
    try:
        constraints = asked(part_of=parts, must_link=together, cannot_link=apart)
    except ConfigurationError:
        assert not possible
        return
    assert possible
    mapping = merge_equivalent(matrix(seed=seed), constraints)
    assert all(below(mapping, *pair) for pair in parts)
    assert all(mapping[one] == mapping[other] for one, other in together)
    for one, other in apart:
        assert mapping[one] != mapping[other]
        assert not below(mapping, one, other)
        assert not below(mapping, other, one)
    for source in "abc":
        free = [
            label for label in LABELS if label[0] == source and not any(label in pair for pair in together)
        ]
        assert len({mapping[label] for label in free}) == len(free)


def are_possible(parts: list[list[str]], together: list[list[str]], apart: list[list[str]]) -> bool:
    """Tell by closure over classes: no circle, no two wholes side by side, nothing below what it is unrelated to."""
    home = {label: {label} for label in LABELS}
    for one, other in together:
        joined = home[one] | home[other]
        home |= dict.fromkeys(joined, joined)
    if any(other in home[one] for one, other in apart):
        return False
    direct = {(min(home[part]), min(home[whole])) for part, whole in parts}
    above = set(direct)
    for middle, one, other in product(LABELS, repeat=3):
        if (one, middle) in above and (middle, other) in above:
            above.add((one, other))
    side_by_side = any(
        one[0] == other[0] and (one[1], other[1]) not in above and (other[1], one[1]) not in above
        for one, other in combinations(direct, 2)
    )
    related = any(
        pair in above or pair[::-1] in above for pair in ((min(home[a]), min(home[b])) for a, b in apart)
    )
    return not (side_by_side or related or any((label, label) in above for label in LABELS))


@pytest.mark.parametrize(
    ("equal", "parts", "groups"),
    [
        # What the evidence makes one stays apart where one is a part of the other.
        ({("a:x", "b:x"): 0.9}, [["a:x", "b:x"]], []),
        # The weaker of two merges that close a circle gives way.
        ({("a:x", "b:y"): 0.9, ("b:x", "c:y"): 0.8}, [["a:x", "b:x"], ["c:y", "b:y"]], [{"a:x", "b:y"}]),
        # So does the merge of two parts whose wholes stay apart; not where these become one.
        ({("a:x", "b:x"): 0.9}, [["a:x", "c:x"], ["b:x", "c:y"]], []),
        (
            {("a:x", "b:x"): 0.9, ("a:y", "c:y"): 0.8},
            [["a:x", "c:y"], ["b:x", "a:y"]],
            [{"a:x", "b:x"}, {"a:y", "c:y"}],
        ),
        ({("a:x", "b:x"): 0.9}, [["a:x", "c:x"], ["b:x", "c:y"], ["c:x", "c:y"]], [{"a:x", "b:x"}]),
    ],
)
def test_what_would_stand_against_parts_is_parted_where_it_costs_least(
    equal: dict[tuple[str, str], float], parts: list[list[str]], groups: list[set[str]]
) -> None:
    mapping = merge_equivalent(matrix(equal), asked(part_of=parts))
    members = [set(map(str, mapping.members(name))) for name in mapping.unified_labels]
    assert sorted([g for g in members if len(g) > 1], key=sorted) == groups
    assert all(below(mapping, *pair) for pair in parts)


def test_a_merge_that_would_put_a_label_below_what_it_is_unrelated_to_gives_way() -> None:
    equal = {("a:x", "b:x"): 0.9}
    constraints = asked(part_of=[["a:x", "c:x"]], cannot_link=[["b:x", "c:x"]])
    mapping = merge_equivalent(matrix(equal), constraints)
    assert mapping["a:x"] != mapping["b:x"]
    assert below(mapping, "a:x", "c:x")


LOCKED = LabelMapping(
    ("P", "W", "V"),
    (
        MappedLabel(LabelRef("a", "x"), "P", locked=True),
        MappedLabel(LabelRef("b", "x"), "W", locked=True),
        MappedLabel(LabelRef("c", "x"), "V", locked=True),
        MappedLabel(LabelRef("c", "y"), None, locked=True),
    ),
    parents={"P": "W"},
)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"part_of": ["a:x", "b:x"]}, "part_of: found 'a:x', expected pairs of a part and its whole"),
        ({"part_of": [["a:x", "b:x", "c:x"]]}, "part_of: found ['a:x', 'b:x', 'c:x'], expected pairs"),
        ({"part_of": [["a:x", "a:x"]]}, "part_of: a:x is to be a part of itself"),
        ({"part_of": [["a:x", "z"]]}, "part_of: 'z' is no label of the sources"),
        (
            {"part_of": [["a:x", "b:x"], ["b:x", "a:x"]]},
            "a:x is to be a part of b:x, b:x is to be a part of a:x, and a:x is to be one with a:x",
        ),
        (
            {"part_of": [["a:x", "b:x"]], "must_link": [["a:x", "b:x"]]},
            "a:x is to be a part of b:x, and b:x is to be one with a:x. Leave one of these out",
        ),
        (
            {"part_of": [["a:x", "b:x"]], "cannot_link": [["a:x", "b:x"]]},
            "a:x is to be a part of b:x, and a:x and b:x are to stay apart (cannot_link). Drop one",
        ),
        (
            {"part_of": [["a:x", "b:x"], ["a:x", "c:x"]]},
            "a:x is to be a part of b:x and a:x of c:x, and a label has one parent. Say that these two are one",
        ),
        ({"part_of": [["a:x", "c:x"]], "locked": LOCKED}, "and 'P' is locked as a part of 'W'. Unlock"),
        ({"part_of": [["b:x", "c:x"]], "locked": LOCKED}, "and 'W' is locked without a parent. Unlock"),
        (
            {"part_of": [["a:y", "c:y"]], "locked": LOCKED},
            "c:y is locked as left out, and named, or to be one",
        ),
    ],
)
def test_what_cannot_be_met_is_refused(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        asked(**wishes)
    assert message in str(caught.value)


def test_a_part_that_is_locked_there_already_stays_and_a_new_one_joins_it() -> None:
    constraints = asked(part_of=[["a:x", "b:x"], ["a:y", "b:x"]], locked=LOCKED)
    mapping = merge_equivalent(matrix({("a:y", "c:x"): 0.9}), constraints)
    assert {child: parent for child, parent in mapping.parents.items() if parent == "W"} == {
        "P": "W",
        "y": "W",
    }
    assert mapping["c:x"] == "V"  # locked without a parent, so it cannot be one with what is to have one


def test_the_greedy_path_puts_parts_below_their_wholes_at_its_end_or_refuses_them() -> None:
    alike = make_matrix(
        dict.fromkeys(LABELS, 50), {}, {("a:x", "b:x"): 0.9, ("a:y", "b:y"): 0.9, ("b:y", "c:y"): 0.1}
    )
    settings = GreedySettings(lam=0.4, tau=0.4)
    mapping, _ = merge_greedily(alike, asked(part_of=[["a:x", "c:x"]]), settings)
    assert below(mapping, "b:x", "c:x")
    assert len(mapping.parents) == 1
    kept, _ = merge_greedily(alike, asked(part_of=[["a:x", "b:x"]]), settings)
    assert below(kept, "a:x", "b:x")
    with pytest.raises(
        ConfigurationError, match=r"one parent.*Labels that became one stand against it: keep"
    ):
        merge_greedily(alike, asked(part_of=[["a:x", "c:x"], ["b:x", "c:y"]]), settings)
    assert replace(mapping, parents={}).fingerprint != mapping.fingerprint
