"""Legal paths of IOB2 tags, all of them, and a CRF of random parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import torch
from torch import Tensor
from torchcrf import CRF

from esnera_hf.modeling.hub_code.crf import ConstrainedCRF

Path = tuple[int, ...]


def is_legal(path: Sequence[int], tags: Sequence[str]) -> bool:
    names = ["O", *(tags[tag] for tag in path)]
    return all(not b.startswith("I-") or (a != "O" and a[2:] == b[2:]) for a, b in pairwise(names))


def legal_paths(length: int, tags: Sequence[str]) -> list[Path]:
    return [path for path in product(range(len(tags)), repeat=length) if is_legal(path, tags)]


def random_crf(tags: Sequence[str], seed: int = 0) -> ConstrainedCRF:
    torch.manual_seed(seed)
    crf = ConstrainedCRF(tags)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def path_scores(crf: CRF, emissions: Tensor, paths: Sequence[Path]) -> Tensor:
    """Return the score of each path of tags, differentiable."""
    tags = torch.tensor(list(paths))
    score = crf.start_transitions[tags[:, 0]] + crf.end_transitions[tags[:, -1]]
    score = score + emissions[torch.arange(tags.shape[1]), tags].sum(1)
    return score + crf.transitions[tags[:, :-1], tags[:, 1:]].sum(1)
