"""Pretrained encoders that are not quite like BERT."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from esnera_hf.modeling.pretrained import load_encoder
from esnera_hf.modeling.tokenization import WordTokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SHAPE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def byte_level_tokenizer(splitter: pre_tokenizers.PreTokenizer | None = None) -> PreTrainedTokenizerFast:
    """Make a tokenizer of the generic class that tells words at the start of a text from those after a space."""
    tokenizer = Tokenizer(models.BPE())
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=splitter is None)
    tokenizer.pre_tokenizer = bytes_of if splitter is None else pre_tokenizers.Sequence([splitter, bytes_of])
    tokenizer.normalizer = normalizers.NFC()
    trainer = BpeTrainer(
        vocab_size=330,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["x anna met bruno in", "北京"] * 9, trainer)
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
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


def test_a_tokenizer_that_cares_for_no_space_stays_as_it_is(encoder_folder: Path) -> None:
    _, tokenizer = load_encoder(str(encoder_folder))
    assert isinstance(tokenizer.backend_tokenizer.normalizer, normalizers.BertNormalizer)
