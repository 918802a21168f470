"""An encoder with a CRF head for token classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.modeling_outputs import TokenClassifierOutput

from .configuration_crf_tagger import CrfTaggerConfig, EncoderTaggerConfig
from .crf import ConstrainedCRF, GivenCRF, RowwiseCRF
from .pipeline_crf_tagger import CrfTaggerPipeline

# Its logarithm is finite, and far below that of any tag one would choose.
_LEAST_PROBABILITY = 1e-12


class EncoderTagger(PreTrainedModel):  # type: ignore[misc]
    """An encoder that gives the states of words to whatever tags them.

    A subclass has emission layers and CRFs, and a configuration with their tags.
    """

    base_model_prefix = "encoder"
    # The loss is a mean over words: the Trainer must not scale it by accumulation steps or processes.
    accepts_loss_kwargs = False

    def __init__(self, config: EncoderTaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config)
        if encoder is None:
            encoder_config = AutoConfig.for_model(**config.encoder_config)
            # Of another name, transformers would fetch a kernel from the Hub and run it.
            encoder_config._attn_implementation = None
            # Of one type with the head: encoder_config names the type that the encoder was once saved in.
            encoder = AutoModel.from_config(encoder_config, dtype=torch.get_default_dtype())
        self.encoder: Any = encoder
        # The pooler is never used, and processes that train together would wait for its gradients.
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None
        self.dropout = nn.Dropout(config.classifier_dropout)

    @classmethod
    def from_encoder(cls, encoder: PreTrainedModel, tags: Any, **settings: Any) -> Self:
        """Put new heads on a pretrained encoder (which is changed by training them).

        Args:
            tags: the IOB2 tags, by id; of several heads, a list by name.
            **settings: of the configuration.
        """
        encoder_config = encoder.config.to_dict()
        # They may be a path on this machine, or name code that is not used.
        for name in ("_name_or_path", "auto_map"):
            encoder_config.pop(name, None)
        return cls(cls.config_class(encoder_config, tags, **settings), encoder)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ConstrainedCRF):
            module.reset_parameters()
        if isinstance(module, SourceHead):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def with_tags(self, tags: Sequence[str], temperature: float) -> Any:
        """Return a tagger of these tags on the same encoder; its own weights are yet to be set."""
        config = CrfTaggerConfig(
            dict(self.config.encoder_config),
            list(tags),
            confidence_temperature=temperature,
            classifier_dropout=self.config.classifier_dropout,
            window_length=self.config.window_length,
        )
        # Drawing weights that are replaced would take time, and the random numbers of a training.
        with no_init_weights():
            return CrfTagger(config, self.encoder)

    def word_states(
        self, input_ids: Tensor, attention_mask: Tensor, word_positions: Tensor | None = None
    ) -> Tensor:
        """Return the encoder's state of each word's first piece, shape (batch, words, width).

        Args:
            input_ids: pieces, shape (batch, pieces).
            attention_mask: shape (batch, pieces).
            word_positions: index of each word's first piece, shape (batch, words), -1 where padded; every
                piece is a word if not given.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if word_positions is not None:
            index = word_positions.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2])
            states = states.gather(1, index)
        return self.dropout(states)  # type: ignore[no-any-return]


class SourceHead(nn.Module):
    """How one source's annotation departs from what all share: residuals on emissions and CRF, zero at first.

    Args:
        width: of the encoder's states.
        tags: all IOB2 tags, by id; ``O`` first.
        labels: those that the source is annotated with.
    """

    def __init__(self, width: int, tags: Sequence[str], labels: Sequence[str]) -> None:
        super().__init__()
        self.ids = [index for index, tag in enumerate(tags) if tag == "O" or tag[2:] in labels]
        self.tags = tuple(tags[index] for index in self.ids)
        count = len(self.ids)
        self.weight = nn.Parameter(torch.zeros(count, width))
        self.bias = nn.Parameter(torch.zeros(count))
        self.start_transitions = nn.Parameter(torch.zeros(count))
        self.end_transitions = nn.Parameter(torch.zeros(count))
        self.transitions = nn.Parameter(torch.zeros(count, count))

    def classifier(self, shared: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the source's emission layer, given the one that all share."""
        return shared.weight[self.ids] + self.weight, shared.bias[self.ids] + self.bias

    def crf(self, shared: ConstrainedCRF) -> GivenCRF:
        """Return the source's CRF, given the one that all share."""
        return GivenCRF(
            self.tags,
            shared.start_transitions[self.ids] + self.start_transitions,
            shared.transitions[self.ids][:, self.ids] + self.transitions,
            shared.end_transitions[self.ids] + self.end_transitions,
        )


class CrfTagger(EncoderTagger):
    """Encoder, linear emission layer and a CRF over IOB2 tags.

    A tagger of several sources also knows, by a :class:`SourceHead` each, how
    they were annotated; :meth:`for_source` returns it as a tagger in the style of one.

    The CRF runs over words, not pieces: the state of a word is that of its
    first piece. Entities of text are found by :attr:`pipeline_class`.
    """

    config_class = CrfTaggerConfig
    # Named here so that its file is saved with the model's.
    pipeline_class = CrfTaggerPipeline

    def __init__(self, config: CrfTaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config, encoder)
        width, tags = self.encoder.config.hidden_size, config.tags
        self.classifier = nn.Linear(width, len(tags))
        self.crf = ConstrainedCRF(tags)
        self.source_heads = nn.ModuleList(SourceHead(width, tags, labels) for _, labels in config.sources)
        self.post_init()

    @torch.no_grad()
    def for_source(self, name: str) -> CrfTagger:
        """Return the tagger that annotates as one of its sources did, in that one's labels; they share the encoder.

        Raises:
            ValueError: it has no such source.
        """
        names = [source for source, _ in self.config.sources]
        if name not in names:
            expected = f"expected one of {', '.join(names)}" if names else "the tagger knows no sources"
            raise ValueError(f"source={name!r}: {expected}.")
        index = names.index(name)
        head: Any = self.source_heads[index]
        tagger = self.with_tags(head.tags, self.config.source_temperatures[index])
        tagger.config.special_ids = self.config.special_ids
        tagger.classifier.weight.data, tagger.classifier.bias.data = head.classifier(self.classifier)
        crf = head.crf(self.crf)
        for part in ("start_transitions", "end_transitions", "transitions"):
            getattr(tagger.crf, part).data = getattr(crf, part)
        return tagger.to(self.device).train(self.training)  # type: ignore[no-any-return]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        word_positions: Tensor | None = None,
        labels: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        evidence: Tensor | None = None,
        sources: Tensor | None = None,
    ) -> TokenClassifierOutput | dict[str, Tensor]:
        """Compute emissions and, given labels or evidence, the loss.

        Given neither ``word_positions`` nor ``labels``, an evaluated model takes
        every piece but the special ones for a word and returns the logarithm
        of the probability that the CRF gives each tag: their softmax is a
        distribution and their largest the most probable tag, which is what
        anything expects that knows nothing of the CRF.

        Args:
            input_ids: as for :meth:`word_states`, as are the two that follow.
            attention_mask: all ones if not given.
            word_positions: index of each word's first piece.
            labels: tag ids, shape (batch, words), -100 where padded.
            token_type_ids: what tokenizers return beside ``input_ids``; not
                looked at, as the model is trained without.
            evidence: of partial annotation, how far each tag is allowed, see
                :meth:`ConstrainedCRF.partial_losses`; the loss is on it and not on labels, if given.
            sources: index of each row's source, shape (batch,).

        Returns:
            ``logits``: emissions, shape (batch, words, tags), or log
            probabilities, shape (batch, pieces, tags); ``loss``: the negative
            log-likelihood per word. Given sources: emissions of each row's source,
            padded; ``sources``; and a loss to which the likelihood of the labels
            of the source, whose annotation is whole, is added.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        states = self.word_states(input_ids, attention_mask, word_positions)
        word_mask = attention_mask.bool() if word_positions is None else word_positions >= 0
        emissions = self.classifier(states).float()
        if labels is evidence is word_positions is None and not self.training:
            special = torch.tensor(self.config.special_ids, device=input_ids.device)
            return TokenClassifierOutput(
                logits=self._log_probabilities(emissions, word_mask & ~torch.isin(input_ids, special))
            )
        loss = None
        if evidence is not None:
            loss = self.crf.partial_losses(emissions, evidence, word_mask).sum() / word_mask.sum()
        elif labels is not None:
            loss = -self.crf(emissions, labels.clamp(min=0), word_mask, reduction="token_mean")
        if sources is None:
            return TokenClassifierOutput(loss=loss, logits=emissions)
        heads, rows = self._heads_of_rows(sources)
        own = emissions_of_rows(states, [head.classifier(self.classifier) for head in heads], rows)
        if labels is not None:
            crf = RowwiseCRF([head.crf(self.crf) for head in heads], rows)
            # What the source does not annotate, such as a pseudo-label, is none of its labels.
            to_own = torch.zeros(len(heads), self.crf.num_tags, dtype=torch.long, device=states.device)
            for index, head in enumerate(heads):
                to_own[index, head.ids] = torch.arange(len(head.ids), device=states.device)
            tags = to_own[rows.unsqueeze(1), labels.clamp(min=0)]
            likelihood = crf(own, tags, word_mask, reduction="token_mean")
            loss = -likelihood if loss is None else loss - likelihood
        return {**({} if loss is None else {"loss": loss}), "logits": own, "sources": sources}

    def _heads_of_rows(self, sources: Tensor) -> tuple[list[Any], Tensor]:
        """Return the heads of the sources of rows, and the index of each row's head among them."""
        present, rows = torch.unique(sources, return_inverse=True)
        return [self.source_heads[source] for source in present.tolist()], rows

    @torch.no_grad()
    def paths_of_rows(self, emissions: Tensor, sources: Tensor, mask: Tensor) -> Tensor:
        """Return the best legal tag ids of each row as its source annotates, shape (batch, words), -100 where masked.

        Args:
            emissions: of each row's source, as :meth:`forward` returns them; of words that the mask has on a prefix.
            sources: index of each row's source, shape (batch,).
        """
        heads, rows = self._heads_of_rows(sources)
        paths = RowwiseCRF([head.crf(self.crf) for head in heads], rows).viterbi(emissions, mask)
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(head.ids, device=mask.device) for head in heads], batch_first=True
        )
        return ids[rows.unsqueeze(1), paths.clamp(min=0)].masked_fill(~mask, -100)

    def _log_probabilities(self, emissions: Tensor, is_word: Tensor) -> Tensor:
        """Return the log probability of every tag of every piece; pieces that are no words are ``O``."""
        order = is_word.long().argsort(dim=1, descending=True, stable=True)
        index = order.unsqueeze(2).expand_as(emissions)
        mask = torch.arange(order.shape[1], device=order.device) < is_word.sum(1, keepdim=True).clamp(min=1)
        marginals = self.crf.marginals(emissions.gather(1, index), mask, self.config.confidence_temperature)
        probabilities = torch.zeros_like(emissions).scatter(1, index, marginals)
        outside = torch.zeros_like(emissions)
        outside[:, :, 0] = 1
        return torch.where(is_word.unsqueeze(2), probabilities, outside).clamp(min=_LEAST_PROBABILITY).log()

    @torch.no_grad()
    def best_paths(self, emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the best legal tag ids of rows of words, and how probable tags and mentions are.

        They are ids, -100 where masked; marginal probabilities of these tags; and what the probabilities of mentions
        are made of, see :meth:`ConstrainedCRF.path_probabilities`. All have the shape of the mask.
        """
        paths = self.crf.viterbi(emissions, mask)
        return paths, *self.crf.path_probabilities(emissions, paths, mask, self.config.confidence_temperature)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that start untrained: emission layers and CRFs."""
        heads = (self.classifier, self.crf, self.source_heads)
        return [parameter for head in heads for parameter in head.parameters()]


def emissions_of_rows(states: Tensor, layers: Sequence[tuple[Tensor, Tensor]], rows: Tensor) -> Tensor:
    """Return the emissions of each row by its own layer, shape (batch, words, tags), padded to the longest.

    Args:
        states: shape (batch, words, width).
        layers: weight and bias of each.
        rows: index of each row's layer, shape (batch,).
    """
    longest = max(len(bias) for _, bias in layers)
    # In single precision, whatever the encoder computes in: log-likelihoods are sums of many words.
    emissions = states.new_zeros((*states.shape[:2], longest), dtype=torch.float32)
    for index, (weight, bias) in enumerate(layers):
        own = (rows == index).nonzero().squeeze(1)
        emissions[own, :, : len(bias)] = nn.functional.linear(states[own], weight, bias).float()
    return emissions
