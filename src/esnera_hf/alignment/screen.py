"""A first look: a mapping proposed from names and mentions alone, in seconds and without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esnera_hf._internal.text import counted, visible
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.alignment.questions import Question, find_questions
from esnera_hf.alignment.umbrellas import add_umbrellas
from esnera_hf.similarity.evidence import EvidenceSettings, measure_similarity
from esnera_hf.similarity.explanation import EQUAL, PART
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
            *_section("the same", list(self._pairs("one"))),
            *_section("parts", list(self._pairs("part"))),
        ]
        lines += _section("to check, what matters most first", [self._asked(q) for q in self.questions])
        alone = [str(label) for name in self._alone() for label in mapping.members(name)]
        lines += [f"alone: {', '.join(alone)}"] if alone else []
        lines += self.overlap.conflicts[:3]
        lines += str(self.duplicates).split("\n") if self.duplicates.pairs else []
        unified = len(mapping.unified_labels) - len(mapping.umbrellas)
        head = f"{counted(len(mapping.entries), 'label')} of {counted(len(mapping.sources), 'source')} → {unified}"
        head += ", by names and mentions alone"
        return "\n".join(map(visible, [head, *lines]))

    __repr__ = __str__

    def _pairs(self, decision: str) -> Iterator[str]:
        sign = {"one": "=", "part": "in"}[decision]
        seen: set[frozenset[LabelRef]] = set()
        for entry in self.mapping.entries:
            other = entry.compared_with
            if other is None or self.mapping.decision(entry.label, other) != decision:
                continue
            pair = frozenset((entry.label, other))
            if pair not in seen:
                seen.add(pair)
                yield f"{entry.label} {sign} {other}: {entry.why}"

    def _asked(self, question: Question) -> str:
        now = {"one": "=", "part": "in", "whole": "holds", "apart": "≠"}[question.decision]
        examples = [
            f"{mention} ({here or 'nothing'}, {there or 'nothing'})"
            for mention, here, there in question.examples[:2]
        ]
        said = f"{question.one} {now} {question.other}: {EQUAL} {question.equal:.2f}, "
        said += f"{PART} {max(question.part, question.whole):.2f}"
        said += " the other way" if (question.whole > question.part) != (question.decision == "whole") else ""
        return said + (f"; {', '.join(examples)}" if examples else "")

    def _alone(self) -> Iterator[str]:
        wholes = set(self.mapping.parents.values())
        for name in self.mapping.unified_labels:
            if (
                len(self.mapping.members(name)) == 1
                and name not in wholes
                and name not in self.mapping.parents
            ):
                yield name


def screen(sources: Sequence[SourceLike], *, splits: Sequence[str] = ("train",)) -> Screening:
    """Propose a mapping of two or more sources from names and mentions alone.

    Args:
        sources: as for :func:`~esnera_hf.align`.
        splits: whose mentions are compared.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: fewer than two sources, or two that look alike.
    """
    loaded = load_sources(sources, least=2)
    pairs = find_pairs(loaded)
    overlap, shared = mention_overlap(loaded, splits=splits), compare_shared(loaded, pairs)
    matrix = measure_similarity(loaded, EvidenceSettings("surface"), "", {}, screened=overlap, shared=shared)
    mapping = with_reasons(add_umbrellas(merge_equivalent(matrix), matrix), matrix)
    questions = find_questions(matrix, mapping, None, overlap, shared)
    return Screening(mapping, questions, overlap, find_duplicates(loaded))


def _section(title: str, rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - _SHOWN:,} more"] if len(rows) > _SHOWN else []
    return [f"{title} ({len(rows):,})", *(f"  {row}" for row in rows[:_SHOWN]), *more]
