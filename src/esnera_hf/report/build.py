"""From what an alignment found to the report's data."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from esnera_hf.alignment import Constraints, LabelMapping, MergeHistory, Trial
from esnera_hf.augmentation import PseudoLabels
from esnera_hf.final import Final
from esnera_hf.leaks import Leak
from esnera_hf.report.decisions import merge_stages, near_pairs
from esnera_hf.report.examples import EXAMPLES, dropped_spans, mentions_in_context
from esnera_hf.report.fingerprints import dataset_fingerprint
from esnera_hf.report.report import Report, TaggerScores
from esnera_hf.similarity import SimilarityMatrix
from esnera_hf.sources import NerSource
from esnera_hf.trials import Training, TrialOutcome

_VERSIONED = (
    *("esnera-hf", "torch", "transformers", "datasets", "huggingface_hub", "pytorch-crf"),
    *("accelerate", "numpy", "pyarrow", "tokenizers"),
)


@dataclass(frozen=True)
class Account:
    """Everything that an alignment or an application of a mapping found.

    Attributes:
        sources: all sentences.
        mapping: the label mapping.
        final: the merged dataset and what was made of it.
        settings: what was chosen or given.
        matrix: the similarities, if any were measured.
        taggers: scores of the sources' own taggers by source, where there are any.
        encoder: what identifies their encoder, for a repetition of the call.
        machine: what they were computed on.
        history: how labels were merged along the greedy path.
        constraints: what the user wished.
        places: what of the settings names a place on this machine.
        seconds: wall time by step.
    """

    sources: Sequence[NerSource]
    mapping: LabelMapping
    final: Final
    settings: Mapping[str, Any] = field(default_factory=dict)
    matrix: SimilarityMatrix | None = None
    taggers: Mapping[str, TaggerScores] = field(default_factory=dict)
    encoder: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    history: MergeHistory = field(default_factory=MergeHistory)
    constraints: Constraints = field(default_factory=Constraints)
    places: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def build_report(account: Account) -> Report:
    """Put a report together."""
    chosen = [
        trial.outcome.training
        for trial in account.history.trials
        if trial.chosen and trial.outcome and trial.outcome.training
    ]
    return Report(
        settings=_as_json(account.settings),
        sources=[source.summary.to_dict() for source in account.sources],
        taggers={name: scores.to_dict() for name, scores in account.taggers.items()},
        stages=merge_stages(account.history.steps, account.mapping, account.matrix, account.constraints),
        trials=[_trial(trial) for trial in account.history.trials],
        near=[] if account.matrix is None else near_pairs(account.matrix, account.mapping),
        search_scores=_both_scores(chosen[-1]) if chosen else None,
        pseudo=None if account.final.pseudo is None else _pseudo(account.final.pseudo),
        systems={
            name: {
                "own_labels": system.own_labels.to_dict(),
                "projected": system.projected.to_dict(),
                "history": system.tagger.record["history"],
                "seconds": round(system.tagger.seconds, 1),
            }
            for name, system in account.final.systems.items()
        },
        examples=mentions_in_context(account.sources),
        dropped=dropped_spans(account.sources),
        leaks=_leak_counts(account.final.leaks),
        places=list(account.places),
        seconds={step: round(value, 1) for step, value in account.seconds.items()},
        versions=current_versions(),
        fingerprints=_fingerprints(account),
        machine=dict(account.machine),
    )


def current_versions() -> dict[str, str]:
    """Return the versions of the packages that matter, and of Python."""
    return {"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}}


def _fingerprints(account: Account) -> dict[str, Any]:
    return {
        "sources": {source.name: source.fingerprint for source in account.sources},
        **account.encoder,
        "mapping": account.mapping.fingerprint,
        "dataset": dataset_fingerprint(account.final.dataset),
    }


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a report's file gives them back: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _trial(trial: Trial) -> dict[str, Any]:
    stage = trial.step
    outcome: TrialOutcome | None = trial.outcome
    training = None if outcome is None else outcome.training
    return {
        "stage": trial.number,
        "sources": list(stage.sources),
        "target": stage.target or "(given schema)",
        "lambda": stage.lam,
        "tau": stage.tau,
        "settings": [list(setting) for setting in trial.settings],
        "merged": stage.merged,
        "similarity": round(stage.similarity, 4),
        "assignments": [
            [str(d.group.head), str(d.candidate)] for d in stage.decisions if d.merged and d.candidate
        ],
        "chosen": trial.chosen,
        "holds": None if outcome is None else outcome.holds,
        "pseudo": None if training is None else training.pseudo,
        "scores": None if training is None else _both_scores(training),
        "trained": None if training is None else training.tagger.trained,
        "seconds": None if training is None else round(training.tagger.seconds, 1),
    }


def _both_scores(scored: Training) -> dict[str, Any]:
    return {"projected": scored.projected.to_dict(), "own_labels": scored.own_labels.to_dict()}


def _pseudo(pseudo: PseudoLabels) -> dict[str, Any]:
    return {
        "floor": pseudo.floor,
        "total": pseudo.counts.total(),
        "counts": [
            {"source": source, "label": label, "tagger": tagger, "entities": count}
            for (source, label, tagger), count in sorted(pseudo.counts.items())
        ],
        "rejected": dict(sorted(pseudo.rejected.items())),
    }


def _leak_counts(leaks: Sequence[Leak]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Leak]] = {}
    for leak in leaks:
        parts = "/".join(leak.place.part), "/".join(leak.because.part)
        groups.setdefault(parts, []).append(leak)
    return [
        {
            "in": place,
            "also_in": because,
            "left_out": found[0].left_out,
            "sentences": len(found),
            "exact": sum(leak.exact for leak in found),
            "examples": [[leak.place.id, leak.because.id] for leak in found[:EXAMPLES]],
        }
        for (place, because), found in groups.items()
    ]
