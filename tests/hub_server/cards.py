"""What the Hub refuses and remarks on in the metadata of a README."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_REPO_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
_SPLIT = re.compile(r"\w+(\.\w+)*")
_BAD_CONFIG = re.compile(r'[<>:/\\|?*"]')

LICENCES = frozenset(
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 "
    "bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc "
    "cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 "
    "cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
    "cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 "
    "eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c "
    "ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa "
    "unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 "
    "llama3.2 llama3.3 llama4 grok2-community gemma unknown other".split()
)
_SIZES = frozenset(
    "n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B 1B<n<10B 10B<n<100B 100B<n<1T n>1T".split()
)
_SDKS = ("gradio", "docker", "static", "streamlit")
_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_TEXTS = (
    "pretty_name",
    "library_name",
    "pipeline_tag",
    "license_name",
    "license_link",
    "title",
    "sdk_version",
)
_LISTS = (
    "tags",
    "task_categories",
    "task_ids",
    "annotations_creators",
    "language_creators",
    "multilinguality",
)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, as the Hub's parser does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(problem=f"duplicated mapping key {twice!r}")
        return super().construct_mapping(node, deep)


def read_card(text: str) -> Any:
    """Return the metadata of a README, ``None`` if there is none.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    front = _FRONT.match(text)
    return yaml.load(front.group(1), _Loader) if front else None


def check_card(text: str, kind: str) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings about a README's metadata.

    Args:
        text: the README.
        kind: ``model``, ``dataset`` or ``space``.
    """
    try:
        card = read_card(text)
    except yaml.YAMLError as error:
        return [f"YAML: {' '.join(str(error).split())}"], []
    if card is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(card, dict):
        return ["metadata must be an object"], []
    errors: list[str] = []
    warnings: list[str] = []
    _check_common(card, errors)
    _check_licence(card, errors, warnings)
    checks: dict[str, Callable[[dict[str, Any], list[str]], None]] = {
        "model": _check_model,
        "dataset": _check_dataset,
        "space": _check_space,
    }
    checks[kind](card, errors)
    return errors, warnings


def _strings(value: Any) -> list[str] | None:
    """Return a text, or a list of texts, as a list; ``None`` if it is something else."""
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(item, str) for item in values) else None


def _check_common(card: dict[str, Any], errors: list[str]) -> None:
    for name in _TEXTS:
        if name in card and not isinstance(card[name], str):
            errors.append(f'"{name}" must be a string')
    for name in _LISTS:
        if name in card and (not isinstance(card[name], list) or _strings(card[name]) is None):
            errors.append(f'"{name}" must be an array of strings')
    if "language" in card:
        for index, value in enumerate(_strings(card["language"]) or [""]):
            if not re.fullmatch(r"[a-z]{2,3}|code|multilingual", value):
                errors.append(
                    f'"language[{index}]" with value "{value}" is not valid. It must be an ISO 639-1, 639-2 or '
                    '639-3 code (two/three letters), or a special value like "code", "multilingual".'
                )
    for name in ("base_model", "datasets"):
        values = _strings(card[name]) if name in card else []
        if values is None or not all(_REPO_ID.fullmatch(value) for value in values):
            errors.append(f'"{name}" with value {card[name]!r} is not valid. Use an id from the Hub.')


def _check_licence(card: dict[str, Any], errors: list[str], warnings: list[str]) -> None:
    if "license" not in card:
        return
    licences = _strings(card["license"])
    strange = [value for value in licences or [] if value not in LICENCES]
    if not licences or strange:
        errors.append(f'"license" must be one of [{", ".join(sorted(LICENCES))}], found {card["license"]!r}')
    elif "other" in licences and not card.get("license_name"):
        warnings.append('"license_name" should be given with license: other')
    name = card.get("license_name")
    if isinstance(name, str) and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        errors.append(f'"license_name" must be a lower-case identifier, found {name!r}')
    link = card.get("license_link")
    if isinstance(link, str) and not re.fullmatch(r"(?i:licen[sc]e)(\.md|\.txt)?|https?://\S+", link):
        errors.append(f'"license_link" must be LICENSE, LICENSE.md or a URL, found {link!r}')


def _check_dataset(card: dict[str, Any], errors: list[str]) -> None:
    sizes = _strings(card["size_categories"]) if "size_categories" in card else []
    if sizes is None or set(sizes) - _SIZES:
        errors.append(f'"size_categories" must be among [{", ".join(sorted(_SIZES))}], found {sizes}')
    if "configs" in card:
        _check_configs(card["configs"], errors)
    if "dataset_info" in card:
        info = card["dataset_info"]
        infos = info if isinstance(info, list) else [info]
        names = _names('"dataset_info"', infos, errors, required=isinstance(info, list) and len(infos) > 1)
        _no_duplicates('"dataset_info"', names, errors)
        for entry in infos:
            if isinstance(entry, dict) and not isinstance(entry.get("features", []), list):
                errors.append('"dataset_info.features" must be an array')


def _check_configs(configs: Any, errors: list[str]) -> None:
    if not isinstance(configs, list):
        errors.append('"configs" must be an array')
        return
    names = _names('"configs"', configs, errors, required=True)
    _no_duplicates('"configs"', names, errors)
    entries = [config for config in configs if isinstance(config, dict)]
    if sum(config.get("default") is True for config in entries) > 1:
        errors.append('"configs" must not have more than one default')
    for config in entries:
        name = config.get("config_name")
        if "default" in config and not isinstance(config["default"], bool):
            errors.append(f'"configs[{name}].default" must be a boolean')
        if isinstance(name, str) and (not name or _BAD_CONFIG.search(name)):
            errors.append(f'"configs[{name}].config_name" has characters that are not allowed')
        _check_data_files(f'"configs[{name}].data_files"', config.get("data_files", []), errors)


def _check_data_files(where: str, files: Any, errors: list[str]) -> None:
    if isinstance(files, str) or (isinstance(files, list) and all(isinstance(file, str) for file in files)):
        return
    splits = []
    for file in files if isinstance(files, list) else [files]:
        if not isinstance(file, dict) or set(file) != {"split", "path"} or not _strings(file["path"]):
            errors.append(f"{where} must be paths, or objects with split and path, found {file!r}")
        elif not isinstance(file["split"], str) or not _SPLIT.fullmatch(file["split"]):
            errors.append(f"{where} has an invalid split name {file['split']!r}")
        else:
            splits.append(file["split"])
    _no_duplicates(where, splits, errors)


def _names(where: str, entries: list[Any], errors: list[str], *, required: bool) -> list[str]:
    names = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            errors.append(f'{where[:-1]}[{index}]" must be an object')
        elif not isinstance(entry.get("config_name", None if required else "default"), str):
            errors.append(f'{where[:-1]}[{index}].config_name" must be a string')
        else:
            names.append(entry.get("config_name", "default"))
    return names


def _no_duplicates(where: str, names: list[str], errors: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        errors.append(f"{where} contains duplicates: {', '.join(twice)}")


def _check_model(card: dict[str, Any], errors: list[str]) -> None:
    index = card.get("model-index", [])
    if not isinstance(index, list):
        errors.append('"model-index" must be an array')
        return
    for model in index:
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append('"model-index[].name" must be a string')
            continue
        for result in model.get("results") or []:
            if not isinstance(result, dict) or not _typed(result.get("task"), "type"):
                errors.append('"model-index[].results[].task.type" is required')
            elif "dataset" in result and not _typed(result["dataset"], "type", "name"):
                errors.append('"model-index[].results[].dataset" needs name and type')
            elif not all(_typed(m, "type") and "value" in m for m in result.get("metrics") or [{}]):
                errors.append('"model-index[].results[].metrics[]" need type and value')


def _typed(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names)


def _check_space(card: dict[str, Any], errors: list[str]) -> None:
    if "sdk" in card and card["sdk"] not in _SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(_SDKS)}]')
    for name in ("colorFrom", "colorTo"):
        if name in card and card[name] not in _COLOURS:
            errors.append(f'"{name}" must be one of [{", ".join(_COLOURS)}]')
    if not isinstance(card.get("pinned", False), bool):
        errors.append('"pinned" must be a boolean')
    if len(str(card.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long')
