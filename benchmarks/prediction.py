"""How fast is prediction against the token-classification pipeline of transformers?

The same weights on the same sentences with the same precision: the stock pipeline
runs a stock token classifier with the tagger's encoder and its emission layer as
linear head, on raw text, in its default settings (one text at a time) and with
batch_size=32; the tagger's own pipeline does the same; the tagger reads the words.
All take turns in one process. Prints Markdown: the median time of a pass, sentences
a second, ratios and, if asked for, the most memory that a pass takes in a process of
its own beyond what it holds before (Linux; elsewhere that of the whole process).

    python benchmarks/prediction.py cluener --tagger TAGGER --max-samples 2000
    python benchmarks/prediction.py cluener --encoder ENCODER --max-samples 2000

Without a tagger, one is trained for a few minutes and kept in the cache.
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from command_line import benchmark_parser
from transformers import AutoModelForTokenClassification, TokenClassificationPipeline

from esnera_hf import Tagger, load_source
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.taggers.source_taggers import train_cached

BATCH = 32
#: The stock pipeline that ratios are given to, and those that are compared with it.
STOCK = (f"stock pipeline, batch_size={BATCH}", "stock pipeline, default")
TRAINING = {"num_train_epochs": 3, "learning_rate": 5e-4, "head_learning_rate": 1e-3}


def main() -> None:
    """Measure and print the table."""
    options = parsed()
    torch.set_num_threads(options.threads)
    with quiet_libraries():
        passes = contenders(options)
        if options.only:
            print(memory_of(passes[options.only]))
            return
        seconds = timed(passes, options.repeats, time.process_time if options.cpu_time else time.perf_counter)
        memory = {name: peak_memory(name) for name in passes if options.memory}
    kind = "CPU time" if options.cpu_time else "wall time"
    print(
        f"{options.max_samples:,} sentences of {options.source}, {options.threads} thread(s), {kind}, ",
        end="",
    )
    print(f"median of {options.repeats} passes (range)\n")
    columns = ["", "seconds a pass", "sentences/s", *(f"to {stock}" for stock in STOCK)]
    columns += ["peak memory, MB"] if memory else []
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name, taken in seconds.items():
        cells = [name, f"{median(taken):.2f} ({min(taken):.2f}–{max(taken):.2f})"]
        cells.append(f"{options.max_samples / median(taken):.0f}")
        cells += [f"{median(seconds[stock]) / median(taken):.2f}" for stock in STOCK]
        cells += [f"{memory[name] / 1024:.0f}"] if memory else []
        print(f"| {' | '.join(cells)} |")


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("source")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--tagger", help="folder of a saved tagger")
    given.add_argument("--encoder", help="folder or Hub id of an encoder")
    parser.add_argument("--max-samples", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that others use, one thread")
    parser.add_argument("--memory", action="store_true", help="measure memory too, a process each")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    return parser.parse_args()


def contenders(options: Any) -> dict[str, Callable[[], Any]]:
    """Return what is compared, each a pass over the sentences."""
    source = load_source(options.source)
    words = [sentence.tokens for sentence in islice(source.sentences("train"), options.max_samples)]
    if len(words) < options.max_samples:
        raise SystemExit(f"{source.name}: its train split has {len(words):,} sentences only.")
    if options.tagger:
        tagger = Tagger.from_pretrained(options.tagger)
    else:
        tagger = train_cached(options.encoder, TRAINING, source.sample(1500, 1)).load()
    gap = "" if source.language.startswith(("zh", "ja")) else " "
    texts = [gap.join(tokens) for tokens in words]
    stock = TokenClassificationPipeline(
        model=stock_model(tagger),
        tokenizer=tagger.tokenizer,
        task="token-classification",
        device=tagger_device(),
    )
    own = tagger.pipeline(device=tagger_device(), is_split_into_words=True, delimiter=gap)
    same_emissions(tagger, stock, words[0])
    return {
        STOCK[1]: lambda: stock(texts),
        STOCK[0]: lambda: stock(texts, batch_size=BATCH),
        "own pipeline, default": lambda: own(words),
        f"own pipeline, batch_size={BATCH}": lambda: own(words, batch_size=BATCH),
        "Tagger.predict": lambda: list(tagger.predict(words)),
    }


def tagger_device() -> torch.device:
    """Return the device that taggers predict on."""
    from esnera_hf.modeling.tokenization import device

    return device()


def stock_model(tagger: Tagger) -> Any:
    """Return a token classifier of transformers with the tagger's encoder and emission layer."""
    config = type(tagger.model.encoder.config).from_dict(tagger.model.encoder.config.to_dict())
    config.id2label, config.label2id = tagger.model.config.id2label, tagger.model.config.label2id
    model = AutoModelForTokenClassification.from_config(config)
    getattr(model, model.base_model_prefix).load_state_dict(tagger.model.encoder.state_dict())
    model.classifier.load_state_dict(tagger.model.classifier.state_dict())
    return model.eval()


def same_emissions(tagger: Tagger, stock: TokenClassificationPipeline, words: list[str]) -> None:
    """Check that both models compute the same for the first sentence."""
    pieces = tagger.tokenizer(words, is_split_into_words=True, return_tensors="pt")
    positions = torch.arange(pieces["input_ids"].shape[1]).unsqueeze(0)
    tagger.model.to("cpu").eval()
    with torch.inference_mode():
        own = tagger.model(pieces["input_ids"], pieces["attention_mask"], positions).logits
        other = stock.model.to("cpu")(pieces["input_ids"], pieces["attention_mask"]).logits
    torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)
    stock.model.to(stock.device)


def timed(
    passes: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of each pass, after one to warm up; all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for repeat in range(repeats + 1):
        for name, taken in seconds.items():
            started = clock()
            passes[name]()
            if repeat:
                taken.append(clock() - started)
    return seconds


def peak_memory(name: str) -> int:
    """Return the most memory, in KiB, that a pass takes in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--only", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def memory_of(run: Callable[[], Any]) -> int:
    """Return the most memory, in KiB, that a pass takes beyond what is held before it."""
    record = Path("/proc/self/clear_refs")
    if not record.exists():
        run()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gc.collect()
    record.write_text("5")  # forgets the peak
    before = peak()
    run()
    return peak() - before


def peak() -> int:
    """Return the most memory that this process has held since its peak was forgotten, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main()
