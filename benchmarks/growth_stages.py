"""The stages that are measured: each is a function of where the corpora lie."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, NamedTuple, TypeVar

import numpy as np
from growth_corpora import (
    COPIED,
    KINDS,
    NAMES,
    SOURCES,
    SPLITS,
    UNIFIED,
    VOCABULARY,
    guessed,
    made_up,
    make_models,
    write_source,
)

T = TypeVar("T")
_MEGABYTE = 1 << 20


class Measured(NamedTuple):
    """What a stage took."""

    sentences: int
    seconds: float
    peak: float
    note: str


class Context:
    """Where a stage finds the corpora, and the clock it runs against."""

    def __init__(self, folder: Path, size: int, model_seconds: float) -> None:
        self.folder, self.size, self.model_seconds = folder, size, model_seconds

    def sources(self) -> list[Any]:
        """Return the sources, memory-mapped."""
        from datasets import load_from_disk

        from esnera_hf.sources.source import NerSource

        return [NerSource(name, load_from_disk(str(self.folder / "arrow" / name))) for name in SOURCES]

    def mapping(self) -> Any:
        """Return the mapping that merges what means the same."""
        from esnera_hf.alignment.mapping import LabelMapping
        from esnera_hf.alignment.mapping_yaml import MappedLabel
        from esnera_hf.tagging import LabelRef

        entries = [
            MappedLabel(LabelRef(*label.split(":")), unified)
            for unified, labels in UNIFIED.items()
            for label in labels
        ]
        return LabelMapping(tuple(UNIFIED), tuple(entries))

    def leaks(self) -> list[Any]:
        """Return the leaks that the stage before found."""
        from esnera_hf.sources.duplicates import Duplicate
        from esnera_hf.sources.levelled_texts import Place

        records = json.loads((self.folder / "leaks.json").read_text(encoding="utf-8"))
        return [Duplicate(Place(**r["first"]), Place(**r["second"]), r["exact"]) for r in records]

    def until_stopped(self, items: Iterable[T], seen: list[int]) -> Iterator[T]:
        """Yield items until the time for models is over; ``seen`` grows by their number."""
        end = time.monotonic() + self.model_seconds
        for item in items:
            if time.monotonic() > end:
                return
            seen[0] += 1
            yield item


def timed(work: Callable[[], T], sentences: int) -> tuple[T, Measured]:
    """Do some work and measure it; the peak is that of the process so far."""
    started = time.process_time()
    result = work()
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEGABYTE
    return result, Measured(sentences, seconds, peak, "")


def generate(context: Context) -> Measured:
    """Write the corpora as column files, one folder a source."""
    if not (context.folder / "text").exists():
        words = made_up(np.random.default_rng(0), VOCABULARY + len(KINDS) * NAMES)
        for name in SOURCES:
            write_source(context.folder / "text" / name, context.size, name, words)
    return Measured(context.size, 0.0, 0.0, "")


def prepare(context: Context) -> Measured:
    """Keep the sources, tiny models and predictions for the stages to come; nothing of it is measured."""
    from esnera_hf.sources.load import load_source
    from esnera_hf.taggers.predictions import write_predictions

    if not (context.folder / "arrow").exists():
        for name in SOURCES:
            source = load_source(context.folder / "text" / name)
            source.dataset.save_to_disk(context.folder / "arrow" / name)
    if not (context.folder / "tagger").exists():
        make_models(context.folder)
    for target in context.sources():
        for name in SOURCES:
            file = context.folder / f"{name}-on-{target.name}.parquet"
            if name != target.name and not file.exists():
                write_predictions([file], ((row,) for row in guessed(name, target)))
    return Measured(context.size, 0.0, 0.0, "")


def imports(context: Context) -> Measured:
    from esnera_hf import align
    from esnera_hf.modeling.tagger import Tagger

    return timed(lambda: (align, Tagger), 0)[1]


def load(context: Context) -> Measured:
    from esnera_hf.sources.load import load_source

    return timed(lambda: [load_source(context.folder / "text" / name) for name in SOURCES], context.size)[1]


def count(context: Context) -> Measured:
    sources = context.sources()
    return timed(lambda: [(s.summary, s.fingerprint) for s in sources], context.size)[1]


def sample(context: Context) -> Measured:
    sources = context.sources()
    return timed(lambda: [s.sample(context.size // 20, 42) for s in sources], context.size)[1]


def look_into(context: Context) -> Measured:
    from esnera_hf.sources.inspect import inspect

    source = context.sources()[0]
    return timed(lambda: inspect(source), sum(map(len, source.dataset.values())))[1]


def screening(context: Context) -> Measured:
    from esnera_hf.sources.overlap import mention_overlap

    sources = context.sources()
    return timed(lambda: mention_overlap(sources), sum(len(source.dataset["train"]) for source in sources))[1]


def leaking(context: Context) -> Measured:
    from esnera_hf.sources.leakage import find_leaks

    sources = context.sources()
    found, measured = timed(lambda: find_leaks(sources), context.size)
    records = [asdict(leak) for leak in found]
    (context.folder / "leaks.json").write_text(json.dumps(records), encoding="utf-8")
    planted = sum(round(context.size * share * SPLITS["train"] / COPIED) for share, _ in SOURCES.values())
    return measured._replace(note=f"{len(found):,} found of {planted:,} made")


def predicting(context: Context) -> Measured:
    from esnera_hf.modeling.tagger import Tagger
    from esnera_hf.taggers.predictions import write_predictions

    tagger = Tagger.from_pretrained(context.folder / "tagger")
    seen = [0]
    tokens = (s.tokens for source in context.sources() for s in source.sentences("train"))
    found = tagger.predict(context.until_stopped(tokens, seen))
    rows = ((row,) for row in found)
    _, measured = timed(partial(write_predictions, [context.folder / "predicted.parquet"], rows), 0)
    return measured._replace(sentences=seen[0])


def crossing(context: Context) -> Measured:
    from esnera_hf.similarity.empirical import cross_predictions
    from esnera_hf.taggers.predictions import read_predictions

    sources = context.sources()
    labels = [ref for source in sources for ref in source.label_refs]

    def predictions(name: str, source: Any) -> Iterator[list[Any]]:
        return read_predictions(context.folder / f"{name}-on-{source.name}.parquet")

    passes = sum(len(s.dataset["train"]) for s in sources) * (len(sources) - 1)
    return timed(lambda: cross_predictions(predictions, sources, labels), passes)[1]


def summing(context: Context) -> Measured:
    from esnera_hf.modeling.mention_vectors import MentionEncoder
    from esnera_hf.taggers.predictions import LabelCentroids

    encoder = MentionEncoder(str(context.folder / "encoder"))
    seen = [0]
    sentences = (s for source in context.sources() for s in source.sentences("train"))
    _, measured = timed(
        lambda: LabelCentroids.of(encoder.mention_vectors(context.until_stopped(sentences, seen))), 0
    )
    return measured._replace(sentences=seen[0])


def merging(context: Context) -> Measured:
    from esnera_hf.merging.merge import merge_sources

    sources, mapping, leaks = context.sources(), context.mapping(), context.leaks()
    merged, measured = timed(lambda: merge_sources(sources, mapping, leaks), context.size)
    merged.save_to_disk(context.folder / "merged")
    return measured


def saving(context: Context) -> Measured:
    from datasets import load_from_disk

    from esnera_hf.report.report import MergeReport
    from esnera_hf.result import MergeResult

    merged = load_from_disk(str(context.folder / "merged"))
    result = MergeResult(merged, context.mapping(), None, MergeReport(()))
    with TemporaryDirectory(dir=context.folder) as place:
        return timed(lambda: result.save(Path(place) / "result"), sum(map(len, merged.values())))[1]


def reporting(context: Context) -> Measured:
    from datasets import load_from_disk

    from esnera_hf.merging.merge import MergedData
    from esnera_hf.report.build import build_report

    merged = MergedData(load_from_disk(str(context.folder / "merged")), tuple(context.leaks()))
    sources, mapping = context.sources(), context.mapping()
    return timed(lambda: str(build_report(sources, mapping, merged)), context.size)[1]


def exporting(context: Context) -> Measured:
    from datasets import load_from_disk

    from esnera_hf.merging.export import export

    merged = load_from_disk(str(context.folder / "merged"))
    with TemporaryDirectory(dir=context.folder) as place:
        return timed(lambda: export(merged, Path(place) / "jsonl"), sum(map(len, merged.values())))[1]


def together(context: Context) -> Measured:
    """Load, find leaks, merge and save in one process, as a user does."""
    from esnera_hf.merging.merge import merge_sources
    from esnera_hf.report.report import MergeReport
    from esnera_hf.result import MergeResult
    from esnera_hf.sources.leakage import find_leaks
    from esnera_hf.sources.load import load_source

    def work() -> None:
        sources = [load_source(context.folder / "text" / name) for name in SOURCES]
        merged = merge_sources(sources, context.mapping(), find_leaks(sources))
        with TemporaryDirectory(dir=context.folder) as place:
            MergeResult(merged, context.mapping(), None, MergeReport(())).save(Path(place) / "result")

    return timed(work, context.size)[1]


def aligning(context: Context) -> Measured:
    """The whole of ``align`` by frozen evidence, and the result saved, in one process and with nothing cached."""
    import esnera_hf.modeling.joint  # noqa: F401  imported sooner or later, and so counted with imports
    from esnera_hf import align

    if not (context.folder / "encoder").exists():
        make_models(context.folder)
    memory = [(time.perf_counter(), *resident())]
    ended = Event()

    def sample() -> None:
        while not ended.wait(0.05):
            memory.append((time.perf_counter(), *resident()))

    def work() -> str:
        places = [context.folder / "text" / name for name in SOURCES]
        Thread(target=sample, daemon=True).start()
        started = time.perf_counter()
        result = align(places, encoder=context.folder / "encoder")
        with TemporaryDirectory(dir=context.folder) as place:
            result.save(Path(place) / "result")
        ended.set()
        notes, ends = [f"imports {memory[0][1]:.0f}, {memory[0][2]:.0f} MB"], started
        rest = time.perf_counter() - started - result.report.seconds["total"]
        for step, seconds in {**result.report.seconds, "saving": rest}.items():
            if step != "total" and seconds:
                inside = [peaks for when, *peaks in memory if ends <= when < ends + seconds]
                peaks = [f"{max(column):.0f}" for column in zip(*inside, strict=True)]
                notes.append(f"{step} {seconds:.0f} s, {', '.join(peaks)} MB")
                ends += seconds
        return "; ".join(notes)

    steps, measured = timed(work, context.size)
    return measured._replace(
        note=f"wall time, peaks of all that is resident and of what no file backs: {steps}"
    )


def resident() -> tuple[float, float]:
    """Return the MB that are resident now, and those of them that no file backs."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))  # type: ignore[return-value]


STAGES: dict[str, Callable[[Context], Measured]] = {
    "imports": imports,
    "load": load,
    "count": count,
    "sample": sample,
    "inspect": look_into,
    "screen": screening,
    "leaks": leaking,
    "predict": predicting,
    "cross-predictions": crossing,
    "mention sums": summing,
    "merge": merging,
    "save": saving,
    "report": reporting,
    "export": exporting,
    "load, leaks, merge, save": together,
    "align, save": aligning,
}
