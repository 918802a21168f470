"""A card joins the README that is there: only its own metadata and its own section change."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from esnera_hf.errors import HubError
from esnera_hf.yaml_text import dump_yaml

START = "<!-- esnera_hf: this section is written anew with every push -->"
END = "<!-- esnera_hf: end of the section -->"

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_TOP_LEVEL = re.compile(r"(?=^[^\s#\-\]}])", re.MULTILINE)
#: Lists to which a card adds and from which it takes nothing away.
_ADDED_TO = ("tags", "language", "task_categories", "task_ids", "datasets")


def join_readme(
    existing: str, metadata: Mapping[str, Any], body: str, replaced_configs: Collection[str] = ()
) -> str:
    """Put a card into a README.

    Metadata keys of the card replace those of the README, but for lists such as
    ``tags``, which are added to, and for the dataset configurations of others,
    which stay. Everything else of the README stays as it is, byte for byte.

    Args:
        existing: the README, ``""`` if there is none.
        metadata: the card's.
        body: the card's text, in Markdown.
        replaced_configs: names of configurations that earlier pushes wrote and
            that are no more unless the card has them.

    Raises:
        HubError: the README's metadata cannot be read.
    """
    newline = "\r\n" if "\r\n" in existing else "\n"
    front, text = split_readme(existing)
    known = _parse(front)
    merged = _merge(known, metadata, replaced_configs)
    section = f"{START}\n\n{body.strip()}\n\n{END}".replace("\n", newline)
    head = _write_front_matter(front, known, merged).replace("\r\n", "\n").replace("\n", newline)
    return f"---{newline}{head}---{newline}{_place(text, section, newline)}"


def split_readme(text: str) -> tuple[str, str]:
    """Return the YAML of a README's front matter, ``""`` without one, and the rest."""
    found = _FRONT_MATTER.match(text)
    return (found.group(1), text[found.end() :]) if found else ("", text.removeprefix("\ufeff"))


def _parse(front: str) -> dict[str, Any]:
    try:
        known = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise HubError(
            f"its README.md has metadata that is no YAML: {' '.join(str(error).split())}"
        ) from None
    if known is None:
        return {}
    if not isinstance(known, dict):
        raise HubError("its README.md has metadata that is no mapping of keys to values.")
    return known


def _merge(
    known: Mapping[str, Any], metadata: Mapping[str, Any], replaced_configs: Collection[str]
) -> dict[str, Any]:
    merged = dict(known)
    for name, value in metadata.items():
        if name in _ADDED_TO and isinstance(value, list):
            before = known.get(name) or []
            before = before if isinstance(before, list) else [before]
            value = [*before, *(item for item in value if item not in before)]
        merged[name] = value
    for name in ("configs", "dataset_info"):
        kept = _of_others(known.get(name), metadata.get(name), replaced_configs)
        if not kept and name not in metadata:
            merged.pop(name, None)
        else:
            ours = metadata.get(name) or []
            ours = ours if isinstance(ours, list) else [ours]
            ours = [_without_default(config) if _has_default(kept) else config for config in ours]
            together = [*kept, *ours]
            alone = name == "dataset_info" and len(together) == 1 and not isinstance(metadata.get(name), list)
            merged[name] = together[0] if alone else together
    return merged


def _of_others(known: Any, ours: Any, replaced: Collection[str]) -> list[Any]:
    entries = known if isinstance(known, list) else [known] if known else []
    own = ours if isinstance(ours, list) else [ours] if ours else []
    names = {_config_name(entry) for entry in own} | set(replaced)
    return [entry for entry in entries if _config_name(entry) not in names]


def _config_name(entry: Any) -> str:
    return str(entry.get("config_name", "default")) if isinstance(entry, dict) else ""


def _has_default(configs: list[Any]) -> bool:
    return any(isinstance(config, dict) and config.get("default") for config in configs)


def _without_default(config: Any) -> Any:
    """Return a configuration that does not claim to be the default: another one is already."""
    return {key: value for key, value in config.items() if key != "default"}


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
        if yaml.safe_load(written) == dict(merged):
            return written
    except yaml.YAMLError:
        pass
    return dump_yaml(dict(merged))  # written in a way that cannot be changed key by key


def _keys(part: str) -> list[Any]:
    try:
        found = yaml.safe_load(part)
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
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if start and end:
        return f"{before}{section}{after}"
    if not text.strip():
        return f"{newline}{section}{newline}"
    return f"{text.rstrip()}{newline}{newline}{section}{newline}"
