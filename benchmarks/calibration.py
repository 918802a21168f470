"""Are confidences the shares of mentions that are right? Expected calibration error on test splits.

For each source a tagger is trained on it alone, or one head of a joint tagger of all (--joint), and reads its test
split. Prints Markdown: the temperature that was fitted on validation, and the error of three confidences of the same
predicted mentions: the smallest probability of a mention's tags, the probability of the mention, and that at the
temperature. "chance" is the error that confidences without fault would have on so few mentions.

    python benchmarks/calibration.py cluener weibo --encoder ENCODER --max-samples 1000
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from command_line import benchmark_parser

from esnera_hf import NerSource, Tagger, TaggerSettings, load_source
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.metrics import calibration_error
from esnera_hf.modeling.hub_code.windows import SpanReader
from esnera_hf.modeling.tokenization import batches_by_length
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.taggers.source_taggers import train_source_taggers
from esnera_hf.tagging import Entity

COLUMNS = (
    "source",
    "temperature",
    "mentions",
    "precision",
    "smallest tag",
    "mention",
    "calibrated",
    "chance",
)


def main() -> None:
    """Train, measure, and print the table."""
    parser = benchmark_parser(__doc__, "--encoder")
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--max-samples", type=int)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--joint", action="store_true", help="one tagger with a head a source")
    options = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    rows = []
    with quiet_libraries():
        for seed in range(options.seeds):
            sources = [load_source(name) for name in options.sources]
            if options.max_samples:
                sources = [source.sample(options.max_samples, seed) for source in sources]
            for name, tagger in trained(sources, seed, options).items():
                source = next(source for source in sources if source.name == name)
                rows.append(measured(tagger, source))
                print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in rows[-1])} |", flush=True)
    print(f"| mean | {' | '.join(f'{fmean(column):.3f}' for column in zip(*rows, strict=True))} |")


def trained(sources: Sequence[NerSource], seed: int, options: Any) -> dict[str, Tagger]:
    """Return a tagger a source."""
    training: dict[str, Any] = {"seed": seed}
    if options.epochs:
        training["num_train_epochs"] = options.epochs
    settings = TaggerSettings(kind="joint" if options.joint else "separate", training=training)
    leaks = find_leaks(sources) if options.joint else []
    return {
        name: t.load() for name, t in train_source_taggers(sources, options.encoder, settings, leaks).items()
    }  # type: ignore[attr-defined]


def measured(tagger: Tagger, source: NerSource) -> list[float]:
    """Return the figures of a row."""
    sentences = list(source.sentences("test"))
    windows = tagger.words.windows([sentence.tokens for sentence in sentences])
    read = SpanReader(tagger.model.config.tags)
    temperature = tagger.model.config.confidence_temperature
    right: list[bool] = []
    smallest: list[float] = []
    plain: list[float] = []
    calibrated: list[float] = []
    for _, part in batches_by_length(windows):
        emissions, mask = tagger.emissions(part)
        paths = tagger.model.crf.viterbi(emissions, mask)
        tags, factors = tagger.model.crf.path_probabilities(emissions, paths, mask)
        _, cooled = tagger.model.crf.path_probabilities(emissions, paths, mask, temperature)
        smallest += scores(tags.tolist(), read.places(paths), min)
        plain += scores(factors.tolist(), read.places(paths), product)
        calibrated += scores(cooled.tolist(), read.places(paths), product)
        for window, spans in zip(part, read(part, paths), strict=True):
            right += [Entity(*span) in sentences[window.sentence].entities for span in spans]
    errors = [calibration_error(confidences, right) for confidences in (smallest, plain, calibrated)]
    return [temperature, len(right), fmean(right), *errors, by_chance(calibrated)]


def scores(rows: list[list[float]], places: Any, summary: Callable[[list[float]], float]) -> list[float]:
    columns = (column.tolist() for column in places[:3])
    return [summary(rows[row][start:end]) for row, start, end in zip(*columns, strict=True)]


def product(factors: list[float]) -> float:
    return float(np.exp(sum(factors)))


def by_chance(confidences: list[float]) -> float:
    """Return the mean error where each mention is right with the probability that its confidence says."""
    draw = np.random.default_rng(0)
    sure = np.array(confidences)
    return fmean(calibration_error(confidences, draw.random(len(sure)) < sure) for _ in range(100))


if __name__ == "__main__":
    main()
