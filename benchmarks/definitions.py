"""Measure whether definitions of labels, beside heads, forms and names, tell better which labels are equal.

Reads ``quality/definitions/*.yaml``, embeds each definition (the mean of the encoder's last vectors), and fits what
``fit_relations.py`` fits a second time with how alike two definitions are: their cosine, the mean of each corpus
subtracted, and how far it lies above that of the best rival. Both are 0 where a label has no definition. Both corpora
of a pair are left out of the fit; intervals of the differences are by bootstrap over corpora.

    python benchmarks/definitions.py --data DIR --gold gold_alignments.json --encoder ENCODER --cache FOLDER
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fit_relations import Rows, Sides, base_rates, measured, names, parsed, unrelated
from quality.figures import average_precision, f1_only, macro_f1
from quality.gold import RELATIONS, GoldPair
from quality.renaming import RANDOM, UNLISTED, WRITTEN

import esnera_hf.similarity.probability as probability
from esnera_hf._internal.cache_contents import CACHE_VARIABLE
from esnera_hf._internal.console import quiet_libraries
from esnera_hf.alignment.definitions import read_definitions
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.similarity.features import best_rival
from esnera_hf.similarity.matrix import SimilarityMatrix

DEFINITIONS = Path(__file__).parent / "quality" / "definitions"
#: Layers of the encoder, and what is written before a text: that of light heads, and all with what E5 was trained with.
EMBEDDINGS = ((4, ""), (12, ""), (12, "query: "))
#: Corpora of one project were annotated by one guideline, so that their definitions say little.
_FAMILIES = ("crossner", "uner", "weibo", "bc5cdr")
_BATCH, _SAMPLES = 32, 500


class DefinedRows(Rows):
    """The features of judged pairs with those of their definitions, which are fitted as names are."""

    def __init__(
        self, matrix: SimilarityMatrix, pairs: list[GoldPair], defined: Mapping[str, np.ndarray]
    ) -> None:
        self._defined = defined
        super().__init__(matrix, pairs)
        self.measured = [name for name in self.measured if name not in defined]
        self.names = sorted({*self.names, *defined})

    def sides(self, kind: str, seed: int) -> Sides:
        """Return the features with names of one kind."""
        values = {name: square[self.first, self.second] for name, square in self._defined.items()}
        return Sides(*(side | values for side in super().sides(kind, seed)))


def main() -> None:
    """Measure and print."""
    options = parsed()
    os.environ[CACHE_VARIABLE] = str(options.cache)
    matrix, pairs, _ = measured(options)
    pairs = [pair for pair in pairs if pair.sure]
    judged = len(pairs)
    pairs += unrelated(matrix, pairs)
    truth = np.array([RELATIONS.index(pair.relation) for pair in pairs])
    definitions = {
        label: text
        for file in sorted(DEFINITIONS.glob("*.yaml"))
        for label, text in read_definitions(file).items()
    }
    texts = [definitions.get(str(label), "") for label in matrix.labels]
    both = np.array(
        [all(str(label) in definitions for label in (pair.first, pair.second)) for pair in pairs[:judged]]
    )
    apart = np.array([family(pair.first.source) != family(pair.second.source) for pair in pairs[:judged]])
    print(
        f"{len(definitions)} definitions; {both.sum()} pairs with two of them, {(truth[:judged][both] == 0).sum()} "
        f"equal; of corpora with guidelines of their own {(both & apart).sum()}, "
        f"{(truth[:judged][both & apart] == 0).sum()} equal"
    )
    print(
        "\n| definitions | names | AP | 95 % of the change | F1 | 95 % of the change | relations macro-F1 |"
    )
    print("| --- | --- | ---: | --- | ---: | --- | ---: |")
    shown = both & apart
    before: dict[str, np.ndarray] = {}
    for title, square in (("none", None), *similarities(texts, options.encoder)):
        defined = {} if square is None else features(square, texts, matrix)
        rows = DefinedRows(matrix, pairs, defined)
        for kind, probabilities in predicted(rows, truth, judged, both).items():
            before.setdefault(kind, probabilities)
            print(
                f"| {title} | {kind} | {line(probabilities, before[kind], truth[:judged], rows.corpora, shown)} |"
            )
            sys.stdout.flush()
    print(f"\nCommand: python {' '.join(sys.argv)}")


def family(source: str) -> str:
    """Return what names the guideline of a corpus."""
    return next((name for name in _FAMILIES if source.startswith(name)), source)


def similarities(texts: list[str], encoder: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield how alike definitions are by several measures, each of shape (labels, labels)."""
    for layers, prefix in EMBEDDINGS:
        title = f"{layers} layers" + f", behind '{prefix}'" * bool(prefix)
        yield title, embedded(texts, encoder, layers, prefix)
    words = [frozenset(re.findall(r"[^\W\d_]{3,}", text.casefold())) for text in texts]
    yield (
        "words in common",
        np.array([[len(one & other) / max(len(one | other), 1) for other in words] for one in words]),
    )


def embedded(texts: list[str], encoder: str, layers: int, prefix: str) -> np.ndarray:
    """Return vectors of texts, shape (texts, dimensions)."""
    with quiet_libraries():
        model, tokenizer = load_encoder(encoder, layers)
    vectors = []
    with torch.no_grad():
        for start in range(0, len(texts), _BATCH):
            batch = [prefix + text for text in texts[start : start + _BATCH]]
            pieces = tokenizer(batch, return_tensors="pt", padding=True, truncation=True)
            states, mask = model(**pieces).last_hidden_state, pieces["attention_mask"][..., None]
            vectors.append(((states * mask).sum(1) / mask.sum(1)).double().numpy())
    return np.concatenate(vectors)


def features(values: np.ndarray, texts: list[str], matrix: SimilarityMatrix) -> dict[str, np.ndarray]:
    """Return what definitions say of two labels, each of shape (labels, labels): 0 where one has none.

    Args:
        values: vectors, or similarities already.
        texts: the definitions.
        matrix: of the labels.
    """
    has = np.array([bool(text) for text in texts])
    defined = has[:, None] & has[None, :]
    if values.shape != defined.shape:
        owners = np.array([label.source for label in matrix.labels])
        for source in matrix.sources:
            of_source = (owners == source) & has
            if of_source.sum() > 1:  # the only label of a corpus would be left without a vector
                values[of_source] -= values[of_source].mean(axis=0)
            elif of_source.any():
                values[of_source] -= values[has].mean(axis=0)
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
        values = values @ values.T
    values = np.where(defined, values, 0.0)
    margin = values - best_rival(values, matrix.same_source)
    return {
        "defined": defined.astype(np.float64),
        "definition": values,
        "definition margin": np.where(defined, np.nan_to_num(np.fmin(margin, margin.T)), 0.0),
    }


def predicted(rows: Rows, truth: np.ndarray, judged: int, both: np.ndarray) -> dict[str, np.ndarray]:
    """Return the probabilities of the judged pairs by kind of name, both corpora of each left out of its fit."""
    result = {kind: np.zeros((judged, len(RELATIONS))) for kind in (WRITTEN, UNLISTED, RANDOM)}
    for pair in sorted({rows.corpora[k] for k in np.flatnonzero(both)}, key=sorted):
        held = np.array([one == pair for one in rows.corpora[:judged]])
        fitted = rows.fit(truth, np.array([one.isdisjoint(pair) for one in rows.corpora]))
        for kind, probabilities in result.items():
            probabilities[held] = rows.probabilities(fitted, np.flatnonzero(held), kind)
    return result


def line(
    after: np.ndarray, before: np.ndarray, truth: np.ndarray, corpora: list[frozenset[str]], shown: np.ndarray
) -> str:
    """Return figures of some pairs, at base rates of their own, and intervals of how they differ from others."""
    base, equal = base_rates(truth), truth[shown] == 0
    ways = [probability.shifted(values[shown], base) for values in (before, after)]
    decided = [values[:, 0] > probability.equality_threshold(values[:, 0]) for values in ways]
    pairs = [corpora[k] for k in np.flatnonzero(shown)]
    changes = np.array(
        [
            (
                average_precision(ways[1][drawn, 0], equal[drawn])
                - average_precision(ways[0][drawn, 0], equal[drawn]),
                f1_only(decided[1][drawn], equal[drawn]) - f1_only(decided[0][drawn], equal[drawn]),
            )
            for drawn in draws(pairs)
            if equal[drawn].any()
        ]
    )
    (ap_low, f1_low), (ap_high, f1_high) = np.percentile(changes, [2.5, 97.5], axis=0)
    relation = np.where(decided[1], 0, 1 + ways[1][:, 1:].argmax(axis=1))
    relations = macro_f1(names(relation), names(truth[shown]), RELATIONS)[0]
    return (
        f"{average_precision(ways[1][:, 0], equal):.3f} | {ap_low:+.3f} to {ap_high:+.3f} | "
        f"{f1_only(decided[1], equal):.3f} | {f1_low:+.3f} to {f1_high:+.3f} | {relations:.2f}"
    )


def draws(pairs: list[frozenset[str]]) -> Iterator[np.ndarray]:
    """Yield the pairs of corpora drawn with replacement, each as often as both of its corpora are drawn."""
    generator = np.random.default_rng(42)
    corpora = sorted(frozenset().union(*pairs))
    for _ in range(_SAMPLES):
        drawn: dict[Any, int] = {}
        for name in generator.choice(corpora, len(corpora)).tolist():
            drawn[name] = drawn.get(name, 0) + 1
        times = [int(np.prod([drawn.get(name, 0) for name in pair])) for pair in pairs]
        yield np.repeat(np.arange(len(pairs)), times)


if __name__ == "__main__":
    main()
