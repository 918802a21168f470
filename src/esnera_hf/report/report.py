"""What an alignment found, as typed facts that a file can hold; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas

from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf._internal.text import counted
from esnera_hf.alignment.greedy_path import Candidate, MergeStep
from esnera_hf.alignment.questions import Question
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import SystemScores, TaggerScores
from esnera_hf.merging.pseudo_labels import PseudoLabels
from esnera_hf.report.call import CallFacts
from esnera_hf.report.console import report_text
from esnera_hf.report.tables import fate
from esnera_hf.similarity.disagreement import Disagreement
from esnera_hf.similarity.explanation import PairEvidence
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.sources.source import Dropped, SourceSummary
from esnera_hf.taggers.encoder_fit import EncoderFit
from esnera_hf.tagging import LabelRef

#: A mention of a label: the label, text on the left, mention, text on the right, id of the sentence, split.
Example = tuple[LabelRef, str, str, str, str, str]
#: Of the file form. Version 1 held dictionaries under other names.
VERSION = 2


@dataclass(frozen=True)
class NearPair:
    """Two labels of different sources that stayed apart; ``forward`` is from ``one`` to ``other``.

    Attributes:
        one, other: the labels.
        forward_similarity, backward_similarity: the scores that would have merged them; by equivalence the same
            both ways, as the probability that they are equal.
        semantic: S_sem.
        forward, backward: counts of the empirical similarity.
        relation: the most probable one of ``one`` to ``other`` but for being equal; ``None`` under the greedy
            method, as all that follows.
        probability: of that relation.
        forward_coverage: how much of ``one`` the other covers.
        backward_coverage: how much of ``other`` the first covers.
    """

    one: LabelRef
    other: LabelRef
    forward_similarity: float | None
    backward_similarity: float | None
    semantic: float | None
    forward: Agreement
    backward: Agreement
    relation: str | None = None
    probability: float | None = None
    forward_coverage: float | None = None
    backward_coverage: float | None = None


@dataclass(frozen=True)
class LeakageFacts:
    """Sentences of a split of train or validation that stand in a later split, too.

    Attributes:
        place: source and split of the sentences.
        twin: source and split of the same sentences.
        left_out: whether they were left out of the merged dataset; a source's own are kept.
        sentences: how many.
        exact: how many of them are the same word for word.
        examples: ids of some pairs.
    """

    place: tuple[str, str]
    twin: tuple[str, str]
    left_out: bool
    sentences: int
    exact: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, repr=False)
class MergeReport:
    """Everything an alignment tells of itself; ``str()`` gives the part people read first.

    Attributes:
        sources: the sources' summaries.
        call: the call that made it; ``None`` where it was made from parts.
        taggers: the sources' own taggers, by source.
        steps: how labels were merged, with every decision: the greedy path, or one step without λ for all merges by
            equivalence; empty where a mapping was applied.
        pairs: what is known of each pair of labels that is shown: the one each label was compared with, questions, and
            pairs that stayed apart.
        trials: every mapping that a search could choose, with the labels it merges; the outcome, where it was
            tried, is the scores on validation and the number of pseudo-labels; the bound held if it was chosen.
        questions: pairs of labels of which it is unsure how they relate, those that matter most first.
        near: pairs of labels that stayed apart: those of which one is a part of the other, then the most alike.
        disagreements: pairs of labels to check, of which the taggers, where they were trained though labels were
            compared by other evidence, say something else; those that concern most mentions first.
        pseudo_labels: how many were added, if it was asked for; without the entities.
        systems: taggers scored on the test splits: ``merged``, and those it is compared with.
        examples: mentions of each label: the label, text on the left, mention, text on the right, id of the sentence,
            split.
        dropped: examples of annotated spans that were left out, by source.
        leakage: sentences that stand in a later split, too.
        source_fingerprints: digests of the sources, by which a repetition is checked.
        mapping_fingerprint: digest of the mapping.
        dataset_fingerprint: digest of the merged dataset.
        encoder_fingerprint: digest of the encoder, if one was used.
        encoder_fits: how the encoder's tokenizer fits the text of each source, if one was used.
        local_paths: what of the call names a place on the machine; it is not published.
        seconds: wall time by step.
        versions: of the packages that matter.
        machine: what the taggers were computed on.
    """

    sources: tuple[SourceSummary, ...]
    call: CallFacts | None = None
    taggers: dict[str, TaggerScores] = field(default_factory=dict)
    steps: tuple[MergeStep, ...] = ()
    pairs: tuple[PairEvidence, ...] = ()
    trials: tuple[Candidate, ...] = ()
    questions: tuple[Question, ...] = ()
    near: tuple[NearPair, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    pseudo_labels: PseudoLabels | None = None
    systems: dict[str, SystemScores] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    dropped: dict[str, tuple[Dropped, ...]] = field(default_factory=dict)
    leakage: tuple[LeakageFacts, ...] = ()
    source_fingerprints: dict[str, str] = field(default_factory=dict)
    mapping_fingerprint: str = ""
    dataset_fingerprint: str = ""
    encoder_fingerprint: str = ""
    encoder_fits: dict[str, EncoderFit] = field(default_factory=dict)
    local_paths: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digests of the sources by name, and of ``encoder``, ``mapping`` and ``dataset``, where they are known."""
        parts = {"encoder": self.encoder_fingerprint, "mapping": self.mapping_fingerprint}
        parts["dataset"] = self.dataset_fingerprint
        return self.source_fingerprints | {name: digest for name, digest in parts.items() if digest}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"version": VERSION, **to_plain(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MergeReport:
        """Rebuild a report from :meth:`to_dict`.

        Raises:
            ConfigurationError: it is of another version, or something in it is unknown or of another type; it says
                which.
        """
        facts = dict(data)
        version = facts.pop("version", 1)
        if version != VERSION:
            raise ConfigurationError(
                f"a report of version {version!r:.20}: expected version {VERSION}. Read it with the version of "
                "esnera-hf that wrote it, or align again."
            )
        report = from_plain(cls, facts, "report")
        # A candidate does not know the type of its outcome, which the search takes from whoever scores.
        trials = list(report.trials)
        for n, trial in enumerate(trials):
            if trial.outcome is not None:
                read = from_plain(tuple[SystemScores, int], trial.outcome, f"report.trials[{n}].outcome")
                trials[n] = replace(trial, outcome=read)
        return replace(report, trials=tuple(trials))

    def to_pandas(self) -> pandas.DataFrame:
        """Return a row per decision: what became of a label, beside which one, and on what evidence."""
        rows = [
            {
                "step": number,
                "label": str(decision.group[0]),
                "fate": fate(decision),
                "candidate": None if decision.candidate is None else str(decision.candidate),
                "similarity": decision.similarity,
                "semantic": decision.semantic,
                "matched": decision.matched,
                "predicted": decision.predicted,
            }
            for number, step in enumerate(self.steps, 1)
            for decision in step.decisions
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.2f}".format, na_rep="?"))

    def __repr__(self) -> str:
        labels = sum(len(step.decisions) for step in self.steps)
        counts = ((len(self.sources), "source"), (len(self.steps), "step"), (labels, "decision"))
        return f"MergeReport({', '.join(counted(*count) for count in counts)})"

    def __str__(self) -> str:
        return report_text(self)

    def details(self) -> str:
        """Return the text of ``str()`` with the full sentence of every decision."""
        return report_text(self, verbose=True)
