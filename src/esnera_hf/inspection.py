"""What is in a source: labels with examples, lengths, scripts, defects, and a picture of it."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esnera_hf.drawing import new_figure, plain, save_figure, set_fonts
from esnera_hf.duplicates import Duplicates, find_duplicates
from esnera_hf.sources import SourceLike, SourceSummary, load_one
from esnera_hf.text import display_width, join_tokens, pad

PICTURE = "overview.png"
TEXT = "overview.txt"
_EXAMPLES = 5
_PERCENTILES = (5, 50, 95, 100)
_SHOWN_SCRIPTS = 4
_LONGEST_EXAMPLE = 40


@dataclass(frozen=True)
class Inspection:
    """What is in a source; ``str()`` gives what people read first.

    Attributes:
        summary: counts by split and label, and the defects met.
        examples: for each label, its most frequent mentions.
        sentence_lengths: tokens of every sentence, by split.
        mention_lengths: tokens of every mention, by label.
        scripts: share of the letters in each script, largest first.
        duplicates: sentences in two splits, and conflicting ones within a split.
    """

    summary: SourceSummary
    examples: dict[str, tuple[str, ...]]
    sentence_lengths: dict[str, list[int]]
    mention_lengths: dict[str, list[int]]
    scripts: dict[str, float]
    duplicates: Duplicates

    def __str__(self) -> str:
        lines = [str(self.summary)]
        shares = ", ".join(f"{script} {share:.0%}" for script, share in self.scripts.items())
        lines.append(f"  letters: {shares or 'none'}")
        lengths = [length for split in self.sentence_lengths.values() for length in split]
        lines.append(f"  tokens a sentence: {_percentiles(lengths)}")
        width = max(map(display_width, self.examples), default=0)
        for label, mentions in self.examples.items():
            found = ", ".join(mentions)
            lines.append(
                f"  {pad(label, width)}  tokens {_percentiles(self.mention_lengths[label])}; e.g. {found}"
            )
        if self.duplicates.pairs:
            lines += ["  " + line for line in str(self.duplicates).split("\n")]
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write the text and a picture of labels and lengths into a folder that exists."""
        (folder / TEXT).write_text(str(self) + "\n", encoding="utf-8")
        figure = new_figure(11, max(4.0, 1.5 + 0.32 * len(self.examples)))
        left, right = figure.subplots(1, 2)
        labels = sorted(self.examples, key=lambda label: sum(self._counts(label)))
        start = np.zeros(len(labels))
        for split in self.summary.entities:
            counts = np.array([self.summary.entities[split].get(label, 0) for label in labels])
            left.barh(range(len(labels)), counts, left=start, label=split)
            start = start + counts
        left.set_yticks(range(len(labels)), [plain(label) for label in labels])
        left.set_title(f"{plain(self.summary.name)}: mentions by label")
        left.legend()
        longest = max((max(lengths, default=1) for lengths in self.sentence_lengths.values()), default=1)
        right.hist(
            list(self.sentence_lengths.values()),
            bins=np.linspace(0, longest, 40).tolist(),
            stacked=True,
            label=list(self.sentence_lengths),
        )
        right.set_title("sentences by number of tokens")
        right.legend()
        set_fonts(left)
        set_fonts(right)
        save_figure(figure, folder / PICTURE)

    def _counts(self, label: str) -> list[int]:
        return [counts.get(label, 0) for counts in self.summary.entities.values()]


def inspect(source: SourceLike) -> Inspection:
    """Look into a source.

    Args:
        source: as for :func:`~esnera_hf.align`; all its splits are read.

    Raises:
        SourceNotFoundError, SourceError: it cannot be found or read.
        ConfigurationError: it is nothing that could be a source.
    """
    source = load_one(source)
    mentions: dict[str, Counter[str]] = defaultdict(Counter)
    mention_lengths: dict[str, list[int]] = defaultdict(list)
    sentence_lengths: dict[str, list[int]] = {}
    letters: Counter[str] = Counter()
    for split in source.dataset:
        sentence_lengths[split] = []
        for sentence in source.sentences(split):
            sentence_lengths[split].append(len(sentence.tokens))
            letters.update(char for token in sentence.tokens for char in token if char.isalpha())
            for entity in sentence.entities:
                mentions[entity.label][join_tokens(sentence.tokens[entity.start : entity.end])] += 1
                mention_lengths[entity.label].append(entity.end - entity.start)
    return Inspection(
        summary=source.summary,
        examples={label: _most_frequent(mentions[label]) for label in source.labels},
        sentence_lengths=sentence_lengths,
        mention_lengths={label: mention_lengths[label] for label in source.labels},
        scripts=_scripts(letters),
        duplicates=find_duplicates([source]),
    )


def _most_frequent(mentions: Counter[str]) -> tuple[str, ...]:
    ranked = sorted(mentions.items(), key=lambda item: (-item[1], item[0]))[:_EXAMPLES]
    return tuple(_shortened(mention) for mention, _ in ranked)


def _shortened(text: str) -> str:
    visible = "".join(char if char.isprintable() else "�" for char in text)
    return visible if len(visible) <= _LONGEST_EXAMPLE else visible[: _LONGEST_EXAMPLE - 1] + "…"


def _scripts(letters: Counter[str]) -> dict[str, float]:
    by_script: Counter[str] = Counter()
    for char, count in letters.items():
        by_script[unicodedata.name(char, "other").split()[0].casefold()] += count
    total = by_script.total()
    ranked = sorted(by_script.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_SCRIPTS]
    return {script: count / total for script, count in ranked}


def _percentiles(lengths: Iterable[int]) -> str:
    values = list(lengths)
    if not values:
        return "none"
    low, median, high, longest = np.percentile(values, _PERCENTILES, method="lower")
    return f"median {median}, 5–95 % {low}–{high}, longest {longest}"
