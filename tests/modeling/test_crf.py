"""The CRF against enumeration of all legal tag sequences, and against pytorch-crf."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchcrf import CRF

from crf_oracle import is_legal, legal_paths, path_scores, random_crf
from esnera_hf.modeling.hub_code import crf as crf_module
from esnera_hf.modeling.hub_code.crf import FORBIDDEN, ConstrainedCRF
from esnera_hf.modeling.joint import RowwiseCRF
from esnera_hf.tagging import Entity, entities_from_tags

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
NEVER_BINDING = ("O", "B-a", "B-b", "B-c")
LENGTHS = [(1,), (4,), (1, 1), (4, 2, 1, 3), (2, 4)]


def random_batch(lengths: tuple[int, ...], tags: tuple[str, ...] = TAGS) -> tuple[Tensor, Tensor]:
    torch.manual_seed(len(lengths) + max(lengths))
    emissions = torch.randn(len(lengths), max(lengths), len(tags))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return emissions, mask


def legal_scores(crf: CRF, emissions: Tensor) -> dict[tuple[int, ...], float]:
    paths = legal_paths(len(emissions), TAGS)
    return dict(zip(paths, path_scores(crf, emissions, paths).tolist(), strict=True))


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_ragged_batch_against_enumeration(lengths: tuple[int, ...], seed: int) -> None:
    """Partition, likelihood of every legal path, best path and marginals."""
    crf = random_crf(TAGS, seed)
    emissions, mask = random_batch(lengths)
    everything = [legal_scores(crf, row[:n]) for row, n in zip(emissions, lengths, strict=True)]
    partitions = [torch.tensor(list(scores.values())).logsumexp(0).item() for scores in everything]
    assert crf.log_partition(emissions, mask).tolist() == pytest.approx(partitions, abs=1e-4)

    chosen = [sorted(scores)[len(scores) // 2] for scores in everything]
    expected = [s[path] - whole for s, path, whole in zip(everything, chosen, partitions, strict=True)]
    width = emissions.shape[1]
    tags = torch.tensor([[*path, *[0] * (width - len(path))] for path in chosen])
    likelihood = crf(emissions, tags, mask, reduction="none")
    assert likelihood.tolist() == pytest.approx(expected, abs=1e-4)
    for row, own_mask, scores, partition in zip(emissions, mask, everything, partitions, strict=True):
        paths = torch.tensor(list(scores))
        rows = row[own_mask].expand(len(paths), -1, -1)
        likelihoods = crf(rows, paths, torch.ones(paths.shape, dtype=torch.bool), reduction="none")
        torch.testing.assert_close(
            likelihoods, torch.tensor(list(scores.values())) - partition, atol=1e-4, rtol=0
        )
        assert likelihoods.exp().sum().item() == pytest.approx(1.0, abs=1e-4)

    best = [list(max(scores, key=scores.__getitem__)) for scores in everything]
    assert crf.decode(emissions, mask) == best
    viterbi = crf.viterbi(emissions, mask)
    assert (viterbi[~mask] == -100).all()
    assert [row[own].tolist() for row, own in zip(viterbi, mask, strict=True)] == best

    marginals = torch.zeros_like(emissions)
    for index, (scores, partition) in enumerate(zip(everything, partitions, strict=True)):
        for path, value in scores.items():
            for position, tag in enumerate(path):
                marginals[index, position, tag] += math.exp(value - partition)
    torch.testing.assert_close(crf.marginals(emissions, mask), marginals, atol=1e-5, rtol=0)


def mentions(path: tuple[int, ...]) -> set[Entity]:
    return set(entities_from_tags([TAGS[tag] for tag in path])[0])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("in_logarithms", [False, True])
def test_probabilities_of_mentions_against_enumeration(
    lengths: tuple[int, ...], temperature: float, in_logarithms: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every mention of every legal path: the share of the paths in which it is one, neither longer nor shorter."""
    if in_logarithms:
        monkeypatch.setattr(crf_module, "messages_both_ways", lambda *scores: None)
    crf = random_crf(TAGS)
    emissions, mask = random_batch(lengths)
    everything = [legal_scores(crf, row[:n]) for row, n in zip(emissions, lengths, strict=True)]
    expected: list[dict[Entity, float]] = []
    for scores in everything:
        weights = torch.tensor([value / temperature for value in scores.values()]).softmax(0).tolist()
        shares: dict[Entity, float] = {}
        for path, weight in zip(scores, weights, strict=True):
            for mention in mentions(path):
                shares[mention] = shares.get(mention, 0.0) + weight
        expected.append(shares)
    emissions = emissions.masked_fill(~mask.unsqueeze(2), math.nan)
    width = max(lengths)
    for place in range(max(map(len, everything))):
        chosen = [sorted(scores)[place % len(scores)] for scores in everything]
        paths = torch.tensor([[*path, *[-100] * (width - len(path))] for path in chosen])
        tags, factors = crf.path_probabilities(emissions, paths, mask, temperature)
        assert (tags[~mask] == 0).all()
        assert (factors[~mask] == 0).all()
        marginals = crf.marginals(emissions.nan_to_num(), mask, temperature)
        torch.testing.assert_close(tags[mask], marginals[mask].gather(1, paths[mask, None])[:, 0])
        for row, path in enumerate(chosen):
            for mention in mentions(path):
                actual = factors[row, mention.start : mention.end].sum().exp().item()
                assert actual == pytest.approx(expected[row][mention], abs=1e-5, rel=1e-4)


def test_the_probability_of_a_mention_is_below_the_smallest_marginal_of_its_words() -> None:
    """That bound was once taken for it: a long mention may be sure nowhere as a whole, and yet in every word."""
    crf = random_crf(TAGS)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    emissions = torch.zeros(1, 6, 5)
    emissions[..., 2] = 1.5
    emissions[:, 0, 1] = 3.0
    tags, factors = crf.path_probabilities(
        emissions, torch.tensor([[1, 2, 2, 2, 2, 2]]), torch.ones(1, 6).bool()
    )
    assert factors.sum().exp() < 0.8 * tags.min()


def assert_same(crf: ConstrainedCRF, oracle: CRF, emissions: Tensor, mask: Tensor) -> None:
    normalizer = oracle._compute_normalizer(emissions.transpose(0, 1), mask.T)
    torch.testing.assert_close(crf.log_partition(emissions, mask), normalizer)
    assert crf.decode(emissions, mask) == oracle.decode(emissions, mask)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_against_pytorch_crf(lengths: tuple[int, ...]) -> None:
    """Where no constraint binds, and where its own parameters are penalised."""
    crf, oracle = random_crf(NEVER_BINDING), CRF(len(NEVER_BINDING), batch_first=True)
    oracle.load_state_dict(crf.state_dict())
    emissions, mask = random_batch(lengths, NEVER_BINDING)
    tags = torch.randint(len(NEVER_BINDING), mask.shape)
    for reduction in ("none", "sum", "mean", "token_mean"):
        expected = oracle(emissions, tags, mask, reduction=reduction)
        torch.testing.assert_close(crf(emissions, tags, mask, reduction=reduction), expected)
    assert_same(crf, oracle, emissions, mask)
    crf, oracle = random_crf(TAGS), CRF(len(TAGS), batch_first=True)
    oracle.load_state_dict(crf.state_dict())
    with torch.no_grad():
        for after in (2, 4):
            oracle.start_transitions[after] += FORBIDDEN
            for before in range(len(TAGS)):
                if TAGS[before][2:] != TAGS[after][2:]:
                    oracle.transitions[before, after] += FORBIDDEN
    assert_same(crf, oracle, *random_batch(lengths))


@given(
    values=st.lists(
        st.lists(st.sampled_from([0.0, 1.0, -1e3, 1e5, -1e5, 1e30, -1e30]), min_size=5, max_size=5),
        min_size=1,
        max_size=7,
    )
)
def test_no_emission_makes_an_illegal_path(values: list[list[float]]) -> None:
    crf = random_crf(TAGS)
    (path,) = crf.decode(torch.tensor([values]), torch.ones(1, len(values), dtype=torch.bool))
    assert is_legal(path, TAGS)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    assert (
        crf.decode(torch.zeros(2, 3, len(TAGS))) == [[0, 0, 0]] * 2
    )  # a tie goes to the tag that comes first


def gradients(crf: ConstrainedCRF, emissions: Tensor, mask: Tensor) -> list[Tensor]:
    variable = emissions.clone().requires_grad_()
    value = (crf.log_partition(variable, mask) * torch.arange(1.0, len(mask) + 1)).sum()
    parameters = [parameter for part in getattr(crf, "crfs", (crf,)) for parameter in part.parameters()]
    return [value.detach(), *torch.autograd.grad(value, [variable, *parameters], materialize_grads=True)]


@pytest.mark.parametrize("lengths", [*LENGTHS, (30, 1, 17)])
@pytest.mark.parametrize("rowwise", [False, True])
def test_messages_give_the_gradients_of_the_recursion_in_logarithms(
    lengths: tuple[int, ...], rowwise: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    emissions, mask = random_batch(lengths)
    emissions = (emissions * 5).masked_fill(~mask.unsqueeze(2), math.nan)
    parts = [random_crf(TAGS[:3], 1), random_crf(TAGS)]

    def computed(emissions: Tensor) -> list[Tensor]:
        crf = RowwiseCRF(parts, torch.arange(len(lengths)) % 2) if rowwise else parts[1]
        return [*gradients(crf, emissions, mask), crf.marginals(emissions, mask)]

    actual = computed(emissions)
    monkeypatch.setattr(crf_module, "messages_both_ways", lambda *scores: None)
    for one, other in zip(actual, computed(emissions.nan_to_num(7.0)), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_numbers_too_far_apart_for_messages() -> None:
    crf = random_crf(TAGS)
    emissions, mask = random_batch((4, 2))
    assert crf_module.messages_both_ways(emissions, *crf._scores(), crf.end_transitions, mask) is not None
    emissions[0, 0, 0], emissions[0, 1, 0], emissions[0, 1, 2] = 1e4, -1e4, 1e4
    scores = [score.detach() for score in (*crf._scores(), crf.end_transitions)]
    assert crf_module.messages_both_ways(emissions, *scores, mask) is None
    # Scores of ten thousand leave single precision three digits.
    torch.testing.assert_close(crf.marginals(emissions, mask).sum(2), mask.float(), atol=1e-3, rtol=0)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(crf, emissions, mask))


def test_a_crf_that_decoded_in_inference_mode_can_be_trained() -> None:
    tags = (*TAGS, "B-other", "I-other")
    crf = random_crf(tags)
    emissions, mask = random_batch((3, 2), tags)
    emissions = emissions.bfloat16()
    with torch.inference_mode():
        crf.decode(emissions, mask)
        crf.marginals(emissions, mask)
    likelihood = crf(emissions, torch.zeros(2, 3, dtype=torch.long), mask)
    likelihood.backward()
    assert crf.transitions.grad is not None
    # Emissions of half precision are scored in single precision.
    assert likelihood.dtype == torch.float32
    torch.testing.assert_close(likelihood, crf(emissions.float(), torch.zeros(2, 3, dtype=torch.long), mask))
