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
            # To contradict all of it costs the noise once.
            allowed *= noise ** ((wrong + runs_on) / (entity.end - entity.start))
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


def tagger_of_sources(allowed: AllowedTags) -> CrfTagger:
    """Return an untrained tagger whose sources depart from what they share."""
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape)
    settings = {"classifier_dropout": 0.0, "sources": allowed.annotated}
    return CrfTagger.from_encoder(BertModel(config), TAGS, **settings).eval()


def batch_of(allowed: AllowedTags, *sources: str) -> dict[str, Tensor]:
    rows = [
        {"input_ids": [2, 5, 6, 7, 8, 3], "word_positions": [1, 2, 3, 4], "labels": [1, 2, 0, 0]},
        {"input_ids": [2, 5, 6, 3], "word_positions": [1, 2], "labels": [0, 5]},
    ]
    named = [{**row, "sources": allowed.sources[source]} for row, source in zip(rows, sources, strict=True)]
    return TaggingCollator(0, sources=True, evidence=allowed)(named)


def test_a_tagger_learns_what_all_say_and_how_each_annotates() -> None:
    """Its loss is that of the partial annotation and, of each row, that of its source's own tagger."""
    allowed = AllowedTags(TAGS, CANDIDATES, 0.2)
    tagger = tagger_of_sources(allowed)
    assert not any(parameter.any() for parameter in tagger.source_heads.parameters())
    for parameter in tagger.source_heads.parameters():
        torch.nn.init.normal_(parameter)
    sources = ("coarse", "other")
    batch = batch_of(allowed, *sources)
    outputs = tagger(**batch)
    outputs["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in tagger.head_parameters() if p.grad is not None)
    plain = {name: batch[name] for name in ("input_ids", "attention_mask", "word_positions")}
    mask = batch["word_positions"] >= 0
    shared = tagger(**plain).logits
    expected = tagger.crf.partial_losses(shared, batch["evidence"], mask).sum()
    paths = tagger.paths_of_rows(outputs["logits"], batch["sources"], mask)
    for row, name in enumerate(sources):
        own = tagger.for_source(name)
        tags = [TAGS[tag] if tag >= 0 else "O" for tag in batch["labels"][row].tolist()]
        # P is a part of W to the one and none of the other's labels: a pseudo-label.
        ids = [own.config.tags.index(tag) if tag in own.config.tags else 0 for tag in tags]
        emissions = own(**plain).logits[row : row + 1]
        expected = expected - own.crf(emissions, torch.tensor([ids]), mask[row : row + 1])
        best = own.best_paths(emissions, mask[row : row + 1])[0][0]
        assert [own.config.tags[t] for t in best if t >= 0] == [TAGS[t] for t in paths[row] if t >= 0]
    assert outputs["loss"].item() == pytest.approx(expected.item() / mask.sum().item(), rel=1e-5)


def test_at_first_a_source_is_annotated_as_all_are() -> None:
    """Among its own labels; and a name that is no source's is refused."""
    tagger = tagger_of_sources(AllowedTags(TAGS, CANDIDATES))
    own = tagger.for_source("coarse")
    assert own.config.tags == ["O", "B-W", "I-W", "B-Q", "I-Q"]
    ids = [TAGS.index(tag) for tag in own.config.tags]
    inputs = {"input_ids": torch.tensor([[2, 5, 6, 3]]), "word_positions": torch.tensor([[1, 2]])}
    with torch.no_grad():
        assert torch.allclose(own(**inputs).logits, tagger(**inputs).logits[..., ids], atol=1e-6)
    assert torch.equal(own.crf.transitions, tagger.crf.transitions[ids][:, ids])
    with pytest.raises(ValueError, match=r"source='mine': expected one of all, coarse, coarse only, "):
        tagger.for_source("mine")
    with pytest.raises(ValueError, match="source='coarse': the tagger knows no sources"):
        own.for_source("coarse")


def test_a_loss_is_smaller_where_less_is_said() -> None:
    allowed = AllowedTags(TAGS, CANDIDATES)
    tagger = tagger_of_sources(allowed)
    losses = {}
    for source in ("all", "nothing", None):
        batch = batch_of(allowed, *[source or "all"] * 2)
        del batch["sources"]
        if source is None:
            del batch["evidence"]
        losses[source] = tagger(**batch).loss.item()
    assert losses["all"] == pytest.approx(losses[None], abs=1e-5)
    assert losses["nothing"] < losses[None] - 0.1
