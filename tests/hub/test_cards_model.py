"""The card of a tagger."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from card_facts import make_model_facts
from esnera_hf._internal.checks import to_plain
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.cards import model_card
from esnera_hf.hub.push import card_of_tagger
from esnera_hf.report.format import system_title
from esnera_hf.sources.licenses import Terms
from esnera_hf.sources.source import License
from markdown_reading import tables
from results import make_result


def results(card: object) -> list[EvalResult]:
    found = ModelCard(str(card)).data.eval_results
    assert found is not None
    return found


def test_the_metadata() -> None:
    metadata = model_card(make_model_facts()).data.to_dict()
    metadata = {key: value for key, value in metadata.items() if key not in ("model-index", "tags")}
    assert metadata == {
        "license": "other",
        "license_name": "terms-of-the-sources",
        "language": ["en"],
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "base_model": "owner/encoder",
        "datasets": ["owner/merged", "owner/alpha"],
        "metrics": ["f1", "precision", "recall"],
    }


@pytest.mark.parametrize("merged", [True, False])
def test_the_hub_reads_the_card_back(merged: bool) -> None:
    facts = make_model_facts()
    card = model_card(facts if merged else replace(facts, report=None, mapping=None))
    read = ModelCard(str(card))
    assert yaml.safe_load(read.data.to_yaml()) == card.data.to_dict()
    plain = {key: value for key, value in card.data.to_dict().items() if key != "model-index"}
    made = ModelCardData(**plain, model_name="tagger", eval_results=read.data.eval_results)
    assert yaml.safe_load(made.to_yaml()) == card.data.to_dict()


def test_scores_on_test_go_into_the_metadata() -> None:
    found = results(model_card(make_model_facts()))
    assert [
        (r.dataset_name, r.dataset_type, r.dataset_split, r.metric_type, r.metric_value) for r in found
    ] == [
        ("alpha", "owner/alpha", "test", "f1", 0.7),
        ("beta", "beta", "test", "f1", 0.5),
    ]


def test_scores_on_validation_where_there_are_no_others() -> None:
    facts = make_model_facts()
    report = replace(facts.report, systems={})
    found = results(model_card(replace(facts, report=report)))
    assert [(r.dataset_name, r.dataset_split, r.metric_type, r.metric_value) for r in found] == [
        ("owner/merged", "validation", "f1", 0.375),
        ("owner/merged", "validation", "precision", 0.25),
        ("owner/merged", "validation", "recall", 0.75),
    ]
    single = replace(facts, report=None, mapping=None, dataset_repo="", sources=facts.report.sources[:1])
    assert {(r.dataset_name, r.dataset_type) for r in results(model_card(single))} == {
        ("alpha", "owner/alpha")
    }
    validation = single.record["validation"]
    test = replace(validation, micro=replace(validation.micro, f1=0.55))
    tested = model_card(replace(single, record={**single.record, "test": test}))
    assert {(r.dataset_split, r.metric_type): r.metric_value for r in results(tested)}["test", "f1"] == 0.55
    assert "On **test**: micro-F1 0.550" in tested.text
    assert "On test, by label:" in tested.text
    assert "that is optimistic" in model_card(single).text
    assert "that is optimistic" not in tested.text
    nothing = replace(test, micro=replace(test.micro, f1=0.0, support=0))
    empty = model_card(replace(single, record={**single.record, "test": nothing}))
    assert {r.dataset_split for r in results(empty)} == {"validation"}
    assert "that is optimistic" in empty.text
    unscored = model_card(replace(single, record={}))
    assert not {"model-index", "metrics"} & set(unscored.data.to_dict())
    assert "No score of it is known." in unscored.text


def test_examples_come_from_sources_whose_text_may_be_shared() -> None:
    facts = make_model_facts()
    assert next(tables(model_card(facts).text)) == [
        ["label", "merges", "examples"],
        ["city", "alpha:city, beta:place", "oslo-secret; some text"],
        ["per", "beta:per", ""],
    ]
    assert "lima-secret" not in str(model_card(facts))
    for may in (False, None):
        terms = Terms({"alpha": License("x", may), "beta": License("y", True)})
        card = str(model_card(replace(facts, terms=terms)))
        assert "oslo-secret" not in card
        assert "lima-secret" in card


@pytest.mark.parametrize("base", ["", "a b", "/some/folder", "x: y"])
def test_an_encoder_that_is_no_repository_is_not_named(base: str) -> None:
    card = model_card(make_model_facts(base_encoder=base))
    assert "base_model" not in card.data.to_dict()
    assert "a pretrained encoder" in card.text


def test_a_tagger_of_one_source_says_nothing_of_merging() -> None:
    facts = make_model_facts()
    card = model_card(replace(facts, report=None, mapping=None, sources=facts.report.sources[:1]))
    assert next(tables(card.text)) == [["label"], ["city"], ["per"]]
    assert "merge" not in card.text.split("## Citation")[0].replace("owner/merged", "")


def test_how_the_tagger_was_trained_is_told() -> None:
    facts = make_model_facts()
    assert facts.report is not None
    assert facts.report.call is not None
    call = facts.report.call
    for taggers, told in (
        ({"kind": "separate"}, "Before: a tagger trained on that source alone. After: this one."),
        ({"kind": "joint"}, "Before: that source's head of the joint tagger. After: this one."),
        ({"kind": "joint", "joint_of": ["alpha"]}, "(or, of a later source, a tagger that began"),
    ):
        report = replace(facts.report, call=replace(call, settings={"taggers": taggers}))
        assert told in model_card(replace(facts, report=report)).text
    assert system_title("merged", True).endswith("on the likelihood of what each source says")
    assert system_title("merged") == "trained on the merged dataset"
    assert "**Made from a sample" in model_card(facts).text.split("\n## ")[0]


def card(**record: Any) -> Any:
    return card_of_tagger(SimpleNamespace(labels=("PER",), record=record), "me/tagger")  # type: ignore[arg-type]


def test_without_a_record_nothing_is_said_of_terms_or_scores() -> None:
    found = card()
    assert not {"license", "license_name", "model-index", "base_model"} & set(found.data.to_dict())
    assert "PER" in found.text


def test_terms_are_those_of_the_sources() -> None:
    report = make_result(licenses=("mit", "cc-by-sa-4.0")).report
    assert card(sources=to_plain(report.sources)).data.to_dict()["license"] == "cc-by-sa-4.0"
    unknown = make_result(licenses=("mit", "unknown")).report
    assert card(sources=to_plain(unknown.sources)).data.to_dict()["license"] == "other"


@pytest.mark.parametrize(
    "record",
    [
        {"sources": [{"name": "a"}]},
        {"sources": [{"name": "a", "license": {"name": "mit", "more": 1}}]},
        {"report": [1]},
        {"validation": {"f1": 1}},
        {"history": [{"loss": 1}]},
        {"arguments": "abc"},
        {"mapping": "labels: 7"},
    ],
)
def test_a_record_of_another_version_is_named(record: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"the tagger's record \(training_history\.json beside it\)"):
        card(**record)
