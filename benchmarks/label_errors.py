"""Are the first 50 label errors errors? Planted ones in real corpora.

In each corpus of ``DIR/jsonl`` a share of the mentions is spoilt: a quarter of these get another label, a quarter
lose their annotation, a quarter have a border moved by a word, and as many spans that are none get a label. Prints
Markdown: the share of the first 50, and of the first so many as were planted, that lie where an error was planted.
What the corpora themselves have wrong counts as a mistake, so these are lower bounds; "by chance" is the share among
all mentions. "found" is the share of the planted errors of a kind that are among the first so many as were planted.
With several corpora, --together checks them against each other; labels of one name are equal.

    python benchmarks/label_errors.py --data DIR --encoder ENCODER --rates 0.02 0.05 0.1 -- wnut17 ncbi_disease
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from command_line import benchmark_parser
from quality.corpora import PooledSentence, Span, as_source, read_corpora, sampled

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.evaluation.label_errors import LabelError, find_label_errors

TOP = 50
KINDS = ("wrong label", "missed", "wrong borders", "spurious")
#: Where errors were planted, by the tokens of a sentence: place and kind.
Planted = dict[tuple[str, ...], list[tuple[int, int, str]]]


def main() -> None:
    """Plant, find, and print the table."""
    parser = benchmark_parser(__doc__, "--data", "--encoder")
    parser.add_argument("--max-samples", type=int, default=1000)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--together", action="store_true", help="check the corpora against each other")
    parser.add_argument("corpora", nargs="+")
    options = parser.parse_args()
    columns = ["corpus", "rate", "planted", "first 50", "as many as planted", "by chance"]
    columns += [f"found: {kind}" for kind in KINDS] + ["CPU seconds"]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    corpora = read_corpora(options.data, options.corpora)
    groups = [list(corpora)] if options.together else [[name] for name in corpora]
    for rate in options.rates:
        for names in groups:
            runs = [measured(names, corpora, rate, seed, options) for seed in range(options.seeds)]
            for name in names:
                cells = [fmean(column) for column in zip(*(run[name] for run in runs), strict=True)]
                print(f"| {name} | {rate} | {' | '.join(f'{cell:.2f}' for cell in cells)} |", flush=True)


def measured(
    names: Sequence[str], corpora: dict[str, list[PooledSentence]], rate: float, seed: int, options: Any
) -> dict[str, list[float]]:
    """Return the figures of a row of each corpus."""
    planted: dict[str, Planted] = {}
    read: dict[str, list[PooledSentence]] = {}
    sources = []
    with quiet_libraries():
        for name in names:
            read[name] = sampled(corpora[name], options.max_samples, seed)
            spoilt, planted[name] = plant(read[name], rate, random.Random(seed))
            sources.append(as_source(name, spoilt))
    started = time.process_time()
    found = find_label_errors(sources, encoder=options.encoder, seed=seed)
    seconds = time.process_time() - started
    return {
        name: [*figures([e for e in found if e.source == name], planted[name], read[name]), seconds]
        for name in names
    }


def figures(errors: list[LabelError], planted: Planted, rows: Sequence[PooledSentence]) -> list[float]:
    total = Counter(kind for places in planted.values() for _, _, kind in places)
    size = sum(total.values())
    hits = [hit(error, planted) for error in errors]
    found = Counter(kind for kind in hits[:size] if kind)
    mentions = sum(len(row.spans) for row in rows)
    return [
        size,
        fmean(kind is not None for kind in hits[:TOP]),
        fmean(kind is not None for kind in hits[:size]),
        size / mentions,
        *(found[kind] / total[kind] if total[kind] else 0.0 for kind in KINDS),
    ]


def hit(error: LabelError, planted: Planted) -> str | None:
    """Return the kind of the planted error that lies where one was found."""
    spans = [(entity.start, entity.end) for entity in (error.annotated, error.likely) if entity]
    for start, end, kind in planted.get(tuple(error.sentence.tokens), ()):
        if any(first < end and start < last for first, last in spans):
            return kind
    return None


def plant(
    rows: Sequence[PooledSentence], rate: float, draw: random.Random
) -> tuple[list[PooledSentence], Planted]:
    """Return sentences with errors, one a sentence at most, and where these are."""
    flat = [row for row in rows if not overlapping(row.spans)]
    labels = Counter(label for row in flat for _, _, label in row.spans)
    lengths = [end - start for row in flat for start, end, _ in row.spans]
    possible = [kind for kind in KINDS if kind != "wrong label" or len(labels) > 1]
    wanted = {kind: max(1, round(rate * len(lengths) / len(possible))) for kind in possible}
    spoilt, planted = [], Planted()
    order = list(range(len(flat)))
    draw.shuffle(order)
    changed: dict[int, PooledSentence] = {}
    for index in order:
        kinds = [kind for kind in possible if wanted[kind]]
        if not kinds:
            break
        # In turn, so that what few sentences allow is not used up by the others.
        kind = max(kinds, key=lambda name: (wanted[name], name))
        if (result := spoil(flat[index], kind, labels, lengths, draw)) is not None:
            changed[index], place = result
            planted[flat[index].tokens] = [(*place, kind)]
            wanted[kind] -= 1
    spoilt = [changed.get(index, row) for index, row in enumerate(flat)]
    return spoilt, planted


def spoil(
    row: PooledSentence, kind: str, labels: Counter[str], lengths: Sequence[int], draw: random.Random
) -> tuple[PooledSentence, tuple[int, int]] | None:
    """Return a sentence with one error, and the place of this; ``None`` where it has no room for such."""
    spans: list[Span] = list(row.spans)
    if kind == "spurious":
        length = draw.choice(lengths)
        starts = [
            start
            for start in range(len(row.tokens) - length + 1)
            if all(end <= start or start + length <= first for first, end, _ in spans)
        ]
        if not starts:
            return None
        start = draw.choice(starts)
        label = draw.choices(list(labels), list(labels.values()))[0]
        return PooledSentence(row.tokens, tuple(sorted([*spans, (start, start + length, label)]))), (
            start,
            start + length,
        )
    if not spans:
        return None
    start, end, label = place = draw.choice(spans)
    spans.remove(place)
    if kind == "wrong label":
        others = {name: count for name, count in labels.items() if name != label}
        if not others:
            return None
        spans.append((start, end, draw.choices(list(others), list(others.values()))[0]))
    elif kind == "wrong borders":
        moved = [(start + a, end + b) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        fitting = [
            (first, last)
            for first, last in moved
            if 0 <= first < last <= len(row.tokens) and all(e <= first or last <= s for s, e, _ in spans)
        ]
        if not fitting:
            return None
        spans.append((*draw.choice(fitting), label))
    return PooledSentence(row.tokens, tuple(sorted(spans))), (start, end)


def overlapping(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans)
    return any(after[0] < before[1] for before, after in pairwise(ordered))


if __name__ == "__main__":
    main()
