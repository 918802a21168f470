"""The demo: align generated corpora with a small encoder made on the spot, and compare with the truth."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from esnera_hf.api import align
from esnera_hf.console import quiet_libraries, say
from esnera_hf.demo.corpora import DemoCorpus, generate_corpora
from esnera_hf.evidence import EvidenceSettings
from esnera_hf.labels import LabelRef
from esnera_hf.result import MergeResult
from esnera_hf.sources import load_source
from esnera_hf.text import pad

TRAINING = {
    "learning_rate": 1e-3,
    "head_learning_rate": 5e-3,
    "num_train_epochs": 8,
    "per_device_train_batch_size": 32,
}


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
        return _pairs({label: self.result.mapping[label] for label in self.meaning})

    @property
    def true_pairs(self) -> set[tuple[LabelRef, LabelRef]]:
        """Pairs of labels of different sources that stand for one kind of thing."""
        return _pairs(self.meaning)

    def __str__(self) -> str:
        found, true = self.found_pairs, self.true_pairs
        rows = [("label", "merged into", "means", "")]
        for label in sorted(self.meaning):
            wrong = any(label in pair for pair in found ^ true)
            unified = self.result.mapping[label]
            rows.append((str(label), unified, self.meaning[label], "WRONG" if wrong else "right"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        table = ["  ".join(pad(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(
            [
                str(self.result.report),
                "",
                repr(self.result),
                "",
                *table,
                "",
                f"pairs of labels that mean the same: {len(true)} in truth, {len(found)} found, "
                f"{len(found & true)} of them right",
            ]
        )


def run_demo(seed: int = 42) -> DemoOutcome:
    """Generate, align and compare.

    Args:
        seed: of the corpora, the encoder and the taggers.
    """
    from esnera_hf.modeling.small_encoder import make_encoder

    corpora = generate_corpora(seed)
    with tempfile.TemporaryDirectory() as folder:
        with quiet_libraries():
            say("making a small encoder from the text of the three corpora")
            make_encoder([row for corpus in corpora for row in _texts(corpus)], folder, seed)
            sources = [load_source(corpus.dataset, name=corpus.name) for corpus in corpora]
        result = align(sources, encoder=folder, seed=seed, evidence=EvidenceSettings(training=TRAINING))
    return DemoOutcome(result, {label: kind for corpus in corpora for label, kind in corpus.meaning.items()})


def _texts(corpus: DemoCorpus) -> list[list[str]]:
    return [list(tokens) for tokens in corpus.dataset["train"]["tokens"]]


def _pairs(group: Mapping[LabelRef, str]) -> set[tuple[LabelRef, LabelRef]]:
    return {
        (a, b) for a, b in combinations(sorted(group), 2) if a.source != b.source and group[a] == group[b]
    }
