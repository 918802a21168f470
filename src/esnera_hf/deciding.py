"""From evidence to a label mapping: typed, along a path with λ and τ given, or by search."""

from __future__ import annotations

from collections.abc import Sequence

from esnera_hf.alignment import (
    Constraints,
    LabelMapping,
    MergePath,
    MergeStage,
    Trial,
    greedy_merge_path,
    mapping_from_path,
    search_merge_path,
    typed_mapping,
)
from esnera_hf.console import say
from esnera_hf.evidence import Evidence
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity import relate
from esnera_hf.sources import NerSource
from esnera_hf.trials import TrialOutcome, Trials


def decide_mapping(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
    *,
    searched: bool,
) -> tuple[LabelMapping, Sequence[MergeStage], Sequence[Trial[TrialOutcome]]]:
    """Decide which labels become one: by their relations, or along the greedy path.

    Args:
        found: the similarities, and the taggers behind them.
        sources: as they were measured.
        encoder: of the trials' taggers.
        settings: completed.
        constraints: what the user wishes.
        searched: whether λ or τ is to be found.

    Returns:
        The mapping, and of a path its stages and what was tried.
    """
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
    )
    searched = search_merge_path(found.matrix, settings.search, trials, constraints)
    for stage in searched.path.stages:
        if stage.tau is None and any(not decision.wished for decision in stage.decisions):
            say(
                f"WARNING: {' + '.join(stage.sources)} → {stage.target}: no setting merges anything and holds "
                f"the bound (micro-F1 less than {settings.search.max_drop} lower). Nothing was merged by "
                f"similarity at this stage; a larger max_drop, more sentences or a better encoder may help."
            )
    return searched.path, searched.trials
