"""Temperatures: confidences of a tagger, however sure it is, become the shares of its mentions that are right."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from builders import toy_source
from esnera_hf.metrics import Scope, calibration_error
from esnera_hf.modeling.calibration import fit_temperatures
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.sources.source import AnnotatedSentence

SOURCE = toy_source("held out", {"PERSON": "PER", "PLACE": "LOC"}, seed=7)


def with_sharpness(tagger: Tagger, factor: float) -> Tagger:
    """Return a tagger that finds the same, surer of it or less."""
    model = deepcopy(tagger.model)
    with torch.no_grad():
        for parameter in model.head_parameters():
            parameter *= factor
    model.config.confidence_temperature = 1.0
    return Tagger(model, tagger.tokenizer)


@pytest.fixture(scope="module")
def sentences() -> list[AnnotatedSentence]:
    """Sentences in which a quarter of the mentions are not annotated, whatever they look like."""
    draw = random.Random(1)
    rows = [row for split in ("train", "validation", "test") for row in SOURCE.sentences(split)]
    return [replace(row, entities=[e for e in row.entities if draw.random() < 0.75]) for row in rows]


def error(tagger: Tagger, sentences: list[AnnotatedSentence]) -> float:
    predicted = list(tagger.predict([sentence.tokens for sentence in sentences]))
    pairs = [
        (entity.score, entity in sentence.entities)
        for sentence, row in zip(sentences, predicted, strict=True)
        for entity in row
    ]
    assert len(pairs) > 100
    return calibration_error(*zip(*pairs, strict=True))


def test_a_tagger_that_is_too_sure_is_evened_out(tagger: Tagger, sentences: list[AnnotatedSentence]) -> None:
    sharp = with_sharpness(tagger, 2.0)
    fitted, judged = sentences[::2], sentences[1::2]
    before = error(sharp, judged)
    (sharp.model.config.confidence_temperature,) = fit_temperatures(sharp, fitted)
    assert sharp.model.config.confidence_temperature > 1.5
    assert error(sharp, judged) < min(0.6 * before, 0.12)


def test_the_temperature_goes_with_the_sharpness(tagger: Tagger, sentences: list[AnnotatedSentence]) -> None:
    (plain,), (sharp,) = (
        fit_temperatures(with_sharpness(tagger, factor), sentences) for factor in (0.6, 1.2)
    )
    assert sharp / plain == pytest.approx(2, rel=0.1)
    assert fit_temperatures(with_sharpness(tagger, 1.2), sentences) == [sharp]


def test_only_what_a_source_annotates_is_judged(tagger: Tagger, sentences: list[AnnotatedSentence]) -> None:
    """Where places are not annotated, the places that are found are no errors."""
    people = [replace(s, entities=[e for e in s.entities if e.label == "PER"]) for s in sentences]
    scope: Scope = {SOURCE.name: ("PER",)}
    assert fit_temperatures(tagger, people, scope) < fit_temperatures(tagger, people)


def test_without_a_mention_nothing_is_fitted(tagger: Tagger, sentences: list[AnnotatedSentence]) -> None:
    assert fit_temperatures(tagger, []) == [1.0]
    assert fit_temperatures(tagger, sentences, {SOURCE.name: ()}) == [1.0]
