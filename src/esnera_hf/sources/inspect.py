"""Sources at a glance: labels with examples, lengths, scripts, defects; of several, their overlap."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from esnera_hf._internal.text import display_width, join_tokens, pad, shorten
from esnera_hf.sources.duplicates import find_duplicates
from esnera_hf.sources.load import SourceLike, load_each, load_source
from esnera_hf.sources.overlap import MentionOverlap, mention_overlap
from esnera_hf.sources.readings import marked_sentence
from esnera_hf.sources.source import NerSource, RawSentence

_EXAMPLES = 5
_FIRST = 3
_LONGEST_EXAMPLE = 40
_SHOWN_SCRIPTS = 4
#: Labels that are shown: with what stands around them they fit a screen of forty lines.
_SHOWN_LABELS = 16


class Inspection:
    """Content of all splits of one source; ``str()`` gives one screen of it, :meth:`details` all.

    Attributes:
        reading: what its columns or keys were taken for.
        first_sentences: its first sentences, entities in brackets.
        summary: counts by split and label, and the defects met.
        examples: for each label, its most frequent mentions.
        sentence_lengths: tokens of every sentence, by split.
        mention_lengths: tokens of every mention, by label.
        scripts: share of the letters in each script, largest first.
        duplicates: sentences in two splits, and conflicting ones within a split.
    """

    def __init__(self, source: NerSource) -> None:
        mentions: dict[str, Counter[str]] = {label: Counter() for label in source.labels}
        letters: Counter[str] = Counter()
        self.sentence_lengths: dict[str, list[int]] = {split: [] for split in source.dataset}
        self.mention_lengths: dict[str, list[int]] = {label: [] for label in source.labels}
        for split, lengths in self.sentence_lengths.items():
            for sentence in source.sentences(split):
                lengths.append(len(sentence.tokens))
                letters.update(char for token in sentence.tokens for char in token if char.isalpha())
                for entity in sentence.entities:
                    mentions[entity.label][join_tokens(sentence.tokens[entity.start : entity.end])] += 1
                    self.mention_lengths[entity.label].append(entity.end - entity.start)
        self.summary = source.summary
        self.reading = source.reading
        first = islice(chain.from_iterable(map(source.sentences, source.dataset)), _FIRST)
        self.first_sentences = [
            marked_sentence(RawSentence(sentence.tokens, sentence.entities, sentence.id))
            for sentence in first
        ]
        self.examples = {
            label: tuple(shorten(mention, _LONGEST_EXAMPLE) for mention, _ in _ranked(texts)[:_EXAMPLES])
            for label, texts in mentions.items()
        }
        self.scripts = _scripts(letters)
        self.duplicates = find_duplicates([source])

    def __str__(self) -> str:
        frequent = sorted(self.examples, key=lambda label: -len(self.mention_lengths[label]))[:_SHOWN_LABELS]
        return self._text([label for label in self.examples if label in frequent], str(self.duplicates))

    def details(self) -> str:
        """Return all labels, and examples of sentences that stand twice."""
        return self._text(list(self.examples), self.duplicates.details())

    def _text(self, labels: Sequence[str], duplicates: str) -> str:
        lines = [f"read as {line}" if line == self.reading[0] else f"        {line}" for line in self.reading]
        lines += [f"first   {self.first_sentences[0]}"] if self.first_sentences else []
        lines += [f"        {sentence}" for sentence in self.first_sentences[1:]]
        lines.append(str(self.summary))
        shares = ", ".join(f"{script} {share:.0%}" for script, share in self.scripts.items())
        lines.append(f"  letters: {shares or 'none'}")
        lengths = [length for split in self.sentence_lengths.values() for length in split]
        lines.append(f"  tokens a sentence: {_percentiles(lengths)}")
        width = max(map(display_width, labels), default=0)
        for label in labels:
            tokens = _percentiles(self.mention_lengths[label])
            lines.append(f"  {pad(label, width)}  tokens {tokens}; e.g. {', '.join(self.examples[label])}")
        if len(labels) < len(self.examples):
            lines.append(f"  … and {len(self.examples) - len(labels):,} rarer labels")
        if self.duplicates.pairs:
            lines += ["  " + line for line in duplicates.split("\n")]
        return "\n".join(lines)

    __repr__ = __str__


def inspect(
    sources: SourceLike | Sequence[SourceLike], *, splits: Sequence[str] = ("train",)
) -> Inspection | MentionOverlap:
    """Look into one source, or at what several have in common.

    Args:
        sources: one source, as for :func:`~esnera_hf.align`; or a list of two or more.
        splits: of several sources, the splits whose mentions are compared.

    Returns:
        The content of one source, or the overlap of several, with their duplicates;
        ``print`` shows either.

    Raises:
        SourceNotFoundError, SourceError: a source cannot be found or read.
        ConfigurationError: it is nothing that could be a source, or two are of one name.
    """
    if not isinstance(sources, Sequence) or isinstance(sources, str):
        return Inspection(load_source(sources))
    loaded = load_each(sources)
    if len(loaded) == 1:
        return Inspection(loaded[0])
    overlap = mention_overlap(loaded, splits=splits)
    return replace(overlap, duplicates=find_duplicates(loaded))


def _scripts(letters: Counter[str]) -> dict[str, float]:
    by_script: Counter[str] = Counter()
    for char, count in letters.items():
        # Unicode names a letter after its script: LATIN SMALL LETTER A.
        by_script[unicodedata.name(char, "other").split()[0].casefold()] += count
    return {script: count / by_script.total() for script, count in _ranked(by_script)[:_SHOWN_SCRIPTS]}


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _percentiles(lengths: Iterable[int]) -> str:
    values = list(lengths)
    if not values:
        return "none"
    # "lower" gives whole tokens.
    low, median, high, longest = np.percentile(values, (5, 50, 95, 100), method="lower")
    return f"median {median}, 5–95 % {low}–{high}, longest {longest}"
