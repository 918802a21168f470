"""The tables of a report, shared by the console, the page and the cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from esnera_hf._internal.console import duration
from esnera_hf._internal.text import counted
from esnera_hf.report.format import figure, merge_setting, system_title
from esnera_hf.similarity.explanation import EQUAL, Decision, PairEvidence, score_sentence
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.taggers.encoder_fit import misfit
from esnera_hf.tagging import LabelRef

if TYPE_CHECKING:
    from esnera_hf.alignment.greedy_path import MergeDecision, MergeStep
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.alignment.mapping_yaml import MappedLabel
    from esnera_hf.alignment.questions import Question
    from esnera_hf.evaluation.projection import MergedScores
    from esnera_hf.metrics import Comparison
    from esnera_hf.report.report import LeakageFacts, MergeReport

    #: Title, split, and F1 of the sources' own taggers (before) and of a merged one (after).
    ScoreTable = tuple[str, str, MergedScores]

_AS_DECIDED = {
    "one": "now one label",
    "part": "now a part of it",
    "whole": "now its whole",
    "apart": "now apart",
}
#: How a label relates to another one, in words.
RELATION_WORDS = {
    "equal": "the same",
    "subset": "a part of it",
    "superset": "its whole",
    "overlap": "overlaps it",
    "none": "unrelated",
}
_ALONE = "a tagger trained on that source alone"
#: A label that loses more F1 than this is pointed out: ten points.
LARGE_LOSS = 0.1
#: Below this micro-F1 on its test split a tagger is no evidence: empirical similarities are shares of its predictions.
_LOW_F1 = 0.1
_WEAKEST = 3
_NATIVE, _UNIFIED = "in each source's own labels", "in unified labels"
_UNMERGED = {
    "broken": "every mapping that was tried broke the bound on F1",
    "apart": "no setting of λ and τ merged anything",
    "constrained": "only what was asked for was merged",
}


def sample_note(report: MergeReport) -> str:
    """Return the sentence that says that only a sample was used; nothing where all sentences were."""
    most = max((source.max_samples or 0 for source in report.sources), default=0)
    return (
        f"Made from a sample: at most {counted(most, 'sentence')} per split of each source." if most else ""
    )


def warnings(report: MergeReport) -> Iterator[str]:
    """Yield the reasons why evidence is weak: an encoder of another language, taggers that find next to nothing."""
    for source, fit in report.encoder_fits.items():
        if fit.problem:
            yield misfit(source, fit)
    for source, tagger in report.taggers.items():
        f1 = tagger.test.micro.f1
        if f1 < _LOW_F1:
            resting = "its scores and pseudo-labels rest"
            if evidence_kind(report) == "taggers":
                resting = "what is said of its labels rests"
            yield (
                f"the tagger of {source} finds next to nothing on its test split (F1 {f1:.2f}): {resting} on hardly "
                "any right predictions; give it more sentences or epochs"
            )


def evidence_kind(report: MergeReport) -> str:
    """Return what labels were compared by: ``frozen``, ``taggers``, or ``surface``; "" where a mapping was applied."""
    return str(setting(report, "evidence", "kind") or "")


def setting(report: MergeReport, *path: str) -> Any:
    """Return a setting of the call by the names that lead to it; ``None`` where it is not there."""
    return None if report.call is None else report.call.setting(*path)


def predictor(report: MergeReport) -> str:
    """Return what predicted the entities of a source on the text of another, with its article."""
    return {"frozen": "the light head", "taggers": "a tagger"}.get(
        evidence_kind(report), "a tagger or light head"
    )


def score_name(mapping: LabelMapping | None) -> str:
    """Return what is shown of two labels: the probability that they are equal, or the paper's S."""
    return EQUAL if mapping is not None and mapping.method == "equivalence" else "S"


def merged_sentences(report: MergeReport) -> dict[str, int]:
    """Return the number of sentences of the merged dataset by split: those of the sources less what was left out."""
    sentences: Counter[str] = Counter()
    for source in report.sources:
        sentences.update(source.sentences)
    for leak in report.leakage:
        if leak.left_out and leak.place[1] in sentences:
            sentences[leak.place[1]] -= leak.sentences
    return dict(sentences)


def unmerged(report: MergeReport, step: MergeStep) -> str:
    """Return why nothing was merged by similarity: ``broken``, ``apart`` or ``constrained``; else nothing."""
    if step.tau is not None:
        return ""
    if any(trial.number == report.steps.index(step) for trial in report.trials):
        return "broken"
    could = any(d.candidate is not None and not d.constrained for d in step.decisions)
    return "apart" if could else "constrained"


def step_setting(report: MergeReport, step: MergeStep) -> str:
    """Return what a step merged labels by, or why it merged none."""
    return _UNMERGED[unmerged(report, step)] if step.tau is None else merge_setting(step.lam, step.tau)


def merged_labels(step: MergeStep) -> int:
    """Return how many labels went into others; by equivalence, of a group all but one."""
    return step.merged if step.lam is not None else sum(len(group) - 1 for group in step.groups if group)


def step_target(step: MergeStep) -> str:
    """Return what the labels of a step were merged into, in words."""
    if step.target is not None:
        return step.target
    return "each other, all at once" if step.lam is None else "the given schema"


def fate(decision: MergeDecision) -> str:
    """Return what became of a label, as a verb whose object is the candidate."""
    if decision.candidate is None:
        return "stays: nothing is known of it"
    if decision.merged:
        return "merged, as asked for, into" if decision.constrained else "merged into"
    if decision.part:
        return "is a part of"
    return "contains others; nearest" if decision.contains else "stays; nearest"


def reason(step: MergeStep, decision: MergeDecision) -> str:
    """Return in a sentence what a decision rests on."""
    if step.lam is None:
        return decision.why or f"{EQUAL} {figure(decision.similarity)}"
    counts = Agreement(decision.matched, decision.predicted)
    return score_sentence(decision.similarity, decision.semantic, counts, step.lam)


def find_pair(report: MergeReport, one: LabelRef, other: LabelRef | None) -> PairEvidence | None:
    """Return what is known of two labels, seen from the one that its sentence begins with."""
    for pair in report.pairs:
        if {pair.one, pair.other} == {one, other}:
            return pair
    return None


def why(mapping: LabelMapping, entry: MappedLabel) -> str:
    """Return in a sentence what the decision on a label rests on; where none was kept, the score alone."""
    return entry.why or f"{score_name(mapping)} {figure(entry.similarity)}"


def score_tables(report: MergeReport) -> list[ScoreTable]:
    """Return the scores on test of the taggers trained on merged data, then those that chose the last mapping."""
    tables: list[ScoreTable] = []
    for name, system in report.systems.items():
        after = system_title(name, system.partial_likelihood)
        for way, scores in ((_NATIVE, system.native), (_UNIFIED, system.unified)):
            what = f"{own_name(report)} against one {after}" if has_before(scores) else f"a tagger {after}"
            tables.append((f"Test split, {way}: {what}", "test", scores))
    chosen = [trial.outcome[0] for trial in report.trials if trial.chosen and trial.outcome is not None]
    for system in chosen[-1:]:
        for way, scores in ((_NATIVE, system.native), (_UNIFIED, system.unified)):
            title = (
                f"Validation split, {way}: {own_name(report)} against the one that tried the chosen mapping"
            )
            tables.append((title, "validation", scores))
    return tables


def main_scores(report: MergeReport) -> ScoreTable | None:
    """Return the scores in native labels that say most; those of another mapping or dataset say nothing."""
    tables = score_tables(report)
    if "merged" in report.systems:
        # Each system has two tables, native labels first.
        return tables[2 * list(report.systems).index("merged")]
    return next((table for table in tables if table[1] == "validation"), None)


def large_losses(table: ScoreTable | None, mapping: LabelMapping | None) -> list[tuple[str, str, Comparison]]:
    """Return source, label and scores where F1 falls by more than ``LARGE_LOSS``, the worst first.

    Labels that the mapping leaves out are no loss.
    """
    left_out = set() if mapping is None else set(mapping.members(None))
    lost = [
        (source, label, comparison)
        for source, scores in ({} if table is None else table[2].by_label).items()
        for label, comparison in scores.items()
        if (comparison.change.value or 0.0) < -LARGE_LOSS and LabelRef(source, label) not in left_out
    ]
    return sorted(lost, key=lambda row: row[2].change.value or 0.0)


def question_rows(report: MergeReport) -> list[tuple[Question, str, list[str]]]:
    """Return each question with what is known of it, and the mentions that would settle it, in words."""
    return [
        (
            question,
            f"{_AS_DECIDED[question.decision]}; probably the same {question.equal:.0%}, the first a part of the other "
            f"{question.part:.0%}, the reverse {question.whole:.0%}; "
            f"{counted(question.mentions, 'mention')} of the rarer",
            [
                f"{mention}: {label or 'nothing'} in {question.one.source}, {there or 'nothing'} in "
                f"{question.other.source}"
                for mention, label, there in question.examples
            ],
        )
        for question in report.questions
    ]


def label_groups(mapping: LabelMapping) -> Iterator[tuple[str | None, tuple[MappedLabel, ...]]]:
    """Yield each unified label with the source labels that went to it, parts after their wholes.

    ``None`` is the group of the labels that were left out; it comes last.
    """
    for unified in (*mapping.tree.order, None):
        entries = tuple(entry for entry in mapping.entries if entry.unified == unified)
        if entries or unified in mapping.parents.values():
            yield unified, entries


def decision_on(mapping: LabelMapping, entry: MappedLabel) -> Decision:
    """Return what a label and the one that it was compared with became; ``apart`` where there is none."""
    other = entry.compared_with
    # A mapping of some of the sources still names what labels of the others were compared with.
    if other is None or all(mapped.label != other for mapped in mapping.entries):
        return "apart"
    return mapping.decision(entry.label, other)


def is_merge(mapping: LabelMapping, entry: MappedLabel) -> bool:
    """Tell whether a label went to the same unified label as the one it was compared with."""
    return decision_on(mapping, entry) == "one"


def weakest_merges(mapping: LabelMapping) -> list[tuple[LabelRef, LabelRef, float]]:
    """Return the three pairs of merged labels with the lowest similarity, the lowest first."""
    pairs: dict[frozenset[LabelRef], tuple[LabelRef, LabelRef, float]] = {}
    for entry in mapping.entries:
        other, similarity = entry.compared_with, entry.similarity
        if other is not None and similarity is not None and is_merge(mapping, entry):
            pair = frozenset((entry.label, other))
            one, two, lowest = pairs.get(pair, (entry.label, other, similarity))
            pairs[pair] = (one, two, min(lowest, similarity))
    return sorted(pairs.values(), key=lambda pair: (pair[2], pair[0]))[:_WEAKEST]


def merged_by_meaning_alone(mapping: LabelMapping) -> list[LabelRef]:
    """Return the labels that were merged though no tagger ever predicted them in the other source or back."""
    return [
        entry.label
        for entry in mapping.entries
        if is_merge(mapping, entry)
        and entry.forward is not None
        and not entry.forward.predicted
        and not (entry.backward and entry.backward.predicted)
    ]


def not_annotated(mapping: LabelMapping, sources: Collection[str]) -> list[tuple[str, list[str]]]:
    """Return, for each source, the unified labels that it annotates under no name, where there are any."""
    rows = []
    for source in mapping.sources:
        annotated = mapping.projection(source).keys()
        missing = [label for label in mapping.unified_labels if label not in annotated | mapping.umbrellas]
        if missing and source in sources:
            rows.append((source, missing))
    return rows


def annotated_coarsely(mapping: LabelMapping, sources: Collection[str]) -> list[tuple[str, str, list[str]]]:
    """Return, for each source and label of it that has parts, the parts that it gives only as that label."""
    rows = []
    for source in mapping.sources:
        projection = mapping.projection(source)
        for label in mapping.tree.order:
            parts = [part for part, whole in projection.items() if whole == label != part]
            if parts and source in sources:
                rows.append((source, label, parts))
    return rows


def has_before(scores: MergedScores) -> bool:
    """Tell whether scores of a merged tagger stand beside those of the sources' taggers."""
    return scores.pooled.before.value is not None


def own_name(report: MergeReport) -> str:
    """Return the short name of the tagger of a source that a merged one is compared with."""
    return "own tagger" if own_tagger(report) == _ALONE else "joint tagger's head"


def own_tagger(report: MergeReport) -> str:
    """Return in words the tagger of a source that a merged one is compared with."""
    if setting(report, "output", "compare") == "own" or setting(report, "taggers", "kind") != "joint":
        return _ALONE
    later = " (or, of a later source, a tagger that began with it)"
    return "that source's head of the joint tagger" + later * bool(setting(report, "taggers", "joint_of"))


def settings_rows(report: MergeReport) -> list[tuple[str, str]]:
    """Return names and values of what decides the outcome: the call, versions, time."""
    rows: list[tuple[str, Any]] = []
    if report.call is not None:
        call = report.call
        rows += [("method", call.method), ("encoder", call.encoder), ("seed", call.seed)]
        rows += [("sentences a split", None if call.max_samples is None else f"at most {call.max_samples:,}")]
        rows += _flat(call.settings)
    tried = sum(trial.outcome is not None for trial in report.trials)
    rows.append(
        (
            "search",
            f"{counted(len(report.trials), 'distinct mapping')}, {tried:,} tried" if report.trials else None,
        )
    )
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())))
    rows.append(("time", times(report)))
    return [(name, str(value)) for name, value in rows if value not in (None, "", (), {}, [])]


def sameness(leak: LeakageFacts) -> str:
    """Return how many sentences of a leak are the same and how many nearly."""
    nearly = leak.sentences - leak.exact
    if not nearly or not leak.exact:
        return "nearly the same" if nearly else "the same"
    return f"{leak.exact:,} the same, {nearly:,} nearly"


def times(report: MergeReport) -> str:
    """Return the wall time of each step, and of all last."""
    steps = sorted(report.seconds.items(), key=lambda step: step[0] == "total")
    return ", ".join(f"{step} {duration(seconds)}" for step, seconds in steps)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def python_of(value: Any) -> str:
    """Return the Python that makes settings, without what is a default."""
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    changed = (
        f"{part.name}={python_of(getattr(value, part.name))}"
        for part in fields(value)
        if getattr(value, part.name) != part.default
    )
    return f"esnera_hf.{type(value).__name__}({', '.join(changed)})"
