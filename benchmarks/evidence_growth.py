"""What does the evidence cost with more corpora? One joint tagger beside a tagger a corpus.

Takes the first 2, 4, 8, … English corpora of ``DIR/jsonl``, the same number of sentences of each, and gathers all
evidence twice from an empty cache: with one joint tagger, which reads each corpus once, and with a tagger a corpus,
each of which reads all. Prints Markdown: CPU seconds of training, of predictions, and of all, and seconds a corpus.

    python benchmarks/evidence_growth.py --data DIR --max-samples 200 --epochs 2 --numbers 2 4 8 13
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from quality.corpora import as_source, languages, read_corpora, sampled
from quality.encoders import cut_encoder
from quality.options import add_training_options, evidence_settings

from esnera_hf._internal.cache import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.similarity.evidence import EvidenceSettings, gather_evidence
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.source_taggers import own_taggers

WAYS: tuple[Literal["joint", "separate"], ...] = ("joint", "separate")


def main() -> None:
    """Gather the evidence of more and more corpora, and print a row each time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="holds jsonl/NAME.SPLIT.jsonl.gz")
    parser.add_argument("--language", default="en")
    parser.add_argument("--numbers", type=int, nargs="+", default=[2, 4, 8, 13], help="of corpora")
    add_training_options(parser, sentences=200)
    parser.set_defaults(batch_size=32)
    options = parser.parse_args()
    corpora = read_corpora(options.data)
    language = languages(options.data, corpora)
    chosen = [name for name in corpora if language[name] == options.language]
    print("| corpora | taggers | training | predictions and the rest | all, CPU s | a corpus |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder, quiet_libraries():
        encoder = cut_encoder(options.encoder, options.layers, Path(folder))
        for number in options.numbers:
            sources = [
                as_source(name, sampled(corpora[name], options.sentences, options.seed))
                for name in chosen[:number]
            ]
            for way in WAYS:
                settings = replace(evidence_settings(options, sources), taggers=way)
                trained, rest = measured(sources, encoder, settings)
                total = trained + rest
                cells = f"{trained:.0f} | {rest:.0f} | {total:.0f} | {total / len(sources):.1f}"
                print(f"| {len(sources)} | {way} | {cells} |", flush=True)
    print(f"\nCommand: python {' '.join(sys.argv)}")


def measured(sources: list[NerSource], encoder: str, settings: EvidenceSettings) -> tuple[float, float]:
    """Return the CPU seconds of the trainings, and of all that follows, from an empty cache."""
    with TemporaryDirectory() as cache:
        os.environ[CACHE_VARIABLE] = cache
        started = time.process_time()
        own_taggers(sources, settings.plan(encoder))
        trained = time.process_time()
        gather_evidence(sources, encoder, settings)
        return trained - started, time.process_time() - trained


if __name__ == "__main__":
    main()
