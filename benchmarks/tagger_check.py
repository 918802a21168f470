"""Is what a tagger misses the encoder's fault or a defect's?

Prints for a trained tagger and its source: F1 on sentences it was trained on
(it must fit them), on validation and test; how many words the tokenizer does
not know or turns into nothing, inside and outside entities; and how many
sentences needed more than one window.

    python benchmarks/tagger_check.py TAGGER SOURCE --max-samples 1000
"""

from __future__ import annotations

import argparse
from itertools import islice

from esnera_hf import Tagger, load_source
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.sources.source import AnnotatedSentence


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tagger")
    parser.add_argument("source")
    parser.add_argument("--max-samples", type=int, default=1000)
    options = parser.parse_args()
    with quiet_libraries():
        tagger = Tagger.from_pretrained(options.tagger)
        source = load_source(options.source)
    print(f"| {source.name} | sentences | micro-F1 | precision | recall |\n| --- | --- | --- | --- | --- |")
    held_out = [*source.sentences("validation"), *source.sentences("test")]
    parts = {
        "train": list(islice(source.sentences("train"), options.max_samples)),
        "validation": list(source.sentences("validation")),
        "test": list(source.sentences("test")),
        "validation and test": held_out,
    }
    for name, sentences in parts.items():
        micro = tagger.evaluate(sentences).micro
        print(
            f"| {name} | {len(sentences):,} | {micro.f1:.3f} | {micro.precision:.3f} | {micro.recall:.3f} |"
        )
    print(tokenization(tagger, held_out))


def tokenization(tagger: Tagger, sentences: list[AnnotatedSentence]) -> str:
    windows = tagger.words.windows([sentence.tokens for sentence in sentences])
    unknown = tagger.tokenizer.unk_token_id
    seen: set[tuple[int, int]] = set()
    lost: set[tuple[int, int]] = set()
    for window in windows:
        for word, position in zip(window.words, window.positions, strict=True):
            seen.add((window.sentence, word))
            if window.input_ids[position] == unknown:
                lost.add((window.sentence, word))
    words = [(i, j) for i, sentence in enumerate(sentences) for j in range(len(sentence.tokens))]
    inside = [(i, j) for i, s in enumerate(sentences) for e in s.entities for j in range(e.start, e.end)]
    cut = len(windows) - len({window.sentence for window in windows})
    return (
        f"\nunknown pieces: {share(lost, words)} of all words, {share(lost, inside)} of the words of entities; "
        f"words without a piece: {len(words) - len(seen):,}; sentences cut into windows: {cut:,}"
    )


def share(found: set[tuple[int, int]], words: list[tuple[int, int]]) -> str:
    return f"{sum(word in found for word in words) / len(words):.2%}"


if __name__ == "__main__":
    main()
