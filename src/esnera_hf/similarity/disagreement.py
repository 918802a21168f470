"""A second opinion: what taggers that were trained anyway say of labels that were compared by other evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from esnera_hf.similarity.empirical import cross_predictions
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix
from esnera_hf.sources.shared_sentences import Relation
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import SourceTagger
from esnera_hf.tagging import LabelRef

#: Taggers have been fitted to the labels of the train splits.
_SPLIT = "validation"
#: Pairs of a report.
_MOST = 20
#: Of labels with fewer mentions to be found the counts say less than what stands for a share before anything is
#: counted: 10 of 10 make a share of 0.86, 3 of 3 one of 0.66.
_LEAST = 10
#: A change of P(equal) that is worth a look though the decision stays.
_FAR = 0.5


@dataclass(frozen=True)
class Opinion:
    """What one kind of evidence says of two labels.

    Attributes:
        equal: how probable it is that they mean the same.
        relation: of the first to the other: ``equal`` if that is decided, else the most probable one but for it.
        forward: of the entities predicted as the first, those annotated as the other.
        backward: the reverse.
    """

    equal: float
    relation: Relation
    forward: Agreement
    backward: Agreement


@dataclass(frozen=True)
class Disagreement:
    """Two labels of different sources of which the taggers say something else than what they were compared by.

    Attributes:
        one, other: the labels.
        mentions: in the train split, of the label that has fewer.
        evidence: what the labels were compared by.
        taggers: the same with the counts of the sources' taggers on validation splits.
    """

    one: LabelRef
    other: LabelRef
    mentions: int
    evidence: Opinion
    taggers: Opinion


def find_disagreements(
    matrix: SimilarityMatrix,
    sources: Sequence[NerSource],
    taggers: Mapping[str, SourceTagger],
    min_precision: float | None = None,
) -> tuple[Disagreement, ...]:
    """Return the pairs of labels on which taggers and evidence disagree, those that concern most mentions first.

    They disagree where only one of them decides that the labels are equal, or where their most probable relations
    differ and so does P(equal), by :data:`_FAR`.

    Args:
        matrix: the evidence, of the labels of the sources, and perhaps of others, whose text is elsewhere.
        sources: the sources, each with a validation split.
        taggers: of the sources, by name; without any there is no second opinion.
        min_precision: as for the decisions, see :meth:`SimilarityMatrix.threshold`.
    """
    if not taggers or len(sources) < 2:
        return ()
    if len(sources) < len(matrix.sources):
        matrix = matrix.restricted({source.name for source in sources})
    both = matrix, tagger_evidence(matrix, sources, taggers)
    bounds = [evidence.threshold(min_precision) for evidence in both]
    decided = [evidence.equivalence > bound for evidence, bound in zip(both, bounds, strict=True)]
    likely = [evidence.probabilities.argmax(axis=-1) for evidence in both]
    far = np.abs(both[0].equivalence - both[1].equivalence) >= _FAR
    often = np.minimum(both[1].read[:, None], both[1].read) >= _LEAST
    differ = (decided[0] != decided[1]) | (likely[0] != likely[1]) & far
    mentions = np.minimum(matrix.support[:, None], matrix.support)
    rows, columns = np.nonzero(np.triu(differ & often & ~matrix.same_source))
    ranked = np.lexsort((columns, rows, -mentions[rows, columns]))[:_MOST]
    return tuple(
        Disagreement(
            *(matrix.labels[i], matrix.labels[j], int(mentions[i, j])),
            *(_opinion(evidence, i, j, bound) for evidence, bound in zip(both, bounds, strict=True)),
        )
        for i, j in zip(rows[ranked].tolist(), columns[ranked].tolist(), strict=True)
    )


def tagger_evidence(
    matrix: SimilarityMatrix, sources: Sequence[NerSource], taggers: Mapping[str, SourceTagger]
) -> SimilarityMatrix:
    """Return a matrix with the counts of taggers on the validation splits, and all else as it was.

    The vectors of mentions stay, too: without them some pairs get another decision though the counts are the same.
    """
    matched, predicted = cross_predictions(
        lambda name, source: taggers[name].predict(source, _SPLIT), sources, matrix.labels, split=_SPLIT
    )
    scores = {source.name: taggers[source.name].scores(source, _SPLIT).by_label for source in sources}
    of_labels = [scores[label.source].get(label.label) for label in matrix.labels]
    read = np.array([score.support if score else 0 for score in of_labels], dtype=np.int64)
    recall = np.array([score.recall if score and score.support else np.nan for score in of_labels])
    return replace(matrix, matched=matched, predicted=predicted, read=read, recall=recall)


def _opinion(matrix: SimilarityMatrix, i: int, j: int, threshold: float) -> Opinion:
    one, other = matrix.labels[i], matrix.labels[j]
    equal = float(matrix.equivalence[i, j])
    relation = "equal" if equal > threshold else matrix.relation(one, other, unequal=True)
    _, forward, backward = matrix.pair(one, other)
    return Opinion(round(equal, 4), relation, forward, backward)
