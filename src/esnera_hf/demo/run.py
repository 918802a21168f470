"""The demo: align generated corpora with a small encoder made on the spot, and compare with the truth."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from esnera_hf.alignment.mapping import LEFT_OUT
from esnera_hf.api import align
from esnera_hf.console import quiet_libraries, say
from esnera_hf.demo.corpora import DemoCorpus, generate_corpora
from esnera_hf.labels import LabelRef
from esnera_hf.result import MergeResult
from esnera_hf.sources import load_source
from esnera_hf.text import pad

#: The demo does not search: its taggers make no mistakes, so every mapping would hold the bound on F1.
LAMBDA = TAU = 0.4


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
    def found_pairs(self) -> set[tuple[LabelRef, LabelRef]]:
        """Pairs of labels of different sources that were given one unified label."""
        return _pairs({label: self._unified(label) for label in self.meaning})

    def _unified(self, label: LabelRef) -> str:
        return self.result.mapping[label] or LEFT_OUT

    @property
    def true_pairs(self) -> set[tuple[LabelRef, LabelRef]]:
        """Pairs of labels of different sources that stand for one kind of thing."""
        return _pairs(self.meaning)

    def __str__(self) -> str:
        found, true = self.found_pairs, self.true_pairs
        rows = [("label", "merged into", "stands for")]
        rows += [(str(ref), self._unified(ref), self.meaning[ref]) for ref in sorted(self.meaning)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(pad(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"missed: {a} and {b} stand for the same" for a, b in sorted(true - found)]
        lines += [f"wrong: {a} and {b} were merged" for a, b in sorted(found - true)]
        lines.append(
            f"pairs of labels that stand for the same: {len(true)} in truth, {len(found)} found, "
            f"{len(found & true)} of them right"
        )
        return "\n".join([str(self.result.report), "", repr(self.result), "", *lines])


def run_demo(seed: int = 42) -> DemoOutcome:
    """Generate, align and compare.

    Args:
        seed: of the corpora, the encoder and the taggers.
    """
    corpora = generate_corpora(seed)
    with tempfile.TemporaryDirectory() as folder:
        say("making a small encoder from the text of the three corpora")
        make_demo_encoder(corpora, folder, seed)
        with quiet_libraries():
            sources = [load_source(corpus.dataset, name=corpus.name) for corpus in corpora]
        result = align(sources, encoder=folder, lam=LAMBDA, tau=TAU, seed=seed)
    return DemoOutcome(result, {label: kind for corpus in corpora for label, kind in corpus.meaning.items()})


def make_demo_encoder(corpora: Sequence[DemoCorpus], path: str | os.PathLike[str], seed: int) -> None:
    """Pretrain a small encoder on the train text of generated corpora and write it to a folder."""
    from esnera_hf.modeling.small_encoder import make_encoder

    with quiet_libraries():
        make_encoder([row for corpus in corpora for row in corpus.dataset["train"]["tokens"]], path, seed)


def _pairs(group: Mapping[LabelRef, str]) -> set[tuple[LabelRef, LabelRef]]:
    return {
        (a, b) for a, b in combinations(sorted(group), 2) if a.source != b.source and group[a] == group[b]
    }
