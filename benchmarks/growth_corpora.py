"""Three corpora of made-up words with partly disagreeing labels, tiny models, and guesses in place of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
#: Names of the kinds of mentions in each source, and its share of the sentences; a kind without a name is not
#: annotated there.
SOURCES: dict[str, tuple[float, dict[str, str]]] = {
    "a": (0.5, {"person": "PER", "place": "LOC", "firm": "ORG", "product": "ORG"}),
    "b": (0.3, {"person": "person", "place": "place", "firm": "company", "time": "time"}),
    "c": (0.2, {"person": "NAME", "place": "GPE", "product": "PRODUCT", "time": "DATE"}),
}
UNIFIED = {
    "PERSON": ("a:PER", "b:person", "c:NAME"),
    "PLACE": ("a:LOC", "b:place", "c:GPE"),
    "ORG": ("a:ORG", "b:company"),
    "PRODUCT": ("c:PRODUCT",),
    "TIME": ("b:time", "c:DATE"),
}
KINDS = ("person", "place", "firm", "product", "time")
WORDS, MENTIONS = 20, 2
VOCABULARY, NAMES = 20_000, 4_000
#: One sentence in so many of a source stands in the test split of another, too.
COPIED = 50
_BLOCK = 5_000


def made_up(draw: np.random.Generator, count: int) -> list[str]:
    """Return so many different words of two to four syllables."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(draw.choice(syllables, size=draw.integers(2, 5)))] = None
    return list(found)


def write_source(folder: Path, size: int, name: str, words: list[str]) -> None:
    """Write the splits of a source as column files into a new folder."""
    number = list(SOURCES).index(name)
    folder.mkdir(parents=True)
    share, names = SOURCES[name]
    after = list(SOURCES)[(number + 1) % len(SOURCES)]
    copied = size * SOURCES[after][0] * SPLITS["train"] / COPIED
    for split, part in SPLITS.items():
        total = round(size * share * part)
        with (folder / f"{split}.conll").open("w", encoding="utf-8") as stream:
            # Of a source's train split the first sentences stand in the test split of the one before it.
            sentences = chosen(total, (number, list(SPLITS).index(split)))
            if split == "test":
                again = chosen(round(copied), ((number + 1) % len(SOURCES), 0), whole=False)
                sentences = (s for part in (again, chosen(total - round(copied), (number, 2))) for s in part)
            for sentence in sentences:
                stream.write(column_text(*sentence, words, names))


def chosen(
    sentences: int, seed: tuple[int, int], whole: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield for each sentence the numbers of its words and the kinds and places of its mentions."""
    draw = np.random.default_rng(seed)
    weights = 1 / np.arange(10, VOCABULARY + 10)
    cumulated = np.cumsum(weights / weights.sum())
    for start in range(0, sentences, _BLOCK):
        text = np.searchsorted(cumulated, draw.random((_BLOCK, WORDS))).clip(max=VOCABULARY - 1)
        kinds = draw.integers(0, len(KINDS), (_BLOCK, MENTIONS))
        places = draw.integers(0, WORDS // MENTIONS - 2, (_BLOCK, MENTIONS)) + np.arange(MENTIONS) * (
            WORDS // MENTIONS
        )
        skewed = (draw.random((_BLOCK, MENTIONS, 2)) ** 3 * NAMES).astype(int)
        for row in range(min(_BLOCK, sentences - start)):
            for kind, place, inner in zip(kinds[row], places[row], skewed[row], strict=True):
                text[row, place : place + 2] = VOCABULARY + kind * NAMES + inner
            yield text[row], kinds[row], places[row]


def column_text(
    text: np.ndarray, kinds: np.ndarray, places: np.ndarray, words: list[str], names: dict[str, str]
) -> str:
    tags = ["O"] * WORDS
    for kind, place in zip(kinds.tolist(), places.tolist(), strict=True):
        label = names.get(KINDS[kind])
        if label:
            tags[place : place + 2] = f"B-{label}", f"I-{label}"
    return "".join(f"{words[w]}\t{tag}\n" for w, tag in zip(text.tolist(), tags, strict=True)) + "\n"


def guessed(name: str, target: Any) -> Iterator[list[Any]]:
    """Yield what a tagger of one source might predict on another: every other mention under its own labels."""
    from esnera_hf.tagging import Entity

    labels = list(dict.fromkeys(SOURCES[name][1].values()))
    for number, sentence in enumerate(target.sentences("train")):
        yield [
            Entity(e.start, e.end - (number % 7 == 0), labels[(e.start + number) % len(labels)], 0.75)
            for e in sentence.entities
            if (number + e.start) % 2
        ]


def make_models(folder: Path) -> None:
    """Write a BERT of random weights, and a CRF tagger of the labels of ``a`` on it."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
    from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
    from esnera_hf.modeling.tagger import Tagger
    from esnera_hf.tagging import iob2_tag_set

    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *syllables, *(f"##{s}" for s in syllables))
    tokenizer = BertTokenizer(vocab={p: i for i, p in enumerate(pieces)}, model_max_length=128)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    tags = iob2_tag_set(list(dict.fromkeys(SOURCES["a"][1].values())))
    tagger = CrfTaggerConfig(encoder_config=config.to_dict(), tags=tags, window_length=128)
    Tagger(CrfTagger(tagger), tokenizer).save_pretrained(folder / "tagger")
