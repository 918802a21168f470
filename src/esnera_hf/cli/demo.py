"""``demo``: align generated corpora with a small encoder made on the spot, and compare with the truth."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf.cli.align import Commands, check_output

if TYPE_CHECKING:
    from esnera_hf.result import MergeResult
    from esnera_hf.tagging import LabelRef

    Pairs = set[tuple[LabelRef, LabelRef]]


def add_commands(commands: Commands) -> None:
    """Add the command."""
    demo = commands.add_parser(
        "demo",
        help="align three generated corpora and compare with the truth",
        description="Generate three small corpora whose true alignment is known, make a small encoder, align "
        "them, and print the mapping beside the truth. Needs no network and no data.",
    )
    demo.add_argument("--seed", type=int, default=42, help="of the corpora and the training (default: 42)")
    demo.add_argument("--output", type=Path, metavar="DIR", help="save the result here; must not exist")
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> None:
    check_output(options.output)
    outcome = run_demo(options.seed)
    if options.output is not None:
        outcome.result.save(options.output)
    print(outcome)
    if options.output is not None:
        print(f"saved to {options.output}")


@dataclass(frozen=True)
class DemoOutcome:
    """An alignment beside the kind of thing that each label stands for."""

    result: MergeResult
    meaning: Mapping[LabelRef, str]

    @property
    def merged_pairs(self) -> tuple[Pairs, Pairs]:
        """Pairs of labels of different sources with one meaning: in truth, and by the mapping."""
        return (
            self._pairs(lambda a, b: a < b and self.meaning[a] == self.meaning[b]),
            self._pairs(lambda a, b: a < b and self._unified(a) == self._unified(b)),
        )

    @property
    def part_pairs(self) -> tuple[Pairs, Pairs]:
        """Pairs of labels of different sources of which the first is a part of the second, likewise."""
        from esnera_hf.sources.synthetic import PARTS

        mapping = self.result.mapping
        return (
            self._pairs(lambda a, b: PARTS.get(self.meaning[a]) == self.meaning[b]),
            self._pairs(lambda a, b: self._unified(b) in mapping.ancestors(self._unified(a))),
        )

    def _unified(self, label: LabelRef) -> str:
        from esnera_hf.alignment.mapping import LEFT_OUT

        return self.result.mapping[label] or LEFT_OUT

    def _pairs(self, related: Callable[[LabelRef, LabelRef], bool]) -> Pairs:
        return {(a, b) for a, b in permutations(self.meaning, 2) if a.source != b.source and related(a, b)}

    def __str__(self) -> str:
        from esnera_hf._internal.text import pad
        from esnera_hf.sources.synthetic import PARTS

        def within(name: str, parent: str) -> str:
            return f"{name} (in {parent})" if parent else name

        rows = [("label", "merged into", "stands for")]
        for ref, kind in sorted(self.meaning.items()):
            parents = ", ".join(self.result.mapping.ancestors(self._unified(ref)))
            rows.append((str(ref), within(self._unified(ref), parents), within(kind, PARTS.get(kind, ""))))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(pad(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        counts = []
        for title, (true, merged), missed, wrong in (
            (
                "that stand for the same",
                self.merged_pairs,
                "{} and {} stand for the same",
                "{} and {} were merged",
            ),
            (
                "of which one is a part of the other",
                self.part_pairs,
                "{} is a part of {}",
                "{} was put below {}",
            ),
        ):
            lines += [f"missed: {missed.format(*pair)}" for pair in sorted(true - merged)]
            lines += [f"wrong: {wrong.format(*pair)}" for pair in sorted(merged - true)]
            right = len(merged & true)
            counts.append(
                f"pairs of labels {title}: {len(true)} in truth, {len(merged)} found, {right} of them right"
            )
        return "\n".join([str(self.result.report), "", repr(self.result), "", *lines, *counts])


def run_demo(seed: int = 42) -> DemoOutcome:
    """Generate three corpora, align them and compare.

    Args:
        seed: of the corpora, the encoder and the taggers.

    Raises:
        ConfigurationError: no generator takes the seed.
    """
    from esnera_hf._internal.console import quiet_libraries, say
    from esnera_hf.api import align
    from esnera_hf.modeling.encoders import make_encoder
    from esnera_hf.settings import AlignSettings
    from esnera_hf.sources.load import check_seed, load_source
    from esnera_hf.sources.synthetic import MEANING, generate_corpora
    from esnera_hf.taggers.settings import TaggerSettings

    check_seed(seed)
    corpora = generate_corpora(seed)
    with tempfile.TemporaryDirectory() as folder:
        say("making a small encoder from the text of the three corpora")
        with quiet_libraries():
            make_encoder(
                [row for splits in corpora.values() for row in splits["train"]["tokens"]], folder, seed
            )
            sources = [load_source(splits, name=name) for name, splits in corpora.items()]
        # The heads of a joint tagger with this encoder, which knows only the demo's text, take works for money.
        settings = AlignSettings(taggers=TaggerSettings("separate"))
        result = align(sources, encoder=folder, seed=seed, settings=settings)
    return DemoOutcome(result, MEANING)
