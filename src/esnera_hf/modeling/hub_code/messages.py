"""Messages along a chain of words: log partition functions, marginals and gradients of CRFs (Rabiner 1989)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_partition(emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Compute the log partition function in logarithms, which hold scores however far apart."""
    alpha = start + emissions[:, 0]
    for step in range(1, emissions.shape[1]):
        following = torch.logsumexp(alpha.unsqueeze(2) + transitions, dim=1) + emissions[:, step]
        alpha = torch.where(mask[:, step].unsqueeze(1), following, alpha)
    return torch.logsumexp(alpha + end, dim=1)


def log_messages_back(emissions: Tensor, transitions: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Compute messages back from each word, its emission included, in logarithms, shape of the emissions."""
    last = mask.sum(1) - 1
    after = emissions[:, -1] + end
    messages = [after]
    for step in range(emissions.shape[1] - 2, -1, -1):
        following = torch.logsumexp(transitions + after.unsqueeze(1), dim=2)
        after = emissions[:, step] + torch.where((last == step).unsqueeze(1), end, following)
        messages.append(after)
    return torch.stack(messages[::-1], dim=1).masked_fill(~mask.unsqueeze(2), 0)


def messages_both_ways(
    emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor, mask: Tensor
) -> tuple[Tensor, ...] | None:
    """Pass scaled messages along the words both ways at once (Rabiner 1989, section V.A).

    Args:
        emissions: shape (batch, length, tags).
        start: shape (tags,) or (batch, tags).
        transitions: shape (from, to) or (batch, from, to).
        end: as ``start``.
        mask: bool, shape (batch, length), True on a prefix of each row.

    Returns:
        ``None`` where scores lie too far apart for messages that are no logarithms, else the log partition,
        shape (batch,); the marginals of tags, shape (batch, length, tags), zero where masked; and for the gradient
        of transitions: messages to each word but the last, over what joins them with those back, shape
        (batch, length - 1, tags), zero where no word follows; exponentiated transition scores; messages back from
        each word but the first; and the rows' lengths.
    """
    # Apple's GPUs know no double precision.
    kind = torch.float32 if emissions.device.type == "mps" else torch.float64
    lengths = mask.sum(1)
    place = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    # From a row's last word to its first; padding stays behind them.
    reverse = torch.where(mask, lengths.unsqueeze(1) - 1 - place, place).unsqueeze(2).expand_as(emissions)
    (first, first_peak), (last, last_peak) = _scaled(start, (-1,), kind), _scaled(end, (-1,), kind)
    moves, moves_peak = _scaled(transitions, (-2, -1), kind)
    emitted, peaks = _scaled(emissions, (-1,), kind)
    ends = torch.stack((first.expand_as(emissions[:, 0]), last.expand_as(emissions[:, 0])))
    came, went, scales = _passed(
        ends, torch.stack((moves, moves.mT)), torch.stack((emitted, emitted.gather(1, reverse)))
    )
    forth, back = went[0], went[1].gather(1, reverse)
    marginals = forth * came[1].gather(1, reverse)
    weights = marginals.sum(2, keepdim=True)
    pairs = (came[0] * back)[:, 1:].sum(2, keepdim=True)
    padded = ~mask.unsqueeze(2)
    least = torch.finfo(kind).tiny / torch.finfo(kind).eps
    if not (((weights > least) | padded).all() & ((pairs > least) | padded[:, 1:]).all()):
        return None
    ended = (forth * last.unsqueeze(-2)).sum(2).gather(1, lengths.unsqueeze(1) - 1).log().squeeze(1)
    partition = (scales[0].log() + peaks).masked_fill(padded, 0).sum((1, 2)) + ended
    partition = partition + (lengths - 1) * moves_peak.reshape(-1) + (first_peak + last_peak).squeeze(-1)
    return (
        partition,
        (marginals / weights).masked_fill(padded, 0),
        (forth[:, :-1] / pairs).masked_fill(padded[:, 1:], 0),
        moves,
        back[:, 1:].masked_fill(padded[:, 1:], 0),
        lengths,
    )


def _scaled(scores: Tensor, dims: tuple[int, ...], kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return exponentiated scores, the largest 1, and the largest score."""
    peak = scores.to(kind).amax(dim=dims, keepdim=True)
    return (scores.to(kind) - peak).exp(), peak


def _passed(first: Tensor, moves: Tensor, emitted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pass messages from the first position to the last, both ways at once.

    Args:
        first: shape (2, batch, tags).
        moves: shape (2, from, to) or (2, batch, from, to).
        emitted: shape (2, batch, length, tags).

    Returns:
        Messages as they come to each position and as they leave it, with sum 1,
        each of the shape of ``emitted``, and what they were divided by.
    """
    came, went, scales = [first], list[Tensor](), list[Tensor]()
    for step, here in enumerate(emitted.unbind(2)):
        if step and moves.ndim == 3:
            came.append(went[-1] @ moves)
        elif step:
            came.append((went[-1].unsqueeze(2) @ moves).squeeze(2))
        message = came[-1] * here
        scales.append(message.sum(dim=2, keepdim=True))
        went.append(message / scales[-1])
    return torch.stack(came, dim=2), torch.stack(went, dim=2), torch.stack(scales, dim=2)


# With gradients by hand the loss is computed 3 to 9 times as fast as pytorch-crf's (benchmarks/results/cost.md).
class LogPartition(torch.autograd.Function):
    """The log partition function, whose gradients are the expected counts of tags and of transitions."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        start: Tensor,
        transitions: Tensor,
        end: Tensor,
        messages: tuple[Tensor, ...],
    ) -> Tensor:
        """Return the log partition function of each row, shape (batch,)."""
        ctx.messages = messages
        ctx.of_rows = transitions.ndim == 3
        ctx.kind = emissions.dtype
        return messages[0].to(emissions.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients by emissions, start scores, transitions and end scores."""
        _, marginals, before, moves, after, lengths = ctx.messages
        weight = gradient.to(marginals.dtype).reshape(-1, 1, 1)
        tags, before = marginals * weight, before * weight
        last = (lengths - 1).reshape(-1, 1, 1).expand_as(tags[:, :1])
        starts, ends = tags[:, 0], tags.gather(1, last)[:, 0]
        if ctx.of_rows:
            pairs = moves * (before.mT @ after)
        else:
            pairs = moves * (before.flatten(0, 1).T @ after.flatten(0, 1))
            starts, ends = starts.sum(0), ends.sum(0)
        return tags.to(ctx.kind), starts.to(ctx.kind), pairs.to(ctx.kind), ends.to(ctx.kind), None
