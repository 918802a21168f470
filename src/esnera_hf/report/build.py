"""From what was merged to the facts of a report."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import chain, combinations, islice, zip_longest

import numpy as np

from esnera_hf._internal.arrow import dataset_fingerprint
from esnera_hf._internal.text import join_tokens, shorten
from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.greedy_path import Candidate, MergeDecision, MergeHistory, MergeStep
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.merging.merge import MergedData
from esnera_hf.report.report import Example, LeakageFacts, MergeReport, NearPair
from esnera_hf.report.tables import decision_on
from esnera_hf.similarity.explanation import explain_pairs
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.source import AnnotatedSentence, Dropped, NerSource
from esnera_hf.tagging import Entity, LabelRef

#: Pairs of labels that stayed apart, and examples of a label, a reason or a leak, that are shown.
_NEAR, _EXAMPLES = 20, 3
#: Characters of the text on one side of a mention, and of a mention: a glance, and no copy of the sentence.
_CONTEXT, _LONGEST_MENTION = 30, 80
#: Packages whose version can change a result.
_VERSIONED = (
    *("esnera-hf", "torch", "transformers", "datasets", "huggingface_hub", "pytorch-crf"),
    *("accelerate", "numpy", "pyarrow", "tokenizers"),
)


def build_report(
    sources: Sequence[NerSource],
    mapping: LabelMapping,
    merged: MergedData,
    *,
    matrix: SimilarityMatrix | None = None,
    history: MergeHistory | None = None,
) -> MergeReport:
    """Return the report of a merge; call, taggers, systems and seconds are facts that whoever made them adds."""
    history = history or MergeHistory()
    pseudo = merged.pseudo_labels
    return MergeReport(
        tuple(source.summary for source in sources),
        steps=history.steps,
        trials=tuple(_trial(candidate) for candidate in history.candidates),
        near=() if matrix is None else near_pairs(matrix, mapping),
        pseudo_labels=None if pseudo is None else replace(pseudo, entities={}),
        examples=tuple(example for source in sources for example in mentions_in_context(source)),
        dropped={source.name: spans for source in sources if (spans := _dropped(source))},
        leakage=_leakage(merged.leaks),
        source_fingerprints={source.name: source.fingerprint for source in sources},
        mapping_fingerprint=mapping.fingerprint,
        dataset_fingerprint=dataset_fingerprint(merged.dataset),
        versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
    )


def all_at_once(
    mapping: LabelMapping,
    matrix: SimilarityMatrix,
    constraints: Constraints = NO_CONSTRAINTS,
    min_precision: float | None = None,
) -> MergeHistory:
    """Return the one step in which labels became one by equivalence.

    Args:
        mapping: with the reasons of its entries.
        matrix, constraints, min_precision: what it was made by.
    """
    step = MergeStep(
        tuple(sorted(set(mapping.sources) - {constraints.target})),
        constraints.target,
        rows=(),
        columns=(),
        sum_empirical=0.0,
        tau=round(matrix.threshold(min_precision), 4),
        decisions=tuple(_decision(entry, mapping, constraints, matrix) for entry in _each_pair_once(mapping)),
        groups=tuple(mapping.members(unified) for unified in mapping.unified_labels),
    )
    return MergeHistory((step,))


def _each_pair_once(mapping: LabelMapping) -> Iterator[MappedLabel]:
    """Yield the entries; of two that show one pair and are one or part, that of the part, else the first."""
    compared = {entry.label: entry.compared_with for entry in mapping.entries}
    shown: set[tuple[LabelRef, LabelRef]] = set()
    for entry in mapping.entries:
        other = entry.compared_with
        if other is not None and compared.get(other) == entry.label:
            if mapping.decision(other, entry.label) == "part":
                continue
            if (other, entry.label) in shown and mapping.are_one(entry.label, other):
                continue
            shown.add((entry.label, other))
        yield entry


def _decision(
    entry: MappedLabel, mapping: LabelMapping, constraints: Constraints, matrix: SimilarityMatrix
) -> MergeDecision:
    other, forward = entry.compared_with, entry.forward or Agreement(0, 0)
    became, similarity = decision_on(mapping, entry), entry.similarity
    if other is not None and became == "part":
        similarity = _rounded(matrix.probability(entry.label, other, "subset"))
    return MergeDecision(
        (entry.label,),
        other,
        similarity,
        entry.semantic,
        forward.matched,
        forward.predicted,
        merged=became == "one",
        constrained=became == "one" and other in constraints.class_of(entry.label),
        part=became == "part",
        contains=entry.unified in mapping.parents.values(),
        why=entry.why,
    )


def with_pairs(report: MergeReport, mapping: LabelMapping, matrix: SimilarityMatrix) -> MergeReport:
    """Return a report with what is known of each pair of labels that it or the mapping shows."""
    compared = ((entry.label, entry.compared_with) for entry in mapping.entries)
    shown = [(one, other) for one, other in compared if other is not None]
    for pairs in (report.questions, report.near, report.disagreements):
        shown += [(pair.one, pair.other) for pair in pairs]
    return replace(report, pairs=explain_pairs(matrix, shown))


def _trial(candidate: Candidate) -> Candidate:
    """Return a candidate with the decisions that merge: the rest, of every candidate, would be most of a report."""
    merged = tuple(decision for decision in candidate.step.decisions if decision.merged)
    return replace(candidate, step=replace(candidate.step, rows=(), columns=(), groups=(), decisions=merged))


def near_pairs(matrix: SimilarityMatrix, mapping: LabelMapping) -> tuple[NearPair, ...]:
    """Return the pairs of labels of different sources that stayed apart.

    First those of which one is now a part of the other, then the most alike, by the mean of both directions.
    """
    similarity = matrix.merge_score(mapping.lam)
    related_by = mapping.method == "equivalence"
    ranked = []
    for i, j in combinations(range(len(matrix.labels)), 2):
        one, other = matrix.labels[i], matrix.labels[j]
        both = [value for value in (similarity[i, j], similarity[j, i]) if not np.isnan(value)]
        if one.source == other.source or mapping[one] == mapping[other] or not both:
            continue
        related = mapping.decision(one, other) in ("part", "whole")
        ranked.append((not related, -float(np.mean(both)), i, j))
    pairs = []
    for *_, i, j in sorted(ranked)[:_NEAR]:
        one, other = matrix.labels[i], matrix.labels[j]
        semantic, forward, backward = matrix.pair(one, other)
        relation = matrix.relation(one, other, unequal=True) if related_by else None
        probability = None if relation is None else matrix.probability(one, other, relation)
        pairs.append(
            NearPair(
                one,
                other,
                _rounded(similarity[i, j]),
                _rounded(similarity[j, i]),
                _rounded(semantic),
                forward=forward,
                backward=backward,
                relation=relation,
                probability=_rounded(probability),
                forward_coverage=_rounded(matrix.coverage[i, j]) if related_by else None,
                backward_coverage=_rounded(matrix.coverage[j, i]) if related_by else None,
            )
        )
    return tuple(pairs)


def _rounded(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), 4)


def _leakage(leaks: Sequence[Duplicate]) -> tuple[LeakageFacts, ...]:
    groups: dict[tuple[tuple[str, str], tuple[str, str]], list[Duplicate]] = {}
    for leak in leaks:
        groups.setdefault((leak.first.part, leak.second.part), []).append(leak)
    return tuple(
        LeakageFacts(
            place,
            twin,
            group[0].across_sources,
            len(group),
            sum(leak.exact for leak in group),
            tuple((leak.first.id, leak.second.id) for leak in group[:_EXAMPLES]),
        )
        for (place, twin), group in groups.items()
    )


def mentions_in_context(source: NerSource) -> Iterator[Example]:
    """Yield up to three mentions of each label with the text around them: different ones, of different splits."""
    examples_of: dict[str, list[list[Example]]] = {label: [] for label in source.labels}
    for split in source.dataset:
        of_split: dict[str, dict[str, Example]] = {label: {} for label in source.labels}
        missing = set(source.labels)
        for sentence in source.sentences(split) if missing else ():
            # One mention a sentence: three of one list of names say no more than one.
            for label, entity in {entity.label: entity for entity in reversed(sentence.entities)}.items():
                if label in missing:
                    example = _in_context(LabelRef(source.name, label), sentence, entity, split)
                    of_split[label].setdefault(example[2], example)
                    if len(of_split[label]) == _EXAMPLES:
                        missing.discard(label)
            if not missing:
                break
        for label, examples in of_split.items():
            examples_of[label].append(list(examples.values()))
    for splits in examples_of.values():
        in_turn = filter(None, chain.from_iterable(zip_longest(*splits)))
        yield from islice({example[2]: example for example in in_turn}.values(), _EXAMPLES)


def _in_context(label: LabelRef, sentence: AnnotatedSentence, entity: Entity, split: str) -> Example:
    """Return a mention and some text on both sides of it; ``…`` stands for what was cut."""
    tokens, start, end = sentence.tokens, entity.start, entity.end
    mention = join_tokens(tokens[start:end])
    left, right = join_tokens(tokens[:start]), join_tokens(tokens[end:])
    # The space beside the mention, where the script has one.
    left += " " if join_tokens(tokens[:end]).endswith(f" {mention}") else ""
    right = (" " if join_tokens(tokens[start:]).startswith(f"{mention} ") else "") + right
    return (
        label,
        left if len(left) <= _CONTEXT else "…" + left[-_CONTEXT:],
        shorten(mention, _LONGEST_MENTION),
        right if len(right) <= _CONTEXT else right[:_CONTEXT] + "…",
        sentence.id,
        split,
    )


def _dropped(source: NerSource) -> tuple[Dropped, ...]:
    """Return up to three annotated spans a reason that were left out while reading."""
    by_reason: dict[str, list[Dropped]] = {}
    for span in source.dropped:
        by_reason.setdefault(span.reason, []).append(span)
    shown = (span for spans in by_reason.values() for span in spans[:_EXAMPLES])
    return tuple(span._replace(mention=shorten(span.mention, _LONGEST_MENTION)) for span in shown)
