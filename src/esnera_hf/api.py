"""``align``: the whole method in one call; ``apply``: a mapping that is there already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datasets import Dataset, DatasetDict

from esnera_hf.alignment import (
    Constraints,
    Into,
    LabelMapping,
    MergePath,
    SchemaSettings,
    SearchSettings,
    Trial,
    build_constraints,
    check_tau,
    greedy_merge_path,
    mapping_from_path,
    search_merge_path,
)
from esnera_hf.augmentation import DEFAULT_FLOOR
from esnera_hf.console import duration, quiet_libraries, say
from esnera_hf.errors import ConfigurationError
from esnera_hf.evidence import Evidence, EvidenceSettings, gather_evidence, lap
from esnera_hf.final import Baseline, FinalSettings, finish
from esnera_hf.report import Account, build_report
from esnera_hf.result import MergeResult
from esnera_hf.similarity import check_lambda
from esnera_hf.sources import NerSource, check_names, load_source
from esnera_hf.taggers import check_trainable, tagger_artefact
from esnera_hf.trials import TrialOutcome, Trials

CHINESE_ENCODER = "hfl/chinese-bert-wwm-ext"
MULTILINGUAL_ENCODER = "FacebookAI/xlm-roberta-base"

SourceLike = str | os.PathLike[str] | NerSource
EncoderLike = str | os.PathLike[str]


def align(
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    lam: float | None = None,
    tau: float | None = None,
    into: Into | None = None,
    schema: SchemaSettings | None = None,
    augment: float | None = DEFAULT_FLOOR,
    tagger: bool = False,
    compare: Sequence[Baseline] = (),
    sentences: int | None = None,
    seed: int = 42,
    evidence: EvidenceSettings | None = None,
    search: SearchSettings | None = None,
) -> MergeResult:
    """Find which labels of several NER datasets mean the same and merge the datasets.

    λ and τ are searched along the merge path: of the mappings whose tagger loses
    less than the bound, the one that merges most labels. Given both, nothing is
    searched.

    Args:
        sources: two or more known names, paths, ``"name=path"``, Hub dataset ids
            or loaded sources. Their order does not matter.
        encoder: folder or Hub id of a pretrained encoder; a Chinese BERT if all
            sources are Chinese, a multilingual one otherwise.
        lam: λ, the weight of the empirical similarity, in [0, 1].
        tau: τ; a label joins its best match if their similarity exceeds it.
        into: the schema to merge into: a source, whose labels it takes; a list of
            unified names that some labels bear; or names with the labels that
            define them, ``{"ORG": ["cluener:company", …]}``.
        schema: names, labels to keep together or apart, a mapping whose locked
            entries are kept.
        augment: smallest confidence of pseudo-labels, which fill in what a source
            does not annotate; ``None`` adds none.
        tagger: train a tagger on the merged dataset and score it on each source.
        compare: other taggers to train beside it: ``naive`` (same names merge,
            missing types are ``O``), ``gold`` (no pseudo-labels).
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        evidence: how similarities are measured and taggers trained.
        search: grid, bound, and how many sentences the search uses.

    Returns:
        Merged dataset, mapping, similarities and report.

    Raises:
        SourceNotFoundError: a source cannot be found.
        SourceError: a source cannot be read.
        EncoderError: the encoder cannot be loaded.
        ConfigurationError: fewer than two sources, one twice, a parameter out of
            range, or wishes that contradict each other.
        MappingError: the locked mapping cannot be read.
    """
    wanted = FinalSettings(augment, tagger, tuple(compare))
    search = _grid(search or SearchSettings(), lam, tau)
    evidence = evidence or EvidenceSettings()
    evidence = EvidenceSettings(evidence.match, evidence.centre, {"seed": seed, **evidence.training})
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_all(sources, sentences, seed)
            labels = [ref for source in loaded for ref in source.label_refs]
            constraints = build_constraints(labels, into, schema)
        chosen = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        small = [s.sample(search.sentences, seed) for s in loaded] if search.sentences else loaded
        needed = [*small, *loaded] if search.sentences and (augment is not None or tagger) else small
        announce_cost(needed, chosen, evidence.training)
        found = gather_evidence(small, chosen, evidence)
        trials: Sequence[Trial[TrialOutcome]] = ()
        if lam is not None and tau is not None:
            path = greedy_merge_path(found.matrix, lam, tau, constraints)
        else:
            with lap(seconds, "search"):
                trial = Trials(small, chosen, found, evidence, search, augment, constraints)
                path, trials = _search(found, search, trial, constraints)
        mapping = mapping_from_path(path, found.matrix, constraints)
        final = finish(loaded, mapping, wanted, chosen, evidence)
    return _result(
        Account(
            loaded,
            mapping,
            {
                "call": "align",
                "sources": [str(s) if not isinstance(s, NerSource) else s.name for s in sources],
                "encoder": chosen,
                "lambda": lam,
                "tau": tau,
                "into": _plain(into),
                "schema": _schema_facts(schema),
                "augment": augment,
                "tagger": tagger,
                "compare": list(compare),
                "sentences": sentences,
                "seed": seed,
                "match": evidence.match,
                "centre": evidence.centre,
                "training": dict(evidence.training),
                "search": {
                    "lambdas": list(search.lambdas),
                    "taus": list(search.taus),
                    "max_drop": search.max_drop,
                    "scoring": search.scoring,
                    "sentences": search.sentences,
                },
            },
            final,
            found.matrix,
            small,
            found.taggers,
            path.stages,
            trials,
            _steps(found.seconds, seconds, final.seconds),
        )
    )


def apply(
    mapping: LabelMapping | str | os.PathLike[str],
    sources: Sequence[SourceLike],
    *,
    encoder: EncoderLike | None = None,
    augment: float | None = None,
    tagger: bool = False,
    compare: Sequence[Baseline] = (),
    sentences: int | None = None,
    seed: int = 42,
    evidence: EvidenceSettings | None = None,
) -> MergeResult:
    """Merge sources by a mapping, such as an edited ``mapping.yaml``; nothing is measured or searched.

    Args:
        mapping: the mapping, or the path of its file. It may map more sources than
            are given.
        sources: as for :func:`align`; one is enough.
        encoder: of the taggers, for pseudo-labels and a final tagger.
        augment: smallest confidence of pseudo-labels; ``None`` adds none.
        tagger: train a tagger on the merged dataset and score it on each source.
        compare: other taggers to train beside it, as for :func:`align`.
        sentences: use at most so many sentences a split of each source.
        seed: for the choice of sentences and for training.
        evidence: how taggers are trained.

    Returns:
        Merged dataset, mapping and report; the similarities are ``None``.

    Raises:
        MappingError: the mapping cannot be read, or does not fit the sources; it
            says in which line.
        ConfigurationError: a parameter is out of range, or pseudo-labels or a
            tagger are asked for without two sources.
    """
    wanted = FinalSettings(augment, tagger, tuple(compare))
    chosen = mapping if isinstance(mapping, LabelMapping) else LabelMapping.load(mapping)
    evidence = evidence or EvidenceSettings()
    evidence = EvidenceSettings(evidence.match, evidence.centre, {"seed": seed, **evidence.training})
    seconds: dict[str, float] = {}
    with quiet_libraries(), lap(seconds, "total"):
        with lap(seconds, "reading"):
            loaded = load_all(sources, sentences, seed, least=1)
        chosen = chosen.restricted(source.name for source in loaded)
        name = os.fspath(encoder) if encoder is not None else default_encoder(loaded)
        if augment is not None or tagger:
            announce_cost(loaded, name, evidence.training)
        final = finish(loaded, chosen, wanted, name, evidence)
    facts = {
        "call": "apply",
        "sources": [str(s) if not isinstance(s, NerSource) else s.name for s in sources],
        "mapping": chosen.file or None,
        "encoder": name if augment is not None or tagger else None,
        "augment": augment,
        "tagger": tagger,
        "compare": list(compare),
        "sentences": sentences,
        "seed": seed,
        "training": dict(evidence.training),
    }
    return _result(Account(loaded, chosen, facts, final, seconds=_steps(seconds, final.seconds)))


def _search(
    found: Evidence, settings: SearchSettings, trials: Trials, constraints: Constraints
) -> tuple[MergePath, Sequence[Trial[TrialOutcome]]]:
    searched = search_merge_path(found.matrix, settings, trials, constraints)
    for stage in searched.path.stages:
        if stage.tau is None and any(not decision.wished for decision in stage.decisions):
            say(
                f"WARNING: {' + '.join(stage.sources)} → {stage.target}: no setting merges anything and holds "
                f"the bound (micro-F1 less than {settings.max_drop} lower). Nothing was merged by similarity at "
                "this stage; a larger max_drop, more sentences or a better encoder may help."
            )
    return searched.path, searched.trials


def _grid(search: SearchSettings, lam: float | None, tau: float | None) -> SearchSettings:
    """Return the search with λ or τ fixed where one is given."""
    if lam is not None:
        check_lambda(lam)
    if tau is not None:
        check_tau(tau)
    return replace(
        search,
        lambdas=search.lambdas if lam is None else (lam,),
        taus=search.taus if tau is None else (tau,),
    )


def _result(account: Account) -> MergeResult:
    return MergeResult(account.final.dataset, account.mapping, account.matrix, build_report(account))


def _steps(*tables: Mapping[str, float]) -> dict[str, float]:
    """Add up the seconds of each step, the total last."""
    steps: dict[str, float] = {}
    for table in tables:
        for step, seconds in table.items():
            steps[step] = steps.get(step, 0.0) + seconds
    total = steps.pop("total")
    return {**steps, "total": total}


def _plain(into: Into | None) -> Any:
    if isinstance(into, Mapping):
        return {name: list(labels) for name, labels in into.items()}
    return list(into) if into is not None and not isinstance(into, str) else into


def _schema_facts(schema: SchemaSettings | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    locked = schema.locked
    return {
        "names": dict(schema.names),
        "together": [list(group) for group in schema.together],
        "apart": [list(group) for group in schema.apart],
        "locked": (locked.file or "a mapping")
        if isinstance(locked, LabelMapping)
        else locked and str(locked),
    }


def check_sentences(sentences: int | None) -> None:
    """Check the number of sentences to sample.

    Raises:
        ConfigurationError: it is not positive.
    """
    if sentences is not None and sentences < 1:
        raise ConfigurationError(f"sentences={sentences}: expected a positive number.")


def load_all(
    sources: Sequence[SourceLike], sentences: int | None, seed: int, least: int = 2
) -> list[NerSource]:
    """Load sources, sorted by name, sampled if asked.

    Raises:
        ConfigurationError: too few, or two that cannot be told apart.
    """
    if isinstance(sources, (str, os.PathLike)) or len(sources) < least:
        few = "at least two sources to align" if least == 2 else "at least one source"
        raise ConfigurationError(f"sources={sources!r}: expected a list of {few}.")
    check_sentences(sentences)
    for source in sources:
        if isinstance(source, (Dataset, DatasetDict)):
            raise ConfigurationError("a Dataset has no name: pass load_source(dataset, name=…) instead.")
    given = [source for source in sources if not isinstance(source, NerSource)]
    doubled = sorted({os.fspath(s) for s in given if given.count(s) > 1})
    if doubled:
        raise ConfigurationError(f"given twice: {', '.join(doubled)}. Name each source once.")
    loaded = [source if isinstance(source, NerSource) else load_source(source) for source in sources]
    check_names(loaded)
    if sentences is not None:
        loaded = [source.sample(sentences, seed) for source in loaded]
    return sorted(loaded, key=lambda source: source.name)


def default_encoder(sources: Sequence[NerSource]) -> str:
    """Return the default encoder for the languages of the sources."""
    return CHINESE_ENCODER if all(s.language.startswith("zh") for s in sources) else MULTILINGUAL_ENCODER


def announce_cost(
    sources: Sequence[NerSource], encoder: str, training: Mapping[str, Any], *, similarities: bool = True
) -> None:
    """Say how long training, and measuring similarities, will take at most, if that is more than a minute."""
    from esnera_hf.modeling.cost import estimate_cost

    for source in sources:
        check_trainable(source)
    trained = [source for source in sources if tagger_artefact(source, encoder, training).exists]
    cost = estimate_cost(sources, encoder, training, trained)
    if cost.seconds <= 60:
        return
    work = (
        f"taggers to train: {len(sources) - len(trained)} (up to {duration(cost.training)}; early stopping may "
        "end sooner)"
    )
    if similarities:
        work += f", prediction passes: {len(sources) * (len(sources) - 1)}, encoding passes: {len(sources)}"
    say(
        f"At most about {duration(cost.seconds)} on {cost.device}; {work}. "
        "Ctrl-C is safe: the same command goes on where it stopped."
    )
