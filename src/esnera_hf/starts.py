"""Where a merged tagger begins: with the joint tagger of the sources, its heads put together by the mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.alignment import LabelMapping
from esnera_hf.cache import Artefact
from esnera_hf.errors import ConfigurationError
from esnera_hf.joint_taggers import CachedHead
from esnera_hf.labels import LabelRef
from esnera_hf.shares import make_by_all
from esnera_hf.sources import NerSource
from esnera_hf.tagger_plan import TaggerPlan
from esnera_hf.taggers import CachedTagger

if TYPE_CHECKING:
    from esnera_hf.modeling import Tagger


def warm_training(plan: TaggerPlan, sentences: int) -> dict[str, Any]:
    """Return the training arguments of a plan with the share of its epochs that a warm start takes, at least one.

    Args:
        plan: with ``warm_start``.
        sentences: number of training sentences of the merged corpus.
    """
    from esnera_hf.modeling.arguments import recommended_settings
    from esnera_hf.modeling.pretrained import hidden_size

    chosen = {**recommended_settings(hidden_size(plan.encoder), sentences), **plan.training}
    epochs = max(1, round(chosen["num_train_epochs"] * (plan.warm_start or 1.0)))
    return {**plan.training, "num_train_epochs": epochs}


def start_artefact(
    sources: Sequence[NerSource], mapping: LabelMapping, own: Mapping[str, CachedTagger]
) -> Artefact:
    """Return the saved tagger of the unified labels that the heads of a joint tagger give.

    Labels of sources that the joint tagger was not trained on add nothing to it.

    Args:
        sources: whose labels the mapping maps.
        mapping: of their labels, and perhaps of others.
        own: the sources' own taggers, heads of one joint tagger among them.

    Raises:
        ConfigurationError: there is no joint tagger among them, or more than one.
    """
    joint = {
        tagger.artefact.key: tagger.artefact for tagger in own.values() if isinstance(tagger, CachedHead)
    }
    if len(joint) != 1:
        raise ConfigurationError("a warm start needs one joint tagger of the sources: pass taggers='joint'.")
    names = {source.name for source in sources}
    unified = {entry.label: entry.unified for entry in mapping.entries if entry.label.source in names}
    mentions = {
        label: source.summary.entities["train"].get(label.label, 0)
        for source in sources
        for label in source.label_refs
    }
    return _put_together(next(iter(joint.values())), mapping.unified_labels, unified, mentions)


def blank_start(joint: Artefact, labels: Sequence[str]) -> Artefact:
    """Return the saved tagger of a joint tagger's encoder under a head that knows nothing of its labels yet."""
    return _put_together(joint, labels, {}, {})


def _put_together(
    joint: Artefact,
    unified_labels: Sequence[str],
    unified: Mapping[LabelRef, str | None],
    mentions: Mapping[LabelRef, int],
) -> Artefact:
    identity = {
        "joint": joint.key,
        "unified": list(unified_labels),
        "mapping": [[*label, name, mentions[label]] for label, name in sorted(unified.items())],
    }
    artefact = Artefact("starts", identity)

    def tagger() -> Tagger:
        from esnera_hf.modeling import Tagger
        from esnera_hf.modeling.joint import JointTagger
        from esnera_hf.modeling.warm_start import merged_start

        known = JointTagger.from_pretrained(joint.folder)
        return Tagger(merged_start(known, unified_labels, unified, mentions), known.tokenizer)

    make_by_all(artefact, tagger, _save)
    return artefact


def _save(tagger: Tagger, folder: Path) -> None:
    tagger.save_pretrained(folder)
