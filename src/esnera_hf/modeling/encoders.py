"""Pretrained encoders and saved taggers: loading them, and what they are computed on.

What cannot be found, fetched or understood is an :class:`~esnera_hf.errors.EncoderError`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from datasets import Dataset
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    StrictDataclassError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
from safetensors import SafetensorError
from tokenizers import Regex, normalizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForLanguageModeling,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.utils import CONFIG_NAME, cached_file, extract_commit_hash

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.json import read_json
from esnera_hf._internal.processes import process_count
from esnera_hf.errors import ConfigurationError, EncoderError
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.model_files import check_is_of_text, check_loaded, check_tagger_config, read_config
from esnera_hf.modeling.tokenization import device

SavedModel = TypeVar("SavedModel", bound=PreTrainedModel)
#: What to do where an encoder, or a tagger of this package, cannot be loaded.
_ENCODERS = (
    "Pass encoder= a local folder with config.json, tokenizer.json and model.safetensors, or the id of a Hub model "
    "that can be reached."
)
_SAVED = (
    "Expected a folder written by save_pretrained (config.json, model.safetensors, tokenizer.json), or such a model "
    "on the Hub. If it lies in the cache, delete it and run the same command again."
)
_ALIGNED = (
    "It is a saved alignment: one made with --train-merged has a tagger in its folder `tagger`; or train one with "
    "`esnera-hf train`."
)
# What the libraries raise of files that are not there, damaged, too large or of another model: a value of another type
# than theirs may fail anywhere in their code.
_PROBLEMS = (
    *(
        OSError,
        httpx.HTTPError,
        httpx.InvalidURL,  # of a proxy
        SafetensorError,
        StrictDataclassError,
        ImportError,
        MemoryError,
        RuntimeError,
    ),
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError),
)
# The first that occurs in a chain of exceptions counts.
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (GatedRepoError, "access to it is granted by its owner; ask for it on its page, then log in."),
    (
        RepositoryNotFoundError,
        "there is no such folder, and no such model on the Hub that your token may see.",
    ),
    (RevisionNotFoundError, "there is no such revision of it."),
)
#: No encoder of this generation profits from longer windows, and attention grows with their square.
LONGEST_WINDOW = 512
#: Holds a tagger's record.
RECORD_FILE = "training_history.json"
#: Keys of it that are used, with the types of their values; whoever makes the card checks what these hold.
_RECORD_KEYS: dict[str, Any] = {
    "mapping": str,
    "encoder": str | None,
    "dataset_repo": str,
    "report": dict[str, Any],
    "sources": list[Any],
    "history": list[dict[str, Any]],
    "arguments": dict[str, Any],
    "validation": dict[str, Any],
    "test": dict[str, Any],
}
#: A space before text of scripts that are written without spaces.
_NEEDLESS_SPACE = r"\A (?=[\s\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\x{3000}-\x{303F}\x{FF00}-\x{FFEF}])"


def load_encoder(name: str, layers: int | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder and its tokenizer from a folder or the Hub, in float32, without running remote code.

    Args:
        name: folder or Hub id.
        layers: only so many of the lowest, where the configuration counts them as that of BERT does; all if not given.
    """
    with _loading(name):
        config = _encoder_config(name)
        tokenizer = _tokenizer(name)
        if layers is not None and isinstance(getattr(config, "num_hidden_layers", None), int):
            config.num_hidden_layers = min(layers, config.num_hidden_layers)
        model, loading = AutoModel.from_pretrained(
            name,
            config=config,
            # In half precision, as some are saved, small steps of a training are lost.
            dtype=torch.float32,
            # Pickled weights run code when they are read.
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        # A pooler is not used, so it may be random.
        lacking = sorted(key for key in loading["missing_keys"] if "pooler" not in key.split("."))
        if lacking:
            raise EncoderError(
                f"its weights lack {len(lacking):,} that a {type(model).__name__} has, which would be random: "
                f"{', '.join(lacking[:3])}{', …' * (len(lacking) > 3)}. Check that config.json and model.safetensors "
                "belong together, and that the weights have the names that transformers gives them."
            )
        check_loaded(model, model, tokenizer)
    return model, tokenizer


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of an encoder as :func:`load_encoder` does, without the weights."""
    with _loading(name):
        _encoder_config(name)
        return _tokenizer(name)


def _tokenizer(name: str) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    # Each word is encoded alone, and shall have the pieces that it has inside a text.
    if getattr(tokenizer, "add_prefix_space", None) is False:
        tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True, trust_remote_code=False)
    # Tokenizers of a class of their own are built anew when they are loaded, without what was added.
    if type(tokenizer) is PreTrainedTokenizerFast and _knows_spaces(tokenizer):
        backend = tokenizer.backend_tokenizer
        space = [normalizers.Prepend(" "), normalizers.Replace(Regex(_NEEDLESS_SPACE), "")]
        backend.normalizer = normalizers.Sequence([*space, *filter(None, [backend.normalizer])])
    if tokenizer.pad_token_id is None:
        raise EncoderError("it has no padding piece. Expected an encoder such as BERT.")
    return tokenizer


def _encoder_config(name: str) -> PreTrainedConfig:
    """Return the configuration of an encoder of text, which asks for no attention of the Hub's."""
    read_config(_config_file(name))
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    if isinstance(config, CrfTaggerConfig):
        encoder = read_record(Path(name)).get("encoder")
        origin = f"; it was trained from {encoder}" if encoder else ""
        raise ValueError(f"it is a tagger, not an encoder{origin}.")
    if getattr(config, "is_encoder_decoder", False):
        raise EncoderError("it is an encoder-decoder model. Expected an encoder such as BERT.")
    check_is_of_text(config.model_type)
    # Of another name, transformers would fetch a kernel and run it.
    config._attn_implementation = None
    return config


def _knows_spaces(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a word alone has other pieces than after a space, as of a byte-level tokenizer."""
    alone, after_space, twice = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a", " a", "a a")
    )
    return bool(alone != after_space and twice == alone + after_space)


def hidden_size(name: str) -> int:
    """Return the width of an encoder's states without loading its weights."""
    with _loading(name):
        return int(_encoder_config(name).hidden_size)


def resolved_commit(name: str) -> str:
    """Return the commit of a Hub model that is used, ``""`` for a folder."""
    with _loading(name):
        return _commit(name)


def encoder_folder(name: str) -> Path:
    """Return the folder that an encoder's files lie in: of a Hub model, that of its commit in the cache."""
    with _loading(name):
        return _config_file(name).parent


def _config_file(name: str, **where: Any) -> Path:
    file = cached_file(name, CONFIG_NAME, **where)
    if file is None:
        raise ValueError(f"there is no {CONFIG_NAME}.")
    return Path(file)


def _commit(name: str, **where: Any) -> str:
    return extract_commit_hash(str(_config_file(name, **where)), None) or ""


def _loading(name: str, problem: str = "encoder {!r} cannot be loaded", advice: str = _ENCODERS) -> ExitStack:
    """Return a context that says in an EncoderError what the libraries raise in it; other errors pass as they are."""

    def refuse(kind: object, error: BaseException | None, traceback: object) -> None:
        # tokenizers raises nothing more special than Exception itself.
        if error is not None and (kind is Exception or isinstance(error, _PROBLEMS)):
            raise EncoderError(f"{problem.format(name)}: {_reason(name, error)} {advice}") from error

    context = ExitStack()
    context.push(refuse)
    return context


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
    """
    aligned = os.path.isfile(os.path.join(name, "mapping.yaml"))
    with _loading(name, f"{{!r}} holds no {what} that can be loaded", _ALIGNED if aligned else _SAVED):
        where = dict(zip(("revision", "token"), at, strict=True))
        # One commit for all files, even while somebody pushes another.
        where["revision"] = _commit(name, **where) or where["revision"]
        configuration: Any = kind.config_class
        values = read_config(_config_file(name, **where))
        if values.get("model_type") != configuration.model_type:
            raise ValueError(f"it is a model of type {values.get('model_type')!r}.")
        encoder = values.get("encoder_config")
        if not isinstance(encoder, dict) or "model_type" not in encoder or not values.get(needed):
            raise ValueError(f"its config.json lacks encoder_config or {needed}.")
        check_is_of_text(encoder["model_type"])
        check_tagger_config(values)
        options = {"config": configuration.from_dict(values), **where}
        model, loading = kind.from_pretrained(name, use_safetensors=True, output_loading_info=True, **options)
        if loading["missing_keys"]:
            raise ValueError(f"its weights lack {', '.join(sorted(loading['missing_keys']))[:200]}.")
        if os.path.isdir(name) and not os.path.isfile(os.path.join(name, "tokenizer.json")):
            raise ValueError("there is no tokenizer.json.")  # transformers would make an empty vocabulary
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
        if tokenizer.pad_token_id is None:
            raise ValueError("its tokenizer has no padding piece.")
        check_loaded(model, model.encoder, tokenizer)
    return model, tokenizer


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record beside a saved tagger, empty if there is none that can be read.

    Raises:
        ConfigurationError: what it says is of another type than a training writes.
    """
    try:
        record = read_json(folder / RECORD_FILE)
    except ConfigurationError:
        return {}
    for name in record.keys() & _RECORD_KEYS.keys():
        from_plain(_RECORD_KEYS[name], record[name], f"{RECORD_FILE}: {name}")
    return record


def _reason(name: str, error: BaseException) -> str:
    """Return in a sentence why something could not be loaded."""
    is_path = os.path.isabs(name) or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name
    # transformers would take it for the id of a model on the Hub, and advise to log in.
    if is_path and not os.path.isdir(name):
        return "there is no such folder."
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for kind, sentence in _REASONS:
        if any(isinstance(link, kind) for link in chain):
            return sentence
    if any(isinstance(link, (OfflineModeIsEnabled, LocalEntryNotFoundError)) for link in chain):
        offline = constants.HF_HUB_OFFLINE
        why = "HF_HUB_OFFLINE forbids to fetch it" if offline else "the Hub cannot be reached"
        return f"it is neither a folder nor in the cache, and {why}."
    for link in chain:
        status = link.response.status_code if isinstance(link, HfHubHTTPError) else 0
        if status in (401, 403):
            return "the Hub does not let this token read it; log in with `hf auth login`, or set HF_TOKEN."
        if status == 429 or status >= 500 or (isinstance(link, httpx.HTTPError) and not status):
            problem = status or type(link).__name__
            return f"the Hub gave no usable answer ({problem}); check the connection, or wait a few minutes."
    # Some libraries name the field in the first line and what is wrong with it in the next.
    lines = [line.strip() for line in str(error).strip().split("\n")[:2]]
    reason = " ".join(lines) if lines[0].endswith(":") else lines[0]
    return reason[:300] or f"{type(error).__name__}."


def window_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, most: int | None = None) -> int:
    """Return how many pieces the encoder takes at once, special ones included, ``most`` at most."""
    limits = [most or LONGEST_WINDOW, LONGEST_WINDOW, tokenizer.model_max_length]
    positions: Any = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        # RoBERTa counts positions from behind that of padding.
        table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        padding = getattr(table, "padding_idx", None)
        limits.append(positions - (0 if padding is None else padding + 1))
    return int(min(limits))


def make_encoder(texts: Sequence[Sequence[str]], path: str | os.PathLike[str], seed: int) -> None:
    """Pretrain a small BERT by masked language modelling in seconds, where no encoder is at hand.

    Args:
        texts: sentences as lists of words; every word becomes a piece.
        path: where model and tokenizer go.
        seed: of initialisation and masking.
    """
    set_seed(seed)
    window = 64
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *sorted({word for text in texts for word in text})]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=window)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=window, **shape)
    encoded = tokenizer([list(text) for text in texts], is_split_into_words=True, truncation=True)
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=8,
            per_device_train_batch_size=64,
            learning_rate=2e-3,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(
            model=BertForMaskedLM(config),
            args=arguments,
            train_dataset=Dataset.from_dict({"input_ids": encoded["input_ids"]}),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.25),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def describe_machine() -> dict[str, Any]:
    """Return what is computed on: device, threads of a process (which decide the last digits), and processes."""
    target = device()
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else target.type
    return {"device": name, "threads": torch.get_num_threads(), "processes": process_count()}
