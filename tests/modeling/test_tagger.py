"""Predictions of a trained tagger, and vectors of mentions."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from builders import VANISHING, make_source, row, toy_source
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.metrics import score_entities
from esnera_hf.modeling.encoders import MentionEncoder
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import TaggingCollator

NAMES = {"PERSON": "PER", "PLACE": "LOC"}


def test_labels(tagger: Tagger) -> None:
    assert tagger.labels == ("LOC", "PER")


def test_predictions_do_not_depend_on_batches_or_order(tagger: Tagger, sentences: list[list[str]]) -> None:
    expected = list(tagger.predict(sentences))
    assert sum(map(len, expected)) > 50
    assert [expected[i] for i in (31, 32)] == [[], []]
    for batch_size in (1, 3, 100):
        assert list(tagger.predict(sentences, batch_size=batch_size)) == expected
    order = list(range(len(sentences)))
    random.Random(3).shuffle(order)
    shuffled = list(tagger.predict([sentences[i] for i in order]))
    assert shuffled == [expected[i] for i in order]
    assert [next(iter(tagger.predict([words]))) for words in sentences] == expected


def test_chunks_do_not_change_predictions(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences))
    monkeypatch.setattr("esnera_hf.modeling.tagger.CHUNK", 7)
    assert list(tagger.predict(iter(sentences))) == expected


def test_nothing_gives_nothing(tagger: Tagger) -> None:
    assert list(tagger.predict([])) == []


@pytest.mark.parametrize("given", ["Anna met Bruno", ["Anna met Bruno"], [["Anna"], "met"]])
def test_texts_are_no_lists_of_words(tagger: Tagger, given: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"expected lists of words, found a text: '(A|Anna .*|met)'\. Pass"
    ):
        list(tagger.predict(given))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_something(tagger: Tagger, size: int) -> None:
    with pytest.raises(
        ConfigurationError, match=f"batch_size={size}: expected a number of windows, at least 1"
    ):
        list(tagger.predict([["anna"]], batch_size=size))


def test_predictions_are_spans_of_their_sentence(tagger: Tagger, sentences: list[list[str]]) -> None:
    for words, found in zip(sentences, tagger.predict(sentences), strict=True):
        assert all(0 <= entity.start < entity.end <= len(words) for entity in found)
        assert all(a.end <= b.start for a, b in pairwise(found))


def test_scores_are_the_smallest_marginal_of_the_words(tagger: Tagger) -> None:
    words = ["anna", "xyz", "met", "bruno", "in", "paris"]
    (found,) = tagger.predict([words], scores=True)
    assert found == next(iter(tagger.predict([words])))
    (window,) = tagger.words.windows([words])
    batch = TaggingCollator(0)(
        [{"input_ids": window.input_ids, "word_positions": window.positions, "labels": [0] * 6}]
    )
    with torch.no_grad():
        emissions = tagger.model(**batch).logits
    marginals = tagger.model.crf.marginals(emissions, batch["word_positions"] >= 0)[0]
    tags = tagger.model.config.label2id
    for entity in found:
        steps = [tags[f"B-{entity.label}"], *[tags[f"I-{entity.label}"]] * (entity.end - entity.start - 1)]
        expected = min(marginals[entity.start + i, tag].item() for i, tag in enumerate(steps))
        assert entity.score == pytest.approx(expected, abs=1e-5)
        assert 0 < entity.score < 1
    assert {entity.score for entity in next(iter(tagger.predict([words])))} == {1.0}


def test_evaluation_scores_the_predictions(tagger: Tagger) -> None:
    source = toy_source("other", NAMES, seed=9)
    gold = list(source.sentences("test"))
    predicted = list(tagger.predict([sentence.tokens for sentence in gold]))
    assert tagger.evaluate(iter(gold)) == score_entities(
        [sentence.entities for sentence in gold], predicted, [len(sentence.tokens) for sentence in gold]
    )


def test_a_saved_tagger_predicts_the_same(tagger: Tagger, sentences: list[list[str]], tmp_path: Path) -> None:
    tagger.save_pretrained(tmp_path / "new" / "folder")
    loaded = Tagger.from_pretrained(tmp_path / "new" / "folder")
    assert loaded.words.budget == 18
    before, after = (list(t.predict(sentences, scores=True)) for t in (tagger, loaded))
    assert before == after
    assert [[e.score for e in found] for found in before] == [[e.score for e in found] for found in after]


@pytest.mark.parametrize("content", ["nothing", "encoder", "broken config", "no weights"])
def test_a_folder_without_a_tagger_is_refused(
    tagger: Tagger, encoder_folder: Path, tmp_path: Path, content: str
) -> None:
    folder = {"nothing": tmp_path / "missing", "encoder": encoder_folder}.get(content, tmp_path)
    if folder is tmp_path:
        tagger.save_pretrained(tmp_path)
        if content == "broken config":
            (tmp_path / "config.json").write_text("{")
        else:
            (tmp_path / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="holds no tagger"):
        Tagger.from_pretrained(folder)


class TestMentionEncoder:
    def test_a_vector_is_the_mean_of_the_states_of_the_pieces(self, encoder_folder: Path) -> None:
        encoder = MentionEncoder(str(encoder_folder))
        source = make_source(
            "s",
            {
                "train": [
                    row(f"xyz/B-PER {VANISHING}/I-PER anna/I-PER met lima/B-LOC"),
                    row("nothing here"),
                    row(f"{VANISHING}/B-PER met oslo/B-LOC"),
                ]
            },
        )
        batches = list(encoder.mention_vectors(source.sentences("train")))
        labels = [label for names, _ in batches for label in names]
        vectors = np.concatenate([part for _, part in batches])
        assert labels == ["PER", "LOC", "LOC"]

        def states(words: list[str]) -> torch.Tensor:
            inputs = encoder.words.tokenizer(words, is_split_into_words=True, return_tensors="pt")
            with torch.no_grad():
                return encoder.model(**inputs).last_hidden_state[0]

        first, last = states(["xyz", "anna", "met", "lima"]), states(["met", "oslo"])
        assert len(first) == 2 + 3 + 1 + 1 + 4
        expected = [first[1:5].mean(0), first[6:10].mean(0), last[2:3].mean(0)]
        np.testing.assert_allclose(vectors, torch.stack(expected).numpy(), atol=1e-5)

    def test_mentions_without_any_piece(self, encoder_folder: Path) -> None:
        encoder = MentionEncoder(str(encoder_folder))
        source = make_source("s", {"train": [row(f"{VANISHING}/B-PER met")]})
        ((labels, vectors),) = encoder.mention_vectors(source.sentences("train"))
        assert (labels, vectors.shape) == ([], (0, 24))

    def test_an_entity_far_into_a_long_sentence_is_encoded(self, encoder_folder: Path) -> None:
        encoder = MentionEncoder(str(encoder_folder))
        long = row("the people met " * 60 + "anna/B-PER bruno/I-PER")
        ((labels, vectors),) = encoder.mention_vectors(make_source("s", {"train": [long]}).sentences("train"))
        assert (labels, vectors.shape) == (["PER"], (1, 24))
        assert np.isfinite(vectors).all()
