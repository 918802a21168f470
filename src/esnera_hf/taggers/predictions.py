"""Work that the processes of one launch share: each does its part, the main one writes.

What a part is does not depend on the number of processes: chunks of sentences,
dealt out in turn. So the same batches are computed by one process as by
several, and the same bytes come out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from esnera_hf._internal.cache import Artifact
from esnera_hf._internal.processes import is_main_process, process_count, process_index
from esnera_hf.tagging import Entity

_SCHEMA = pa.schema(
    {
        "start": pa.list_(pa.int32()),
        "end": pa.list_(pa.int32()),
        "label": pa.list_(pa.string()),
        "confidence": pa.list_(pa.float32()),
    }
)
_ROWS = 2000
#: Confidences keep so many digits: what lies below differs with batch size and hardware.
_DIGITS = 4


def write_predictions(file: Path, predictions: Iterable[Sequence[Entity]]) -> None:
    """Write the entities of each sentence, in order, a sentence a row."""
    write_all_predictions([file], ((row,) for row in predictions))


def write_all_predictions(files: Sequence[Path], predictions: Iterable[Sequence[Sequence[Entity]]]) -> None:
    """Write what several taggers find in each sentence, in order, a file a tagger."""
    rows = iter(predictions)
    with ExitStack() as stack:
        writers = [stack.enter_context(pq.ParquetWriter(file, _SCHEMA)) for file in files]
        while batch := list(islice(rows, _ROWS)):
            for writer, own in zip(writers, zip(*batch, strict=True), strict=True):
                writer.write_table(_table(own))


def _table(rows: Sequence[Sequence[Entity]]) -> pa.Table:
    columns = {
        "start": [[entity.start for entity in row] for row in rows],
        "end": [[entity.end for entity in row] for row in rows],
        "label": [[entity.label for entity in row] for row in rows],
        "confidence": [[round(entity.score, _DIGITS) for entity in row] for row in rows],
    }
    return pa.table(columns, schema=_SCHEMA)


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


T = TypeVar("T")
#: Gives what several taggers find in each sentence of a chunk of them.
Predict = Callable[[list[Sequence[str]]], Iterable[Sequence[Sequence[Entity]]]]


def make_by_all(artifact: Artifact, work: Callable[[], T], save: Callable[[T, Path], None]) -> bool:
    """Make an artifact by all processes of the launch unless it is there; return whether it had to be made.

    The main process holds the lock of the artifact meanwhile. A process that
    fails leaves nothing behind but what lies in ``artifact.unfinished``.

    Args:
        artifact: what is made; every process asks for the same ones in the same order.
        work: what every process does.
        save: writes what the main process has got to the folder it is given,
            once all have done their work.
    """
    if process_count() == 1:
        return artifact.make(lambda folder: save(work(), folder))
    from esnera_hf.modeling.distributed import broadcast, wait_for_all

    def fill(folder: Path) -> None:
        broadcast(True)
        done = work()
        wait_for_all()
        save(done, folder)

    if is_main_process():
        made = artifact.make(fill)
        if not made:
            broadcast(False)
    else:
        made = broadcast(False)  # what the main process says
        if made:
            work()
            wait_for_all()
    if made:
        wait_for_all()
    return made


def own_chunks(items: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """Yield the chunks of sentences that fall to this process, each with its number among all."""
    from esnera_hf.modeling.tokenization import CHUNK, chunks

    yield from islice(enumerate(chunks(items, CHUNK)), process_index(), None, process_count())


def in_turn(parts: Sequence[Iterable[T]]) -> Iterator[T]:
    """Yield in their order the items of all chunks that were dealt out, a part a process."""
    from esnera_hf.modeling.tokenization import CHUNK, chunks

    for part in cycle([chunks(part, CHUNK) for part in parts]):
        chunk = next(part, None)
        if chunk is None:
            return
        yield from chunk


def own_share(artifact: Artifact) -> Path:
    """Return the empty folder for what this process contributes to an artifact."""
    folder = shares(artifact)[process_index()]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def shares(artifact: Artifact) -> list[Path]:
    """Return the folders for what the processes contribute to an artifact, in their order."""
    return [artifact.unfinished / f"share-{index}" for index in range(process_count())]


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Draw a bar over the sentences that fall to this process; of several processes one does.

    Args:
        items: something for each sentence of its chunks.
        total: number of sentences of all processes.
        what: is done.
    """
    from esnera_hf.modeling.tokenization import CHUNK

    own = range(process_index() * CHUNK, total, process_count() * CHUNK)
    bar: Any = tqdm(
        items,
        total=sum(min(CHUNK, total - start) for start in own),
        desc=what if process_count() == 1 else f"{what}, 1 of {process_count()} shares",
        unit=" sentences",
        delay=2,
        disable=not is_main_process(),
    )
    yield from bar


def make_predictions(
    artifact: Artifact,
    files: Sequence[str],
    predict: Callable[[], Predict],
    sentences: Iterable[Sequence[str]],
    bar: tuple[int, str],
) -> None:
    """Predict what several taggers find in sentences, unless that was done before, and keep it.

    Args:
        artifact: holds a file a tagger.
        files: their names, in the order of the taggers.
        predict: loads the taggers.
        sentences: lists of words.
        bar: number of sentences and what the progress bar says.
    """

    def work() -> None:
        folder = own_share(artifact)
        taggers = predict()
        found = (rows for _, chunk in own_chunks(sentences) for rows in taggers(chunk))
        write_all_predictions([folder / name for name in files], progress(found, *bar))

    make_by_all(artifact, work, lambda _, folder: put_together(artifact, files, folder))


def read_cached(artifact: Artifact, file: str) -> Iterator[list[Entity]]:
    """Yield the predicted entities of each sentence from a file of an artifact.

    Raises:
        CacheError: the file does not load.
    """
    with artifact.reading():
        yield from read_predictions(artifact.folder / file)


def put_together(artifact: Artifact, files: Sequence[str], folder: Path) -> None:
    """Write the predictions of all sentences, in order, from what the processes have predicted.

    Args:
        artifact: what they have worked on.
        files: names of the files, one a tagger.
        folder: gets them.
    """
    parts = shares(artifact)
    for name in files:
        if len(parts) == 1:
            (parts[0] / name).rename(folder / name)
        else:
            write_predictions(folder / name, in_turn([read_predictions(part / name) for part in parts]))
