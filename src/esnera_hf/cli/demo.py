"""``demo``: align generated corpora with a small encoder made on the spot, and compare with the truth."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Mapping
from itertools import combinations, permutations
from pathlib import Path
from typing import TYPE_CHECKING

from esnera_hf._internal.console import quiet_libraries, say
from esnera_hf._internal.text import in_columns
from esnera_hf.cli.options import OUTPUT_FOLDER, Commands, add_command, check_output

if TYPE_CHECKING:
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.result import MergeResult
    from esnera_hf.tagging import LabelRef

    Pairs = set[tuple[LabelRef, LabelRef]]


def add_commands(commands: Commands) -> None:
    """Add the command."""
    demo = add_command(
        commands,
        "demo",
        _demo,
        "align three generated corpora and compare with the truth",
        "Generate three small corpora whose true alignment is known, make a small encoder, align "
        "them, and print the mapping beside the truth. Needs no network and no data. --output also writes the "
        "corpora as files, and the encoder, to go on with.",
        epilog="",
    )
    demo.add_argument("--seed", type=int, default=42, help="of the corpora and the training (default: 42)")
    demo.add_argument("--output", **OUTPUT_FOLDER)


def _demo(options: argparse.Namespace) -> None:
    from esnera_hf.sources.synthetic import MEANING

    check_output(options.output)
    result = run_demo(options.seed)
    if options.output is not None:
        result.save(options.output)
    print(result.report, "", repr(result), "", compared(result.mapping, MEANING), sep="\n")
    if options.output is not None:
        corpora = " ".join(shlex.quote(str(folder)) for folder in write_corpora(options.output, options.seed))
        print(f"saved to {options.output}, its corpora as files; go on with")
        print(f"  esnera-hf screen {corpora}")
        print(f"  esnera-hf review {shlex.quote(str(options.output))}")


def write_corpora(folder: Path, seed: int) -> list[Path]:
    """Write the corpora as column files and the encoder made from them into a folder; return those of the corpora."""
    from esnera_hf.merging.export import export
    from esnera_hf.modeling.encoders import make_encoder
    from esnera_hf.sources.load import load_source
    from esnera_hf.sources.synthetic import generate_corpora

    corpora = generate_corpora(seed)
    with quiet_libraries():
        for name, splits in corpora.items():
            export(load_source(splits, name=name), folder / "corpora" / name, "conll")
        texts = [row for splits in corpora.values() for row in splits["train"]["tokens"]]
        make_encoder(texts, folder / "encoder", seed)
    return [folder / "corpora" / name for name in corpora]


def run_demo(seed: int = 42) -> MergeResult:
    """Generate three corpora and align them; the seed is also that of the encoder and the taggers.

    Raises:
        ConfigurationError: no generator takes the seed.
    """
    from esnera_hf.api import align
    from esnera_hf.modeling.encoders import make_encoder
    from esnera_hf.settings import AlignSettings
    from esnera_hf.sources.load import check_seed, load_source
    from esnera_hf.sources.synthetic import generate_corpora
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
        # Light heads want a pretrained encoder. This one knows only the demo's text: with them, or with the heads of a
        # joint tagger, money and prizes are one.
        settings = AlignSettings(taggers=TaggerSettings("separate"))
        return align(sources, encoder=folder, evidence="taggers", seed=seed, settings=settings)


def merged_pairs(mapping: LabelMapping, meaning: Mapping[LabelRef, str]) -> tuple[Pairs, Pairs]:
    """Return the pairs of labels of different sources with one meaning: in truth, and by the mapping."""
    pairs = [(a, b) for a, b in combinations(sorted(meaning), 2) if a.source != b.source]
    true, merged = (
        {(a, b) for a, b in pairs if meaning_of[a] == meaning_of[b]} for meaning_of in (meaning, mapping)
    )
    return true, merged


def part_pairs(mapping: LabelMapping, meaning: Mapping[LabelRef, str]) -> tuple[Pairs, Pairs]:
    """Return the pairs of labels of different sources of which the first is a part of the second, likewise."""
    from esnera_hf.sources.synthetic import PARTS

    pairs = [(a, b) for a, b in permutations(meaning, 2) if a.source != b.source]
    return (
        {(a, b) for a, b in pairs if PARTS.get(meaning[a]) == meaning[b]},
        {(a, b) for a, b in pairs if mapping[b] in mapping.ancestors(mapping[a] or "")},
    )


def compared(mapping: LabelMapping, meaning: Mapping[LabelRef, str]) -> str:
    """Return a table of the mapping beside the truth, and what is missed or wrong."""
    from esnera_hf.alignment.mapping_yaml import LEFT_OUT
    from esnera_hf.sources.synthetic import PARTS

    def within(name: str, parent: str) -> str:
        return f"{name} (in {parent})" if parent else name

    rows = [("label", "merged into", "stands for")]
    for ref, kind in sorted(meaning.items()):
        unified = mapping[ref] or LEFT_OUT
        parents = ", ".join(mapping.ancestors(unified))
        rows.append((str(ref), within(unified, parents), within(kind, PARTS.get(kind, ""))))
    lines = [in_columns(rows)]
    counts = []
    same = ("that stand for the same", "{} and {} stand for the same", "{} and {} were merged")
    parts = ("of which one is a part of the other", "{} is a part of {}", "{} was put below {}")
    for (title, missed, wrong), pairs in ((same, merged_pairs), (parts, part_pairs)):
        true, merged = pairs(mapping, meaning)
        lines += [f"missed: {missed.format(*pair)}" for pair in sorted(true - merged)]
        lines += [f"wrong: {wrong.format(*pair)}" for pair in sorted(merged - true)]
        right = len(merged & true)
        counts.append(
            f"pairs of labels {title}: {len(true)} in truth, {len(merged)} found, {right} of them right"
        )
    return "\n".join([*lines, *counts])
