"""Configuration of the CRF tagger."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig


class CrfTaggerConfig(PreTrainedConfig):  # type: ignore[misc]
    """Configuration of :class:`~esnera_hf.modeling.model.CrfTagger`.

    Args:
        encoder_config: the configuration of the encoder, as a dictionary.
        tags: the IOB2 tags, by id; ``O`` first.
        classifier_dropout: dropout before the emission layer.
        window_length: most pieces, special ones included, the encoder is given
            at once; longer texts are cut into windows.
    """

    model_type = "esnera-crf-tagger"

    def __init__(
        self,
        encoder_config: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        classifier_dropout: float = 0.1,
        window_length: int = 512,
        **kwargs: Any,
    ) -> None:
        if tags is not None:
            kwargs["id2label"] = dict(enumerate(tags))
            kwargs["label2id"] = {tag: index for index, tag in enumerate(tags)}
        super().__init__(**kwargs)
        self.encoder_config = encoder_config or {}
        self.classifier_dropout = classifier_dropout
        self.window_length = window_length

    @property
    def tags(self) -> list[str]:
        """The IOB2 tags, by id."""
        return [self.id2label[index] for index in range(len(self.id2label))]
