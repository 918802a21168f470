"""Predictions of a trained tagger."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
import torch

from builders import toy_source
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import score_entities
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator


def test_what_it_shows(tagger: Tagger) -> None:
    assert tagger.labels == ("LOC", "PER")
    assert repr(tagger) == "Tagger(labels=('LOC', 'PER'))"
    assert repr(tagger.with_record(encoder="me/bert")) == "Tagger(labels=('LOC', 'PER'), encoder='me/bert')"


def test_predictions_do_not_depend_on_batches_chunks_or_order(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences))
    assert sum(map(len, expected)) > 50
    assert [expected[i] for i in (31, 32)] == [[], []]
    for words, entities in zip(sentences, expected, strict=True):
        assert all(0 <= entity.start < entity.end <= len(words) for entity in entities)
        assert all(a.end <= b.start for a, b in pairwise(entities))
    for batch_size in (1, 3, 100):
        assert list(tagger.predict(sentences, batch_size=batch_size)) == expected
    order = list(range(len(sentences)))
    random.Random(3).shuffle(order)
    assert list(tagger.predict([sentences[i] for i in order])) == [expected[i] for i in order]
    assert [next(iter(tagger.predict([words]))) for words in sentences] == expected
    monkeypatch.setattr("esnera_hf.modeling.tagger.CHUNK", 7)
    assert list(tagger.predict(iter(sentences))) == expected
    assert list(tagger.predict([])) == []


@pytest.mark.parametrize(
    ("sentences", "size", "message"),
    [
        ("Anna met Bruno", None, "expected lists of words, found a text: 'A'. Pass"),
        (["Anna met Bruno"], None, "expected lists of words, found a text: 'Anna met Bruno'. Pass"),
        ([["Anna"], "met"], None, "expected lists of words, found a text: 'met'. Pass"),
        ([["anna"]], 0, "batch_size=0: expected a number of windows, at least 1"),
        ([["anna"]], -1, "batch_size=-1: expected a number of windows, at least 1"),
    ],
)
def test_what_it_cannot_read(tagger: Tagger, sentences: Any, size: int | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        list(tagger.predict(sentences, batch_size=size))


def test_scores_are_the_smallest_marginal_of_the_words(tagger: Tagger) -> None:
    words = ["anna", "xyz", "met", "bruno", "in", "paris"]
    (entities,) = tagger.predict([words], scores=True)
    (plain,) = tagger.predict([words])
    assert entities == plain
    assert {entity.score for entity in plain} == {1.0}
    (window,) = tagger.words.windows([words])
    row = {"input_ids": window.input_ids, "word_positions": window.positions, "labels": [0] * 6}
    batch = TaggingCollator(0)([row])
    with torch.no_grad():
        emissions = tagger.model(**batch).logits
    marginals = tagger.model.crf.marginals(emissions, batch["word_positions"] >= 0)[0]
    tags = tagger.model.config.label2id
    for entity in entities:
        steps = [tags[f"B-{entity.label}"], *[tags[f"I-{entity.label}"]] * (entity.end - entity.start - 1)]
        expected = min(marginals[entity.start + i, tag].item() for i, tag in enumerate(steps))
        assert entity.score == pytest.approx(expected, abs=1e-5)
        assert 0 < entity.score < 1


def test_evaluation_scores_the_predictions(tagger: Tagger) -> None:
    gold = list(toy_source("other", {"PERSON": "PER", "PLACE": "LOC"}, seed=9).sentences("test"))
    predicted = list(tagger.predict([sentence.tokens for sentence in gold]))
    assert tagger.evaluate(iter(gold)) == score_entities(
        [sentence.entities for sentence in gold], predicted, [len(sentence.tokens) for sentence in gold]
    )


def test_the_crf_computes_in_single_precision_or_better_within_mixed_precision(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences, scores=True))
    kinds: list[torch.dtype] = []
    viterbi = tagger.model.crf.viterbi

    def spied(emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kinds.append(emissions.dtype)
        assert not torch.is_autocast_enabled("cpu")
        path: torch.Tensor = viterbi(emissions, mask)
        return path

    monkeypatch.setattr(tagger.model.crf, "viterbi", spied)
    monkeypatch.setattr(
        "esnera_hf.modeling.tagger.mixed_precision", lambda: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    entities = list(tagger.predict(sentences, scores=True))
    assert set(kinds) == {torch.float32}
    same = sum(len(set(a) & set(b)) for a, b in zip(entities, expected, strict=True))
    assert same > 0.9 * sum(map(len, expected)) > 0
