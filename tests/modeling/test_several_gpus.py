"""The settings of a training that depend on how many processes train, and how many GPUs there are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import BertConfig, BertModel, TrainingArguments, XLNetConfig, XLNetModel

from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling import arguments as arguments_module
from esnera_hf.modeling.arguments import choose_arguments, has_unused_parameters, whole_batch
from esnera_hf.taggers import source_taggers as taggers

BERT = BertConfig(
    vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
)


def processes(patch: pytest.MonkeyPatch, count: int) -> None:
    """Let settings be chosen as in one of several processes, on the CPU."""
    state = SimpleNamespace(num_processes=count, device=SimpleNamespace(type="cpu"))
    patch.setattr(arguments_module, "launch_state", lambda: state)
    patch.setattr(taggers, "process_count", lambda: count)


@pytest.mark.parametrize(
    ("given", "count", "each", "whole"), [(16, 1, 16, 16), (16, 4, 4, 16), (16, 3, 6, 18), (2, 8, 1, 8)]
)
def test_processes_share_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: int, count: int, each: int, whole: int
) -> None:
    """The tagger is known by the batch that is taken, not by who takes it."""
    processes(monkeypatch, count)
    overrides = {"per_device_train_batch_size": given}
    chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), overrides)
    assert chosen.train_batch_size == each
    assert whole_batch(given, count) == whole
    assert taggers.deciding(overrides) == {"per_device_train_batch_size": str(whole)}


@pytest.mark.parametrize("given", [0, -3, "many"])
def test_a_batch_that_cannot_be_shared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object
) -> None:
    processes(monkeypatch, 2)
    with pytest.raises(ConfigurationError, match="per_device_train_batch_size"):
        choose_arguments(BertModel(BERT), 100, str(tmp_path), {"per_device_train_batch_size": given})


def test_one_process_takes_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Trainer would wrap the model in ``DataParallel`` and make batches four times as large."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 4))
    plain = TrainingArguments(output_dir=str(tmp_path), per_device_train_batch_size=16)
    assert (plain.n_gpu, plain.train_batch_size) == (4, 64)
    chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), {})
    assert (chosen.n_gpu, chosen.train_batch_size, chosen.eval_batch_size) == (1, 16, 64)
    assert chosen.parallel_mode.value == "not_parallel"


class TestUnusedParameters:
    def test_a_pooler_does_not_count(self) -> None:
        assert BertModel(BERT).pooler is not None
        assert not has_unused_parameters(BertModel(BERT))

    def test_parameters_that_words_alone_do_not_need(self) -> None:
        """Of XLNet: the mask's embedding, and what tells segments apart."""
        encoder = XLNetModel(XLNetConfig(vocab_size=9, d_model=8, n_layer=1, n_head=2, d_inner=8))
        unused = {"mask_emb", "layer.0.rel_attn.seg_embed", "layer.0.rel_attn.r_s_bias"}
        for name in sorted(unused):
            assert has_unused_parameters(encoder)
            encoder.get_parameter(name).requires_grad_(False)
        assert not has_unused_parameters(encoder)

    @pytest.mark.parametrize("count", [1, 2])
    def test_they_are_looked_for_only_where_there_are_some(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        processes(monkeypatch, count)
        chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), {})
        assert chosen.ddp_find_unused_parameters is (None if count == 1 else False)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [({}, True), ({"bf16": False}, False), ({"fp16": True}, False), ({"use_cpu": True}, False)],
)
def test_a_gpu_made_for_bfloat16_trains_in_it_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any], expected: bool
) -> None:
    monkeypatch.setattr("esnera_hf.modeling.arguments.has_bfloat16", lambda: True)
    monkeypatch.setattr("esnera_hf.modeling.arguments.TaggerTrainingArguments", dict)
    chosen = choose_arguments(BertModel(BERT), 100, str(tmp_path), overrides)
    assert chosen.get("bf16", False) is expected
