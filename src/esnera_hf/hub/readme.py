"""A card joins the README that is there: that keeps its own metadata, and its text outside our two comments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import CardData, RepoCard

from esnera_hf._internal.json import check_depth
from esnera_hf._internal.yaml import DAMAGED_YAML, check_aliases, dump_yaml
from esnera_hf.errors import HubError

START = "<!-- esnera_hf: this section is written anew with every push -->"
END = "<!-- esnera_hf: end of the section -->"

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(f"{re.escape(START)}(?:(?!{re.escape(START)}).)*?{re.escape(END)}", re.DOTALL)


def plain_data(data: CardData) -> dict[str, Any]:
    """Return the metadata of a card as plain data."""
    return dict(data.to_dict())  # type: ignore[no-untyped-call]


def write_readme(card: RepoCard) -> str:
    """Return a card as a README of its own, its text between the two comments."""
    front = dump_yaml(plain_data(card.data))
    return f"---\n{front}---\n\n{START}\n\n{card.text.strip()}\n\n{END}\n"


def join_readme(existing: str, card: str, earlier: Mapping[str, Any]) -> str:
    """Put a card into a README, which is empty where there is none.

    The card's metadata replace those of the same name; entries of lists that somebody else wrote stay, so do dataset
    configurations under other names. What an earlier push wrote (``earlier``) and the card lacks goes.

    Raises:
        HubError: the README's metadata cannot be read, or only one of the two comments is there.
    """
    if not existing.strip():
        return card
    newline = "\r\n" if "\r\n" in existing else "\n"
    (theirs, text), (ours, section) = split_readme(existing), split_readme(card)
    front = dump_yaml(_merged(theirs, ours, earlier)).replace("\r\n", "\n")
    body = _placed(text, section.strip().replace("\n", newline), newline)
    return f"---\n{front}---\n".replace("\n", newline) + body


def split_readme(text: str) -> tuple[dict[str, Any], str]:
    """Return the metadata of a README and the text below them.

    Raises:
        HubError: the metadata cannot be read.
    """
    text = text.removeprefix("\ufeff")
    front = _FRONT_MATTER.match(text)
    if front is None:
        return {}, text
    try:
        check_aliases(front.group(1))
        metadata = yaml.load(front.group(1), Loader=_Loader)
        check_depth(metadata)
    except DAMAGED_YAML as error:
        raise HubError(
            f"its README.md has metadata that is no YAML: {' '.join(str(error).split())[:200]}. Mend it there."
        ) from None
    if not isinstance(metadata, dict | None):
        raise HubError("its README.md has metadata that is no mapping of keys to values. Mend it there.")
    return metadata or {}, text[front.end() :]


class _Loader(yaml.SafeLoader):
    """Reads as the Hub does: ``no`` is Norwegian and not false."""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


def _merged(present: Mapping[str, Any], own: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    gone = {name for name, value in earlier.items() if name not in own and present.get(name) == value}
    if "license" in own:
        # The name and link of another license than the one that now stands there.
        gone |= {"license_name", "license_link"} - own.keys()
    merged = {name: value for name, value in present.items() if name not in gone} | dict(own)
    for name in merged:
        if name in ("configs", "dataset_info") or isinstance(own.get(name), list):
            merged[name] = _joined(present.get(name), own.get(name, []), earlier.get(name))
    mine, configs = own.get("configs", ()), merged.get("configs") or []
    theirs = [config for config in configs if config not in mine]
    if any(_key(each) == "default" or (isinstance(each, dict) and each.get("default")) for each in theirs):
        # One default is theirs, and the Hub takes no two.
        ours = [{name: value for name, value in each.items() if name != "default"} for each in mine]
        merged["configs"] = theirs + ours
    return {name: value for name, value in merged.items() if value not in ([], None)}


def _joined(present: Any, own: Any, earlier: Any) -> Any:
    """Return the entries of others and ours; a single entry of ``dataset_info`` stands alone."""
    replaced = [_key(entry) for entry in [*_as_list(own), *_as_list(earlier)]]
    entries = [*(entry for entry in _as_list(present) if _key(entry) not in replaced), *_as_list(own)]
    return own if len(entries) == 1 and not isinstance(own, list) else entries


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _key(entry: Any) -> Any:
    return entry.get("config_name", "default") if isinstance(entry, dict) else entry


def _placed(text: str, section: str, newline: str) -> str:
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
    return f"{text.rstrip()}{newline}{newline}{section}{newline}"
