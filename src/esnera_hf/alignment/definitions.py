"""What labels mean, in the words of a guideline or of the user: texts by ``source:label``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from esnera_hf._internal.json import read_json
from esnera_hf._internal.text import hint, shown, visible
from esnera_hf._internal.yaml import read_yaml
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import LONGEST_DEFINITION
from esnera_hf.errors import ConfigurationError

#: Labels that a message names: more than two or three corpora have.
_MOST_NAMED = 30


def read_definitions(file: str | os.PathLike[str]) -> dict[str, str]:
    """Read the definitions of labels from a file.

    Args:
        file: YAML or, where its name ends in ``.json``, JSON: a text for each ``source:label``; or a ``mapping.yaml``
            whose entries have definitions.

    Raises:
        ConfigurationError, MappingError: it cannot be read, or holds something else; it says where.
    """
    path = Path(file)
    if path.suffix == ".json":
        data = read_json(path)
        for label, text in data.items():
            if not isinstance(text, str):
                raise ConfigurationError(
                    f"{path}: {shown(label)}: expected a text, found {type(text).__name__}. Expected a text for each "
                    'label: {"source:label": "what it means"}.'
                )
        return data
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path}: the definitions cannot be read: {error}. Expected a text file in UTF-8 with a line "
            "`source:label: what it means` for each label."
        ) from error
    values = read_yaml(content, str(path)).checked("definitions", dict)
    if {"version", "labels"} <= values.keys():
        return LabelMapping.from_yaml(content, str(path)).definitions
    return {label: value.checked(f"the definition of {shown(label)}", str) for label, value in values.items()}


def check_definitions(definitions: Any, labels: Collection[str]) -> dict[str, str]:
    """Return the definitions of labels, by ``source:label``, without those that are empty, once they are checked.

    Raises:
        ConfigurationError: one is of no label, or is no text, or longer than a paragraph.
    """
    if not isinstance(definitions, Mapping):
        raise ConfigurationError(
            f"definitions: found {type(definitions).__name__}, expected a text for each label: "
            "{'source:label': 'what it means'}."
        )
    definitions = {str(label): text for label, text in definitions.items()}
    for label, text in definitions.items():
        if label not in labels:
            source = f"{label.partition(':')[0]}:"
            near = sorted(one for one in labels if one.startswith(source)) or sorted(labels)
            named = ", ".join(map(visible, near[:_MOST_NAMED])) + " and more" * (len(near) > _MOST_NAMED)
            raise ConfigurationError(
                f"definitions: {shown(label)} is no label of the sources.{hint(label, near)} Expected "
                f"source:label, one of {named}."
            )
        if not isinstance(text, str) or len(text) > LONGEST_DEFINITION:
            raise ConfigurationError(
                f"definitions: {visible(label)}: expected a text of at most {LONGEST_DEFINITION:,} characters, found "
                + (f"{len(text):,}. Shorten it." if isinstance(text, str) else f"{type(text).__name__}.")
            )
        if text.encode("utf-8", errors="ignore").decode() != text:
            raise ConfigurationError(
                f"definitions: {visible(label)}: found half of a surrogate pair, which no file holds. Mend it."
            )
    return {label: text for label, text in definitions.items() if text.strip()}
