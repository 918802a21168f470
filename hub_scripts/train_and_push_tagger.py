# /// script
# requires-python = ">=3.11"
# dependencies = ["esnera-hf"]
#
# [tool.hf-jobs]
# flavor = "a10g-small"
# timeout = "4h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a CRF tagger on one NER dataset, score it on the test split, and publish it with its card.

    python hub_scripts/train_and_push_tagger.py me/weibo-tagger hltcoe/weibo_ner --encoder hfl/chinese-bert-wwm-ext
    accelerate launch --multi_gpu --num_processes 4 hub_scripts/train_and_push_tagger.py …
    uv run hub_scripts/train_and_push_tagger.py …
    hf jobs uv run hub_scripts/train_and_push_tagger.py …

Until a release of esnera-hf is on the package index, build it and point uv to it: see README.md in this folder.
The published tagger works without this package, through AutoModelForTokenClassification and the
token-classification pipeline with trust_remote_code=True.
"""

from __future__ import annotations

import argparse
import sys

import esnera_hf
from esnera_hf import EsneraError, ReadingOptions
from esnera_hf._internal.processes import is_main_process
from esnera_hf.hub.repository import HubRepository


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_repo", help="model repository to publish to: owner/name")
    parser.add_argument("source", help="known name, Hub dataset id, path or name=path")
    parser.add_argument("--encoder", help="Hub id or folder of a pretrained encoder (default: by language)")
    parser.add_argument("--config", help="configuration of a Hub dataset")
    parser.add_argument("--revision", help="branch, tag or commit of a Hub dataset")
    parser.add_argument("--max-samples", type=int, help="use at most so many sentences per split")
    parser.add_argument("--epochs", type=float, help="default: by corpus size, with early stopping")
    parser.add_argument("--learning-rate", type=float, help="of the encoder (default: by its width)")
    parser.add_argument(
        "--batch-size", type=int, help="sentences per step, of all processes (default: by corpus size)"
    )
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16 where the hardware has it")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--private", action="store_true", help="make the repository private")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Train, score, publish."""
    options = parse(arguments)
    given = {
        "num_train_epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "per_device_train_batch_size": options.batch_size,
        "bf16": options.bf16 or None,
    }
    training = {name: value for name, value in given.items() if value is not None}
    private = True if options.private else None
    try:
        HubRepository(options.output_repo, "model").prepare(private)
        source = esnera_hf.load_source(
            options.source, options=ReadingOptions(config=options.config, revision=options.revision)
        )
        tagger = esnera_hf.train_tagger(
            source,
            encoder=options.encoder,
            max_samples=options.max_samples,
            seed=options.seed,
            training=training,
        )
        if is_main_process():
            print(f"{source.name}, micro-F1 on test: {tagger.record['test']['micro']['f1']:.3f}")
            print(tagger.push_to_hub(options.output_repo, private=private))
    except EsneraError as error:
        print(f"train_and_push_tagger: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ntrain_and_push_tagger: interrupted. Finished trainings are kept, and the same command "
            "goes on where it stopped.",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
