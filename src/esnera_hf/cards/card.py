"""A card: the README of a repository, as metadata and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from esnera_hf.yaml_text import dump_yaml


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
        return f"---\n{dump_yaml(self.metadata)}---\n\n{self.body}"
