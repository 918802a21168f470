"""Datasets of the Hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import TypeVar

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError
from huggingface_hub import constants, get_token
from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]
from yaml import YAMLError

from esnera_hf.console import say
from esnera_hf.errors import EsneraError, SourceError, SourceNotFoundError
from esnera_hf.hub.failures import CLIENT_ERRORS, PASSING, Failure, Kind, classify, without_tokens
from esnera_hf.hub_client import hub_client
from esnera_hf.sources.hub_copies import kept_copy, remember
from esnera_hf.sources.hub_question import HubAnswer, LoadedFromHub, ask_hub
from esnera_hf.sources.options import ReadingOptions

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
#: What may come out of reading a dataset of the Hub: its files and its answers are not ours.
_LOADING_ERRORS = (*CLIENT_ERRORS, DatasetsError, LookupError, TypeError, AttributeError, YAMLError)
#: Seconds between tries where the Hub does not say how long to wait.
_WAITS = (1.0, 4.0)
#: Longer than this nobody waits for a source: seconds.
_PATIENCE = 120.0
T = TypeVar("T")


def load_from_hub(repo_id: str, options: ReadingOptions, *, missing: str, advice: str) -> LoadedFromHub:
    """Load a dataset of the Hub; a script dataset through its parquet branch, without running the script.

    What is read belongs to one commit, to which the revision is resolved first.
    Where the Hub cannot be asked, the copy of an earlier run is read, with a
    message that says so.

    Args:
        repo_id: ``owner/name``.
        options: config, revision and data files.
        missing: what was not found before the Hub was asked, for messages.
        advice: what to do if the Hub does not have it either.

    Raises:
        SourceNotFoundError: there is no such dataset or revision, or it cannot be
            reached and no copy is kept.
        SourceError: it cannot be loaded.
    """
    if not _HUB_ID.fullmatch(repo_id):
        raise SourceNotFoundError(f"{missing} (a Hub dataset is 'owner/name'). {advice}")
    with hub_client():
        try:
            answer = _tried(repo_id, lambda: ask_hub(repo_id, options))
        except EsneraError:
            raise
        except _LOADING_ERRORS as error:
            failure = _trouble(error)
            if failure is None or failure.kind not in {*PASSING, Kind.OFFLINE}:
                raise _not_found(repo_id, options, error, missing, advice) from None
            kept = kept_copy(repo_id, options)
            if kept is None:
                raise _not_found(repo_id, options, error, missing, advice) from None
            say(
                f"{repo_id}: {failure.what}: reading the copy of commit {kept.commit[:7]} that an earlier run left "
                "here; what has changed on the Hub since is not in it"
            )
            return kept
        return _load(repo_id, options, answer, missing, advice)


def _load(
    repo_id: str, options: ReadingOptions, answer: HubAnswer, missing: str, advice: str
) -> LoadedFromHub:
    def load() -> DatasetDict:
        found = load_dataset(
            repo_id, answer.config, data_files=answer.data_files, revision=answer.found.commit
        )
        return DatasetDict({"train": found}) if isinstance(found, Dataset) else found

    commit = answer.found.commit
    try:
        dataset = _tried(repo_id, load)
    except _LOADING_ERRORS as error:
        if _is_gated(error) or _trouble(error) is not None:
            raise _not_found(repo_id, options, error, missing, advice) from None
        kept = Path(constants.HF_HUB_CACHE) / f"datasets--{repo_id.replace('/', '--')}"
        raise SourceError(
            f"{repo_id!r}: the Hub dataset cannot be loaded: {_one_line(error)} (commit {commit[:7]}). Choose the "
            f"configuration or the files to read, or, if a file was damaged on its way, delete {kept} and try again."
        ) from error
    folder = _folder_of(dataset)
    if folder is not None and folder.name != commit:
        raise SourceNotFoundError(
            f"{repo_id!r}: the Hub could not be read, and the copy kept here is of commit {folder.name[:7]}, not of "
            f"{commit[:7]}: not used. Try again."
        )
    found = replace(answer.found, dataset=dataset)
    if folder is not None:
        remember(repo_id, options, found, folder)
    return found


def _folder_of(dataset: DatasetDict) -> Path | None:
    """Return the folder of the cache that a dataset lies in, which bears the name of its commit."""
    files = [file["filename"] for rows in dataset.values() for file in rows.cache_files]
    return Path(files[0]).parent if files else None


def _tried(repo_id: str, call: Callable[[], T]) -> T:
    """Call the Hub, again after what may pass within seconds."""
    for wait in _WAITS:
        try:
            return call()
        except EsneraError:
            raise
        except _LOADING_ERRORS as error:
            failure = _trouble(error)
            if failure is None or failure.kind not in PASSING or _is_down(error):
                raise
            seconds = wait if failure.wait is None else failure.wait
            if seconds > _PATIENCE:
                raise
            say(f"{repo_id}: {failure.what}; trying again in {seconds:g} s")
            sleep(seconds)
    return call()


def _links(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _trouble(error: BaseException) -> Failure | None:
    """Tell what is wrong with the Hub or the way to it, ``None`` if it is the data or the question.

    Files that are looked for and may be missing leave "not found" behind in the
    history of other errors, and errors of the Hub come of plainer ones.
    """
    failures = (classify(link) for link in _links(error) if not isinstance(link, httpx.HTTPStatusError))
    return next((failure for failure in failures if failure and failure.kind is not Kind.NOT_FOUND), None)


def _is_down(error: BaseException) -> bool:
    """Tell whether nobody is there, or nobody answers: then trying again only takes time."""
    gone = (httpx.ConnectError, httpx.TimeoutException, ConnectionRefusedError)
    return any(isinstance(link, gone) for link in _links(error))


def _is_gated(error: BaseException) -> bool:
    return any(isinstance(link, GatedRepoError) for link in _links(error))


def _not_found(
    repo_id: str, options: ReadingOptions, error: BaseException, missing: str, advice: str
) -> EsneraError:
    """Return the error to raise for what a client of the Hub raised."""
    if _is_gated(error):
        return SourceNotFoundError(
            f"{missing}, and the Hub dataset {repo_id!r} is gated: ask for access on its page, and log in with "
            f"`hf auth login`. {advice}"
        )
    failure = _trouble(error) or classify(error)
    if failure is None:
        return SourceError(
            f"{repo_id!r}: the Hub gave an answer that makes no sense: {_one_line(error)}. Check HF_ENDPOINT and the "
            f"proxy, and try again later. {advice}"
        )
    if isinstance(error, RevisionNotFoundError):
        return SourceNotFoundError(
            f"{repo_id!r}: this Hub dataset has no revision {options.revision!r}. Pass one of its branches, tags or "
            "commits."
        )
    if failure.kind is Kind.NOT_FOUND:
        return SourceNotFoundError(
            f"{missing}, and no Hub dataset {repo_id!r} that you may read (for private and gated ones: "
            f"`hf auth login`). {advice}"
        )
    if failure.kind is Kind.BAD_TOKEN:
        return SourceNotFoundError(
            f"{missing}, and the Hub does not accept your token, so it does not show {repo_id!r}. Log in anew with "
            f"`hf auth login`, or unset HF_TOKEN to read what is public. {advice}"
        )
    wanted = "" if options.revision is None else f" at revision {options.revision!r}"
    return SourceNotFoundError(
        f"{missing}, and the Hub cannot be read for {repo_id!r}: {failure.what}, and no copy of it{wanted} is kept "
        f"here. {failure.advice}. {advice}"
    )


def _one_line(error: BaseException) -> str:
    """Return what an exception and its cause say, in one line and without the token."""
    said = [str(link) or type(link).__name__ for link in (error.__cause__, error) if link is not None]
    text = without_tokens(" ".join(said[0].split()))
    token = get_token()
    text = text.replace(token, "…") if token else text
    return text if len(text) <= 300 else f"{text[:300]}…"
