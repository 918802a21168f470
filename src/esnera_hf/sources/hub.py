"""Datasets of the Hub."""

from __future__ import annotations

import re

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetNotFoundError

from esnera_hf.errors import SourceError, SourceNotFoundError
from esnera_hf.sources.options import ReadingOptions

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
#: The branch in which the Hub keeps a parquet copy of every dataset it could convert.
PARQUET_BRANCH = "refs/convert/parquet"


def load_from_hub(repo_id: str, options: ReadingOptions, *, missing: str, advice: str) -> DatasetDict:
    """Load a dataset of the Hub; a script dataset through its parquet branch, without running the script.

    Args:
        repo_id: ``owner/name``.
        options: config, revision and data files.
        missing: what was not found before the Hub was asked, for messages.
        advice: what to do if the Hub does not have it either.

    Raises:
        SourceNotFoundError: there is no such dataset or it cannot be reached.
        SourceError: it cannot be loaded.
    """
    if not _HUB_ID.fullmatch(repo_id):
        raise SourceNotFoundError(f"{missing} (a Hub dataset is 'owner/name'). {advice}")
    try:
        return _load(repo_id, options, options.revision)
    except DatasetNotFoundError:
        raise SourceNotFoundError(
            f"{missing}, and no Hub dataset {repo_id!r} that you may read (for private and gated ones: "
            f"`hf auth login`). {advice}"
        ) from None
    except (ConnectionError, OSError) as error:
        raise SourceNotFoundError(
            f"{missing}, and the Hub cannot be reached for {repo_id!r} ({type(error).__name__}). {advice}"
        ) from None
    except (RuntimeError, ValueError) as error:
        raise SourceError(f"{repo_id!r}: the Hub dataset cannot be loaded: {error}") from error


def _load(repo_id: str, options: ReadingOptions, revision: str | None) -> DatasetDict:
    files = dict(options.data_files) if options.data_files else None
    try:
        found = load_dataset(repo_id, options.config, data_files=files, revision=revision)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error) or revision == PARQUET_BRANCH:
            raise
        return _load(repo_id, options, PARQUET_BRANCH)
    return DatasetDict({"train": found}) if isinstance(found, Dataset) else found
