"""Features of label pairs, against figures worked out by hand and plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders import make_matrix
from esnera_hf.similarity.features import (
    BESIDE_NOISE,
    FEW_LABELS,
    MEASURED,
    ONE_SIDED,
    PRIOR,
    PRIOR_FORMS,
    PRIOR_OVERLAP,
    PRIOR_SHARE,
    RELATED,
    agreed_share,
    best_rival,
    equality_features,
    found_share,
    relation_features,
    telling_overlap,
)
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

#: politics has persons and, apart from them, politicians; news has persons that are both.
SUPPORT = {"politics:person": 100, "politics:politician": 100, "news:PER": 200}
BEFORE = PRIOR * PRIOR_SHARE


def politics() -> SimilarityMatrix:
    return make_matrix(
        SUPPORT,
        {
            # On news text: 80 entities are predicted as person, 72 of them are annotated PER.
            ("politics:person", "news:PER"): (72, 80),
            ("politics:politician", "news:PER"): (90, 100),
            # On politics text: 180 are predicted as PER, half of each kind.
            ("news:PER", "politics:person"): (85, 180),
            ("news:PER", "politics:politician"): (85, 180),
        },
        {("politics:person", "news:PER"): 0.5, ("politics:politician", "news:PER"): 0.4},
        {("politics:person", "news:PER"): 0.8, ("news:PER", "politics:person"): 0.3},
    )


def place(matrix: SimilarityMatrix, label: str) -> int:
    return matrix.labels.index(LabelRef(*label.split(":")))


def test_the_agreed_share_leaves_out_what_one_head_overlooks() -> None:
    matrix = politics()
    shares = agreed_share(matrix)
    person, _, per = (place(matrix, label) for label in SUPPORT)
    # All persons annotated in news are PER; all gold persons found by the head of news are called PER.
    as_per = (72 + BEFORE) / (72 + PRIOR), (85 + BEFORE) / (85 + PRIOR)
    assert shares[person, per] == pytest.approx(np.sqrt(np.prod(as_per)))
    # Of the predicted PER annotated in politics half are persons (85 of 170); of the gold PER that the head of
    # politics finds, 72 of 162 are called person.
    as_person = (85 + BEFORE) / (170 + PRIOR), (72 + BEFORE) / (162 + PRIOR)
    assert shares[per, person] == pytest.approx(np.sqrt(np.prod(as_person)))


def test_what_a_head_finds_is_relative_to_what_it_finds_of_its_own() -> None:
    matrix = politics()
    person, _, per = (place(matrix, label) for label in SUPPORT)
    share = (85 + BEFORE) / (100 + PRIOR)
    assert found_share(matrix)[person, per] == pytest.approx(share)
    half = replace(matrix, recall=np.array([0.9, 0.9, 0.9]), read=np.array([400, 400, 400]))
    read = (85 + BEFORE) / (400 + PRIOR)
    assert found_share(half)[person, per] == pytest.approx(read / 0.9)
    # A head that finds hardly anything of its own tells little: the share is not blown up.
    weak = replace(matrix, recall=np.array([0.9, 0.9, 0.01]))
    assert found_share(weak)[person, per] == pytest.approx(1.0)
    assert (found_share(weak) <= 1).all()


@given(arrays(np.float64, (6, 6), elements=st.floats(0, 1)))
def test_the_best_rival_is_the_best_other_label_of_the_source(values: np.ndarray) -> None:
    sources = np.array([0, 0, 0, 1, 1, 2])
    found = best_rival(values, sources[:, None] == sources[None, :])
    for i in range(6):
        for j in range(6):
            others = [values[i, k] for k in range(6) if k != j and sources[k] == sources[j]]
            assert found[i, j] == max(others) if others else np.isnan(found[i, j])


def test_the_more_labels_there_are_the_less_probable_is_any_one_pair() -> None:
    def features(count: int, unused: int = 0) -> dict[str, np.ndarray]:
        support = {"a:x": 50, **{f"b:{k}": 50 for k in range(count)}, **{f"b:u{k}": 0 for k in range(unused)}}
        return equality_features(make_matrix(support, {}, {}))

    counts = [1, FEW_LABELS, 2 * FEW_LABELS]
    expected = np.log([FEW_LABELS, FEW_LABELS, 2 * FEW_LABELS])
    assert [features(count)["labels"][0, 1] for count in counts] == pytest.approx(expected)
    # A label that is named and never used is no partner of any.
    assert features(8, unused=3)["labels"][0, 1] == pytest.approx(np.log(8))
    np.testing.assert_array_equal(features(8)["labels"], features(8)["labels"].T)


def test_margins_tell_a_label_from_its_rivals() -> None:
    features = equality_features(politics())
    person, politician, per = range(3)
    # PER is politician a little more than person; of the labels of politics neither stands out, so the margin is small.
    assert features["share margin"][politician, per] > 0 > features["share margin"][person, per]
    for name, values in features.items():
        np.testing.assert_array_equal(values, values.T, err_msg=name)


def test_a_margin_is_that_of_the_worse_direction() -> None:
    close = {("a:city", "b:city"): 0.9, ("a:city", "b:cities"): 0.6}
    matrix = make_matrix(dict.fromkeys(("a:city", "a:qq", "b:city", "b:cities"), 9), {}, close)
    margins = equality_features(matrix)["vectors margin"]
    assert margins[0, 2] == pytest.approx(np.log(0.95 / 0.65))
    assert margins[0, 3] == pytest.approx(np.log(0.65 / 0.95))
    # A source of one label has no rival of it: the other direction alone counts.
    single = make_matrix(dict.fromkeys(("a:city", "b:city", "b:cities"), 9), {}, close)
    assert equality_features(single)["vectors margin"][0, 1] == margins[0, 2]


def test_heads_that_find_hardly_anything_do_not_speak_against_names() -> None:
    matrix = politics()
    full, weak = (
        equality_features(replace(matrix, recall=np.array([0.9, 0.9, recall]))) for recall in (0.9, 0.0)
    )
    for name in ("share", "share margin", "found margin", "balance"):
        assert (weak[name][0, 2], weak["unmeasured"][0, 2]) == (0.0, 1.0)
    found = 0.9 * 100  # of the rarer label
    assert full["unmeasured"][0, 2] == pytest.approx(MEASURED / (found + MEASURED))
    assert full["share"][0, 2] != 0.0


def test_what_noise_takes_from_heads_it_gives_to_names_and_forms() -> None:
    matrix = politics()
    exact, noisy = (
        equality_features(replace(matrix, reliability=np.array([1.0, 1.0, share]))) for share in (1.0, 0.4)
    )
    assert noisy["noise"][0, 2] == pytest.approx(0.6)
    assert not exact["noise"].any()
    for name in ("share", "balance", "share margin", "found margin"):
        assert noisy[name][0, 2] == pytest.approx(0.4 * exact[name][0, 2])
    for name in ("letters", "listed", "meaning", "split off", "forms", "forms unknown", "forms margin"):
        assert noisy[name][0, 2] == exact[name][0, 2]
        assert noisy[name + BESIDE_NOISE][0, 2] == pytest.approx(0.6 * exact[name][0, 2])
        assert not exact[name + BESIDE_NOISE].any()


def test_names_tell_parts_and_what_is_split_off() -> None:
    labels = ("a:person", "a:writer", "b:PER", "c:person", "c:actor")
    features = relation_features(make_matrix(dict.fromkeys(labels, 9), {}, {}))
    of = {name: {(i, j) for i, j in zip(*values.nonzero(), strict=True)} for name, values in features.items()}
    assert of["kind"] >= {(1, 2), (1, 3), (4, 2)}
    assert of["kind, reverse"] == {(j, i) for i, j in of["kind"]}
    assert {pair for pair in of["split off"] if 2 in pair} == {(0, 2), (3, 2)}
    assert of["both split off"] == {(0, 3), (3, 0)}


def test_that_a_few_forms_are_not_annotated_alike_says_little() -> None:
    labels = dict.fromkeys(("a:x", "b:y"), 100)
    pairs = dict.fromkeys((("a:x", "b:y"), ("b:y", "a:x")), 0.0)

    def share(forms: int) -> float:
        occurring = np.array([[0, forms], [forms, 0]])
        logit = equality_features(replace(make_matrix(labels, {}, {}, pairs), occurring=occurring))["forms"][
            0, 1
        ]
        return float((1.02 * np.exp(logit) - 0.02) / (1 + np.exp(logit)))

    before = PRIOR_FORMS * PRIOR_OVERLAP
    assert share(4) == pytest.approx(before / (4 + PRIOR_FORMS))
    assert share(400) == pytest.approx(before / (400 + PRIOR_FORMS))


def test_a_label_that_also_takes_in_another_one_spills() -> None:
    support = dict.fromkeys(("a:x", "a:y", "b:z"), 100)
    forms = {("a:x", "b:z"): 0.9, ("b:z", "a:x"): 0.9, ("b:z", "a:y"): 0.1}
    narrow, wide = (make_matrix(support, {}, {}, {**forms, ("a:y", "b:z"): share}) for share in (0.0, 0.8))
    found = [equality_features(matrix)["spill"][0, 2] for matrix in (narrow, wide)]
    assert found[0] < found[1]
    assert equality_features(narrow)["forms"][0, 2] == equality_features(wide)["forms"][0, 2]


def test_a_head_that_calls_everything_its_own_covers_nothing_more_than_its_neighbors() -> None:
    support = dict.fromkeys(("a:x", "a:y", "b:z"), 100)
    only, all_alike = (
        make_matrix(support, {("b:z", "a:x"): (80, 90), ("b:z", "a:y"): (other, 90)}, {}) for other in (5, 80)
    )
    x, z = 0, 2
    assert relation_features(only)["sibling"][x, z] > 1 > abs(relation_features(all_alike)["sibling"][x, z])


def test_coverage_sees_what_one_source_does_not_annotate() -> None:
    matrix = make_matrix(
        {"events:obj-per": 100, "news:PER": 200},
        # Whoever is called obj-per is a person; of the persons of news a fifth are found as one, nothing else is.
        {("events:obj-per", "news:PER"): (40, 42), ("news:PER", "events:obj-per"): (90, 400)},
        {},
    )
    agreed = agreed_share(matrix)
    inner = np.mean([40 / 44, (90 + BEFORE) / 102, agreed[0, 1]])
    outer = np.mean([90 / 402, (40 + BEFORE) / 202, agreed[1, 0]])
    assert matrix.coverage[0, 1] == pytest.approx(inner)
    assert matrix.coverage[1, 0] == pytest.approx(outer)


def test_mentions_of_another_kind_are_not_covered() -> None:
    counts = {("bio:Chemical", "news:PER"): (70, 90), ("news:PER", "bio:Chemical"): (90, 100)}
    support = {"bio:Chemical": 400, "news:PER": 100}
    pair = ("bio:Chemical", "news:PER")
    known, unknown, alike = (
        make_matrix(support, counts, semantic).coverage for semantic in ({pair: 0.1}, {}, {pair: RELATED})
    )
    np.testing.assert_allclose(alike, unknown)
    np.testing.assert_allclose(known, 0.25 * unknown)


def test_nothing_is_covered_by_what_nothing_is_known_of() -> None:
    matrix = make_matrix({"a:x": 10, "b:y": 10}, {}, {})
    assert np.isnan(matrix.coverage).all()


@pytest.mark.parametrize("silent", ["politics", "news"])
def test_one_text_tells_both_ways_and_counts_less(silent: str) -> None:
    """The heads of one source could not read the other's text: what the others found on theirs stands for it."""
    matrix = politics()
    rows = np.array([label.source == silent for label in matrix.labels])[:, None]
    one = replace(
        matrix, matched=np.where(rows, 0, matrix.matched), predicted=np.where(rows, 0, matrix.predicted)
    )
    person, _, per = (place(matrix, label) for label in SUPPORT)
    as_per, as_person = agreed_share(one)[[person, per], [per, person]]
    if silent == "politics":  # of gold persons and of predicted PER, on politics text
        assert as_per == pytest.approx((85 + BEFORE) / (85 + PRIOR))
        assert as_person == pytest.approx((85 + BEFORE) / (170 + PRIOR))
    else:  # of predicted persons and of gold PER, on news text
        assert as_per == pytest.approx((72 + BEFORE) / (72 + PRIOR))
        assert as_person == pytest.approx((72 + BEFORE) / (162 + PRIOR))
    measured = [1 - equality_features(each)["unmeasured"][person, per] for each in (matrix, one)]
    assert measured[1] == pytest.approx(ONE_SIDED * measured[0])
    nothing = replace(one, matched=0 * one.matched, predicted=0 * one.predicted)
    assert equality_features(nothing)["unmeasured"][person, per] == 1.0
    for features in (relation_features(one), equality_features(one)):
        assert all(np.isfinite(values).all() for values in features.values())


@pytest.mark.parametrize(
    ("support", "overlap"),
    [
        # Hardly any form is shared, as of two scripts.
        ({"a:PER": 100, "a:LOC": 200, "b:PER": 100, "b:LOC": 200}, (0.01, 0.0)),
        # All of a's mentions have forms in the text of b, and of those of b the rare ones alone.
        ({"a:PER": 100, "b:PER": 10, "b:LOC": 990}, (0.1, 0.1)),
    ],
)
def test_the_overlap_of_sources_that_share_hardly_any_form_says_nothing(
    support: dict[str, int], overlap: tuple[float, float]
) -> None:
    pairs = ("a:PER", "b:PER"), ("b:PER", "a:PER")
    matrix = make_matrix(support, {}, {}, dict(zip(pairs, overlap, strict=True)))
    assert np.isnan(telling_overlap(matrix)).all()
    i, j = place(matrix, "a:PER"), place(matrix, "b:PER")
    assert equality_features(matrix)["forms unknown"][i, j] == 1.0
