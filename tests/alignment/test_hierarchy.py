"""A forest of labels, against brute force on random ones."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.alignment.hierarchy import LabelTree, find_circle
from esnera_hf.errors import ConfigurationError, MappingError

PRODUCTS = LabelTree(
    ("PER", "novel", "book", "PRODUCT", "film", "car"),
    {"book": "PRODUCT", "film": "PRODUCT", "novel": "book"},
)


@st.composite
def forests(draw: st.DrawFn) -> LabelTree:
    """Labels in any order; a label's parent comes before it in another one, so that there are no circles."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
    parents = {
        name: draw(st.sampled_from(names[:index]))
        for index, name in enumerate(names)
        if index and draw(st.booleans())
    }
    return LabelTree(tuple(draw(st.permutations(names))), parents)


def test_a_small_tree() -> None:
    assert PRODUCTS.roots == ("PER", "PRODUCT", "car")
    assert PRODUCTS.order == ("PER", "PRODUCT", "book", "novel", "film", "car")


@pytest.mark.parametrize(
    ("labels", "covered"),
    [
        (set(), set()),
        ({"PRODUCT"}, {"PRODUCT", "book", "novel", "film"}),
        ({"book", "film"}, {"PRODUCT", "book", "novel", "film"}),
        ({"book"}, {"book", "novel"}),
        # a novel is not all there is to a book, so novels and films are not all products
        ({"novel", "film"}, {"novel", "film"}),
    ],
)
def test_what_labels_cover(labels: set[str], covered: set[str]) -> None:
    assert {label for label in PRODUCTS.labels if PRODUCTS.covered(label, labels)} == covered


@given(tree=forests())
def test_against_brute_force(tree: LabelTree) -> None:
    def holds(one: str, other: str) -> bool:
        return other in tree.parents and (tree.parents[other] == one or holds(one, tree.parents[other]))

    for label in tree.labels:
        assert set(tree.ancestors(label)) == {name for name in tree.labels if holds(name, label)}
        assert set(tree.descendants(label)) == {name for name in tree.labels if holds(label, name)}
        assert len(set(tree.descendants(label))) == len(tree.descendants(label))
        assert all(holds(later, first) for first, later in pairwise(tree.ancestors(label)))
        root = tree.root(label)
        assert root not in tree.parents
        assert root == label or holds(root, label)
    assert sorted(tree.order) == sorted(tree.labels)
    position = {label: index for index, label in enumerate(tree.order)}
    for label in tree.labels:
        below = sorted(position[name] for name in tree.descendants(label))
        assert below == list(range(position[label] + 1, position[label] + 1 + len(below)))
    assert LabelTree(tree.labels, {}).order == tuple(tree.labels)


@given(tree=forests(), data=st.data())
def test_the_nearest_against_brute_force(tree: LabelTree, data: st.DataObject) -> None:
    some = data.draw(st.sets(st.sampled_from(list(tree.labels))))
    found = tree.nearest(some)
    for label in tree.labels:
        holders = [name for name in (label, *tree.ancestors(label)) if name in some]
        assert found.get(label) == (holders[0] if holders else None)
        assert (label in found) <= tree.covered(label, some)


@given(tree=forests(), data=st.data())
def test_cuts_against_brute_force(tree: LabelTree, data: st.DataObject) -> None:
    borne = data.draw(st.sets(st.sampled_from(list(tree.labels)), min_size=1))
    mentions = {name: data.draw(st.integers(0, 9)) for name in tree.labels if name in borne}
    limit = data.draw(st.integers(-1, len(borne)))

    def holds(one: str, other: str) -> bool:
        return one == other or one in tree.ancestors(other)

    # every label that could take in what is below it, tried on the names so far
    names = {name: name for name in tree.labels}
    costs, left = [], len(borne)
    while left > limit:
        tried = []
        for place, top in enumerate(tree.labels):
            new = {name: top if holds(top, name) and names[top] == top else names[name] for name in names}
            changed = sum(count for name, count in mentions.items() if new[name] != names[name])
            saved = left - len({new[name] for name in borne})
            if saved > 0:
                tried.append((changed / saved, -saved, place, new, changed))
        if not tried:
            break
        *_, names, changed = min(tried, key=lambda choice: choice[:3])
        left = len({names[name] for name in borne})
        costs.append((changed, left))
    if left > max(limit, 0) or limit < 1:
        with pytest.raises(
            ConfigurationError, match=f"labels={limit}: .* has {len({*map(tree.root, borne)})} outer"
        ):
            tree.cut_to(limit, mentions)
        return
    cut = tree.cut_to(limit, mentions)
    assert cut.names == names
    assert [step[2:] for step in cut.steps] == costs
    assert set(cut.labels) == {names[name] for name in borne}
    assert len(cut.labels) == left <= max(limit, len({*map(tree.root, borne)}))
    assert len(str(cut).split("\n")) == len(cut.steps) + 1

    tops = data.draw(st.sets(st.sampled_from(list(tree.labels))))
    at = tree.cut_at(tops, mentions)
    for name in tree.labels:
        outermost = [top for top in (*reversed(tree.ancestors(name)), name) if top in tops]
        assert at.names[name] == (outermost or [name])[0]
    assert sum(step[2] for step in at.steps) == sum(
        n for name, n in mentions.items() if at.names[name] != name
    )


@pytest.mark.parametrize(
    ("parents", "mentions", "limit", "takes_in"),
    [
        # 12 mentions for three labels are cheaper than 10 for one
        (
            {"a": "A", "b": "B", "c": "B", "d": "B"},
            {"A": 1, "B": 1, "a": 10, "b": 4, "c": 4, "d": 4},
            5,
            ["B"],
        ),
        (
            {"a": "A", "b": "B", "c": "B", "d": "B"},
            {"A": 1, "B": 1, "a": 3, "b": 4, "c": 4, "d": 4},
            5,
            ["A"],
        ),
        # an umbrella of one part saves no label, and of two it saves one
        ({"a": "A", "b": "B"}, {"a": 1, "B": 9, "b": 5}, 2, ["B"]),
        ({"a": "A", "b": "A", "c": "B"}, {"a": 2, "b": 2, "B": 9, "c": 5}, 3, ["A"]),
        # of equal costs the one that saves more, then the first
        ({"a": "A", "b": "B", "c": "B"}, {"A": 1, "B": 1, "a": 2, "b": 2, "c": 2}, 4, ["B"]),
        ({"a": "A", "b": "B"}, {"A": 1, "B": 1, "a": 2, "b": 2}, 3, ["A"]),
    ],
)
def test_the_cheapest_labels_vanish_first(
    parents: dict[str, str], mentions: dict[str, int], limit: int, takes_in: list[str]
) -> None:
    tree = LabelTree(("A", "B", "a", "b", "c", "d"), parents)
    assert [step[0] for step in tree.cut_to(limit, mentions).steps] == takes_in


def test_what_a_cut_costs_is_a_table() -> None:
    mentions = {"PER": 9, "novel": 3, "book": 20, "film": 1500, "car": 1}
    cut = PRODUCTS.cut_to(3, mentions)
    assert cut.names == {
        **{name: name for name in PRODUCTS.labels},
        "novel": "PRODUCT",
        "book": "PRODUCT",
        "film": "PRODUCT",
    }
    assert str(cut).split("\n") == [
        "labels  mentions  becomes  what vanishes",
        "4       3         book     novel",
        "3       1,523     PRODUCT  book, film",
    ]


@given(links=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"), max_size=6))
def test_circles_are_found(links: dict[str, str]) -> None:
    reached = {start: set[str]() for start in links}
    for start in links:
        label = start
        for _ in links:
            label = links.get(label, "")
            reached[start].add(label)
    circle = find_circle(links)
    assert bool(circle) == any(start in found for start, found in reached.items())
    assert [links[label] for label in circle] == [*circle[1:], *circle[:1]]


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ({"x": "P"}, "'x' is a part of 'P', and 'x' is not in the unified schema: PER"),
        ({"book": "P"}, "'P' is not in the unified schema"),
        ({"book": "book"}, "in a circle: 'book' → 'book'"),
        ({"PER": "film", "film": "car", "car": "film"}, "in a circle: 'film' → 'car' → 'film'"),
    ],
)
def test_a_contradiction_is_refused(parents: dict[str, str], message: str) -> None:
    with pytest.raises(MappingError) as caught:
        LabelTree(PRODUCTS.labels, parents)
    assert message in str(caught.value)
