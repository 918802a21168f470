"""Loading pretrained encoders, with errors that say what to do."""

from __future__ import annotations

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from esnera_hf.errors import EncoderError

#: No encoder of this generation profits from longer windows, and attention grows with their square.
LONGEST_WINDOW = 512


def load_encoder(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer from a folder or the Hub, in float32, without running remote code.

    Raises:
        EncoderError: it cannot be found, fetched or understood.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if getattr(tokenizer, "add_prefix_space", None) is False:
            tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True, trust_remote_code=False)
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        if getattr(config, "is_encoder_decoder", False):
            raise EncoderError(
                f"encoder {name!r} is an encoder-decoder model. Expected an encoder such as BERT."
            )
        if tokenizer.pad_token_id is None:
            raise EncoderError(f"encoder {name!r} has no padding piece. Expected an encoder such as BERT.")
        model = AutoModel.from_pretrained(
            name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        if isinstance(error, EncoderError):
            raise
        raise _cannot_load(name, error) from error
    return model, tokenizer


def hidden_size(name: str) -> int:
    """Return the width of an encoder's states without loading its weights.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    try:
        return int(AutoConfig.from_pretrained(name, trust_remote_code=False).hidden_size)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _cannot_load(name, error) from error


def resolved_commit(name: str) -> str:
    """Return the commit of a Hub model that is used, ``""`` if it is not known.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    try:
        return str(AutoConfig.from_pretrained(name, trust_remote_code=False)._commit_hash or "")
    except (OSError, ValueError, KeyError) as error:
        raise _cannot_load(name, error) from error


def _cannot_load(name: str, error: Exception) -> EncoderError:
    reason = str(error).strip().split("\n")[0]
    return EncoderError(
        f"encoder {name!r} cannot be loaded: {reason} "
        "Pass encoder= a local folder with config.json, tokenizer.json and model.safetensors, or the id "
        "of a Hub model that can be reached."
    )


def window_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many pieces the encoder takes at once."""
    limits = [LONGEST_WINDOW, tokenizer.model_max_length]
    positions: Any = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        limits.append(positions)
    return int(min(limits))
