"""Files of a model from a stranger: what they may say, and whether weights, sizes and vocabulary belong together.

What is not so is an :class:`~esnera_hf.errors.EncoderError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES

from esnera_hf._internal.checks import from_plain, within
from esnera_hf._internal.json import read_json
from esnera_hf.errors import EncoderError

#: Each layer and each label costs time and memory before any weight is read; models have hundreds.
_MOST_PARTS = 10_000
_PARTS = re.compile(r"\w*layers?|num_labels|n_layers?")
#: Keys of a tagger of this package, with the types of their values.
_TAGGER_KEYS: dict[str, Any] = {
    "id2label": dict[str, str],
    "heads": list[tuple[str, list[str]]],
    "special_ids": list[int],
    "window_length": int,
    "classifier_dropout": float,
}
_TAG = re.compile(r"O|[BI]-.+", re.DOTALL)


def read_config(file: Path) -> dict[str, Any]:
    """Return what ``config.json`` holds, if a model can be built of it without code or weights from elsewhere."""
    values = read_json(file, EncoderError)
    if (file.parent / "adapter_config.json").exists():
        raise EncoderError("it is an adapter, and names another model to be fetched. Pass the whole model.")
    if values.get("quantization_config"):
        raise EncoderError(
            "its weights are quantized, and cannot be trained. Pass those that it was made of."
        )
    for name, value in _numbers(values):
        most = _MOST_PARTS if _PARTS.fullmatch(name) else 1 << 62
        if not within(abs(value), 0, most):
            raise EncoderError(
                f"{name}={value!r:.40} in its config.json: expected at most {most:,}. Copy it again."
            )
    return values


def check_is_of_text(model_type: object) -> None:
    """Check that transformers classifies tokens by a type of model: others may fetch parts of theirs when made."""
    if model_type not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES:
        raise EncoderError(
            f"it is a model of type {model_type!r:.40}. Expected an encoder of text, such as BERT."
        )


def check_tagger_config(values: Mapping[str, Any]) -> None:
    """Check the keys of a tagger of this package; one of another type is a ConfigurationError."""
    for name in values.keys() & _TAGGER_KEYS.keys():
        from_plain(_TAGGER_KEYS[name], values[name], name)
    names = values.get("id2label", {"0": "O"})
    by_id = [names.get(str(index), "") for index in range(len(names))]
    for tags in (by_id, *(tags for _, tags in values.get("heads", ()))):
        if tags[:1] != ["O"] or len(set(tags)) < len(tags) or not all(map(_TAG.fullmatch, tags)):
            raise EncoderError(
                f"its tags are {', '.join(tags)[:100]!r}: expected O, B-x, I-x, each once. Copy it again."
            )
    ranges = {"window_length": (1, 1 << 20), "classifier_dropout": (0, 1)}
    for name, bounds in ranges.items():
        if name in values and not within(values[name], *bounds):
            raise EncoderError(
                f"{name}={values[name]!r}: expected a number from {bounds[0]} to {bounds[1]}. Copy it again."
            )


def _numbers(values: Any, name: str = "") -> Iterator[tuple[str, int | float]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _numbers(value, key)
    elif isinstance(values, list):
        for value in values:
            yield from _numbers(value, name)
    elif isinstance(values, (int, float)) and not isinstance(values, bool):
        yield name, values


@torch.no_grad()
def check_loaded(
    model: PreTrainedModel, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Check that weights are numbers, that there is one for each piece, and that the encoder reads a text.

    Args:
        model: all that was loaded.
        encoder: what of it reads pieces.
    """
    strange = [name for name, weights in model.named_parameters() if not torch.isfinite(weights).all()]
    if strange:
        raise EncoderError(f"its weights hold what is no number, as in {strange[0]}. Copy it again.")
    if not within(tokenizer.model_max_length, 1):
        raise EncoderError(
            f"model_max_length={tokenizer.model_max_length!r:.40} in tokenizer_config.json: expected a number of "
            "pieces. Copy it again."
        )
    rows = len(encoder.get_input_embeddings().weight)
    last = max(tokenizer.get_vocab().values(), default=-1)
    if last >= rows:
        raise EncoderError(
            f"its tokenizer has {last + 1:,} pieces and its weights are for {rows:,}. Copy both from one model."
        )
    states = encoder.eval()(input_ids=torch.tensor([tokenizer("a")["input_ids"] or [0]])).last_hidden_state
    if states.shape[2] != encoder.config.hidden_size or not torch.isfinite(states).all():
        raise EncoderError("it does not turn a text into numbers. Copy it again.")
