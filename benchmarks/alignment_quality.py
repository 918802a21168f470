"""How right are the alignments? Merges and relations against gold, beside what needs no training and the paper.

Reads every corpus of ``DIR/jsonl``, pools its splits, compares the corpora of each language by frozen evidence (or by
a joint tagger trained on a sample, ``--evidence taggers``), and judges each pair of labels of each pair of corpora of
one language that the gold file lists, and what it entails.
Labels with fewer than ten mentions are left out, and so are the pairs that the gold lists with less than high
confidence, but for one table. Prints Markdown and ends with the F1 of equal merges of ``method="equivalence"``.

    python benchmarks/alignment_quality.py --data DIR --gold gold_alignments.json --traps gold_traps.json

It takes some seconds a corpus; with taggers about an hour on two cores for 18 corpora, which ``--max-samples`` and
``--epochs`` make shorter. With ``--cache FOLDER`` an interrupted run goes on, and the next one reads nothing anew.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from command_line import benchmark_parser
from quality.case import Case, gather_case
from quality.corpora import languages, read_corpora
from quality.figures import b_cubed, calibration, f1_of, macro_f1
from quality.gold import RELATIONS, read_coarse, read_traps, truth
from quality.options import add_training_options, cut_encoder
from quality.tables import (
    OURS,
    breakdown_table,
    joined,
    merges_table,
    mistakes_table,
    ranking_table,
    relations_table,
    selected,
    surface_table,
    traps_table,
)

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.tagging import LabelRef


def main() -> None:
    """Judge every system and print the tables."""
    options = parsed()
    started = time.perf_counter()
    corpora = read_corpora(options.data)
    language = languages(options.data, corpora)
    cases = []
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        if options.evidence == "taggers":
            options.encoder = cut_encoder(options.encoder, options.layers, Path(options.cache or folder))
        for code in sorted(set(language.values())):
            chosen = {name: rows for name, rows in corpora.items() if language[name] == code}
            if len(chosen) > 1:
                say(f"{code}: {', '.join(chosen)}")
                case = gather_case(code, chosen, options.gold, options)
                cases += [] if case is None else [case]
    if not cases:
        raise SystemExit(
            f"{options.gold} lists no pair of corpora of one language that {options.data} holds."
        )
    everything = joined(cases)
    case = selected(everything, lambda pair: pair.sure)
    known = {LabelRef(n, label) for n, rows in corpora.items() for row in rows for _, _, label in row.spans}
    for table in (
        merges_table(case, "All pairs"),
        merges_table(selected(case, lambda pair: pair.kin == "independent"), "Independent corpora"),
        merges_table(
            selected(everything, lambda pair: pair.sure or pair.relation != "equal"),
            "Other relations of medium and low confidence counted as not equal",
        ),
        ranking_table(case),
        surface_table(case),
        relations_table(case),
        breakdown_table(case, "By language", lambda pair, code: code),
        breakdown_table(case, "By kinship of the corpora", lambda pair, code: pair.kin),
        breakdown_table(case, "By mentions of the rarer label", lambda pair, code: bucket(pair.support)),
        breakdown_table(
            case, "By pair of corpora", lambda pair, code: f"{pair.first.source}, {pair.second.source}"
        ),
        mistakes_table(case),
        traps_table(read_traps(options.traps), known, case),
    ):
        print(*table, sep="\n")
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} seconds. Command: python {' '.join(sys.argv)}\n")
    print(*summary(case, options.gold.with_name("coarse.json")), sep="\n")


def summary(case: Case, coarse: Path) -> Iterator[str]:
    """Yield the figures that most people look for, the F1 of equal merges last."""
    ours, equal = case.systems[OURS], truth(case.pairs)
    relations = macro_f1(list(ours.relations or ()), [pair.relation for pair in case.pairs], RELATIONS)[0]
    error, slope = calibration(np.nan_to_num(ours.scores), equal)
    yield f"relations macro-F1: {relations:.2f}"
    yield f"equal pairs: {np.nansum(ours.scores):.1f} expected, {equal.sum()} in the gold, {ours.merged.sum()} merged"
    yield f"calibration error of P(equal): {error:.3f}, slope {slope:.2f}"
    listed = read_coarse(coarse) if coarse.is_file() else {}
    classes = {label: kind for label, kind in listed.items() if label in case.roots}
    if classes:
        scores = b_cubed(case.roots, classes)
        yield f"B-cubed of the coarse cut: P {scores[0]:.2f}, R {scores[1]:.2f}, F1 {scores[2]:.2f}"
    yield f"F1 of equal merges: {f1_of(ours.merged, equal).f1:.2f}"


def bucket(mentions: int) -> str:
    """Return the range that a number of mentions falls into."""
    for least, name in ((500, "500 and more"), (50, " 50 to 499")):
        if mentions >= least:
            return name
    return " 10 to 49"


def say(text: str) -> None:
    """Print progress where tables do not go."""
    print(text, file=sys.stderr, flush=True)


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--data", "--gold")
    parser.add_argument("--traps", type=Path, required=True, help="pairs of labels that must not be merged")
    add_training_options(parser, sentences=800)
    return parser.parse_args()


if __name__ == "__main__":
    main()
