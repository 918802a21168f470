"""How well the F1 of a mapping is estimated without training: every mapping of the searches is trained, too.

    python benchmarks/estimates.py --encoder ENCODER --sentences 300 --epochs 6 cluener,weibo wnut17,btc

Each argument is one alignment, its sources parted by commas. Prints Markdown: a row a mapping, then correlation
and mean error of the estimated change of pooled micro-F1, and how often estimate and training agree on the bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from esnera_hf import AlignSettings, EvidenceSettings, FinalSettings, SearchSettings, align

_WAYS = {"projected": "projected", "own_labels": "own labels"}
_BOUND = 0.02


def main() -> None:
    """Train and estimate every mapping of some searches."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("alignments", nargs="+", metavar="SOURCE,SOURCE,…")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--sentences", type=int, default=300, help="a split of each source (default: 300)")
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--warm-start", type=float, help="share of the epochs, from the joint tagger on")
    parser.add_argument("--taus", type=float, nargs="+", default=SearchSettings().taus, help="of the grid")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    training = {"num_train_epochs": options.epochs, "use_cpu": True, "bf16": True}
    # Nothing holds such a bound but a mapping that gains, and nothing is spared by its estimate.
    search = SearchSettings(taus=options.taus, max_drop=1e-9, method="estimated", estimate_margin=1.0)
    evidence = EvidenceSettings(training=training, warm_start=options.warm_start)
    settings = AlignSettings(evidence, search, final=FinalSettings(augment=None))
    print(
        "| sources | merged | F1, own taggers | estimated | trained | in own labels | estimated | trained |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    trials: list[dict[str, Any]] = []
    for alignment in options.alignments:
        result = align(
            alignment.split(","),
            encoder=options.encoder,
            sentences=options.sentences,
            seed=options.seed,
            settings=settings,
        )
        tried = [trial for trial in result.report.trials if trial["scores"]]
        for trial in tried:
            print(row(trial), flush=True)
        trials += tried
    print(*summary(trials), sep="\n")


def row(trial: dict[str, Any]) -> str:
    """Return a table row about one mapping."""
    cells = [f"{' + '.join(trial['sources'])} → {trial['target']}", str(trial["merged"])]
    for way in _WAYS:
        estimated, trained = (trial[kind][way]["pooled"] for kind in ("estimate", "scores"))
        cells += [f"{trained['before']['value']:.3f}"]
        cells += [f"{scores['after']['value']:.3f}" for scores in (estimated, trained)]
    return f"| {' | '.join(cells)} |"


def summary(trials: list[dict[str, Any]]) -> Iterator[str]:
    """Yield correlation and error of the estimated change, and agreement on the bound."""
    for way, name in _WAYS.items():
        estimated, trained = (
            np.array([trial[kind][way]["pooled"]["change"]["value"] for trial in trials])
            for kind in ("estimate", "scores")
        )
        agree = np.mean((estimated > -_BOUND) == (trained > -_BOUND))
        yield (
            f"\n{name}: {len(trials)} mappings, correlation {np.corrcoef(estimated, trained)[0, 1]:.2f}, mean "
            f"absolute error {np.abs(estimated - trained).mean():.3f}, mean error "
            f"{(estimated - trained).mean():+.3f}; on the bound of {_BOUND} they agree in {agree:.0%}"
        )


if __name__ == "__main__":
    main()
