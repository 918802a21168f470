"""Small corpora, encoders and taggers made in code from a seed."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray

from esnera_hf.metrics import Scores, score_entities
from esnera_hf.similarity.empirical import CrossPredictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.source import SOURCE_FEATURES, NerSource
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import Entity, LabelRef

Row = tuple[Sequence[str], Sequence[str]]

WINDOW = 64
#: A character the tokenizer turns into nothing.
VANISHING = "\u200b"

PEOPLE = ("anna", "bruno", "clara", "dario", "emma", "felix", "greta", "hugo")
PLACES = ("paris", "london", "madrid", "vienna", "oslo", "cairo", "lima", "quito")
FIRMS = ("acme", "globex", "initech", "umbrella", "hooli", "vandelay")
_FRAMES = (
    ("PERSON", "met", "PERSON", "in", "PLACE"),
    ("PERSON", "left", "PLACE", "for", "FIRM"),
    ("FIRM", "of", "PLACE", "hired", "PERSON"),
    ("the", "people", "of", "PLACE", "met"),
)
_KINDS = {"PERSON": PEOPLE, "PLACE": PLACES, "FIRM": FIRMS}


def row(text: str) -> Row:
    """Read ``"anna/B-PER met bruno/B-PER"`` as words and tags; no tag is ``O``."""
    pairs = [word.rpartition("/") if "/" in word else (word, "", "O") for word in text.split(" ")]
    return [word for word, _, _ in pairs], [tag for _, _, tag in pairs]


def make_source(name: str, splits: Mapping[str, Iterable[Row]], language: str = "en") -> NerSource:
    """Make a source from words and tags; splits not given are empty."""
    datasets = {}
    for split in ("train", "validation", "test"):
        rows = list(splits.get(split, ()))
        columns = {
            "id": [f"{name}-{split}-{index}" for index in range(len(rows))],
            "tokens": [list(tokens) for tokens, _ in rows],
            "ner_tags": [list(tags) for _, tags in rows],
            "source": [name] * len(rows),
        }
        datasets[split] = Dataset.from_dict(columns, features=SOURCE_FEATURES)
    return NerSource(name, DatasetDict(datasets), language=language)


def toy_rows(names: Mapping[str, str], sentences: int, seed: int) -> list[Row]:
    """Generate sentences about people, places and firms; a kind without a name is not annotated.

    Args:
        names: the label of each annotated kind (PERSON, PLACE, FIRM).
        sentences: how many.
        seed: of the choice of words.
    """
    choose = random.Random(seed)
    rows = []
    for _ in range(sentences):
        tokens: list[str] = []
        tags: list[str] = []
        for slot in choose.choice(_FRAMES):
            if slot not in _KINDS:
                tokens.append(slot)
                tags.append("O")
                continue
            mention = choose.sample(_KINDS[slot], choose.choice((1, 1, 2)))
            tokens.extend(mention)
            label = names.get(slot)
            inside = ["O" if label is None else f"I-{label}"] * len(mention)
            tags.extend(inside if label is None else [f"B-{label}", *inside[1:]])
        rows.append((tokens, tags))
    return rows


def toy_source(name: str, names: Mapping[str, str], seed: int, train: int = 120) -> NerSource:
    """Generate a source with 120 training and 40 validation and test sentences."""
    sizes = {"train": (train, seed), "validation": (40, seed + 1000), "test": (40, seed + 2000)}
    return make_source(name, {split: toy_rows(names, *size) for split, size in sizes.items()})


def write_corpus(folder: Path, names: Mapping[str, str], seed: int, train: int = 120, rest: int = 40) -> Path:
    """Write a generated corpus in columns: a word and its tag per line, a blank line between sentences."""
    folder.mkdir(parents=True)
    for offset, (split, sentences) in enumerate({"train": train, "dev": rest, "test": rest}.items()):
        rows = toy_rows(names, sentences, seed + offset)
        blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
        (folder / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    """Run a command that must be refused before anything is printed, and return what it says."""
    from esnera_hf.cli.main import main

    assert main([str(word) for word in command]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err.rstrip().split("\n")[-1].removeprefix("esnera-hf: ")


def make_tokenizer(window: int = WINDOW):  # type: ignore[no-untyped-def]
    """Make a WordPiece tokenizer: single characters, and a few whole words."""
    from transformers import BertTokenizer

    letters = string.ascii_lowercase + string.digits
    words = ("the", "in", "of", "met", "for", "left", "hired", "people", *PEOPLE[:6], *PLACES[:6], *FIRMS[:4])
    pieces = (
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *(*letters, *(f"##{letter}" for letter in letters)),
        *("。", "，", ".", ",", *"中国北京上海人名"),
        *words,
    )
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(pieces)}, model_max_length=window)


def make_encoder(folder: Path, window: int = WINDOW, seed: int = 0) -> None:
    """Write a BERT of about ten thousand parameters and its tokenizer to a folder."""
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = make_tokenizer(window)
    torch.manual_seed(seed)
    shape = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=window, **shape)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class DictionaryTagger:
    """Finds mentions of one word or several by looking them up.

    Args:
        mentions: the label of each mention, a tuple of words.
    """

    def __init__(self, mentions: Mapping[tuple[str, ...], str]) -> None:
        self.mentions = dict(mentions)

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[Entity]]:
        """Yield the entities of each sentence."""
        for tokens in sentences:
            found = []
            for start in range(len(tokens)):
                for words, label in self.mentions.items():
                    end = start + len(words)
                    if tuple(tokens[start:end]) == words:
                        found.append(Entity(start, end, label))
            yield found


class DictionarySourceTagger:
    """A tagger of a source that needs no model: fills the protocol ``SourceTagger`` from dictionaries.

    Args:
        name: of the source whose labels it predicts.
        mentions: the label of each mention, a tuple of words.
        vectors: of the mentions of each label; by default a vector of its own for each label.
    """

    seconds = 0.0
    record: Mapping[str, Any] = {"history": [], "arguments": {}}

    def __init__(
        self,
        name: str,
        mentions: Mapping[tuple[str, ...], str],
        vectors: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.name = name
        self._tagger = DictionaryTagger(mentions)
        self._vectors = vectors

    def predict(self, source: NerSource, split: str, *, style: str | None = None) -> Iterator[list[Entity]]:
        """Yield the entities of each sentence of a split."""
        return self._tagger.predict(sentence.tokens for sentence in source.sentences(split))

    def scores(self, source: NerSource, split: str) -> Scores:
        """Return how well its entities are those of the source."""
        sentences = list(source.sentences(split))
        gold, lengths = zip(*((s.entities, len(s.tokens)) for s in sentences), strict=True)
        return score_entities(gold, list(self.predict(source, split)), lengths)

    def mention_vectors(self, source: NerSource) -> LabelCentroids:
        """Return the sum of the vectors of each label's mentions in the train split."""
        names = [entity.label for sentence in source.sentences("train") for entity in sentence.entities]
        labels = sorted(set(names))
        vectors = self._vectors or dict(zip(labels, np.eye(len(labels)).tolist(), strict=True))
        count = {label: names.count(label) for label in labels}
        return LabelCentroids({label: np.array(vectors[label]) * count[label] for label in labels}, count)


def predictions_of(taggers: Mapping[str, DictionaryTagger]) -> CrossPredictions:
    """Let each tagger predict on the train split of any source."""

    def predict(name: str, source: NerSource) -> Iterator[list[Entity]]:
        return taggers[name].predict(sentence.tokens for sentence in source.sentences("train"))

    return predict


def make_matrix(
    support: Mapping[str, int],
    counts: Mapping[tuple[str, str], tuple[int, int]],
    semantic: Mapping[tuple[str, str], float],
    overlap: Mapping[tuple[str, str], float] | None = None,
) -> SimilarityMatrix:
    """Make similarity matrices by hand.

    Args:
        support: mentions of each label, written ``source:label``.
        counts: matched and predicted, by predicted and annotated label.
        semantic: by pair of labels, in either order; NaN where not given.
        overlap: of mentions, by label and the other label; NaN where not given.
    """
    refs = tuple(LabelRef(*name.split(":", 1)) for name in support)
    position = {str(ref): index for index, ref in enumerate(refs)}
    matched, predicted = (np.zeros((len(refs), len(refs)), dtype=np.int64) for _ in range(2))
    for (row_name, column_name), cell in counts.items():
        where = position[row_name], position[column_name]
        matched[where], predicted[where] = cell
    similarity = np.full((len(refs), len(refs)), np.nan)
    for (one, other), value in semantic.items():
        similarity[position[one], position[other]] = similarity[position[other], position[one]] = value
    shares = np.full_like(similarity, np.nan)
    for (one, other), value in (overlap or {}).items():
        shares[position[one], position[other]] = value
    return SimilarityMatrix(refs, np.array(list(support.values())), matched, predicted, similarity, shares)


def with_relations(
    matrix: SimilarityMatrix, equal: NDArray[np.float64], subset: NDArray[np.float64]
) -> SimilarityMatrix:
    """Return a matrix with probabilities of relations that were not computed from it.

    Args:
        matrix: of N labels.
        equal: that two labels are equal, shape (N, N), symmetric.
        subset: that the row's label is a part of the column's, shape (N, N); what is left of 1 is for none.
    """
    equal, subset = np.nan_to_num(equal), np.nan_to_num(subset)
    none = 1 - equal - (subset + subset.T)
    assert (none[~matrix.same_source] > -1e-9).all()
    probabilities = np.stack([equal, subset, subset.T, np.zeros_like(equal), none.clip(0)], axis=-1)
    probabilities[matrix.same_source] = np.nan
    copy = replace(matrix)
    copy.__dict__["probabilities"] = probabilities
    return copy


def with_coverage(matrix: SimilarityMatrix, coverage: NDArray[np.float64]) -> SimilarityMatrix:
    """Return a matrix with a coverage that was not computed from it."""
    copy = replace(matrix)
    copy.__dict__["coverage"] = coverage
    return copy


def random_relations(matrix: SimilarityMatrix, seed: int) -> SimilarityMatrix:
    """Return a matrix with random probabilities of relations, a pair being surely apart now and then."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(4, 0.5), size=matrix.semantic.shape)
    equal, part, whole = (np.triu(shares[..., k], 1) for k in range(3))
    return with_relations(matrix, equal + equal.T, part + whole.T)
