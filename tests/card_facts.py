"""Facts for cards, made by hand: two sources, one label in common, everything a card can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builders import make_matrix, make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.hub.cards import ModelCardFacts
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.report import Report
from esnera_hf.similarity.matrix import Agreement, PairEvidence
from esnera_hf.sources.licenses import licenses_of, strictest_terms
from esnera_hf.tagging import Entity, LabelRef


@dataclass(frozen=True)
class Names:
    """What comes from outside: two sources, a label of the first, and any other text."""

    first: str = "alpha"
    second: str = "beta"
    label: str = "city"
    text: str = "some text"


def estimate(value: float | None) -> dict[str, float | None]:
    return {"value": value, "low": value and value - 0.1, "high": value and value + 0.1}


def comparison(before: float, after: float, support: int = 7) -> dict[str, Any]:
    change = round(after - before, 6)
    return {
        "support": support,
        "before": estimate(before),
        "after": estimate(after),
        "change": estimate(change),
    }


def scores(names: Names) -> dict[str, Any]:
    return {
        "pooled": comparison(0.5, 0.6, 14),
        "sources": {
            names.first: {
                "micro": comparison(0.6, 0.7),
                "by_label": {names.label: comparison(0.6, 0.4)},
            },
            names.second: {
                "micro": comparison(0.4, 0.5),
                "by_label": {"per": comparison(0.4, 0.35), "place": comparison(0.4, 0.35, 0)},
            },
        },
    }


def validation() -> dict[str, Any]:
    score = {"precision": 0.25, "recall": 0.75, "f1": 0.375, "support": 4}
    return {"micro": score, "macro_f1": 0.3, "by_label": {"per": score}}


def make_mapping(names: Names) -> LabelMapping:
    city, per, place = (
        LabelRef(names.first, names.label),
        LabelRef(names.second, "per"),
        LabelRef(names.second, "place"),
    )
    known = PairEvidence(0.125, Agreement(2, 3), Agreement(1, 1))
    unknown = PairEvidence(-0.5, Agreement(0, 0), Agreement(0, 0))
    turned = PairEvidence(0.125, Agreement(1, 1), Agreement(2, 3))
    entries = (
        MappedLabel(city, names.label, "equal", 3, place, 0.4567, known),
        MappedLabel(place, names.label, "equal", 2, city, 0.4321, turned),
        MappedLabel(per, "per" if names.label != "per" else "per2", "equal", 1, city, -0.5, unknown),
        MappedLabel(LabelRef(names.second, "zone"), None, mentions=1),
    )
    unified = tuple(dict.fromkeys(entry.unified for entry in entries if entry.unified is not None))
    return LabelMapping(unified, entries, "greedy", 0.4)


def make_report(names: Names) -> Report:
    def example(mention: str) -> dict[str, str]:
        return {"left": "secret left", "mention": mention, "right": "secret right", "id": "1"}

    city, place = f"{names.first}:{names.label}", f"{names.second}:place"
    agreement = {"matched": 1, "predicted": 2}
    pair = {"one": f"{names.second}:per", "other": city}
    system = {"native": scores(names), "unified": scores(names), "history": [], "seconds": 1.0}
    decision = {"group": [city], "candidate": place, "similarity": 0.4, "semantic": 0.1, "merged": True}
    return Report(
        settings={
            "call": "align",
            "sources": [names.first, names.second],
            "encoder": names.text,
            "lambda": None,
            "tau": None,
            "sentences": 100,
            "seed": 42,
            "search": {"max_f1_drop": 0.03},
        },
        sources=[summary(names.first, names, hub_id="owner/alpha"), private(summary(names.second, names))],
        taggers={names.first: {"validation": validation(), "test": validation()}},
        stages=[
            {
                "sources": [names.first],
                "target": names.second,
                "sum_empirical": 1.0,
                "lambda": 0.4,
                "tau": 0.2,
                "merged": 1,
                "decisions": [decision],
            }
        ],
        trials=[{"scores": None}, {"scores": {}}],
        near=[
            {
                **pair,
                "forward_similarity": 0.3,
                "backward_similarity": None,
                "semantic": -0.001,
                "forward": agreement,
                "backward": {"matched": 0, "predicted": 0},
            }
        ],
        search_scores={"native": scores(names), "unified": scores(names)},
        pseudo={"threshold": 0.9, "total": 1, "counts": [], "rejected": {names.text: 3}},
        systems={"merged": system, "naive": system},
        examples={city: [example("oslo-secret"), example(names.text)], place: [example("lima-secret")]},
        dropped=[
            {
                "source": names.first,
                "where": "secret line",
                "label": names.label,
                "mention": "dropped-secret",
                "reason": names.text,
            }
        ],
        leaks=[
            {"in": f"{names.first}/train", "also_in": "x/test", "left_out": True, "sentences": 2, "exact": 1},
            {"in": f"{names.first}/train", "also_in": "y", "left_out": False, "sentences": 5, "exact": 5},
        ],
        seconds={"total": 90.0},
        versions={"esnera-hf": "0.1.0", "datasets": "5.2.0"},
    )


def summary(source: str, names: Names, hub_id: str = "") -> dict[str, Any]:
    counts = {"train": 2, "validation": 1, "test": 1}
    return {
        "name": source,
        "license": {"name": "cc-by-4.0", "text_may_be_shared": True, "clause": names.text},
        "language": "en-GB",
        "homepage": "https://example.org/a",
        "citation": f"Doe 2020. {names.text}",
        "hub_id": hub_id,
        "sentences": counts,
        "tokens": counts,
        "entities": {split: {} for split in counts},
        "dropped": {names.text: 4},
        "repairs": {"a repair": 1},
        "notes": [names.text],
    }


def private(source: dict[str, Any]) -> dict[str, Any]:
    terms = {"name": "Private terms", "text_may_be_shared": False, "clause": "no third parties"}
    return {**source, "license": terms}


def make_dataset_facts(names: Names = Names(), **changes: Any) -> dict[str, Any]:
    """Return what a dataset card is made from."""
    mapping = make_mapping(names)
    per = mapping[(names.second, "per")]
    rows = [(["met", "oslo-secret"], ["O", f"B-{names.label}"]), row("nothing here")]
    first = make_source(names.first, {"train": rows, "validation": rows[:1], "test": rows[:1]})
    second_rows = [row("met anna/B-per in lima-secret/B-place"), row("the zone/B-zone")]
    second = make_source(names.second, {"train": second_rows, "validation": second_rows[:1]})
    added = {names.first: {f"{names.first}-train-1": [Entity(0, 1, str(per), 0.95)]}}
    merged = merge_sources([first, second], mapping, pseudo=PseudoLabels(0.9, added))
    labels = [f"{names.first}:{names.label}", f"{names.second}:per", f"{names.second}:place"]
    matrix = None
    if ":" not in names.first + names.second:  # how make_matrix tells source and label apart
        matrix = make_matrix(dict.fromkeys(labels, 1), {(labels[0], labels[2]): (2, 3)}, {})
    facts: dict[str, Any] = {
        "repo_id": "owner/merged",
        "report": make_report(names),
        "mapping": mapping,
        "configs": {"merged": merged},
        "similarity": matrix,
    }
    return {**facts, **changes}


def make_model_facts(names: Names = Names(), **changes: Any) -> ModelCardFacts:
    known = make_dataset_facts(names)
    record = {
        "validation": validation(),
        "history": [{"epoch": 1, "loss": 2.5, "f1": 0.25, "precision": 0.2, "recall": 0.3}, {"epoch": 2}],
        "arguments": {"learning_rate": 3e-5, "seed": 42},
    }
    facts: dict[str, Any] = {
        "repo_id": "owner/tagger",
        "tagger_labels": known["mapping"].unified_labels,
        "base_encoder": "owner/encoder",
        "report": known["report"],
        "mapping": known["mapping"],
        "terms": strictest_terms(licenses_of(known["report"].sources)),
        "record": record,
        "dataset_repo": "owner/merged",
    }
    return ModelCardFacts(**{**facts, **changes})
