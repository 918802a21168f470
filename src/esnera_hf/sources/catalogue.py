"""The catalogue of corpora known by name (``catalogue.json``): where they lie, their labels and their terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esnera_hf._internal.checks import from_plain
from esnera_hf.sources.source import License


@dataclass(frozen=True)
class NamedSource:
    """One corpus of the catalogue.

    Attributes:
        name: of the corpus.
        language: BCP 47 code.
        license: its terms.
        homepage: where it is published.
        citation: how to cite it, ``""`` if that is not known.
        labels: the labels it annotates.
        files: file name patterns by split, looked for below the corpus folder;
            the first pattern that fits counts.
        format: the reader of those files; told from them if ``None``.
        hub_id: ``owner/name`` of a copy on the Hub, ``""`` if none is known.
        hub_options: reading options of that copy: its configuration, branch or files.
        folders: names of the corpus folder in ``ESNERA_DATA_DIR``.
        tag_column: of column files, where it cannot be told.
        tag_names: names of the tags, where copies keep bare numbers.
        many_files: whether all files that fit a pattern belong to the split.
        sentences: published number of sentences by split, where it is known.
    """

    name: str
    language: str
    license: License
    homepage: str
    labels: tuple[str, ...]
    folders: tuple[str, ...]
    citation: str = ""
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    format: str | None = None
    hub_id: str = ""
    hub_options: dict[str, Any] = field(default_factory=dict)
    tag_column: int | None = None
    tag_names: tuple[str, ...] | None = None
    many_files: bool = False
    sentences: dict[str, int] = field(default_factory=dict)

    def find_files(self, folder: Path) -> dict[str, list[Path]]:
        """Return the files of each split below a folder, the outermost that fit; none if no pattern fits."""
        by_split: dict[str, list[Path]] = {}
        for split, patterns in self.files.items():
            for pattern in patterns:
                files = sorted(
                    (path for path in folder.rglob(pattern) if path.is_file()),
                    key=lambda path: (len(path.parts), path),
                )
                if files:
                    # Copies of one file in folders below, such as backups, are not read beside it.
                    wild = "*" in pattern or "[" in pattern
                    by_split[split] = [f for f in files if wild or len(f.parts) == len(files[0].parts)]
                    break
        return by_split


def find_named(name: str) -> NamedSource | None:
    """Return the corpus of a name or of one of its folder names, ``None`` if there is none."""
    return _BY_NAME.get(name)


def copies_on_hub(repo_id: str, data_files: Mapping[str, str] | None = None) -> list[NamedSource]:
    """Return the corpora of the catalogue of which a repository of the Hub, or some files of it, hold a copy."""
    wanted = set((data_files or {}).values())
    copies = []
    for source in NAMED_SOURCES.values():
        files = set(source.hub_options.get("data_files", {}).values())
        # The Hub finds a repository however its letters are cased.
        if source.hub_id.lower() == repo_id.lower() and (not (wanted and files) or wanted & files):
            copies.append(source)
    return copies


_CATALOGUE = Path(__file__).with_name("catalogue.json")
NAMED_SOURCES: dict[str, NamedSource] = {
    name: from_plain(NamedSource, {"name": name, "folders": [name], **entry}, f"{_CATALOGUE.name}, {name}")
    for name, entry in json.loads(_CATALOGUE.read_text(encoding="utf-8")).items()
}
# A folder called crossner holds five corpora, and says of none which it is.
_BY_NAME = {
    folder: source for source in NAMED_SOURCES.values() for folder in source.folders if folder != "crossner"
} | NAMED_SOURCES
