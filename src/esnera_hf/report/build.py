"""From what an alignment found to the report's data."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf._internal.arrow import dataset_fingerprint
from esnera_hf._internal.text import join_tokens, shorten
from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.greedy_path import Candidate, MergeHistory, MergeStep
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.merged_tagger import Final, Training, TrialOutcome
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.report import ALL_AT_ONCE, Report, TaggerScores
from esnera_hf.similarity.equivalence import (
    EQUAL,
)
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.sources.leakage import Leak
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

#: Pairs of labels that stayed apart.
NEAR = 20


def merge_stages(
    path: Sequence[MergeStep],
    mapping: LabelMapping,
    matrix: SimilarityMatrix | None,
    constraints: Constraints | None = None,
) -> list[dict[str, Any]]:
    """Return the steps of a merge path with every decision; of merging by equivalence one, a decision a label."""
    if matrix is not None and mapping.method == "equivalence":
        return [_all_at_once(mapping, constraints or Constraints())]
    return [_stage(stage) for stage in path]


def _stage(stage: MergeStep) -> dict[str, Any]:
    return {
        "sources": list(stage.sources),
        "target": stage.target or "(given schema)",
        "sum_empirical": stage.sum_empirical,
        "lambda": stage.lam,
        "tau": stage.tau,
        "merged": stage.merged,
        "decisions": [
            {
                "group": [str(d.group.head), *(str(m) for m in d.group.members if m != d.group.head)],
                "candidate": None if d.candidate is None else str(d.candidate),
                "similarity": d.similarity,
                "semantic": d.semantic,
                "matched": d.matched,
                "predicted": d.predicted,
                "merged": d.merged,
                "wished": d.constrained,
            }
            for d in stage.decisions
        ],
    }


def _all_at_once(mapping: LabelMapping, constraints: Constraints) -> dict[str, Any]:
    used = {entry.unified for entry in mapping.entries if entry.unified is not None}
    placed = sum(entry.unified is not None for entry in mapping.entries)
    return {
        "sources": sorted(set(mapping.sources) - {constraints.target}),
        "target": constraints.target or ALL_AT_ONCE,
        "sum_empirical": None,
        "lambda": None,
        "tau": EQUAL,
        "merged": placed - len(used),
        "decisions": [_decision(entry, mapping, constraints) for entry in _each_pair_once(mapping)],
    }


def _each_pair_once(mapping: LabelMapping) -> Iterator[MappedLabel]:
    """Yield the entries; of two that show one pair and are one or part, that of the part, else the first."""
    compared = {entry.label: entry.compared_with for entry in mapping.entries}
    shown: set[tuple[LabelRef, LabelRef]] = set()
    for entry in mapping.entries:
        other = entry.compared_with
        if other is not None and compared.get(other) == entry.label:
            if _part_of(mapping, other, entry.label):
                continue
            if (other, entry.label) in shown and mapping.are_one(entry.label, other):
                continue
            shown.add((entry.label, other))
        yield entry


def _decision(entry: MappedLabel, mapping: LabelMapping, constraints: Constraints) -> dict[str, Any]:
    other, evidence = entry.compared_with, entry.evidence
    merged = other is not None and mapping.are_one(entry.label, other)
    return {
        "group": [str(entry.label)],
        "candidate": None if other is None else str(other),
        "similarity": entry.similarity,
        "semantic": None if evidence is None else evidence.semantic,
        "matched": 0 if evidence is None else evidence.forward.matched,
        "predicted": 0 if evidence is None else evidence.forward.predicted,
        "merged": merged,
        "wished": merged and other in constraints.class_of(entry.label),
        "part": other is not None and _part_of(mapping, entry.label, other),
        "holds": entry.unified in mapping.parents.values(),
    }


def near_pairs(matrix: SimilarityMatrix, mapping: LabelMapping) -> list[dict[str, Any]]:
    """Return the pairs of labels of different sources that stayed apart.

    First those of which one is now a part of the other, then the most alike, by
    the mean of what they would have been merged by in both directions. Under
    typed merging each comes with how its labels relate, and how much of the one
    the other covers, both ways.
    """
    similarity = matrix.merge_score(mapping.lam)
    related_by = mapping.method == "equivalence"
    pairs = []
    for i, j in combinations(range(len(matrix.labels)), 2):
        one, other = matrix.labels[i], matrix.labels[j]
        known = [value for value in (similarity[i, j], similarity[j, i]) if not np.isnan(value)]
        if one.source == other.source or mapping[one] == mapping[other] or not known:
            continue
        related = _part_of(mapping, one, other) or _part_of(mapping, other, one)
        pairs.append((not related, -float(np.mean(known)), i, j))
    pairs.sort()
    return [_pair(matrix, similarity, i, j, relations=related_by) for *_, i, j in pairs[:NEAR]]


def _part_of(mapping: LabelMapping, one: LabelRef, other: LabelRef) -> bool:
    part, whole = mapping[one], mapping[other]
    return part is not None and whole is not None and whole in mapping.ancestors(part)


def _pair(
    matrix: SimilarityMatrix,
    similarity: NDArray[np.float64],
    i: int,
    j: int,
    *,
    relations: bool,
) -> dict[str, Any]:
    one, other = matrix.labels[i], matrix.labels[j]
    evidence = matrix.pair(one, other)
    pair = {
        "one": str(one),
        "other": str(other),
        "forward_similarity": _number(similarity[i, j]),
        "backward_similarity": _number(similarity[j, i]),
        "semantic": _number(evidence.semantic),
        "forward": _agreement(evidence.forward),
        "backward": _agreement(evidence.backward),
    }
    if relations:
        pair |= {
            "relation": matrix.relation(one, other, unequal=True),
            "forward_coverage": _number(matrix.coverage[i, j]),
            "backward_coverage": _number(matrix.coverage[j, i]),
        }
    return pair


def _agreement(agreement: Agreement) -> dict[str, int]:
    return {"matched": agreement.matched, "predicted": agreement.predicted}


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), 4)


EXAMPLES = 3
_CONTEXT = 30
_LONGEST_MENTION = 80


def mentions_in_context(sources: Sequence[NerSource]) -> dict[str, list[dict[str, Any]]]:
    """Return up to three different mentions of each label with the text around them, train first.

    Args:
        sources: the sources.

    Returns:
        By ``source:label``: ``left``, ``mention``, ``right`` and the sentence's
        ``id``.
    """
    found: dict[str, list[dict[str, Any]]] = {str(ref): [] for source in sources for ref in source.label_refs}
    for source in sources:
        wanting = set(source.labels)
        for split in source.dataset:
            for sentence in source.sentences(split) if wanting else ():
                for entity in sentence.entities:
                    examples = found[f"{source.name}:{entity.label}"]
                    if entity.label not in wanting:
                        continue
                    example = in_context(sentence.tokens, entity.start, entity.end)
                    if example["mention"] not in {known["mention"] for known in examples}:
                        examples.append({**example, "id": sentence.id})
                    if len(examples) == EXAMPLES:
                        wanting.discard(entity.label)
                if not wanting:
                    break
    return found


def in_context(tokens: Sequence[str], start: int, end: int) -> dict[str, str]:
    """Return a mention and some text on both sides of it; ``…`` stands for what was cut."""
    mention = join_tokens(tokens[start:end])
    left, right = join_tokens(tokens[:start]), join_tokens(tokens[end:])
    # The space beside the mention, where the script has one.
    left += " " if join_tokens(tokens[:end]).endswith(f" {mention}") else ""
    right = (" " if join_tokens(tokens[start:]).startswith(f"{mention} ") else "") + right
    return {
        "left": left if len(left) <= _CONTEXT else "…" + left[-_CONTEXT:],
        "mention": shorten(mention, _LONGEST_MENTION),
        "right": right if len(right) <= _CONTEXT else right[:_CONTEXT] + "…",
    }


def dropped_spans(sources: Sequence[NerSource]) -> list[dict[str, Any]]:
    """Return up to three annotated spans a source and reason that were left out while reading."""
    shown = []
    for source in sources:
        by_reason: dict[str, int] = {}
        for drop in source.dropped:
            by_reason[drop.reason] = by_reason.get(drop.reason, 0) + 1
            if by_reason[drop.reason] <= EXAMPLES:
                shown.append(
                    {
                        "source": source.name,
                        "where": drop.where,
                        "label": drop.label,
                        "mention": shorten(drop.mention, _LONGEST_MENTION),
                        "reason": drop.reason,
                    }
                )
    return shown


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
        for trial in account.history.candidates
        if trial.chosen and trial.outcome and trial.outcome.training
    ]
    return Report(
        settings=_as_json(account.settings),
        sources=[source.summary.to_dict() for source in account.sources],
        taggers={name: scores.to_dict() for name, scores in account.taggers.items()},
        stages=merge_stages(account.history.steps, account.mapping, account.matrix, account.constraints),
        trials=[_trial(trial) for trial in account.history.candidates],
        near=[] if account.matrix is None else near_pairs(account.matrix, account.mapping),
        search_scores=_both_scores(chosen[-1]) if chosen else None,
        pseudo=None if account.final.pseudo is None else _pseudo(account.final.pseudo),
        systems={
            name: {
                "native": system.native.to_dict(),
                "unified": system.unified.to_dict(),
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


def _trial(trial: Candidate) -> dict[str, Any]:
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
    return {"unified": scored.unified.to_dict(), "native": scored.native.to_dict()}


def _pseudo(pseudo: PseudoLabels) -> dict[str, Any]:
    return {
        "threshold": pseudo.threshold,
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
