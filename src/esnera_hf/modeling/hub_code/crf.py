"""A linear-chain CRF over IOB2 tags: pytorch-crf's parameters, plus constraints, batch decoding, marginals.

Equations: Lafferty et al. 2001. With emissions e, transitions A, start s and
end t, the score of a tag sequence y is
``s[y_1] + Σ_i e[i, y_i] + Σ_i A[y_{i-1}, y_i] + t[y_n]``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Within a try, the import is left out of transformers' own check, which would advise `pip install torchcrf`.
try:
    from torchcrf import CRF
except ModuleNotFoundError as error:
    raise ImportError(
        "The CRF layer needs the package pytorch-crf: run `pip install pytorch-crf`. "
        "(`torchcrf` on the package index is another project.)"
    ) from error
except ImportError:
    CRF = None
if "batch_first" not in inspect.signature(CRF or object).parameters:
    raise ImportError(
        "The module torchcrf that is installed is not that of pytorch-crf, which the CRF layer needs: run "
        "`pip uninstall torchcrf TorchCRF`, then `pip install --force-reinstall --no-deps pytorch-crf`."
    )

#: Score of a transition that IOB2 forbids while training: finite, so that gradients stay finite.
FORBIDDEN = -1e4


class ConstrainedCRF(CRF):  # type: ignore[misc]
    """pytorch-crf's ``CRF`` (batch first) in which ``I-X`` follows nothing but ``B-X`` or ``I-X``.

    The parameters are those of pytorch-crf and are exchangeable with it; the
    constraint is added where they are used, in training and in decoding.

    Args:
        tags: the IOB2 tags, by id.
    """

    def __init__(self, tags: Sequence[str]) -> None:
        super().__init__(len(tags), batch_first=True)
        self.tags = tuple(tags)

    def _scores(self, penalty: float = FORBIDDEN) -> tuple[Tensor, Tensor]:
        """Return start scores, shape (tags,), and transition scores, shape (from, to), with constraints."""
        start, transitions = self.start_transitions.float(), self.transitions.float()
        not_first, not_following = (illegal.to(start.device) for illegal in _illegal_in_iob2(self.tags))
        zero = start.new_zeros(())
        return (
            start + torch.where(not_first, penalty, zero),
            transitions + torch.where(not_following, penalty, zero),
        )

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor, reduction: str = "sum") -> Tensor:
        """Return the log-likelihood of tag sequences.

        Args:
            emissions: shape (batch, length, tags).
            tags: ids, shape (batch, length); any valid id where masked.
            mask: bool, shape (batch, length), True on a prefix of each row.
            reduction: ``none``, ``sum``, ``mean`` (over sequences) or
                ``token_mean``.

        Returns:
            Shape (batch,) for ``none``, else a scalar.
        """
        self._validate(emissions, tags=tags, mask=mask)
        emissions = emissions.float()
        score = self.path_score(emissions, tags, mask) - self.log_partition(emissions, mask)
        if reduction == "none":
            return score
        if reduction == "sum":
            return score.sum()
        if reduction == "mean":
            return score.mean()
        if reduction == "token_mean":
            return score.sum() / mask.sum()
        raise ValueError(f"reduction={reduction!r}: expected none, sum, mean or token_mean")

    def path_score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the unnormalised score of tag sequences, shape (batch,)."""
        start, transitions = self._scores()
        weight = mask.to(emissions.dtype)
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
        moved = transitions[tags[:, :-1], tags[:, 1:]] * weight[:, 1:]
        end = self.end_transitions.float()[last]
        score: Tensor = start[tags[:, 0]] + (emitted * weight).sum(1) + moved.sum(1) + end
        return score

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the log of the summed exponentiated scores of all tag sequences, shape (batch,)."""
        start, transitions = self._scores()
        alpha = start + emissions[:, 0]
        for step in range(1, emissions.shape[1]):
            following = torch.logsumexp(alpha.unsqueeze(2) + transitions, dim=1) + emissions[:, step]
            alpha = torch.where(mask[:, step].unsqueeze(1), following, alpha)
        return torch.logsumexp(alpha + self.end_transitions.float(), dim=1)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the best legal tag sequences, shape (batch, length), -100 where masked."""
        self._validate(emissions, mask=mask)
        emissions = emissions.float()
        start, transitions = self._scores(-math.inf)
        stay = torch.arange(self.num_tags, device=emissions.device).expand(emissions.shape[0], -1)
        score = start + emissions[:, 0]
        back_pointers = []
        for step in range(1, emissions.shape[1]):
            best, origin = (score.unsqueeze(2) + transitions).max(dim=1)
            valid = mask[:, step].unsqueeze(1)
            score = torch.where(valid, best + emissions[:, step], score)
            back_pointers.append(torch.where(valid, origin, stay))
        tag = (score + self.end_transitions.float()).argmax(dim=1, keepdim=True)
        path = [tag]
        for origin in reversed(back_pointers):
            tag = origin.gather(1, tag)
            path.append(tag)
        return torch.cat(path[::-1], dim=1).masked_fill(~mask, -100)

    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> list[list[int]]:
        """Return the best legal tag sequences as lists, as pytorch-crf does."""
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        rows = self.viterbi(emissions, mask).tolist()
        return [row[:length] for row, length in zip(rows, mask.sum(1).tolist(), strict=True)]

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the probability of every tag at every position, shape (batch, length, tags).

        Computed as the gradient of the log partition function by the emissions;
        zero where masked.
        """
        with torch.inference_mode(False), torch.enable_grad():
            variable = emissions.detach().float().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.log_partition(variable, mask.clone()).sum(), variable)
        return gradient


def _illegal_in_iob2(tags: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return which tags may not come first, shape (tags,), and which may not follow which, (from, to)."""
    inside = torch.tensor([tag.startswith("I-") for tag in tags])
    same_label = torch.tensor([[before[2:] == after[2:] for after in tags] for before in tags])
    return inside, inside & ~same_label
