"""What an alignment will cost on this machine, measured on a few steps before it starts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from esnera_hf.modeling.arguments import TaggerTrainingArguments, choose_arguments
from esnera_hf.modeling.batching import TaggingCollator, device, emulates_bfloat16, mixed_precision
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.pretrained import load_encoder, window_length
from esnera_hf.modeling.sampling import quotas
from esnera_hf.modeling.tokenization import WordTokenizer, chain_tags
from esnera_hf.processes import process_count
from esnera_hf.sources import NerSource
from esnera_hf.tagging import iob2_tag_set

_SAMPLE = 16


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of training and in total, upper estimates, and the device they are for."""

    training: float
    seconds: float
    device: str


def estimate_cost(
    sources: Sequence[NerSource],
    encoder: str,
    training: Mapping[str, Any],
    trained: Collection[NerSource] = (),
) -> Cost:
    """Time one training step and one forward pass a source and scale them up.

    Args:
        sources: what is to be aligned.
        encoder: folder or Hub id.
        training: overrides of the training arguments.
        trained: those of them whose tagger need not be trained any more.

    Returns:
        The cost if no training stops early.
    """
    model, tokenizer = load_encoder(encoder)
    words = WordTokenizer(tokenizer, window_length(model, tokenizer))
    training_seconds = forward = 0.0
    reduced = False
    for source in sources:
        tagger = CrfTagger.from_encoder(model, iob2_tag_set(source.labels)).to(device())
        sentences = {split: len(rows) for split, rows in source.dataset.items()}
        with tempfile.TemporaryDirectory() as folder:
            arguments = choose_arguments(model, sentences["train"], folder, training)
        step, single = _seconds_per_sentence(source, tagger, words, arguments)
        epochs, reduced = arguments.num_train_epochs, arguments.bf16
        if not any(source is known for known in trained):
            training_seconds += epochs * (sentences["train"] * step + sentences["validation"] * single)
        forward += len(sources) * sentences["train"] * single + sentences["test"] * single
    return _shared(training_seconds, forward, bfloat16=reduced)


def estimate_joint_cost(
    sources: Sequence[NerSource], encoder: str, training: Mapping[str, Any], *, trained: bool
) -> Cost:
    """Return what :func:`estimate_cost` does, for a joint tagger: one training, one pass a split.

    Args:
        sources: what is to be aligned.
        encoder: folder or Hub id.
        training: overrides of the training arguments.
        trained: whether it need not be trained any more.
    """
    model, tokenizer = load_encoder(encoder)
    words = WordTokenizer(tokenizer, window_length(model, tokenizer))
    sizes = [len(source.dataset["train"]) for source in sources]
    with tempfile.TemporaryDirectory() as folder:
        arguments = choose_arguments(model, sum(sizes), folder, training)
    epoch = forward = 0.0
    for source, drawn in zip(sources, quotas(sizes, arguments.sampling_exponent), strict=True):
        tagger = CrfTagger.from_encoder(model, iob2_tag_set(source.labels)).to(device())
        step, single = _seconds_per_sentence(source, tagger, words, arguments)
        epoch += drawn * step + len(source.dataset["validation"]) * single
        forward += (len(source.dataset["train"]) + len(source.dataset["test"])) * single
    return _shared(0.0 if trained else arguments.num_train_epochs * epoch, forward, bfloat16=arguments.bf16)


def _shared(training: float, forward: float, *, bfloat16: bool) -> Cost:
    """Return the cost of what takes one process so many seconds."""
    count = process_count()
    name = str(device()) if count == 1 else f"{count} processes, each on {device().type}"
    if bfloat16 and emulates_bfloat16():
        name += " (which has no instructions for bfloat16: without it training is faster)"
    return Cost(training / count, (training + forward) / count, name)


def _seconds_per_sentence(
    source: NerSource, tagger: CrfTagger, words: WordTokenizer, arguments: TaggerTrainingArguments
) -> tuple[float, float]:
    """Return what a sentence takes in training and in prediction, in the precision that each computes in."""
    sample = list(islice(source.sentences("train"), _SAMPLE))
    windows = words.windows([s.tokens for s in sample], [s.entities for s in sample])
    if not windows:
        return 0.0, 0.0
    ids = tagger.config.label2id
    rows = [
        {
            "input_ids": window.input_ids,
            "word_positions": window.positions,
            "labels": [ids[tag] for tag in chain_tags(window, sample[window.sentence].entities)],
        }
        for window in windows
    ]
    batch = {name: t.to(tagger.device) for name, t in TaggingCollator(0)(rows).items()}

    reduced = torch.float16 if arguments.fp16 else torch.bfloat16

    def train() -> None:
        with torch.autocast(device().type, reduced, enabled=arguments.fp16 or arguments.bf16):
            loss = tagger(**batch).loss
        loss.backward()
        tagger.zero_grad()

    @torch.no_grad()
    def predict() -> None:
        with mixed_precision():
            tagger(**{name: tensor for name, tensor in batch.items() if name != "labels"})

    return _timed(train) / len(sample), _timed(predict) / len(sample)


def _timed(function: Callable[[], None]) -> float:
    function()
    started = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
