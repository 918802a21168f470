"""What the Hub is asked before a dataset is loaded: its commit, its licence, and where its data lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from datasets import DatasetDict
from huggingface_hub import DatasetInfo, HfApi
from huggingface_hub.errors import RevisionNotFoundError

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions

#: The branch in which the Hub keeps a parquet copy of every dataset it could convert.
PARQUET_BRANCH = "refs/convert/parquet"
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?P<part>partial-)?(?P<split>[^/]+)/\d+\.parquet")


@dataclass(frozen=True)
class LoadedFromHub:
    """A dataset of the Hub.

    Attributes:
        dataset: its splits.
        licence: the licence id that its card states, ``""`` if none.
        commit: of the repository, which the data belongs to.
        notes: what is to be known about the data.
    """

    dataset: DatasetDict = field(repr=False)
    licence: str = ""
    commit: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HubAnswer:
    """What the Hub says about a dataset.

    Attributes:
        found: all about it but the data.
        config: the configuration to load.
        data_files: the files to load, by split; those of the configuration if ``None``.
    """

    found: LoadedFromHub
    config: str | None
    data_files: dict[str, str] | None


def ask_hub(repo_id: str, options: ReadingOptions) -> HubAnswer:
    """Ask the Hub what a revision of a dataset is and where its data lies.

    Args:
        repo_id: ``owner/name``.
        options: config, revision and data files.

    Raises:
        SourceError: it has a loading script and no parquet copy, or several
            configurations of which none is chosen.
        GatedRepoError: its files are for those who were let in.
    """
    api = HfApi()
    info = api.dataset_info(repo_id, revision=options.revision)
    if info.gated:
        api.auth_check(repo_id, repo_type="dataset")
    licence = _licence_of(info)
    if not licence and options.revision is not None:
        licence = _licence_of(api.dataset_info(repo_id))
    files = _files_of(info)
    if f"{repo_id.partition('/')[2]}.py" in files:
        info = _parquet_copy(api, repo_id, info, options)
        files = _files_of(info)
    config, notes = options.config, []
    data_files = dict(options.data_files) if options.data_files else None
    configs = _converted_configs(files) if data_files is None else {}
    if configs:
        chosen = _choose(repo_id, config, configs)
        data_files = {split: f"{chosen}/{folder}/*.parquet" for split, folder in configs[chosen].items()}
        config = None
        partial = sorted(split for split, folder in configs[chosen].items() if folder != split)
        if partial:
            notes.append(f"the Hub's parquet copy holds only the first part of {', '.join(partial)}")
    return HubAnswer(LoadedFromHub(DatasetDict(), licence, info.sha or "", tuple(notes)), config, data_files)


def _files_of(info: DatasetInfo) -> list[str]:
    return [sibling.rfilename for sibling in info.siblings or ()]


def _licence_of(info: DatasetInfo) -> str:
    """Return the licence id of a card; of ``other``, the name that the card gives it."""
    card = info.card_data
    if card is None:
        return ""
    stated = card.get("license")
    names = stated if isinstance(stated, list) else [stated]
    if names == ["other"]:
        names = [card.get("license_name") or "other"]
    return ", ".join(str(name) for name in names if name not in (None, "unknown"))


def _parquet_copy(api: HfApi, repo_id: str, info: DatasetInfo, options: ReadingOptions) -> DatasetInfo:
    """Return the parquet copy of a script dataset, which the Hub makes of the main branch."""
    what = f"{repo_id!r}: this Hub dataset is made by a script, which is not run"
    if options.revision is not None and api.dataset_info(repo_id).sha != info.sha:
        raise SourceError(
            f"{what}, and the parquet copy of the Hub is of the main branch, not of revision {options.revision!r}. "
            "Leave the revision out, or pass a copy of the data."
        )
    try:
        return api.dataset_info(repo_id, revision=PARQUET_BRANCH)
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
    if "README.md" in files:
        return {}
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
        found = "is not among the configurations" if config else "one is to be chosen of the configurations"
        raise SourceError(
            f"{repo_id!r}: config={config!r} {found} of this Hub dataset: {', '.join(sorted(configs))}. "
            "Pass config= with one of them."
        )
    return config
