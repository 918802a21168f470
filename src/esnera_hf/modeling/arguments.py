"""The settings of a training: those that can be set, and those chosen for encoder and corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeAlias

import torch
from transformers import PreTrainedModel, TrainingArguments

from esnera_hf._internal.console import say
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.distributed import launch_state
from esnera_hf.modeling.tokenization import has_bfloat16

#: Kinds of settings: types of their values, which of those are allowed, and the same in words.
_KINDS: dict[str, tuple[type | tuple[type, ...], Callable[[Any], bool], str]] = {
    "switch": (bool, lambda value: True, "True or False"),
    "text": (str, lambda value: True, "text"),
    "seed": (int, lambda value: 0 <= value < 1 << 32, "a whole number from 0 to 4294967295"),
    "count": (int, lambda value: value >= 1, "a whole number above 0"),
    "rate": ((int, float), lambda value: 0 < value < math.inf, "a number above 0"),
    "amount": ((int, float), lambda value: 0 <= value < math.inf, "a number, 0 or more"),
    "share": ((int, float), lambda value: 0 <= value <= 1, "a number from 0 to 1"),
}
#: The settings that decide a tagger's weights, with their kinds: these can be set, and nothing else. Settings may
#: come from a stranger's report, and other arguments of the Trainer delete files, upload, or run code.
_ALLOWED = {
    "seed": "seed",
    "data_seed": "seed",
    "num_train_epochs": "rate",
    "max_steps": "count",
    "early_stopping_patience": "count",
    "learning_rate": "rate",
    "head_learning_rate": "rate",
    "lr_scheduler_type": "text",
    "warmup_steps": "amount",
    "weight_decay": "amount",
    "adam_beta1": "share",
    "adam_beta2": "share",
    "adam_epsilon": "amount",
    "max_grad_norm": "amount",
    "per_device_train_batch_size": "count",
    "gradient_accumulation_steps": "count",
    "sampling_exponent": "share",
    "window_length": "count",
    "bf16": "switch",
    "fp16": "switch",
    "tf32": "switch",
    "use_cpu": "switch",
    "full_determinism": "switch",
}
#: Why some of the others cannot be set.
_REASONS = {
    "optim": "taggers are trained with AdamW, at a rate for the encoder and one for the rest",
    "optim_args": "taggers are trained with AdamW, which takes adam_beta1, adam_beta2 and adam_epsilon",
    "label_smoothing_factor": "the loss is the likelihood of a CRF, which has no smoothed form here",
    "gradient_checkpointing": "a tagger keeps what its layers compute; smaller batches need less memory",
    "batch_eval_metrics": "entities are scored over the whole validation split",
}
#: Of a joint tagger: small sources are seen more often than their share, and the large ones are not lost.
SAMPLING_EXPONENT = 0.7
#: Where training can be set: settings by name, see :func:`checked_training`.
TrainingLike: TypeAlias = TrainingArguments | Mapping[str, Any]


@dataclass
class TaggerTrainingArguments(TrainingArguments):  # type: ignore[misc]
    """The Trainer's arguments and four of a tagger's own.

    The batch size is set for all processes of a launch together: each
    takes its part of it, see :func:`whole_batch`.

    Attributes:
        head_learning_rate: of the emission layer and the CRF, which start
            untrained and want a higher one than the encoder.
        early_stopping_patience: epochs without a better validation micro-F1
            after which training stops, at least 1; as many as there are epochs
            or more never stop it.
        window_length: most pieces the encoder is given at once; its own limit
            if ``None``.
        sampling_exponent: α of a joint tagger's sampling, in [0, 1]: sources of
            n sentences make up shares ∝ n^α of its training; 1 leaves them as
            they are, 0 makes them equal. Separate taggers do not look at it.
    """

    head_learning_rate: float = field(default=2e-3)
    early_stopping_patience: int = field(default=4)
    window_length: int | None = field(default=None)
    sampling_exponent: float = field(default=SAMPLING_EXPONENT)

    @property
    def n_gpu(self) -> int:
        """The GPUs of this process: at most one, where the Trainer would share batches out by ``DataParallel``.

        That splits batches behind the back of a CRF whose rows and heads belong
        together, and is slower than a process per GPU.
        """
        return min(int(super().n_gpu), 1)

    def reported(self) -> dict[str, Any]:
        """Return the settings that decide the weights, for reports; the batch is that of all processes."""
        settings = {name: getattr(self, name) for name in (*recommended_settings(768, 0), "seed")}
        settings["per_device_train_batch_size"] *= self.world_size
        return settings


def checked_training(training: TrainingLike) -> dict[str, Any]:
    """Return the settings of a training by name: none but those that decide a tagger's weights.

    Args:
        training: settings by name, or ``TrainingArguments``, of which those that
            differ from their defaults count. Their ``output_dir`` is not used,
            as checkpoints lie in the cache.

    Raises:
        ConfigurationError: a setting is not allowed here, out of range, or of another type.
    """
    if isinstance(training, TrainingArguments):
        training = _changed(training)
    if not isinstance(training, Mapping):
        raise ConfigurationError(
            f"training: found {type(training).__name__}, expected settings by name, such as "
            "{'num_train_epochs': 5}, or TrainingArguments."
        )
    for name, value in training.items():
        if name not in _ALLOWED:
            # The value is left out of the message: it may be a token.
            reason = _REASONS.get(name, f"expected one of {', '.join(sorted(_ALLOWED))}")
            raise ConfigurationError(f"training: {name} cannot be set: {reason}. Leave it out.")
        types, is_allowed, expected = _KINDS[_ALLOWED[name]]
        is_of_type = isinstance(value, types) and (types is bool or not isinstance(value, bool))
        if not is_of_type or not is_allowed(value):
            raise ConfigurationError(f"training: {name}={value!r:.80}: expected {expected}.")
    return dict(training)


def _changed(arguments: TrainingArguments) -> dict[str, Any]:
    """Return the arguments that differ from the defaults of their class, without the output folder."""
    kind = TaggerTrainingArguments if isinstance(arguments, TaggerTrainingArguments) else TrainingArguments
    values = {argument.name: getattr(arguments, argument.name) for argument in fields(arguments)}
    output_dir = values.pop("output_dir")
    defaults = kind(output_dir)
    changed = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
        if name in _ALLOWED and value != getattr(defaults, name, None)
    }
    # The Trainer derives arguments from others, such as no pinned memory from use_cpu: those of a twin are as good.
    twin = kind(output_dir, **changed)
    others = {name: value for name, value in values.items() if value != getattr(twin, name, None)}
    if output_dir != TrainingArguments().output_dir:
        say(f"training: output_dir={output_dir!r} is not used; checkpoints lie in the cache.")
    return {**changed, **others}


def recommended_settings(width: int, sentences: int) -> dict[str, Any]:
    """Return the settings of a training that depend on encoder and corpus, and those that were tuned.

    The learning rate falls with the width of the encoder (3e-5 at 768, 1e-4 at 384, where merged taggers
    were best at 1.25e-4 on validation, merged_tagger.md). Batches are small where training sentences are few,
    so that an epoch has enough steps.
    """
    return {
        "learning_rate": float(f"{min(max(3e-5 * (768 / width) ** 2, 1e-5), 5e-4):.1g}"),
        "head_learning_rate": 2e-3,
        "num_train_epochs": 20 if sentences < 5000 else 10,
        "early_stopping_patience": 4,
        "per_device_train_batch_size": 16 if sentences < 5000 else 32,
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
    }


def whole_batch(size: int, processes: int) -> int:
    """Return the sentences per step of all processes: ``size``, rounded up to a multiple of them.

    So the steps of a training are the same for any number of processes that divides the size.
    """
    return -(-size // processes) * processes


def choose_arguments(
    encoder: PreTrainedModel, sentences: int, output_dir: str, overrides: Mapping[str, Any]
) -> TaggerTrainingArguments:
    """Choose training arguments for an encoder and a corpus size; bfloat16 on a GPU made for it.

    Args:
        sentences: number of training sentences.
        overrides: settings that win over those chosen, see :func:`checked_training`.

    Raises:
        ConfigurationError: an override cannot be set, or is out of range.
    """
    overrides = checked_training(overrides)
    chosen: dict[str, Any] = {
        **recommended_settings(encoder.config.hidden_size, sentences),
        "output_dir": output_dir,
        "per_device_eval_batch_size": 64,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "logging_strategy": "epoch",
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,
        "metric_for_best_model": "f1",
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    if has_bfloat16() and not {"bf16", "fp16", "use_cpu"} & set(overrides):
        chosen["bf16"] = True
    state = launch_state()
    if state.num_processes > 1:
        chosen["ddp_find_unused_parameters"] = has_unused_parameters(encoder)
        if state.device.type == "cpu":
            # Without it the Trainer takes each process for the only one.
            chosen["use_cpu"] = True
    chosen |= overrides
    batch = whole_batch(chosen["per_device_train_batch_size"], state.num_processes)
    chosen["per_device_train_batch_size"] = batch // state.num_processes
    on_cpu = chosen.get("use_cpu") or state.device.type == "cpu"
    if chosen.get("bf16") and on_cpu and emulates_bfloat16():
        # Twelve times as long on a processor with AVX2, four layers of 384.
        say(
            "bf16: this processor has no instructions for bfloat16; training is much faster without",
            "warning",
        )
    try:
        return TaggerTrainingArguments(**chosen)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"training: {str(error).removesuffix('.')}. Change it, or leave it out."
        ) from error


def emulates_bfloat16() -> bool:
    """Tell whether torch says that this processor has no instructions for bfloat16; older versions do not say."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return not (capabilities.get("avx512_bf16", True) or capabilities.get("amx_bf16", True))


def has_unused_parameters(encoder: PreTrainedModel) -> bool:
    """Tell whether an encoder has parameters, beside a pooler's, that its states do not depend on.

    Processes that train together have to look for them in every step, which
    costs time and draws a warning where there are none.
    """
    parameters = [
        parameter
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad and not name.startswith("pooler.")
    ]
    ids = torch.zeros((1, 2), dtype=torch.long, device=encoder.device)
    with torch.enable_grad():
        states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        gradients = torch.autograd.grad(states.sum(), parameters, allow_unused=True)
    return any(gradient is None for gradient in gradients)
