"""Duplicates against brute force, and conflicts of annotation."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Row, make_source, row
from esnera_hf.sources.duplicates import NEAR, SHORTEST, find_duplicates
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.levelled_texts import Place, normalize
from esnera_hf.sources.minhash import jaccard
from esnera_hf.sources.source import NerSource

LONG = "the quick brown fox jumps over the lazy dog near the old river bank today"


def found(sources: list[NerSource]) -> list[tuple[str, str, bool, bool]]:
    pairs = find_duplicates(sources).pairs
    return [(pair.first.id, pair.second.id, pair.exact, pair.conflict) for pair in pairs]


SAME = ("Fox, jumps! = fox jumps", "ＡＢＣ　１ = abc1", "Stra\u00dfe = STRASSE", "e\u0301 = \u00e9")
SAME += ("don\u00b4t `so` = dont so", "\u0130zmir = izmir", "\u0390 = \u03aa\u0301", "❤\ufe0f = ❤")


@pytest.mark.parametrize("pair", SAME)
def test_texts_that_are_the_same(pair: str) -> None:
    one, other = pair.split(" = ")
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    "pair", "दिन दान|ที่ ทุ|กำ กา|தீ த|বন বিন|မြန်မာ မန်မာ|بَيت بِيت|C++ C|$5 €5|😀 😡|a<b a>b|e\u0301 e".split("|")
)
def test_marks_and_symbols_tell_words_apart(pair: str) -> None:
    one, other = pair.split()
    assert normalize(one) != normalize(other)


NEAR_LONG = LONG.replace("today", "again")
Texts = dict[str, list[str]]


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        (
            {"train": ["Hello there , you"], "test": ["hello there you"]},
            {"validation": ["x y", "hello there you"]},
            "a-train-0=a-test-0 a-train-0=b-validation-1 a-test-0=b-validation-1",
        ),
        ({"train": [LONG]}, {"train": [NEAR_LONG]}, "a-train-0~b-train-0"),
        ({"train": [LONG]}, {"train": [LONG[:30] + " and then something else happened to them all"]}, ""),
        ({"train": ["well done"]}, {"train": ["well dones"]}, ""),  # too short to be nearly the same
        ({"train": ["..."], "test": ["!"]}, {}, ""),
        (
            {"train": ["one two"] * 3},
            {"test": ["one two"] * 2},
            "a-train-0=b-test-0 a-train-0=b-test-1 a-train-1=b-test-0 a-train-2=b-test-0",
        ),
        (
            {"train": [LONG], "test": [LONG]},
            {"train": [NEAR_LONG], "test": [NEAR_LONG]},
            "a-train-0=a-test-0 a-train-0~b-train-0 a-train-0~b-test-0 a-test-0~b-train-0 a-test-0~b-test-0 "
            "b-train-0=b-test-0",
        ),
    ],
)
def test_pairs(one: Texts, other: Texts, pairs: str) -> None:
    sources = [
        make_source(name, {split: [row(text) for text in texts] for split, texts in splits.items()})
        for name, splits in zip("ab", (one, other), strict=True)
    ]
    assert " ".join(f"{a}{'=' if exact else '~'}{b}" for a, b, exact, _ in found(sources)) == pairs


def test_texts_from_one_template_do_not_explode() -> None:
    texts = [f"{LONG} number {index}" for index in range(300)]
    a = make_source("a", {"train": [row(text) for text in texts]})
    b = make_source("b", {"test": [row(text + " x") for text in texts]})
    assert len(find_duplicates([a, b]).pairs) <= 600


@pytest.mark.parametrize(
    ("other", "within", "between"),
    [
        ("anna/B-P smith/I-P", False, False),
        ("anna/B-Q smith/I-Q", True, True),
        ("anna/B-p smith/I-p", True, False),
        ("anna smith", True, False),
        ("anna/B-P smith", True, True),
        ("anna smith/B-P", True, True),
        ("Anna/B-P smith/I-P .", False, False),
        ("anna , smith/B-P", True, True),
    ],
)
def test_conflicts_within_and_between_sources(other: str, within: bool, between: bool) -> None:
    one = row("anna/B-P smith/I-P")
    inside = make_source("a", {"train": [one], "test": [row(other)]})
    assert found([inside]) == [("a-train-0", "a-test-0", True, within)]
    outside = [make_source("a", {"train": [one]}), make_source("b", {"train": [row(other)]})]
    assert found(outside) == [("a-train-0", "b-train-0", True, between)]


WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]


@st.composite
def variants(draw: st.DrawFn) -> list[Row]:
    """Sentences made of few words, so that many are alike."""
    rows = []
    for length in draw(st.lists(st.integers(1, 12), max_size=4)):
        words = (WORDS * 2)[:length]
        if draw(st.booleans()):
            words[draw(st.integers(0, length - 1))] = draw(st.sampled_from(["zz", "alpha", "omega"]))
        rows.append((words, [draw(st.sampled_from(["O", "O", "B-P"])) for _ in words]))
    return rows


@given(data=st.data())
def test_what_is_found_is_what_brute_force_finds(data: st.DataObject) -> None:
    splits = ("train", "test")
    sources = [make_source(name, {split: data.draw(variants()) for split in splits}) for name in "ab"]
    duplicates = find_duplicates(sources)
    assert duplicates == find_duplicates(sources)
    keys = {
        Place(s.name, split, sentence.id): normalize("".join(sentence.tokens))
        for s in sources
        for split in s.dataset
        for sentence in s.sentences(split)
    }
    order = {place: index for index, place in enumerate(keys)}
    alike = {}
    for one, other in combinations(keys, 2):
        a, b = keys[one], keys[other]
        exact = a == b
        if exact or (min(len(a), len(b)) >= SHORTEST and jaccard(a, b) >= NEAR):
            alike[one, other] = alike[other, one] = exact
    expected = set()
    for place, part in product(keys, {place.part for place in keys}):
        partners = [o for o in keys if o.part == part != place.part and (place, o) in alike]
        if partners:
            best = min(partners, key=lambda o: (not alike[place, o], order[o]))
            first, second = sorted((place, best), key=order.__getitem__)
            expected.add((first, second, alike[place, best]))
    across = {(p.first, p.second, p.exact) for p in duplicates.pairs if p.first.part != p.second.part}
    sure = {pair for pair in expected if pair[2] or jaccard(keys[pair[0]], keys[pair[1]]) >= 0.9}
    assert sure <= across
    assert all(exact == alike.get((first, second)) for first, second, exact in across)
    assert all(p.conflict for p in duplicates.pairs if p.first.part == p.second.part)
    assert [p.first for p in duplicates.pairs] == sorted((p.first for p in duplicates.pairs), key=order.get)


def test_what_is_printed() -> None:
    rows = [row("anna/B-P smith/I-P"), row(LONG), row("x/B-P"), row("x/B-P"), row("x")]
    b = make_source("b", {"test": [row("anna smith/B-N"), row(LONG + " again")]})
    duplicates = find_duplicates([make_source("a", {"train": rows}), b])
    # Within a split only conflicts are listed.
    assert str(duplicates).split("\n") == [
        "2 sentences of a/train stand in b/test, too, 1 annotated otherwise",
        "1 sentence of a/train repeats another one, annotated otherwise",
        "in all, 2 sentences of train or validation are in a later split, too",
    ]
    assert duplicates.details().split("\n") == [
        "a/train and b/test: 2 sentences of a/train are in b/test, 2 of b/test in a/train "
        "(pairs: 1 the same, 1 nearly, 1 annotated in conflict)",
        "  a-train-0 and b-test-0, in conflict: anna smith",
        f"  a-train-1 and b-test-1, nearly: {LONG}",
        "a/train: 1 sentence repeats another one with other annotation",
        "  a-train-2 and a-train-4, in conflict: x",
    ]
    assert str(find_duplicates([])) == "no sentence stands in two splits or sources"


@given(data=st.data())
def test_leaks_are_the_sentences_of_an_earlier_split_that_stand_in_a_later_one(data: st.DataObject) -> None:
    splits = ("test", "train", "validation")
    sources = [make_source(name, {split: data.draw(variants()) for split in splits}) for name in "ab"]
    leaks = {leak.first for leak in find_leaks(sources)}
    assert find_duplicates(sources).leaks == len(leaks)


def test_pairs_of_many_splits_fit_a_screen() -> None:
    greeting = [row("good morning to all of you")]
    parts = dict.fromkeys(("train", "validation", "test"), greeting)
    lines = str(find_duplicates([make_source(name, parts) for name in "abc"])).split("\n")
    assert len(lines) == 10
    assert lines[0] == "1 sentence of a/train stands in a/validation, too"
    assert lines[-2:] == [
        "… and in 28 more pairs of splits",
        "in all, 6 sentences of train or validation are in a later split, too",
    ]
