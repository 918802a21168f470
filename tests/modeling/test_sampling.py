"""What a joint tagger sees in an epoch."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.modeling.training import TemperatureSampler, quotas

LENGTHS = [[10 + i % 7 for i in range(90)], [5] * 9, [30, 3, 3]]


def epoch(number: int, seed: int = 42, exponent: float = 0.7) -> list[int]:
    sampler = TemperatureSampler(LENGTHS, batch_size=8, exponent=exponent, seed=seed)
    sampler.set_epoch(number)
    return list(sampler)


def shares(rows: list[int]) -> list[int]:
    return [sum(start <= row < end for row in rows) for start, end in ((0, 90), (90, 99), (99, 102))]


@pytest.mark.parametrize(
    ("sizes", "exponent", "expected"),
    [
        ([90, 9, 3], 1.0, [90, 9, 3]),
        ([90, 9, 3], 0.0, [34, 34, 34]),
        ([400, 100], 0.5, [333, 167]),
        ([1], 0.7, [1]),
        ([1000, 1], 1.0, [1000, 1]),
    ],
)
def test_shares_of_an_epoch(sizes: list[int], exponent: float, expected: list[int]) -> None:
    assert quotas(sizes, exponent) == expected


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.floats(0, 1))
def test_shares_add_up_and_follow_the_sizes(sizes: list[int], exponent: float) -> None:
    found = quotas(sizes, exponent)
    assert sum(found) == sum(sizes)
    assert min(found) >= 1
    weights = [size**exponent for size in sizes]
    exact = [sum(sizes) * weight / sum(weights) for weight in weights]
    assert all(abs(one - other) <= 1 for one, other in zip(found, exact, strict=True))
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    assert all(found[small] <= found[large] + 1 for small, large in pairwise(order))


def test_an_epoch_holds_the_shares() -> None:
    sampler = TemperatureSampler(LENGTHS, batch_size=8, exponent=0.7, seed=42)
    for number in range(3):
        rows = epoch(number)
        assert len(rows) == len(sampler) == 102
        assert shares(rows) == sampler.quotas == quotas([90, 9, 3], 0.7)


def test_no_row_comes_again_before_all_others_came() -> None:
    seen: Counter[int] = Counter()
    for number in range(7):
        seen.update(epoch(number))
        for start, end in ((0, 90), (90, 99), (99, 102)):
            counts = [seen[row] for row in range(start, end)]
            assert max(counts) - min(counts) <= 1


def test_with_exponent_one_an_epoch_is_every_row_once() -> None:
    for number in (0, 1):
        assert sorted(epoch(number, exponent=1.0)) == list(range(102))


def test_seed_and_epoch_decide_the_order() -> None:
    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)
    assert epoch(0) != epoch(0, seed=7)
    again = TemperatureSampler(LENGTHS, batch_size=8, exponent=0.7, seed=42)
    assert list(again) == list(again) == epoch(0)


def test_rows_of_like_length_stand_together() -> None:
    lengths = [7 * i % 101 for i in range(400)]
    sampler = TemperatureSampler([lengths[:300], lengths[300:]], batch_size=8, exponent=1, seed=42)

    def padding(rows: list[int]) -> int:
        batches = [[lengths[row] for row in rows[i : i + 8]] for i in range(0, len(rows), 8)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    assert padding(list(sampler)) < padding(list(range(400))) / 4
