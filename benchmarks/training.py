"""How fast is a training step beside the plain Trainer's on the same model and rows?

Trains one epoch on the same sentences, in turns: by ``transformers.Trainer`` as it comes, with the likelihood of
pytorch-crf and batches drawn at random; and by the package. Prints the CPU seconds of each and their ratio, in single
precision and, where asked for, in bfloat16.

    python benchmarks/training.py cluener --data DIR --encoder ENCODER --train 480 --rounds 3
"""

from __future__ import annotations

import sys
import time
from tempfile import TemporaryDirectory
from typing import Any

import torch
from command_line import benchmark_parser
from merged_tagger import read_sources
from torchcrf import CRF
from transformers import Trainer, TrainingArguments

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.modeling.arguments import choose_arguments
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.training import TaggerTrainer
from esnera_hf.modeling.training_data import TrainingData
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import iob2_tag_set


class PlainTagger(CrfTagger):
    """The same layers, with the likelihood as pytorch-crf computes it."""

    def forward(self, input_ids: Any, attention_mask: Any, word_positions: Any, labels: Any) -> Any:  # type: ignore[override]
        """Return the loss and the emissions."""
        states = self.word_states(input_ids, attention_mask, word_positions)
        emissions = self.classifier(states).float()
        loss = -CRF.forward(
            self.crf, emissions, labels.clamp(min=0), word_positions >= 0, reduction="token_mean"
        )
        return {"loss": loss, "logits": emissions}


def main() -> None:
    """Train in turns and print the table."""
    options = parsed()
    options.corpora, options.few = [options.corpus], []
    (source,) = read_sources(options, 1)
    seconds: dict[str, list[float]] = {}
    ways = ["plain", "package", *(["package, bfloat16"] if options.bf16 else [])]
    for _ in range(options.rounds):
        for way in ways:
            with TemporaryDirectory() as folder, quiet_libraries():
                seconds.setdefault(way, []).append(measured(way, source, options.encoder, folder))
    print("| training | CPU seconds an epoch | times as fast as the plain one |\n| --- | ---: | ---: |")
    for way, found in seconds.items():
        print(f"| {way} | {min(found):.1f} | {min(seconds['plain']) / min(found):.2f} |")
    print(f"\nThe least of {options.rounds} rounds. Command: python {' '.join(sys.argv)}")


def measured(way: str, source: NerSource, encoder: str, folder: str) -> float:
    """Return the CPU seconds of an epoch."""
    base, tokenizer = load_encoder(encoder)
    kind = PlainTagger if way == "plain" else CrfTagger
    model = kind.from_encoder(base, iob2_tag_set(source.labels), window_length=256)
    data = TrainingData(source, tokenizer, model)
    rows = data.rows("train")
    trainer: Trainer
    if way == "plain":
        arguments = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=16,
            save_strategy="no",
            report_to="none",
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, data_collator=data.collate, train_dataset=rows)
    else:
        training: dict[str, Any] = {"num_train_epochs": 1, "per_device_train_batch_size": 16}
        if way.endswith("bfloat16"):
            training |= {"bf16": True, "use_cpu": True}
        chosen = choose_arguments(base, len(rows), folder, training)
        chosen.eval_strategy = chosen.save_strategy = "no"
        chosen.load_best_model_at_end = False
        trainer = TaggerTrainer(model, chosen, rows, data)
        trainer.callback_handler.callbacks = [
            callback
            for callback in trainer.callback_handler.callbacks
            if type(callback).__module__.startswith("transformers")
        ]
    started = time.process_time()
    trainer.train()
    return time.process_time() - started


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--data", "--encoder")
    parser.add_argument("corpus")
    parser.add_argument("--train", type=int, default=480, help="sentences of the epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="in bfloat16, too")
    parser.set_defaults(validation=20, test=20)
    torch.set_num_threads(1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
