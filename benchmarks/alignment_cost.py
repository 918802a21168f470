"""CPU seconds and memory of a whole ``align`` with frozen evidence, by the number of corpora, nothing cached.

Takes the first corpora of ``DIR/jsonl`` by name, then halves of the larger ones where more are wanted, and writes them
to files; then aligns these in a process of its own for each number, on one core. Reading them from files does not count
among the seconds, importing the package does; memory is the largest that the process ever holds, mapped files included.

    python benchmarks/alignment_cost.py --data DIR --encoder ENCODER 3 18 50
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from command_line import benchmark_parser

_STEP, _WRITE, _ALIGN = "--step", "write", "align"


def main() -> None:
    """Print a row for each number of corpora."""
    parser = benchmark_parser(__doc__, "--data", "--encoder")
    parser.add_argument("--evidence", choices=("frozen", "surface"), default="frozen")
    parser.add_argument(_STEP, choices=(_WRITE, _ALIGN), help=argparse.SUPPRESS)
    parser.add_argument("numbers", nargs="+", type=int, metavar="N", help="of corpora")
    options = parser.parse_args()
    if options.step:
        {_WRITE: write, _ALIGN: one}[options.step](options)
        return
    print("| corpora | labels | sentences | CPU seconds | of them reading, similarity | peak memory, MB |")
    print("| ---: | ---: | ---: | ---: | --- | ---: |")
    for number in options.numbers:
        with TemporaryDirectory() as folder:
            variables = {**os.environ, "ESNERA_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, "--data", options.data, "--encoder", options.encoder]
            command += ["--evidence", options.evidence, str(number), _STEP]
            # A process inherits the peak of the one that starts it, so this one holds no corpora.
            for step in (_WRITE, _ALIGN):
                row = subprocess.run(
                    [*command, step], env=variables, check=True, stdout=subprocess.PIPE, text=True
                )
                print(row.stdout, end="")
    print(f"\nCommand: python {' '.join(sys.argv)}")


def write(options: argparse.Namespace) -> None:
    """Write the corpora to files, a folder each."""
    from quality.corpora import in_splits, read_corpora, sampled

    number = options.numbers[0]
    corpora = {name: sampled(rows, len(rows), 42) for name, rows in read_corpora(options.data).items()}
    larger = sorted(corpora, key=lambda name: -len(corpora[name]))[: max(0, number - len(corpora))]
    for name in larger:
        rows = corpora.pop(name)
        corpora |= {f"{name}-1": rows[::2], f"{name}-2": rows[1::2]}
    for name in sorted(corpora)[:number]:
        in_splits(corpora[name]).save_to_disk(written() / name)


def written() -> Path:
    """Return the folder that the corpora are written to."""
    return Path(os.environ["ESNERA_CACHE_DIR"]) / "corpora"


def one(options: argparse.Namespace) -> None:
    """Align once and print the row."""
    from datasets import load_from_disk

    from esnera_hf import align
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf.sources.load import load_source
    from esnera_hf.sources.options import ReadingOptions

    imported = time.process_time()
    reading = ReadingOptions(offsets="tokens")
    with quiet_libraries():
        sources = [
            load_source(load_from_disk(folder), name=folder.name, options=reading)
            for folder in sorted(written().iterdir())
        ]
    started = time.process_time()
    result = align(sources, encoder=options.encoder, evidence=options.evidence)
    seconds = imported + time.process_time() - started
    times = result.report.seconds
    shares = f"{times['reading']:.0f}, {times['similarity']:.0f} of {times['total']:.0f} s wall"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sentences = sum(len(rows) for rows in result.dataset.values())
    print(
        f"| {len(sources)} | {len(result.mapping.entries)} | {sentences:,} | {seconds:.0f} | {shares} | {memory:,} |"
    )


if __name__ == "__main__":
    main()
