"""Files and a card go to a repository that may hold others' files and an earlier push's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fsspec.utils import glob_translate

from esnera_hf.cards import Card
from esnera_hf.console import say
from esnera_hf.errors import HubError
from esnera_hf.hub import (
    Changes,
    EarlierPush,
    HubRepository,
    Published,
    RepositoryState,
    config_paths,
    configs_of_others,
    join_readme,
    lies_where_pushed,
    read_metadata,
)

README = "README.md"
#: Tells the next push what this one wrote.
MANIFEST = "esnera.json"
MERGED = "merged"
RECIPE = "recipe"

_DATA = re.compile(r"data/(\w+)/(?:train|validation|test)-\d{5}-of-\d{5}\.parquet", re.ASCII)
#: What a push may have written beside data: nothing else is ever deleted.
_EVIDENCE = re.compile(
    r"recipe\.json|recipe/(?:train|validation|test)\.parquet|flow\.svg|mapping\.yaml|report\.json"
    r"|report\.html|similarity\.json",
    re.ASCII,
)
#: Where all of these are, a push was made, though its manifest is gone.
_PUSHED = frozenset({"mapping.yaml", "report.json"})
_DATA_ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".txt", ".arrow")


def commit_with_card(
    repository: HubRepository, files: Mapping[str, Path], card: Card, message: str
) -> Published:
    """Commit files and card; files of an earlier push that are no more go, all else stays.

    Args:
        repository: prepared for writing.
        files: by path in the repository.
        card: joins the README that is there.
        message: of the commit.

    Raises:
        HubError: the Hub refuses it or cannot be reached, or the repository holds
            what ours would make unreadable; nothing is half published.
    """
    content = _manifest(card, files)
    warned: set[str] = set()

    def plan(state: RepositoryState) -> Changes:
        before, listed = read_manifest(state.read(MANIFEST))
        readme = state.read(README)
        stale = _stale(state, before, listed, files)
        warnings = list(_warnings(state, listed, files, stale))
        if repository.kind == "dataset":
            if not any(map(_DATA.fullmatch, files)):
                _check_no_text_stays(state, stale)
            metadata = read_metadata(readme)
            _check_others(state, metadata, card, files)
            _check_own_places(state, metadata, card, listed, files)
            warnings += _unnamed_data(state, metadata)
        for warning in warnings:
            if warning not in warned:
                warned.add(warning)
                say(f"{repository.repo_id}: {warning}")
        joined = join_readme(readme, card.metadata, card.body, before)
        changed: dict[str, bytes | Path] = {
            **files,
            MANIFEST: content,
            README: joined.encode("utf-8", "replace"),
        }
        return Changes(changed, stale)

    return repository.commit(plan, message)


def write_card(folder: Path, card: Card) -> None:
    """Put beside the files of a publication what a push to an empty repository commits with them: card and manifest."""
    content = _manifest(card, files_in(folder))
    (folder / MANIFEST).write_bytes(content)
    (folder / README).write_bytes(join_readme("", card.metadata, card.body).encode("utf-8", "replace"))


def files_in(folder: Path) -> dict[str, Path]:
    """Return all files below a folder by their path in it."""
    return {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}


def _manifest(card: Card, files: Iterable[str]) -> bytes:
    manifest = {"metadata": card.metadata, "files": sorted([*files, MANIFEST])}
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def read_manifest(text: str) -> tuple[EarlierPush, frozenset[str]]:
    """Return what an earlier push says that it wrote: into the README, and as files.

    A manifest that makes no sense says nothing; the names of the standing
    configurations are always among what a push may have written.
    """
    try:
        manifest = json.loads(text or "{}")
    except (ValueError, RecursionError):
        manifest = {}
    manifest = manifest if isinstance(manifest, dict) else {}
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    files = manifest.get("files")
    listed = (
        frozenset(path for path in files if isinstance(path, str)) if isinstance(files, list) else frozenset()
    )
    folders = {found.group(1) for path in listed if (found := _DATA.fullmatch(path))}
    return EarlierPush(metadata, {*folders, MERGED, RECIPE}), listed


def _stale(
    state: RepositoryState, before: EarlierPush, listed: frozenset[str], files: Mapping[str, Path]
) -> frozenset[str]:
    """Return the files of earlier pushes that are no more: those that lie where a push puts them, no others."""
    old = {path for path in listed if _EVIDENCE.fullmatch(path)}
    for path in state.files:
        found = _DATA.fullmatch(path)
        if found and found.group(1) != RECIPE and found.group(1) in before.configs:
            old.add(path)
    return frozenset(old & state.files - set(files))


def _warnings(
    state: RepositoryState, listed: frozenset[str], files: Mapping[str, Path], stale: frozenset[str]
) -> Iterator[str]:
    text = any(_DATA.fullmatch(path) for path in files)
    if not text and any(_DATA.fullmatch(path) for path in stale):
        yield (
            "text published before stays in the history of the repository. To take it away, delete the repository "
            "or rewrite its history on the Hub."
        )
    replaced = sorted(path for path in files if path in state.files and path not in listed)
    if replaced:
        yield (
            f"{_some(replaced)} is there already and not of an earlier push: it is replaced, and stays in the history."
        )


def _check_no_text_stays(state: RepositoryState, stale: frozenset[str]) -> None:
    """Refuse to publish without text where text of an earlier push may stay.

    Raises:
        HubError: data lies where a push puts it, and nothing tells who put it there.
    """
    staying = sorted(path for path in state.files - stale if _DATA.fullmatch(path))
    if staying:
        raise HubError(
            f"{_some(staying)} lies where a push puts text, and no {MANIFEST} tells whose it is: what is published "
            "now is to hold no text. Nothing was published. Delete it there, or publish to a repository of its own."
        )


def _unnamed_data(state: RepositoryState, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Warn of data that was found without a configuration and is not any more, once there is one."""
    others = sorted(
        path
        for path in state.files
        if path.endswith(_DATA_ENDINGS)
        and not (_DATA.fullmatch(path) or _EVIDENCE.fullmatch(path) or path == MANIFEST)
    )
    if others and not metadata.get("configs"):
        yield (
            f"{_some(others)} is in no configuration of the README: load_dataset will find only what is published "
            "now. Add a configuration for it to the README if it is data."
        )


def _check_others(
    state: RepositoryState, metadata: Mapping[str, Any], card: Card, files: Mapping[str, Path]
) -> None:
    """Refuse to write configurations beside those that could then not be read any more.

    Raises:
        HubError: the README names configurations of files in another format,
            while one repository holds one format, or some that ours would be part of.
    """
    patterns = [
        path for config in configs_of_others(metadata, card.metadata) for path in config_paths(config)
    ]
    theirs = re.compile("|".join(map(glob_translate, patterns)) or "(?!)")
    shared = sorted(path for path in files if path.endswith(_DATA_ENDINGS) and theirs.match(path))
    if shared:
        raise HubError(
            f"its README names configurations that {_some(shared)} would be part of ({_some(patterns)}), so they could "
            "not be read any more. Narrow their patterns, or publish to a repository of its own."
        )
    others = sorted(path for path in state.files if theirs.match(path) and not path.endswith(".parquet"))
    if others:
        raise HubError(
            f"its README names configurations whose files are not Parquet ({_some(others)}); load_dataset reads one "
            "format a repository, so one of the two could not be read. Publish to a repository of its own."
        )


def _check_own_places(
    state: RepositoryState,
    metadata: Mapping[str, Any],
    card: Card,
    listed: frozenset[str],
    files: Mapping[str, Path],
) -> None:
    """Refuse to write over somebody else's data that has the names and places of a push.

    Raises:
        HubError: the README has a configuration of the same name elsewhere, or
            data lies in its place and nothing tells that a push put it there.
    """
    own = [config["config_name"] for config in card.metadata.get("configs", ())]
    elsewhere = [
        config["config_name"]
        for config in configs_of_others(metadata, {})
        if isinstance(config, dict) and config.get("config_name") in own and not lies_where_pushed(config)
    ]
    if elsewhere:
        raise HubError(
            f"its README has a configuration {elsewhere[0]!r} of other data, and this push has one of that name. "
            "Rename it there, or publish to a repository of its own."
        )
    if listed or state.files >= _PUSHED:
        return
    places = {found.group(1) for path in files if (found := _DATA.fullmatch(path))} | {MERGED}
    foreign = sorted(
        path for path in state.files if (found := _DATA.fullmatch(path)) and found.group(1) in places
    )
    if foreign:
        raise HubError(
            f"{_some(foreign)} lies where a push puts its data, and nothing tells that a push put it there. Move it, "
            "or publish to a repository of its own."
        )


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
