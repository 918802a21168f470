"""The call that a result comes from: its facts, the places it names, and what of it a stranger may have run again."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.load import source_name
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import NerSource

#: A name that could be a path (``../x``, ``~/x``, ``C:\\x``) is none.
_REPOSITORY = re.compile(r"([A-Za-z0-9][\w.-]*/)?\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class CallFacts:
    """The call that a result comes from: enough to make it again.

    Attributes:
        function: ``align`` or ``apply``.
        sources: what the sources were loaded from, in the order of their names.
        reading: the reading options of each source; empty where all were read by default.
        encoder: folder or Hub id; ``None`` where no tagger was needed.
        method: how labels were merged; ``None`` for ``apply``.
        mapping: what was applied: its file or its repository; ``None`` for ``align``, or where it was no file.
        target_schema: what the labels were merged into, if it was given.
        to: the atlas in whose tree labels were placed, if one was given.
        answers: digests of the answers to bundles that counted.
        salted: whether forms were compared by salted hashes; the salt itself is kept nowhere.
        max_samples: sentences that were used at most of each split of each source; ``None`` for all.
        seed: of samples and trainings.
        settings: all others, as plain data: a result can be loaded whatever settings this version knows.
    """

    function: Literal["align", "apply"]
    sources: tuple[str, ...] = ()
    reading: tuple[ReadingOptions, ...] = ()
    encoder: str | None = None
    method: Literal["equivalence", "greedy"] | None = None
    mapping: str | None = None
    target_schema: Any = None
    to: str | None = None
    answers: tuple[str, ...] = ()
    salted: bool = False
    max_samples: int | None = None
    seed: int = 42
    settings: dict[str, Any] = field(default_factory=dict)

    def setting(self, *path: str) -> Any:
        """Return one of the settings by the names that lead to it; ``None`` where it is not there."""
        value: Any = self.settings
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def is_repository(text: str, *, owner: bool = True) -> bool:
    """Tell whether a text is ``owner/name``, or just ``name`` where no ``owner`` is needed."""
    return _REPOSITORY.fullmatch(text) is not None and (not owner or "/" in text)


def is_published(text: str) -> bool:
    """Tell whether a text names a repository of the Hub, ``@revision`` or not, and no path that is here."""
    name, _, revision = text.partition("@")
    named = is_repository(name) and re.fullmatch(r"[\w./-]*", revision, re.ASCII) is not None
    return named and not text.endswith(("@", ".yaml", ".yml")) and not os.path.exists(text)


def local_paths(call: CallFacts, sources: Sequence[NerSource]) -> tuple[str, ...]:
    """Return those parts of the call that name a place on this machine, now that this can be told."""
    files = [
        text
        for text in (source.origin for source in sources if source.origin)
        if any(os.path.exists(os.path.expanduser(place)) for place in (text, text.partition("=")[2]) if place)
    ]
    folders = [call.encoder] if call.encoder and os.path.isdir(call.encoder) else []
    locked = call.setting("schema", "locked")
    mappings = [str(file) for file in (call.mapping, locked, call.to) if file and not is_published(str(file))]
    return tuple(dict.fromkeys([*files, *folders, *mappings]))


def checked_call(call: CallFacts | None) -> CallFacts:
    """Return the call of a report, if it names no files but those of the sources."""
    if call is None:
        raise ConfigurationError("the report does not tell the call that made it. Copy it again.")
    # Data files of the Hub that are no paths within their repository are refused by the reading options themselves.
    if len(call.reading) not in (0, len(call.sources)):
        raise ConfigurationError(
            f"damaged settings in the report: reading options of {len(call.reading)} sources, expected "
            f"{len(call.sources)}. Copy it again."
        )
    return call


def on_hub(text: str, kind: str) -> str:
    """Return the name of a source or an encoder in a report if it is on the Hub, or a corpus that is known."""
    place = text.partition("=")[2] or text
    here = os.path.exists(text) or os.path.exists(place)
    unknown = kind == "source" and "/" not in place and not find_named(place)
    if here or unknown or not is_repository(place, owner=False):
        options = {"encoder": "--encoder PATH, encoder=", "atlas": "--to PATH, to="}
        option = options.get(kind, f"{source_name(text)}=PATH")
        raise ConfigurationError(
            f"{kind} {text!r}: the report names something on the machine it was made on, which is not opened. Name it "
            f"yourself: {option}; of the sources all."
        )
    return text
