"""Windows of long sentences, tags of their words, and entities read back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import exp, fsum, nan
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from builders import VANISHING, make_tokenizer
from corpora import annotated
from esnera_hf.errors import EncoderError
from esnera_hf.modeling import tokenization
from esnera_hf.modeling.hub_code.windows import SpanReader, Window
from esnera_hf.modeling.tokenization import (
    WordTokenizer,
    batches_by_length,
    chain_tags,
    has_bfloat16,
    join_sentences,
    mixed_precision,
)
from esnera_hf.tagging import Entity, entities_from_tags

TOKENIZER = make_tokenizer()
CLS, SEP = TOKENIZER.convert_tokens_to_ids(["[CLS]", "[SEP]"])
PIECES = {
    word: TOKENIZER(word, add_special_tokens=False)["input_ids"]
    for word in ("a", "paris", "xyz", "abcdefgh", "中国", "☃", ".", "。", ",", VANISHING, "\x07", "", " ")
}
SENTENCES = annotated(st.sampled_from(sorted(PIECES)), "xy")


def kept_words(words: list[str]) -> list[int]:
    return [index for index, word in enumerate(words) if PIECES[word]]


def pieces_in(window: Window) -> dict[int, list[int]]:
    """Return the pieces of each word of a window, which ends with one special piece."""
    bounds = pairwise([*window.positions, len(window.input_ids) - 1])
    return {word: window.input_ids[a:b] for word, (a, b) in zip(window.words, bounds, strict=True)}


@given(sentences=st.lists(SENTENCES, max_size=4), length=st.integers(3, 12), known=st.booleans())
def test_windows_hold_every_word_once_and_cut_no_entity_that_fits(
    sentences: list[tuple[list[str], list[Entity]]], length: int, known: bool
) -> None:
    tokenizer = WordTokenizer(TOKENIZER, length)
    assert tokenizer.budget == length - 2
    phrases = [[(e.start, e.end) for e in spans] for _, spans in sentences] if known else None
    windows = tokenizer.windows([words for words, _ in sentences], phrases)
    assert [window.sentence for window in windows] == sorted(window.sentence for window in windows)
    for index, (words, entities) in enumerate(sentences):
        mine = [window for window in windows if window.sentence == index]
        assert [word for window in mine for word in window.words] == kept_words(words)
        assert not any(window.joins for window in mine[:1])
        for window in mine:
            assert window.words
            assert len(window.input_ids) <= length
            assert (window.input_ids[0], window.input_ids[-1]) == (CLS, SEP)
            assert pieces_in(window) == {word: PIECES[words[word]][: length - 2] for word in window.words}
        for entity in entities:
            inside = [i for i in kept_words(words) if entity.start <= i < entity.end]
            pieces = sum(min(len(PIECES[words[i]]), length - 2) for i in inside)
            if known and pieces <= length - 2:
                assert sum(not set(window.words).isdisjoint(inside) for window in mine) == bool(inside)


@given(
    words=st.lists(st.sampled_from(["a", "xyz", VANISHING, "中国"]), min_size=1, max_size=25),
    gap=st.integers(0, 4),
    length=st.integers(5, 9),
)
def test_a_phrase_cut_by_hard_cuts_is_one_entity_again(words: list[str], gap: int, length: int) -> None:
    words = ["a"] * gap + words
    rest = kept_words(words)
    phrase = [Entity(gap, len(words), "x")] if gap < len(words) else []
    windows = WordTokenizer(TOKENIZER, length).windows([words])
    tags = ["O", "B-x", "I-x"]
    paths = [torch.tensor([[tags.index(tag) for tag in chain_tags(window, phrase)]]) for window in windows]
    actual = [SpanReader(tags)([window], path)[0] for window, path in zip(windows, paths, strict=True)]
    inside = [i for i in rest if i >= gap]
    expected = [Entity(inside[0], inside[-1] + 1, "x")] if inside else []
    assert list(join_sentences(1, windows, actual)) == [expected]
    # Sentences without windows stay in their places.
    windows = [replace(window, sentence=2) for window in windows]
    assert list(join_sentences(4, windows, actual)) == [[], [], expected, []]


@pytest.mark.parametrize(
    ("text", "length", "entity", "windows"),
    [
        # After a sentence, else after a clause, else anywhere; a mark in the first half of a window does not cut.
        ("a a a 。 a , a a", 8, None, ["a a a 。", "a , a a"]),
        ("a a a , a a a a", 8, None, ["a a a ,", "a a a a"]),
        ("a 。 a a a a a a", 8, None, ["a 。 a a a a", "a a"]),
        # Not inside an entity, whatever marks are there.
        ("a a a a . a a a", 8, (3, 6), ["a a a a . a", "a a"]),
        ("a a a a . a a a", 8, (3, 7), ["a a a", "a . a a a"]),
        # An entity that begins with a word without pieces may open a window.
        (f"a a {VANISHING} a a a", 5, (2, 6), ["a a", "a a a"]),
    ],
)
def test_where_a_sentence_is_cut(
    text: str, length: int, entity: tuple[int, int] | None, windows: list[str]
) -> None:
    words = text.split(" ")
    cut = WordTokenizer(TOKENIZER, length).windows([words], entity and [[entity]])
    assert [" ".join(words[i] for i in window.words) for window in cut] == windows


@pytest.mark.parametrize(
    ("text", "before", "after", "joined"),
    [
        # At a hard cut entities of one label that meet are one, with both scores; after a sentence they are two.
        (
            "a a a a a a",
            [(1, 3, "x", 0.5)],
            [(3, 4, "x", 0.5), (5, 6, "x", 0.1)],
            [(1, 4, 0.25), (5, 6, 0.1)],
        ),
        ("a a 。 a a a", [(0, 3, "x", 0.9)], [(3, 6, "x", 0.4)], [(0, 3, 0.9), (3, 6, 0.4)]),
        ("a a a a a a", [(1, 3, "x", 1)], [(3, 4, "y", 1)], [(1, 3, 1), (3, 4, 1)]),
        ("a a a a a a", [(1, 2, "x", 1)], [(3, 4, "x", 1)], [(1, 2, 1), (3, 4, 1)]),
        ("a a a a a a", [(1, 3, "x", 1)], [(4, 5, "x", 1)], [(1, 3, 1), (4, 5, 1)]),
        ("a a a a a a", [], [(3, 4, "x", 1)], [(3, 4, 1)]),
    ],
)
def test_entities_of_two_windows(text: str, before: Any, after: Any, joined: Any) -> None:
    windows = WordTokenizer(TOKENIZER, 5).windows([text.split()])
    assert [window.words for window in windows] == [[0, 1, 2], [3, 4, 5]]
    assert [window.joins for window in windows] == [False, "。" not in text]
    (actual,) = join_sentences(1, windows, [before, after])
    assert [(e.start, e.end, e.score) for e in actual] == joined


READ_TAGS = ["O", "B-x", "I-x", "B-y", "I-y", "B-I-x", "I-I-x"]


@given(
    rows=st.lists(
        st.lists(st.tuples(st.sampled_from(READ_TAGS), st.floats(-9, 0, width=32)), max_size=9),
        min_size=1,
        max_size=5,
    ),
    scored=st.booleans(),
)
def test_batches_of_ids_are_read_as_their_tags(rows: list[list[tuple[str, float]]], scored: bool) -> None:
    width = max(1, *map(len, rows))
    paths, factors = torch.full((len(rows), width), -100), torch.zeros(len(rows), width)
    windows, expected = [], []
    for index, row in enumerate(rows):
        windows.append(Window(index, [], [3 * word + 1 for word in range(len(row))], []))
        tags, own = [tag for tag, _ in row], [factor for _, factor in row]
        paths[index, : len(row)] = torch.tensor([READ_TAGS.index(tag) for tag in tags])
        factors[index, : len(row)] = torch.tensor(own)
        expected.append(
            [
                (3 * e.start + 1, 3 * e.end - 1, e.label, exp(fsum(own[e.start : e.end])) if scored else nan)
                for e in entities_from_tags(tags)[0]
            ]
        )
    assert SpanReader(READ_TAGS)(windows, paths, factors if scored else None) == expected


def test_what_cannot_be_cut_into_windows() -> None:
    with pytest.raises(EncoderError, match="a window of 2 pieces leaves no room"):
        WordTokenizer(TOKENIZER, 2)
    slow: Any = SimpleNamespace(is_fast=False)
    with pytest.raises(EncoderError, match="SimpleNamespace is a pure-Python tokenizer"):
        WordTokenizer(slow, 10)


ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTES = {piece: index for index, piece in enumerate(["<pad>", *ALPHABET, "an", "na", "\u0120a"])}
SPACED = ["<pad>", "<unk>", "\u2581", "\u2581an", "\u2581a", *"abnxyz,.", "na", "\u2581\u4e2d", "\u4e2d"]
BPE = models.BPE(BYTES, [("a", "n"), ("n", "a"), ("\u0120", "a")])
UNIGRAM = models.Unigram([(piece, -float(len(SPACED))) for piece in SPACED], unk_id=1)
KINDS = {
    **{f"byte-level, space {x}": (BPE, pre_tokenizers.ByteLevel(add_prefix_space=x)) for x in (False, True)},
    **{
        f"metaspace, {scheme}": (UNIGRAM, pre_tokenizers.Metaspace(prepend_scheme=scheme))
        for scheme in ("always", "first")
    },
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    sentences=st.lists(
        st.lists(st.text("abn xy\u4e2d\uff0c,.\u200b\x07", max_size=5), max_size=9), min_size=1, max_size=4
    ),
    length=st.integers(3, 40),
)
def test_words_have_the_pieces_that_their_whole_sentence_gives_them(
    kind: str, sentences: list[list[str]], length: int
) -> None:
    model, pre_tokenizer = KINDS[kind]
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizer
    if model is UNIGRAM:
        backend.normalizer = normalizers.NFKC()
    backend.post_processor = processors.TemplateProcessing(
        single="<pad> $A <pad>", pair="<pad> $A $B", special_tokens=[("<pad>", 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")
    encoded = tokenizer(sentences, is_split_into_words=True, add_special_tokens=False)
    windows = WordTokenizer(tokenizer, length).windows(sentences)
    for index in range(len(sentences)):
        expected: dict[int, list[int]] = {}
        for piece, word in zip(encoded["input_ids"][index], encoded.word_ids(index), strict=True):
            expected.setdefault(word, []).append(piece)
        mine = [pieces_in(window) for window in windows if window.sentence == index]
        actual = {word: pieces for part in mine for word, pieces in part.items()}
        assert actual == {word: pieces[: length - 2] for word, pieces in expected.items()}


@pytest.mark.parametrize(
    ("lengths", "rows", "batches"),
    [
        ((3, 9, 1, 9, 4), 2, [[1, 3], [4, 0], [2]]),
        ((2, 12, 5, 2, 4, 3, 1), None, [[1], [2, 4], [5, 0, 3], [6]]),
    ],
)
def test_batches_of_so_many_rows_or_pieces(
    lengths: tuple[int, ...], rows: int | None, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenization, "_PIECES_ON_CPU", 10)
    windows = [Window(index, [0] * length, [], []) for index, length in enumerate(lengths)]
    assert [batch for batch, _ in batches_by_length(windows, rows)] == batches


@pytest.mark.parametrize(("kind", "supported"), [("cpu", True), ("cuda", False), ("cuda", True)])
def test_bfloat16_only_on_gpus_made_for_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, supported: bool
) -> None:
    monkeypatch.setattr(tokenization, "device", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    monkeypatch.setattr(torch, "autocast", lambda name, dtype: (name, dtype))
    on = kind == "cuda" and supported
    assert (mixed_precision() == ("cuda", torch.bfloat16)) == has_bfloat16() == on
