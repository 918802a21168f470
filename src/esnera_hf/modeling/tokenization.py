"""Words to encoder windows and back, as entities; and windows to padded batches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor

from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling.distributed import launch_state
from esnera_hf.modeling.hub_code.windows import (
    Span,
    Window,
    WindowTokenizer,
    encoder_inputs,
    join_spans,
    pad,
)
from esnera_hf.tagging import OUTSIDE, Entity, tags_from_entities

T = TypeVar("T")
# What the layers of an encoder compute for so many pieces still fits into the caches of a CPU. Twice as many are no
# faster to multiply, but of 200 sentences 15 % is padding then instead of 7.
_PIECES_ON_CPU = 640
_PIECES_ON_GPU = 16384
#: Sentences held at once when predicting: enough to sort by length, few enough to stay small.
CHUNK = 2048


class WordTokenizer(WindowTokenizer):
    """A :class:`WindowTokenizer` that raises the errors of this package."""

    error = EncoderError

    def windows(
        self, sentences: Sequence[Sequence[str]], phrases: Sequence[Sequence[tuple[int, int]]] | None = None
    ) -> list[Window]:
        """Cut sentences into windows, as :meth:`WindowTokenizer.windows` does.

        Raises:
            ConfigurationError: one is a text, whose characters would be taken for its words.
        """
        text = next((sentence for sentence in sentences if isinstance(sentence, str)), None)
        if text is not None:
            raise ConfigurationError(
                f"expected lists of words, found a text: {text!r:.80}. Pass a list of such lists, such as "
                "[['Anna', 'left', '.']]; the tagger's pipeline() takes raw text."
            )
        return super().windows(sentences, phrases)


def words_within(window: Window, entity: Entity) -> tuple[int, int]:
    """Return where a window's words of an entity begin and end, as indices into ``window.words``."""
    return bisect_left(window.words, entity.start), bisect_left(window.words, entity.end)


def chain_tags(window: Window, entities: Sequence[Entity]) -> list[str]:
    """Write the entities of a sentence as IOB2 tags of a window's words."""
    spans = [(*words_within(window, entity), entity.label) for entity in entities]
    within = [Entity(start, end, label) for start, end, label in spans if start < end]
    return tags_from_entities(len(window.words), within) if within else [OUTSIDE] * len(window.words)


def join_sentences(
    count: int, windows: Sequence[Window], spans: Sequence[Sequence[Span]]
) -> Iterator[list[Entity]]:
    """Yield the entities of so many sentences, put together from those of their windows, which are in order."""
    end = 0
    for sentence in range(count):
        start = end
        while end < len(windows) and windows[end].sentence == sentence:
            end += 1
        yield [Entity(*span) for span in join_spans(windows[start:end], spans[start:end])]


def device() -> torch.device:
    """Return the device of this process: a GPU if there is one, unless ``ACCELERATE_USE_CPU`` is set."""
    return torch.device(launch_state().device)


def mixed_precision() -> AbstractContextManager[Any]:
    """Return a context that computes in bfloat16 what bears it, on a GPU made for that; else nothing changes."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if has_bfloat16() else nullcontext()


def has_bfloat16() -> bool:
    """Tell whether this process computes on a GPU made for bfloat16."""
    return device().type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def batches_by_length(
    windows: Sequence[Window], size: int | None = None
) -> Iterator[tuple[list[int], list[Window]]]:
    """Yield windows of like length with their indices, the longest first.

    Args:
        size: how many windows at once; as many as hold a number of pieces that
            suits this machine if not given.

    Raises:
        ConfigurationError: the size is below 1.
    """
    if size is not None and size < 1:
        raise ConfigurationError(f"batch_size={size}: expected a number of windows, at least 1, or None.")
    # Little of a batch is padding then, and if memory is short, that shows at once.
    order = sorted(range(len(windows)), key=lambda i: -len(windows[i].input_ids))
    # Attention aside, time and memory grow with the pieces of a batch, not with its rows.
    pieces = _PIECES_ON_CPU if device().type == "cpu" else _PIECES_ON_GPU
    start = 0
    while start < len(order):
        count = size or max(1, pieces // len(windows[order[start]].input_ids))
        batch = order[start : start + count]
        yield batch, [windows[index] for index in batch]
        start += count


class TaggingCollator:
    """Pads training rows: pieces, word positions (-1) and labels (-100).

    Where rows name their source and it matters to the model, so does the batch.

    Args:
        pad_id: id of the padding piece.
        sources: name the source of each row.
        evidence: of annotated tags for all tags, given each row's source and its labels; for partial annotation.
    """

    def __init__(
        self,
        pad_id: int,
        *,
        sources: bool = False,
        evidence: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.pad_id = pad_id
        self.sources = sources
        self.evidence = evidence

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = encoder_inputs([row["input_ids"] for row in rows], self.pad_id)
        batch["word_positions"] = pad([row["word_positions"] for row in rows], -1)
        batch["labels"] = pad([row["labels"] for row in rows], -100)
        if self.sources:
            batch["sources"] = torch.tensor([row["sources"] for row in rows])
        if self.evidence is not None:
            batch["evidence"] = self.evidence(batch["sources"], batch["labels"].clamp(min=0))
        return batch
