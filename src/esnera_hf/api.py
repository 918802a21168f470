"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from esnera_hf.alignment import (
    Constraints,
    Into,
    LabelMapping,
    build_constraints,
    decided_anew,
    load_locked,
)
from esnera_hf.console import lap, quiet_libraries, say
from esnera_hf.deciding import decide_mapping
from esnera_hf.errors import ConfigurationError
from esnera_hf.evidence import gather_evidence
from esnera_hf.final import FinalSettings, finish, with_mentions
from esnera_hf.leaks import find_leaks
from esnera_hf.publishing.recipe import find_recipe
from esnera_hf.report.build import Account, build_report
from esnera_hf.report.report import TaggerScores
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.source_taggers import announce_own_taggers
from esnera_hf.sources import NerSource, SourceLike, load_all
from esnera_hf.tagger_plan import TaggerPlan, Taggers, TrainingLike, training_settings
from esnera_hf.taggers import CachedTagger, default_encoder, encoder_files, encoder_identity

EncoderLike = str | os.PathLike[str]


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
        lam: λ of the paper's merging, the weight of the empirical similarity, in
            [0, 1]. Given λ or τ, labels merge along the greedy path; the one that
            is not given is searched.
        tau: τ of the paper's merging; a label joins its best match if their
            similarity exceeds it. Given neither, only what means the same by
            evidence in both directions merges (``AlignSettings.merge``).
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
    settings = AlignSettings() if settings is None else settings
    if not isinstance(settings, AlignSettings):
        raise ConfigurationError(
            f"settings={settings!r}: expected AlignSettings(evidence=…, search=…, schema=…, final=…, merge=…)."
        )
    settings = settings.completed(lam, tau, seed)
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
    final: FinalSettings | None = None,
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
    final = FinalSettings(augment=None) if final is None else final
    if not isinstance(final, FinalSettings):
        raise ConfigurationError(f"final={final!r}: expected FinalSettings(…).")
    training = {"seed": seed, **training_settings(training or {})}
    recipe = None if isinstance(mapping, LabelMapping) else find_recipe(os.fspath(mapping))
    if recipe is not None and final.augment is not None:
        raise ConfigurationError("augment: what was published has its own pseudo-labels. Leave it out.")
    known = recipe.mapping if recipe is not None else mapping
    known = known if isinstance(known, LabelMapping) else LabelMapping.load(known)
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_all(sources, sentences, seed, least=1)
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
        mapping, history = decide_mapping(found, small, encoder, settings, constraints, searched=searched)
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
    from esnera_hf.modeling.machine import describe_machine

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
    how = [dict(source.reading) for source in sources]
    return {
        "sources": [source.given or source.name for source in sources],
        **({"reading": how} if any(how) else {}),
    }


def _places(sources: Sequence[NerSource], encoder: str, mapping: str | None) -> tuple[str, ...]:
    """Return what of the settings names a place on this machine, now that this can be told."""
    given = [source.given for source in sources if source.given]
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
        None if tagger is None else tagger.tagger.artefact.folder,
    )
