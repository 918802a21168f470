"""Datasets of the Hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, DatasetDict, DownloadMode, concatenate_datasets, load_dataset
from datasets.exceptions import DatasetsError
from huggingface_hub import DatasetInfo, HfApi, constants, get_token, hf_hub_download
from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

from esnera_hf._internal.cache_contents import cache_folder
from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.console import say
from esnera_hf._internal.hub_errors import CLIENT_ERRORS, Failure, Kind, classify, links_of, without_tokens
from esnera_hf._internal.json import read_json
from esnera_hf._internal.yaml import DAMAGED_YAML, check_aliases
from esnera_hf.errors import ConfigurationError, EsneraError, SourceError, SourceNotFoundError
from esnera_hf.sources.options import ReadingOptions, outside_repository

#: The branch in which the Hub keeps a parquet copy of every dataset it could convert.
PARQUET_BRANCH = "refs/convert/parquet"
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?P<part>partial-)?(?P<split>[^/]+)/\d+\.parquet")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
#: Files and answers of the Hub are made by strangers: reading them may raise any of these.
_LOADING_ERRORS = (*CLIENT_ERRORS, DatasetsError, LookupError, TypeError, AttributeError, yaml.YAMLError)
#: With these nothing is said about the dataset: a copy of an earlier run will do.
_NO_ANSWER = {Kind.BUSY, Kind.BROKEN, Kind.UNREACHABLE, Kind.OFFLINE}
#: Seconds; questions of the client have no limit of their own.
_TIMEOUT = 60.0
#: License id that the card states, ``""`` if none; commit of the repository that the data belongs to; remarks on
#: the data, for the user.
HubFacts = tuple[str, str, tuple[str, ...]]


def load_from_hub(
    repo_id: str, options: ReadingOptions, *, missing: str, advice: str
) -> tuple[DatasetDict, HubFacts]:
    """Load a dataset of the Hub; a script dataset through its parquet branch, without running the script.

    The data belongs to one commit, to which the revision is resolved first.
    Where the Hub cannot be asked, the copy of an earlier run is read, with a
    message that says so.

    Args:
        repo_id: ``owner/name``.
        options: config, revision and data files.
        missing: what was not found before the Hub was asked, for messages.
        advice: what to do if the Hub does not have it either.

    Raises:
        SourceNotFoundError: there is no such dataset or revision, or it cannot be
            reached and there is no copy of an earlier run.
        SourceError: it cannot be loaded.
    """
    if not _HUB_ID.fullmatch(repo_id):
        raise SourceNotFoundError(f"{missing} (a Hub dataset is 'owner/name'). {advice}")
    commit = ""
    try:
        facts, config, data_files = _ask(repo_id, options)
        commit = facts[1]
        mode = _download_mode(repo_id, options, commit)
        loaded = load_dataset(repo_id, config, data_files=data_files, revision=commit, download_mode=mode)
    except EsneraError:
        raise
    except _LOADING_ERRORS as error:
        failure = _trouble(error)
        if failure and failure[0] in _NO_ANSWER and (copy := _earlier_copy(repo_id, options)):
            say(
                f"{repo_id}: {failure[1]}: reading the copy of commit {copy[1][1][:7]} that an earlier run "
                "left here; what has changed on the Hub since is not in it"
            )
            return copy
        # Not from the error: its text may hold a token.
        raise _explained(repo_id, options, error, commit, missing, advice) from None
    dataset = DatasetDict({"train": loaded}) if isinstance(loaded, Dataset) else loaded
    folders = {Path(file["filename"]).parent.name for rows in dataset.values() for file in rows.cache_files}
    if folders - {commit}:  # datasets falls back to any copy it has, in a folder named after its commit
        raise SourceNotFoundError(
            f"{repo_id!r}: the Hub could not be read, and the copy in the cache is of another commit than "
            f"{commit[:7]}: not used. Try again."
        )
    _remember(repo_id, options, dataset, facts)
    return dataset, facts


def _ask(repo_id: str, options: ReadingOptions) -> tuple[HubFacts, str | None, dict[str, str] | None]:
    """Return all about a dataset but its data, the configuration to load, and its files by split."""
    api = HfApi()
    info = api.dataset_info(repo_id, revision=options.revision, timeout=_TIMEOUT)
    if info.gated:  # anybody may see its card, and the download would fail with less to say
        api.auth_check(repo_id, repo_type="dataset")
    license = _license_of(info)
    # A revision may be older than the card's license, or the parquet branch, which has no card.
    if not license and options.revision is not None:
        license = _license_of(api.dataset_info(repo_id, timeout=_TIMEOUT))
    if any(sibling.rfilename == f"{repo_id.partition('/')[2]}.py" for sibling in info.siblings or ()):
        info = _parquet_copy(api, repo_id, info, options)
    commit = info.sha or ""
    _check_own_data_files(repo_id, info)
    if options.data_files:
        return (license, commit, ()), options.config, dict(options.data_files)
    configs = _converted_configs([sibling.rfilename for sibling in info.siblings or ()])
    if not configs:
        return (license, commit, ()), options.config, None
    chosen = _choose(repo_id, options.config, configs)
    partial = ", ".join(sorted(split for split, folder in configs[chosen].items() if folder != split))
    notes = (f"the Hub's parquet copy holds only the first part of {partial}",) if partial else ()
    files = {split: f"{chosen}/{folder}/*.parquet" for split, folder in configs[chosen].items()}
    return (license, commit, notes), None, files


def _license_of(info: DatasetInfo) -> str:
    """Return the license id of a card; of ``other``, the name that the card gives it."""
    card = info.card_data
    if card is None:
        return ""
    stated = card.get("license")
    names = stated if isinstance(stated, list) else [stated]
    names = [card.get("license_name") or "other"] if names == ["other"] else names
    return ", ".join(str(name) for name in names if name not in (None, "unknown"))


def _parquet_copy(api: HfApi, repo_id: str, info: DatasetInfo, options: ReadingOptions) -> DatasetInfo:
    """Return the parquet copy of a script dataset, which the Hub makes of the main branch."""
    what = f"{repo_id!r}: this Hub dataset is made by a script, which is not run"
    if options.revision is not None and api.dataset_info(repo_id, timeout=_TIMEOUT).sha != info.sha:
        raise SourceError(
            f"{what}, and the parquet copy of the Hub is of the main branch, not of revision {options.revision!r}. "
            "Leave the revision out, or pass a copy of the data."
        )
    try:
        return api.dataset_info(repo_id, revision=PARQUET_BRANCH, timeout=_TIMEOUT)
    except RevisionNotFoundError:
        raise SourceError(
            f"{what}, and the Hub has no parquet copy of it ({PARQUET_BRANCH}). Pass a copy of the data."
        ) from None


def _converted_configs(files: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the folder of each split of each configuration of a parquet copy; nothing if it is none.

    A parquet copy has no card that says which files belong to which
    configuration: read without telling them apart, all of them would be mixed.
    """
    configs: dict[str, dict[str, str]] = {}
    for file in files:
        match = _CONVERTED.fullmatch(file)
        if match:
            configs.setdefault(match["config"], {})[match["split"]] = (match["part"] or "") + match["split"]
        elif file != ".gitattributes":
            return {}
    return configs


def _choose(repo_id: str, config: str | None, configs: dict[str, dict[str, str]]) -> str:
    if config is None and (len(configs) == 1 or "default" in configs):
        return "default" if "default" in configs else next(iter(configs))
    if config not in configs:
        problem = "is not among the configurations" if config else "one is to be chosen of the configurations"
        raise SourceError(
            f"{repo_id!r}: config={config!r} {problem} of this Hub dataset: {', '.join(sorted(configs))}. "
            "Pass config= with one of them."
        )
    return config


def _note_of(repo_id: str, options: ReadingOptions) -> Path:
    """Return the file that notes where the data lies that answered a question.

    ``datasets`` finds copies of named configurations only, and whatever revision is asked for.
    """
    files = dict(options.data_files) if options.data_files else None
    asked = json.dumps([constants.ENDPOINT, repo_id, options.config, options.revision, files], sort_keys=True)
    return cache_folder() / "hub" / f"{hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()}.json"


def _check_own_data_files(repo_id: str, info: DatasetInfo) -> None:
    """Check that the data files which a dataset itself names lie within it, before any of them is asked for."""
    present = {sibling.rfilename for sibling in info.siblings or ()}
    for name in ("README.md", ".huggingface.yaml"):
        if name not in present:
            continue
        file = Path(hf_hub_download(repo_id, name, repo_type="dataset", revision=info.sha))
        try:
            text = file.read_text(encoding="utf-8")
            if name == "README.md":
                front = REGEX_YAML_BLOCK.search(text)
                text = front[2] if front else ""
            check_aliases(text)
            facts = yaml.safe_load(text) or {}
            configs = facts.get("configs") or []
            named = [config.get(key) for config in configs for key in ("data_files", "data_dir")]
        except (*DAMAGED_YAML, TypeError) as error:
            raise SourceError(
                f"{repo_id!r}: the Hub dataset cannot be loaded: its {name} cannot be read: {_one_line(error)}. Ask "
                "whoever published it to mend it."
            ) from None
        if outside := outside_repository(named):
            raise SourceError(
                f"{repo_id!r}: its {name} names data outside the dataset: {outside[0]!r:.100}. Nothing of it was "
                "opened. Do not trust it; or pass data_files= with paths within it."
            )


def _remember(repo_id: str, options: ReadingOptions, dataset: DatasetDict, facts: HubFacts) -> None:
    files = {
        split: {file["filename"]: _digest(Path(file["filename"])) for file in rows.cache_files}
        for split, rows in dataset.items()
    }
    if all(files.values()):
        license, commit, notes = facts
        note = _note_of(repo_id, options)
        note.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"files": files, "license": license, "commit": commit, "notes": notes})
        note.write_text(text, encoding="utf-8")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_note(repo_id: str, options: ReadingOptions) -> tuple[dict[str, dict[str, str]], HubFacts] | None:
    """Return what an earlier run noted: the files of each split with their digests; ``None`` if that is not known."""
    try:
        note = read_json(_note_of(repo_id, options))
        files = from_plain(dict[str, dict[str, str]], note.get("files"), "files")
        kind: Any = HubFacts
        facts: HubFacts = from_plain(kind, [note.get(key) for key in ("license", "commit", "notes")], "facts")
    except ConfigurationError:
        return None
    return files, facts


def _damaged(files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return those files that are there and are not as an earlier run left them."""
    noted = [(Path(name), digest) for of_split in files.values() for name, digest in of_split.items()]
    return [str(file) for file, digest in noted if file.is_file() and _digest(file) != digest]


def _download_mode(repo_id: str, options: ReadingOptions, commit: str) -> DownloadMode | None:
    """Return how to load a dataset: made anew of what was fetched if the copy of an earlier run is damaged.

    Raises:
        SourceError: what was fetched is damaged, too.
    """
    note = _read_note(repo_id, options)
    if note is not None and note[1][1] == commit and (damaged := _damaged(note[0])):
        say(f"{repo_id}: {damaged[0]} is not as it was written, and is made again")
        _check_fetched(repo_id, commit)
        return DownloadMode.REUSE_CACHE_IF_EXISTS
    if note is None:
        _check_fetched(repo_id, commit)
    return None


def _check_fetched(repo_id: str, commit: str) -> None:
    """Check those files in the cache of the Hub's client that are named by the digest of their content."""
    home = Path(constants.HF_HUB_CACHE) / f"datasets--{repo_id.replace('/', '--')}"
    for file in sorted((home / "snapshots" / commit).rglob("*")):
        blob = file.resolve()
        if file.is_file() and _SHA256.fullmatch(blob.name) and _digest(blob) != blob.name:
            raise SourceError(
                f"{blob} is damaged: its content is not what its name says. Delete it and try again."
            )


def _earlier_copy(repo_id: str, options: ReadingOptions) -> tuple[DatasetDict, HubFacts] | None:
    note = _read_note(repo_id, options)
    if note is None:  # never loaded
        return None
    files, facts = note
    if damaged := _damaged(files):
        raise SourceError(
            f"{repo_id!r}: the copy of an earlier run is damaged, {damaged[0]}, and the Hub cannot be asked for "
            "another. Try again when it can be."
        )
    try:
        splits = {
            split: concatenate_datasets([Dataset.from_file(name) for name in names])
            for split, names in files.items()
        }
    except (OSError, ValueError):  # no longer in the cache
        return None
    return DatasetDict(splits), facts


def _trouble(error: BaseException) -> Failure | None:
    """Tell what is wrong with the Hub or the way to it, ``None`` if it is the data or the question.

    Files that are looked for and may be missing leave "not found" behind in the
    history of other errors, and errors of the Hub come of plainer ones.
    """
    links = links_of(error, hidden=True)
    failures = (classify(link) for link in links if not isinstance(link, httpx.HTTPStatusError))
    return next((failure for failure in failures if failure and failure[0] is not Kind.NOT_FOUND), None)


def _explained(
    repo_id: str, options: ReadingOptions, error: BaseException, commit: str, missing: str, advice: str
) -> EsneraError:
    """Return the error to raise for one of the Hub's client; ``commit`` is empty if the Hub did not answer."""
    failure, here = _trouble(error), f"Hub dataset {repo_id!r}"
    if any(isinstance(link, GatedRepoError) for link in links_of(error, hidden=True)):
        return SourceNotFoundError(
            f"{missing}, and the {here} is gated: ask for access on its page, and log in with `hf auth login`. {advice}"
        )
    if failure is None and commit:
        cache = Path(constants.HF_HUB_CACHE) / f"datasets--{repo_id.replace('/', '--')}"
        return SourceError(
            f"{repo_id!r}: the Hub dataset cannot be loaded: {_one_line(error)} (commit {commit[:7]}). Choose the "
            f"configuration or the files to read, or, if a file was damaged on its way, delete {cache} and try again."
        )
    failure = failure or classify(error)
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
    kind, what, _ = failure
    revision = "" if options.revision is None else f" at revision {options.revision!r}"
    why = {
        Kind.NOT_FOUND: f"no {here} that you may read (for private and gated ones: `hf auth login`)",
        Kind.BAD_TOKEN: f"the Hub does not accept your token, so it does not show {repo_id!r}. Log in anew with "
        "`hf auth login`, or unset HF_TOKEN to read what is public",
    }.get(
        kind,
        f"the Hub cannot be read for {repo_id!r}: {what}, and no copy of it{revision} is in the cache. {kind.value}",
    )
    return SourceNotFoundError(f"{missing}, and {why}. {advice}")


def _one_line(error: BaseException) -> str:
    """Return the message of an exception, or of its cause, in one line and without the token."""
    innermost = error.__cause__ or error
    text = without_tokens(" ".join((str(innermost) or type(innermost).__name__).split()))
    token = get_token()
    text = text.replace(token, "…") if token else text
    return text if len(text) <= 300 else f"{text[:300]}…"
