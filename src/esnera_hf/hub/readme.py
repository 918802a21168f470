"""A card joins the README that is there: only its own metadata and its own section change."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.errors import HubError

START = "<!-- esnera_hf: this section is written anew with every push -->"
END = "<!-- esnera_hf: end of the section -->"

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_TOP_LEVEL = re.compile(r"(?=^[^\s#\-\]}])", re.MULTILINE)
_SECTION = re.compile(f"{re.escape(START)}(?:(?!{re.escape(START)}).)*?{re.escape(END)}", re.DOTALL)
_RECIPE = re.compile(r"recipe/(?:train|validation|test)\.parquet")
#: Lists to which a card adds and from which it takes nothing away.
_ADDED_TO = ("tags", "language", "task_categories", "task_ids", "datasets")


@dataclass(frozen=True)
class EarlierPush:
    """What an earlier push put into a README.

    Attributes:
        metadata: its keys and values.
        configs: names of its dataset configurations.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    configs: Collection[str] = ()


def join_readme(
    existing: str, metadata: Mapping[str, Any], body: str, earlier: EarlierPush | None = None
) -> str:
    """Put a card into a README.

    Metadata keys of the card replace those of the README, but for lists such as
    ``tags``, which are added to, and for the dataset configurations of others,
    which stay. What an earlier push wrote and the card no longer has goes.
    Everything else of the README stays as it is, byte for byte.

    Args:
        existing: the README, ``""`` if there is none.
        metadata: the card's.
        body: the card's text, in Markdown.
        earlier: what an earlier push wrote.

    Raises:
        HubError: the README's metadata cannot be read, or only one of the two
            comments around the card's text is there.
    """
    newline = "\r\n" if "\r\n" in existing else "\n"
    front, text = split_readme(existing)
    known = _parse(front)
    merged = _merge(known, metadata, earlier or EarlierPush())
    section = f"{START}\n\n{body.strip()}\n\n{END}".replace("\n", newline)
    head = _write_front_matter(front, known, merged).replace("\r\n", "\n").replace("\n", newline)
    return f"---{newline}{head}---{newline}{_place(text, section, newline)}"


def split_readme(text: str) -> tuple[str, str]:
    """Return the YAML of a README's front matter, ``""`` without one, and the rest."""
    found = _FRONT_MATTER.match(text)
    return (found.group(1), text[found.end() :]) if found else ("", text.removeprefix("\ufeff"))


def read_metadata(readme: str) -> dict[str, Any]:
    """Return the metadata of a README.

    Raises:
        HubError: it cannot be read.
    """
    return _parse(split_readme(readme)[0])


def _parse(front: str) -> dict[str, Any]:
    try:
        known = yaml.load(front, Loader=_Loader)
    except yaml.YAMLError as error:
        raise HubError(
            f"its README.md has metadata that is no YAML: {' '.join(str(error).split())}. Mend it there."
        ) from None
    if known is None:
        return {}
    if not isinstance(known, dict):
        raise HubError("its README.md has metadata that is no mapping of keys to values. Mend it there.")
    return known


class _Loader(yaml.SafeLoader):
    """Reads as the Hub does: ``no`` is Norwegian and not false, a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"
)


def _merge(known: Mapping[str, Any], metadata: Mapping[str, Any], earlier: EarlierPush) -> dict[str, Any]:
    merged = dict(known)
    for name, value in earlier.metadata.items():
        if name in _ADDED_TO and isinstance(value, list):
            kept = [item for item in _as_list(known.get(name)) if item not in value]
            if kept or name in metadata:
                merged[name] = kept
            else:
                merged.pop(name, None)
        elif name not in metadata and known.get(name) == value:
            merged.pop(name, None)
    if "license" in metadata:
        for name in ("license_name", "license_link"):
            merged.pop(name, None)
    for name, value in metadata.items():
        if name in _ADDED_TO and isinstance(value, list):
            before = _as_list(merged.get(name))
            value = [*before, *(item for item in value if item not in before)]
        merged[name] = value
    return merged | _merge_configs(known, merged, metadata, earlier.configs)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _merge_configs(
    known: Mapping[str, Any],
    merged: dict[str, Any],
    metadata: Mapping[str, Any],
    replaced: Collection[str],
) -> dict[str, Any]:
    """Return the configurations of others and of the card; take the key away where there are none."""
    found = {}
    others = configs_of_others(known, metadata, replaced)
    names = {_config_name(config) for config in others}
    for name in ("configs", "dataset_info"):
        own = _as_list(metadata.get(name))
        kept = others
        if name == "dataset_info":
            theirs = _as_list(known.get(name))
            kept = [entry for entry in theirs if _is_others(entry, names, own, replaced)]
            if kept and (own or len(kept) > 1):
                kept = [{"config_name": "default", **entry} for entry in kept]
        if any(_is_default(config) for config in others):
            own = [{key: value for key, value in config.items() if key != "default"} for config in own]
        together = [*kept, *own]
        lone = name == "dataset_info" and len(together) == 1 and not isinstance(metadata.get(name), list)
        if together:
            found[name] = together[0] if lone else together
        else:
            merged.pop(name, None)
    return found


def configs_of_others(
    known: Mapping[str, Any], metadata: Mapping[str, Any], replaced: Collection[str] = ()
) -> list[Any]:
    """Return the dataset configurations of a README that no push of ours wrote."""
    own = {_config_name(config) for config in _as_list(metadata.get("configs"))}
    return [
        config
        for config in _as_list(known.get("configs"))
        if _config_name(config) not in own
        and not (_config_name(config) in replaced and lies_where_pushed(config))
    ]


def lies_where_pushed(config: Any) -> bool:
    """Tell whether the files of a configuration lie where a push puts them."""
    name, paths = _config_name(config), config_paths(config)
    if name == "recipe":
        return bool(paths) and all(map(_RECIPE.fullmatch, paths))
    return bool(paths) and all(path.startswith(f"data/{name}/") for path in paths)


def config_paths(config: Any) -> list[str]:
    """Return the paths and patterns of the files of a configuration."""
    files = config.get("data_files") if isinstance(config, dict) else None
    paths: list[str] = []
    for entry in _as_list(files):
        path = entry.get("path") if isinstance(entry, dict) else entry
        paths += [item for item in _as_list(path) if isinstance(item, str)]
    return paths


def _is_others(entry: Any, others: Collection[str], own: Collection[Any], replaced: Collection[str]) -> bool:
    name = _config_name(entry)
    mine = {_config_name(config) for config in own}
    return name in others or (name not in mine and name not in replaced)


def _config_name(entry: Any) -> str:
    return str(entry.get("config_name") or "default") if isinstance(entry, dict) else ""


def _is_default(config: Any) -> bool:
    """Tell whether ``load_dataset`` takes a configuration where none is named."""
    return _config_name(config) == "default" or (isinstance(config, dict) and bool(config.get("default")))


def _write_front_matter(front: str, known: Mapping[str, Any], merged: Mapping[str, Any]) -> str:
    """Return the YAML of the merged metadata; keys that do not change stay as they were written."""
    changed = {key: value for key, value in merged.items() if key not in known or known[key] != value}
    parts: list[str] = []
    for part in _TOP_LEVEL.split(front):
        key = next(iter(_keys(part)), None)
        if key is not None and key not in merged:
            parts.append(_comments_after(part))
        elif key is None or key not in changed:
            parts.append(part)
        else:
            parts.append(dump_yaml({key: changed.pop(key)}) + _comments_after(part))
    written = "".join(part if part.endswith("\n") or not part else part + "\n" for part in parts)
    written += "".join(dump_yaml({key: value}) for key, value in changed.items())
    try:
        if yaml.load(written, Loader=_Loader) == dict(merged):
            return written
    except yaml.YAMLError:
        pass
    return dump_yaml(dict(merged))  # written in a way that cannot be changed key by key


def _keys(part: str) -> list[Any]:
    try:
        found = yaml.load(part, Loader=_Loader)
    except yaml.YAMLError:
        return []
    return list(found) if isinstance(found, dict) and len(found) == 1 else []


def _comments_after(part: str) -> str:
    """Return the comments and blank lines that end a part: they belong to what follows."""
    lines = part.splitlines(keepends=True)
    start = len(lines)
    while start > 1 and (not lines[start - 1].strip() or lines[start - 1].startswith("#")):
        start -= 1
    return "".join(lines[start:])


def _place(text: str, section: str, newline: str) -> str:
    """Return the text with the section in its old place, or at the end."""
    sections = list(_SECTION.finditer(text))
    if sections:
        old = sections[-1]
        return f"{text[: old.start()]}{section}{text[old.end() :]}"
    if START in text or END in text:
        raise HubError(
            f"its README.md has only one of the two comments around the text that a push writes ({START} … {END}). "
            "Put the other one back, or delete the one that is there."
        )
    if not text.strip():
        return f"{newline}{section}{newline}"
    return f"{text.rstrip()}{newline}{newline}{section}{newline}"
