"""The canonical form: summary, fingerprint, sample; which of overlapping spans stays."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora import raw_reader, sentences_of
from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.build import build_source
from esnera_hf.sources.source import License, NerSource, SourceSummary, flatten
from esnera_hf.tagging import Entity, LabelRef

TRAIN = [(f"text-{number}", [(0, 4, "noun")]) for number in range(30)]
REST = [("dev", [(0, 3, "noun"), (0, 1, "letter")])]


def source(name="corpus", train=TRAIN):
    readers = {"train": raw_reader(*train), "validation": raw_reader(*REST), "test": raw_reader(*REST)}
    license = License("CC0", True, "do as you like")
    return build_source(NerSource(name, license=license, language="en"), readers)


def test_summary():
    own = source()
    assert own.labels == ("noun",)
    assert own.label_refs == (LabelRef("corpus", "noun"),)
    assert own.summary.sentences == {"train": 30, "validation": 1, "test": 1}
    assert own.summary.tokens == {"train": 10 * 6 + 20 * 7, "validation": 3, "test": 3}
    assert own.summary.entities == {"train": {"noun": 30}, "validation": {"noun": 1}, "test": {"noun": 1}}
    assert str(own.summary).splitlines() == [
        "corpus: license CC0 (text may be shared)",
        "  train: 30 sentences, 200 tokens, 30 entities",
        "  validation: 1 sentence, 3 tokens, 1 entity",
        "  test: 1 sentence, 3 tokens, 1 entity",
        "  labels: noun 32",
        "  dropped: 2 spans (nested in a longer span)",
    ]
    plain = json.loads(json.dumps(to_plain(own.summary)))
    assert plain["license"] == {"name": "CC0", "text_may_be_shared": True, "clause": "do as you like"}
    assert (plain["dropped"], plain["max_samples"]) == ({"nested in a longer span": 2}, None)
    assert from_plain(SourceSummary, plain, "summary") == own.summary
    sizes = "train 30, validation 1, test 1 sentences; 1 label"
    assert repr(own) == f"NerSource('corpus': {sizes}; CC0 (text may be shared))"


def test_license():
    words = {True: "text may be shared", False: "text must not be shared", None: "sharing not stated"}
    assert [str(License("L", shared)) for shared in words] == [f"L ({said})" for said in words.values()]


def test_the_fingerprint_is_of_the_content():
    text = source(train=[*TRAIN[:-1], ("text-2b", [(0, 4, "noun")])])
    label = source(train=[*TRAIN[:-1], ("text-29", [(0, 4, "name")])])
    assert source().fingerprint == source("other name").fingerprint == "07879cfc318c4083b3baf2600c000bcb"
    assert len({source().fingerprint, text.fingerprint, label.fingerprint}) == 3


def test_a_sample_depends_on_texts_and_seed_alone():
    def sampled(train, seed, name="corpus"):
        return {text for text, _ in sentences_of(source(name, train).sample(10, seed))}

    one = sampled(TRAIN, 1)
    assert len(one) == 11
    assert one == sampled(TRAIN[::-1], 1) == sampled(TRAIN, 1, "other name") != sampled(TRAIN, 2)


def test_a_sample_stays_in_order_and_says_so():
    sample = source().sample(10, 5)
    ids = [int(row_id.rpartition("-")[2]) for row_id in sample.dataset["train"]["id"]]
    assert (ids, len(ids)) == (sorted(ids), 10)
    assert sample.notes == ("sampled to at most 10 sentences a split (seed 5)",)
    assert sample.max_samples == sample.summary.max_samples == sample.sample(20, 5).max_samples == 10
    assert "train 10, validation 1, test 1 sentences, a sample of at most 10 a split" in repr(sample)
    assert "(text may be shared); a sample of at most 10 sentences a split\n" in str(sample.summary)
    whole = source()
    assert whole.sample(30, 5) is whole
    with pytest.raises(ConfigurationError, match="max_samples=0: expected a positive number"):
        whole.sample(0)


FREQUENCY = {"often": 5, "rare": 1, "a": 2, "b": 2}

spans = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 4), st.sampled_from(list(FREQUENCY))).map(
        lambda span: Entity(span[0], span[0] + span[1], span[2])
    ),
    max_size=8,
)


def rank(span):
    """Of two overlapping spans, that of the smaller rank is to stay."""
    return span.start - span.end, span.start, -FREQUENCY[span.label], span.label


def overlap(one, other):
    return any(token in range(one.start, one.end) for token in range(other.start, other.end))


@given(spans, st.randoms(use_true_random=False))
def test_a_span_is_dropped_exactly_where_a_better_one_stays(given_spans, random):
    kept, clashes = flatten(given_spans, FREQUENCY)
    assert Counter([*kept, *(span for span, _ in clashes)]) == Counter(given_spans)
    assert kept == sorted(kept)
    assert not any(overlap(one, other) for one in kept for other in kept if one is not other)
    for span, _ in clashes:
        assert any(overlap(span, rival) and rank(rival) <= rank(span) for rival in kept)
    assert flatten(random.sample(given_spans, len(given_spans)), FREQUENCY)[0] == kept


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


def test_a_hundred_thousand_spans_are_not_compared_with_each_other():
    """Many minutes if they were."""
    many = [Entity(place, place + 1, "x") for place in range(100_000)]
    assert flatten(many, {}) == (many, [])
    longest = Entity(0, 99_999, "x")
    kept, clashes = flatten([*many, longest], {})
    assert (kept, len(clashes)) == ([longest, many[-1]], 99_999)
