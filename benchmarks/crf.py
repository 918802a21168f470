"""How fast is the CRF against pytorch-crf?

The same parameters, emissions and tags, drawn from a seed, rows of different
lengths; both take turns in one process. Loss is forward and backward; marginals
are compared with the gradient of pytorch-crf's log partition function, as it has
none of its own. pytorch-crf is given the constraints as parameters, so that both
must find the same: that is checked before anything is timed (against pytorch-crf in
double precision), and none of the sequences decoded may be illegal. Prints Markdown: median milliseconds and ratios.

    python benchmarks/crf.py --repeats 20
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise, product
from statistics import median
from typing import Any

import torch
from command_line import benchmark_parser
from torch import Tensor
from torchcrf import CRF

from esnera_hf.modeling.hub_code.crf import ConstrainedCRF
from esnera_hf.tagging import iob2_tag_set

BATCH = 32
WORDS = (40, 128)
LABELS = (4, 18)


def main() -> None:
    """Check, measure and print the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="for a machine that others use, one thread")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    clock = time.process_time if options.cpu_time else time.perf_counter
    print(f"batch {BATCH}, {options.threads} thread(s), median of {options.repeats} runs, milliseconds\n")
    print("| words | tags | | pytorch-crf | ours | ratio |\n| --- | --- | --- | --- | --- | --- |")
    for words, labels in product(WORDS, LABELS):
        tags = iob2_tag_set([f"label{index}" for index in range(labels)])
        for name, (theirs, ours) in steps(words, tags).items():
            before, after = timed(theirs, ours, options.repeats, clock)
            print(
                f"| {words} | {len(tags)} | {name} | {before * 1e3:.1f} | {after * 1e3:.1f} "
                f"| {before / after:.1f} |"
            )


def steps(words: int, tags: list[str]) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return what is compared, theirs and ours, once both were found to give the same."""
    ours, theirs = ConstrainedCRF(tags), CRF(len(tags), batch_first=True)
    with torch.no_grad():
        for parameter in ours.parameters():
            torch.nn.init.normal_(parameter)
        start, transitions = ours._scores()
        theirs.start_transitions.copy_(start)
        theirs.transitions.copy_(transitions)
        theirs.end_transitions.copy_(ours.end_transitions)
    precise = deepcopy(theirs).double()
    emissions = torch.randn(BATCH, words, len(tags)) * 3
    lengths = torch.randint(words // 2, words + 1, (BATCH,))
    lengths[0] = words
    mask = torch.arange(words) < lengths.unsqueeze(1)
    legal = ours.viterbi(torch.randn_like(emissions), mask).clamp(min=0)
    variable = emissions.clone().requires_grad_()

    def loss(crf: CRF) -> tuple[Tensor, ...]:
        given = variable.to(crf.transitions.dtype)
        value = -crf(given, legal, mask, reduction="token_mean")
        return value.detach(), *torch.autograd.grad(value, [variable, *crf.parameters()])

    def marginals(crf: CRF) -> Tensor:
        given = variable.to(crf.transitions.dtype)
        value = crf._compute_normalizer(given.transpose(0, 1), mask.T).sum()
        return torch.autograd.grad(value, variable)[0]

    def decode(crf: CRF) -> list[list[int]]:
        with torch.no_grad():
            return crf.decode(emissions, mask)  # type: ignore[no-any-return]

    for found, expected in zip(loss(ours), loss(precise), strict=True):
        torch.testing.assert_close(found, expected.float(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.marginals(emissions, mask), marginals(precise), atol=1e-6, rtol=1e-5)
    paths = decode(ours)
    if paths != decode(theirs) or not all(is_legal(path, tags) for path in paths):
        raise SystemExit("The decoded sequences differ, or are illegal.")
    return {
        "loss": (lambda: loss(theirs), lambda: loss(ours)),
        "decode": (lambda: decode(theirs), lambda: decode(ours)),
        "marginals": (lambda: marginals(theirs), lambda: ours.marginals(emissions, mask)),
    }


def is_legal(path: list[int], tags: list[str]) -> bool:
    """Tell whether every inside tag continues its own label."""
    names = ["O", *(tags[tag] for tag in path)]
    return all(
        not after.startswith("I-") or (before != "O" and before[2:] == after[2:])
        for before, after in pairwise(names)
    )


def timed(
    theirs: Callable[[], Any], ours: Callable[[], Any], repeats: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """Return the median seconds of each, after two runs to warm up; they take turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 2):
        for taken, run in zip(seconds, (theirs, ours), strict=True):
            started = clock()
            run()
            if repeat > 1:
                taken.append(clock() - started)
    return median(seconds[0]), median(seconds[1])


if __name__ == "__main__":
    main()
