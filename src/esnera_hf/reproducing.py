"""``reproduce``: an alignment done again from its report, and compared with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from esnera_hf.alignment import LabelMapping, compare_mappings
from esnera_hf.api import EncoderLike, align, apply
from esnera_hf.console import quiet_libraries, say
from esnera_hf.errors import ReproductionError
from esnera_hf.final import FinalSettings
from esnera_hf.report import Report
from esnera_hf.report.build import current_versions
from esnera_hf.report.files import MAPPING_FILE, REPORT_FILE, read_json
from esnera_hf.report.replay import without_times
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.sources import NerSource, ReadingOptions, SourceLike, load_source
from esnera_hf.sources.named import find_named
from esnera_hf.sources.several import check_names
from esnera_hf.taggers import encoder_files, encoder_identity

#: What of a report tells of the place where it was made rather than of what was found.
_CIRCUMSTANCES = ("settings", "places", "versions", "machine", "fingerprints")


@dataclass(frozen=True)
class Reproduction:
    """An alignment done again.

    Attributes:
        result: what came out.
        differences: what differs from what the report tells, in words.
        same: whether mapping and dataset are the same, down to the last tag.
    """

    result: MergeResult
    differences: tuple[str, ...] = field(repr=False)
    same: bool

    def __str__(self) -> str:
        head = "the same mapping and the same dataset" if self.same else "NOT the same as the report tells"
        return "\n".join([head, *(f"  {difference}" for difference in self.differences)])


def reproduce(
    report: str | os.PathLike[str],
    sources: Sequence[SourceLike] | None = None,
    *,
    encoder: EncoderLike | None = None,
) -> Reproduction:
    """Do again what a report tells of, with the same settings, and compare.

    Taggers that the cache holds are reused, as ever: set ``ESNERA_CACHE_DIR`` to an
    empty folder to compute everything anew.

    Args:
        report: ``report.json``, or the folder it lies in, as :meth:`MergeResult.save`
            writes it; ``mapping.yaml`` is read beside it.
        sources: where the sources are, under the names they have in the report; as the
            report tells if not given.
        encoder: where the encoder is; as the report tells if not given.

    Raises:
        ConfigurationError: the report is damaged, or of another version.
        ReproductionError: there is none, or it does not tell enough; a source is missing
            or is another one, or the encoder is.
        SourceNotFoundError, SourceError: a source cannot be found or read.
        EncoderError: the encoder cannot be loaded.
    """
    file = Path(report)
    file = file / REPORT_FILE if file.is_dir() else file
    told = _read(file)
    for note in _circumstances(told):
        say(f"WARNING: {note}")
    with quiet_libraries():
        loaded = _load(told, sources)
        _check_sources(told, loaded)
    place = os.fspath(encoder) if encoder is not None else told.settings.get("encoder")
    _check_encoder(told, place)
    result = _again(told, file.parent / MAPPING_FILE, loaded, place)
    machine = [name for name in told.machine if told.machine[name] != result.report.machine.get(name)]
    for name in machine:
        say(f"WARNING: {name}: {told.machine[name]} in the report, {result.report.machine.get(name)} now.")
    same = all(told.fingerprints[part] == result.report.fingerprints[part] for part in ("mapping", "dataset"))
    return Reproduction(result, tuple(_differences(told, result, file.parent / MAPPING_FILE)), same)


def _read(file: Path) -> Report:
    try:
        told = Report.from_dict(read_json(file))
    except FileNotFoundError:
        raise ReproductionError(
            f"{file}: no such file. Expected report.json, or the folder that align or apply wrote it to."
        ) from None
    if not isinstance(told.settings, dict) or told.settings.get("call") not in ("align", "apply"):
        raise ReproductionError(
            f"{file}: its settings do not tell whether it was align or apply. It is damaged: copy it again."
        )
    if not {"sources", "mapping", "dataset"} <= set(told.fingerprints):
        raise ReproductionError(
            f"{file} has no fingerprints: it was written by a version of this package that did not keep them, so "
            "there is nothing to compare with. Run the call that stands in report.html."
        )
    return told


def _circumstances(told: Report) -> list[str]:
    """Return what may make the last digits differ."""
    now = current_versions()
    differing = [
        f"{name} {told.versions[name]}, now {now.get(name)}"
        for name in told.versions
        if told.versions[name] != now.get(name)
    ]
    return (
        [f"other versions than in the report ({', '.join(differing)}): figures may differ."]
        if differing
        else []
    )


def _load(told: Report, sources: Sequence[SourceLike] | None) -> list[NerSource]:
    """Load the sources given, or those of the settings, read as they were read."""
    given = told.settings["sources"]
    how = told.settings.get("reading") or [{}] * len(given)
    if sources is None:
        for summary, text in zip(told.sources, given, strict=True):
            _check_place(summary, text)
        loaded = [
            load_source(text, options=ReadingOptions(**options))
            for text, options in zip(given, how, strict=True)
        ]
    else:
        names = [summary["name"] for summary in told.sources]
        loaded = [
            source
            if isinstance(source, NerSource)
            else _read_alike(os.fspath(source), dict(zip(names, how, strict=True)))
            for source in sources
        ]
    check_names(loaded)
    return loaded


def _read_alike(text: str, how: Mapping[str, Mapping[str, Any]]) -> NerSource:
    """Load a source by the reading options of the report: those of its name, which may stand before a ``=``."""
    name = text.partition("=")[0] if "=" in text and not Path(text).exists() else text
    options = how.get(name) or how.get(Path(name).name) or {}
    return load_source(text, options=ReadingOptions(**options))


def _check_place(summary: Mapping[str, Any], text: str) -> None:
    """Check that the settings tell where a source is to be found."""
    known = summary.get("hub_id") or find_named(text) is not None or Path(text).expanduser().exists()
    if text == summary["name"] and not known:
        raise ReproductionError(
            f"{text}: the report does not tell where it is: it was handed over as data, or the report was published. "
            f"Name all sources: `esnera-hf reproduce REPORT {text}=PATH …`, or pass loaded ones to reproduce()."
        )


def _check_sources(told: Report, loaded: Sequence[NerSource]) -> None:
    expected: dict[str, str] = told.fingerprints["sources"]
    names = {source.name for source in loaded}
    lacking, strange = sorted(expected.keys() - names), sorted(names - expected.keys())
    if lacking or strange:
        raise ReproductionError(
            f"expected the sources {', '.join(expected)}"
            + (f"; missing: {', '.join(lacking)}" if lacking else "")
            + (f"; not in the report: {', '.join(strange)}" if strange else "")
            + ". Give each the name it has in the report: 'name=path'."
        )
    most, seed = told.settings.get("sentences"), told.settings["seed"]
    others = [
        s.name
        for s in loaded
        if (s if most is None else s.sample(most, seed)).fingerprint != expected[s.name]
    ]
    if others:
        raise ReproductionError(
            f"{', '.join(others)}: not the corpus of the report: sentences or their annotation differ. Get the version "
            "it was made of (its summary in the report tells how many sentences and entities that has), and read it "
            "with the same options."
        )


def _check_encoder(told: Report, place: str | None) -> None:
    expected = told.fingerprints.get("encoder")
    if expected is None:
        return
    # Of a Hub model, whose identity is its commit, a copy in a folder is the same one, too.
    files = told.fingerprints.get("encoder_files") if "@" in expected else None
    if place is None or (
        encoder_identity(place) != expected and (files is None or encoder_files(place) != files)
    ):
        raise ReproductionError(
            f"{place}: not the encoder of the report: its files differ, or it is another commit. Name a copy of the "
            "same one: --encoder, encoder=."
        )


def _again(told: Report, mapping: Path, loaded: Sequence[NerSource], encoder: str | None) -> MergeResult:
    """Call what the settings are of."""
    given = {
        key: value
        for key, value in told.settings.items()
        if key not in ("call", "sources", "reading", "encoder")
    }
    if (given.get("schema") or {}).get("locked"):
        given["schema"] = {**given["schema"], "locked": _with_locked_lines(told, mapping)}
    try:
        if told.settings["call"] == "apply":
            given.pop("mapping", None)  # the one beside the report is what of it was applied
            final = FinalSettings(**given.pop("final"))
            return apply(mapping, loaded, encoder=encoder, final=final, **given)
        return align(
            loaded,
            encoder=encoder,
            settings=AlignSettings(**_parts(given)),
            **{"lam" if key == "lambda" else key: value for key, value in given.items()},
        )
    except TypeError as error:
        raise ReproductionError(
            f"the report has settings that this version of the package does not know: {error}. "
            "Use the version that wrote it."
        ) from error


def _with_locked_lines(told: Report, file: Path) -> LabelMapping:
    """Return the mapping that the alignment made: it holds the lines that were locked.

    Raises:
        ReproductionError: it does not lie beside the report, or was edited.
    """
    if file.is_file():
        made = LabelMapping.load(file)
        if made.fingerprint == told.fingerprints["mapping"]:
            return made
    raise ReproductionError(
        f"{file}: expected the mapping as it was written with the report, as lines of an earlier one were locked, and "
        "it holds them. Copy it there again."
    )


def _parts(given: dict[str, Any]) -> dict[str, Any]:
    """Take what belongs to ``AlignSettings`` out of the settings."""
    parts = {}
    for part in fields(AlignSettings):
        if part.name in given:
            value = given.pop(part.name)
            factory: Any = part.default_factory
            parts[part.name] = value if factory is MISSING else factory(**value)
    return parts


def _differences(told: Report, result: MergeResult, mapping: Path) -> list[str]:
    found = []
    if told.fingerprints["mapping"] != result.report.fingerprints["mapping"]:
        found.append(f"mapping: {_mapping_difference(told, result, mapping)}")
    if told.fingerprints["dataset"] != result.report.fingerprints["dataset"]:
        found.append("dataset: its rows, columns or label names differ")
    before = without_times(told.to_dict())
    after = without_times(json.loads(json.dumps(result.report.to_dict())))
    found += [
        f"report: {part} differ"
        for part in after
        if part not in _CIRCUMSTANCES and before.get(part) != after[part]
    ]
    return found


def _mapping_difference(told: Report, result: MergeResult, file: Path) -> str:
    if not file.is_file():
        return f"it differs, and there is no {MAPPING_FILE} beside the report to show how"
    old = LabelMapping.load(file)
    if old.fingerprint != told.fingerprints["mapping"]:
        return f"it differs; {file} was edited since and cannot show how"
    return str(compare_mappings(old, result.mapping)) or "only its evidence differs"
