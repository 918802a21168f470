"""An encoder with a CRF head for token classification."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from .configuration_crf_tagger import CrfTaggerConfig, EncoderTaggerConfig
from .crf import ConstrainedCRF
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


class CrfTagger(EncoderTagger):
    """Encoder, linear emission layer and a CRF over IOB2 tags.

    The CRF runs over words, not pieces: the state of a word is that of its
    first piece. Entities of text are found by :attr:`pipeline_class`.
    """

    config_class = CrfTaggerConfig
    # Named here so that its file is saved with the model's.
    pipeline_class = CrfTaggerPipeline

    def __init__(self, config: CrfTaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config, encoder)
        self.classifier = nn.Linear(self.encoder.config.hidden_size, len(config.tags))
        self.crf = ConstrainedCRF(config.tags)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        word_positions: Tensor | None = None,
        labels: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        evidence: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Compute emissions and, given labels or evidence, the loss.

        Given neither ``word_positions`` nor ``labels``, an evaluated model takes
        every piece but the special ones for a word and returns the logarithm
        of the probability that the CRF gives each tag: their softmax is a
        distribution and their largest the most probable tag, which is what
        anything expects that knows nothing of the CRF.

        Args:
            input_ids: pieces, shape (batch, pieces).
            attention_mask: shape (batch, pieces); all ones if not given.
            word_positions: index of each word's first piece, shape
                (batch, words), -1 where padded; every piece is a word if not
                given.
            labels: tag ids, shape (batch, words), -100 where padded.
            token_type_ids: what tokenizers return beside ``input_ids``; not
                looked at, as the model is trained without.
            evidence: of partial annotation, how far each tag is allowed, see
                :meth:`ConstrainedCRF.partial_losses`; the loss is on it and not on labels, if given.

        Returns:
            ``logits``: emissions, shape (batch, words, tags), or log
            probabilities, shape (batch, pieces, tags); ``loss``: the negative
            log-likelihood per word.
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
        return TokenClassifierOutput(loss=loss, logits=emissions)

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

        Args:
            emissions: shape (batch, words, tags).
            mask: bool, shape (batch, words), True on a prefix of each row.

        Returns:
            Ids, -100 where masked; marginal probabilities of these tags; and what the probabilities of mentions are
            made of, see :meth:`ConstrainedCRF.path_probabilities`. All have the shape of the mask.
        """
        paths = self.crf.viterbi(emissions, mask)
        return paths, *self.crf.path_probabilities(emissions, paths, mask, self.config.confidence_temperature)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that start untrained: emission layer and CRF."""
        return [*self.classifier.parameters(), *self.crf.parameters()]
