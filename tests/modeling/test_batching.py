"""Windows of like length together, padded; and the precision they are computed with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from esnera_hf.modeling import tokenization as batching
from esnera_hf.modeling.hub_code.windows import Window, encoder_inputs, pad
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.tokenization import batches_by_length, mixed_precision


def windows(*lengths: int) -> list[Window]:
    return [Window(index, [0] * length, [], []) for index, length in enumerate(lengths)]


def test_batches_of_so_many_rows() -> None:
    assert list(batches_by_length(windows(3, 9, 1, 9, 4), 2)) == [[1, 3], [4, 0], [2]]


def test_batches_of_so_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_PIECES_ON_CPU", 10)
    assert list(batches_by_length(windows(2, 12, 5, 2, 4, 3, 1))) == [[1], [2, 4], [5, 0, 3], [6]]
    assert list(batches_by_length([])) == []


def test_padding() -> None:
    rows = [[4, 5, 6], [], [7]]
    assert pad(rows, -1).tolist() == [[4, 5, 6], [-1, -1, -1], [7, -1, -1]]
    inputs = encoder_inputs(rows, 9)
    assert inputs["input_ids"].tolist() == [[4, 5, 6], [9, 9, 9], [7, 9, 9]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert {tensor.dtype for tensor in inputs.values()} == {torch.int64}


@pytest.mark.parametrize(
    ("kind", "supported", "expected"),
    [("cpu", True, None), ("cuda", False, None), ("cuda", True, torch.bfloat16)],
)
def test_bfloat16_only_on_gpus_made_for_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, supported: bool, expected: torch.dtype | None
) -> None:
    monkeypatch.setattr(batching, "device", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    entered: list[tuple[str, torch.dtype]] = []

    @contextmanager
    def autocast(name: str, dtype: torch.dtype) -> Iterator[None]:
        entered.append((name, dtype))
        yield

    monkeypatch.setattr(torch, "autocast", autocast)
    with mixed_precision():
        pass
    assert entered == ([("cuda", expected)] if expected else [])


def test_the_crf_computes_in_single_precision_or_better_within_mixed_precision(
    tagger: Tagger, sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(tagger.predict(sentences, scores=True))
    kinds: list[torch.dtype] = []
    viterbi = tagger.model.crf.viterbi

    def spied(emissions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kinds.append(emissions.dtype)
        assert not torch.is_autocast_enabled("cpu")
        path: torch.Tensor = viterbi(emissions, mask)
        return path

    monkeypatch.setattr(tagger.model.crf, "viterbi", spied)
    monkeypatch.setattr(
        "esnera_hf.modeling.tagger.mixed_precision", lambda: torch.autocast("cpu", dtype=torch.bfloat16)
    )
    found = list(tagger.predict(sentences, scores=True))
    assert set(kinds) == {torch.float32}
    same = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True))
    assert same > 0.9 * sum(map(len, expected)) > 0
