"""The pipeline against the tagger on the same words, in every form of input it takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from datasets import Dataset
from transformers import TokenClassificationPipeline, pipeline
from transformers.pipelines.pt_utils import KeyDataset

from esnera_hf.modeling.hub_code.pipeline_crf_tagger import CrfTaggerPipeline
from esnera_hf.modeling.hub_code.windows import window_inputs
from esnera_hf.modeling.hub_code.words import word_spans
from esnera_hf.modeling.tagger import Tagger

KEYS = ["entity_group", "score", "word", "start", "end"]


@pytest.fixture(scope="module")
def pipe(tagger: Tagger) -> CrfTaggerPipeline:
    return tagger.pipeline()


def expected(tagger: Tagger, text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[Any, ...]]:
    """What the tagger finds in a text with these words."""
    (entities,) = tagger.predict([[text[a:b] for a, b in spans]])
    bounds = [(spans[entity.start][0], spans[entity.end - 1][1]) for entity in entities]
    return [
        (entity.label, pytest.approx(entity.score, abs=1e-5), text[start:end], start, end)
        for entity, (start, end) in zip(entities, bounds, strict=True)
    ]


def rows(entries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    assert all(list(entry) == KEYS for entry in entries)
    return [tuple(entry.values()) for entry in entries]


def joined(words: Sequence[str], delimiter: str) -> tuple[str, list[tuple[int, int]]]:
    starts = accumulate((len(word) + len(delimiter) for word in words[:-1]), initial=0)
    return delimiter.join(words), [(at, at + len(word)) for at, word in zip(starts, words, strict=False)]


def test_it_finds_in_text_what_the_tagger_finds_in_its_words(
    tagger: Tagger, pipe: CrfTaggerPipeline, texts: list[str]
) -> None:
    actual = [rows(pipe(text)) for text in texts]
    assert actual == [expected(tagger, text, word_spans(text)) for text in texts]
    assert [len(entries) > 0 for entries in actual] == [text.strip("\u200b \n\t") != "" for text in texts]
    windows = [len(pipe.words.windows([[text[a:b] for a, b in word_spans(text)]])) for text in texts]
    assert {0, 1} < set(windows)
    assert max(windows) > 3


@pytest.mark.parametrize("delimiter", [None, "", " / "])
def test_it_finds_in_words_what_the_tagger_finds(
    tagger: Tagger, pipe: CrfTaggerPipeline, sentences: list[list[str]], delimiter: str | None
) -> None:
    options = {} if delimiter is None else {"delimiter": delimiter}
    actual = pipe(sentences, is_split_into_words=True, **options)
    places = [joined(words, " " if delimiter is None else delimiter) for words in sentences]
    assert [rows(entries) for entries in actual] == [expected(tagger, *place) for place in places]
    assert {type(entry["score"]) for entries in actual for entry in entries} == {float}


def test_texts_of_like_length_share_a_batch(pipe: CrfTaggerPipeline) -> None:
    """Which changes nothing but the order they are read in."""
    texts = ["anna", "anna met bruno in paris", "paris", "emma left madrid for cairo"]
    alone = [pipe(text) for text in texts]
    with patch.object(pipe.model, "forward", wraps=pipe.model.forward) as spied:
        batched = pipe(texts, batch_size=2)
    widths = [call.kwargs["attention_mask"].sum(1).tolist() for call in spied.call_args_list]
    assert widths == [[7, 7], [3, 3]]
    words = [[[entry["word"] for entry in actual] for actual in results] for results in (batched, alone)]
    assert words[0] == words[1]


def test_forms_of_input(tagger: Tagger, pipe: CrfTaggerPipeline, texts: list[str]) -> None:
    results = [pipe(text) for text in texts]
    assert pipe(texts) == pipe(tuple(texts)) == list(pipe(text for text in texts)) == results
    rows = Dataset.from_dict({"text": texts})
    assert pipe(rows["text"]) == list(pipe(KeyDataset(rows, "text"))) == results
    words = ["anna", "met", "bruno"]
    (result,) = pipe(words, is_split_into_words=True)
    assert [entry["word"] for entry in result] == ["anna", "bruno"]
    assert pipe([words, []], is_split_into_words=True) == [result, []]
    assert pipe([tuple(words)], is_split_into_words=True) == [result]
    assert tagger.pipeline(is_split_into_words=True)(words) == [result]
    assert pipe([]) == pipe([], is_split_into_words=True) == []


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ([["anna"]], {}, r"expected a text, found \['anna'\]\. Pass is_split_into_words=True"),
        (["anna", ["met"]], {"is_split_into_words": True}, "expected a list of words, found 'anna'"),
        ("anna", {"unit": "letters"}, "expected one of auto"),
        ("anna", {"aggregation_strategy": "fist"}, "='fist': expected one of none, simple"),
        ("anna", {"split_into_words": True}, "split_into_words"),
    ],
)
def test_what_is_no_text_is_refused(
    pipe: CrfTaggerPipeline, inputs: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        pipe(inputs, **options)


def test_options(pipe: CrfTaggerPipeline) -> None:
    """The unit of words, labels left out, and strategies that group, which are one."""
    text = "anna, met bruno in paris"
    actual = pipe(text)
    assert [entry["word"] for entry in actual] == ["anna", "bruno", "paris"]
    assert pipe(text, unit="spaces")[0]["word"] == "anna,"
    assert pipe(text, ignore_labels=["PER"]) == actual[2:]
    for strategy in ("simple", "first", "average", "max", "MAX"):
        assert pipe(text, aggregation_strategy=strategy, stride=3) == actual


def test_without_grouping_every_word_has_its_tag(tagger: Tagger, pipe: CrfTaggerPipeline) -> None:
    text = "anna \u200b bruno met clara"
    entries = pipe(text, aggregation_strategy="none", ignore_labels=[])
    assert [list(entry) for entry in entries] == [["entity", "score", "index", "word", "start", "end"]] * 4
    assert [(e["entity"], e["index"], e["word"], e["start"], e["end"]) for e in entries] == [
        *(("B-PER", 0, "anna", 0, 4), ("I-PER", 2, "bruno", 7, 12)),
        *(("O", 3, "met", 13, 16), ("B-PER", 4, "clara", 17, 22)),
    ]
    first, second = pipe(text)
    assert (first["word"], second["word"]) == ("anna \u200b bruno", "clara")
    words = [word for word in text.split(" ") if word != "\u200b"]
    (expected,) = tagger.predict([words])
    assert [first["score"], second["score"]] == pytest.approx([entity.score for entity in expected])
    assert first["score"] < min(entries[0]["score"], entries[1]["score"])
    assert second["score"] <= entries[3]["score"] + 1e-6
    assert [e["index"] for e in pipe(text, aggregation_strategy="none")] == [0, 2, 4]


def test_saved_taggers_load_as_pipelines(pipe: CrfTaggerPipeline, saved: Path, texts: list[str]) -> None:
    """Without remote code, and in half precision."""
    assert type(Tagger.from_pretrained(saved).pipeline()) is CrfTaggerPipeline
    stock, half = (
        pipeline("token-classification", model=str(saved), pipeline_class=CrfTaggerPipeline, **options)
        for options in ({}, {"dtype": "bfloat16"})
    )
    assert stock(texts) == pipe(texts)
    assert {str(parameter.dtype) for parameter in half.model.parameters()} == {"torch.bfloat16"}
    actual, expected = (loaded("anna met bruno in paris") for loaded in (half, pipe))
    assert [entry["word"] for entry in actual] == [entry["word"] for entry in expected]
    assert [e["score"] for e in actual] == pytest.approx([e["score"] for e in expected], abs=0.05)


def test_the_stock_pipeline_gets_the_probabilities_of_the_crf(
    tagger: Tagger, pipe: CrfTaggerPipeline
) -> None:
    stock = TokenClassificationPipeline(model=tagger.model, tokenizer=tagger.tokenizer, task="ner")
    text = "anna bruno met clara in paris"
    for strategy, keys in (
        ("none", ("entity", "word", "start", "end")),
        ("simple", ("entity_group", "start", "end")),
    ):
        own, entries = (one(text, aggregation_strategy=strategy, ignore_labels=[]) for one in (pipe, stock))
        entries = [entry for entry in entries if entry.get("entity_group") != "O"]
        assert [[e[key] for key in keys] for e in entries] == [[e[key] for key in keys] for e in own]
        if strategy == "none":
            assert [e["score"] for e in entries] == pytest.approx([e["score"] for e in own], abs=1e-5)
    assert tagger.model.train()(**tagger.tokenizer(text, return_tensors="pt")).logits.requires_grad
    assert not tagger.pipeline().model.training


def test_logits_of_a_batch(tagger: Tagger) -> None:
    texts = ["anna met bruno", "", "paris"]
    batch = tagger.tokenizer(texts, padding=True, return_tensors="pt")
    assert "token_type_ids" in batch
    with torch.inference_mode():
        probabilities = tagger.model(**batch).logits.exp()
    torch.testing.assert_close(probabilities.sum(2), torch.ones(3, 5))
    for text, row in zip(texts, probabilities, strict=True):
        length = len(text.split())
        assert (row[[0, *range(length + 1, 5)], 0] == 1).all()
        for window in tagger.words.windows([text.split()]):
            with torch.no_grad():
                emissions = tagger.model(**window_inputs([window], 0)).logits
            marginals = tagger.model.crf.marginals(
                emissions,
                torch.ones(1, length, dtype=torch.bool),
                tagger.model.config.confidence_temperature,
            )
            torch.testing.assert_close(row[1 : length + 1], marginals[0], atol=1e-5, rtol=1e-4)
