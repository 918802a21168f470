"""Training settings from users and from reports: which are taken, and which refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from transformers import TrainingArguments

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.arguments import _ALLOWED, TaggerTrainingArguments, checked_training

GIVEN: dict[str, Any] = {
    "seed": 7,
    "num_train_epochs": 3,
    "learning_rate": 1e-4,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 10,
    "per_device_train_batch_size": 8,
    "bf16": False,
    "window_length": 64,
}
#: With the values that would do harm, or anything at all that is not of a tagger's training.
REFUSED: dict[str, Any] = {
    "output_dir": "/home/someone",
    "push_to_hub": True,
    "hub_model_id": "someone/else",
    "hub_token": "hf_secret",
    "hub_strategy": "all_checkpoints",
    "report_to": "wandb",
    "logging_dir": "/tmp/x",
    "run_name": "x",
    "trackio_space_id": "x",
    "resume_from_checkpoint": "/tmp/pickle",
    "deepspeed": "config.json",
    "fsdp": "full_shard",
    "fsdp_config": "config.json",
    "accelerator_config": "config.json",
    "torch_compile": True,
    "save_total_limit": 1,
    "save_strategy": "no",
    "eval_strategy": "no",
    "dataloader_num_workers": 64,
    "ddp_backend": "nccl",
    "optim": "adafactor",
    "label_smoothing_factor": 0.1,
    "gradient_checkpointing": True,
    "learning_rat": 1e-3,
}


def test_what_decides_the_weights_is_taken() -> None:
    assert checked_training(GIVEN) == GIVEN
    assert set(_ALLOWED) <= {field.name for field in fields(TaggerTrainingArguments)}


@pytest.mark.parametrize("name", REFUSED)
def test_all_else_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^report.json: {name} cannot be set: ") as error:
        checked_training({**GIVEN, name: REFUSED[name]}, origin="report.json")
    assert "hf_secret" not in str(error.value)


def test_every_argument_of_the_trainer_is_taken_or_refused() -> None:
    for field in fields(TrainingArguments):
        if field.name not in _ALLOWED:
            with pytest.raises(ConfigurationError, match=f"training: {field.name} cannot be set"):
                checked_training({field.name: None})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_train_epochs", "3", "num_train_epochs='3': expected a number"),
        ("num_train_epochs", True, "num_train_epochs=True: expected a number"),
        ("seed", 1.5, "seed=1.5: expected a whole number"),
        ("bf16", 1, "bf16=1: expected True or False"),
        ("lr_scheduler_type", ["cosine"], r"lr_scheduler_type=\['cosine'\]: expected text"),
        ("window_length", None, "window_length=None: expected a whole number"),
        ("learning_rate", float("nan"), "learning_rate=nan: expected a finite number"),
        ("weight_decay", float("inf"), "weight_decay=inf: expected a finite number"),
    ],
)
def test_types(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^training: {message}"):
        checked_training({name: value})


@pytest.mark.parametrize("training", [None, "num_train_epochs=3", 3, [("seed", 1)]])
def test_settings_have_names(training: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected settings by name"):
        checked_training(training)


def test_training_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that differ from their defaults count; the output folder is remarked."""
    changed = {"num_train_epochs": 2, "lr_scheduler_type": "cosine", "use_cpu": True}
    assert checked_training(TrainingArguments(**changed)) == changed
    assert capsys.readouterr().err == ""
    assert checked_training(TrainingArguments("mine", **changed)) == changed
    assert "training: output_dir='mine' is not used; checkpoints lie in the cache." in capsys.readouterr().err
    tagger = TaggerTrainingArguments("mine", head_learning_rate=1e-2, early_stopping_patience=2)
    assert checked_training(tagger) == {"head_learning_rate": 1e-2, "early_stopping_patience": 2}


@pytest.mark.parametrize(
    "changed", [{"push_to_hub": True}, {"report_to": "tensorboard"}, {"save_steps": 3}, {"run_name": "x"}]
)
def test_training_arguments_with_more_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(changed))} cannot be set"):
        checked_training(TrainingArguments(use_cpu=True, **changed))
