"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from esnera_hf._internal.checks import from_plain, to_plain
from esnera_hf._internal.console import lap, quiet_libraries, say
from esnera_hf.alignment.constraints import (
    Constraints,
    TargetSchema,
    build_constraints,
    load_locked,
)
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import MergeHistory
from esnera_hf.alignment.mapping import MAPPING_FILE, LabelMapping
from esnera_hf.alignment.mapping_diff import decided_anew
from esnera_hf.alignment.search import merge_greedily
from esnera_hf.errors import ConfigurationError, ReproductionError
from esnera_hf.evaluation.merged_tagger import Final, OutputSettings, Trials, finish, with_mentions
from esnera_hf.hub.recipe import find_recipe, is_published
from esnera_hf.merging.merge import MergedData
from esnera_hf.report.build import build_report
from esnera_hf.report.files import REPORT_FILE, read_json
from esnera_hf.report.report import CallFacts, MergeReport, SystemScores, TaggerScores
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import Evidence, EvidenceSettings, gather_evidence
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.load import SourceLike, load_source, load_sources, source_name
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import NerSource
from esnera_hf.taggers.settings import TaggerPlan, Taggers, TrainingLike, training_settings
from esnera_hf.taggers.source_taggers import (
    CachedTagger,
    announce_own_taggers,
    default_encoder,
    encoder_identity,
)


def decide_mapping(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
) -> tuple[LabelMapping, MergeHistory]:
    """Decide which labels become one: by their relations, or along the greedy path.

    Args:
        found: the similarities, and the taggers behind them.
        sources: as they were measured.
        encoder: of the trials' taggers.
        settings: completed.
        constraints: what the user wishes.

    Returns:
        The mapping, and the steps of the path with what was tried.
    """
    if settings.merge == "typed":
        return merge_equivalent(found.matrix, constraints), MergeHistory()
    objective = Trials(
        sources,
        settings.evidence.plan(encoder),
        found,
        settings.search,
        settings.final.pseudo_label_threshold,
        constraints,
    )
    return merge_greedily(found.matrix, constraints, settings.search, objective)


EncoderLike = str | os.PathLike[str]


def align(
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    lam: float | None = None,
    tau: float | None = None,
    target_schema: TargetSchema | None = None,
    sentences: int | None = None,
    seed: int = 42,
    settings: AlignSettings | None = None,
) -> MergeResult:
    """Find which labels of several NER datasets mean the same and merge the datasets.

    Args:
        sources: two or more known names, paths, ``"name=path"``, Hub dataset ids
            or loaded sources. Their order does not matter.
        encoder: folder or Hub id of a pretrained encoder; a Chinese BERT if all
            sources are Chinese, a multilingual one otherwise.
        lam: λ of the paper's merging, the weight of the empirical similarity, in
            [0, 1]. Given λ or τ, labels merge along the greedy path; the one that
            is not given is searched.
        tau: τ of the paper's merging; a label joins its best match if their
            similarity exceeds it. Given neither, only what means the same by
            evidence in both directions merges (``AlignSettings.merge``).
        target_schema: the schema to merge into: a source; names that some labels bear; or
            names with the labels that define them, ``{"ORG": ["cluener:company"]}``.
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        settings: everything else.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: fewer than two sources, one twice, a parameter out of
            range, or wishes that contradict each other.
        MappingError: the locked mapping cannot be read.
    """
    settings = AlignSettings() if settings is None else settings
    if not isinstance(settings, AlignSettings):
        raise ConfigurationError(
            f"settings={settings!r}: expected AlignSettings(evidence=…, search=…, schema=…, final=…, merge=…)."
        )
    settings = settings.completed(lam, tau, seed)
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_sources(sources, sentences, seed, least=2)
            constraints = build_constraints(_labels(loaded), target_schema, settings.schema)
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        result = _align(loaded, name, settings, constraints)
    locked = None if settings.schema.locked is None else settings.locked_file or MAPPING_FILE
    call = CallFacts(
        "align",
        *_origins(loaded),
        encoder=name,
        method="equivalence" if settings.merge == "typed" else "greedy",
        target_schema=target_schema,
        max_samples=sentences,
        seed=seed,
        settings=to_plain(replace(settings, schema=replace(settings.schema, locked=locked))),
    )
    return _called(result, call, _places(loaded, name, settings.locked_file), seconds)


def apply(
    mapping: LabelMapping | str | os.PathLike[str],
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    sentences: int | None = None,
    seed: int = 42,
    final: OutputSettings | None = None,
    training: TrainingLike | None = None,
    taggers: Taggers = "joint",
) -> MergeResult:
    """Merge sources by a mapping, such as an edited ``mapping.yaml``; nothing is measured or searched.

    What was published, with or without its text, is made again from your own copies
    of its sources, and compared: ``comparison`` of the result says whether it is the
    same dataset, and which sentences differ.

    Args:
        mapping: the mapping, the path of its file, or ``owner/name`` of a published
            dataset or recipe on the Hub, at ``@revision`` if wished. A mapping may map
            more sources than are given.
        sources: as for :func:`align`; one is enough.
        encoder: of the taggers, if ``final`` asks for any.
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        final: pseudo-labels and a merged tagger; neither if not given.
        training: overrides of the taggers' training arguments.
        taggers: ``joint`` or ``separate``, as in :class:`EvidenceSettings`.

    Returns:
        Merged dataset, mapping and report; the similarities are ``None``. The
        mapping counts the mentions of these sources.

    Raises:
        MappingError: the mapping cannot be read, or does not fit the sources; it
            says in which line.
        RecipeError: what was published cannot be read, or a source is none of its.
        HubError: what was published cannot be fetched.
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: a parameter is out of range.
    """
    final = OutputSettings(pseudo_label_threshold=None) if final is None else final
    if not isinstance(final, OutputSettings):
        raise ConfigurationError(f"final={final!r}: expected OutputSettings(…).")
    training = {"seed": seed, **training_settings(training or {})}
    recipe = None if isinstance(mapping, LabelMapping) else find_recipe(os.fspath(mapping))
    if recipe is not None and final.pseudo_label_threshold is not None:
        raise ConfigurationError("augment: what was published has its own pseudo-labels. Leave it out.")
    known = recipe.mapping if recipe is not None else mapping
    known = known if isinstance(known, LabelMapping) else LabelMapping.load(known)
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_sources(sources, sentences, seed)
        pseudo, differences, chosen = None, (), known
        if recipe is not None:
            loaded, pseudo, differences = recipe.cut(loaded)
        else:
            chosen = known.restricted(source.name for source in loaded)
            chosen.check_fits(_labels(loaded))
            chosen = with_mentions(chosen, loaded)
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        plan = TaggerPlan(name, training, taggers)
        if final.needs_taggers:
            announce_own_taggers([loaded], plan)
        done = finish(loaded, chosen, find_leaks(loaded), final, plan, pseudo)
        report = build_report(loaded, chosen, MergedData(done.dataset, done.leaks, done.pseudo))
        report = replace(report, **_scored(loaded, done.taggers, done, name), seconds=done.seconds)
        result = MergeResult(done.dataset, chosen, None, report, _tagger_folder(done))
    call = CallFacts(
        "apply",
        *_origins(loaded),
        encoder=name if final.needs_taggers else None,
        mapping=str(mapping) if recipe is not None else known.file or None,
        max_samples=sentences,
        seed=seed,
        settings=to_plain(
            AlignSettings(EvidenceSettings(training=training, taggers=taggers), final=done.settings)
        ),
    )
    file = str(mapping) if recipe is not None and os.path.isdir(str(mapping)) else known.file
    result = _called(result, call, _places(loaded, name, file), seconds)
    if recipe is None:
        return result
    comparison = recipe.compare(result.dataset, differences)
    if not comparison.same:
        say(f"WARNING: {mapping}: {comparison}")
    return replace(result, comparison=comparison)


def _align(
    loaded: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
) -> MergeResult:
    """Measure, search, map and merge."""
    seconds: dict[str, float] = {}
    leaks = find_leaks(loaded)
    size, seed, plan = (
        settings.search.max_samples,
        settings.evidence.training["seed"],
        settings.evidence.plan(encoder),
    )
    small = loaded if size is None else [source.sample(size, seed) for source in loaded]
    needed = [small, loaded] if size is not None and settings.final.needs_taggers else [small]
    announce_own_taggers(needed, plan)
    found = gather_evidence(small, encoder, settings.evidence, screened=loaded)
    with lap(seconds, "search"):
        mapping, history = decide_mapping(found, small, encoder, settings, constraints)
    mapping = with_mentions(mapping, loaded)
    if settings.schema.locked is not None:
        say(decided_anew(load_locked(settings.schema.locked), mapping))
    final = finish(loaded, mapping, leaks, settings.final, plan)
    report = build_report(
        loaded,
        mapping,
        MergedData(final.dataset, final.leaks, final.pseudo),
        matrix=found.matrix,
        history=history,
        constraints=constraints,
    )
    scored_on, taggers = (loaded, final.taggers) if final.taggers else (small, found.taggers)
    steps = _steps(found.seconds, seconds, final.seconds)
    report = replace(report, **_scored(scored_on, taggers, final, encoder), seconds=steps)
    return MergeResult(final.dataset, mapping, found.matrix, report, _tagger_folder(final))


def _scored(
    sources: Sequence[NerSource], taggers: Mapping[str, CachedTagger], final: Final, encoder: str
) -> dict[str, Any]:
    """Return what a report tells of taggers: their scores, encoder and machine; nothing where there are none."""
    from esnera_hf.modeling.encoders import describe_machine

    if not taggers:
        return {}
    own = {
        source.name: TaggerScores(
            taggers[source.name].scores(source, "validation"),
            taggers[source.name].scores(source, "test"),
            tuple(taggers[source.name].record["history"]),
            taggers[source.name].record["arguments"],
            round(taggers[source.name].seconds, 1),
        )
        for source in sources
    }
    systems = {
        name: SystemScores(
            system.native,
            system.unified,
            tuple(system.tagger.record["history"]),
            round(system.tagger.seconds, 1),
            partial_likelihood=bool(final.settings.partial) and name in ("merged", "gold"),
        )
        for name, system in final.systems.items()
    }
    return {
        "taggers": own,
        "systems": systems,
        "encoder_fingerprint": encoder_identity(encoder),
        "machine": describe_machine(),
    }


def _tagger_folder(final: Final) -> Path | None:
    tagger = final.systems.get("merged")
    return None if tagger is None else tagger.tagger.artifact.folder


def _called(
    result: MergeResult, call: CallFacts, local_paths: tuple[str, ...], seconds: Mapping[str, float]
) -> MergeResult:
    """Return a result whose report tells the call that made it."""
    steps = {step: round(value, 1) for step, value in _steps(result.report.seconds, seconds).items()}
    return replace(result, report=replace(result.report, call=call, local_paths=local_paths, seconds=steps))


def _labels(sources: Sequence[NerSource]) -> list[Any]:
    return [ref for source in sources for ref in source.label_refs]


def _origins(sources: Sequence[NerSource]) -> tuple[tuple[str, ...], tuple[ReadingOptions, ...]]:
    """Return what the sources were loaded from, in the order of their names, and how they were read."""
    reading = tuple(source.reading_options for source in sources)
    names = tuple(source.origin or source.name for source in sources)
    return names, reading if any(options != ReadingOptions() for options in reading) else ()


def _places(sources: Sequence[NerSource], encoder: str, mapping: str | None) -> tuple[str, ...]:
    """Return what of the settings names a place on this machine, now that this can be told."""
    given = [source.origin for source in sources if source.origin]
    files = [
        text
        for text in given
        if any(Path(place).expanduser().exists() for place in (text, text.partition("=")[2]) if place)
    ]
    folders = [encoder] if os.path.isdir(encoder) else []
    return tuple(dict.fromkeys([*files, *folders, *([mapping] if mapping else [])]))


def _steps(*tables: Mapping[str, float]) -> dict[str, float]:
    """Add up the seconds of each step."""
    steps: dict[str, float] = {}
    for table in tables:
        for step, seconds in table.items():
            steps[step] = steps.get(step, 0.0) + seconds
    return steps


_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)


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
    before = MergeReport.from_dict(read_json(file))
    call = _checked(before.call)
    settings = from_plain(AlignSettings, call.settings, "settings")
    how = dict(zip(map(source_name, call.sources), call.reading, strict=False))
    given: Sequence[SourceLike] = (
        [_not_local(name, "source") for name in call.sources] if sources is None else sources
    )
    loaded = [
        load_source(source, options=how.get(source_name(os.fspath(source)), ReadingOptions()))
        if isinstance(source, (str, os.PathLike))
        else source
        for source in given
    ]
    place = encoder
    if place is None and call.encoder is not None:
        place = _not_local(call.encoder, "encoder")
    if call.function == "apply":
        published = (
            call.mapping if call.mapping and is_published(call.mapping) else file.parent / MAPPING_FILE
        )
        result = apply(
            published,
            loaded,
            encoder=place,
            sentences=call.max_samples,
            seed=call.seed,
            final=settings.final,
            training=settings.evidence.training,
            taggers=settings.evidence.taggers,
        )
    else:
        if settings.schema.locked is not None:  # its lines stand in the mapping that was made with them
            locked = LabelMapping.load(file.parent / MAPPING_FILE)
            settings = replace(settings, schema=replace(settings.schema, locked=locked))
        result = align(
            loaded,
            encoder=place,
            target_schema=call.target_schema,
            sentences=call.max_samples,
            seed=call.seed,
            settings=settings,
        )
    old, new = _fingerprints(before), _fingerprints(result.report)
    return result, [name for name, digest in new.items() if old.get(name) != digest]


def _fingerprints(report: MergeReport) -> dict[str, str]:
    # That of the encoder is left out: a copy in a folder has the same files and another name.
    parts = {"mapping": report.mapping_fingerprint, "dataset": report.dataset_fingerprint}
    return {**report.source_fingerprints, **parts}


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


def _checked(call: CallFacts | None) -> CallFacts:
    """Return the call of a report, if it names no files but those of the sources."""
    if call is None:
        raise ReproductionError("the report does not tell the call that made it. Copy it again.")
    files = [file for options in call.reading for file in (options.data_files or {}).values()]
    # datasets reads what is no path within the repository from the disk or the network.
    outside = [f for f in files if f.startswith(("/", "~")) or ".." in f or ":" in f or "\\" in f]
    if outside or len(call.reading) not in (0, len(call.sources)):
        raise ReproductionError(f"damaged settings in the report: {', '.join(outside) or 'reading'}.")
    return call
