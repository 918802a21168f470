"""The token-classification pipeline of a CRF tagger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import torch
from transformers.pipelines.base import ChunkPipeline

from .windows import Span, SpanReader, Window, WindowTokenizer, join_spans, window_inputs
from .words import word_spans

# Those of the stock pipeline, as its users pass them; entities of a CRF are whole, so all but the first are one.
_STRATEGIES = ("none", "simple", "first", "average", "max")


@dataclass(frozen=True)
class Sentence:
    """A text and the offsets of its words; no tuple, which transformers would walk through for tensors."""

    text: str
    spans: list[tuple[int, int]]


class CrfTaggerPipeline(ChunkPipeline):  # type: ignore[misc]
    """Finds entities in text with a CRF tagger.

    Results have the form of the stock pipeline with an aggregation strategy:
    ``entity_group``, ``score`` (the probability that exactly these words are an
    entity of this label), ``word``, ``start`` and ``end`` (characters, end exclusive).
    Texts of any length are read whole, in windows.

    Parameters, of the pipeline or of a call:

    - ``unit``: what a word of a text is: ``"characters"``, ``"words"`` (words
      and punctuation apart), ``"spaces"`` (what stands between spaces) or
      ``"auto"`` (characters if any is Han or kana, else words).
    - ``is_split_into_words``: sentences are lists of words; offsets refer to
      the words joined by ``delimiter`` (default: a space).
    - ``aggregation_strategy``: ``"none"`` gives an entry per word (``entity`` is
      its tag, ``score`` the tag's probability, ``index`` its position); any
      other gives entities.
    - ``ignore_labels``: leave these labels (or tags) out; default ``["O"]``.
    - ``source``: annotate as this corpus was, one of those that the tagger was
      trained on and knows by name; as all of them together if not given.
    - ``stride``: without effect, as long texts are read whole anyway.
    """

    default_input_names = "sequences"
    # What transformers is to load beside the model.
    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Model and reader by source; there before a source is asked for.
        self.of_source: dict[str, tuple[Any, SpanReader]] = {}
        super().__init__(*args, **kwargs)
        # A model in training would draw dropout.
        self.model.eval()
        self.words = WindowTokenizer(self.tokenizer, self.model.config.window_length)
        self.read = SpanReader(self.model.config.tags)

    def _sanitize_parameters(
        self,
        unit: str | None = None,
        is_split_into_words: bool | None = None,
        delimiter: str | None = None,
        aggregation_strategy: str | None = None,
        ignore_labels: Sequence[str] | None = None,
        source: str | None = None,
        stride: int | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        reading = {"unit": unit, "is_split_into_words": is_split_into_words, "delimiter": delimiter}
        writing: dict[str, Any] = {"ignore_labels": ignore_labels}
        if aggregation_strategy is not None:
            if aggregation_strategy.lower() not in _STRATEGIES:
                raise ValueError(
                    f"aggregation_strategy={aggregation_strategy!r}: expected one of {', '.join(_STRATEGIES)}."
                )
            writing["grouped"] = aggregation_strategy.lower() != "none"
        if source is not None and source not in self.of_source:
            model = self.model.for_source(source)
            self.of_source[source] = model, SpanReader(model.config.tags)
        return _given(reading), _given({"source": source}), _given(writing)

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Find the entities of one or several texts.

        Args:
            inputs: a text, a list of texts, or a generator or dataset of texts;
                with ``is_split_into_words``, lists of words for texts.
            **kwargs: see the class; ``batch_size`` and ``num_workers`` too.

        Returns:
            A list of dictionaries for a text; a list of such lists for a list
            (of texts, or of words); an iterator of them for the rest.
        """
        if isinstance(inputs, Sequence) and not isinstance(inputs, str):
            inputs = list(inputs)
            if not inputs:
                return []
            split = kwargs.get("is_split_into_words", self._preprocess_params.get("is_split_into_words"))
            # One sentence and not several: its words are texts, too.
            if split and all(isinstance(word, str) for word in inputs):
                inputs = [inputs]
            if (kwargs.get("batch_size") or self._batch_size or 1) > 1 and all(
                hasattr(text, "__len__") for text in inputs
            ):
                # Texts of like length share a batch, so that little of it is padding.
                order = sorted(range(len(inputs)), key=lambda index: -len(inputs[index]))
                results = super().__call__([inputs[index] for index in order], **kwargs)
                by_index = dict(zip(order, results, strict=True))
                return [by_index[index] for index in range(len(inputs))]
        return super().__call__(inputs, **kwargs)

    def preprocess(
        self, sentence: Any, *, unit: str = "auto", is_split_into_words: bool = False, delimiter: str = " "
    ) -> Iterator[dict[str, Any]]:
        """Yield the windows of a text."""
        if is_split_into_words:
            if isinstance(sentence, str) or not all(isinstance(word, str) for word in sentence):
                raise ValueError(
                    f"is_split_into_words=True: expected a list of words, found {sentence!r:.80}."
                )
            words = list(sentence)
            text = delimiter.join(words)
            starts = accumulate((len(word) + len(delimiter) for word in words[:-1]), initial=0)
            spans = [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]
        else:
            if not isinstance(sentence, str):
                raise ValueError(
                    f"expected a text, found {sentence!r:.80}. Pass is_split_into_words=True for lists of words."
                )
            text = sentence
            spans = word_spans(text, unit)
            words = [text[start:end] for start, end in spans]
        windows = self.words.windows([words]) or [self._empty_window()]
        for window in windows:
            yield {"sentence": Sentence(text, spans), "window": window, "is_last": window is windows[-1]}

    def _empty_window(self) -> Window:
        """Return a window without words: a text without pieces passes through the model all the same."""
        return Window(0, [*self.words.prefix, *self.words.suffix] or [self.tokenizer.pad_token_id], [], [0])

    def _forward(self, model_inputs: dict[str, Any], *, source: str | None = None) -> dict[str, Any]:
        model, read = (self.model, self.read) if source is None else self.of_source[source]
        batched = isinstance(model_inputs["window"], list)
        windows = model_inputs["window"] if batched else [model_inputs["window"]]
        inputs = self.ensure_tensor_on_device(**window_inputs(windows, self.tokenizer.pad_token_id))
        mask = inputs["word_positions"] >= 0
        paths, probabilities, factors = model.best_paths(model(**inputs).logits, mask)
        # A window without words was given the place of one.
        paths[torch.tensor([not window.words for window in windows])] = -100
        spans = read(windows, paths, factors)
        scores = [row[own].tolist() for row, own in zip(probabilities, mask, strict=True)]
        results = {"spans": spans, "scores": scores}
        return {**model_inputs, **(results if batched else {name: rows[0] for name, rows in results.items()})}

    def postprocess(
        self, outputs: list[dict[str, Any]], *, grouped: bool = True, ignore_labels: Sequence[str] = ("O",)
    ) -> list[dict[str, Any]]:
        """Put the windows of a text together and return its entities, or its words if not grouped."""
        sentence: Sentence = outputs[0]["sentence"]
        outputs = [output for output in outputs if output["window"].words]
        entities = join_spans(
            [output["window"] for output in outputs], [output["spans"] for output in outputs]
        )
        if grouped:
            entries = [
                {"entity_group": label, "score": score, **_place(sentence, start, end)}
                for start, end, label, score in entities
            ]
        else:
            words = (zip(output["window"].words, output["scores"], strict=True) for output in outputs)
            entries = _tagged_words(sentence, entities, dict(chain.from_iterable(words)))
        key = "entity_group" if grouped else "entity"
        return [entry for entry in entries if entry[key] not in ignore_labels]


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _place(sentence: Sentence, first: int, end: int) -> dict[str, Any]:
    start, stop = sentence.spans[first][0], sentence.spans[end - 1][1]
    return {"word": sentence.text[start:stop], "start": start, "end": stop}


def _tagged_words(
    sentence: Sentence, entities: Sequence[Span], scores: dict[int, float]
) -> list[dict[str, Any]]:
    tags = {
        word: f"{'B' if word == start else 'I'}-{label}"
        for start, end, label, _ in entities
        for word in range(start, end)
    }
    return [
        {"entity": tags.get(word, "O"), "score": score, "index": word, **_place(sentence, word, word + 1)}
        for word, score in scores.items()
    ]
