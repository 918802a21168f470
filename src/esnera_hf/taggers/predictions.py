"""Predictions and mention vectors of taggers, computed by all processes of a launch and cached.

Sentences are dealt out in chunks, one to each process in turn. No chunk depends
on the number of processes, so the same batches are computed by one process as
by several, and the same bytes come out.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.console import progress_bar
from esnera_hf._internal.processes import is_main_process, process_count, process_index
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity

T = TypeVar("T")

_SCHEMA = pa.schema(
    {
        "start": pa.list_(pa.int32()),
        "end": pa.list_(pa.int32()),
        "label": pa.list_(pa.string()),
        "confidence": pa.list_(pa.float32()),
    }
)
#: Rows held at once, so that a corpus of millions of sentences needs no more memory than a small one.
_ROWS = 2000
#: Digits of a confidence: further ones differ with batch size and hardware.
_DIGITS = 4
_CENTROIDS_FILE = "centroids.npz"


@dataclass(frozen=True)
class LabelCentroids:
    """The vectors of a source's mentions, summed by label.

    Attributes:
        total: sum of the mention vectors by label, each of shape (dimensions,).
        count: number of mentions by label.
        noise: of an evidence bundle, the standard deviation of the noise on the mean vector of each label, along each
            dimension of the half of the space in which these vectors lie then; empty where there is none.
    """

    total: dict[str, NDArray[np.float64]] = field(repr=False)
    count: dict[str, int]
    noise: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over all mentions of the source, shape (dimensions,)."""
        return np.asarray(sum(self.total.values()) / sum(self.count.values()), dtype=np.float64)

    @classmethod
    def of(cls, batches: Iterable[tuple[list[str], NDArray[np.float32]]]) -> LabelCentroids:
        """Sum mention vectors by label in one pass; no vector is held on to.

        Args:
            batches: labels and vectors, shape (mentions, dimensions), of batches of mentions.
        """

        def of_batch(labels: list[str], vectors: NDArray[np.float32]) -> LabelCentroids:
            rows = {label: np.array([name == label for name in labels]) for label in sorted(set(labels))}
            # In float64, so that the order of batches changes no digit that counts.
            total = {label: vectors[own].astype(np.float64).sum(axis=0) for label, own in rows.items()}
            return cls(total, Counter(labels))

        return cls.added(of_batch(*batch) for batch in batches)

    @classmethod
    def of_means(
        cls,
        means: Mapping[str, NDArray[np.float32]],
        count: Mapping[str, int],
        noise: Mapping[str, float] | None = None,
    ) -> LabelCentroids:
        """Return the sums that the mean vector and the number of mentions of each label are those of."""
        total = {label: mean.astype(np.float64) * count[label] for label, mean in means.items()}
        return cls(total, {label: count[label] for label in means}, dict(noise or {}))

    @classmethod
    def added(cls, parts: Iterable[LabelCentroids]) -> LabelCentroids:
        """Add up the sums of parts of a source, in the order given."""
        total: dict[str, NDArray[np.float64]] = {}
        count: dict[str, int] = {}
        for part in parts:
            for label, vector in part.total.items():
                total[label] = total[label] + vector if label in total else vector
                count[label] = count.get(label, 0) + part.count[label]
        return cls(total, count)

    def save(self, file: Path) -> None:
        """Write the sums to a file."""
        labels = sorted(self.total)
        np.savez(
            file,
            labels=np.array(labels, dtype=np.str_),
            total=np.array([self.total[label] for label in labels]),
            count=np.array([self.count[label] for label in labels], dtype=np.int64),
        )

    @classmethod
    def load(cls, file: Path) -> LabelCentroids:
        """Read what :meth:`save` has written."""
        with np.load(file, allow_pickle=False) as arrays:
            labels, total, count = (arrays[name] for name in ("labels", "total", "count"))
        names = labels.tolist()
        return cls(dict(zip(names, total, strict=True)), dict(zip(names, count.tolist(), strict=True)))


#: Returns the entities of each sentence of a chunk, a list per tagger, and the sums of its mentions' vectors, if any.
Read = Callable[[list[AnnotatedSentence]], tuple[Iterable[Sequence[Sequence[Entity]]], LabelCentroids | None]]


def cache_reading(
    artifact: Artifact,
    files: Sequence[str],
    load: Callable[[], Read],
    source: NerSource,
    split: str,
    title: str,
) -> None:
    """Let taggers, or an encoder, read a split of a source, unless they have, and cache what they give.

    Args:
        artifact: gets a file of predictions per tagger, and the sums of mention vectors.
        files: names of the files of predictions, in the order of the taggers.
        load: loads the model.
        title: of the progress bar.
    """

    def work() -> None:
        folder = rank_folder(artifact, process_index())
        shutil.rmtree(folder, ignore_errors=True)  # of a launch that was killed
        folder.mkdir(parents=True)
        read = load()

        def rows() -> Iterator[Sequence[Sequence[Entity]]]:
            total = len(source.dataset[split])
            with progress_bar(title, total, unit="sentences", delay=2) as bar:
                for number, chunk in own_chunks(source.sentences(split)):
                    predicted, centroids = read(chunk)
                    if centroids is not None:
                        centroids.save(folder / f"{number:09d}.npz")
                    yield from predicted
                    # A chunk counts for those that the other processes read meanwhile.
                    bar.update(min(len(chunk) * process_count(), total - bar.n))

        write_predictions([folder / file for file in files], rows())

    def save(_: None, target: Path) -> None:
        folders = [rank_folder(artifact, rank) for rank in range(process_count())]
        for file in files:
            if len(folders) == 1:
                (folders[0] / file).rename(target / file)
            else:
                rows = interleave([read_predictions(folder / file) for folder in folders])
                write_predictions([target / file], ((row,) for row in rows))
        chunks = sorted((chunk for folder in folders for chunk in folder.glob("*.npz")), key=lambda c: c.name)
        if chunks:
            LabelCentroids.added(map(LabelCentroids.load, chunks)).save(target / _CENTROIDS_FILE)

    make_together(artifact, work, save)


def cached_predictions(artifact: Artifact, file: str) -> Iterator[list[Entity]]:
    """Yield the predicted entities of each sentence from a file of an artifact."""
    with artifact.reading():
        yield from read_predictions(artifact.folder / file)


def cached_centroids(artifact: Artifact) -> LabelCentroids:
    """Return the sums of mention vectors of an artifact; empty if there was no mention."""
    file = artifact.folder / _CENTROIDS_FILE
    with artifact.reading():
        return LabelCentroids.load(file) if file.exists() else LabelCentroids({}, {})


def make_together(artifact: Artifact, work: Callable[[], T], save: Callable[[T, Path], None]) -> bool:
    """Make an artifact by all processes of the launch unless it is there; return whether it had to be made.

    The main process holds the lock of the artifact meanwhile. A process that
    fails leaves nothing behind but the content of ``artifact.unfinished``.

    Args:
        artifact: every process asks for the same ones in the same order.
        work: is done by every process.
        save: writes the result of the main process to a folder, once all have done their work.
    """
    if process_count() == 1:
        return artifact.make(lambda folder: save(work(), folder))
    from esnera_hf.modeling.distributed import broadcast, wait_for_all

    # Only the main process asks for the lock of the artifact: the others would wait for it for ever.
    def fill(folder: Path) -> None:
        broadcast(True)
        result = work()
        wait_for_all()
        save(result, folder)

    if is_main_process():
        made = artifact.make(fill)
        if not made:
            broadcast(False)
    else:
        made = broadcast(False)  # replaced by the answer of the main process
        if made:
            work()
            wait_for_all()
    if made:
        wait_for_all()
    return made


def rank_folder(artifact: Artifact, rank: int) -> Path:
    """Return the folder for the part of an artifact that one process makes."""
    return artifact.unfinished / f"rank-{rank}"


def own_chunks(items: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """Yield the chunks of sentences that fall to this process, each with its number among all."""
    from esnera_hf.modeling.tokenization import CHUNK, chunks

    yield from islice(enumerate(chunks(items, CHUNK)), process_index(), None, process_count())


def interleave(parts: Sequence[Iterable[T]]) -> Iterator[T]:
    """Yield in their order the items of all chunks that were dealt out to processes, a part per process."""
    from esnera_hf.modeling.tokenization import CHUNK, chunks

    for part in cycle([chunks(part, CHUNK) for part in parts]):
        chunk = next(part, None)
        if chunk is None:
            return
        yield from chunk


def write_predictions(files: Sequence[Path], predictions: Iterable[Sequence[Sequence[Entity]]]) -> None:
    """Write the entities that several taggers find in each sentence, a row per sentence, a file per tagger."""
    rows = iter(predictions)
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(file, _SCHEMA)) for file in files]
        while batch := list(islice(rows, _ROWS)):
            for writer, entities in zip(writers, zip(*batch, strict=True), strict=True):
                columns = {
                    "start": [[entity.start for entity in row] for row in entities],
                    "end": [[entity.end for entity in row] for row in entities],
                    "label": [[entity.label for entity in row] for row in entities],
                    "confidence": [[round(entity.score, _DIGITS) for entity in row] for row in entities],
                }
                writer.write_table(pa.table(columns, schema=_SCHEMA))


def read_predictions(file: Path) -> Iterator[list[Entity]]:
    """Yield the entities of each sentence, in order."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=_ROWS):
            columns = [batch.column(name).to_pylist() for name in _SCHEMA.names]
            for starts, ends, labels, scores in zip(*columns, strict=True):
                yield [
                    Entity(start, end, label, round(score, _DIGITS))
                    for start, end, label, score in zip(starts, ends, labels, scores, strict=True)
                ]
