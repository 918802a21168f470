"""The card of a tagger."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from card_facts import check_golden, make_model_facts
from esnera_hf._internal.checks import to_plain
from esnera_hf.errors import ConfigurationError
from esnera_hf.hub.cards import model_card
from esnera_hf.hub.push import card_of_tagger
from esnera_hf.report.format import system_title
from esnera_hf.report.report import MergeReport
from esnera_hf.sources.source import License
from markdown_reading import tables
from results import make_result

FACTS = make_model_facts()
REPORT = FACTS["report"]
SINGLE = {"report": MergeReport(REPORT.sources[:1]), "mapping": None}


def made(**changes: Any) -> ModelCard:
    return model_card(**{**FACTS, **changes})


def results(card: object) -> list[EvalResult]:
    found = ModelCard(str(card)).data.eval_results
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "changes"), [("merged", {}), ("single", SINGLE), ("unscored", {**SINGLE, "record": {}})]
)
def test_a_whole_card(name: str, changes: dict[str, Any]) -> None:
    check_golden(f"tagger-{name}.md", str(made(**changes)))


@pytest.mark.parametrize("changes", [{}, SINGLE])
def test_the_hub_reads_the_card_back(changes: dict[str, Any]) -> None:
    card = made(**changes)
    read = ModelCard(str(card))
    plain = {key: value for key, value in card.data.to_dict().items() if key != "model-index"}
    again = ModelCardData(**plain, model_name="tagger", eval_results=read.data.eval_results)
    assert yaml.safe_load(again.to_yaml()) == yaml.safe_load(read.data.to_yaml()) == card.data.to_dict()


def test_without_scores_by_source_those_of_the_training_go_into_the_metadata() -> None:
    found = results(made(report=replace(REPORT, systems={})))
    assert {(r.dataset_name, r.dataset_type, r.dataset_split) for r in found} == {
        ("owner/merged",) * 2 + ("validation",)
    }
    measured = {"f1": 0.375, "precision": 0.25, "recall": 0.75}
    assert {r.metric_type: r.metric_value for r in found} == measured


@pytest.mark.parametrize(
    ("f1", "support", "split", "optimistic"),
    [(0.55, 4, "test", False), (0.0, 0, "validation", True), (None, 0, "validation", True)],
)
def test_a_test_split_counts_if_it_holds_entities(
    f1: float | None, support: int, split: str, optimistic: bool
) -> None:
    validation = FACTS["record"]["validation"]
    record = {"validation": validation}
    if f1 is not None:
        record["test"] = replace(validation, micro=replace(validation.micro, f1=f1, support=support))
    card = made(**SINGLE, record=record)
    assert {entry.dataset_split for entry in results(card)} == {split}
    assert ("that is optimistic" in card.text) == optimistic
    assert ("On **test**: micro-F1 0.550" in card.text) == ("On test, by label:" in card.text) != optimistic


@pytest.mark.parametrize(
    ("alpha", "beta", "city"),
    [(True, False, "oslo-secret; some text"), (False, True, "lima-secret"), (None, True, "lima-secret")],
)
def test_examples_come_from_sources_whose_text_may_be_shared(
    alpha: bool | None, beta: bool, city: str
) -> None:
    may = zip(REPORT.sources, (alpha, beta), strict=True)
    sources = tuple(replace(source, license=License("x", shared)) for source, shared in may)
    card = made(report=replace(REPORT, sources=sources))
    assert next(tables(card.text)) == [
        ["label", "merges", "examples"],
        ["city", "alpha:city, beta:place", city],
        ["per", "beta:per", ""],
    ]
    assert ("oslo-secret" in str(card), "lima-secret" in str(card)) == (alpha is True, beta)


@pytest.mark.parametrize("base", ["", "a b", "/some/folder", "x: y"])
def test_an_encoder_that_is_no_repository_is_not_named(base: str) -> None:
    card = made(record={**FACTS["record"], "encoder": base})
    assert "base_model" not in card.data.to_dict()
    assert "a pretrained encoder" in card.text


@pytest.mark.parametrize(
    ("taggers", "told"),
    [
        ({"kind": "separate"}, "Before: a tagger trained on that source alone. After: this one."),
        ({"kind": "joint"}, "Before: that source's head of the joint tagger. After: this one."),
        ({"kind": "joint", "joint_of": ["alpha"]}, "(or, of a later source, a tagger that began"),
    ],
)
def test_how_the_tagger_was_trained_is_told(taggers: dict[str, Any], told: str) -> None:
    report = replace(REPORT, call=replace(REPORT.call, settings={"taggers": taggers}))
    text = made(report=report).text
    assert told in text
    assert system_title("merged", True).endswith("on the likelihood of what each source says")


def card(**record: Any) -> Any:
    return card_of_tagger(SimpleNamespace(labels=("PER",), record=record), "me/tagger")  # type: ignore[arg-type]


def test_terms_are_those_of_the_sources() -> None:
    bare = card()
    assert not {"license", "license_name", "model-index", "base_model"} & set(bare.data.to_dict())
    assert "PER" in bare.text
    for other, expected in (("cc-by-sa-4.0", "cc-by-sa-4.0"), ("unknown", "other")):
        sources = to_plain(make_result(licenses=("mit", other)).report.sources)
        assert card(sources=sources).data.to_dict()["license"] == expected


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
