"""Markdown tables of what each system gets right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from esnera_hf.tagging import LabelRef
from quality.case import LAMBDA, LAMBDAS, TAU, TAUS, Case, System
from quality.figures import (
    average_precision,
    best_threshold,
    f1_of,
    f1_only,
    held_out_decisions,
    macro_f1,
    ranking,
)
from quality.gold import RELATIONS, GoldPair, truth

#: The system whose decisions are those of typed merging.
OURS = "esnera_hf"


def joined(cases: Sequence[Case]) -> Case:
    """Put the pairs of several languages together."""
    systems = {}
    for name, first in cases[0].systems.items():
        parts = [case.systems[name] for case in cases]
        systems[name] = System(
            name,
            np.concatenate([part.scores for part in parts]),
            None if first.merged is None else np.concatenate([part.merged for part in parts]),
            None if first.relations is None else [r for part in parts for r in part.relations or ()],
        )
    return Case(
        tuple(language for case in cases for language in case.language),
        tuple(pair for case in cases for pair in case.pairs),
        systems,
        frozenset().union(*(case.merged_labels for case in cases)),
        {label: root for case in cases for label, root in case.roots.items()},
        {cell: np.concatenate([case.surface[cell] for case in cases]) for cell in cases[0].surface},
    )


def selected(case: Case, kept: Callable[[GoldPair], bool]) -> Case:
    """Return a case with some of its pairs."""
    rows = [index for index, pair in enumerate(case.pairs) if kept(pair)]
    systems = {
        name: System(
            name,
            system.scores[rows],
            None if system.merged is None else system.merged[rows],
            None if system.relations is None else [system.relations[row] for row in rows],
        )
        for name, system in case.systems.items()
    }
    return Case(
        tuple(case.language[row] for row in rows),
        tuple(case.pairs[row] for row in rows),
        systems,
        case.merged_labels,
        case.roots,
        {cell: merged[rows] for cell, merged in case.surface.items()},
    )


def merges_table(case: Case, title: str) -> Iterator[str]:
    """Yield precision, recall and F1 of merges, a row a system.

    Scores without decisions of their own are judged at the best threshold on
    these very pairs, which flatters them, and at the best one of all other pairs
    of corpora.
    """
    gold = truth(case.pairs)
    groups = [(pair.first.source, pair.second.source) for pair in case.pairs]
    yield f"### {title}: {len(gold):,} pairs of labels in {len(set(groups))} pairs of corpora, {gold.sum()} equal"
    yield ""
    yield "| system | threshold | P | R | F1 | 95 % | average precision |"
    yield "| --- | --- | ---: | ---: | ---: | --- | ---: |"
    for system in case.systems.values():
        scores = system.scores
        precision = average_precision(scores, gold)
        if system.merged is not None:
            yield f"| {system.name} | own | {f1_of(system.merged, gold)} | {precision:.2f} |"
        if system.name != OURS:
            decided = np.nan_to_num(scores, nan=-np.inf) > best_threshold(scores, gold)
            yield f"| {system.name} | best here | {f1_of(decided, gold)} | {precision:.2f} |"
            if system.merged is None and len(set(groups)) > 1:
                held = held_out_decisions(scores, gold, groups)
                yield f"| {system.name} | of the others | {f1_of(held, gold)} | {precision:.2f} |"
    yield ""


def ranking_table(case: Case) -> Iterator[str]:
    """Yield how well each system ranks the equal partner of a label among the labels of the other corpus."""
    yield "### Ranking: the equal partner of a label among the labels of the other corpus"
    yield ""
    yield "| system | mean reciprocal rank | hits at 1 |"
    yield "| --- | ---: | ---: |"
    gold = truth(case.pairs)
    for system in case.systems.values():
        scores = np.concatenate([system.scores, system.scores])
        queries = [(p.first, p.second.source) for p in case.pairs] + [
            (p.second, p.first.source) for p in case.pairs
        ]
        reciprocal, hits = ranking(scores, np.concatenate([gold, gold]), queries)
        yield f"| {system.name} | {reciprocal:.2f} | {hits:.2f} |"
    yield ""


def breakdown_table(case: Case, title: str, key: Callable[[GoldPair, str], str]) -> Iterator[str]:
    """Yield the F1 of typed merging by something of the pairs."""
    ours = case.systems[OURS].merged
    if ours is None:
        return
    gold = truth(case.pairs)
    keys = np.array([key(*pair) for pair in zip(case.pairs, case.language, strict=True)])
    yield f"### {title}"
    yield ""
    yield "| | pairs | equal | P | R | F1 | 95 % |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for value in sorted(set(keys)):
        rows = keys == value
        scored = str(f1_of(ours[rows], gold[rows]))
        if not gold[rows].any():
            scored = f"{ours[rows].sum()} merged | – | – | –"
        yield f"| {value} | {rows.sum():,} | {gold[rows].sum()} | {scored} |"
    yield ""


def surface_table(case: Case, halves: int = 200) -> Iterator[str]:
    """Yield the F1 of the paper's greedy path by λ and τ, and how a choice on half the corpora does on the rest."""
    gold = truth(case.pairs)
    yield "### The paper's greedy path by λ (down) and τ (across): F1 of equal merges"
    yield ""
    yield f"| | {' | '.join(map(str, TAUS))} |"
    yield "| --- |" + " ---: |" * len(TAUS)
    for lam in LAMBDAS:
        cells = (f"{f1_only(case.surface[lam, tau], gold):.2f}" for tau in TAUS)
        yield f"| {lam} | {' | '.join(cells)} |"
    groups = np.array([f"{pair.first.source} {pair.second.source}" for pair in case.pairs])
    generator = np.random.default_rng(0)
    scores = []
    for _ in range(halves):
        names = generator.permutation(np.unique(groups))
        chosen_on = np.isin(groups, names[: len(names) // 2])
        best = max(case.surface, key=lambda cell: f1_only(case.surface[cell][chosen_on], gold[chosen_on]))
        ours = case.systems[OURS].merged
        scores.append(
            [
                f1_only(merged[~chosen_on], gold[~chosen_on])
                for merged in (case.surface[best], case.surface[LAMBDA, TAU], ours)
                if merged is not None
            ]
        )
    chosen, paper, own = np.mean(scores, axis=0)
    yield ""
    yield (
        f"λ and τ chosen on half of the pairs of corpora give {chosen:.2f} on the other half (mean of {halves} "
        f"halves); λ {LAMBDA}, τ {TAU} gives {paper:.2f} there, {OURS} {own:.2f}."
    )
    yield ""


def relations_table(case: Case) -> Iterator[str]:
    """Yield how the relations that are seen compare with the gold, where the gold is sure."""
    seen = case.systems[OURS].relations
    if seen is None:
        return
    gold, found = [pair.relation for pair in case.pairs], list(seen)
    macro, by_kind = macro_f1(found, gold, RELATIONS)
    yield f"### Relations: macro-F1 {macro:.2f} over {len(by_kind)} types"
    yield ""
    yield f"| gold, down; seen, across | {' | '.join(RELATIONS)} | F1 |"
    yield "| --- |" + " ---: |" * (len(RELATIONS) + 1)
    for kind in by_kind:
        counts = [
            sum(g == kind and f == other for g, f in zip(gold, found, strict=True)) for other in RELATIONS
        ]
        yield f"| {kind} | {' | '.join(map(str, counts))} | {by_kind[kind]:.2f} |"
    listed = [index for index, kind in enumerate(gold) if kind != "none"]
    right = sum(found[index] == gold[index] for index in listed)
    yield ""
    yield (
        f"Of the {len(listed):,} pairs that the gold lists {right / max(len(listed), 1):.0%} are told right. "
        "Pairs that it does not list count as none; a gold that leaves out parts makes the seen relation look wrong."
    )
    yield ""


def mistakes_table(case: Case) -> Iterator[str]:
    """Yield the pairs that typed merging merges wrongly or fails to merge."""
    ours = case.systems[OURS]
    if ours.merged is None:
        return
    yield "### Mistakes"
    yield ""
    yield "| | first | second | gold | score | mentions of the rarer |"
    yield "| --- | --- | --- | --- | ---: | ---: |"
    for pair, merged, score in zip(case.pairs, ours.merged, ours.scores, strict=True):
        if merged != (pair.relation == "equal"):
            what = "merged" if merged else "missed"
            yield f"| {what} | {pair.first} | {pair.second} | {pair.relation} | {score:.2f} | {pair.support} |"
    yield ""


def traps_table(
    traps: Sequence[tuple[LabelRef, LabelRef]], known: set[LabelRef], case: Case
) -> Iterator[str]:
    """Yield whether typed merging falls into any trap whose labels were compared."""
    fallen = [pair for pair in traps if frozenset(pair) in case.merged_labels]
    languages = {
        label.source: lang
        for pair, lang in zip(case.pairs, case.language, strict=True)
        for label in (pair.first, pair.second)
    }
    compared = [
        (a, b) for a, b in traps if {a, b} <= known and languages.get(a.source) == languages.get(b.source)
    ]
    yield f"Traps fallen into: {len(fallen)} of {len(traps)} ({len(compared)} of them between corpora of one language)"
    for one, other in fallen:
        yield f"- {one} and {other}"
    yield ""
