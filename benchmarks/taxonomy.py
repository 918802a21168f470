"""How near does the coarse cut come to a coarse schema that a person made? B-cubed F1, and where linking should stop.

Reads for each group of corpora the similarities of an alignment and its coarse schema, and compares the outermost
labels without umbrellas, plain average linkage, and the umbrellas of the package. The bound of relatedness is chosen
for each group on the mean of all other groups; that of the package is the one chosen on all of them.

    python benchmarks/taxonomy.py zh=similarity.json,benchmarks/quality/coarse/zh.json en=…,… bio=…,…

``similarity.json`` holds ``SimilarityMatrix.to_dict()``. Takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from command_line import benchmark_parser
from quality.figures import b_cubed
from quality.gold import read_coarse
from quality.renaming import without_lexicon

from esnera_hf.alignment import umbrellas
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.similarity.matrix import SimilarityMatrix

#: Differences of mean F1 below a point are a label or two.
TIED = 0.01
BOUNDS = np.round(np.arange(0.03, 0.7, 0.02), 2)
Scores = tuple[float, float, float]


class Group:
    """Corpora with a coarse schema.

    Attributes:
        schema: the class of each label.
        merged: the mapping by equivalence, without umbrellas.
        figures, unlisted: at each bound, B-cubed and the number of outermost labels; as they are, and where the
            lexicon lists no name.
    """

    def __init__(self, similarities: Path, coarse: Path) -> None:
        self.schema = read_coarse(coarse)
        matrix = SimilarityMatrix.from_dict(json.loads(similarities.read_text("utf-8")))
        self.matrix = matrix.restricted({label.source for label in self.schema})
        missing = sorted(set(self.matrix.labels) ^ set(self.schema))
        if missing:
            raise SystemExit(f"{coarse}: expected the labels of {similarities}, not in both: {missing}")
        self.merged = merge_equivalent(self.matrix)
        self.figures = self._at_each_bound(self.merged, self.matrix)
        with without_lexicon():
            measured = replace(self.matrix)  # its probabilities are worked out anew
            self.unlisted = self._at_each_bound(merge_equivalent(measured), measured)

    def _at_each_bound(self, merged: LabelMapping, matrix: SimilarityMatrix) -> list[tuple[Scores, int]]:
        return [self.scored(linked(merged, matrix, bound)) for bound in BOUNDS]

    def scored(self, mapping: LabelMapping) -> tuple[Scores, int]:
        """Return B-cubed of the outermost labels, and how many there are."""
        classes = {entry.label: mapping.root(entry.unified or "") for entry in mapping.entries}
        return b_cubed(classes, self.schema), len(mapping.tree.roots)

    def plain(self) -> list[tuple[Scores, int]]:
        """Return the figures of average linkage of all labels by the mean of both coverages, at each bound."""
        entries = tuple(MappedLabel(label, str(label)) for label in self.matrix.labels)
        mapping = LabelMapping(tuple(map(str, self.matrix.labels)), entries)
        coverage = np.nan_to_num(self.matrix.coverage)
        with mock.patch.object(umbrellas, "relatedness", return_value=(coverage + coverage.T) / 2):
            return [self.scored(linked(mapping, self.matrix, bound)) for bound in BOUNDS]


def linked(mapping: LabelMapping, matrix: SimilarityMatrix, bound: float) -> LabelMapping:
    """Return a mapping with umbrellas as they are at a bound."""
    with mock.patch.object(umbrellas, "BELONGS", bound):
        return umbrellas.add_umbrellas(mapping, matrix)


def chosen(figures: Sequence[list[tuple[Scores, int]]]) -> int:
    """Return the bound with the best mean F1 over groups, as its place among all.

    Of bounds that are as good to a point the middle one, which is farthest from where it gets worse.
    """
    means = np.mean([[scores[2] for scores, _ in rows] for rows in figures], axis=0)
    tied = np.flatnonzero(means >= means.max() - TIED)
    return int(tied[len(tied) // 2])


def main() -> None:
    """Print the figures of each group as Markdown."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("groups", nargs="+", metavar="NAME=SIMILARITIES,COARSE")
    pairs = [text.partition("=")[::2] for text in parser.parse_args().groups]
    groups = {name: Group(*map(Path, files.split(",", 1))) for name, files in pairs}
    ours = {name: group.figures for name, group in groups.items()}
    unlisted = {name: group.unlisted for name, group in groups.items()}
    plain = {name: group.plain() for name, group in groups.items()}
    print("| group | labels, classes | system | bound | outermost | P | R | F1 |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name, group in groups.items():
        size = f"{len(group.schema)}, {len(set(group.schema.values()))}"
        rows = [("without umbrellas", "–", group.scored(group.merged))]
        for system, figures in (
            ("average linkage of coverage", plain),
            ("umbrellas", ours),
            ("umbrellas, no name listed", unlisted),
        ):
            best = chosen([figures[name]])
            rows.append((system, f"{BOUNDS[best]:.2f}, best here", figures[name][best]))
            # One bound is for listed names and for others.
            kinds = (plain,) if figures is plain else (ours, unlisted)
            others = [kind[other] for kind in kinds for other in groups if other != name]
            if others:
                place = chosen(others)
                rows.append((system, f"{BOUNDS[place]:.2f}, of the others", figures[name][place]))
        fixed = int(np.flatnonzero(BOUNDS == umbrellas.BELONGS)[0])
        rows += [
            ("umbrellas", f"{umbrellas.BELONGS}, fixed", ours[name][fixed]),
            ("umbrellas, no name listed", f"{umbrellas.BELONGS}, fixed", unlisted[name][fixed]),
        ]
        for system, bound, (scores, count) in rows:
            cells = (name, size, system, bound, str(count), *(f"{score:.2f}" for score in scores))
            print(f"| {' | '.join(cells)} |")
    everywhere = BOUNDS[chosen([*ours.values(), *unlisted.values()])]
    print(f"\nChosen on all groups: {everywhere:.2f}, plain {BOUNDS[chosen(list(plain.values()))]:.2f}.")


if __name__ == "__main__":
    main()
