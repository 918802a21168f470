"""A trained tagger: entities for sentences."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scope, Scores, scoped, score_entities
from esnera_hf.modeling.encoders import RECORD_FILE, load_saved, read_record
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger, EncoderTagger
from esnera_hf.modeling.hub_code.pipeline_crf_tagger import CrfTaggerPipeline
from esnera_hf.modeling.hub_code.windows import Span, SpanReader, Window, window_inputs
from esnera_hf.modeling.hub_code.words import word_spans
from esnera_hf.modeling.tokenization import (
    CHUNK,
    WordTokenizer,
    batches_by_length,
    chunks,
    device,
    join_sentences,
    mixed_precision,
)
from esnera_hf.tagging import Entity

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

    from esnera_hf.hub.repository import Published
    from esnera_hf.sources.source import AnnotatedSentence


#: What a saved tagger needs where this package is not installed.
REQUIREMENTS = ("pytorch-crf>=0.7.2", "torch>=2.6", "transformers>=5.18")
# Where a tokenizer was loaded from is of no interest to those it is handed to.
_LOADING_SETTINGS = ("is_local", "local_files_only", "name_or_path")


class TrainedModel:
    """A model with the tokenizer of its encoder, and a record of how it was trained: see the subclasses."""

    def __init__(
        self,
        model: EncoderTagger,
        tokenizer: PreTrainedTokenizerBase,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.record = dict(record or {})
        self.words = WordTokenizer(tokenizer, model.config.window_length)

    def inputs(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Return what the model is given for a batch of windows, on its device."""
        inputs = window_inputs(windows, self.tokenizer.pad_token_id)
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}

    def save_pretrained(self, path: str | os.PathLike[str]) -> None:
        """Write model (safetensors), tokenizer and, if there is one, record; the same gives the same bytes."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        save_tokenizer(self.tokenizer, folder)
        if self.record:
            text = json.dumps(self.record, indent=1, ensure_ascii=False)
            (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


class Tagger(TrainedModel):
    """A CRF tagger with its tokenizer.

    Args:
        model: the trained model.
        tokenizer: the tokenizer of its encoder.
        record: how it was trained and on what, as plain data, for its card:
            ``validation`` and ``test`` scores, ``history``, ``arguments``,
            ``encoder``, summaries of the ``sources``; of a tagger of merged data
            also ``report`` and ``mapping``.
    """

    model: CrfTagger

    def __init__(
        self, model: CrfTagger, tokenizer: PreTrainedTokenizerBase, record: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(model, tokenizer, record)
        # Who uses the model without this package has no other way to tell words from the pieces around them.
        model.config.special_ids = sorted({*self.words.prefix, *self.words.suffix, tokenizer.pad_token_id})

    def __repr__(self) -> str:
        encoder = self.record.get("encoder")
        return f"Tagger(labels={self.labels!r}{f', encoder={encoder!r}' if encoder else ''})"

    def _repr_html_(self) -> str:
        from esnera_hf.hub.push import html_of_tagger

        return html_of_tagger(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it predicts."""
        return tuple(tag[2:] for tag in self.model.config.tags if tag.startswith("B-"))

    @property
    def sources(self) -> tuple[str, ...]:
        """The corpora whose ways to annotate it knows, see :meth:`for_source`."""
        return tuple(name for name, _ in self.model.config.sources)

    def for_source(self, name: str) -> Tagger:
        """Return the tagger that annotates as one of its sources did, in that one's labels; they share weights.

        Args:
            name: one of :attr:`sources`.

        Raises:
            ConfigurationError: it knows no such source.
        """
        try:
            return Tagger(self.model.for_source(name), self.tokenizer, self.record)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike[str], *, revision: str | None = None, token: str | None = None
    ) -> Tagger:
        """Load a tagger saved by :meth:`save_pretrained`, without running the code that lies beside it.

        Args:
            path: a folder, or the id of a model on the Hub.
            revision: branch, tag or commit on the Hub; the main branch if not given.
            token: of the Hub; the one logged in with if not given.

        Raises:
            EncoderError: it cannot be found or fetched, or is no tagger of this package.
        """
        loaded = load_saved(CrfTagger, os.fspath(path), "tagger", "id2label", (revision, token))
        return cls(*loaded, read_record(Path(path)))

    def with_record(self, **facts: Any) -> Tagger:
        """Return the same tagger with more in its record."""
        return Tagger(self.model, self.tokenizer, {**self.record, **facts})

    def save_pretrained(self, path: str | os.PathLike[str]) -> None:
        """Write a folder that is all a model repository needs but its card.

        Model (safetensors), tokenizer, the code that makes them work where this
        package is not installed, and what that code requires; beside them its
        record, which is not published. The same tagger gives the same bytes, and
        none but the record's tells of this machine.
        """
        super().save_pretrained(path)
        (Path(path) / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n", encoding="utf-8")

    def card(self, repo_id: str) -> ModelCard:
        """Return the card that :meth:`push_to_hub` would publish, without calling the Hub."""
        from esnera_hf.hub.push import card_of_tagger

        return card_of_tagger(self, repo_id)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        token: str | None = None,
        commit_message: str | None = None,
    ) -> Published:
        """Publish the tagger to a model repository of the Hub, with its card, in one commit.

        It works there for people who do not have this package: through
        ``AutoModelForTokenClassification`` and the token-classification
        pipeline, with ``trust_remote_code=True``. Run again after a failure, it
        goes on: what has arrived is not sent again.

        Args:
            repo_id: ``owner/name``, or a name of your own.
            private: whether the repository is to be private; as it is, or the
                Hub's default, if not given.
            revision: branch to commit to, made if it is not there.
            create_pr: open a pull request instead.
            token: of the Hub; the one you are logged in with if not given.
            commit_message: of the commit.

        Raises:
            HubError: the Hub refuses it or cannot be reached; it says what is safe
                and what to do.
        """
        from esnera_hf.hub.push import push_tagger
        from esnera_hf.hub.repository import HubRepository

        repository = HubRepository(repo_id, "model", token=token, revision=revision, create_pr=create_pr)
        return push_tagger(self, repository, private=private, message=commit_message)

    def pipeline(self, **options: Any) -> CrfTaggerPipeline:
        """Return the tagger as a pipeline of transformers, for raw text.

        Args:
            **options: of :class:`CrfTaggerPipeline`.
        """
        return CrfTaggerPipeline(
            model=self.model, tokenizer=self.tokenizer, task="token-classification", **options
        )

    @overload
    def predict(self, sentences: str) -> list[Entity]: ...  # type: ignore[overload-overlap]

    @overload
    def predict(
        self, sentences: Iterable[Sequence[str]], *, batch_size: int | None = None
    ) -> Iterator[list[Entity]]: ...

    def predict(
        self, sentences: str | Iterable[Sequence[str]], *, batch_size: int | None = None
    ) -> list[Entity] | Iterator[list[Entity]]:
        """Return the entities of a text, or yield those of each sentence, in order.

        An entity's ``score`` is the probability that exactly its words are a mention of its label, calibrated on
        the validation data that the tagger was chosen by. Sentences are taken from the iterable in chunks, so
        memory does not grow with their number.

        Args:
            sentences: lists of words; or one text, whose entities are returned with offsets of characters.
            batch_size: windows per forward pass; chosen by their length and the device
                if not given.

        Raises:
            ConfigurationError: a sentence is a text, or the batch size is below 1.
        """
        if not isinstance(sentences, str):
            return self._predict_words(sentences, batch_size)
        spans = word_spans(sentences)
        (entities,) = self._predict_words([[sentences[start:end] for start, end in spans]], batch_size)
        return [replace(e, start=spans[e.start][0], end=spans[e.end - 1][1]) for e in entities]

    def _predict_words(
        self, sentences: Iterable[Sequence[str]], batch_size: int | None
    ) -> Iterator[list[Entity]]:
        self.model.to(device()).eval()
        read = SpanReader(self.model.config.tags)
        # A whole corpus sorted by length would have to be held in memory.
        for chunk in chunks(sentences, CHUNK):
            windows = self.words.windows(chunk)
            spans: list[list[Span]] = [[] for _ in windows]
            for batch, part in batches_by_length(windows, batch_size):
                paths, _, factors = self.model.best_paths(*self.emissions(part))
                for index, row in zip(batch, read(part, paths, factors), strict=True):
                    spans[index] = row
            yield from join_sentences(len(chunk), windows, spans)

    @torch.no_grad()
    def emissions(self, windows: list[Window]) -> tuple[Tensor, Tensor]:
        """Return the emissions of windows' words, shape (windows, words, tags), and which of them are words."""
        inputs = self.inputs(windows)
        # The CRF stays outside: its scores need single precision.
        with mixed_precision():
            emissions = self.model(**inputs).logits
        return emissions, inputs["word_positions"] >= 0

    def evaluate(self, sentences: Iterable[AnnotatedSentence], scope: Scope | None = None) -> Scores:
        """Score the tagger on annotated sentences, entity by entity, strictly.

        Args:
            sentences: with their gold entities.
            scope: the labels that count, by source of a sentence; all if not given.
        """
        # They are read twice, and may come from an iterator.
        gold = list(sentences)
        predicted = self.predict([sentence.tokens for sentence in gold])
        return score_entities(
            [sentence.entities for sentence in gold],
            [scoped(entities, s.source, scope) for s, entities in zip(gold, predicted, strict=True)],
            [len(s.tokens) for s in gold],
        )


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer to a folder: the same one gives the same bytes, which do not tell of this machine."""
    if tokenizer.is_fast:
        # Settings of the last call, which would be saved as if they belonged to the tokenizer.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    lasting = {key: value for key, value in settings.items() if key not in _LOADING_SETTINGS}
    text = json.dumps(lasting, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
