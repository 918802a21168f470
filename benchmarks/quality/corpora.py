"""Corpora in one form: ``NAME.SPLIT.jsonl.gz``, a sentence a line, all splits of a corpus pooled."""

from __future__ import annotations

import gzip
import json
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, DatasetDict

from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import NerSource

Span = tuple[int, int, str]

#: Sentences of each corpus that choose the epoch, and that measure taggers.
VALIDATION, TEST = 60, 40

#: Frequent short words that tell languages of one script apart, where no index names them.
_FUNCTION_WORDS = {
    "en": "the of and to in is was for that with",
    "de": "der die und das den von ist mit für nicht",
    "pt": "de que o e do da em um para não",
    "es": "de la que el en los y del las una",
    "fr": "de la le et les des en du une est",
    "it": "di che il e la in un per della non",
    "nl": "de het van een en in is dat op te",
    "da": "og i at det er en til af på der",
    "sv": "och i att det som en på är av för",
}


@dataclass(frozen=True, slots=True)
class PooledSentence:
    """Tokens of a sentence and its annotated spans."""

    tokens: tuple[str, ...]
    spans: tuple[Span, ...]


def read_corpora(folder: Path, names: Sequence[str] = ()) -> dict[str, list[PooledSentence]]:
    """Read the sentences of every corpus of ``folder/jsonl``, each text once.

    Args:
        folder: holds ``jsonl/NAME.SPLIT.jsonl.gz`` (or ``.jsonl``).
        names: the corpora wanted; all if empty.

    Raises:
        SystemExit: there is no such corpus.
    """
    files = sorted([*(folder / "jsonl").glob("*.jsonl.gz"), *(folder / "jsonl").glob("*.jsonl")])
    corpora: dict[str, dict[tuple[str, ...], PooledSentence]] = {}
    for file in files:
        name = file.name.partition(".")[0]
        if names and name not in names:
            continue
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                tokens = tuple(record["tokens"])
                spans = tuple((start, end, label) for start, end, label in record["spans"])
                if tokens:
                    corpora.setdefault(name, {}).setdefault(tokens, PooledSentence(tokens, spans))
    missing = sorted(set(names) - set(corpora))
    if missing or not corpora:
        raise SystemExit(f"{folder / 'jsonl'}: no corpus {', '.join(missing) or 'at all'}.")
    return {name: list(sentences.values()) for name, sentences in sorted(corpora.items())}


def sampled(sentences: Sequence[PooledSentence], size: int, seed: int) -> list[PooledSentence]:
    """Return at most ``size`` sentences, chosen by seed, in random order."""
    shuffled = list(sentences)
    random.Random(seed).shuffle(shuffled)
    return shuffled[:size]


def as_source(name: str, sentences: Sequence[PooledSentence]) -> NerSource:
    """Make a source of shuffled sentences, in the splits of :func:`in_splits`."""
    return load_source(in_splits(sentences), name=name, options=ReadingOptions(offsets="tokens"))


def in_splits(sentences: Sequence[PooledSentence]) -> DatasetDict:
    """Return shuffled sentences as rows: a few for validation and test, the rest to train on and to read."""
    if len(sentences) <= 2 * (VALIDATION + TEST):
        test, validation = len(sentences) // 10, len(sentences) // 5
    else:
        test, validation = TEST, TEST + VALIDATION
    rows = with_entities(sentences, test, validation)
    splits = {"test": rows[:test], "validation": rows[test:validation], "train": rows[validation:]}
    return DatasetDict({split: _rows(rows) for split, rows in splits.items()})


def with_entities(sentences: Sequence[PooledSentence], start: int, end: int) -> list[PooledSentence]:
    """Return the sentences with an annotated one between two places, which takes the place of another if need be."""
    rows = list(sentences)
    if not any(row.spans for row in rows[start:end]):
        for index, row in enumerate(rows):
            if row.spans:
                rows[start], rows[index] = row, rows[start]
                break
    return rows


def _rows(sentences: Iterable[PooledSentence]) -> Dataset:
    rows = list(sentences)
    return Dataset.from_dict(
        {
            "tokens": [list(row.tokens) for row in rows],
            "entities": [
                [{"start": start, "end": end, "label": label} for start, end, label in row.spans]
                for row in rows
            ],
        }
    )


def languages(folder: Path, corpora: Mapping[str, Sequence[PooledSentence]]) -> dict[str, str]:
    """Return the language of each corpus, as ``folder/index.json`` says, or by its letters and short words."""
    index = folder / "index.json"
    stated = {}
    if index.is_file():
        stated = {
            entry["name"]: entry["lang"] for entry in json.loads(index.read_text("utf-8")) if "lang" in entry
        }
    return {
        name: (stated.get(name) or guessed_language(sentences)).partition("-")[0]
        for name, sentences in corpora.items()
    }


def guessed_language(sentences: Sequence[PooledSentence]) -> str:
    """Guess a language: by script, and among those written in Latin letters by frequent short words."""
    scripts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for sentence in sentences[:500]:
        words.update(token.lower() for token in sentence.tokens)
        for character in "".join(sentence.tokens):
            if character.isalpha():
                scripts[unicodedata.name(character, "?").split()[0]] += 1
    total = max(scripts.total(), 1)
    if (scripts["HIRAGANA"] + scripts["KATAKANA"]) / total > 0.1:
        return "ja"
    script = max(scripts, key=lambda name: scripts[name], default="?")
    if script in ("CJK", "HANGUL"):
        return {"CJK": "zh", "HANGUL": "ko"}[script]
    if script != "LATIN":
        return script.lower()
    return max(_FUNCTION_WORDS, key=lambda code: sum(words[word] for word in _FUNCTION_WORDS[code].split()))
