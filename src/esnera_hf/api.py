"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from esnera_hf.alignment import (
    Constraints,
    Into,
    LabelMapping,
    MergePath,
    MergeStage,
    SchemaSettings,
    SearchSettings,
    Trial,
    build_constraints,
    greedy_merge_path,
    mapping_from_path,
    search_merge_path,
    typed_mapping,
)
from esnera_hf.console import lap, quiet_libraries, say
from esnera_hf.errors import ConfigurationError
from esnera_hf.evidence import Evidence, EvidenceSettings, gather_evidence
from esnera_hf.final import FinalSettings, finish
from esnera_hf.leaks import find_leaks
from esnera_hf.report import Account, build_report
from esnera_hf.result import MergeResult
from esnera_hf.similarity import relate
from esnera_hf.source_taggers import TaggerPlan, announce_own_taggers
from esnera_hf.sources import NerSource, SourceLike, load_all
from esnera_hf.taggers import default_encoder
from esnera_hf.trials import TrialOutcome, Trials

EncoderLike = str | os.PathLike[str]
Merge = Literal["flat", "typed"]


@dataclass(frozen=True)
class AlignSettings:
    """How an alignment is made, beyond what most people set.

    Attributes:
        evidence: how similarities are measured and taggers trained.
        search: grid, bound, and how many sentences the search uses.
        schema: names, labels to keep together or apart, locked entries.
        final: pseudo-labels, and a tagger trained on the merged dataset.
        merge: ``flat`` as the paper does: along the greedy path, several labels of
            one source may join one target; ``typed``: only what is equal by
            evidence in both directions merges, all at once, and a label that
            another one holds becomes its child. Nothing is searched then.
    """

    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    schema: SchemaSettings = field(default_factory=SchemaSettings)
    final: FinalSettings = field(default_factory=FinalSettings)
    merge: Merge = "flat"

    def __post_init__(self) -> None:
        if self.merge not in get_args(Merge):
            raise ConfigurationError(f"merge={self.merge!r}: expected {' or '.join(get_args(Merge))}.")


def align(
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    lam: float | None = None,
    tau: float | None = None,
    into: Into | None = None,
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
        lam: λ, the weight of the empirical similarity, in [0, 1]; searched along
            the merge path if not given. Given λ and τ, nothing is searched.
        tau: τ; a label joins its best match if their similarity exceeds it.
        into: the schema to merge into: a source; names that some labels bear; or
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
    settings = _completed(settings or AlignSettings(), lam, tau, seed)
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_all(sources, sentences, seed)
            constraints = build_constraints(_labels(loaded), into, settings.schema)
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        account = _align(loaded, name, settings, constraints, searched=lam is None or tau is None)
    facts = {
        "call": "align",
        **_reading(loaded),
        "encoder": name,
        "lambda": lam,
        "tau": tau,
        "into": into,
        "sentences": sentences,
        "seed": seed,
        **_plain(settings),
    }
    places = _places(loaded, name, _locked_file(settings))
    return _result(replace(account, settings=facts, places=places, seconds=_steps(account.seconds, seconds)))


def apply(
    mapping: LabelMapping | str | os.PathLike[str],
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    sentences: int | None = None,
    seed: int = 42,
    final: FinalSettings | None = None,
    training: Mapping[str, Any] | None = None,
) -> MergeResult:
    """Merge sources by a mapping, such as an edited ``mapping.yaml``; nothing is measured or searched.

    Args:
        mapping: the mapping, or the path of its file. It may map more sources than
            are given.
        sources: as for :func:`align`; one is enough.
        encoder: of the taggers, if ``final`` asks for any.
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        final: pseudo-labels and a merged tagger; neither if not given.
        training: overrides of the taggers' training arguments.

    Returns:
        Merged dataset, mapping and report; the similarities are ``None``.

    Raises:
        MappingError: the mapping cannot be read, or does not fit the sources; it
            says in which line.
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: a parameter is out of range.
    """
    final = final or FinalSettings(augment=None)
    training = {"seed": seed, **(training or {})}
    known = mapping if isinstance(mapping, LabelMapping) else LabelMapping.load(mapping)
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_all(sources, sentences, seed, least=1)
        chosen = known.restricted(source.name for source in loaded)
        chosen.check_fits(_labels(loaded))
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        plan = TaggerPlan(name, training)
        if final.needs_taggers:
            announce_own_taggers([loaded], plan)
        done = finish(loaded, chosen, find_leaks(loaded), final, plan)
    facts = {
        "call": "apply",
        "mapping": known.file or None,
        **_reading(loaded),
        "encoder": name if final.needs_taggers else None,
        "sentences": sentences,
        "seed": seed,
        "final": asdict(final),
        "training": training,
    }
    places = _places(loaded, name, known.file)
    return _result(Account(loaded, chosen, done, facts, places=places, seconds=_steps(done.seconds, seconds)))


def _align(
    loaded: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
    *,
    searched: bool,
) -> Account:
    """Measure, search, map and merge."""
    seconds: dict[str, float] = {}
    leaks = find_leaks(loaded)
    size, seed, plan = (
        settings.search.sentences,
        settings.evidence.training["seed"],
        settings.evidence.plan(encoder),
    )
    small = loaded if size is None else [source.sample(size, seed) for source in loaded]
    needed = [small, loaded] if size is not None and settings.final.needs_taggers else [small]
    announce_own_taggers(needed, plan)
    found = gather_evidence(small, encoder, settings.evidence, screened=loaded)
    with lap(seconds, "search"):
        mapping, stages, trials = _decide(found, small, encoder, settings, constraints, searched=searched)
    final = finish(loaded, mapping, leaks, settings.final, plan)
    steps = _steps(found.seconds, seconds, final.seconds)
    return Account(
        loaded,
        mapping,
        final,
        matrix=found.matrix,
        measured_on=small,
        taggers=found.taggers,
        stages=stages,
        trials=trials,
        seconds=steps,
    )


def _decide(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
    *,
    searched: bool,
) -> tuple[LabelMapping, Sequence[MergeStage], Sequence[Trial[TrialOutcome]]]:
    """Decide which labels become one: by their relations, or along the greedy path."""
    if settings.merge == "typed":
        return typed_mapping(relate(found.matrix), constraints), (), ()
    trials: Sequence[Trial[TrialOutcome]] = ()
    if searched:
        path, trials = _search(found, sources, encoder, settings, constraints)
    else:
        (lam,), (tau,) = settings.search.lambdas, settings.search.taus
        path = greedy_merge_path(found.matrix, lam, tau, constraints)
    return mapping_from_path(path, found.matrix, constraints), path.stages, trials


def _search(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
) -> tuple[MergePath, Sequence[Trial[TrialOutcome]]]:
    trials = Trials(
        sources,
        settings.evidence.plan(encoder),
        found,
        settings.search,
        settings.final.augment,
        constraints,
        find_leaks(sources),
    )
    searched = search_merge_path(found.matrix, settings.search, trials, constraints)
    for stage in searched.path.stages:
        if stage.tau is None and any(not decision.wished for decision in stage.decisions):
            say(
                f"WARNING: {' + '.join(stage.sources)} → {stage.target}: no setting merges anything and holds "
                f"the bound (micro-F1 less than {settings.search.max_drop} lower). Nothing was merged by "
                "similarity at this stage; a larger max_drop, more sentences or a better encoder may help."
            )
    return searched.path, searched.trials


def _completed(settings: AlignSettings, lam: float | None, tau: float | None, seed: int) -> AlignSettings:
    """Return the settings with the seed, and λ or τ fixed where one is given."""
    search = replace(
        settings.search,
        lambdas=settings.search.lambdas if lam is None else (lam,),
        taus=settings.search.taus if tau is None else (tau,),
    )
    evidence = replace(settings.evidence, training={"seed": seed, **settings.evidence.training})
    return replace(settings, search=search, evidence=evidence)


def _labels(sources: Sequence[NerSource]) -> list[Any]:
    return [ref for source in sources for ref in source.label_refs]


def _reading(sources: Sequence[NerSource]) -> dict[str, Any]:
    """Return what the sources were loaded from, in the order of their names, and how they were read."""
    how = [dict(source.reading) for source in sources]
    return {
        "sources": [source.given or source.name for source in sources],
        **({"reading": how} if any(how) else {}),
    }


def _places(sources: Sequence[NerSource], encoder: str, mapping: str | None) -> tuple[str, ...]:
    """Return what of the settings names a place on this machine, now that this can be told."""
    given = [source.given for source in sources if source.given]
    files = [text for text in given if Path(text.partition("=")[2] or text).expanduser().exists()]
    folders = [encoder] if os.path.isdir(encoder) else []
    return tuple(dict.fromkeys([*files, *folders, *([mapping] if mapping else [])]))


def _locked_file(settings: AlignSettings) -> str | None:
    locked = settings.schema.locked
    if isinstance(locked, LabelMapping):
        return locked.file or None
    return None if locked is None else os.fspath(locked)


def _plain(settings: AlignSettings) -> dict[str, Any]:
    """Return settings as plain data; a locked mapping is named by its file."""
    locked = settings.schema.locked
    named = None if locked is None else _locked_file(settings) or "mapping.yaml"
    return asdict(replace(settings, schema=replace(settings.schema, locked=named)))


def _steps(*tables: Mapping[str, float]) -> dict[str, float]:
    """Add up the seconds of each step."""
    steps: dict[str, float] = {}
    for table in tables:
        for step, seconds in table.items():
            steps[step] = steps.get(step, 0.0) + seconds
    return steps


def _result(account: Account) -> MergeResult:
    tagger = account.final.systems.get("merged")
    return MergeResult(
        account.final.dataset,
        account.mapping,
        account.matrix,
        build_report(account),
        None if tagger is None else tagger.tagger.artefact.folder,
    )
