"""Semantic similarity with hand-made vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import make_source, row
from esnera_hf.similarity.semantic import Center, kept_directions, reliabilities, semantic_similarity
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import LabelRef


def sums(**vectors: list[list[float]]) -> LabelCentroids:
    """The sums of hand-made mention vectors, by label."""
    return LabelCentroids(
        {label: np.array(rows).sum(axis=0) for label, rows in vectors.items()},
        {label: len(rows) for label, rows in vectors.items()},
    )


A = sums(x=[[2.0, 1.0], [4.0, 1.0]], y=[[0.0, 0.0]] * 2)
B = sums(u=[[10.0, 5.0]], v=[[11.0, 5.0]], w=[[10.0, 8.0]])
LABELS = [LabelRef("a", "x"), LabelRef("a", "y"), *(LabelRef("b", label) for label in "uvw")]


def cosine(a: list[float], b: list[float]) -> float:
    return (a[0] * b[0] + a[1] * b[1]) / (math.hypot(*a) * math.hypot(*b))


def test_the_mean_of_a_source_weighs_its_mentions() -> None:
    assert A.mean.tolist() == [1.5, 0.5]
    assert sums(p=[[3.0]] * 3, q=[[7.0]]).mean.tolist() == [4.0]


@pytest.mark.parametrize(
    ("center", "of_a", "of_b"),
    [
        ("source", [1.5, 0.5], [31 / 3, 6.0]),
        # one mean over all sources, each weighing the same
        ("all", *[[(1.5 + 31 / 3) / 2, (0.5 + 6.0) / 2]] * 2),
    ],
)
def test_vectors_are_centered(center: Center, of_a: list[float], of_b: list[float]) -> None:
    x, y = ([u - of_a[0], v - of_a[1]] for u, v in ([3.0, 1.0], [0.0, 0.0]))
    others = [[u - of_b[0], v - of_b[1]] for u, v in ([10.0, 5.0], [11.0, 5.0], [10.0, 8.0])]
    expected = [[cosine(row, other) for other in others] for row in (x, y)]
    found = semantic_similarity({"a": A, "b": B}, LABELS, center)
    np.testing.assert_allclose(found[:2, 2:], expected, atol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    within = [cosine(others[0], others[1]), cosine(others[0], others[2]), cosine(others[1], others[2])]
    np.testing.assert_allclose(found[[2, 2, 3], [3, 4, 4]], within, atol=1e-12)
    assert np.isnan(found.diagonal()).all()


def test_the_same_mentions_are_as_alike_as_can_be() -> None:
    found = semantic_similarity({"a": A, "b": A}, [LabelRef(s, label) for s in "ab" for label in "xy"])
    np.testing.assert_allclose(found[:2, 2:], [[1.0, -1.0], [-1.0, 1.0]], atol=1e-12)


def test_a_label_without_mentions_is_unknown() -> None:
    labels = [*LABELS, LabelRef("b", "never")]
    found = semantic_similarity({"a": A, "b": B}, labels)
    assert np.isnan(found[5]).all()
    assert np.isnan(found[:, 5]).all()
    np.testing.assert_array_equal(found[:5, :5], semantic_similarity({"a": A, "b": B}, LABELS))


def test_an_only_label_is_compared_around_the_mean_of_the_other_source() -> None:
    labels = [*LABELS[:2], LabelRef("c", "z")]
    lone = sums(z=[[1.0, 2.0], [3.0, 4.0]])
    found = semantic_similarity({"a": A, "c": lone}, labels, "source")
    # Around (1.5, .5): z (.5, 2.5), x (1.5, .5), y (-1.5, -.5).
    expected = cosine([0.5, 2.5], [1.5, 0.5])
    np.testing.assert_allclose(found[:2, 2], [expected, -expected], atol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    around_all = semantic_similarity({"a": A, "c": lone}, labels, "all")
    mean = [(1.5 + 2.0) / 2, (0.5 + 3.0) / 2]
    x, z = [3.0 - mean[0], 1.0 - mean[1]], [2.0 - mean[0], 3.0 - mean[1]]
    assert around_all[0, 2] == pytest.approx(cosine(x, z))


def test_two_only_labels_are_compared_around_the_mean_of_the_others() -> None:
    one, other = sums(z=[[2.0, 3.0]]), sums(d=[[4.0, 1.0]])
    labels = [LabelRef("c", "z"), LabelRef("d", "d")]
    found = semantic_similarity({"c": one, "d": other, "a": A}, [*LABELS[:2], *labels], "source")
    assert found[2, 3] == pytest.approx(cosine([0.5, 2.5], [2.5, 0.5]))
    assert np.isnan(semantic_similarity({"c": one, "d": other}, labels, "source")).all()
    # A label that occurs nowhere does not make a source one of several.
    empty = LabelCentroids({}, {})
    assert np.isnan(
        semantic_similarity({"c": one, "e": empty}, [labels[0], LabelRef("e", "e")], "source")
    ).all()


def test_sources_without_any_mention_are_unknown() -> None:
    empty = LabelCentroids({}, {})
    found = semantic_similarity({"a": A, "b": empty}, LABELS)
    assert np.isnan(found[2:]).all()
    assert np.isnan(semantic_similarity({"a": empty, "b": empty}, LABELS)).all()


class WordVectors:
    """A mention's vector is its first word's number of letters and its length, in batches of two."""

    def mention_vectors(
        self, sentences: Iterable[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        mentions = [(s.tokens[e.start], e) for s in sentences for e in s.entities]
        for start in range(0, len(mentions), 2):
            batch = mentions[start : start + 2]
            vectors = [[len(word), entity.end - entity.start] for word, entity in batch]
            yield [entity.label for _, entity in batch], np.array(vectors, dtype=np.float32)


def test_vectors_of_all_batches_are_summed_by_label() -> None:
    source = make_source(
        "s",
        {
            "train": [row("anna/B-p b/I-p in oslo/B-q"), row("lima/B-q madrid/B-q"), row("x")],
            "validation": [row("anna/B-r")],
        },
    )
    found = LabelCentroids.of(WordVectors().mention_vectors(source.sentences("train")))
    assert found.count == {"p": 1, "q": 3}
    assert {label: total.tolist() for label, total in found.total.items()} == {
        "p": [4.0, 2.0],
        "q": [14.0, 3.0],
    }
    assert found.mean.tolist() == [4.5, 1.25]


@pytest.mark.parametrize("both", [False, True], ids=["one with noise", "both with noise"])
def test_noise_of_a_size_that_is_stated_lowers_no_cosine_but_draws_it_to_nothing(both: bool) -> None:
    """Corrected, equal labels are closer than their noisy vectors lie, and unrelated ones stay apart."""
    generator, basis = np.random.default_rng(0), kept_directions(200)
    exact = {label: generator.normal(size=200) for label in "xyz"}
    labels = [LabelRef(source, label) for source in "ab" for label in "xyz"]

    def noisy(size: float, stated: bool) -> LabelCentroids:
        means = {
            label: basis @ (vector @ basis + generator.normal(0, size, 100))
            for label, vector in exact.items()
        }
        return LabelCentroids(means, dict.fromkeys(means, 1), dict.fromkeys(means, size) if stated else {})

    plain = LabelCentroids(exact, dict.fromkeys(exact, 1))
    rows = {}
    for stated in (False, True):
        generator = np.random.default_rng(1)
        found = semantic_similarity(
            {"a": noisy(1.0, stated) if both else plain, "b": noisy(1.0, stated)}, labels
        )
        rows[stated] = found[:3, 3:].diagonal().mean()
    assert rows[True] > rows[False] + 0.1
    assert rows[True] <= 1.0


def test_noise_leaves_the_cosines_of_other_sources_as_they_are() -> None:
    noisy = LabelCentroids(A.total, A.count, {"x": 0.3, "y": 0.2})
    labels = [*LABELS, LabelRef("n", "x"), LabelRef("n", "y")]
    found = semantic_similarity({"a": A, "b": B, "n": noisy}, labels)
    np.testing.assert_array_equal(found[:5, :5], semantic_similarity({"a": A, "b": B}, LABELS))
    assert np.isfinite(found[:5, 5:]).all()


def test_what_a_bundle_tells_is_as_reliable_as_its_noise_is_small() -> None:
    generator, basis = np.random.default_rng(0), kept_directions(2000)
    exact = {label: basis @ generator.normal(size=1000) for label in "xyzw"}
    noise = {"x": 0.1, "y": 1.0, "z": 3.0}
    noisy = {label: exact[label] + basis @ generator.normal(0.0, size, 1000) for label, size in noise.items()}
    sums = {
        "a": LabelCentroids.of_means(exact, dict.fromkeys(exact, 100)),
        "b": LabelCentroids.of_means(noisy, dict.fromkeys(noise, 100), noise),
    }
    labels = [LabelRef(source, label) for source in "ab" for label in "xyzw"]
    found = reliabilities(sums, labels)
    for index, label in enumerate(noise, 4):
        own, true = (means[label] - sum(means[one] for one in noise) / 3 for means in (noisy, exact))
        assert found[index] == pytest.approx(1 - ((own - true) ** 2).sum() / (own**2).sum(), abs=0.05)
    # A bundle with noise that no more than names a label tells nothing of it; what is exact is reliable.
    assert found[[0, 1, 2, 3, 7]].tolist() == [1, 1, 1, 1, 0]
