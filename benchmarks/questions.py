"""What do answers gain? F1 of equal merges after so many answers from the gold, asked in several orders.

    python benchmarks/questions.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER

The groups of corpora are those of ``quality/coarse``; their probabilities are by coefficients that were fitted without
any of them, with names as they are and with an empty lexicon. Evidence is taken from the cache of ``fit_relations.py``.
Five questions are asked at a time, of pairs that the gold judges, answered as it says (equal: must_link; part: part_of;
else cannot_link), and the labels merged anew. An answer that contradicts an earlier one counts as asked and is dropped.
Prints Markdown: F1 by pairs, and by mentions of the rarer label of each. Orders: that of ``find_questions``; its
questions by doubt alone; its questions at random; all pairs at random; of the latter two the mean of five seeds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
from few_corpora import LeftOut, parser_of
from fit_relations import COARSE
from quality.gold import GoldPair, read_coarse
from quality.renaming import UNLISTED, WRITTEN, without_lexicon

from esnera_hf.alignment.constraints import SchemaSettings, build_constraints
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.questions import Question, find_questions
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.probability import relation_probabilities
from esnera_hf.tagging import LabelRef

ORDERS = ("doubt × log mentions", "doubt", "questions at random", "pairs at random")
ASKED = (0, 10, 20, 40)
_AT_ONCE, _SEEDS = 5, 5

Pair = tuple[LabelRef, LabelRef]


def main() -> None:
    """Print a row per group of corpora and order."""
    gold = LeftOut(parser_of(__doc__).parse_args())
    columns = [f"{asked} answers" for asked in ASKED]
    print("F1 by pairs, by mentions", "", sep="\n")
    print(
        f"| corpora | names | order | {' | '.join(columns)} |",
        f"| --- | --- | --- {'| --- ' * len(ASKED)}|",
        sep="\n",
    )
    for file in sorted(COARSE.glob("*.json")):
        corpora = frozenset(label.source for label in read_coarse(file))
        judged = {(pair.first, pair.second): pair for pair in gold.within(corpora)}
        for kind in (WRITTEN, UNLISTED):
            with without_lexicon() if kind == UNLISTED else nullcontext():
                matrix = gold.matrix.restricted(corpora)
                matrix.__dict__["probabilities"] = relation_probabilities(matrix, gold.without(corpora))
                for order in ORDERS:
                    seeds = range(_SEEDS if "random" in order else 1)
                    scores = np.mean([answered(matrix, judged, order, seed) for seed in seeds], axis=0)
                    cells = (f"{pairs:.3f}, {mentions:.3f}" for pairs, mentions in scores)
                    print(f"| {file.stem} | {kind} | {order} | {' | '.join(cells)} |", flush=True)


def answered(
    matrix: SimilarityMatrix, gold: Mapping[Pair, GoldPair], order: str, seed: int
) -> list[tuple[float, float]]:
    """Return both F1 after each number of answers of :data:`ASKED`."""
    choice = random.Random(seed)
    judged = with_known(matrix, gold)
    settings, asked = SchemaSettings(), set[Pair]()
    scores = []
    for number in range(0, max(ASKED) + 1, _AT_ONCE):
        constraints = build_constraints(matrix.labels, None, settings)
        mapping = merge_equivalent(matrix, constraints)
        if number in ASKED:
            scores.append(f1(mapping, gold))
        questions = find_questions(judged, mapping, constraints, most=len(matrix.labels) ** 2)
        if order == "doubt":
            questions = tuple(sorted(questions, key=doubt, reverse=True))
        pairs = [(question.one, question.other) for question in questions]
        if order == "pairs at random":
            pairs = list(gold)
        if "random" in order:
            choice.shuffle(pairs)
        known = [pair if pair in gold else pair[::-1] for pair in pairs]
        for pair in [pair for pair in known if pair in gold and pair not in asked][:_AT_ONCE]:
            asked.add(pair)
            settings = with_answer(settings, gold[pair], matrix.labels)
    return scores


def with_known(matrix: SimilarityMatrix, gold: Mapping[Pair, GoldPair]) -> SimilarityMatrix:
    """Return a matrix in which nothing is known of pairs that the gold does not judge: they are not asked about."""
    index = matrix.index
    known = np.zeros((len(index), len(index)), dtype=bool)
    for one, other in gold:
        known[index[one], index[other]] = known[index[other], index[one]] = True
    copy = replace(matrix)
    copy.__dict__["probabilities"] = np.where(known[..., None], matrix.probabilities, np.nan)
    return copy


def doubt(question: Question) -> float:
    """Return how probable it is that the decision is wrong."""
    apart = 1 - question.equal - question.part - question.whole
    decided = {"one": question.equal, "part": question.part, "whole": question.whole, "apart": apart}
    return 1 - decided[question.decision]


def with_answer(settings: SchemaSettings, pair: GoldPair, labels: Sequence[LabelRef]) -> SchemaSettings:
    """Return settings with what the gold says of a pair; as they are where that contradicts them."""
    one, other = str(pair.first), str(pair.second)
    must, cannot, parts = (
        list(given) for given in (settings.must_link, settings.cannot_link, settings.part_of)
    )
    if pair.relation == "equal":
        must.append([one, other])
    elif pair.relation in ("subset", "superset"):
        parts.append([one, other] if pair.relation == "subset" else [other, one])
    else:
        cannot.append([one, other])
    changed = SchemaSettings(must_link=must, cannot_link=cannot, part_of=parts)
    try:
        build_constraints(labels, None, changed)
    except ConfigurationError:
        return settings
    return changed


def f1(mapping: LabelMapping, gold: Mapping[Pair, GoldPair]) -> tuple[float, float]:
    """Return F1 of equal merges, of pairs, and weighted by the mentions of the rarer label."""
    merged = np.array([mapping.are_one(*pair) for pair in gold])
    equal = np.array([pair.relation == "equal" for pair in gold.values()])
    mentions = np.array([pair.support for pair in gold.values()], dtype=np.float64)
    return tuple(  # type: ignore[return-value]
        float(2 * weights[merged & equal].sum() / (weights[merged].sum() + weights[equal].sum()))
        for weights in (np.ones_like(mentions), mentions)
    )


if __name__ == "__main__":
    main()
