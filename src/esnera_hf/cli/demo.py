"""The demo: align generated corpora with a small encoder made on the spot, and compare with the truth."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from esnera_hf._internal.console import quiet_libraries, say
from esnera_hf._internal.text import pad
from esnera_hf.alignment.mapping import LEFT_OUT
from esnera_hf.api import align
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.sources.load import check_seed, load_source
from esnera_hf.sources.synthetic import PARTS, DemoCorpus, generate_corpora
from esnera_hf.tagging import LabelRef

#: The heads of a joint tagger with this small encoder, which knows nothing but the demo's text, see works as money.
SETTINGS = AlignSettings(EvidenceSettings(taggers="separate"))

Pairs = set[tuple[LabelRef, LabelRef]]


@dataclass(frozen=True)
class DemoOutcome:
    """What the demo found beside what is true.

    Attributes:
        result: the alignment.
        meaning: the kind of thing each label stands for.
    """

    result: MergeResult
    meaning: Mapping[LabelRef, str]

    @property
    def found_pairs(self) -> Pairs:
        """Pairs of labels of different sources that were given one unified label."""
        return _pairs(self.meaning, lambda a, b: a < b and self._unified(a) == self._unified(b))

    @property
    def true_pairs(self) -> Pairs:
        """Pairs of labels of different sources that stand for one kind of thing."""
        return _pairs(self.meaning, lambda a, b: a < b and self.meaning[a] == self.meaning[b])

    @property
    def found_parts(self) -> Pairs:
        """Pairs of labels of different sources of which the first was put below the second."""
        mapping = self.result.mapping
        return _pairs(self.meaning, lambda a, b: self._unified(b) in mapping.ancestors(self._unified(a)))

    @property
    def true_parts(self) -> Pairs:
        """Pairs of labels of different sources of which the first stands for a part of the second."""
        return _pairs(self.meaning, lambda a, b: PARTS.get(self.meaning[a]) == self.meaning[b])

    def _unified(self, label: LabelRef) -> str:
        return self.result.mapping[label] or LEFT_OUT

    def __str__(self) -> str:
        rows = [("label", "merged into", "stands for")]
        for ref in sorted(self.meaning):
            kind = self.meaning[ref]
            holders = ", ".join(self.result.mapping.ancestors(self._unified(ref)))
            rows.append((str(ref), _within(self._unified(ref), holders), _within(kind, PARTS.get(kind, ""))))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(pad(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        same, parts = (self.true_pairs, self.found_pairs), (self.true_parts, self.found_parts)
        for (true, found), missed, wrong in (
            (same, "{} and {} stand for the same", "{} and {} were merged"),
            (parts, "{} is a part of {}", "{} was put below {}"),
        ):
            lines += [f"missed: {missed.format(*pair)}" for pair in sorted(true - found)]
            lines += [f"wrong: {wrong.format(*pair)}" for pair in sorted(found - true)]
        lines.append(f"pairs of labels that stand for the same: {_count(*same)}")
        lines.append(f"pairs of labels of which one is a part of the other: {_count(*parts)}")
        return "\n".join([str(self.result.report), "", repr(self.result), "", *lines])


def run_demo(seed: int = 42) -> DemoOutcome:
    """Generate, align and compare.

    Args:
        seed: of the corpora, the encoder and the taggers.

    Raises:
        ConfigurationError: no generator takes the seed.
    """
    check_seed(seed)
    corpora = generate_corpora(seed)
    with tempfile.TemporaryDirectory() as folder:
        say("making a small encoder from the text of the three corpora")
        make_demo_encoder(corpora, folder, seed)
        with quiet_libraries():
            sources = [load_source(corpus.dataset, name=corpus.name) for corpus in corpora]
        result = align(sources, encoder=folder, seed=seed, settings=SETTINGS)
    return DemoOutcome(result, {label: kind for corpus in corpora for label, kind in corpus.meaning.items()})


def make_demo_encoder(corpora: Sequence[DemoCorpus], path: str | os.PathLike[str], seed: int) -> None:
    """Pretrain a small encoder on the train text of generated corpora and write it to a folder."""
    from esnera_hf.modeling.encoders import make_encoder

    with quiet_libraries():
        make_encoder([row for corpus in corpora for row in corpus.dataset["train"]["tokens"]], path, seed)


def _pairs(labels: Iterable[LabelRef], related: Callable[[LabelRef, LabelRef], bool]) -> Pairs:
    return {(a, b) for a, b in permutations(labels, 2) if a.source != b.source and related(a, b)}


def _within(name: str, holder: str) -> str:
    return f"{name} (in {holder})" if holder else name


def _count(true: Pairs, found: Pairs) -> str:
    return f"{len(true)} in truth, {len(found)} found, {len(found & true)} of them right"


__all__ = ["DemoCorpus", "DemoOutcome", "generate_corpora", "make_demo_encoder", "run_demo"]
