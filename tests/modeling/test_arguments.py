"""Training settings: which are taken from users and reports, and what is chosen where none is given."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, TrainingArguments, XLNetConfig, XLNetModel

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling import arguments as arguments_module
from esnera_hf.modeling.arguments import TaggerTrainingArguments, checked_training, choose_arguments

SHAPE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
BERT = BertConfig(vocab_size=9, **SHAPE)
GIVEN: dict[str, Any] = {
    "seed": 7,
    "num_train_epochs": 3,
    "learning_rate": 1e-4,
    "warmup_steps": 10,
    "bf16": False,
}
#: Arguments that would delete, upload, run code or hide, those of training that taggers do not follow, and a typo.
REFUSED = """
    output_dir push_to_hub hub_model_id hub_token hub_strategy report_to logging_dir run_name trackio_space_id
    resume_from_checkpoint deepspeed fsdp fsdp_config accelerator_config parallelism_config torch_compile debug
    save_total_limit save_strategy eval_strategy metric_for_best_model dataloader_num_workers ddp_backend
    optim optim_args label_smoothing_factor gradient_checkpointing learning_rat
""".split()


def test_what_decides_the_weights_is_taken_and_all_else_refused_by_name() -> None:
    assert checked_training(GIVEN) == GIVEN
    assert set(arguments_module._ALLOWED) <= {field.name for field in fields(TaggerTrainingArguments)}
    for name in REFUSED:
        with pytest.raises(ConfigurationError, match=f"^training: {name} cannot be set: ") as error:
            checked_training({**GIVEN, name: "hf_secret"})
        assert "hf_secret" not in str(error.value)
    for training in (None, "num_train_epochs=3", 3, [("seed", 1)]):
        with pytest.raises(ConfigurationError, match="expected settings by name"):
            checked_training(training)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("num_train_epochs", ["3", True, 0, -1, float("nan"), float("inf"), None], "a number above 0"),
        ("weight_decay", ["0.1", -1e-3, float("nan"), float("inf")], "a number, 0 or more"),
        ("sampling_exponent", [-0.1, 1.5, float("nan")], "a number from 0 to 1"),
        ("seed", ["1", 1.5, -1, 1 << 32, True], "a whole number from 0 to 4294967295"),
        ("window_length", [None, 0, 2.5, False], "a whole number above 0"),
        ("bf16", [1, "yes", None], "True or False"),
        ("lr_scheduler_type", [["cosine"], 1], "text"),
    ],
)
def test_values_are_of_their_kind(name: str, values: list[Any], expected: str) -> None:
    for value in values:
        message = re.escape(f"training: {name}={value!r}: expected {expected}.")
        with pytest.raises(ConfigurationError, match=f"^{message}$"):
            checked_training({name: value})


def test_training_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that differ from their defaults count; the output folder is remarked."""
    changed = {"num_train_epochs": 2, "lr_scheduler_type": "cosine", "use_cpu": True}
    assert checked_training(TrainingArguments(**changed)) == changed
    assert capsys.readouterr().err == ""
    assert checked_training(TrainingArguments("mine", **changed)) == changed
    assert "training: output_dir='mine' is not used; checkpoints lie in the cache." in capsys.readouterr().err
    for more in ({"push_to_hub": True}, {"report_to": "tensorboard"}, {"save_steps": 3}, {"run_name": "x"}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(more))} cannot be set"):
            checked_training(TrainingArguments(use_cpu=True, **more))
    tagger = TaggerTrainingArguments("mine", head_learning_rate=1e-2, early_stopping_patience=2)
    assert checked_training(tagger) == {"head_learning_rate": 1e-2, "early_stopping_patience": 2}


@pytest.mark.parametrize(
    ("width", "sentences", "expected"),
    [
        (768, 4999, (3e-5, 20, 16)),
        (768, 5000, (3e-5, 10, 32)),
        (2048, 100, (1e-5, 20, 16)),
        (512, 100, (7e-5, 20, 16)),
        (384, 100, (1e-4, 20, 16)),
        (128, 100, (5e-4, 20, 16)),
    ],
)
def test_rate_epochs_and_batch_follow_encoder_and_corpus(
    width: int, sentences: int, expected: tuple[float, int, int], tmp_path: Path
) -> None:
    encoder: Any = SimpleNamespace(config=SimpleNamespace(hidden_size=width))
    chosen = choose_arguments(encoder, sentences, str(tmp_path), {})
    assert (chosen.learning_rate, chosen.num_train_epochs, chosen.per_device_train_batch_size) == expected
    assert choose_arguments(encoder, sentences, str(tmp_path), {"num_train_epochs": 3}).num_train_epochs == 3
    with pytest.raises(ConfigurationError, match=r"^training: .*no such.* Change it, or leave it out\.$"):
        choose_arguments(encoder, sentences, str(tmp_path), {"lr_scheduler_type": "no such"})


@pytest.mark.parametrize(
    ("given", "count", "each", "whole"), [(16, 1, 16, 16), (16, 4, 4, 16), (16, 3, 6, 18), (2, 8, 1, 8)]
)
def test_processes_share_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int, count: int, each: int, whole: int
) -> None:
    state = SimpleNamespace(num_processes=count, device=SimpleNamespace(type="cpu"))
    monkeypatch.setattr(arguments_module, "launch_state", lambda: state)
    overrides = {"per_device_train_batch_size": given}
    chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), overrides)
    assert chosen.train_batch_size == each
    assert arguments_module.whole_batch(given, count) == whole
    assert chosen.ddp_find_unused_parameters is (None if count == 1 else False)


def test_one_process_takes_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Trainer would wrap the model in ``DataParallel`` and make batches four times as large."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 4))
    plain = TrainingArguments(output_dir=str(tmp_path), per_device_train_batch_size=16)
    assert (plain.n_gpu, plain.train_batch_size) == (4, 64)
    chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), {})
    assert (chosen.n_gpu, chosen.train_batch_size, chosen.eval_batch_size) == (1, 16, 64)
    assert chosen.parallel_mode.value == "not_parallel"


def test_parameters_that_words_alone_do_not_need() -> None:
    """Of XLNet: the mask's embedding, and what tells segments apart; a pooler does not count."""
    assert BertModel(BERT).pooler is not None
    assert not arguments_module.has_unused_parameters(BertModel(BERT))
    encoder = XLNetModel(XLNetConfig(vocab_size=9, d_model=8, n_layer=1, n_head=2, d_inner=8))
    for name in ("layer.0.rel_attn.r_s_bias", "layer.0.rel_attn.seg_embed", "mask_emb"):
        assert arguments_module.has_unused_parameters(encoder)
        encoder.get_parameter(name).requires_grad_(False)
    assert not arguments_module.has_unused_parameters(encoder)


def test_a_gpu_made_for_bfloat16_trains_in_it_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments_module, "has_bfloat16", lambda: True)
    monkeypatch.setattr(arguments_module, "TaggerTrainingArguments", dict)
    for overrides in ({}, {"bf16": False}, {"fp16": True}, {"use_cpu": True}):
        chosen: Any = choose_arguments(BertModel(BERT), 100, str(tmp_path), overrides)
        assert chosen.get("bf16", False) is (not overrides)


@pytest.mark.parametrize("emulated", [True, False])
def test_bfloat16_that_a_processor_emulates_is_warned_of(
    emulated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capabilities = {"avx512_bf16": not emulated, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(arguments_module, "TaggerTrainingArguments", dict)
    for overrides in ({"bf16": True, "use_cpu": True}, {"use_cpu": True}):
        choose_arguments(BertModel(BERT), 100, str(tmp_path), overrides)
        assert ("no instructions for bfloat16" in capsys.readouterr().err) is (
            emulated and "bf16" in overrides
        )
