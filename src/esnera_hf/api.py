"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.console import lap, quiet_libraries, say
from esnera_hf.alignment.constraints import (
    Constraints,
    TargetSchema,
    build_constraints,
    load_locked,
)
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import MergeHistory
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_diff import decided_anew
from esnera_hf.alignment.search import merge_greedily
from esnera_hf.errors import ConfigurationError, ReproductionError
from esnera_hf.evaluation.merged_tagger import OutputSettings, Trials, finish, with_mentions
from esnera_hf.hub.recipe import find_recipe, is_published
from esnera_hf.report.build import Account, build_report
from esnera_hf.report.files import MAPPING_FILE, REPORT_FILE, read_json
from esnera_hf.report.report import TaggerScores
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import Evidence, gather_evidence
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
    encoder_files,
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
        account = _align(loaded, name, settings, constraints)
    facts = {
        "call": "align",
        **_reading(loaded),
        "encoder": name,
        "lambda": lam,
        "tau": tau,
        "target_schema": target_schema,
        "sentences": sentences,
        "seed": seed,
        **settings.to_dict(),
        "final": asdict(account.final.settings),
    }
    places = _places(loaded, name, settings.locked_file)
    return _result(replace(account, settings=facts, places=places, seconds=_steps(account.seconds, seconds)))


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
    facts = {
        "call": "apply",
        "mapping": str(mapping) if recipe is not None else known.file or None,
        **_reading(loaded),
        "encoder": name if final.needs_taggers else None,
        "sentences": sentences,
        "seed": seed,
        "final": asdict(done.settings),
        "training": training,
        "taggers": taggers,
    }
    file = str(mapping) if recipe is not None and os.path.isdir(str(mapping)) else known.file
    places = _places(loaded, name, file)
    account = Account(
        loaded,
        chosen,
        done,
        facts,
        places=places,
        seconds=_steps(done.seconds, seconds),
        **(_computed(done.taggers, loaded, name) if done.taggers else {}),
    )
    result = _result(account)
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
) -> Account:
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
    steps = _steps(found.seconds, seconds, final.seconds)
    return Account(
        loaded,
        mapping,
        final,
        matrix=found.matrix,
        history=history,
        constraints=constraints,
        seconds=steps,
        **(
            _computed(final.taggers, loaded, encoder)
            if final.taggers
            else _computed(found.taggers, small, encoder)
        ),
    )


def _computed(
    taggers: Mapping[str, CachedTagger], sources: Sequence[NerSource], encoder: str
) -> dict[str, Any]:
    """Return what a report tells of the sources' own taggers: their scores, encoder and machine."""
    from esnera_hf.modeling.encoders import describe_machine

    scores = {
        source.name: TaggerScores(
            taggers[source.name].scores(source, "validation"),
            taggers[source.name].scores(source, "test"),
            taggers[source.name].record["history"],
            taggers[source.name].record["arguments"],
            taggers[source.name].seconds,
        )
        for source in sources
    }
    identity = {"encoder": encoder_identity(encoder), "encoder_files": encoder_files(encoder)}
    return {"taggers": scores, "encoder": identity, "machine": describe_machine()}


def _labels(sources: Sequence[NerSource]) -> list[Any]:
    return [ref for source in sources for ref in source.label_refs]


def _reading(sources: Sequence[NerSource]) -> dict[str, Any]:
    """Return what the sources were loaded from, in the order of their names, and how they were read."""
    how = [dict(source.reading_options) for source in sources]
    return {
        "sources": [source.origin or source.name for source in sources],
        **({"reading": how} if any(how) else {}),
    }


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


def _result(account: Account) -> MergeResult:
    tagger = account.final.systems.get("merged")
    with quiet_libraries():
        report = build_report(account)
    return MergeResult(
        account.final.dataset,
        account.mapping,
        account.matrix,
        report,
        None if tagger is None else tagger.tagger.artifact.folder,
    )


_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_CALLS: dict[str, dict[str, Any]] = {
    "align": {
        "lambda": float | None,
        "tau": float | None,
        "target_schema": str | Sequence[str] | Mapping[str, Sequence[str]] | None,
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
    "final": OutputSettings,
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
