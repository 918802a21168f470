"""Configuration of the CRF tagger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedConfig


class EncoderTaggerConfig(PreTrainedConfig):  # type: ignore[misc]
    """Configuration of an encoder and of what is done with the states of its words.

    Args:
        encoder_config: the configuration of the encoder, as a dictionary.
        classifier_dropout: dropout before the emission layers.
        window_length: most pieces, special ones included, the encoder is given
            at once; longer texts are cut into windows.
    """

    def __init__(
        self,
        encoder_config: dict[str, Any] | None = None,
        *,
        classifier_dropout: float = 0.1,
        window_length: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Of another name, transformers would fetch a kernel from the Hub and run it.
        self._attn_implementation = None
        self.encoder_config = encoder_config or {}
        self.classifier_dropout = classifier_dropout
        self.window_length = window_length

    def to_dict(self) -> dict[str, Any]:
        """Return what is written to ``config.json``."""
        values: dict[str, Any] = super().to_dict()
        values.pop("use_cache", None)  # a setting of generators, which the Trainer leaves here
        return values


class CrfTaggerConfig(EncoderTaggerConfig):
    """Configuration of a CRF tagger.

    Args:
        encoder_config: the configuration of the encoder, as a dictionary.
        tags: the IOB2 tags, by id; ``O`` first.
        special_ids: the pieces that are no words: those the tokenizer puts
            around a text, and padding.
        confidence_temperature: what the CRF's scores are divided by where probabilities are asked for; fitted on
            validation data, so that of mentions with confidence 0.8 about 80 % are right.
        sources: of a tagger of several corpora that knows how each was annotated, the name of each corpus and
            its labels, in order.
        source_temperatures: the confidence temperature of each source; 1 each if not given.
        **kwargs: of :class:`EncoderTaggerConfig`.
    """

    model_type = "esnera-crf-tagger"

    def __init__(
        self,
        encoder_config: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        special_ids: list[int] | None = None,
        confidence_temperature: float = 1.0,
        sources: Sequence[tuple[str, Sequence[str]]] = (),
        source_temperatures: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        # Where the Hub and stock pipelines look for the names of labels.
        if tags is not None:
            kwargs["id2label"] = dict(enumerate(tags))
            kwargs["label2id"] = {tag: index for index, tag in enumerate(tags)}
        for name in ("auto_map", "custom_pipelines"):
            kwargs.pop(name, None)
        super().__init__(encoder_config, **kwargs)
        self.special_ids = special_ids or []
        self.source_temperatures = list(source_temperatures or [1.0] * len(sources))
        for value in (confidence_temperature, *self.source_temperatures):
            if not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ValueError(f"confidence temperature {value!r}: expected a number above 0.")
        if len(self.source_temperatures) != len(sources):
            raise ValueError(f"source_temperatures: expected one of each of {len(sources)} sources.")
        # `temperature` is a setting of generators, which transformers does not let others have.
        self.confidence_temperature = float(confidence_temperature)
        if not all(isinstance(part, str) for name, labels in sources for part in (name, *labels)):
            raise ValueError("sources: expected a list of names and lists of labels.")
        # Pairs and not a dictionary: their order must survive a file with sorted keys.
        self.sources: list[list[Any]] = [[name, list(labels)] for name, labels in sources]

    @property
    def tags(self) -> list[str]:
        """The IOB2 tags, by id."""
        return [self.id2label[index] for index in range(len(self.id2label))]

    # Both are made anew each time they are asked for: transformers writes into what it is given.
    @property
    def auto_map(self) -> dict[str, str]:
        """Which file of a saved tagger holds its classes."""
        return {
            "AutoConfig": "configuration_crf_tagger.CrfTaggerConfig",
            "AutoModelForTokenClassification": "modeling_crf_tagger.CrfTagger",
        }

    @property
    def custom_pipelines(self) -> dict[str, dict[str, Any]]:
        """Which file of a saved tagger holds its pipeline.

        One task only: ``pipeline(model=...)`` cannot choose between several.
        """
        return {
            "token-classification": {
                "impl": "pipeline_crf_tagger.CrfTaggerPipeline",
                "pt": ["AutoModelForTokenClassification"],
                "type": "text",
            }
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what is written to ``config.json``."""
        return {**super().to_dict(), "auto_map": self.auto_map, "custom_pipelines": self.custom_pipelines}
