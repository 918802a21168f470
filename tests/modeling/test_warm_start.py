"""The merged tagger's start: what it takes over from the heads of a joint tagger."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builders import toy_source
from esnera_hf.labels import LabelRef
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.modeling.joint_training import train_joint_tagger
from esnera_hf.modeling.warm_start import merged_start
from esnera_hf.sources import NerSource

FAST = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 3}


@pytest.fixture(scope="module")
def sources() -> list[NerSource]:
    return [
        toy_source("alpha", {"PERSON": "per", "PLACE": "loc"}, seed=1, train=60),
        toy_source("beta", {"PERSON": "name", "FIRM": "firm"}, seed=2, train=60),
    ]


@pytest.fixture(scope="module")
def joint(
    sources: list[NerSource], encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> JointTagger:
    return train_joint_tagger(sources, str(encoder_folder), tmp_path_factory.mktemp("joint"), FAST).tagger


def start(
    tagger: JointTagger, mentions: dict[LabelRef, int] | None = None, **targets: str | None
) -> CrfTagger:
    """Map ``source_label=unified``."""
    unified = {LabelRef(*label.split("_")): name for label, name in targets.items()}
    names = list(dict.fromkeys(name for name in targets.values() if name is not None))
    return merged_start(tagger, names, unified, mentions or {})


def test_of_one_source_alone_it_predicts_what_the_head_does(
    joint: JointTagger, sources: list[NerSource]
) -> None:
    model = start(joint, alpha_loc="PLACE", alpha_per="PERSON")
    head = joint.head("alpha").model
    emissions = torch.randn(6, 9, len(head.config.tags), generator=torch.Generator().manual_seed(1))
    order = [head.config.tags.index(tag) for tag in ("O", "B-loc", "I-loc", "B-per", "I-per")]
    mask = torch.ones(6, 9, dtype=torch.bool)
    assert model.config.tags == ["O", "B-PLACE", "I-PLACE", "B-PERSON", "I-PERSON"]
    torch.testing.assert_close(
        model.crf.marginals(emissions[:, :, order], mask), head.crf.marginals(emissions, mask)[:, :, order]
    )
    states = torch.randn(3, 4, model.classifier.in_features)
    ours, theirs = model.classifier(states), head.classifier(states)[..., order]
    torch.testing.assert_close(ours - ours[..., :1], theirs - theirs[..., :1], atol=1e-5, rtol=1e-4)


def test_merged_labels_start_at_the_mean_of_their_heads_weighted_by_mentions(joint: JointTagger) -> None:
    mentions = {LabelRef("alpha", "per"): 30, LabelRef("beta", "name"): 10}
    model = start(joint, mentions, alpha_loc="loc", alpha_per="PERSON", beta_firm=None, beta_name="PERSON")
    alpha, beta = (joint.head(name).model for name in ("alpha", "beta"))

    def relative(name: str, tag: str) -> torch.Tensor:
        head = {"alpha": alpha, "beta": beta}[name]
        weight = head.classifier.weight
        return weight[head.config.tags.index(tag)] - weight[0]

    for role in "BI":
        mean = 0.75 * relative("alpha", f"{role}-per") + 0.25 * relative("beta", f"{role}-name")
        index = model.config.tags.index(f"{role}-PERSON")
        torch.testing.assert_close(model.classifier.weight[index], mean)
    tags = model.config.tags
    crf = alpha.crf
    own = [alpha.config.tags.index(tag) for tag in ("B-loc", "I-per")]
    expected = crf.transitions[own[0], own[1]] - crf.transitions[0, 0]
    torch.testing.assert_close(model.crf.transitions[tags.index("B-loc"), tags.index("I-PERSON")], expected)


def test_labels_that_no_source_has_both_start_without_a_preference(joint: JointTagger) -> None:
    model = start(joint, alpha_loc="loc", alpha_per="PER", beta_firm="firm", beta_name="PER")
    tags = model.config.tags
    assert model.crf.transitions[tags.index("B-firm"), tags.index("B-loc")] == 0
    assert model.crf.transitions[tags.index("B-PER"), tags.index("B-loc")] != 0


def test_the_joint_tagger_is_left_as_it_is(joint: JointTagger) -> None:
    before = {name: tensor.clone() for name, tensor in joint.model.state_dict().items()}
    model = start(joint, alpha_loc="loc", alpha_per="PER")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    for name, tensor in joint.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
