"""The likelihood of partial annotation against enumeration of the taggings that it allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from crf_oracle import Path, legal_paths, path_scores, random_crf
from esnera_hf.errors import ConfigurationError
from esnera_hf.modeling.hub_code.crf import FORBIDDEN, ConstrainedCRF
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.partial import AllowedTags
from esnera_hf.modeling.tokenization import TaggingCollator
from esnera_hf.sources.partial_annotation import AllowedLabels
from esnera_hf.tagging import Entity, entities_from_tags, iob2_tag_set, tags_from_entities

#: W is a whole of which P is a part; Q is of another kind.
LABELS = ("W", "P", "Q")
TAGS = iob2_tag_set(LABELS)
CANDIDATES = {
    "all": AllowedLabels({"W": ("W",), "P": ("P",), "Q": ("Q",)}, ()),
    "coarse": AllowedLabels({"W": ("W", "P"), "Q": ("Q",)}, ()),
    "coarse only": AllowedLabels({"W": ("W", "P")}, ("Q",)),
    "part only": AllowedLabels({"P": ("P",)}, ("W", "Q")),
    "other": AllowedLabels({"Q": ("Q",)}, ("W", "P")),
    "nested": AllowedLabels({"Q": ("Q",)}, ("W", "P"), {"W": ("P",)}),
    "nothing": AllowedLabels({}, LABELS),
    # Such candidates are no partition: what may be an entity's label may stand beside it, too.
    "loose": AllowedLabels({"W": ("W", "P")}, ("P", "Q")),
}
#: Annotated tags by source; those of labels that the source does not annotate are pseudo-labels.
ROWS = [
    ("all", "O B-W I-W O"),
    ("all", "B-P B-P I-P B-Q"),
    ("coarse", "B-W I-W O B-Q"),
    ("coarse only", "O B-W O O"),
    ("coarse only", "B-W I-W B-W O"),
    ("part only", "O B-P I-P O"),
    ("other", "B-Q O O"),
    ("other", "O O B-P I-P O"),
    ("other", "B-P O B-P B-Q"),
    ("other", "B-P B-P O"),
    ("nested", "B-W I-W O B-Q"),
    ("nested", "B-P B-W O"),
    ("nested", "B-W I-W I-W"),
    ("nothing", "O O O"),
    ("nothing", "B-W I-W O O"),
    ("loose", "B-W O O O"),
    ("loose", "B-W I-W O O"),
    ("loose", "O B-W"),
    ("other", "O"),
    ("coarse", "B-W"),
]
NOISE = [0.0, 0.2, 1.0]


def weight(path: Path, gold: Sequence[str], candidates: AllowedLabels, noise: float) -> float:
    """Return how far an annotation allows a tagging, by what its entities are: 1, 0, or less for pseudo-labels."""
    entities = entities_from_tags([TAGS[tag] for tag in path])[0]
    annotated = entities_from_tags(list(gold))[0]
    allowed = 1.0
    spans = {(entity.start, entity.end): entity.label for entity in entities}
    sure = [entity for entity in annotated if entity.label in candidates.entities]
    for entity in sure:
        if spans.get((entity.start, entity.end)) not in candidates.entities[entity.label]:
            return 0.0
    taken = {(entity.start, entity.end) for entity in sure}
    if any(span not in taken and label not in candidates.unannotated for span, label in spans.items()):
        return 0.0
    tags = [TAGS[tag] for tag in path]
    for entity in annotated:
        if entity not in sure:
            labels = (entity.label, *candidates.parts.get(entity.label, ()))
            wanted = [
                tags_from_entities(len(gold), [Entity(entity.start, entity.end, label)]) for label in labels
            ]
            inside = range(entity.start, entity.end)
            wrong = sum(all(tags[token] != agreeing[token] for agreeing in wanted) for token in inside)
            runs_on = entity.end < len(gold) and tags[entity.end].startswith("I-")
            allowed *= noise ** (wrong + runs_on)
    return allowed


def enumerated(crf: ConstrainedCRF, emissions: Tensor, weights: Mapping[Path, float]) -> Tensor:
    """Return the log of the summed scores of taggings, each times its weight, differentiable."""
    allowed = {path: factor for path, factor in weights.items() if factor}
    return torch.logsumexp(
        path_scores(crf, emissions, list(allowed)) + torch.tensor([*allowed.values()]).log(), 0
    )


def partial_loss(
    crf: ConstrainedCRF, emissions: Tensor, rows: Sequence[tuple[str, str]], noise: float
) -> Tensor:
    """Return the losses of rows of source and tags; where masked their labels are those of O."""
    tags = AllowedTags(TAGS, CANDIDATES, noise)
    golds = [gold.split() for _, gold in rows]
    width = max(map(len, golds))
    labels = torch.tensor([[*map(TAGS.index, gold), *[0] * (width - len(gold))] for gold in golds])
    mask = torch.arange(width) < torch.tensor([len(gold) for gold in golds]).unsqueeze(1)
    sources = torch.tensor([tags.sources[source] for source, _ in rows])
    return crf.partial_losses(emissions, tags(sources, labels), mask)


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_sentence_and_its_gradients(row: tuple[str, str], noise: float) -> None:
    source, text = row
    gold = text.split()
    crf, oracle = random_crf(TAGS, 1), random_crf(TAGS, 1)
    torch.manual_seed(len(gold))
    emissions = torch.randn(1, len(gold), len(TAGS), requires_grad=True)
    expected_emissions = emissions.detach()[0].clone().requires_grad_()
    legal = legal_paths(len(gold), TAGS)
    weights = {path: weight(path, gold, CANDIDATES[source], noise) for path in legal}
    expected = enumerated(oracle, expected_emissions, dict.fromkeys(legal, 1.0)) - enumerated(
        oracle, expected_emissions, weights
    )
    (actual,) = partial_loss(crf, emissions, [row], noise)
    assert actual.item() == pytest.approx(expected.item(), abs=1e-4)
    actual.backward()
    expected.backward()
    torch.testing.assert_close(emissions.grad[0], expected_emissions.grad, atol=1e-4, rtol=0)
    for one, other in zip(crf.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=0)


@pytest.mark.parametrize("noise", NOISE)
def test_a_ragged_batch_is_its_rows(noise: float) -> None:
    crf = random_crf(TAGS, 2)
    torch.manual_seed(3)
    emissions = torch.randn(len(ROWS), 5, len(TAGS), requires_grad=True)
    together = partial_loss(crf, emissions, ROWS, noise)
    alone = [
        partial_loss(crf, emissions[index : index + 1, : len(row[1].split())], [row], noise)
        for index, row in enumerate(ROWS)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(together.sum(), emissions)
    assert torch.isfinite(gradient).all()
    for index, (_, gold) in enumerate(ROWS):
        assert (gradient[index, len(gold.split()) :] == 0).all()


def test_a_mask_of_allowed_tags_and_large_scores() -> None:
    """A position with one allowed tag, in a long row of scores far apart, leaves all gradients finite."""
    crf = random_crf(TAGS, 7)
    emissions = (torch.randn(1, 300, len(TAGS)) * 10).requires_grad_()
    evidence = torch.full((1, 300, len(TAGS)), FORBIDDEN)
    evidence[:, :, 0] = 0
    evidence[:, 100:200] = 0
    mask = torch.ones(1, 300, dtype=torch.bool)
    losses = crf.partial_losses(emissions, evidence, mask)
    assert (losses >= 0).all()
    (gradient,) = torch.autograd.grad(losses.sum(), emissions)
    assert torch.isfinite(gradient).all()
    # Only O is allowed: what is taken from the others goes there.
    torch.testing.assert_close(gradient.sum(2), torch.zeros(1, 300), atol=5e-3, rtol=0)


def test_a_pseudo_label_of_a_whole_leaves_its_open_parts_open() -> None:
    labels = ("PRODUCT", "book", "film")
    known = AllowedLabels.of(labels, {"film": "film"}, parts={"PRODUCT": ("book", "film"), "book": ()})
    tags = iob2_tag_set(labels)
    evidence = AllowedTags(tags, {"a": known})(torch.tensor([0]), torch.tensor([[tags.index("B-PRODUCT")]]))
    allowed = [tag for tag, score in zip(tags, evidence[0, 0], strict=True) if score == 0]
    assert allowed == ["B-PRODUCT", "B-book"]
    with pytest.raises(ConfigurationError, match="'X' is no label of the tagger"):
        AllowedTags(TAGS, {"one": AllowedLabels({"W": ("W",)}, ("X",))})


def test_a_tagger_is_trained_on_it() -> None:
    """Its loss is the ordinary one where all is annotated, and smaller where less is said."""
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape)
    tagger = CrfTagger.from_encoder(BertModel(config), TAGS, classifier_dropout=0.0).eval()
    allowed = AllowedTags(TAGS, CANDIDATES)
    rows = [
        {"input_ids": [2, 5, 6, 7, 8, 3], "word_positions": [1, 2, 3, 4], "labels": [1, 2, 0, 0]},
        {"input_ids": [2, 5, 6, 3], "word_positions": [1, 2], "labels": [0, 5]},
    ]
    losses = {}
    for source in ("all", "nothing", None):
        named = {} if source is None else {"sources": allowed.sources[source]}
        loss = tagger(**TaggingCollator(0, allowed)([{**row, **named} for row in rows])).loss
        loss.backward()
        losses[source] = loss.item()
    assert all(torch.isfinite(p.grad).all() for p in tagger.head_parameters())
    assert losses["all"] == pytest.approx(losses[None], abs=1e-5)
    assert losses["nothing"] < losses[None] - 0.1
