"""A tagger of several sources: what it learns of all of them, and how each of them annotates."""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path

import pytest
from transformers import AutoModelForTokenClassification, pipeline

from builders import make_source, toy_rows, toy_source
from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.evaluation.evaluate import evaluate_on_source
from esnera_hf.evaluation.merged_tagger import mapping_by_name, train_merged_tagger
from esnera_hf.merging.merge import merge_sources
from esnera_hf.modeling.calibration import fit_temperatures
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.taggers.source_taggers import CachedTagger, train_cached

PLACES, PEOPLE = {"PLACE": "LOC"}, {"PERSON": "PER"}
SOURCES = [toy_source("people", PEOPLE, seed=1), toy_source("places", PLACES, seed=2)]
MAPPING: LabelMapping = mapping_by_name(SOURCES)
#: People and places, as neither of the sources annotates them.
BOTH = make_source("both", {"test": toy_rows({**PLACES, **PEOPLE}, 60, seed=9)})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def cached(encoder_folder: Path, cache: str) -> CachedTagger:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, cache)
        training = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 5, "seed": 42}
        train = partial(train_cached, str(encoder_folder), training)
        return train_merged_tagger(MAPPING, merge_sources(SOURCES, MAPPING), train, 0.0)


@pytest.fixture(scope="module")
def tagger(cached: CachedTagger, cache: str) -> Tagger:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, cache)
        return cached.load()


def found(tagger: Tagger) -> set[str]:
    rows = tagger.predict(sentence.tokens for sentence in BOTH.sentences("test"))
    return {entity.label for row in rows for entity in row}


def test_told_a_source_it_annotates_as_that_one_and_told_none_as_all(tagger: Tagger) -> None:
    assert tagger.sources == ("people", "places")
    people, places = map(tagger.for_source, tagger.sources)
    assert [found(people), found(places), found(tagger)] == [{"PER"}, {"LOC"}, {"PER", "LOC"}]
    assert (people.labels, people.sources) == (("PER",), ())
    for source in SOURCES:
        scores, _, words = evaluate_on_source(tagger, source, "test", MAPPING)
        assert scores.micro.f1 > 0.8
        assert words.endswith("which it annotates as that source does")
    assert tagger.evaluate(BOTH.sentences("test")).micro.f1 > 0.7
    assert all(0 < value < 5 for value in tagger.model.config.source_temperatures)
    with pytest.raises(ConfigurationError, match="source='both': expected one of people, places"):
        tagger.for_source("both")


def test_one_pass_fits_the_temperatures_of_all(tagger: Tagger) -> None:
    sentences = [sentence for source in SOURCES for sentence in source.sentences("validation")]
    apart = [
        fit_temperatures(style, [s for s in sentences if s.source == name])[0]
        for name, style in zip(tagger.sources, map(tagger.for_source, tagger.sources), strict=True)
    ]
    assert fit_temperatures(tagger, sentences)[1:] == pytest.approx(apart, rel=1e-3)
    assert fit_temperatures(tagger, SOURCES[0].sentences("validation"))[1:] == [pytest.approx(apart[0]), 1.0]


def test_predictions_are_kept_by_source(
    cached: CachedTagger, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, cache)
    told, untold = (
        {entity.label for row in cached.predict(BOTH, "test", style=style) for entity in row}
        for style in ("places", None)
    )
    assert (told, untold) == ({"LOC"}, {"PER", "LOC"})


def test_it_is_told_a_source_wherever_it_is_used(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a pipeline, from a folder with the code beside it, and on the command line."""
    folder = tmp_path / "tagger"
    tagger.save_pretrained(folder)
    text = " ".join(word for row in BOTH.dataset["test"]["tokens"][:4] for word in row)
    expected = tagger.pipeline(source="places")(text)
    assert expected
    assert tagger.pipeline()(text, source="places") == expected
    loaded = AutoModelForTokenClassification.from_pretrained(folder, trust_remote_code=True)
    pipe = pipeline(
        "token-classification", model=loaded, tokenizer=tagger.tokenizer, pipeline_class=loaded.pipeline_class
    )
    assert pipe(text, source="places") == expected
    assert {entry["entity_group"] for entry in pipe(text)} - {"LOC"}
    with pytest.raises(ValueError, match="source='x': expected one of people, places"):
        pipe(text, source="x")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))
    assert main(["predict", str(folder), "--source", "places"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert [entity["text"] for entity in json.loads(line)["entities"]] == [e["word"] for e in expected]


@pytest.mark.parametrize(
    "values",
    [
        {"sources": [["people"]]},
        {"sources": [["people", [1]], ["places", ["LOC"]]]},
        {"source_temperatures": [1.0]},
        {"source_temperatures": [1.0, -1.0]},
        {"sources": [["people", ["PER", "LOC"]], ["places", ["LOC"]]]},
    ],
)
def test_a_damaged_configuration_is_refused(
    tagger: Tagger, tmp_path: Path, values: dict[str, object]
) -> None:
    tagger.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    with pytest.raises(EncoderError):
        Tagger.from_pretrained(tmp_path)
