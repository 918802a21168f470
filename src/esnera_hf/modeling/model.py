"""An encoder with a CRF head for token classification."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from .configuration import CrfTaggerConfig
from .crf import ConstrainedCRF


class CrfTagger(PreTrainedModel):  # type: ignore[misc]
    """Encoder, linear emission layer and a CRF over IOB2 tags.

    The CRF runs over words, not pieces: the state of a word is that of its
    first piece.
    """

    config_class = CrfTaggerConfig
    base_model_prefix = "encoder"
    # The loss is a mean over words: the Trainer must not scale it by accumulation steps or processes.
    accepts_loss_kwargs = False

    def __init__(self, config: CrfTaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config)
        encoder_config = AutoConfig.for_model(**config.encoder_config)
        self.encoder = encoder if encoder is not None else AutoModel.from_config(encoder_config)
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(encoder_config.hidden_size, len(config.tags))
        self.crf = ConstrainedCRF(config.tags)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ConstrainedCRF):
            module.reset_parameters()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        word_positions: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Compute emissions and, given labels, the loss.

        Args:
            input_ids: pieces, shape (batch, pieces).
            attention_mask: shape (batch, pieces); all ones if not given.
            word_positions: index of each word's first piece, shape
                (batch, words), -1 where padded; every piece is a word if not
                given.
            labels: tag ids, shape (batch, words), -100 where padded.

        Returns:
            ``logits``: emissions, shape (batch, words, tags); ``loss``: the
            negative log-likelihood a word.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        word_mask = attention_mask.bool()
        if word_positions is not None:
            word_mask = word_positions >= 0
            index = word_positions.clamp(min=0).unsqueeze(2).expand(-1, -1, states.shape[2])
            states = states.gather(1, index)
        emissions = self.classifier(self.dropout(states)).float()
        loss = None
        if labels is not None:
            loss = -self.crf(emissions, labels.clamp(min=0), word_mask, reduction="token_mean")
        return TokenClassifierOutput(loss=loss, logits=emissions)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that start untrained: emission layer and CRF."""
        return [*self.classifier.parameters(), *self.crf.parameters()]

    @classmethod
    def from_encoder(cls, encoder: PreTrainedModel, tags: list[str], **settings: Any) -> CrfTagger:
        """Put a new head on a pretrained encoder (which is changed by training the tagger)."""
        encoder_config = encoder.config.to_dict()
        encoder_config.pop("_name_or_path", None)  # may be a path on this machine
        config = CrfTaggerConfig(encoder_config=encoder_config, tags=tags, **settings)
        return cls(config, encoder)
