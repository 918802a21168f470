"""Is the alignment right where the truth is known? Real corpora cut in two, one half under another schema.

Cuts every corpus of ``DIR/jsonl`` into two halves, trains one joint tagger a language on all halves, and draws cases
by seed: labels of either half are dropped and put together, those of the second renamed, some by names of others. The
true relation of each pair of labels is then known. Prints Markdown: precision, recall and F1 of merges, and how the
relations compare, for labels with at least 50 mentions and for all. With ``--retrain`` the first cases of each corpus
are also trained anew, on the halves under their new labels, as a check of projecting one training onto all cases.

    python benchmarks/known_truth.py --data DIR --languages zh en --seeds 20
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from command_line import benchmark_parser
from quality.corpora import PooledSentence, as_source, languages, read_corpora, sampled
from quality.figures import f1_of, macro_f1
from quality.gold import RELATIONS, Relation
from quality.known_truth import HalvesEvidence, KnownCase, known_case, relabelled, unified
from quality.options import add_training_options, cut_encoder, measured

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.tagging import LabelRef

FREQUENT = 50
LAMBDA, TAU = 0.4, 0.4


@dataclass(frozen=True, slots=True)
class Judged:
    """One pair of labels of one case: the truth, what is seen, what the paper merges, mentions and names."""

    corpus: str
    relation: Relation
    seen: str
    paper: bool
    support: int
    labels: tuple[str, str]


def main() -> None:
    """Train, draw cases and print the tables."""
    options = parsed()
    corpora = read_corpora(options.data, options.corpora)
    language = languages(options.data, corpora)
    judged: list[Judged] = []
    again: list[tuple[Judged, Judged]] = []
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        encoder = cut_encoder(options.encoder, options.layers, Path(options.cache or folder))
        for code in sorted(set(language.values())):
            chosen = {name: rows for name, rows in corpora.items() if language[name] == code}
            if not options.languages or code in options.languages:
                evidence = evidence_of_halves(chosen, encoder, options)
                for name, rows in chosen.items():
                    judged += judge_cases(name, evidence, options.seeds)
                    again += retrained_cases(name, rows, evidence, encoder, options)
    print(*tables(judged, options.seeds), sep="\n")
    if again:
        print(*retraining_table(again, options.retrain), sep="\n")
    print(f"\nCommand: python {' '.join(sys.argv)}")


def evidence_of_halves(
    corpora: dict[str, list[PooledSentence]], encoder: str, options: Any
) -> HalvesEvidence:
    """Train on a sample of the halves of corpora, as sources of their own, and measure their labels."""
    sources, whole = [], []
    for name, rows in corpora.items():
        for half, sentences in halves(name, rows, options.seed).items():
            whole.append(as_source(half, sentences))
            sources.append(as_source(half, sentences[: options.max_samples // 2]))
    return HalvesEvidence(*measured(sources, encoder, options), mention_overlap(whole))


def halves(corpus: str, rows: Sequence[PooledSentence], seed: int) -> dict[str, list[PooledSentence]]:
    """Return the sentences of both halves, shuffled, by name."""
    shuffled = sampled(rows, len(rows), seed)
    return {f"{corpus}.{half}": shuffled[start::2] for start, half in enumerate("ab")}


def judge_cases(corpus: str, evidence: HalvesEvidence, seeds: int) -> Iterator[Judged]:
    """Draw the cases of a corpus and judge every pair of labels."""
    own = own_evidence(corpus, evidence)
    labels = sorted({label.label for label in own.matrix.labels})
    for seed in range(seeds):
        case = known_case(corpus, labels, seed)
        yield from judge_case(corpus, case, unified(case, own))


def own_evidence(corpus: str, evidence: HalvesEvidence) -> HalvesEvidence:
    """Return the evidence about the halves of one corpus."""
    return replace(evidence, matrix=evidence.matrix.restricted({f"{corpus}.a", f"{corpus}.b"}))


def judge_case(corpus: str, case: KnownCase, similarities: SimilarityMatrix) -> Iterator[Judged]:
    """Judge every pair of labels of a case, in the order of its labels."""
    ours = merge_equivalent(similarities)
    paper = mapping_from_history(greedy_merge_path(similarities, LAMBDA, TAU), similarities)
    support = dict(zip(similarities.labels, similarities.support.tolist(), strict=True))
    known = set(similarities.labels)
    for first, second in product(case.first.labels, case.second.labels):
        one, other = LabelRef(case.first.source, first), LabelRef(case.second.source, second)
        if {one, other} <= known:
            yield Judged(
                corpus,
                case.relation(first, second),
                "equal" if ours.are_one(one, other) else similarities.relation(one, other, unequal=True),
                paper.are_one(one, other),
                min(support[one], support[other]),
                (first, second),
            )


def retrained_cases(
    corpus: str, rows: Sequence[PooledSentence], evidence: HalvesEvidence, encoder: str, options: Any
) -> Iterator[tuple[Judged, Judged]]:
    """Yield the pairs of the first cases as the projection judges them, and as a training of their own does."""
    own = own_evidence(corpus, evidence)
    labels = sorted({label.label for label in own.matrix.labels})
    for seed in range(options.retrain):
        case = known_case(corpus, labels, seed)
        sources, whole = [], []
        for half, sentences in zip(
            (case.first, case.second), halves(corpus, rows, options.seed).values(), strict=True
        ):
            renamed = relabelled(sentences, half)
            whole.append(as_source(half.source, renamed))
            sources.append(as_source(half.source, renamed[: options.max_samples // 2]))
        matrix, _ = measured(sources, encoder, options, whole)
        anew = {pair.labels: pair for pair in judge_case(corpus, case, matrix)}
        for pair in judge_case(corpus, case, unified(case, own)):
            if pair.labels in anew:
                yield pair, anew[pair.labels]


def retraining_table(pairs: Sequence[tuple[Judged, Judged]], cases: int) -> Iterator[str]:
    """Yield how projected and retrained judgements compare."""
    frequent = [(one, other) for one, other in pairs if min(one.support, other.support) >= FREQUENT]
    gold = np.array([one.relation == "equal" for one, _ in frequent], dtype=bool)
    yield ""
    yield (
        f"### {cases} cases of each corpus, trained anew: {len(frequent):,} pairs of labels with at least {FREQUENT} "
        f"mentions, {gold.sum()} equal"
    )
    yield ""
    yield "| | P | R | F1 | 95 % |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for name, side in (("unified", 0), ("trained anew", 1)):
        seen = np.array([pair[side].seen == "equal" for pair in frequent], dtype=bool)
        yield f"| {name} | {f1_of(seen, gold)} |"
    same = sum(one.seen == other.seen for one, other in frequent)
    merged = sum((one.seen == "equal") == (other.seen == "equal") for one, other in frequent)
    yield ""
    yield f"The same relation in {same:,} of {len(frequent):,} pairs, the same decision to merge in {merged:,}."


def tables(judged: Sequence[Judged], seeds: int) -> Iterator[str]:
    """Yield the tables."""
    for title, least in ((f"labels with at least {FREQUENT} mentions", FREQUENT), ("all labels", 1)):
        rows = [pair for pair in judged if pair.support >= least]
        gold = np.array([pair.relation == "equal" for pair in rows])
        yield (
            f"### {title}: {len(rows):,} pairs, {gold.sum():,} equal, {seeds} cases of each of "
            f"{len({pair.corpus for pair in rows})} corpora"
        )
        yield ""
        yield "| system | P | R | F1 | 95 % |"
        yield "| --- | ---: | ---: | ---: | --- |"
        yield f"| paper: λ {LAMBDA}, τ {TAU}, greedy | {f1_of(np.array([p.paper for p in rows]), gold)} |"
        yield f"| esnera_hf | {f1_of(np.array([p.seen == 'equal' for p in rows]), gold)} |"
        yield ""
        seen, truth = [pair.seen for pair in rows], [pair.relation for pair in rows]
        macro, by_kind = macro_f1(seen, truth, RELATIONS)
        yield f"Relations: macro-F1 {macro:.2f}; " + ", ".join(f"{k} {v:.2f}" for k, v in by_kind.items())
        yield ""
    yield "| corpus | equal pairs | F1 |"
    yield "| --- | ---: | ---: |"
    for corpus in sorted({pair.corpus for pair in judged}):
        rows = [pair for pair in judged if pair.corpus == corpus and pair.support >= FREQUENT]
        gold = np.array([pair.relation == "equal" for pair in rows], dtype=bool)
        if gold.any():
            score = f1_of(np.array([pair.seen == "equal" for pair in rows]), gold)
            yield f"| {corpus} | {gold.sum()} | {score.f1:.2f} |"


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--data")
    parser.add_argument("--corpora", nargs="*", default=(), help="only these")
    parser.add_argument("--languages", nargs="*", default=(), help="only these, such as zh en")
    add_training_options(parser, sentences=1200)
    parser.add_argument("--seeds", type=int, default=20, help="cases of each corpus")
    parser.add_argument(
        "--retrain", type=int, default=0, help="cases of each corpus that are trained anew, too"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
