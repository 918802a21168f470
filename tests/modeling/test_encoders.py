"""Pretrained encoders that are not quite like BERT, what is no encoder at all, and vectors of mentions."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import ByteLevelBPETokenizer, normalizers, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    GemmaTokenizer,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

from builders import VANISHING, make_source, row
from esnera_hf.errors import EncoderError
from esnera_hf.modeling import encoders
from esnera_hf.modeling.encoders import RECORD_FILE, hidden_size, load_encoder, window_length
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import WordTokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SHAPE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def byte_level_tokenizer(splitter: pre_tokenizers.PreTokenizer | None = None) -> PreTrainedTokenizerFast:
    """Make a tokenizer of the generic class that tells words at the start of a text from those after a space."""
    tokenizer = ByteLevelBPETokenizer(unicode_normalizer="nfc")
    if splitter is not None:
        bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([splitter, bytes_of])
    texts = ["x anna met bruno in", "北京"] * 9
    tokenizer.train_from_iterator(texts, vocab_size=330, special_tokens=SPECIAL, show_progress=False)
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
    )


def save_bert(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str:
    BertModel(BertConfig(vocab_size=len(tokenizer), **SHAPE)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("splitter", [None, pre_tokenizers.Split(" ", "merged_with_next")])
def test_words_have_the_pieces_that_they_have_inside_a_text(
    tmp_path: Path, splitter: pre_tokenizers.PreTokenizer | None
) -> None:
    encoder = save_bert(tmp_path / "encoder", byte_level_tokenizer(splitter))
    for _ in range(2):
        _, tokenizer = load_encoder(encoder)
        words = WordTokenizer(tokenizer, 64)
        (window,) = words.windows([["anna", "met", "", "bruno", "北京"]])
        assert tokenizer.convert_ids_to_tokens(window.input_ids) == [
            *("<s>", "Ġanna", "Ġmet", "Ġbruno", "åĮĹäº¬", "</s>"),
        ]
        encoder = save_bert(tmp_path / "again", tokenizer)


def test_tokenizers_built_anew_when_loaded_or_that_care_for_no_space_stay(
    tmp_path: Path, encoder_folder: Path
) -> None:
    vocab = {piece: index for index, piece in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "a", "▁", "▁a"])}
    encoder = save_bert(tmp_path, GemmaTokenizer(vocab=vocab, merges=[("▁", "a")]))
    for folder, normalizer in ((encoder, normalizers.Replace), (encoder_folder, normalizers.BertNormalizer)):
        _, tokenizer = load_encoder(str(folder))
        assert isinstance(tokenizer.backend_tokenizer.normalizer, normalizer)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "backbone.", r"lack 21 that a BertModel has, which would be random: embeddings\.\S+, .*, …\. C"),
        ("key", "keys", r"lack 2 that .*: encoder\.layer\.0\.attention\.self\.key\.bias, \S+weight\. Che"),
        ("pooler", "other", ""),  # which is not used
    ],
)
def test_weights_that_do_not_fit_are_refused(
    encoder_folder: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = shutil.copytree(encoder_folder, tmp_path / "encoder") / "model.safetensors"
    weights = {name.replace(old, new, 1): tensor for name, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=message) if message else nullcontext():
        load_encoder(str(file.parent))


def test_a_window_leaves_out_the_positions_that_are_not_used(tmp_path: Path) -> None:
    """RoBERTa's pieces know of the space before a word, and a saved tagger has to cut words as the trained one did."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *map(chr, range(33, 127)), "Ġ", "Ġa"]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    RobertaTokenizer(vocab=vocab, merges=[("Ġ", "a")], model_max_length=32).save_pretrained(tmp_path)
    config = RobertaConfig(vocab_size=len(vocab), max_position_embeddings=18, pad_token_id=1, **SHAPE)
    RobertaModel(config).save_pretrained(tmp_path)
    encoder, loaded = load_encoder(str(tmp_path))
    length = window_length(encoder, loaded)
    assert length == 16
    before = Tagger(CrfTagger.from_encoder(encoder, ["O", "B-x", "I-x"], window_length=length), loaded)
    before.save_pretrained(tmp_path / "tagger")
    after = Tagger.from_pretrained(tmp_path / "tagger")
    words = ["a", "cat", "", "a", "b.c"] * 20
    assert AutoTokenizer.from_pretrained(tmp_path / "tagger").add_prefix_space is True
    assert after.words.windows([words]) == before.words.windows([words])
    assert list(after.predict([words])) == list(before.predict([words]))


def test_a_tagger_or_a_folder_that_is_not_there_is_no_encoder(tmp_path: Path) -> None:
    for name in ("/nope", "./nope", "a/b/nope"):
        message = f"encoder '{name}' cannot be loaded: there is no such folder. Pass "
        with pytest.raises(EncoderError, match=message):
            hidden_size(name)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": CrfTaggerConfig.model_type}))
    with pytest.raises(EncoderError, match=r"cannot be loaded: it is a tagger, not an encoder. Pass "):
        hidden_size(str(tmp_path))
    (tmp_path / RECORD_FILE).write_text(json.dumps({"encoder": "me/bert"}))
    with pytest.raises(EncoderError, match=r"not an encoder; it was trained from me/bert. Pass "):
        hidden_size(str(tmp_path))


def test_a_mention_is_the_mean_of_the_states_of_its_pieces(encoder_folder: Path) -> None:
    encoder = MentionEncoder(str(encoder_folder))
    far = row("the people met " * 60 + "anna/B-PER bruno/I-PER")
    ((labels, (vector,)),) = encoder.mention_vectors(make_source("s", {"train": [far]}).sentences("train"))
    assert (labels, np.isfinite(vector).all()) == (["PER"], True)
    rows = [
        row(f"xyz/B-PER {VANISHING}/I-PER anna/I-PER met lima/B-LOC"),
        row("nothing here"),
        row(f"{VANISHING}/B-PER met oslo/B-LOC"),
    ]
    batches = list(encoder.mention_vectors(make_source("s", {"train": rows}).sentences("train")))
    assert [label for names, _ in batches for label in names] == ["PER", "LOC", "LOC"]

    def states(words: list[str]) -> torch.Tensor:
        inputs = encoder.words.tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            return encoder.model(**inputs).last_hidden_state[0]

    first, last = states(["xyz", "anna", "met", "lima"]), states(["met", "oslo"])
    assert len(first) == 2 + 3 + 1 + 1 + 4
    expected = [first[1:5].mean(0), first[6:10].mean(0), last[2:3].mean(0)]
    vectors = np.concatenate([part for _, part in batches])
    np.testing.assert_allclose(vectors, torch.stack(expected).numpy(), atol=1e-5)


def test_models_that_are_no_encoders(encoder_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoder_folder, tmp_path / "t5")
    (folder / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(
        EncoderError,
        match=r"t5' cannot be loaded: it is an encoder-decoder model\. Exp",
    ):
        load_encoder(str(folder))
    folder = shutil.copytree(encoder_folder, tmp_path / "bare")
    tokenizer = load_encoder(str(encoder_folder))[1]
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(
        EncoderError,
        match=r"bare' cannot be loaded: it has no padding piece\. Expected",
    ):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("file", "changed", "kind"),
    [
        ("config.json", {"intermediate_size": None}, StrictDataclassError),
        ("config.json", {"id2label": "x"}, AttributeError),
        ("config.json", {"dtype": []}, IndexError),
        ("config.json", {"type_vocab_size": -1}, RuntimeError),
        ("config.json", {"pad_token_id": 1000}, AssertionError),
        ("config.json", {"num_attention_heads": 0}, ZeroDivisionError),
        ("config.json", {"model_type": "funnel"}, NotImplementedError),
        ("tokenizer_config.json", {"unk_token": [None]}, TypeError),
        ("tokenizer.json", {"added_tokens": [{}]}, KeyError),
        ("tokenizer.json", {"decoder": {"type": "WordPiece"}}, Exception),
        ("tokenizer.json", None, ValueError),
        ("model.safetensors", None, SafetensorError),
    ],
)
def test_damage_is_the_encoders_whatever_the_libraries_raise_of_it(
    encoder_folder: Path, tmp_path: Path, file: str, changed: dict[str, object] | None, kind: type[Exception]
) -> None:
    place = shutil.copytree(encoder_folder, tmp_path / "encoder") / file
    text = "{" if changed is None else json.dumps({**json.loads(place.read_text()), **changed})
    place.write_text(text)
    with pytest.raises(EncoderError, match=r"^encoder '.*' cannot be loaded: .*") as error:
        load_encoder(str(place.parent))
    assert type(error.value.__cause__) is kind or kind is not Exception
    assert isinstance(error.value.__cause__, kind)


def test_what_is_no_damage_is_not_taken_for_it(encoder_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "check_loaded", Mock(side_effect=NameError("of this package")))
    with pytest.raises(NameError, match="of this package"):
        load_encoder(str(encoder_folder))
