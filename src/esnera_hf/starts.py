"""Where a merged tagger begins: with the joint tagger of the sources, its heads put together by the mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnera_hf.alignment import LabelMapping
from esnera_hf.cache import Artefact
from esnera_hf.errors import ConfigurationError
from esnera_hf.shares import make_by_all
from esnera_hf.source_taggers import CachedHead, TaggerPlan
from esnera_hf.sources import NerSource
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

    Args:
        sources: whose labels the mapping maps.
        mapping: of their labels, and perhaps of others.
        own: the heads of one joint tagger, by source.

    Raises:
        ConfigurationError: the taggers are no heads of one joint tagger.
    """
    heads = [own[source.name] for source in sources]
    first = heads[0]
    if not isinstance(first, CachedHead) or any(head.artefact.key != first.artefact.key for head in heads):
        raise ConfigurationError("a warm start needs one joint tagger of all sources: pass taggers='joint'.")
    names = {source.name for source in sources}
    unified = {entry.label: entry.unified for entry in mapping.entries if entry.label.source in names}
    mentions = {
        label: source.summary.entities["train"].get(label.label, 0)
        for source in sources
        for label in source.label_refs
    }
    identity = {
        "joint": first.artefact.key,
        "unified": list(mapping.unified_labels),
        "mapping": [[*label, name, mentions[label]] for label, name in sorted(unified.items())],
    }
    artefact = Artefact("starts", identity)

    def put_together() -> Tagger:
        from esnera_hf.modeling import Tagger
        from esnera_hf.modeling.joint import JointTagger
        from esnera_hf.modeling.warm_start import merged_start

        joint = JointTagger.from_pretrained(first.artefact.folder)
        return Tagger(merged_start(joint, mapping.unified_labels, unified, mentions), joint.tokenizer)

    make_by_all(artefact, put_together, _save)
    return artefact


def _save(tagger: Tagger, folder: Path) -> None:
    tagger.save_pretrained(folder)
