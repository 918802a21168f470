"""A linear-chain CRF over IOB2 tags: pytorch-crf's parameters, plus constraints, batch decoding, marginals.

Equations: Lafferty et al. 2001. With emissions e, transitions A, start s and
end t, the score of a tag sequence y is
``s[y_1] + Σ_i e[i, y_i] + Σ_i A[y_{i-1}, y_i] + t[y_n]``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from .messages import LogPartition, log_messages_back, log_partition, messages_both_ways

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

    Its methods take ``emissions``, shape (batch, length, tags); ids of ``tags`` or ``paths``, shape (batch, length),
    which may be any valid ones where masked; a bool ``mask`` of that shape, True on a prefix of each row; and a
    ``temperature`` that all scores are divided by, which evens out the probabilities.

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
        """Return the log-likelihood of tag sequences, a scalar, or of shape (batch,) without a reduction.

        Args:
            reduction: ``none``, ``sum``, ``mean`` (over sequences) or ``token_mean``.
        """
        self._validate(emissions, tags=tags, mask=mask)
        emissions = emissions.float()
        score = self.path_score(emissions, tags, mask) - self.log_partition(emissions, mask)
        if reduction == "none":
            return score
        counts: dict[str, Any] = {"sum": 1, "mean": len(score), "token_mean": mask.sum()}
        if reduction not in counts:
            raise ValueError(f"reduction={reduction!r}: expected none, sum, mean or token_mean")
        likelihood: Tensor = score.sum() / counts[reduction]
        return likelihood

    def path_score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the unnormalized score of tag sequences, shape (batch,)."""
        start, transitions = self._scores()
        weight = mask.to(emissions.dtype)
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
        # A subclass may have scores of its own for each row.
        row = (torch.arange(len(tags), device=tags.device),) * (start.ndim - 1)
        moved = transitions[(*(r[:, None] for r in row), tags[:, :-1], tags[:, 1:])] * weight[:, 1:]
        end = self.end_transitions.float()[(*row, last)]
        score: Tensor = start[(*row, tags[:, 0])] + (emitted * weight).sum(1) + moved.sum(1) + end
        return score

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the log of the summed exponentiated scores of all tag sequences, shape (batch,)."""
        scores = (emissions, *self._scores(), self.end_transitions.float())
        emitted, start, transitions, end = (score.detach() for score in scores)
        messages = messages_both_ways(emitted, start, transitions, end, mask)
        if messages is None:
            return log_partition(*scores, mask)
        partition: Tensor = LogPartition.apply(*scores, messages)  # type: ignore[no-untyped-call]
        return partition

    def partial_losses(self, emissions: Tensor, evidence: Tensor, mask: Tensor) -> Tensor:
        """Return the negative log-likelihood of partial annotation, shape (batch,), never below 0.

        −log p(allowed) = log Z(all) − log Z(allowed), of which both sums are computed in one pass (Bellare and
        McCallum 2007, Tsuboi et al. 2008: marginal CRF likelihood; Greenberg et al. 2018: datasets of other labels).

        Args:
            evidence: the logarithm of how far a tag is allowed, in (−∞, 0], of the shape of the emissions. At
                least one legal tag sequence of each row must be allowed.
        """
        emissions = emissions.float()
        # A finite score for what is forbidden keeps gradients finite: exp(-1e4) is 0 in single precision.
        both = torch.cat([emissions + evidence.clamp(min=FORBIDDEN), emissions])
        allowed, everything = self.log_partition(both, torch.cat([mask, mask])).chunk(2)
        return everything - allowed

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the best legal tag sequences, shape (batch, length), -100 where masked."""
        self._validate(emissions, mask=mask)
        emissions = emissions.float()
        start, transitions = self._scores(-math.inf)
        # Rows last, as they are what the additions below have most of in a run.
        moves = (
            transitions.unsqueeze(2) if transitions.ndim == 2 else transitions.permute(1, 2, 0).contiguous()
        )
        emitted = emissions.permute(1, 2, 0).contiguous()
        # Padding is scored like words: the best sequence of a row ends at its own last word.
        scores = [start.reshape(-1, self.num_tags).T + emitted[0]]
        for here in emitted[1:]:
            scores.append((scores[-1].unsqueeze(1) + moves).amax(dim=0) + here)
        row = torch.arange(len(emissions), device=emissions.device)
        last = mask.sum(1) - 1
        ending = self.end_transitions.float().reshape(-1, self.num_tags).T
        ends = (torch.stack(scores)[last, :, row].T + ending).argmax(dim=0)
        # Where a best sequence came from is looked up for the tags that are chosen.
        tag = ends
        path = [tag]
        for step in range(len(emitted) - 2, -1, -1):
            origin = moves[:, tag, 0] if transitions.ndim == 2 else moves[:, tag, row]
            tag = torch.where(last == step, ends, (scores[step] + origin).argmax(dim=0))
            path.append(tag)
        return torch.stack(path[::-1], dim=1).masked_fill(~mask, -100)

    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> list[list[int]]:
        """Return the best legal tag sequences as lists, as pytorch-crf does."""
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        rows = self.viterbi(emissions, mask).tolist()
        return [row[:length] for row, length in zip(rows, mask.sum(1).tolist(), strict=True)]

    def marginals(self, emissions: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the probability of every tag at every position, shape (batch, length, tags); zero where masked.

        It is the gradient of the log partition function by the emissions.
        """
        return self._marginals(self._tempered(emissions, temperature), mask)[0]

    @torch.no_grad()
    def path_probabilities(
        self, emissions: Tensor, paths: Tensor, mask: Tensor, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return how probable the tags of tag sequences are, and the mentions that these hold.

        The probability of a mention is that of all tag sequences in which exactly its words are a mention of its
        label. By the chain rule it is a product over the words: of the first word's tag, of every further tag given
        the one before, and that no inside tag follows the last one. Another mention's words do not enter it.

        Args:
            paths: of legal tags; anything where masked.

        Returns:
            Marginal probabilities of the tags, shape (batch, length), and logarithms of the factors: their sum over
            a mention's words is the logarithm of its probability. Both are zero where masked.
        """
        scores = self._tempered(emissions, temperature)
        marginals, after = self._marginals(scores, mask)
        path = paths.clamp(min=0)
        tags = marginals.gather(2, path.unsqueeze(2)).squeeze(2)
        continuing = _continuing_in_iob2(self.tags).to(path.device)[path[:, :-1]]
        rows = (torch.arange(len(path), device=path.device)[:, None],) * (scores[2].ndim - 2)
        following = (scores[2][(*rows, path[:, :-1])] + after[:, 1:]).log_softmax(2)
        moved = following.gather(2, path[:, 1:].unsqueeze(2))
        inside = continuing.gather(2, path[:, 1:].unsqueeze(2)) & mask[:, 1:].unsqueeze(2)
        ended = following.masked_fill(continuing, -math.inf).logsumexp(2)
        factors = tags.log()
        factors[:, 1:] = torch.where(inside, moved, factors[:, 1:].unsqueeze(2)).squeeze(2)
        factors[:, :-1] += ended.masked_fill(inside.squeeze(2) | ~mask[:, 1:], 0)
        return tags, factors.clamp(min=FORBIDDEN).masked_fill(~mask, 0)

    def _tempered(self, emissions: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return emissions, start, transition and end scores, divided by a temperature."""
        start, transitions = (score / temperature for score in self._scores())
        return emissions.float() / temperature, start, transitions, self.end_transitions.float() / temperature

    def _marginals(
        self, scores: tuple[Tensor, Tensor, Tensor, Tensor], mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return marginals, and the logarithms of messages back from each word, with its emission, up to a constant."""
        with torch.no_grad():
            messages = messages_both_ways(*scores, mask)
            if messages is not None:
                back = nn.functional.pad(messages[4].log().float(), (0, 0, 1, 0))
                return messages[1].float(), back.masked_fill(~mask.unsqueeze(2), 0)
        emissions, start, transitions, end = (score.detach() for score in scores)
        with torch.inference_mode(False), torch.enable_grad():
            variable = emissions.clone().requires_grad_()
            partition = log_partition(variable, start.clone(), transitions.clone(), end.clone(), mask.clone())
            (gradient,) = torch.autograd.grad(partition.sum(), variable)
        return gradient, log_messages_back(emissions, transitions, end, mask)


class GivenCRF(ConstrainedCRF):
    """A CRF of given scores, without parameters of its own.

    Args:
        tags: the IOB2 tags, by id.
        start: shape (tags,).
        transitions: shape (from, to).
        end: shape (tags,).
    """

    def __init__(self, tags: Sequence[str], start: Tensor, transitions: Tensor, end: Tensor) -> None:
        nn.Module.__init__(self)
        self.batch_first, self.num_tags, self.tags = True, len(tags), tuple(tags)
        self.start_transitions, self.transitions, self.end_transitions = start, transitions, end


class RowwiseCRF(ConstrainedCRF):
    """Several CRFs as one whose rows each follow their own, so that one pass along the words does for all.

    Tags are padded to the longest list; no path leads through padding. It has
    no parameters of its own: gradients go to those of the CRFs it is made of.

    Args:
        rows: index of the CRF of each row, shape (batch,).
    """

    def __init__(self, crfs: Sequence[ConstrainedCRF], rows: Tensor) -> None:
        nn.Module.__init__(self)
        self.batch_first = True
        self.num_tags = max(crf.num_tags for crf in crfs)
        # A tuple, as a module list would take their parameters for its own.
        self.crfs = tuple(crfs)
        self.rows = rows
        # Padding gets the score of a forbidden start: neither training nor decoding ends there.
        self.end_transitions = self._stacked([crf.end_transitions.float() for crf in crfs], FORBIDDEN)

    def _stacked(self, scores: Sequence[Tensor], padding: float) -> Tensor:
        """Return the scores of each row, shape (batch, tags) or (batch, tags, tags)."""
        padded = [
            nn.functional.pad(score, (0, self.num_tags - len(score)) * score.ndim, value=padding)
            for score in scores
        ]
        return torch.stack(padded)[self.rows]

    def _scores(self, penalty: float = FORBIDDEN) -> tuple[Tensor, Tensor]:
        """Return start scores, shape (batch, tags), and transition scores, shape (batch, from, to)."""
        starts, transitions = zip(*(crf._scores(penalty) for crf in self.crfs), strict=True)
        return self._stacked(starts, penalty), self._stacked(transitions, penalty)


@lru_cache(maxsize=256)
def _illegal_in_iob2(tags: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Return which tags may not come first, shape (tags,), and which may not follow which, (from, to)."""
    with torch.inference_mode(False):  # what is kept must serve training too
        inside = torch.tensor([tag.startswith("I-") for tag in tags])
        same_label = torch.tensor([[before[2:] == after[2:] for after in tags] for before in tags])
        return inside, inside & ~same_label


@lru_cache(maxsize=256)
def _continuing_in_iob2(tags: tuple[str, ...]) -> Tensor:
    """Return which tags go on in the mention of which, shape (from, to)."""
    inside, not_following = _illegal_in_iob2(tags)
    with torch.inference_mode(False):
        return inside & ~not_following
