"""Do several processes predict the same bytes as one, and how much faster?

Lets 1, 2, … processes, launched by accelerate, read a split of a source with
one saved tagger, and prints for each the seconds from the loaded tagger to the
finished file, their ratio to those of one process, and a digest of the file.
Every process has one thread. A ratio means something only where each process
has a core or a GPU to itself: cores and load are printed beside it.

    python benchmarks/processes.py TAGGER SOURCE --processes 1 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command_line import benchmark_parser

from esnera_hf import Tagger, load_source
from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.processes import is_main_process
from esnera_hf.modeling.distributed import wait_for_all
from esnera_hf.modeling.tokenization import CHUNK, device
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.taggers.predictions import Read, cache_reading

FILE = "predictions.parquet"


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("tagger")
    parser.add_argument("source")
    parser.add_argument("--split", default="train")
    parser.add_argument("--max-samples", type=int, help="use at most so many a split")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--port", type=int, default=29500, help="by which processes meet")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.result is not None:
        predict(options)
        return
    print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}, chunks of {CHUNK:,} sentences")
    print(
        "| processes | device | sentences | seconds | ratio | digest |\n| ---: | --- | ---: | ---: | ---: | --- |"
    )
    results = [launch(options, count) for count in options.processes]
    for count, result in zip(options.processes, results, strict=True):
        print(
            f"| {count} | {result['device']} | {result['sentences']:,} | {result['seconds']:.1f} | "
            f"{results[0]['seconds'] / result['seconds']:.2f} | {result['digest']} |"
        )
    same = len({result["digest"] for result in results}) == 1
    print("the same bytes" if same else "DIFFERENT BYTES")
    sys.exit(not same)


def launch(options: argparse.Namespace, count: int) -> dict[str, object]:
    """Run the prediction in so many processes, with an empty cache, and return what came of it."""
    several = ["--multi_gpu"] if count > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [
            *(sys.executable, "-m", "accelerate.commands.launch", *several, "--num_processes", count),
            *("--num_machines", 1, "--mixed_precision", "no", "--dynamo_backend", "no"),
            *("--main_process_port", options.port, __file__, options.tagger, options.source),
            *("--split", options.split, "--result", result),
            *(["--max-samples", options.max_samples] if options.max_samples else []),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", CACHE_VARIABLE: folder}
        subprocess.run([str(part) for part in command], env=environment, check=True)
        return dict(json.loads(result.read_text(encoding="utf-8")))


def predict(options: argparse.Namespace) -> None:
    """Predict as one of the processes."""
    with quiet_libraries():
        source = load_source(options.source)
        if options.max_samples:
            source = source.sample(options.max_samples, 42)
        tagger = Tagger.from_pretrained(options.tagger)
    tagger.model.to(device())

    def loaded() -> Read:
        def read(chunk: Sequence[AnnotatedSentence]) -> Any:
            words = [sentence.tokens for sentence in chunk]
            return ((entities,) for entities in tagger.predict(words)), None

        return read

    artifact = Artifact("predictions", {"tagger": options.tagger})
    sentences = len(source.dataset[options.split])
    wait_for_all()
    started = time.perf_counter()
    cache_reading(artifact, [FILE], loaded, source, options.split, f"reading {source.name}")
    seconds = time.perf_counter() - started
    if is_main_process():
        digest = hashlib.blake2b((artifact.folder / FILE).read_bytes(), digest_size=8).hexdigest()
        facts = {"device": device().type, "sentences": sentences, "seconds": seconds, "digest": digest}
        options.result.write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
