"""What a label is called and where it comes from."""

from __future__ import annotations

from typing import NamedTuple


class LabelRef(NamedTuple):
    """One label of one source, such as ``cluener:company``."""

    source: str
    label: str

    def __str__(self) -> str:
        return f"{self.source}:{self.label}"
