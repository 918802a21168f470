"""Facts for cards, made by hand: two sources, one label in common, everything a card can tell."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from builders import make_source, row
from esnera_hf.alignment.greedy_path import Candidate, MergeDecision, MergeStep
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.questions import Question
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.metrics import Comparison, Estimate, LabelScore, Scores
from esnera_hf.report.report import (
    CallFacts,
    LeakageFacts,
    MergeReport,
    NearPair,
    SystemScores,
    TaggerScores,
)
from esnera_hf.similarity.disagreement import Disagreement, Opinion
from esnera_hf.similarity.explanation import PairEvidence
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.source import Dropped, License, NerSource, Provenance, SourceSummary
from esnera_hf.tagging import Entity, LabelRef

#: Two labels that are probably one, with all that can be known of them.
PAIR = PairEvidence(
    LabelRef("a", "day"),
    LabelRef("b", "DATE"),
    (0.9, 0.05, 0.02, 0.0, 0.03),
    (400, 12),
    -5.0,
    {"agreement": 4.0, "forms": -0.9, "names": 3.2, "vectors": 0.1, "shared": 0.0, "base": 0.8},
    forward=Agreement(81, 93),
    backward=Agreement(60, 69),
    forms=(9, 7),
    form_shares=(0.1, 0.2),
    names=1.0,
    semantic=0.2,
)


@dataclass(frozen=True)
class Names:
    """What comes from outside: two sources, a label of the first, and any other text."""

    first: str = "alpha"
    second: str = "beta"
    label: str = "city"
    text: str = "some text"


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def comparison(before: float, after: float, support: int = 7) -> Comparison:
    return Comparison(support, estimate(before), estimate(after), estimate(round(after - before, 6)))


def scores(names: Names) -> MergedScores:
    place = {"per": comparison(0.4, 0.35), "place": comparison(0.4, 0.35, 0)}
    return MergedScores(
        comparison(0.5, 0.6, 14),
        {names.first: comparison(0.6, 0.7), names.second: comparison(0.4, 0.5)},
        {names.first: {names.label: comparison(0.6, 0.4)}, names.second: place},
    )


def validation() -> Scores:
    score = LabelScore(0.25, 0.75, 0.375, 4)
    return Scores(score, 0.3, {"per": score})


def check_golden(name: str, text: str) -> None:
    """Compare a text with the file that holds it; ``UPDATE_GOLDEN=1`` writes it anew."""
    file = Path(__file__).parent / "golden" / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def make_mapping(names: Names) -> LabelMapping:
    city, per, place = (
        LabelRef(names.first, names.label),
        LabelRef(names.second, "per"),
        LabelRef(names.second, "place"),
    )
    known = (0.125, Agreement(2, 3), Agreement(1, 1))
    unknown = (-0.5, Agreement(0, 0), Agreement(0, 0))
    turned = (0.125, Agreement(1, 1), Agreement(2, 3))
    entries = (
        MappedLabel(city, names.label, 3, place, 0.4567, *known),
        MappedLabel(place, names.label, 2, city, 0.4321, *turned),
        MappedLabel(per, "per" if names.label != "per" else "per2", 1, city, -0.5, *unknown),
        MappedLabel(LabelRef(names.second, "zone"), None, mentions=1),
    )
    unified = tuple(dict.fromkeys(entry.unified for entry in entries if entry.unified is not None))
    return LabelMapping(unified, entries, "greedy", 0.4)


def make_report(names: Names) -> MergeReport:
    city, place = LabelRef(names.first, names.label), LabelRef(names.second, "place")

    def example(label: LabelRef, mention: str) -> tuple[LabelRef, str, str, str, str, str]:
        return (label, "secret left", mention, "secret right", "1", "train")

    system = SystemScores(scores(names), scores(names))
    decision = MergeDecision((city,), place, 0.4, 0.1, 1, 1, merged=True)
    step = MergeStep((names.first,), names.second, (), (), 1.0, 0.4, 0.2, (decision,))
    trial = Candidate(0, step, ((0.4, 0.2),))
    return MergeReport(
        (summary(names.first, names, hub_id="owner/alpha"), summary(names.second, names)),
        call=CallFacts(
            "align", (names.first, names.second), encoder=names.text, method="greedy", max_samples=100
        ),
        taggers={names.first: TaggerScores(validation(), validation())},
        steps=(step,),
        trials=(trial, replace(trial, chosen=True, outcome=(system, 1234))),
        near=(
            NearPair(
                *(LabelRef(names.second, "per"), city, 0.3, None, -0.001), *(Agreement(1, 2), Agreement(0, 0))
            ),
        ),
        questions=(
            Question(
                *(LabelRef(names.second, "per"), city, "apart", 0.5, 0.25, 0.0, 12),
                (("oslo-secret", names.text, names.label), ("lima-secret", "per", None)),
            ),
        ),
        disagreements=(
            Disagreement(
                *(LabelRef(names.second, "per"), city, 12),
                Opinion(0.5, "equal", Agreement(1, 2), Agreement(0, 0)),
                Opinion(0.02, "overlap", Agreement(0, 11), Agreement(1, 10)),
            ),
        ),
        pseudo_labels=PseudoLabels(0.9, {}, (("a", "b", "c", 1),), {names.text: 3}),
        systems={"merged": system, "naive": system},
        examples=(example(city, "oslo-secret"), example(city, names.text), example(place, "lima-secret")),
        dropped={
            names.first: (Dropped("train", "secret line", 0, 1, names.label, "dropped-secret", names.text),)
        },
        leakage=(
            LeakageFacts((names.first, "train"), ("x", "test"), True, 2, 1, ()),
            LeakageFacts((names.first, "train"), ("y", "test"), False, 5, 5, ()),
        ),
        seconds={"total": 90.0},
        versions={"esnera-hf": "0.1.0", "datasets": "5.2.0"},
    )


def nothing_merged(report: MergeReport, why: str) -> MergeReport:
    """Return the report with nothing merged by similarity: ``broken``, ``apart`` or ``constrained``."""
    asked = (replace(d, constrained=why == "constrained") for d in report.steps[0].decisions)
    step = replace(report.steps[0], tau=None, decisions=tuple(asked))
    return replace(report, steps=(step,), trials=report.trials if why == "broken" else ())


def summary(source: str, names: Names, hub_id: str = "") -> SourceSummary:
    counts = {"train": 2, "validation": 1, "test": 1}
    shared = License("cc-by-4.0", True, names.text)
    return SourceSummary(
        source,
        shared if source == names.first else License("Private terms", False, "no third parties"),
        sentences=counts,
        tokens=counts,
        entities={split: {} for split in counts},
        dropped={names.text: 4},
        repairs={"a repair": 1},
        notes=(names.text,),
        language="en-GB",
        provenance=Provenance("https://example.org/a", f"Doe 2020. {names.text}", hub_id),
        max_samples=100,
    )


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
    facts: dict[str, Any] = {
        "repo_id": "owner/merged",
        "report": make_report(names),
        "mapping": mapping,
        "configs": {"merged": merged},
    }
    return {**facts, **changes}


def make_model_facts(names: Names = Names(), **changes: Any) -> dict[str, Any]:
    """Return what a tagger's card is made from."""
    merged = make_dataset_facts(names)
    record = {
        "validation": validation(),
        "history": [{"epoch": 1, "loss": 2.5, "f1": 0.25, "precision": 0.2, "recall": 0.3}, {"epoch": 2}],
        "arguments": {"learning_rate": 3e-5, "seed": 42},
        "encoder": "owner/encoder",
        "dataset_repo": "owner/merged",
    }
    facts = {"repo_id": "owner/tagger", "labels": merged["mapping"].unified_labels, "record": record}
    return {**facts, "report": merged["report"], "mapping": merged["mapping"], **changes}


def merge_with_pseudo_labels(sources: list[NerSource], mapping: LabelMapping) -> DatasetDict:
    """Merge sources with pseudo-labels at the first free token of every third sentence."""
    leaks = find_leaks(sources)
    out, pseudo = left_out_of_train(leaks), PseudoLabels(0.5)
    for source in sources:
        for number, sentence in enumerate(source.sentences("train")):
            taken = {i for entity in sentence.entities for i in range(entity.start, entity.end)}
            free = [i for i in range(len(sentence.tokens)) if i not in taken]
            if free and number % 3 == 0 and sentence.id not in out.get(source.name, ()):
                added = Entity(free[0], free[0] + 1, mapping.unified_labels[0], 0.5 + number / 200)
                pseudo.entities.setdefault(source.name, {})[sentence.id] = [added]
    return merge_sources(sources, mapping, leaks, pseudo)
