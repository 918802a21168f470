"""Loading pretrained encoders, with errors that say what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
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
)
from huggingface_hub.utils import httpx
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Regex, normalizers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForLanguageModeling,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from transformers.utils import CONFIG_NAME, cached_file, extract_commit_hash

from esnera_hf._internal.processes import process_count
from esnera_hf.errors import EncoderError
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs
from esnera_hf.modeling.tokenization import (
    CHUNK,
    WordTokenizer,
    batches_by_length,
    chunks,
    device,
    words_within,
)
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity

# type: ignore[attr-defined]


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


@dataclass(frozen=True, slots=True)
class Mention:
    """An annotated entity in a batch of windows.

    Attributes:
        row: index of its window in the batch.
        first: index of its first word in ``window.words``.
        beyond: index of the word after its last one.
        label: its label.
    """

    row: int
    first: int
    beyond: int
    label: str


def mentions_within(windows: Sequence[Window], annotated: Sequence[Sequence[Entity]]) -> list[Mention]:
    """Return the mentions of windows, but for those whose words the tokenizer turns into nothing.

    An entity that a cut parts is one in each of its windows.

    Args:
        windows: a batch.
        annotated: the entities of each sentence, by ``window.sentence``.
    """
    found = []
    for row, window in enumerate(windows):
        for entity in annotated[window.sentence]:
            first, beyond = words_within(window, entity)
            if first < beyond:
                found.append(Mention(row, first, beyond, entity.label))
    return found


def span_means(states: Tensor, spans: Sequence[tuple[int, int, int]]) -> NDArray[np.float32]:
    """Return the mean state of each span, shape (spans, width).

    Args:
        states: shape (rows, positions, width).
        spans: row, first position and the one after the last, never empty.
    """
    if not spans:
        return np.empty((0, states.shape[2]), dtype=np.float32)
    rows, starts, ends = np.array(spans).T
    lengths = ends - starts
    offsets = np.cumsum(lengths) - lengths
    positions = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
    within = torch.from_numpy(np.repeat(rows, lengths)), torch.from_numpy(positions)
    flat = states[tuple(index.to(states.device) for index in within)].float().cpu().numpy()
    return np.asarray(np.add.reduceat(flat, offsets, axis=0) / lengths[:, None], dtype=np.float32)


class MentionEncoder:
    """Encodes annotated entities in their sentences.

    Args:
        name: folder or Hub id of a pretrained encoder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.model, tokenizer = load_encoder(name)
        self.words = WordTokenizer(tokenizer, window_length(self.model, tokenizer))
        self.pad_id: int = tokenizer.pad_token_id

    def mention_vectors(
        self, sentences: Iterable[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield the labels and vectors of batches of mentions.

        An entity's vector is the mean of the last hidden states of its pieces.
        Entities whose words the tokenizer turns into nothing are left out.

        Yields:
            The labels of the mentions of a batch and their vectors, shape
            (mentions, hidden size).
        """
        self.model.to(device()).eval()
        with_entities = (sentence for sentence in sentences if sentence.entities)
        for chunk in chunks(with_entities, CHUNK):
            windows = self.words.windows([s.tokens for s in chunk], [s.entities for s in chunk])
            for batch in batches_by_length(windows):
                yield self._encode([windows[i] for i in batch], chunk)

    @torch.no_grad()
    def _encode(
        self, windows: list[Window], sentences: list[AnnotatedSentence]
    ) -> tuple[list[str], NDArray[np.float32]]:
        inputs = encoder_inputs([window.input_ids for window in windows], self.pad_id)
        states = self.model(**{name: t.to(self.model.device) for name, t in inputs.items()}).last_hidden_state
        mentions = mentions_within(windows, [sentence.entities for sentence in sentences])
        suffix = len(self.words.suffix)
        spans = [(m.row, *windows[m.row].piece_range(m.first, m.beyond - 1, suffix)) for m in mentions]
        return [mention.label for mention in mentions], span_means(states, spans)


_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WINDOW = 64


def make_encoder(texts: Sequence[Sequence[str]], path: str | os.PathLike[str], seed: int) -> None:
    """Pretrain a two-layer BERT by masked language modelling and write it to a folder.

    Args:
        texts: sentences as lists of words; every word becomes a piece.
        path: where model and tokenizer go.
        seed: of initialisation and masking.
    """
    set_seed(seed)
    words = sorted({word for text in texts for word in text})
    tokenizer = BertTokenizer(
        vocab={piece: index for index, piece in enumerate((*_SPECIAL, *words))},
        do_lower_case=False,
        model_max_length=_WINDOW,
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=_WINDOW,
    )
    encoded = tokenizer([list(text) for text in texts], is_split_into_words=True, truncation=True)
    with TemporaryDirectory() as folder:
        trainer = Trainer(
            model=BertForMaskedLM(config),
            args=TrainingArguments(
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
            ),
            train_dataset=Dataset.from_dict({"input_ids": encoded["input_ids"]}),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.25),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.model.save_pretrained(path)
    tokenizer.save_pretrained(path)


def describe_machine() -> dict[str, Any]:
    """Return the device, the number of threads a process computes with, and the number of processes."""
    target = device()
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else target.type
    return {"device": name, "threads": torch.get_num_threads(), "processes": process_count()}
