"""A first look: a mapping proposed from names and mentions alone, in seconds and without a model."""

from __future__ import annotations

from collections.abc import Sequence

from esnera_hf._internal.text import counted, first_lines, visible
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.alignment.questions import Question, find_questions
from esnera_hf.alignment.umbrellas import add_umbrellas
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.explanation import EQUAL, PART, Decision
from esnera_hf.sources.duplicates import Duplicates, find_duplicates, find_pairs
from esnera_hf.sources.load import SourceLike, load_sources
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.shared_sentences import compare_shared
from esnera_hf.tagging import LabelRef

#: Lines of a section: three sections and what is around them fit a screen of forty lines.
_SHOWN = 8


class Screening:
    """What names and mentions say of the labels of several sources; ``str()`` gives one screen of it.

    Attributes:
        mapping: what they propose, each entry with its reason.
        questions: pairs of labels whose decision could be wrong, what matters most first.
        overlap: where mentions of one source occur in the text of another, and as what.
        duplicates: sentences in two splits or sources.
    """

    def __init__(
        self,
        mapping: LabelMapping,
        questions: tuple[Question, ...],
        overlap: MentionOverlap,
        duplicates: Duplicates,
    ) -> None:
        self.mapping, self.questions, self.overlap, self.duplicates = mapping, questions, overlap, duplicates

    def __str__(self) -> str:
        mapping = self.mapping
        lines = [
            *_section("the same", self._pairs("one", "=")),
            *_section("parts", self._pairs("part", "in")),
        ]
        lines += _section("to check, what matters most first", list(map(_asked, self.questions)))
        related = {*mapping.parents, *mapping.parents.values()}
        groups = [mapping.members(name) for name in mapping.unified_labels if name not in related]
        alone = [str(members[0]) for members in groups if len(members) == 1]
        lines += [f"alone: {', '.join(alone)}"] if alone else []
        lines += self.overlap.conflicts[:3]
        lines += str(self.duplicates).split("\n") if self.duplicates.pairs else []
        unified = len(mapping.unified_labels) - len(mapping.umbrellas)
        head = f"{counted(len(mapping.entries), 'label')} of {counted(len(mapping.sources), 'source')} → {unified}"
        return "\n".join(map(visible, [f"{head}, by names and mentions alone", *lines]))

    __repr__ = __str__

    def _pairs(self, decision: Decision, sign: str) -> list[str]:
        rows: dict[frozenset[LabelRef], str] = {}
        for entry in self.mapping.entries:
            other = entry.compared_with
            if other is not None and self.mapping.decision(entry.label, other) == decision:
                rows.setdefault(frozenset((entry.label, other)), f"{entry.label} {sign} {other}: {entry.why}")
        return list(rows.values())


def _asked(question: Question) -> str:
    now = {"one": "=", "part": "in", "whole": "holds", "apart": "≠"}[question.decision]
    part = f"{PART} {max(question.part, question.whole):.2f}"
    if (question.whole > question.part) != (question.decision == "whole"):
        part += " the other way"
    examples = [
        f"{mention} ({here or 'nothing'}, {there or 'nothing'})"
        for mention, here, there in question.examples[:2]
    ]
    said = f"{question.one} {now} {question.other}: {EQUAL} {question.equal:.2f}, {part}"
    return said + (f"; {', '.join(examples)}" if examples else "")


def screen(sources: Sequence[SourceLike], *, splits: Sequence[str] = ("train",)) -> Screening:
    """Propose a mapping of two or more sources from names and mentions alone, these of some splits.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: fewer than two sources, or two that look alike.
    """
    loaded = load_sources(sources, least=2)
    pairs = find_pairs(loaded)
    overlap, shared = mention_overlap(loaded, splits=splits), compare_shared(loaded, pairs)
    matrix = measure_similarity(loaded, EvidenceSettings("surface"), "", {}, screened=overlap, shared=shared)
    mapping = with_reasons(add_umbrellas(merge_equivalent(matrix), matrix), matrix)
    questions = find_questions(matrix, mapping, overlap=overlap, shared=shared)
    return Screening(mapping, questions, overlap, find_duplicates(loaded))


def _section(title: str, rows: Sequence[str]) -> list[str]:
    return [f"{title} ({len(rows):,})", *(f"  {row}" for row in first_lines(rows, _SHOWN))] if rows else []
