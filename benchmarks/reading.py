"""How long does it take to read, check and screen many sentences?

Generates two column files of sentences with 25 words each, reads them (every
defect counted), looks for duplicates within and between them and screens them
against each other. Prints a Markdown table of wall time, one process.

    python benchmarks/reading.py --max-samples 50000
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from command_line import benchmark_parser

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.sources.duplicates import find_duplicates
from esnera_hf.sources.load import load_source
from esnera_hf.sources.overlap import mention_overlap

WORDS = 25
VOCABULARY = 20_000
LABELS = ("PER", "ORG", "LOC", "MISC")


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--max-samples", type=int, default=50_000, help="in each of two corpora")
    options = parser.parse_args()
    rows = []
    with TemporaryDirectory() as folder, quiet_libraries():
        files = [Path(folder) / f"{name}.conll" for name in "ab"]
        for seed, file in enumerate(files):
            file.write_text(generated(options.max_samples, seed), encoding="utf-8")
        started = time.perf_counter()
        sources = [load_source(file) for file in files]
        for source in sources:
            _ = source.summary
        rows.append(("read and checked", time.perf_counter() - started))
        started = time.perf_counter()
        duplicates = find_duplicates(sources)
        rows.append((f"duplicates ({len(duplicates.pairs):,} pairs)", time.perf_counter() - started))
        started = time.perf_counter()
        screening = mention_overlap(sources)
        rows.append((f"screened ({len(screening.overlaps)} labels)", time.perf_counter() - started))
    print(f"| 2 × {options.max_samples:,} sentences of {WORDS} words | seconds |\n| --- | ---: |")
    for what, seconds in [*rows, ("together", sum(seconds for _, seconds in rows))]:
        print(f"| {what} | {seconds:.1f} |")


def generated(sentences: int, seed: int) -> str:
    """Return column text: words of a Zipf-like vocabulary, about two entities a sentence."""
    choose = random.Random(seed)
    words = [f"w{number}" for number in range(VOCABULARY)]
    weights = [1 / (rank + 10) for rank in range(VOCABULARY)]
    lines = []
    for _ in range(sentences):
        tags = ["O"] * WORDS
        for _ in range(2):
            start = choose.randrange(WORDS - 2)
            if tags[start : start + 2] == ["O", "O"]:
                label = choose.choice(LABELS)
                tags[start : start + 2] = [f"B-{label}", f"I-{label}"]
        chosen = choose.choices(words, weights, k=WORDS)
        lines += [f"{word}\t{tag}\n" for word, tag in zip(chosen, tags, strict=True)]
        lines.append("\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
