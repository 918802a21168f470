"""The sources' own taggers: one a source, or one encoder with a head a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from esnera_hf.cache import Artefact
from esnera_hf.joint_taggers import joint_artefact, joint_taggers
from esnera_hf.leaks import without_leaks
from esnera_hf.sources import NerSource
from esnera_hf.starts import blank_start
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.taggers import (
    CachedTagger,
    announce_cost,
    cached_tagger,
    check_trainable,
    say_cost,
    tagger_artefact,
)

if TYPE_CHECKING:
    from esnera_hf.modeling.cost import Cost


def own_taggers(sources: Sequence[NerSource], plan: TaggerPlan) -> dict[str, CachedTagger]:
    """Return the tagger of each source, by name, trained now or before; an interrupted training goes on.

    A joint tagger is trained without the sentences that a merge of its sources
    leaves out, as it is scored on the test splits of all of them. With a joint
    tagger of some of the sources, each of the others has a tagger of its own,
    trained on it alone from the joint tagger's encoder on.

    Raises:
        ConfigurationError: a source has nothing to train on or to choose by, or
            the plan names one that is not there.
        EncoderError: the encoder cannot be loaded.
    """
    if plan.taggers == "separate":
        return {source.name: cached_tagger(source, plan.encoder, plan.training) for source in sources}
    for source in sources:
        check_trainable(source)
    joined, later = plan.joined_and_later(sources)
    joined = without_leaks(joined)
    taggers: dict[str, CachedTagger] = {**joint_taggers(joined, plan)}
    for source in later:
        start = _start(source, joined, plan)
        taggers[source.name] = cached_tagger(source, plan.encoder, plan.training, start=start)
    return {source.name: taggers[source.name] for source in sources}


def _start(source: NerSource, joined: Sequence[NerSource], plan: TaggerPlan) -> Artefact:
    """Return what the tagger of a source begins with: the joint tagger of others, which is there."""
    return blank_start(joint_artefact(joined, plan), source.labels)


def _is_trained(source: NerSource, joined: Sequence[NerSource], plan: TaggerPlan) -> bool:
    start = _start(source, joined, plan)
    return tagger_artefact(source, plan.encoder, plan.training, start=start).exists


def announce_own_taggers(
    groups: Sequence[Sequence[NerSource]], plan: TaggerPlan, *, encoding: bool = False
) -> None:
    """Say how long training, and measuring similarities, will take at most, if that is more than a minute.

    Args:
        groups: sources that are aligned with each other; taggers are trained
            for each group.
        plan: how taggers are made.
        encoding: whether the pretrained encoder reads the sources, too, beside a joint tagger.
    """
    if plan.taggers == "separate":
        announce_cost([source for group in groups for source in group], plan.encoder, plan.training)
        return
    from esnera_hf.modeling.cost import Cost

    costs = []
    missing = [0, 0]
    passes = 0
    for group in groups:
        for source in group:
            check_trainable(source)
        joined, later = plan.joined_and_later(group)
        trained_on = without_leaks(joined)
        for source in trained_on:
            check_trainable(source)
        known = joint_artefact(trained_on, plan).exists
        unknown = [source for source in later if not (known and _is_trained(source, trained_on, plan))]
        costs.append(_joint_cost(group, joined, unknown, plan, trained=known))
        missing = [missing[0] + (not known), missing[1] + len(unknown)]
        passes += len(group) * (1 + len(later))
    total = Cost(sum(c.training for c in costs), sum(c.seconds for c in costs), costs[0].device)
    work = f"joint taggers to train: {missing[0]}" + (f", others: {missing[1]}" if plan.joint_of else "")
    encoded = f", encoding passes: {sum(len(group) for group in groups)}" if encoding else ""
    say_cost(total, work, f"prediction passes: {passes}{encoded}")


def _joint_cost(
    group: Sequence[NerSource],
    joined: Sequence[NerSource],
    unknown: Sequence[NerSource],
    plan: TaggerPlan,
    *,
    trained: bool,
) -> Cost:
    """Return the cost of a joint tagger of some sources and of one a source of others, each of which reads all."""
    from esnera_hf.modeling.cost import Cost, estimate_cost, estimate_joint_cost

    joint = estimate_joint_cost(joined, plan.encoder, plan.training, trained=trained)
    if len(joined) == len(group):
        return joint
    training = joint.training + sum(
        estimate_cost([source], plan.encoder, plan.training).training for source in unknown
    )
    reading = estimate_joint_cost(group, plan.encoder, plan.training, trained=True).seconds
    return Cost(training, training + reading * (1 + len(group) - len(joined)), joint.device)
