"""Copies of Hub datasets that earlier runs left in the cache, for when the Hub cannot be asked."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, DatasetDict, concatenate_datasets
from datasets.naming import camelcase_to_snakecase
from huggingface_hub import constants

from esnera_hf.cache import cache_folder
from esnera_hf.sources.hub_question import LoadedFromHub
from esnera_hf.sources.options import ReadingOptions

_INFO = "dataset_info.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def remember(repo_id: str, options: ReadingOptions, found: LoadedFromHub, folder: Path) -> None:
    """Note where the cache holds a dataset that was just loaded.

    Args:
        repo_id: ``owner/name``.
        options: what was asked for.
        found: what came of it.
        folder: where its Arrow files lie.
    """
    note = _note_of(repo_id, options)
    text = json.dumps(
        {"folder": str(folder), "commit": found.commit, "licence": found.licence, "notes": list(found.notes)}
    )
    note.parent.mkdir(parents=True, exist_ok=True)
    staging = note.with_suffix(f".{os.getpid()}")
    staging.write_text(text, encoding="utf-8")
    staging.replace(note)


def kept_copy(repo_id: str, options: ReadingOptions) -> LoadedFromHub | None:
    """Return the copy that was last loaded for what is asked, else one that is certain to be it.

    The latter is one that other programs loaded, of the commit asked for or, if
    no revision is asked for, the latest.

    Args:
        repo_id: ``owner/name``.
        options: config, revision and data files.
    """
    note = _note_of(repo_id, options)
    if note.is_file():
        kept = json.loads(note.read_text(encoding="utf-8"))
        dataset = _read_folder(Path(kept["folder"]))
        if dataset is not None:
            return LoadedFromHub(dataset, kept["licence"], kept["commit"], tuple(kept["notes"]))
    folder = None if options.data_files else _plain_copy(repo_id, options)
    dataset = _read_folder(folder) if folder is not None else None
    return None if dataset is None or folder is None else LoadedFromHub(dataset, commit=folder.name)


def _note_of(repo_id: str, options: ReadingOptions) -> Path:
    files = dict(options.data_files) if options.data_files else None
    asked = [constants.ENDPOINT, repo_id, options.config, options.revision, files]
    digest = hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()
    return cache_folder() / "hub" / f"{digest}.json"


def _plain_copy(repo_id: str, options: ReadingOptions) -> Path | None:
    """Return the latest folder of the cache that holds a configuration as it is on the Hub."""
    owner, _, name = repo_id.partition("/")
    if options.revision is not None and not _COMMIT.fullmatch(options.revision):
        return None
    place = Path(datasets.config.HF_DATASETS_CACHE) / f"{owner}___{camelcase_to_snakecase(name)}"
    infos = place.glob(f"{options.config or 'default'}/*/{options.revision or '*'}/{_INFO}")
    commits = [info.parent for info in infos if _COMMIT.fullmatch(info.parent.name)]
    return max(commits, key=lambda folder: folder.stat().st_mtime, default=None)


def _read_folder(folder: Path) -> DatasetDict | None:
    """Read the Arrow files of a folder of the cache, ``None`` if any of them is gone."""
    if not (folder / _INFO).is_file():
        return None
    info: dict[str, Any] = json.loads((folder / _INFO).read_text(encoding="utf-8"))
    splits = {}
    for split in info.get("splits") or {}:
        stem = f"{info['dataset_name']}-{split}"
        files = [folder / f"{stem}.arrow"]
        if not files[0].is_file():
            files = sorted(folder.glob(f"{stem}-*-of-*.arrow"))
            if not files or len(files) != int(files[-1].stem.rpartition("-")[2]):
                return None
        splits[split] = concatenate_datasets([Dataset.from_file(str(file)) for file in files])
    return DatasetDict(splits) if splits else None
