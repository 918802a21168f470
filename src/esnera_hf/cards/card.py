"""A card: the README of a repository, as metadata and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class Card:
    """The README of a repository.

    Attributes:
        metadata: the YAML front matter, as plain data.
        body: the text, in Markdown.
    """

    metadata: dict[str, Any]
    body: str

    def __str__(self) -> str:
        front = yaml.dump(self.metadata, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000)
        return f"---\n{front}---\n\n{self.body}"


class _Dumper(yaml.SafeDumper):
    """Writes texts with characters that cannot be printed in double quotes, as escapes.

    PyYAML's choice of quotes loses some of them, such as U+0085, and lets others
    break the line.
    """

    # A list that is the same object twice is written twice, not as a reference.
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)
