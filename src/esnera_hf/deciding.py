"""From evidence to a label mapping: typed, along a path with λ and τ given, or by search."""

from __future__ import annotations

from collections.abc import Sequence

from esnera_hf.alignment import (
    Constraints,
    LabelMapping,
    MergeHistory,
    greedy_merge_path,
    mapping_from_history,
    search_merge_path,
    typed_mapping,
)
from esnera_hf.console import say
from esnera_hf.evidence import Evidence
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity import relate
from esnera_hf.sources import NerSource
from esnera_hf.trials import Trials


def decide_mapping(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
    *,
    searched: bool,
) -> tuple[LabelMapping, MergeHistory]:
    """Decide which labels become one: by their relations, or along the greedy path.

    Args:
        found: the similarities, and the taggers behind them.
        sources: as they were measured.
        encoder: of the trials' taggers.
        settings: completed.
        constraints: what the user wishes.
        searched: whether λ or τ is to be found.

    Returns:
        The mapping, and the steps of the path with what was tried.
    """
    if settings.merge == "typed":
        return typed_mapping(relate(found.matrix), constraints), MergeHistory()
    if searched:
        history = _search(found, sources, encoder, settings, constraints)
    else:
        (lam,), (tau,) = settings.search.lambdas, settings.search.taus
        history = greedy_merge_path(found.matrix, lam, tau, constraints)
    return mapping_from_history(history, found.matrix, constraints), history


def _search(
    found: Evidence,
    sources: Sequence[NerSource],
    encoder: str,
    settings: AlignSettings,
    constraints: Constraints,
) -> MergeHistory:
    trials = Trials(
        sources,
        settings.evidence.plan(encoder),
        found,
        settings.search,
        settings.final.augment,
        constraints,
    )
    history = search_merge_path(found.matrix, settings.search, trials, constraints)
    for step in history.steps:
        if step.tau is None and any(not decision.constrained for decision in step.decisions):
            say(
                f"WARNING: {' + '.join(step.sources)} → {step.target or 'the given schema'}: no setting merges "
                f"anything and holds the bound (micro-F1 less than {settings.search.max_drop} lower). Nothing was "
                f"merged by similarity at this stage; a larger max_drop, more sentences or a better encoder may help."
            )
    return history
