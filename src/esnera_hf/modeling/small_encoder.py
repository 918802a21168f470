"""A small BERT pretrained on given text in seconds, where no pretrained encoder is at hand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from tempfile import TemporaryDirectory

from datasets import Dataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback

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
