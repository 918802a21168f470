"""``reproduce``: an alignment done again by the settings of its report, and its fingerprints compared.

A report may come from a stranger. Its settings are taken by name and type alone, of a training only what decides its
weights, and no path that it names is opened: sources and encoder in files have to be named by whoever reproduces it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from esnera_hf.alignment import LabelMapping
from esnera_hf.api import EncoderLike, align, apply
from esnera_hf.bounds import from_plain
from esnera_hf.errors import ReproductionError
from esnera_hf.final import FinalSettings
from esnera_hf.publishing.recipe import is_published
from esnera_hf.report.files import MAPPING_FILE, REPORT_FILE, read_json
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.sources import ReadingOptions, SourceLike, load_source
from esnera_hf.sources.load import source_name
from esnera_hf.sources.named import find_named

_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_CALLS: dict[str, dict[str, Any]] = {
    "align": {
        "lambda": float | None,
        "tau": float | None,
        "into": str | Sequence[str] | Mapping[str, Sequence[str]] | None,
    },
    "apply": {"mapping": str | None, "training": Mapping[str, Any], "taggers": Literal["joint", "separate"]},
}
_BOTH: dict[str, Any] = {
    "call": str,
    "sources": Sequence[str],
    "reading": Sequence[ReadingOptions],
    "encoder": str | None,
    "sentences": int | None,
    "seed": int,
    "final": FinalSettings,
}


def reproduce(
    report: str | os.PathLike[str],
    sources: Sequence[SourceLike] | None = None,
    *,
    encoder: EncoderLike | None = None,
) -> tuple[MergeResult, list[str]]:
    """Do again what a report tells of, with the same settings, and compare.

    Args:
        report: ``report.json``, or the folder it lies in; ``mapping.yaml`` is read beside it.
        sources: where the sources are, under the names they have in the report; where it says, if on the Hub.
        encoder: where the encoder is; likewise.

    Returns:
        What came out, and what has another fingerprint than in the report: names of sources, ``encoder``, ``mapping``,
        ``dataset``.

    Raises:
        ReproductionError: there is no report, it names a path, or it has settings that this version does not know.
    """
    file = Path(report) / REPORT_FILE if Path(report).is_dir() else Path(report)
    if not file.is_file():
        raise ReproductionError(
            f"{file}: no such file. Expected report.json, or the folder it was written to."
        )
    told = read_json(file)
    settings = _checked(told.get("settings"))
    names, reading = settings.pop("sources"), settings.pop("reading", None)
    how = dict(zip(map(source_name, names), reading or [ReadingOptions()] * len(names), strict=True))
    given: Sequence[SourceLike] = (
        [_not_local(name, "source") for name in names] if sources is None else sources
    )
    loaded = [
        load_source(source, options=how.get(source_name(os.fspath(source)), ReadingOptions()))
        if isinstance(source, (str, os.PathLike))
        else source
        for source in given
    ]
    place = settings.pop("encoder")
    settings["encoder"] = encoder if encoder is not None or place is None else _not_local(place, "encoder")
    if settings.pop("call") == "apply":
        published = settings.pop("mapping", None)
        mapping = published if published and is_published(published) else file.parent / MAPPING_FILE
        result = apply(mapping, loaded, **settings)
    else:
        parts = {
            part.name: settings.pop(part.name) for part in fields(AlignSettings) if part.name in settings
        }
        if parts["schema"].locked is not None:  # its lines stand in the mapping that was made with them
            parts["schema"] = replace(parts["schema"], locked=LabelMapping.load(file.parent / MAPPING_FILE))
        result = align(loaded, lam=settings.pop("lambda"), settings=AlignSettings(**parts), **settings)
    before, after = _flat(told.get("fingerprints")), _flat(result.report.fingerprints)
    return result, [name for name, digest in after.items() if before.get(name) != digest]


def _flat(fingerprints: Any) -> dict[str, Any]:
    found = dict(fingerprints) if isinstance(fingerprints, dict) else {}
    found.pop("encoder", None)  # a copy in a folder has the same files and another name
    sources = found.pop("sources", {})
    return {**(sources if isinstance(sources, dict) else {}), **found}


def _not_local(text: str, what: str) -> str:
    """Return what a report names if it is on the Hub, or a corpus that is known."""
    place = text.partition("=")[2] or text
    there = Path(text).exists() or Path(place).exists()
    if (
        there
        or not _ON_HUB.fullmatch(place)
        or (what == "source" and "/" not in place and not find_named(place))
    ):
        name = f"{source_name(text)}=PATH" if what == "source" else "--encoder PATH, encoder="
        raise ReproductionError(
            f"{what} {text!r}: the report names something on the machine it was made on, which is not opened. Name it "
            f"yourself: {name}; of the sources all."
        )
    return text


def _checked(settings: Any) -> dict[str, Any]:
    """Return the settings of a report as what :func:`align` or :func:`apply` takes."""
    call = settings.get("call") if isinstance(settings, dict) else None
    if not isinstance(call, str) or call not in _CALLS:
        raise ReproductionError(
            "the settings of the report do not tell whether it was align or apply. Copy it again."
        )
    kinds = {**_BOTH, **_CALLS[call], **(get_type_hints(AlignSettings) if call == "align" else {})}
    unknown = sorted(set(settings) - set(kinds))
    if unknown:
        raise ReproductionError(f"settings in the report that are not known here: {', '.join(unknown)}.")
    taken = {name: from_plain(kinds[name], value, name) for name, value in settings.items()}
    missing = [name for name in ("sources", "encoder", "seed", "final") if name not in taken]
    files = [file for options in taken.get("reading", ()) for file in (options.data_files or {}).values()]
    # datasets reads what is no path within the repository from the disk or the network.
    outside = [f for f in files if f.startswith(("/", "~")) or ".." in f or ":" in f or "\\" in f]
    if missing or outside or len(taken.get("reading", taken["sources"])) != len(taken["sources"]):
        raise ReproductionError(
            f"damaged settings in the report: {', '.join([*missing, *outside]) or 'reading'}."
        )
    return taken
