"""What is held in memory does not grow with the number of sentences as they do."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.merging.merge import merge_sources
from esnera_hf.similarity.empirical import cross_predictions
from esnera_hf.sources import build, minhash
from esnera_hf.sources.duplicates import find_pairs
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.load import load_source
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.predictions import read_predictions, write_predictions
from esnera_hf.tagging import Entity, LabelRef

SMALL, LARGE = 200, 800
Files, Corpora = dict[int, list[Path]], dict[int, list[NerSource]]
WORDS = [f"{c}{v}{d}{w}" for c in "bdfgklmnpr" for v in "aeiou" for d in "stvz" for w in "aei"]


#: How much is held or looked at at a time, by the name of the constant.
AT_ONCE = (
    *("sources.duplicates._AT_ONCE", "merging.merge._BATCH", "taggers.predictions._ROWS"),
    *("_internal.arrow._BATCH", "sources.source._BATCH"),
)
FIRST_LOOK = (
    "sources.build._SNIFFED",
    "sources.readers.column_layout.SNIFFED_ROWS",
    "sources.build._IN_MEMORY",
)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches so small that either corpus has many."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    set_batches(monkeypatch, 50)


def set_batches(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for name in (*AT_ONCE, *FIRST_LOOK):
        monkeypatch.setattr(f"esnera_hf.{name}", size)
    monkeypatch.setattr(minhash, "_CHARACTERS", 40 * size)  # characters
    monkeypatch.setattr("datasets.config.DEFAULT_MAX_BATCH_SIZE", size)


def written(folder: Path, name: str, sentences: int) -> Path:
    """Write a corpus of sentences of ten words of a closed vocabulary, one mention in each."""
    choose = random.Random(f"{name} {sentences}")
    (folder / name).mkdir(parents=True)
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        lines = []
        for _ in range(round(sentences * share)):
            place = choose.randrange(9)
            tags = ["O"] * place + [f"B-{name}", f"I-{name}"] + ["O"] * (8 - place)
            words = choose.choices(WORDS, k=10)
            lines += [f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)]
            lines.append("\n")
        (folder / name / f"{split}.conll").write_text("".join(lines), encoding="utf-8")
    return folder / name


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("corpora")
    return {size: [written(folder / str(size), name, size) for name in "ab"] for size in (SMALL, LARGE)}


@pytest.fixture(scope="module")
def loaded(files: Files) -> Iterator[Corpora]:
    with pytest.MonkeyPatch.context() as patch:
        set_batches(patch, 50)
        yield {size: [load_source(path) for path in paths] for size, paths in files.items()}


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python and NumPy objects took at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def grown(work: Callable[[int], object]) -> float:
    """Return the bytes that each further sentence of the two corpora takes."""
    work(SMALL)  # what is made once
    return (peak(lambda: work(LARGE)) - peak(lambda: work(SMALL))) / (2 * (LARGE - SMALL))


def mapping() -> LabelMapping:
    return LabelMapping(("X",), tuple(MappedLabel(LabelRef(name, name), "X") for name in "ab"))


def count_and_sample(sources: list[NerSource], folder: Path) -> None:
    for own in sources:
        fresh = NerSource(own.name, own.dataset)
        assert fresh.summary.sentences["train"] in (SMALL * 0.8, LARGE * 0.8)
        assert fresh.fingerprint
        fresh.sample(50, 1)


def count_cross_predictions(sources: list[NerSource], folder: Path) -> None:
    for own in sources:
        other = "b" if own.name == "a" else "a"
        rows = ([[Entity(0, 1, other, 0.5)]] for _ in own.sentences("train"))
        write_predictions([folder / own.name], rows)
    labels = [ref for own in sources for ref in own.label_refs]
    cross_predictions(lambda _, target: read_predictions(folder / target.name), sources, labels)


@pytest.mark.parametrize(
    ("work", "most"),
    [
        (count_and_sample, 100),
        (lambda sources, _: find_leaks(sources), 500),
        (lambda sources, _: mention_overlap(sources), 300),  # nearly every mention is a form, and forms stay
        (lambda sources, _: merge_sources(sources, mapping()), 100),
        (count_cross_predictions, 100),
    ],
    ids=["summary", "leaks", "overlap", "merge", "predictions"],
)
def test_bytes_a_sentence(
    loaded: Corpora, tmp_path: Path, work: Callable[[list[NerSource], Path], object], most: int
) -> None:
    """A sentence of ten words as Python objects takes more than a thousand bytes."""
    assert grown(lambda size: work(loaded[size], tmp_path)) < most


def test_bytes_a_sentence_of_loading(files: Files) -> None:
    assert grown(lambda size: [load_source(path) for path in files[size]]) < 200


def test_the_size_of_batches_changes_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 3

    def everything() -> tuple[object, ...]:
        sources = [load_source(path).sample(60, 1) for path in files[SMALL]]
        merged = merge_sources(sources, mapping(), find_leaks(sources))
        facts = [(own.fingerprint, str(own.summary)) for own in sources]
        rows = {split: rows.to_list() for split, rows in merged.items()}
        return facts, str(mention_overlap(sources)), find_pairs(sources)[1].tolist(), rows

    set_batches(monkeypatch, 10_000)
    whole = everything()
    for name in AT_ONCE:
        monkeypatch.setattr(f"esnera_hf.{name}", size)
    monkeypatch.setattr(build, "_IN_MEMORY", 20 * size)
    monkeypatch.setattr(minhash, "_CHARACTERS", 40 * size)
    assert everything() == whole
