"""Is a GPU used well, and does it give what a CPU gives?

One script of at most eight minutes on one GPU. It generates three small corpora
of made-up words and measures frozen evidence, the training of a joint tagger in
32 bits and in bfloat16, and prediction: sentences and tokens a second, the mean
utilisation that nvidia-smi reports, and the share of the GPU's arithmetic peak
that the matrix products of the encoder come to. Then it aligns and predicts on
the CPU, too, in a process of its own, and compares the mapping and F1.

    python benchmarks/gpu.py --encoder ENCODER
    python benchmarks/gpu.py --encoder ENCODER --group         # in a process group of one, over NCCL
    python benchmarks/gpu.py --encoder tiny --sentences 300    # anywhere, to see that it runs

The exit code is 1 where mapping or F1 differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from command_line import benchmark_parser
from growth_corpora import KINDS, NAMES, SOURCES, VOCABULARY, made_up, make_models, write_source

from esnera_hf import NerSource, Tagger, align, load_source
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.metrics import score_tags
from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.modeling.tokenization import device, has_bfloat16
from esnera_hf.taggers.light_heads import LAYERS, make_light_heads
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import train_source_taggers
from esnera_hf.tagging import tags_from_entities

#: Operations a second of dense matrix products, by GPU and width of the numbers, as NVIDIA states them.
PEAKS = {
    "H200": {"fp32": 67e12, "bf16": 989e12},
    "H100": {"fp32": 67e12, "bf16": 989e12},
    "A100": {"fp32": 19.5e12, "bf16": 312e12},
    "L4": {"fp32": 30.3e12, "bf16": 121e12},
    "T4": {"fp32": 8.1e12},
}
#: Products of a training step beside those of a forward pass: the backward pass has two for each.
_TRAINING = 3
#: The same weights may differ so much in F1 between GPU and CPU: of two paths of like score the other is best.
_F1_TOLERANCE = 0.002
#: Sentences that the CPU predicts, too, so that it is done in a minute.
_COMPARED = 500


class Stage(NamedTuple):
    """What a stage took; ``operations`` are those of the encoder's matrix products, 0 where they are not known."""

    name: str
    width: str
    sentences: int
    tokens: int
    seconds: float
    busy: float | None
    operations: float


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--encoder", required=True, help="a folder or Hub id; 'tiny': one of random weights")
    parser.add_argument("--sentences", type=int, default=12_000, help="of all three corpora")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument(
        "--group", action="store_true", help="join a process group of one, over NCCL on a GPU"
    )
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with quiet_libraries():
        if options.work is not None:
            print(json.dumps(results(options.work, options.encoder)))
            return
        with TemporaryDirectory() as folder:
            sys.exit(not run(options, Path(folder)))


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Measure, print the table, and return whether the GPU gave what the CPU gives."""
    os.environ[CACHE_VARIABLE] = str(folder / "cache")
    if options.group:
        join_group()
    words = made_up(np.random.default_rng(0), VOCABULARY + len(KINDS) * NAMES)
    for name in SOURCES:
        write_source(folder / "text" / name, options.sentences, name, words)
    encoder = options.encoder
    if encoder == "tiny":
        make_models(folder)
        encoder = str(folder / "encoder")
    print_table(measure(load(folder), encoder, options.epochs, folder))
    command = [sys.executable, __file__, "--encoder", encoder, "--work", str(folder)]
    variables = {
        "ACCELERATE_USE_CPU": "true",
        "CUDA_VISIBLE_DEVICES": "",
        CACHE_VARIABLE: str(folder / "cpu"),
    }
    rest = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(command, env=rest | variables, stdout=subprocess.PIPE, text=True, check=True)
    there, here = json.loads(done.stdout.splitlines()[-1]), results(folder, encoder)
    same_mapping = there["mapping"] == here["mapping"]
    close = abs(there["f1"] - here["f1"]) <= _F1_TOLERANCE
    print(f"\nmapping on {device().type} and CPU: {'the same' if same_mapping else 'DIFFERENT'}")
    print(f"F1 of the same tagger on {device().type}: {here['f1']:.4f}; on the CPU: {there['f1']:.4f}")
    if not there["f1"]:
        print(
            "The tagger has learnt nothing, so F1 says nothing: take a pretrained encoder and more sentences."
        )
    return same_mapping and close


def join_group() -> None:
    """Join a process group of one and let it add up a tensor."""
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "RANK": "0", "WORLD_SIZE": "1"}
    os.environ.update({name: os.environ.get(name, value) for name, value in variables.items()})
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend)
    tensor = torch.ones(1_000_000, device="cuda" if backend == "nccl" else "cpu")
    torch.distributed.all_reduce(tensor)
    size = torch.distributed.get_world_size()
    print(f"process group of {size} over {backend}, sum {tensor.sum():,.0f}")


def load(folder: Path) -> list[NerSource]:
    return [load_source(folder / "text" / name) for name in SOURCES]


def measure(sources: list[NerSource], encoder: str, epochs: int, folder: Path) -> list[Stage]:
    """Run the stages; the tagger of the last training is saved beside the corpora."""
    stages: list[Stage] = []
    model = MentionEncoder(encoder).model
    inner = sum(p.numel() for name, p in model.named_parameters() if "embedding" not in name)

    def timed(name: str, width: str, size: tuple[int, int], products: int, work: Callable[[], Any]) -> Any:
        with utilisation() as seen:
            started = time.perf_counter()
            result = work()
            if device().type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - started
        busy = sum(seen) / len(seen) if seen else None
        # Two operations, a product and a sum, for each weight and token.
        stages.append(Stage(name, width, *size, seconds, busy, 2.0 * inner * size[1] * products))
        return result

    title = f"frozen evidence of {len(sources)} corpora, {LAYERS} layers"
    timed(title, "fp32", (0, 0), 0, lambda: make_light_heads(sources, encoder, 42))
    heads: Any = None
    train = sum(len(source.dataset["train"]) for source in sources)
    tokens = sum(source.summary.tokens["train"] for source in sources)
    size = train * epochs, tokens * epochs
    for width in ("fp32", "bf16")[: 1 + has_bfloat16()]:
        arguments = {"num_train_epochs": epochs, "bf16": width == "bf16"}
        settings = TaggerSettings("joint", arguments)
        work = lambda settings=settings: train_source_taggers(sources, encoder, settings, ())  # noqa: E731
        heads = timed(f"joint training, {epochs} epochs", width, size, _TRAINING, work)
    tagger = heads["a"].load()
    tagger.save_pretrained(folder / "trained")
    rows = [sentence.tokens for sentence in sources[0].sentences("train")]
    list(tagger.predict(rows[:100]))  # what is compiled or loaded at first is no throughput
    width = "bf16" if has_bfloat16() else "fp32"
    size = len(rows), sum(map(len, rows))
    timed("prediction", width, size, 1, lambda: list(tagger.predict(rows)))
    return stages


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Give the shares of time in which the GPU was busy, asked for every half second; none without nvidia-smi."""
    seen: list[float] = []
    over = threading.Event()
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def watch() -> None:
        while not over.wait(0.5):
            try:
                seen.append(float(subprocess.check_output(query, text=True).split()[0]) / 100)
            except (OSError, subprocess.CalledProcessError, ValueError):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def print_table(stages: list[Stage]) -> None:
    gpu = torch.cuda.get_device_name() if device().type == "cuda" else ""
    peaks = next((peaks for name, peaks in PEAKS.items() if name in gpu), {})
    print(f"{gpu or 'CPU'}, torch {torch.__version__}\n")
    print("| stage | width | seconds | sentences/s | tokens/s | busy | share of peak |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for stage in stages:
        speeds = [f"{n / stage.seconds:,.0f}" if n else "–" for n in (stage.sentences, stage.tokens)]
        busy = "–" if stage.busy is None else f"{stage.busy:.0%}"
        peak = peaks.get(stage.width)
        share = f"{stage.operations / stage.seconds / peak:.1%}" if peak and stage.operations else "–"
        cells = (stage.name, stage.width, f"{stage.seconds:.1f}", *speeds, busy, share)
        print(f"| {' | '.join(cells)} |")


def results(folder: Path, encoder: str) -> dict[str, Any]:
    """Return the mapping by frozen evidence, and F1 of the trained tagger, on the device of this process."""
    sources = load(folder)
    mapping = align(sources, encoder=encoder).mapping
    tagger = Tagger.from_pretrained(folder / "trained")
    gold, rows = [], []
    for sentence in islice(sources[0].sentences("test"), _COMPARED):
        gold.append(tags_from_entities(len(sentence.tokens), sentence.entities))
        rows.append(sentence.tokens)
    found = [
        tags_from_entities(len(row), spans) for row, spans in zip(rows, tagger.predict(rows), strict=True)
    ]
    return {"mapping": dict(mapping_groups(mapping)), "f1": score_tags(gold, found).micro.f1}


def mapping_groups(mapping: Any) -> Iterator[tuple[str, str | None]]:
    """Yield each label and the unified one that it became; similarities may differ in the last digits."""
    for entry in mapping.entries:
        yield str(entry.label), entry.unified


if __name__ == "__main__":
    main()
