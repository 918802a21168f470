"""Which of overlapping spans is kept."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import raw_reader
from esnera_hf.sources.build import label_frequency
from esnera_hf.sources.source import flatten
from esnera_hf.tagging import Entity

FREQUENCY = {"often": 5, "rare": 1, "a": 2, "b": 2}

spans = st.lists(
    st.builds(
        lambda start, width, label: Entity(start, start + width, label),
        st.integers(0, 6),
        st.integers(1, 4),
        st.sampled_from(list(FREQUENCY)),
    ),
    max_size=8,
)


def precedes(one, other):
    """Tell whether of two overlapping spans the first is to be kept."""
    if one.end - one.start != other.end - other.start:
        return one.end - one.start > other.end - other.start
    if one.start != other.start:
        return one.start < other.start
    if FREQUENCY[one.label] != FREQUENCY[other.label]:
        return FREQUENCY[one.label] > FREQUENCY[other.label]
    return one.label < other.label


def overlap(one, other):
    return any(token in range(one.start, one.end) for token in range(other.start, other.end))


@given(spans)
def test_a_span_is_dropped_exactly_where_a_better_one_is_kept(given_spans):
    kept, clashes = flatten(given_spans, FREQUENCY)
    assert Counter([*kept, *(span for span, _ in clashes)]) == Counter(given_spans)
    assert kept == sorted(kept)
    assert not any(overlap(one, other) for one in kept for other in kept if one is not other)
    for span, _ in clashes:
        assert any(overlap(span, rival) and not precedes(span, rival) for rival in kept)


@given(spans, st.randoms(use_true_random=False))
def test_the_order_of_annotation_decides_nothing(given_spans, random):
    shuffled = random.sample(given_spans, len(given_spans))
    assert flatten(shuffled, FREQUENCY)[0] == flatten(given_spans, FREQUENCY)[0]


@pytest.mark.parametrize(
    ("kept", "dropped", "reason"),
    [
        ((0, 3, "rare"), (1, 2, "often"), "nested in a longer span"),
        ((0, 3, "rare"), (0, 2, "rare"), "nested in a longer span"),
        ((0, 2, "often"), (0, 2, "rare"), "second label of the same span"),
        ((0, 2, "a"), (0, 2, "b"), "second label of the same span"),
        ((0, 2, "a"), (0, 2, "a"), "annotated twice"),
        ((1, 4, "rare"), (0, 2, "often"), "crosses a longer or earlier span"),
        ((0, 2, "rare"), (1, 3, "often"), "crosses a longer or earlier span"),
    ],
)
def test_reasons(kept, dropped, reason):
    for order in ([kept, dropped], [dropped, kept]):
        found, clashes = flatten([Entity(*span) for span in order], FREQUENCY)
        assert found == [Entity(*kept)]
        assert clashes == [(Entity(*dropped), reason)]


def test_frequency_counts_every_split():
    train = raw_reader(("abc", [(0, 1, "x"), (1, 2, "y")]), ("de", None))
    test = raw_reader(("fg", [(0, 2, "x")]))
    assert label_frequency([train, test]) == {"x": 2, "y": 1}
