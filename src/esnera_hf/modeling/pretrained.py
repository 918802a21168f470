"""Loading pretrained encoders, with errors that say what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
from safetensors import SafetensorError
from tokenizers import Regex, normalizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import CONFIG_NAME, cached_file, extract_commit_hash

from esnera_hf.errors import EncoderError
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig

SavedModel = TypeVar("SavedModel", bound=PreTrainedModel)
#: What transformers and the Hub's client raise when something cannot be loaded.
LOADING_ERRORS = (OSError, ValueError, KeyError, SafetensorError, httpx.HTTPError)

#: No encoder of this generation profits from longer windows, and attention grows with their square.
LONGEST_WINDOW = 512
#: Holds a tagger's record.
RECORD_FILE = "training_history.json"

#: A space before what is written without one.
_SPACE_TOO_MANY = r"\A (?=[\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\x{3000}-\x{303F}\x{FF00}-\x{FFEF}])"


def load_encoder(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer from a folder or the Hub, in float32, without running remote code.

    Raises:
        EncoderError: it cannot be found, fetched or understood.
    """
    try:
        return _load_encoder(name)
    except LOADING_ERRORS as error:
        if isinstance(error, EncoderError):
            raise
        raise _cannot_load(name, error) from error


def _load_encoder(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    if getattr(tokenizer, "add_prefix_space", None) is False:
        tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True, trust_remote_code=False)
    # Tokenizers of a class of their own are built anew when they are loaded, without what was added.
    if type(tokenizer) is PreTrainedTokenizerFast and _tells_space_before(tokenizer):
        _put_space_before_words(tokenizer)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    if getattr(config, "is_encoder_decoder", False):
        raise EncoderError(f"encoder {name!r} is an encoder-decoder model. Expected an encoder such as BERT.")
    if tokenizer.pad_token_id is None:
        raise EncoderError(f"encoder {name!r} has no padding piece. Expected an encoder such as BERT.")
    model, loading = AutoModel.from_pretrained(
        name,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    lacking = sorted(key for key in loading["missing_keys"] if "pooler" not in key.split("."))
    if lacking:
        raise EncoderError(
            f"encoder {name!r}: its weights lack {len(lacking):,} that a {type(model).__name__} has, which would be "
            f"random: {', '.join(lacking[:3])}{', …' * (len(lacking) > 3)}. Check that config.json and "
            "model.safetensors belong together, and that the weights have the names that transformers gives them."
        )
    return model, tokenizer


def _tells_space_before(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a word alone has other pieces than after a space, as of a byte-level tokenizer."""
    alone, after_space, twice = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a", " a", "a a")
    )
    return bool(alone != after_space and twice == alone + after_space)


def _put_space_before_words(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let each word, which is encoded alone, have the pieces that it has inside a text."""
    backend = tokenizer.backend_tokenizer
    space = [normalizers.Prepend(" "), normalizers.Replace(Regex(_SPACE_TOO_MANY), "")]
    backend.normalizer = normalizers.Sequence([*space, *filter(None, [backend.normalizer])])


def hidden_size(name: str) -> int:
    """Return the width of an encoder's states without loading its weights.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        if isinstance(config, CrfTaggerConfig):
            raise ValueError(f"it is a tagger, not an encoder{_encoder_of(name)}.")
        return int(config.hidden_size)
    except (*LOADING_ERRORS, AttributeError) as error:
        raise _cannot_load(name, error) from error


def _encoder_of(tagger: str) -> str:
    """Return what the tagger of a folder was trained from, in words; nothing if its record does not tell."""
    try:
        encoder = json.loads((Path(tagger) / RECORD_FILE).read_text(encoding="utf-8"))["encoder"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"; it was trained from {encoder}" if encoder else ""


def resolved_commit(name: str) -> str:
    """Return the commit of a Hub model that is used, ``""`` if it is not known.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    try:
        return commit_of(name)
    except LOADING_ERRORS as error:
        raise _cannot_load(name, error) from error


def encoder_folder(name: str) -> Path:
    """Return the folder that an encoder's files lie in: of a Hub model, that of its commit in the cache.

    Raises:
        EncoderError: the encoder cannot be found.
    """
    try:
        return Path(cached_file(name, CONFIG_NAME)).parent
    except LOADING_ERRORS as error:
        raise _cannot_load(name, error) from error


def commit_of(name: str, revision: str | None = None, token: str | None = None) -> str:
    """Return the commit that a revision of a Hub model stands for, ``""`` for a folder.

    Args:
        name: folder or Hub id.
        revision: branch, tag or commit; the main branch if not given.
        token: of the Hub; the one logged in with if not given.

    Raises:
        OSError: there is no such model, revision or configuration, or it may not be seen.
    """
    return extract_commit_hash(cached_file(name, CONFIG_NAME, revision=revision, token=token), None) or ""


def load_saved(
    kind: type[SavedModel],
    name: str,
    what: str,
    needed: str,
    at: tuple[str | None, str | None] = (None, None),
) -> tuple[SavedModel, PreTrainedTokenizerBase]:
    """Load a model of this package and its tokenizer, without running the code that lies beside them.

    Args:
        kind: of the model.
        name: a folder written by ``save_pretrained``, or the id of a model on the Hub.
        what: it is called in messages.
        needed: a key of its configuration, beside ``encoder_config``.
        at: revision and token on the Hub.

    Raises:
        EncoderError: it cannot be found or fetched, is damaged, or is another model.
    """
    try:
        if not os.path.isdir(name) and is_path(name):
            raise ValueError("there is no such folder.")
        return _load_saved(kind, name, needed, *at)
    except (*LOADING_ERRORS, TypeError, RuntimeError) as error:
        raise EncoderError(
            f"{name!r} holds no {what} that can be loaded: {reason(error)} Expected a folder written by "
            "save_pretrained (config.json, model.safetensors, tokenizer.json), or such a model on the Hub. If it lies "
            "in the cache, delete it and run the same command again."
        ) from error


def _load_saved(
    kind: type[SavedModel], name: str, needed: str, revision: str | None, token: str | None
) -> tuple[SavedModel, PreTrainedTokenizerBase]:
    # One commit for all files, even while somebody pushes another.
    at = {"revision": commit_of(name, revision, token) or revision, "token": token}
    configuration: Any = kind.config_class
    values, _ = configuration.get_config_dict(name, **at)
    if values.get("model_type") != configuration.model_type:
        raise ValueError(f"it is a model of type {values.get('model_type')!r}.")
    encoder = values.get("encoder_config")
    if not isinstance(encoder, dict) or "model_type" not in encoder or not values.get(needed):
        raise ValueError(f"its config.json lacks encoder_config or {needed}.")
    config = configuration.from_dict(values)
    model, loading = kind.from_pretrained(
        name, config=config, use_safetensors=True, output_loading_info=True, **at
    )
    if loading["missing_keys"]:
        raise ValueError(f"its weights lack {', '.join(sorted(loading['missing_keys']))[:200]}.")
    if os.path.isdir(name) and not os.path.isfile(os.path.join(name, "tokenizer.json")):
        raise ValueError("there is no tokenizer.json.")  # transformers would make an empty vocabulary
    tokenizer = AutoTokenizer.from_pretrained(name, config=config, trust_remote_code=False, **at)
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer has no padding piece.")
    return model, tokenizer


def reason(error: BaseException) -> str:
    """Return in a sentence why something could not be loaded."""
    chain = list(_chain(error))
    for kind, sentence in _REASONS:
        if any(isinstance(link, kind) for link in chain):
            return sentence
    if any(isinstance(link, (OfflineModeIsEnabled, LocalEntryNotFoundError)) for link in chain):
        why = (
            "HF_HUB_OFFLINE forbids to fetch it" if constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
        )
        return f"it is neither a folder nor in the cache, and {why}."
    for link in chain:
        status = link.response.status_code if isinstance(link, HfHubHTTPError) else 0
        if status in (401, 403):
            return "the Hub does not let this token read it; log in with `hf auth login`, or set HF_TOKEN."
        if status == 429 or status >= 500 or (isinstance(link, httpx.HTTPError) and not status):
            told = f"{status}" if status else type(link).__name__
            return f"the Hub gave no usable answer ({told}); check the connection, or wait a few minutes."
    return str(error).strip().split("\n")[0] or f"{type(error).__name__}."


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


# The first that occurs in a chain of exceptions counts.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (GatedRepoError, "access to it is granted by its owner; ask for it on its page, then log in."),
    (
        RepositoryNotFoundError,
        "there is no such folder, and no such model on the Hub that your token may see.",
    ),
    (RevisionNotFoundError, "there is no such revision of it."),
)


def is_path(name: str) -> bool:
    """Tell whether a name is meant for a folder: no model of the Hub can have it."""
    return os.path.isabs(name) or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name


def _why(name: str, error: Exception) -> str:
    return "there is no such folder." if is_path(name) and not os.path.isdir(name) else reason(error)


def _cannot_load(name: str, error: Exception) -> EncoderError:
    return EncoderError(
        f"encoder {name!r} cannot be loaded: {_why(name, error)} "
        "Pass encoder= a local folder with config.json, tokenizer.json and model.safetensors, or the id "
        "of a Hub model that can be reached."
    )


def window_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, most: int | None = None) -> int:
    """Return how many pieces the encoder takes at once, special ones included, ``most`` at most."""
    limits = [most or LONGEST_WINDOW, LONGEST_WINDOW, tokenizer.model_max_length]
    positions: Any = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        limits.append(positions - _positions_not_used(model))
    return int(min(limits))


def _positions_not_used(model: PreTrainedModel) -> int:
    """Return how many positions come before that of the first piece: RoBERTa counts from behind that of padding."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1
