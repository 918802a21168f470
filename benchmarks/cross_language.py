"""How right are alignments across languages? What the semantic similarity and what taggers still say there.

Trains one joint tagger on a sample of corpora of several languages and judges the pairs of labels of corpora whose
languages differ, as ``alignment_quality.py`` does those of one language; equal pairs of medium confidence count, too,
as there are few. Prints Markdown.

    python benchmarks/cross_language.py --data DIR --gold gold_alignments.json --max-samples 300 --epochs 5 --bf16 \
        uner_en_ewt germeval14 uner_pt_bosque danplus uner_zh_gsdsimp stockmark_ja klue_ko
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quality.case import gather_case
from quality.corpora import languages, read_corpora
from quality.encoders import cut_encoder
from quality.options import add_training_options
from quality.tables import (
    breakdown_table,
    merges_table,
    mistakes_table,
    ranking_table,
    relations_table,
    selected,
)

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries


def main() -> None:
    """Judge the pairs across languages and print the tables."""
    options = parsed()
    started = time.perf_counter()
    corpora = read_corpora(options.data, options.corpora)
    language = languages(options.data, corpora)
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        options.encoder = cut_encoder(options.encoder, options.layers, Path(options.cache or folder))
        case = gather_case("", corpora, options.gold, options)
    if case is None:
        raise SystemExit(f"{options.gold} lists no pair of these corpora.")
    across = selected(
        case,
        lambda pair: (
            (pair.sure or pair.relation == "equal")
            and language[pair.first.source] != language[pair.second.source]
        ),
    )
    for table in (
        merges_table(across, "Across languages"),
        ranking_table(across),
        relations_table(across),
        breakdown_table(
            across,
            "By languages",
            lambda pair, _: " – ".join(sorted((language[pair.first.source], language[pair.second.source]))),
        ),
        mistakes_table(across),
    ):
        print(*table, sep="\n")
    minutes = (time.perf_counter() - started) / 60
    print(f"{minutes:.0f} minutes. Command: python {' '.join(sys.argv)}")


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="+", help="of two or more languages")
    parser.add_argument("--data", type=Path, required=True, help="holds jsonl/NAME.SPLIT.jsonl.gz")
    parser.add_argument("--gold", type=Path, required=True, help="relations between labels")
    add_training_options(parser, sentences=300)
    return parser.parse_args()


if __name__ == "__main__":
    main()
