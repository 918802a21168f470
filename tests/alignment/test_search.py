"""The search against the full grid, with scores looked up instead of trained."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix
from esnera_hf.alignment.greedy_path import MergeHistory, MergeStep, merge_step, next_step
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.alignment.search import GreedySettings, search_merge_path, step_candidates
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

GRID = GreedySettings()


def partition(mapping: LabelMapping) -> frozenset[frozenset[LabelRef]]:
    return frozenset(frozenset(mapping.members(name)) for name in mapping.unified_labels)


def random_matrix(seed: int, sources: int = 3) -> SimilarityMatrix:
    draw = random.Random(seed)
    labels = [f"{name}:{index}" for name in "abcd"[:sources] for index in range(draw.randint(1, 4))]
    counts, semantic = {}, {}
    for one, other in product(labels, labels):
        if one[0] != other[0] and draw.random() < 0.8:
            predicted = draw.randint(1, 9)
            counts[one, other] = (draw.randint(0, predicted), predicted)
        if one[0] < other[0]:
            semantic[one, other] = draw.uniform(-0.5, 1)
    return make_matrix({label: draw.randint(1, 50) for label in labels}, counts, semantic)


class Oracle:
    """Answers by outcome, always the same, and remembers what it was asked."""

    def __init__(self, seed: int, share: float) -> None:
        self.seed, self.share = seed, share
        self.asked: list[frozenset[frozenset[LabelRef]]] = []

    def __call__(self, mapping: LabelMapping) -> tuple[bool, None]:
        self.asked.append(partition(mapping))
        outcome = sorted(sorted(map(str, group)) for group in partition(mapping))
        return random.Random(f"{self.seed} {outcome}").random() < self.share, None


def full_grid(matrix: SimilarityMatrix, evaluate: Oracle) -> tuple[MergeStep, ...]:
    """Try every setting of every step and take, of those that hold, what the method prefers."""
    steps: tuple[MergeStep, ...] = ()
    while (step := next_step(matrix, steps)) is not None:
        best = None
        for lam, tau in product(GRID.lambdas, GRID.taus):
            tried = merge_step(step, matrix, lam, tau)
            history = MergeHistory((*steps, tried))
            mapping = mapping_from_history(history, matrix).restricted(history.sources)
            if not tried.merged or not evaluate(mapping)[0]:
                continue
            key = (tried.merged, round(tried.similarity, 9), -round(abs(lam - 0.4), 9), tau, -lam)
            if best is None or key > best[0]:
                best = (key, tried)
        steps = (*steps, best[1] if best is not None else merge_step(step, matrix, 0.4, None))
    return steps


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.1, 0.5, 1.0]), sources=st.integers(2, 4))
def test_the_search_equals_the_full_grid(seed: int, share: float, sources: int) -> None:
    matrix = random_matrix(seed, sources)
    search, grid = Oracle(seed, share), Oracle(seed, share)
    assert search_merge_path(matrix, GRID, search).steps == full_grid(matrix, grid)
    assert len(search.asked) == len(set(search.asked)) <= len(set(grid.asked))


def two_labels() -> SimilarityMatrix:
    """a:x is like b:x (S 0.75 at any λ), a:y hardly like b:y (0.25)."""
    return make_matrix(
        {"a:x": 1, "a:y": 1, "b:x": 1, "b:y": 1},
        {("a:x", "b:x"): (3, 4), ("a:y", "b:y"): (1, 4), ("a:x", "b:y"): (0, 4), ("a:y", "b:x"): (0, 4)},
        {("a:x", "b:x"): 0.75, ("a:y", "b:y"): 0.25, ("a:x", "b:y"): 0.0, ("a:y", "b:x"): 0.0},
    )


def test_candidates_are_distinct_and_the_one_with_most_labels_comes_first() -> None:
    step = next_step(two_labels())
    assert step is not None
    (first, first_settings), (second, second_settings) = step_candidates(step, two_labels(), GRID)
    # both merge up to τ 0.2, one up to 0.7, none above: 5 × 2, 5 × 5 and 5 × 2 points of the grid
    assert (first.merged, len(first_settings), second.merged, len(second_settings)) == (2, 10, 1, 25)
    assert first_settings[0] == (0.4, 0.2)
    assert second_settings[0] == (0.4, 0.7)


@pytest.mark.parametrize(
    ("fewest", "candidates", "merged", "setting"),
    [
        (0, [(2, 10, 2, True), (1, 25, None, False)], 2, (0.4, 0.2)),
        (3, [(2, 10, 2, False), (1, 25, 3, True)], 1, (0.4, 0.7)),
        (9, [(2, 10, 2, False), (1, 25, 3, False)], 0, (0.4, None)),
    ],
)
def test_the_first_that_holds_ends_the_stage(
    fewest: int, candidates: list[tuple[int, int, int | None, bool]], merged: int, setting: tuple[float, Any]
) -> None:
    """Labels merged, how many settings do so, how many unified labels were tried, and whether it was taken."""

    def verdict(mapping: LabelMapping) -> tuple[bool, int]:
        return len(mapping.unified_labels) >= fewest, len(mapping.unified_labels)

    searched = search_merge_path(two_labels(), GRID, verdict)
    assert [
        (trial.step.merged, len(trial.settings), trial.outcome, trial.chosen) for trial in searched.candidates
    ] == candidates
    (step,) = searched.steps
    assert (step.merged, (step.lam, step.tau)) == (merged, setting)


def test_what_merges_nothing_is_not_tried() -> None:
    matrix = make_matrix({"a:x": 1, "b:y": 1}, {("a:x", "b:y"): (0, 9)}, {("a:x", "b:y"): 0.0})

    searched = search_merge_path(matrix, GRID, lambda mapping: pytest.fail("tried"))
    assert (searched.candidates, [step.merged for step in searched.steps]) == ((), [0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lam": ()}, "found no value, expected a number"),
        ({"lam": (1.5,)}, "λ = 1.5"),
        ({"tau": 2.0}, "τ = 2.0"),
        ({"max_f1_drop": 0.0}, "max_f1_drop=0.0"),
        ({"scoring": "loose"}, "scoring='loose'"),
        ({"max_samples": 0}, "greedy max_samples=0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GreedySettings(**settings)  # type: ignore[arg-type]
