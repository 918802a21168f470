"""A report as text for the console: what people read first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from esnera_hf._internal.text import counted, display_width, pad, shorten, visible
from esnera_hf.report.format import agreement, system_title
from esnera_hf.report.tables import (
    RELATION_WORDS,
    fate,
    find_pair,
    has_before,
    own_name,
    question_rows,
    reason,
    sameness,
    sample_note,
    setting,
    step_setting,
    step_target,
    times,
    unmerged,
    warnings,
)
from esnera_hf.similarity.explanation import EQUAL, PART, Decision

if TYPE_CHECKING:
    from esnera_hf.alignment.greedy_path import MergeDecision, MergeStep
    from esnera_hf.metrics import Comparison, Estimate
    from esnera_hf.report.report import MergeReport

#: Questions, and pairs to check, that are shown: as many as one answers at a time.
_SHOWN = 5
#: Columns of a line of a decision, beyond which only what weighs most is said: two lines of a terminal.
_LONGEST = 160


def report_text(report: MergeReport, *, verbose: bool = False) -> str:
    """Return the part of a report that people read first, for the console.

    Args:
        report: the facts.
        verbose: give the full sentence of a decision also where it makes a long line.
    """
    # What makes all that follows doubtful comes first.
    lines = [*warnings(report), *([sample_note(report)] if sample_note(report) else [])]
    lines += _source_lines(report)
    for step in report.steps:
        lines += _step_lines(report, step, verbose)
    lines += _search_lines(report)
    lines += _question_lines(report)
    lines += _disagreement_lines(report)
    if report.pseudo_labels is not None:
        lines.append(
            f"pseudo-labels: {report.pseudo_labels.total:,} with a confidence of at least "
            f"{report.pseudo_labels.threshold}, in the train split only"
        )
    for name, system in report.systems.items():
        title = system_title(name, system.partial_likelihood)
        beside = f" ({own_name(report)} → this one)" if has_before(system.native) else ""
        lines.append(f"{name} tagger ({title}), test, each source's own labels{beside}:")
        lines += [f"  {source}: {_change(micro)}" for source, micro in system.native.sources.items()]
    lines += [
        f"{'/'.join(leak.place)}: {counted(leak.sentences, 'sentence', 'stand')} in {'/'.join(leak.twin)}, too "
        f"({sameness(leak)}): "
        "left out"
        for leak in report.leakage
        if leak.left_out
    ]
    own = [leak for leak in report.leakage if not leak.left_out]
    if own:
        count = sum(leak.sentences for leak in own)
        lines.append(
            f"{counted(count, 'sentence', 'stand')} in a later split of their own source, too: "
            f"kept; in {', '.join(dict.fromkeys(leak.place[0] for leak in own))}"
        )
    lines += [f"time: {times(report)}"] if report.seconds else []
    return "\n".join(map(visible, lines))


def _source_lines(report: MergeReport) -> Iterator[str]:
    for source in report.sources:
        entities = sum(sum(counts.values()) for counts in source.entities.values())
        sentences = sum(source.sentences.values())
        text = counted(sentences, "sentence") if sentences else "no text"
        line = f"{source.name}: {text}, {counted(entities, 'entity')}"
        line += "" if sentences else " of train"
        tagger = report.taggers.get(source.name)
        if tagger is not None:
            f1 = f"{tagger.validation.micro.f1:.3f} validation, {tagger.test.micro.f1:.3f} test"
            line += f"; own tagger: micro-F1 {f1}"
        yield line
        yield from (f"  dropped {count:,}: {reason}" for reason, count in source.dropped.items())
        yield from (f"  repaired {count:,}: {kind}" for kind, count in source.repairs.items())
        yield from (f"  {note}" for note in source.notes)


def _step_lines(report: MergeReport, step: MergeStep, verbose: bool) -> Iterator[str]:
    chosen = "" if step.lam is None else f"sum of S_emp {step.sum_empirical:.2f}; "
    loud = "NOTHING MERGED: " if unmerged(report, step) in ("broken", "apart") else ""
    yield f"{' + '.join(step.sources)} → {step_target(step)} ({chosen}{loud}{step_setting(report, step)})"
    width = max((display_width(str(decision.group[0])) for decision in step.decisions), default=0)
    for decision in step.decisions:
        line = f"  {pad(str(decision.group[0]), width)}  {fate(decision)}"
        if decision.candidate is not None:
            line += f" {decision.candidate}  "
            full = reason(step, decision)
            too_long = display_width(line + full) > _LONGEST and not verbose
            line += _brief_reason(report, step, decision) if too_long else full
        yield line


def _brief_reason(report: MergeReport, step: MergeStep, decision: MergeDecision) -> str:
    """Return what weighs most in a decision; mapping.yaml and the page have the whole sentence."""
    full, label = reason(step, decision), decision.group[0]
    pair = find_pair(report, label, decision.candidate)
    if step.lam is not None or pair is None:
        return full
    as_seen: Decision = "one" if decision.merged else "apart"
    if full.startswith(PART):
        as_seen = "part" if decision.part == (pair.one == label) else "whole"
    return pair.sentence(as_seen, step.tau, brief=True)


def _search_lines(report: MergeReport) -> Iterator[str]:
    tried = [trial for trial in report.trials if trial.outcome is not None]
    if report.trials:
        yield f"search: {counted(len(report.trials), 'distinct mapping')}, {len(tried)} tried"
    native = setting(report, "greedy", "scoring") == "native"
    for trial in tried:
        scores, step, (lam, tau) = trial.outcome[0], trial.step, trial.settings[0]
        pooled = (scores.native if native else scores.unified).pooled
        yield (
            f"  {' + '.join(step.sources)} → {step_target(step)}, λ {lam}, τ {tau}: {step.merged} merged, "
            f"{_change(pooled)}, {'holds' if trial.chosen else 'breaks'} the bound"
        )


def _question_lines(report: MergeReport) -> Iterator[str]:
    rows = question_rows(report)
    if rows:
        yield f"{counted(len(rows), 'question')} whose answer could go either way, what matters most first:"
        # Their names, and quotes where a shell needs them, are those of the question above.
        yield "  answer with --must-link A,B (the same), --part-of A,B, --part-of B,A or --cannot-link A,B (apart)"
    for question, evidence, examples in rows[:_SHOWN]:
        yield f"  How do {question.one} and {question.other} relate? ({evidence})"
        for label, text in zip((question.one, question.other), question.definitions, strict=False):
            yield from [f"    {label}: {shorten(text, _LONGEST)}"] if text else []
        yield from [f"    {'; '.join(examples)}"] if examples else []
    if len(rows) > _SHOWN:
        yield f"  … and {len(rows) - _SHOWN} more in the report"


def _disagreement_lines(report: MergeReport) -> Iterator[str]:
    pairs = report.disagreements
    if pairs:
        pairs_said = f"{counted(len(pairs), 'pair')} of labels"
        yield f"{pairs_said} to check, on which the taggers, on validation splits, disagree with the evidence:"
    for pair in pairs[:_SHOWN]:
        evidence, taggers = (
            f"{RELATION_WORDS[opinion.relation]}, {EQUAL} {opinion.equal:.2f}"
            for opinion in (pair.evidence, pair.taggers)
        )
        counts = " and ".join(
            agreement(way, never="?") for way in (pair.taggers.forward, pair.taggers.backward)
        )
        yield f"  {pair.one} and {pair.other}: {evidence}; by taggers {taggers} (they agree {counts})"


def _change(comparison: Comparison) -> str:
    def shown(estimate: Estimate) -> str:
        return "unknown" if estimate.value is None else f"{estimate.value:.3f}"

    before = "" if comparison.before.value is None else f"{shown(comparison.before)} → "
    return f"micro-F1 {before}{shown(comparison.after)}"
