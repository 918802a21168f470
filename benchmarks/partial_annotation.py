"""What does a merged tagger lose where sources do not annotate what others do, and what helps?

Trains taggers on merged data in several ways: missing labels as ``O``; with
pseudo-labels; on the likelihood of what each source says (partial); on both.
Prints Markdown, a line as soon as it is known; validation chooses epochs.

simulated: a corpus is cut into disjoint parts, each of which keeps only some of
its labels. The truth is known: F1 is on the test split with all labels. The
ceiling is a tagger of the same sentences with all of them annotated.

real: corpora of different schemes under a mapping; F1 in each source's own
labels.

    python benchmarks/partial_annotation.py --encoder ENCODER simulated cluener --parts 3
    python benchmarks/partial_annotation.py --encoder ENCODER real \
        --mapping benchmarks/partial_annotation_zh.yaml cluener weibo uner_zh_gsdsimp
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from command_line import benchmark_parser
from datasets import DatasetDict

from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.evaluation.merged_tagger import mapping_by_name, train_merged_tagger
from esnera_hf.evaluation.projection import score_merged
from esnera_hf.merging.merge import merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels, pseudo_labels
from esnera_hf.metrics import score_entities
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.load import load_source
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerSettings
from esnera_hf.taggers.source_taggers import CachedTagger, SourceTagger, train_cached, train_source_taggers
from esnera_hf.tagging import OUTSIDE

#: Whether pseudo-labels are added, and their noise if the likelihood is partial, by name of the way.
WAYS: dict[str, tuple[bool, float | None]] = {
    "outside": (False, None),
    "pseudo": (True, None),
    "partial": (False, 0.0),
    "partial + pseudo": (True, 0.0),
    **{f"partial + pseudo, noise {n}": (True, n) for n in (0.01, 0.1, 0.3)},
}


def main() -> None:
    """Train in every way asked for and print the table."""
    options = parsed()
    with TemporaryDirectory() as folder, quiet_libraries():
        os.environ[CACHE_VARIABLE] = str(options.cache or folder)
        run = simulated if options.kind == "simulated" else real
        for seed in options.seeds:
            for row in run(options, seed):
                print(f"| {seed} | " + " | ".join(row) + " |", flush=True)


def training_of(options: Any, seed: int) -> dict[str, Any]:
    """Return how taggers are trained."""
    training: dict[str, Any] = {
        "seed": seed,
        "num_train_epochs": options.epochs,
        "early_stopping_patience": options.patience,
    }
    if options.bf16:
        training |= {"bf16": True, "use_cpu": True}
    return training


def source_taggers(options: Any, seed: int, sources: Sequence[NerSource]) -> dict[str, SourceTagger]:
    settings = TaggerSettings("separate", training_of(options, seed))
    return train_source_taggers(sources, options.encoder, settings, find_leaks(list(sources)))


def simulated(options: Any, seed: int) -> Iterator[list[str]]:
    """Yield the rows of a corpus whose labels were taken from parts of it."""
    (name,) = options.sources
    corpus = load_source(name).sample(options.max_samples, seed)
    groups = [corpus.labels[part :: options.parts] for part in range(options.parts)]
    if seed == options.seeds[0]:
        print(f"{name}: {corpus.summary.sentences}; parts annotate", *map(", ".join, groups), sep=" — ")
        print("| seed | way | validation P / R / F1 | test P / R / F1 | pseudo-labels | minutes |")
        print("| --- |" + " --- |" * 5, flush=True)
    parts = [part_of(corpus, index, options.parts, labels) for index, labels in enumerate(groups)]
    whole = [part_of(corpus, index, options.parts, corpus.labels) for index in range(options.parts)]
    train = partial(train_cached, options.encoder, training_of(options, seed))

    def told(tagger: CachedTagger) -> list[str]:
        return [figures(tagger, corpus, split) for split in ("validation", "test")]

    started = time.perf_counter()
    by_name = mapping_by_name(whole)
    ceiling = train_merged_tagger(by_name, merge_sources(whole, by_name), train)
    yield ["all annotated", *told(ceiling), "", minutes(started)]
    mapping = mapping_by_name(parts)
    pseudo = found_by_others(options, parts, mapping, source_taggers(options, seed, parts))
    for way in options.ways:
        started = time.perf_counter()
        with_pseudo, noise = WAYS[way]
        added = pseudo if with_pseudo else None
        tagger = train_merged_tagger(mapping, merge_sources(parts, mapping, (), added), train, noise)
        yield [way, *told(tagger), f"{added.total:,}" if added else "", minutes(started)]


def real(options: Any, seed: int) -> Iterator[list[str]]:
    """Yield the rows of corpora of different schemes."""
    sources = [load_source(name).sample(options.max_samples, seed) for name in options.sources]
    names = [source.name for source in sources]
    mapping = LabelMapping.load(options.mapping).restricted(names)
    mapping.check_fits(ref for source in sources for ref in source.label_refs)
    leaks = find_leaks(sources)
    if seed == options.seeds[0]:
        print(*(f"{source.name}: {source.summary.sentences}" for source in sources), mapping, sep="\n")
        print(f"\n| seed | way | {' | '.join(f'{name}: F1' for name in names)} | pooled F1 | minutes |")
        print("| --- |" + " --- |" * (len(names) + 3), flush=True)
    train = partial(train_cached, options.encoder, training_of(options, seed))
    started = time.perf_counter()
    own = source_taggers(options, seed, sources)
    f1 = [own[name].scores(source, "test").micro.f1 for name, source in zip(names, sources, strict=True)]
    yield ["own taggers", *(f"{value:.3f}" for value in f1), "", minutes(started)]
    pseudo = found_by_others(options, sources, mapping, own)
    for way in options.ways:
        started = time.perf_counter()
        with_pseudo, noise = WAYS[way]
        added = pseudo if with_pseudo else None
        tagger = train_merged_tagger(mapping, merge_sources(sources, mapping, leaks, added), train, noise)
        both = {
            source.name: (own[source.name].predict(source, "test"), tagger.predict(source, "test"))
            for source in sources
        }
        scores = score_merged(sources, mapping, both, "test", native=True)
        by_source = [scores.sources[name].after.value for name in names]
        pooled = scores.pooled.after.value
        yield [way, *(f"{value:.3f}" for value in (*by_source, pooled)), minutes(started)]


def found_by_others(
    options: Any, sources: Sequence[NerSource], mapping: LabelMapping, own: Mapping[str, SourceTagger]
) -> PseudoLabels | None:
    """Return the pseudo-labels, if any way wants them."""
    if not any(WAYS[way][0] for way in options.ways):
        return None
    return pseudo_labels(
        sources,
        mapping,
        lambda name, source: own[name].predict(source, "train"),
        options.threshold,
        left_out_of_train(find_leaks(sources)),
    )


def part_of(corpus: NerSource, index: int, parts: int, labels: Sequence[str]) -> NerSource:
    """Return every so-manyth sentence of a corpus with only some of its labels."""
    name = f"{corpus.name}.{index}"

    def keep(row: dict[str, Any]) -> dict[str, Any]:
        return {
            "ner_tags": [tag if tag[2:] in labels else OUTSIDE for tag in row["ner_tags"]],
            "source": name,
        }

    splits = {
        split: rows.select(range(index, len(rows), parts)).map(keep) for split, rows in corpus.dataset.items()
    }
    return NerSource(name, DatasetDict(splits), language=corpus.language)


def figures(tagger: CachedTagger, corpus: NerSource, split: str) -> str:
    """Return micro precision, recall and F1 on all labels of a corpus."""
    gold = list(corpus.sentences(split))
    predicted = list(tagger.predictions(corpus, split))
    micro = score_entities([s.entities for s in gold], predicted, [len(s.tokens) for s in gold]).micro
    return f"{micro.precision:.3f} / {micro.recall:.3f} / {micro.f1:.3f}"


def minutes(started: float) -> str:
    """Return the minutes since a time."""
    return f"{(time.perf_counter() - started) / 60:.1f}"


def numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def parsed() -> Any:
    """Return what is given on the command line."""
    parser = benchmark_parser(__doc__, "--encoder")
    parser.add_argument("--max-samples", type=int, default=1500, help="at most so many a split")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--bf16", action="store_true", help="train in bfloat16 on the CPU")
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--seeds", type=numbers, default=[42], metavar="N,…")
    parser.add_argument("--floor", type=float, default=0.9, help="confidence of pseudo-labels")
    parser.add_argument(
        "--ways", type=json.loads, default=list(WAYS), metavar="JSON", help=f"a list of {', '.join(WAYS)}"
    )
    parser.add_argument("--cache", type=Path, help="keep taggers here; what lies there already takes no time")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kind = kinds.add_parser("simulated", help="labels are taken from parts of one corpus")
    kind.add_argument("sources", nargs=1)
    kind.add_argument("--parts", type=int, default=3)
    kind = kinds.add_parser("real", help="corpora of different schemes")
    kind.add_argument("sources", nargs="+")
    kind.add_argument("--mapping", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
