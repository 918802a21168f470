"""Sources that were read from files before, kept: reading again takes longer than seeing that nothing changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp

from datasets import Dataset, DatasetDict
from datasets.arrow_writer import ArrowWriter
from datasets.fingerprint import get_temporary_cache_files_directory

from esnera_hf.cache import Artefact
from esnera_hf.sources.load import DATA_DIR_VARIABLE, load_source
from esnera_hf.sources.named import find_named
from esnera_hf.sources.sentence import Dropped
from esnera_hf.sources.source import SOURCE_FEATURES, Licence, NerSource, Provenance
from esnera_hf.stages import Form, code_digest, kept

#: Bytes of files that are read in about half a second; what is smaller is read again.
WORTH_KEEPING = 1 << 20
_FACTS_FILE = "source.json"
_ROWS = 10_000


def load_kept(text: str | os.PathLike[str]) -> NerSource:
    """Load a source as ``load_source`` does; one that was read from the same files before comes from the cache.

    What is small, or comes from the Hub, whose copies ``datasets`` keeps, is read
    each time.

    Args:
        text: a known name, a path, ``"name=path"`` or a Hub dataset id.

    Raises:
        SourceNotFoundError, SourceError: as ``load_source`` does.
    """
    given = os.fspath(text)
    roots = list(_roots(given))
    try:
        files = sorted({file for root in roots for file in _files(root)})
        large = sum(file.stat().st_size for file in files) >= WORTH_KEEPING
        digests = [[str(file), _digest(file)] for file in files] if large else []
    except OSError:  # a file that may not be read, and need not be one that counts
        digests = []
    if not digests:
        return load_source(given)
    identity = {
        "given": given,
        "roots": [[str(root), str(root.resolve())] for root in roots],
        "files": digests,
        "code": code_digest(),
    }
    return kept(Artefact("sources", identity), lambda: load_source(given), Form(_write, _read))


def _roots(given: str) -> Iterator[Path]:
    """Yield the files and folders that a source may be read from, if it is not one of the Hub."""
    path = Path(given)
    if not path.exists() and "=" in given:
        given = given.partition("=")[2]
        path = Path(given)
    path = path.expanduser()
    known, folder = find_named(given), os.environ.get(DATA_DIR_VARIABLE)
    if given and path.exists():
        yield path
    elif known is not None and folder:
        yield from (place for sub in known.folders if (place := Path(folder) / sub).is_dir())


def _files(root: Path) -> list[Path]:
    return [root] if root.is_file() else [file for file in root.rglob("*") if file.is_file()]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(source: NerSource, folder: Path) -> None:
    for split, rows in source.dataset.items():
        with ArrowWriter(features=SOURCE_FEATURES, path=str(folder / f"{split}.arrow")) as writer:
            for table in rows.with_format("arrow").iter(_ROWS) if len(rows) else ():
                writer.write_table(table)
            writer.finalize()
    facts = {
        "fingerprints": {split: rows._fingerprint for split, rows in source.dataset.items()},
        "name": source.name,
        "licence": asdict(source.licence),
        "language": source.language,
        "provenance": asdict(source.provenance),
        "dropped": source.dropped,
        "repairs": source.repairs,
        "observed": source.observed,
        "notes": source.notes,
        "vocabulary": source.vocabulary,
        "given": source.given,
        "reading": source.reading,
    }
    (folder / _FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")


def _read(folder: Path) -> NerSource:
    facts = json.loads((folder / _FACTS_FILE).read_text(encoding="utf-8"))
    # Copies, which go when the process ends: ``datasets`` writes what it makes of rows beside them.
    copies = Path(mkdtemp(dir=get_temporary_cache_files_directory()))
    splits = {}
    for split, fingerprint in facts.pop("fingerprints").items():
        copy = shutil.copyfile(folder / f"{split}.arrow", copies / f"{split}.arrow")
        splits[split] = Dataset(Dataset.from_file(str(copy)).data, fingerprint=fingerprint)
    return NerSource(
        dataset=DatasetDict(splits),
        licence=Licence(**facts.pop("licence")),
        provenance=Provenance(**facts.pop("provenance")),
        dropped=tuple(Dropped(*span) for span in facts.pop("dropped")),
        notes=tuple(facts.pop("notes")),
        vocabulary=tuple(facts.pop("vocabulary")),
        **facts,
    )
