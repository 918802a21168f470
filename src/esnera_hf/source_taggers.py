"""The sources' own taggers: one per source, or one encoder with a head per source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from esnera_hf.cache import Artefact
from esnera_hf.console import say
from esnera_hf.joint_taggers import CachedHead, joint_taggers
from esnera_hf.leaks import without_leaks
from esnera_hf.shares import make_by_all
from esnera_hf.sources import NerSource
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.taggers import CachedTagger, cached_tagger, check_trainable


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
    heads = joint_taggers(without_leaks(joined), plan)
    taggers: dict[str, CachedTagger] = {**heads}
    if later:
        encoder = _joint_encoder(next(iter(heads.values())))
        taggers.update({source.name: cached_tagger(source, encoder, plan.training) for source in later})
    return {source.name: taggers[source.name] for source in sources}


def _joint_encoder(head: CachedHead) -> str:
    """Return the folder of a joint tagger's encoder, saved as any pretrained encoder is."""
    from esnera_hf.modeling.joint import JointTagger

    artefact = Artefact("joint_encoders", {"joint": head.artefact.key})

    def save(tagger: JointTagger, folder: Path) -> None:
        tagger.save_encoder(folder)

    make_by_all(artefact, lambda: JointTagger.from_pretrained(head.artefact.folder), save)
    return str(artefact.folder)


def announce_own_taggers(groups: Sequence[Sequence[NerSource]], plan: TaggerPlan) -> None:
    """Say how much is trained and predicted, but for what lies in the cache.

    Args:
        groups: sources that are aligned with each other; taggers are trained
            for each group.
        plan: how taggers are made.
    """
    trainings = passes = 0
    for group in groups:
        apart = len(group) if plan.taggers == "separate" else 1 + len(plan.joined_and_later(group)[1])
        trainings += apart
        passes += apart * len(group)
    sentences = sum(sum(source.summary.sentences.values()) for group in groups for source in group)
    say(
        f"Taggers: {trainings} to train and {passes} prediction passes over {sentences:,} sentences, but for what the "
        "cache holds. Ctrl-C is safe: the same command goes on where it stopped."
    )
