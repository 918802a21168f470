"""How to read what cannot be told from the data itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.readers.counting import counting_of
from esnera_hf.tagging import SCHEMES, Scheme

Nested = Literal["outermost", "innermost", "layers"]
FORMATS = (
    *("columns", "json", "cluener", "dataturks", "boson", "brackets", "slashed", "brat"),
    *("rows", "webanno", "conllu", "wikiner", "pubtator", "bioc", "docbin"),
)

#: Names of tags by number, or what tags stand for.
TagNames = Sequence[str] | Mapping[str, str]

#: A language and its subtags, as BCP 47 writes them; whether they are registered is nobody's trouble here.
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How to read a source.

    Attributes:
        format: one of :data:`FORMATS`; detected from the file if ``None``.
        scheme: tagging scheme of column files and tag columns; detected if ``None``.
        tag_column: index of the tag column in a file, or its name in a dataset, or in a file whose
            first row names the columns.
        token_column: the same of the tokens, or of the text that spans count in.
        tag_layer: which of several tags in one cell counts (``B-PER|B-ROLE``), from 0; ``"all"`` for
            those of all, and of all tag columns that a file has, as nested entities.
        characters: whether tokens are characters; if ``None``, they are where
            the script is written without spaces (Chinese, Japanese), so that
            corpora cut into words and into characters can be compared.
        tag_names: names of tags that a dataset keeps as plain numbers, by number; or, by tag, what
            tags stand for: ``{"-": "O", "B": "B-TERM"}``.
        offsets: how offsets of spans count: what (``"characters"``, ``"tokens"``, ``"utf-16"``,
            ``"bytes"``, ``"crlf-as-one"``, ``"lf-as-two"``, ``"nfc"``, ``"nfd"``), with
            ``"inclusive"`` where ends are those of the last one and ``"from-1"`` where the first
            is 1, as in ``"tokens inclusive"``; told from mentions and words if ``None``.
        nested: what is kept of spans that overlap: the ``"outermost"``, the ``"innermost"``, or
            all of them, in ``"layers"``: further columns ``ner_tags_2``, …, outermost first.
        annotator: whose annotation counts where several annotated the same text and none is
            marked as the truth: name, number or file name without its ending.
        strict: refuse a source with anything to repair or to leave out, naming
            file and line, instead of counting it.
        seed: decides which texts go into splits that must be cut.
        config: configuration of a Hub dataset.
        revision: branch, tag or commit of a Hub dataset.
        data_files: files of a Hub dataset, or patterns of files in a folder, by split, such as
            ``{"train": "*/char/*.train.char"}``.
        license: the terms of the corpus as you know them, a license id of the Hub
            such as ``"cc-by-4.0"``; they count instead of those known here.
        language: of the corpus, a BCP 47 code such as ``"en"`` or ``"zh-Hant"``; detected
            from its script if ``None``.
    """

    format: str | None = None
    scheme: Scheme | None = None
    tag_column: int | str | None = None
    token_column: int | str | None = None
    tag_layer: int | str | None = None
    characters: bool | None = None
    tag_names: TagNames | None = None
    offsets: str | None = None
    nested: Nested = "outermost"
    annotator: str | None = None
    strict: bool = False
    seed: int = 42
    config: str | None = None
    revision: str | None = None
    data_files: Mapping[str, str] | None = None
    license: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise ConfigurationError(f"format={self.format!r}: expected one of {', '.join(FORMATS)}.")
        if self.scheme is not None and self.scheme not in SCHEMES:
            raise ConfigurationError(f"scheme={self.scheme!r}: expected one of {', '.join(SCHEMES)}.")
        if self.nested not in get_args(Nested):
            raise ConfigurationError(
                f"nested={self.nested!r}: expected one of {', '.join(get_args(Nested))}."
            )
        if self.offsets is not None:
            counting_of(self.offsets)
        is_number = isinstance(self.tag_layer, int) and not isinstance(self.tag_layer, bool)
        if not (self.tag_layer in (None, "all") or (is_number and int(self.tag_layer) >= 0)):
            raise ConfigurationError(f'tag_layer={self.tag_layer!r}: expected a number from 0, or "all".')
        if outside := outside_repository(self.data_files):
            raise ConfigurationError(
                f"data_files: {outside[0]!r:.100}: expected a path within the Hub dataset or the folder, such as "
                "'data/train-*.parquet'. Name other places as sources of their own."
            )
        if self.language is not None and not _LANGUAGE.fullmatch(self.language):
            raise ConfigurationError(
                f"language={self.language!r}: expected a BCP 47 code, such as 'en' or 'zh-Hant'."
            )


def column_name(
    options: ReadingOptions, option: Literal["tag_column", "token_column"], whose: str, example: str = ""
) -> str | None:
    """Return the name of a column that an option gives, of data whose columns have no numbers.

    Raises:
        ConfigurationError: it gives a number.
    """
    value = getattr(options, option)
    if isinstance(value, int):
        like = f", such as {example!r}" * bool(example)
        raise ConfigurationError(f"{option}={value}: {whose} have names, not numbers. Give the name{like}.")
    return cast("str | None", value)


def outside_repository(data_files: Any) -> list[str]:
    """Return the data files of a Hub dataset that are no paths within it: ``datasets`` would open or request them."""
    if isinstance(data_files, Mapping):
        data_files = list(data_files.values())
    if isinstance(data_files, (list, tuple)):
        return [path for part in data_files for path in outside_repository(part)]
    if data_files is None or (isinstance(data_files, str) and _is_inside(data_files)):
        return []
    return [str(data_files)]


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith(("/", "~")) and ".." not in parts and not set(path) & set(":\\\0")
