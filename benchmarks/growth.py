"""How do time and memory grow with the number of sentences?

Generates three corpora of made-up words whose labels partly disagree, with a
known number of sentences of one that stand in another's test split, too. Then
runs each stage in a process of its own and prints a Markdown table: seconds of
CPU, sentences a second of CPU and the most memory that was resident, pages of
memory-mapped files included. Models are tiny and have random weights: what is measured is
everything around them. They are stopped after ``--model-seconds``; how many
sentences they had seen by then is in the table.

    python benchmarks/growth.py --sizes 10000 100000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from command_line import benchmark_parser
from growth_stages import STAGES, Context, Measured, generate, prepare


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000], help="in all corpora")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--model-seconds", type=float, default=600, help="after which models are stopped")
    parser.add_argument("--folder", type=Path, help="keep what is generated here, and use it again")
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        name, size = options.stage
        run_stage(name, options.folder / size, int(size), options.model_seconds)
        return
    with TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        rows: dict[str, dict[int, Measured]] = {name: {} for name in options.stages}
        for size in options.sizes:
            for name in ("generate", "prepare"):
                in_process(name, folder, size, options.model_seconds)
            for name in options.stages:
                found = in_process(name, folder, size, options.model_seconds)
                rows[name][size] = found
                print(f"{size:,} {name}: {found}", file=sys.stderr, flush=True)
    print_table(rows, options.sizes)


def in_process(name: str, folder: Path, size: int, model_seconds: float) -> Measured:
    """Run a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", name, str(size), "--folder", str(folder)]
    command += ["--model-seconds", str(model_seconds)]
    quiet = {"OMP_NUM_THREADS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env={**os.environ, **quiet}, stdout=subprocess.PIPE, check=True, text=True)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def run_stage(name: str, folder: Path, size: int, model_seconds: float) -> None:
    """Run a stage and print what it took as JSON, the peak before anything is kept for the next stages."""
    folder.mkdir(parents=True, exist_ok=True)
    stage = {"generate": generate, "prepare": prepare, **STAGES}[name]
    context = Context(folder, size, model_seconds)
    print(json.dumps(stage(context)))


def print_table(rows: dict[str, dict[int, Measured]], sizes: list[int]) -> None:
    head = "".join(f" {size:,}: seconds | sentences/s | peak MB |" for size in sizes)
    print(f"| stage |{head}\n| --- |{' ---: | ---: | ---: |' * len(sizes)}")
    notes = []
    for name, cells in rows.items():
        line = ""
        for size in sizes:
            found = cells[size]
            speed = f"{found.sentences / found.seconds:,.0f}" if found.sentences else ""
            line += f" {found.seconds:.1f} | {speed} | {found.peak:,.0f} |"
            if found.note:
                notes.append(f"{name}, {size:,}: {found.note}")
            if name in ("predict", "mention sums"):
                notes.append(f"{name}, {size:,}: {found.sentences:,} sentences seen")
        print(f"| {name} |{line}")
    print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
