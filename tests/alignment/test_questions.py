"""Which pairs of labels are asked about, in what order, with which examples, and what the answers do."""

from __future__ import annotations

import math
import shlex
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix, make_source, random_relations, row, with_relations
from esnera_hf.alignment.constraints import Constraints, SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.questions import UNSURE, Question, find_questions
from esnera_hf.cli.main import make_parser
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.duplicates import find_pairs
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.shared_sentences import compare_shared
from esnera_hf.tagging import LabelRef

LABELS = ("a:x", "a:y", "b:x", "b:y", "c:x", "c:y")


def matrix(seed: int) -> SimilarityMatrix:
    mentions = np.random.default_rng(seed).integers(0, 500, 6).tolist()
    return random_relations(make_matrix(dict(zip(LABELS, mentions, strict=True)), {}, {}), seed)


def brute_force(found: SimilarityMatrix, mapping: LabelMapping, asked: Constraints) -> list[tuple[str, str]]:
    """Return the best pair of each two groups that no constraint settles, by doubt times log mentions."""
    equal, part = (np.nan_to_num(found.probabilities[..., k]) for k in (0, 1))
    best: dict[frozenset[str | None], tuple[float, int, int]] = {}
    for i, j in combinations(range(6), 2):
        one, other = found.labels[i], found.labels[j]
        groups = frozenset((mapping[one], mapping[other]))
        linked = other in asked.class_of(one)
        apart = any(
            frozenset((x, y)) in asked.cannot_link
            for x in mapping.members(mapping[one])
            for y in mapping.members(mapping[other])
        )
        if one.source == other.source or linked or apart:
            continue
        a, b = str(mapping[one]), str(mapping[other])
        same, below, above = equal[i, j], part[i, j], part[j, i]
        if a == b:
            doubt = 1 - same
        elif b in mapping.ancestors(a):
            doubt = same + (1 - same - below) / 2
        elif a in mapping.ancestors(b):
            doubt = same + (1 - same - above) / 2
        else:
            doubt = same + (below + above) / 2
        weight = doubt * math.log1p(min(found.support[i], found.support[j]))
        if doubt >= UNSURE and weight > 0 and (-weight, i, j) < best.get(groups, (0.0, 9, 9)):
            best[groups] = -weight, i, j
    return [(LABELS[i], LABELS[j]) for _, i, j in sorted(best.values())]


PAIRS = st.lists(st.sampled_from(["a:x,b:y", "a:y,c:x", "b:x,c:y", "b:y,c:y"]), max_size=2, unique=True)


@given(st.integers(0, 10_000), PAIRS, PAIRS)
def test_what_is_asked_and_in_what_order(seed: int, together: list[str], others: list[str]) -> None:
    apart = [pair for pair in others if pair not in together]
    settings = SchemaSettings(
        must_link=[pair.split(",") for pair in together], cannot_link=[pair.split(",") for pair in apart]
    )
    try:
        asked = build_constraints(tuple(LabelRef(*label.split(":")) for label in LABELS), None, settings)
    except ConfigurationError:
        return
    found = matrix(seed)
    mapping = merge_equivalent(found, asked)
    questions = find_questions(found, mapping, asked)
    assert [(str(q.one), str(q.other)) for q in questions] == brute_force(found, mapping, asked)


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_an_answer_is_taken_up_and_ends_the_question(seed: int, number: int) -> None:
    found = matrix(seed)
    labels = found.labels
    first, *_ = find_questions(found, merge_equivalent(found))
    _, answer = shlex.split(first.answers[number])
    option = ("must_link", "part_of", "part_of", "cannot_link")[number]
    asked = build_constraints(labels, None, SchemaSettings(**{option: [answer.split(",")]}))  # type: ignore[arg-type]
    mapping = merge_equivalent(found, asked)
    one, other = mapping[first.one] or "", mapping[first.other] or ""
    assert (one == other, other in mapping.ancestors(one), one in mapping.ancestors(other)) == (
        number == 0,
        number == 1,
        number == 2,
    )
    again = find_questions(found, mapping, asked)
    assert (first.one, first.other) not in [(question.one, question.other) for question in again]


def test_the_answers_are_options_that_the_command_line_takes() -> None:
    question = Question(LabelRef("a", "job title"), LabelRef("b", "it's"), "apart", 0.5, 0.1, 0.0, 1_200)
    options = [word for answer in question.answers for word in shlex.split(answer)]
    parsed = make_parser().parse_args(["align", "a", "b", *options])
    one, other = "a:job title", "b:it's"
    assert parsed.must_link == parsed.cannot_link == [(one, other)]
    assert parsed.part_of == [(one, other), (other, one)]
    assert repr(question) == "Question(a:job title = b:it's? now apart, P 0.50, 1,200 times)"
    comma = Question(LabelRef("a", "x,y"), LabelRef("b", "z"), "apart", 0.5, 0.1, 0.0, 1)
    assert comma.answers[0] == "SchemaSettings(must_link=[['a:x,y', 'b:z']])"


def test_mentions_that_the_other_source_takes_otherwise_come_first() -> None:
    a = make_source(
        "a", {"train": [row("acme/B-firm grows"), row("oslo/B-firm rests"), row("lima/B-firm is")]}
    )
    b = make_source(
        "b",
        {
            "train": [
                row("acme/B-org wins"),
                row("oslo/B-place wins"),
                row("lima wins"),
                row("nato/B-org acts"),
            ]
        },
    )
    found = with_relations(
        make_matrix({"a:firm": 3, "b:org": 2, "b:place": 1}, {}, {}),
        np.array([[0, 0.5, 0.05], [0.5, 0, 0], [0.05, 0, 0]]),
        np.zeros((3, 3)),
    )
    mapping = merge_equivalent(found)
    (question,) = find_questions(found, mapping, overlap=mention_overlap([a, b]))
    assert question.examples == (("oslo", "firm", "place"), ("lima", "firm", None), ("acme", "firm", "org"))
    # The same of sentences that both hold.
    c = make_source("a", {"train": [row("nato/B-firm acts"), row("oslo/B-firm wins")]})
    shared = compare_shared([c, b], find_pairs([c, b]))
    (question,) = find_questions(found, mapping, shared=shared)
    assert question.examples == (("oslo", "firm", "place"), ("nato", "firm", "org"))


@pytest.mark.parametrize(("equal", "expected"), [(0.0, 0), (1.0, 0), (0.5, 1)])
def test_what_is_sure_is_not_asked(equal: float, expected: Any) -> None:
    values = np.array([[np.nan, equal], [equal, np.nan]])
    found = with_relations(make_matrix({"a:x": 9, "b:y": 9}, {}, {}), values, np.zeros((2, 2)))
    assert len(find_questions(found, merge_equivalent(found))) == expected
