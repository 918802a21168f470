"""Files and a card go to a repository that may hold others' files and an earlier push's."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import jinja2
from datasets import Dataset, DatasetDict
from fsspec.utils import glob_translate

from esnera_hf._internal.console import no_dataset_bars, quiet_libraries, say
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.errors import ConfigurationError, HubError
from esnera_hf.hub.cards import Card, DatasetCardFacts, ModelCardFacts, dataset_card, model_card
from esnera_hf.hub.readme import (
    EarlierPush,
    config_paths,
    configs_of_others,
    join_readme,
    lies_where_pushed,
    read_metadata,
)
from esnera_hf.hub.recipe import ROWS_FOLDER, Recipe
from esnera_hf.hub.repository import (
    Changes,
    HubRepository,
    Published,
    RepositoryState,
)
from esnera_hf.report.files import MAPPING_FILE, write_report
from esnera_hf.report.report import Report
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.licenses import (
    check_names,
    check_text_may_be_published,
    licenses_of,
    strictest_terms,
)
from esnera_hf.sources.source import NerSource

if TYPE_CHECKING:
    from esnera_hf.modeling.tagger import Tagger


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


DATA_FOLDER = "data"

_SHARD_BYTES = 500 << 20


@dataclass(frozen=True)
class Publication:
    """What is published of an alignment.

    Attributes:
        dataset: the merged dataset.
        mapping: what it was made by.
        similarity: the similarities, if any were measured.
        report: the account.
    """

    dataset: DatasetDict
    mapping: LabelMapping
    similarity: SimilarityMatrix | None
    report: Report


def dataset_configs(dataset: DatasetDict, by_source: bool) -> dict[str, DatasetDict]:
    """Return the configurations of a repository by name: ``merged``, and, if asked, one a source, relabelled.

    Names hold letters, digits and ``_`` only; two sources never share one.
    """
    configs = {MERGED: dataset}
    if by_source:
        sources = sorted({source for part in dataset.values() for source in part.unique("source")})
        for source in sources:
            name = _config_name(source, configs)
            configs[name] = DatasetDict({split: _of_source(part, source) for split, part in dataset.items()})
    return configs


def _config_name(source: str, taken: Mapping[str, object]) -> str:
    base = re.sub(r"\W+", "_", source, flags=re.ASCII).strip("_") or "source"
    if base in ("data", "default", RECIPE):
        base = f"source_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _of_source(part: Dataset, source: str) -> Dataset:
    column = part.with_format("numpy", columns=["source"])["source"][:] if len(part) else []
    return part.select([index for index, name in enumerate(column) if name == source])


def write_bundle(
    publication: Publication, configs: Mapping[str, DatasetDict], folder: Path, *, text: bool
) -> dict[str, Path]:
    """Write the files of a publication.

    Args:
        publication: what is published; its report as it may be seen.
        configs: the configurations, ``merged`` among them.
        folder: an empty folder.
        text: whether the dataset itself is published, or its recipe.

    Returns:
        The files by their path in the repository.
    """
    report = publication.report
    write_report(folder, report, publication.mapping, publication.similarity)
    if text:
        with no_dataset_bars():
            for name, splits in configs.items():
                _write_data(splits, folder / DATA_FOLDER / name)
    else:
        Recipe.of(publication.dataset, publication.mapping, report.sources).write(folder)
    return files_in(folder)


def _write_data(splits: DatasetDict, folder: Path) -> None:
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        shards = max(1, -(-rows.data.nbytes // _SHARD_BYTES))
        for index, shard in enumerate(_shards(rows, shards)):
            shard.to_parquet(folder / f"{split}-{index:05d}-of-{shards:05d}.parquet")


def _shards(rows: Dataset, shards: int) -> Iterator[Dataset]:
    for index in range(shards):
        yield rows.shard(shards, index, contiguous=True)


def shareable_report(report: Report, *, text: bool) -> Report:
    """Return a report as it may be published.

    Args:
        report: the report.
        text: whether mentions and their contexts may be in it.
    """
    settings = _without_places(report.settings, report.places)
    shared = replace(report, settings=settings, places=[])
    return shared if text else replace(shared, examples={}, dropped=[])


def public_encoder(report: Report) -> str:
    """Return the Hub id of the encoder, ``""`` if it is none or a folder of somebody's."""
    encoder = report.settings.get("encoder")
    local = not isinstance(encoder, str) or encoder in report.places or _looks_like_a_place(encoder)
    return "" if local else str(encoder)


def _without_places(value: Any, places: Collection[str]) -> Any:
    """Replace places by the name of what lies there, and ``name=place`` by the name."""
    if isinstance(value, Mapping):
        return {key: _without_places(item, places) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_places(item, places) for item in value]
    if not isinstance(value, str):
        return value
    name, equals, place = value.partition("=")
    if equals and not _has_folders(name) and (value in places or _looks_like_a_place(place)):
        return name
    return PurePath(value).name if value in places or _looks_like_a_place(value) else value


def _has_folders(text: str) -> bool:
    return "/" in text or os.sep in text or "\\" in text


def _looks_like_a_place(text: str) -> bool:
    starts = ("~", f".{os.sep}", f"..{os.sep}")
    return "\n" not in text and (os.path.isabs(text) or text.startswith(starts) or "\\" in text)


@dataclass(frozen=True)
class DatasetSettings:
    """How a dataset is published.

    Attributes:
        text: whether the dataset is published, or the recipe to make it again.
        may_share: sources whose text the user states to hold the right to pass on.
        by_source: add a configuration a source, relabelled.

    Raises:
        ConfigurationError: configurations are added, and all text is held back.
    """

    text: bool = True
    may_share: Collection[str] = ()
    by_source: bool = False

    def __post_init__(self) -> None:
        if self.by_source and not self.text:
            raise ConfigurationError(
                "by_source=True adds data, and text=False holds it back: choose one of the two."
            )


def publish_dataset(
    publication: Publication,
    repository: HubRepository,
    settings: DatasetSettings,
    *,
    private: bool | None = None,
    message: str | None = None,
) -> Published:
    """Publish a merged dataset or its recipe.

    Args:
        publication: the alignment.
        repository: a dataset repository.
        settings: how.
        private: whether the repository is to be private.
        message: of the commit.

    Raises:
        LicenseError: the terms of a source forbid to publish its text.
        HubError: the Hub refuses it or cannot be reached; nothing is half published.
    """
    shared, configs = _shared(publication, settings)
    with tempfile.TemporaryDirectory(prefix="esnera-") as folder:
        repository.prepare(private)
        files, card = _written(shared, configs, Path(folder), repository.repo_id, settings)
        return commit_with_card(repository, files, card, message or _message(shared, text=settings.text))


def write_publication(
    publication: Publication, folder: Path, repo_id: str, settings: DatasetSettings
) -> None:
    """Write the files that :func:`publish_dataset` would commit to an empty repository, without calling the Hub.

    Args:
        publication: the alignment.
        folder: an empty folder.
        repo_id: what the card calls the repository.
        settings: how.

    Raises:
        LicenseError: the terms of a source forbid to publish its text; nothing is written.
    """
    shared, configs = _shared(publication, settings)
    _, card = _written(shared, configs, folder, repo_id, settings)
    write_card(folder, card)


def _written(
    shared: Publication,
    configs: Mapping[str, DatasetDict],
    folder: Path,
    repo_id: str,
    settings: DatasetSettings,
) -> tuple[dict[str, Path], Card]:
    """Write the files but the card, and return them by their path in the repository, and the card."""
    files = write_bundle(shared, configs, folder, text=settings.text)
    return files, _card(shared, configs, repo_id, settings.text)


def card_of(publication: Publication, repo_id: str, settings: DatasetSettings) -> Card:
    """Return the card that :func:`publish_dataset` would publish.

    Raises:
        LicenseError: the terms of a source forbid to publish its text.
    """
    shared, configs = _shared(publication, settings)
    return _card(shared, configs, repo_id, settings.text)


def _shared(
    publication: Publication, settings: DatasetSettings
) -> tuple[Publication, dict[str, DatasetDict]]:
    """Return what may be published, with its configurations."""
    licenses = licenses_of(publication.report.sources)
    check_names(licenses, settings.may_share)
    if settings.text:
        check_text_may_be_published(licenses, settings.may_share)
    shared = replace(publication, report=shareable_report(publication.report, text=settings.text))
    return shared, dataset_configs(shared.dataset, settings.by_source)


def _card(
    shared: Publication,
    configs: Mapping[str, DatasetDict],
    repo_id: str,
    text: bool,
) -> Card:
    facts = DatasetCardFacts(
        repo_id=repo_id,
        report=shared.report,
        mapping=shared.mapping,
        terms=strictest_terms(licenses_of(shared.report.sources)),
        configs=configs,
        similarity=shared.similarity,
        text=text,
    )
    card = dataset_card(facts)
    if text:
        return card
    # Let the Hub show the table of fingerprints, and not take report.json for data.
    tables = [f"{ROWS_FOLDER}/{split}.parquet" for split, rows in shared.dataset.items() if len(rows)]
    config = {"config_name": RECIPE, "data_files": tables}
    return replace(card, metadata={**card.metadata, "configs": [config]})


def _message(publication: Publication, *, text: bool) -> str:
    what = "merged dataset" if text else "recipe of a merged dataset"
    mapping = publication.mapping
    return (
        f"Publish the {what}: {len(mapping.entries)} labels of {len(mapping.sources)} sources, "
        f"{len(mapping.unified_labels)} unified labels"
    )


#: ``esnera_hf.modeling.pretrained.RECORD_FILE``, named without importing torch.
RECORD_FILE = "training_history.json"


def publish_tagger(
    tagger: Tagger,
    repository: HubRepository,
    *,
    private: bool | None = None,
    message: str | None = None,
) -> Published:
    """Publish a tagger.

    Args:
        tagger: the tagger; its record tells what it was trained on.
        repository: a model repository.
        private: whether the repository is to be private.
        message: of the commit.

    Raises:
        HubError: the Hub refuses it or cannot be reached; nothing is half published.
    """
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="esnera-") as place:
        repository.prepare(private)
        card = card_of_tagger(tagger, repository.repo_id)
        folder = Path(place)
        type(tagger)(tagger.model, tagger.tokenizer).save_pretrained(folder)  # without its record
        mapping = _mapping(tagger.record)
        if mapping is not None:
            mapping.save(folder / MAPPING_FILE)
        labels = f"{len(tagger.labels)} label{'s' * (len(tagger.labels) != 1)}"
        return commit_with_card(
            repository, files_in(folder), card, message or f"Publish a CRF tagger for {labels}"
        )


def card_of_tagger(tagger: Tagger, repo_id: str) -> Card:
    """Return the card that :func:`publish_tagger` would publish.

    Raises:
        ConfigurationError: the tagger's record is not of this version.
    """
    record = tagger.record
    try:
        return _card_taggers(tagger, repo_id, record)
    except (KeyError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        raise ConfigurationError(
            f"the tagger's record ({RECORD_FILE} beside it) is not one of this version: {type(error).__name__}: "
            f"{error}. Remove the file, and the card says less."
        ) from error


def _card_taggers(tagger: Tagger, repo_id: str, record: Mapping[str, Any]) -> Card:
    report = Report.from_dict(record["report"]) if record.get("report") else None
    sources = report.sources if report is not None else record.get("sources") or []
    card = model_card(
        ModelCardFacts(
            repo_id=repo_id,
            tagger_labels=tagger.labels,
            base_encoder=str(record.get("encoder") or "") if report is None else public_encoder(report),
            report=None if report is None else shareable_report(report, text=True),
            mapping=_mapping(record),
            terms=strictest_terms(licenses_of(sources)),
            record=record,
            dataset_repo=str(record.get("dataset_repo") or ""),
            sources=sources,
        )
    )
    if sources:
        return card
    # Nothing is known of what it was trained on, so nothing is said of its terms.
    said = {key: value for key, value in card.metadata.items() if not key.startswith("license")}
    return replace(card, metadata=said)


def _mapping(record: Mapping[str, Any]) -> LabelMapping | None:
    text = record.get("mapping")
    return LabelMapping.from_yaml(text) if text else None


def check_before(
    repositories: Sequence[HubRepository],
    private: bool | None = None,
    *,
    sources: Sequence[NerSource] = (),
    settings: DatasetSettings | None = None,
) -> None:
    """Check rights and terms; nothing is made or changed on the Hub.

    Args:
        repositories: that are to be written to.
        private: whether they are to be private.
        sources: whose terms count, if their text is to be published.
        settings: how a dataset is to be published; ``None`` if none is.

    Raises:
        LicenseError: the terms of a source forbid to publish its text.
        HubError: a repository may not be written to.
    """
    if settings is not None:
        licenses = {source.name: source.license for source in sources}
        check_names(licenses, settings.may_share)
        if settings.text:
            check_text_may_be_published(licenses, settings.may_share)
    for repository in repositories:
        repository.prepare(private)
