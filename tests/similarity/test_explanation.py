"""The one explanation: its parts add up to the probability, and its sentence says what is in them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from builders import make_matrix
from card_facts import PAIR
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.similarity.explanation import PARTS, explain_pairs, score_sentence
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.similarity.names import name_similarity
from esnera_hf.similarity.probability import coefficients_for, pair_probabilities, unshifted_probabilities
from esnera_hf.tagging import LabelRef

SOURCES = {"a": ("PER", "LOC", "date of birth"), "b": ("person", "place"), "c": ("Per",)}


def random_matrix(seed: int, *, heads: bool = True, shared: bool = False) -> SimilarityMatrix:
    rng = np.random.default_rng(seed)
    refs = tuple(LabelRef(source, label) for source, labels in SOURCES.items() for label in labels)
    n = len(refs)
    apart = np.array([[one.source != other.source for other in refs] for one in refs])
    support = rng.integers(1, 500, n)
    predicted = rng.integers(0, 80, (n, n)) * apart * heads
    overlap, semantic = (np.where(apart, rng.random((n, n)), np.nan) for _ in range(2))
    together = rng.integers(5, 30, (n, n)) * apart * shared
    return SimilarityMatrix(
        refs,
        support,
        rng.integers(0, predicted + 1),
        predicted,
        (semantic + semantic.T) / 2,
        overlap,
        occurring=rng.integers(1, 60, (n, n)) * apart,
        shared=together,
        shared_same=np.minimum(together, together.T) // 2,
        recall=rng.random(n),
    )


def all_pairs(matrix: SimilarityMatrix) -> list[tuple[LabelRef, LabelRef]]:
    return [(one, other) for one, other in product(matrix.labels, repeat=2) if one.source < other.source]


@pytest.mark.parametrize("heads", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_start_and_parts_add_up_to_the_probability(seed: int, heads: bool, shared: bool) -> None:
    matrix = random_matrix(seed, heads=heads, shared=shared)
    pairs = explain_pairs(matrix, all_pairs(matrix))
    assert len(pairs) == 11
    for pair in pairs:
        total = pair.start + sum(pair.parts.values())
        assert 1 / (1 + math.exp(-total)) == pytest.approx(pair.equal, abs=1e-3)
        assert sum(pair.probabilities) == pytest.approx(1, abs=1e-3)
        assert list(pair.parts) == list(PARTS)
        assert bool(pair.parts["shared"]) == shared
        assert heads or pair.parts["agreement"] == pair.parts["vectors"] == 0


def test_base_rates_and_partners_are_what_comes_after_the_measured_parts() -> None:
    """Without both, the rest gives the probability at the base rates that were fitted on."""
    matrix = random_matrix(1)
    plain = unshifted_probabilities(matrix, coefficients_for(matrix))
    for pair in explain_pairs(matrix, all_pairs(matrix)):
        i, j = matrix.index[pair.one], matrix.index[pair.other]
        total = pair.start + sum(pair.parts.values()) - pair.parts["base"] - pair.parts["partners"]
        assert 1 / (1 + math.exp(-total)) == pytest.approx(plain[i, j, 0], abs=2e-3)
        after = total + pair.parts["base"]
        alone = pair_probabilities(matrix)[i, j, 0]
        assert 1 / (1 + math.exp(-after)) == pytest.approx(alone, abs=2e-3)
        assert pair.parts["base"] != 0


def test_a_pair_of_which_nothing_is_known_has_no_parts_but_those_of_its_names() -> None:
    matrix = make_matrix({"a:PER": 5, "a:LOC": 5, "b:person": 5, "b:date": 5}, {}, {})
    for pair in explain_pairs(matrix, all_pairs(matrix)):
        assert [
            name for name, value in pair.parts.items() if value and name not in ("names", "base", "partners")
        ] == []
        assert pair.names == float((pair.one.label, pair.other.label) == ("PER", "person"))
    letters = make_matrix({"a:cities": 5, "b:cite": 5}, {}, {})
    [pair] = explain_pairs(letters, all_pairs(letters))
    assert pair.names == pytest.approx(name_similarity("cities", "cite"), abs=1e-4)


def test_each_part_moves_with_its_evidence_alone() -> None:
    labels = {"a:x": 50, "a:y": 50, "b:u": 50, "b:v": 50}
    counts = {("a:x", "b:u"): (40, 50), ("b:u", "a:x"): (30, 50)}
    plain = make_matrix(labels, counts, {("a:x", "b:u"): 0.2}, {("a:x", "b:u"): 0.5, ("b:u", "a:x"): 0.5})
    close = make_matrix(labels, counts, {("a:x", "b:u"): 0.9}, {("a:x", "b:u"): 0.5, ("b:u", "a:x"): 0.5})
    first, second = (explain_pairs(m, [(m.labels[0], m.labels[2])])[0] for m in (plain, close))
    changed = {name for name in PARTS if first.parts[name] != second.parts[name]}
    assert changed - {"base", "partners"} == {"vectors"}
    assert second.parts["vectors"] > first.parts["vectors"]
    assert second.equal > first.equal


AGREE = "87 % of predictions agree both ways (81 of 93, 60 of 69)"
LITTLE = "little speaks for it; the weak point: 1 mention only"


@pytest.mark.parametrize(
    ("changes", "decision", "threshold", "expected"),
    [
        (
            {},
            "one",
            0.5,
            f"P(equal) 0.90: {AGREE} and the names mean the same; the weak point: "
            "10 % and 20 % of mentions in common agree (9 forms, 7 forms) and 12 mentions only",
        ),
        (
            {"form_shares": (0.8, 0.9), "mentions": (400, 300)},
            "one",
            None,
            f"P(equal) 0.90: {AGREE} and the names mean the same; the weak point: "
            "few mentions in common (9 forms, 7 forms)",
        ),
        (
            {"parts": {"names": 3.2}, "mentions": (400, 300)},
            "one",
            0.95,
            "P(equal) 0.90, decided by other labels or as asked for: the names mean the same",
        ),
        (
            {},
            "apart",
            0.95,
            "P(equal) 0.90: 10 % and 20 % of mentions in common agree (9 forms, 7 forms); for it speaks that "
            f"{AGREE}",
        ),
        (
            {"parts": {"names": -3.2, "forms": 0.9}, "names": 0.0, "form_shares": (0.0, 0.0)},
            "apart",
            None,
            "P(equal) 0.90: the names have nothing in common",
        ),
        (
            {"parts": {"names": 1.0}, "names": 0.5},
            "apart",
            None,
            "P(equal) 0.90: all that speaks for it is that the names are a little alike (0.50)",
        ),
        ({"parts": {}}, "apart", None, "P(equal) 0.90: nothing speaks for it"),
        ({"parts": {}, "mentions": (1, 9)}, "one", None, f"P(equal) 0.90: {LITTLE}"),
        (
            {},
            "part",
            0.5,
            "P(part) 0.05, P(equal) 0.90: 81 of 93 predictions of the part are the whole there, "
            "60 of 69 the other way and 10 % of mentions in common are the whole there, 20 % the other way",
        ),
        (
            {"form_shares": (None, 0.2), "shared": (10, 30, 9)},
            "whole",
            0.5,
            "P(part) 0.02, P(equal) 0.90: 60 of 69 predictions of the part are the whole there, "
            "81 of 93 the other way and in sentences that both annotate, 9 of 30 and of 10 are both",
        ),
        (
            {"forward": Agreement(0, 0), "form_shares": (None, None)},
            "part",
            0.5,
            "P(part) 0.05, P(equal) 0.90: 60 of 69 predictions of the whole are the part there",
        ),
        (
            {"backward": Agreement(0, 0), "form_shares": (None, None)},
            "part",
            0.5,
            "P(part) 0.05, P(equal) 0.90: 81 of 93 predictions of the part are the whole there",
        ),
        (
            {"forward": Agreement(0, 0), "backward": Agreement(0, 0), "form_shares": (None, None)},
            "part",
            0.5,
            "P(part) 0.05, P(equal) 0.90: nothing was counted",
        ),
    ],
)  # fmt: skip
def test_a_sentence_says_what_weighs_most_and_the_weak_point(
    changes: dict[str, object], decision: str, threshold: float | None, expected: str
) -> None:
    assert replace(PAIR, **changes).sentence(decision, threshold) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_every_number_of_a_sentence_is_one_of_the_facts(seed: int) -> None:
    matrix = random_matrix(seed, shared=seed % 2 == 0)
    for pair, decision in product(
        explain_pairs(matrix, all_pairs(matrix)), ("one", "part", "whole", "apart")
    ):
        ways = (pair.forward, pair.backward)
        counts = {n for way in ways for n in (way.matched, way.predicted)} | {
            *pair.shared,
            *pair.forms,
            min(pair.mentions),
        }
        shares = [
            *(w.matched / w.predicted for w in ways if w.predicted),
            *(s for s in pair.form_shares if s is not None),
        ]
        facts = {str(count) for count in counts} | {f"{100 * share:.0f}" for share in shares}
        facts |= {f"{value:.2f}" for value in (*pair.probabilities, pair.names, pair.semantic or 0)}
        said = re.findall(r"\d+(?:\.\d+)?", pair.sentence(decision))  # type: ignore[arg-type]
        assert set(said) <= facts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            (0.62, 0.55, Agreement(13, 18), 0.4),
            "S 0.62 = 0.6 × semantic 0.55 + 0.4 × empirical 0.72 (13 of 18)",
        ),
        (
            (0.55, 0.55, Agreement(0, 0), 0.4),
            "S 0.55, the semantic similarity alone: the other one is unknown",
        ),
        (
            (0.72, None, Agreement(13, 18), 0.4),
            "S 0.72, the empirical similarity alone: the other one is unknown",
        ),
        ((None, None, None, 0.4), "S unknown"),
    ],
)
def test_s_is_said_as_the_sum_it_is(values: tuple[float, float, Agreement, float], expected: str) -> None:
    assert score_sentence(*values) == expected


def test_a_mapping_says_why_and_keeps_it_in_its_file() -> None:
    matrix = random_matrix(3)
    mapping = with_reasons(merge_equivalent(matrix), matrix)
    compared = [entry for entry in mapping.entries if entry.compared_with is not None]
    assert compared
    assert all(entry.why.startswith("P(") for entry in compared)
    assert LabelMapping.from_yaml(mapping.to_yaml()) == mapping
    # What a hand adds is text, whatever it holds.
    entries = tuple(replace(entry, why='"\n- [x]: {\x07') for entry in mapping.entries)
    hostile = replace(mapping, entries=entries)
    assert LabelMapping.from_yaml(hostile.to_yaml()) == hostile
