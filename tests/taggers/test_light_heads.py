"""Light heads on states that are known: a stand-in for the encoder gives each word a vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from builders import make_source, row
from esnera_hf.modeling import distributed, mention_vectors
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.taggers import light_heads
from esnera_hf.taggers.light_heads import (
    NO_MENTION,
    LightHead,
    load_light_head,
    make_light_heads,
    sentences_to_read,
    with_other_spans,
)
from esnera_hf.tagging import Entity

VECTORS = {
    "anna": [3.0, 0.0, 0.0],
    "bruno": [2.5, 0.2, 0.0],
    "oslo": [0.0, 3.0, 0.0],
    "rome": [0.1, 2.6, 0.0],
}


class WordEncoder:
    """Gives a span the mean of its words' vectors, those of unknown words being zero."""

    read: ClassVar[Counter[str]] = Counter()

    def __init__(self, name: str, layers: int | None = None) -> None:
        assert layers == light_heads.LAYERS

    def located_mentions(
        self, sentences: Sequence[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], np.ndarray, list[int]]]:
        for number, sentence in enumerate(sentences):
            self.read[sentence.source] += 1
            zero = [0.0] * len(next(iter(VECTORS.values())))
            words = [VECTORS.get(token, zero) for token in sentence.tokens]
            spans = [np.mean(words[entity.start : entity.end], axis=0) for entity in sentence.entities]
            labels = [entity.label for entity in sentence.entities]
            yield labels, np.array(spans, dtype=np.float32), [number] * len(labels)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    WordEncoder.read = Counter()
    monkeypatch.setattr(mention_vectors, "MentionEncoder", WordEncoder)
    monkeypatch.setattr(light_heads, "encoder_identity", lambda name: name)
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path))


def corpus(name: str, person: str, place: str, sentences: int = 40) -> NerSource:
    words = [("anna", "oslo"), ("bruno", "rome"), ("anna", "rome"), ("bruno", "oslo")]
    text = "so {n} {who}/B-{person} was seen in {where}/B-{place} again"
    rows = [
        row(text.format(n=f"w{i}", who=words[i % 4][0], where=words[i % 4][1], person=person, place=place))
        for i in range(sentences)
    ]
    return make_source(name, {"train": rows})


def made(*sources: NerSource) -> dict[str, LightHead]:
    artifacts = make_light_heads(sources, "encoder", 1)
    return {name: load_light_head(artifact) for name, artifact in artifacts.items()}


def test_a_head_tells_labels_and_other_spans_apart_on_the_text_of_another_source() -> None:
    heads = made(corpus("a", "per", "loc"), corpus("b", "name", "city"))
    names = {"per": "name", "loc": "city", NO_MENTION: NO_MENTION}
    for one, other, expected in (
        ("a", "b", {new: old for old, new in names.items()}),
        ("b", "a", names),
    ):
        predicted = heads[one].predict(heads[other].vectors)
        assert predicted == [expected[label] for label in heads[other].gold]
    assert heads["a"].recall == {"per": 1.0, "loc": 1.0}
    assert heads["a"].centroids.count == {"per": 40, "loc": 40}
    # One sentence has a mention of each label, and two spans that are none.
    read = set(zip(heads["a"].sentences.tolist(), heads["a"].gold, strict=True))
    assert read == {(number, label) for number in range(40) for label in names}


def test_recall_is_that_of_sentences_which_were_not_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each word occurs once and has a direction of its own, so nothing that was learnt helps with another one.
    vectors = {f"p{i}": (10 * np.eye(40)[i]).tolist() for i in range(40)}
    monkeypatch.setitem(globals(), "VECTORS", vectors)
    rows = [row(f"so p{i}/B-{'x' if i % 2 else 'y'} was seen again") for i in range(40)]
    head = made(make_source("noise", {"train": rows}))["noise"]
    assert head.predict(head.vectors) == list(head.gold)
    assert all(share < 0.5 for share in head.recall.values())


def test_rare_labels_and_a_single_label_have_no_head_of_their_own() -> None:
    rows = [row("anna/B-per met oslo/B-loc and rome/B-rare today")] + [
        row(f"w{i} bruno/B-per left oslo/B-loc") for i in range(9)
    ]
    head = made(make_source("few", {"train": rows}))["few"]
    assert set(head.labels) == {"per", "loc", NO_MENTION}
    assert head.recall["rare"] == 0.0


def test_a_source_without_entities_has_an_empty_head() -> None:
    head = made(make_source("bare", {"train": [(["only", "text"], ["O", "O"])]}))["bare"]
    assert head.predict(np.zeros((2, 3), dtype=np.float32)) == [NO_MENTION] * 2
    assert head.recall == {}
    assert head.centroids.count == {}


def test_each_source_is_read_once_and_another_one_later_costs_only_itself() -> None:
    first, second, third = corpus("a", "per", "loc"), corpus("b", "name", "city"), corpus("c", "x", "y", 30)
    made(first, second)
    made(first, second, third)
    assert WordEncoder.read == {"a": 40, "b": 40, "c": 30}


def test_processes_share_the_sources_out_whichever_starts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "wait_for_all", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    sources = [corpus(name, f"{name}1", f"{name}2", 9) for name in "abc"]
    for rank, expected in (("0", {"a": 9, "c": 9}), ("1", {"b": 9})):
        WordEncoder.read.clear()
        monkeypatch.setenv("RANK", rank)
        make_light_heads(sources, "encoder", 1)
        assert WordEncoder.read == expected


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    head = made(corpus("a", "per", "loc"))["a"]
    folder = tmp_path / "again"
    folder.mkdir()
    head.save(folder)
    loaded = LightHead.load(folder)
    assert (loaded.labels, loaded.gold, loaded.recall) == (head.labels, head.gold, head.recall)
    np.testing.assert_array_equal(loaded.vectors, head.vectors)
    assert loaded.predict(head.vectors) == head.predict(head.vectors)


@pytest.mark.parametrize(
    ("rare_every", "limits", "times", "sentences", "rare"),
    [
        (1, {}, 1, 20, 20),  # as many as are read anyway
        (5, {}, 1, None, 10),
        (5, {}, 4, None, 40),
        (50, {}, 1, None, 6),  # all that there are
        (5, {"LOOKED_THROUGH": 20}, 1, 20, None),
        (5, {"LOOKED_THROUGH": 10}, 2, 20, None),
        (5, {"MOST_TOKENS": 40}, 1, 10, None),
        (5, {"MOST_TOKENS": 40}, 2, 20, None),
    ],
)
def test_sentences_with_rare_labels_are_read_beyond_those_that_come(
    monkeypatch: pytest.MonkeyPatch,
    rare_every: int,
    limits: dict[str, int],
    times: int,
    sentences: int | None,
    rare: int | None,
) -> None:
    settings = {"ENOUGH_MENTIONS": 10, "LEAST_SENTENCES": 20, "LOOKED_THROUGH": 1000, "MOST_TOKENS": 10_000}
    for name, value in {**settings, **limits}.items():
        monkeypatch.setattr(light_heads, name, value)
    rows: list[Any] = [
        row(f"w{i} anna/B-per in oslo/B-{'loc' if i % rare_every == 0 else 'per'}") for i in range(300)
    ]
    source = make_source("a", {"train": rows})
    chosen = sentences_to_read(source, 3, times)
    assert chosen == sentences_to_read(source, 3, times)
    assert len({sentence.id for sentence in chosen}) == len(chosen)
    labels = [[entity.label for entity in sentence.entities] for sentence in chosen]
    assert all("loc" in one for one in labels[20:])
    assert sentences in (None, len(chosen))
    assert rare in (None, sum(one.count("loc") for one in labels))


def test_the_rarest_label_comes_first_where_there_is_no_room_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"ENOUGH_MENTIONS": 50, "LEAST_SENTENCES": 1, "LOOKED_THROUGH": 1000, "MOST_TOKENS": 40}
    for name, value in limits.items():
        monkeypatch.setattr(light_heads, name, value)
    kinds = {0: "rare", 1: "seldom", 2: "seldom"}
    rows: list[Any] = [row(f"w{i} oslo/B-{kinds.get(i % 20, 'often')}") for i in range(200)]
    chosen = sentences_to_read(make_source("a", {"train": rows}), 3)
    counts = Counter(entity.label for sentence in chosen[1:] for entity in sentence.entities)
    assert counts["rare"] >= 9
    assert counts["seldom"] >= 8
    assert counts["often"] == 0


def test_one_sentence_less_leaves_the_others_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"ENOUGH_MENTIONS": 10, "LEAST_SENTENCES": 20, "LOOKED_THROUGH": 1000, "MOST_TOKENS": 10_000}
    for name, value in limits.items():
        monkeypatch.setattr(light_heads, name, value)
    rows: list[Any] = [
        row(f"w{i // 2} anna/B-per in oslo/B-{'loc' if i % 9 else 'city'}") for i in range(300)
    ]

    def read(rows: list[Any]) -> list[list[str]]:
        return [sentence.tokens for sentence in sentences_to_read(make_source("a", {"train": rows}), 3)]

    whole = read(rows)
    assert len({tokens[0] for tokens in whole[:20]}) > 15  # copies do not stand together
    for left_out in range(0, 300, 30):
        less = read(rows[:left_out] + rows[left_out + 1 :])
        gone, new = (
            Counter(map(tuple, a)) - Counter(map(tuple, b)) for a, b in ((whole, less), (less, whole))
        )
        assert gone.total() <= 1
        assert new.total() <= 1
        common = [tokens for tokens in whole if tuple(tokens) not in gone]
        assert [tokens for tokens in less if tuple(tokens) not in new] == common


def test_what_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_heads, "MOST_TOKENS", 30)
    long, short = row(f"anna/B-per{' x' * 40}"), [row(f"w{i} oslo/B-loc") for i in range(50)]
    assert [len(s.tokens) for s in sentences_to_read(make_source("a", {"train": [long, *short]}), 3)] == [
        2
    ] * 15
    assert [len(s.tokens) for s in sentences_to_read(make_source("a", {"train": [long]}), 3)] == [41]


def test_other_spans_are_as_many_and_as_long_as_the_mentions() -> None:
    tokens = [f"w{i}" for i in range(30)]
    sentence = AnnotatedSentence("1", tokens, [Entity(0, 2, "x"), Entity(5, 6, "y"), Entity(9, 12, "x")])
    found = with_other_spans(sentence, 0).entities
    others = [(entity.start, entity.end) for entity in found if entity.label == NO_MENTION]
    assert len(others) == len(set(others)) == 3
    assert {end - start for start, end in others} <= {1, 2, 3}
    assert not {(0, 2), (5, 6), (9, 12)} & set(others)
    assert found[:3] == sentence.entities
    short = with_other_spans(AnnotatedSentence("2", ["one"], []), 0).entities
    assert [(entity.start, entity.end, entity.label) for entity in short] == [(0, 1, NO_MENTION)]
