"""Render the example cards of this folder from generated data.

    python model_cards/render.py           # write them anew
    python model_cards/render.py --check   # only say which would change

Everything is measured, but by stand-ins that need no pretrained encoder: a tagger
that looks mentions up, and vectors of letter trigrams. Versions and times are
fixed, so that the same source gives the same files.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, DatasetDict
from huggingface_hub import RepoCard
from numpy.typing import NDArray

from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.evaluation.projection import score_merged
from esnera_hf.hub.cards import dataset_card, model_card
from esnera_hf.merging.merge import MergedData, as_source, merge_sources
from esnera_hf.merging.pseudo_labels import PseudoLabels, pseudo_labels
from esnera_hf.metrics import score_entities
from esnera_hf.report.build import all_at_once, build_report
from esnera_hf.report.report import CallFacts, SystemScores
from esnera_hf.similarity.empirical import cross_predictions
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.sources.duplicates import Duplicate
from esnera_hf.sources.leakage import find_leaks, left_out_of_train
from esnera_hf.sources.load import load_source
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import AnnotatedSentence, License, NerSource, Provenance
from esnera_hf.sources.synthetic import generate_corpora
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import Entity

FOLDER = Path(__file__).parent
SEED = 42
FLOOR = 0.8
SIZES = {"train": 200, "validation": 60, "test": 60}
REPOSITORY = "someone/demo-merged-ner"
VERSIONS = {"python": "3.11.7", "esnera-hf": "0.1.0", "datasets": "5.2.0"}
SECONDS = {"reading": 1.0, "similarity": 2.0, "merging": 1.0, "total": 4.0}

TERMS = {
    "newswire": License("cc-by-4.0", True, "CC BY 4.0: share and adapt with attribution"),
    "reviews": License("cc-by-sa-4.0", True, "CC BY-SA 4.0: share alike with attribution"),
    "finance": License("Terms of the exchange", False, "the text may not be given to third parties"),
}
HOMES = {
    "newswire": Provenance("https://example.org/newswire", "Doe 2020. A generated newswire corpus."),
    "reviews": Provenance("https://example.org/reviews", "Roe 2021. Generated reviews.", "someone/reviews"),
    "finance": Provenance("https://example.org/finance", "Poe 2022. Generated financial news."),
}


class LookupTagger:
    """Finds the mentions it has seen, the longest first; how often one had its label is its confidence.

    Args:
        sentences: to learn from.
    """

    def __init__(self, sentences: Iterable[AnnotatedSentence]) -> None:
        labels: dict[tuple[str, ...], Counter[str]] = {}
        for sentence in sentences:
            for entity in sentence.entities:
                mention = tuple(sentence.tokens[entity.start : entity.end])
                labels.setdefault(mention, Counter())[entity.label] += 1
        self.known = {
            mention: (found.most_common(1)[0][0], found.most_common(1)[0][1] / found.total())
            for mention, found in labels.items()
        }
        self.longest = max(map(len, self.known))

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[Entity]]:
        """Yield the entities of each sentence."""
        for tokens in sentences:
            entities, start = [], 0
            while start < len(tokens):
                ends = range(min(start + self.longest, len(tokens)), start, -1)
                end = next((end for end in ends if tuple(tokens[start:end]) in self.known), None)
                if end is not None:
                    entities.append(Entity(start, end, *self.known[tuple(tokens[start:end])]))
                start = end or start + 1
            yield entities

    def on(self, source: NerSource, split: str) -> Iterator[list[Entity]]:
        """Yield the entities of each sentence of a split."""
        return self.predict(sentence.tokens for sentence in source.sentences(split))


class TrigramVectors:
    """Describes a mention by the letter trigrams of itself and of the words beside it."""

    def mention_vectors(
        self, sentences: Iterable[AnnotatedSentence]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield labels and vectors of a sentence's mentions."""
        for sentence in sentences:
            if sentence.entities:
                vectors = [_trigrams(sentence.tokens, entity) for entity in sentence.entities]
                yield [entity.label for entity in sentence.entities], np.stack(vectors)


def _trigrams(tokens: Sequence[str], entity: Entity) -> NDArray[np.float32]:
    vector = np.zeros(512, dtype=np.float32)
    inside = set(range(entity.start, entity.end))
    for place in range(max(entity.start - 1, 0), min(entity.end + 1, len(tokens))):
        word = f"^{tokens[place]}$" if place in inside else f"<{tokens[place]}>"
        for start in range(len(word) - 2):
            vector[zlib.crc32(word[start : start + 3].encode()) % 512] += 1
    return vector


def make_sources() -> list[NerSource]:
    """Return the three generated corpora, with terms that differ; dates are not annotated in one of them."""
    sources = []
    for name, corpus in generate_corpora(SEED).items():
        splits = DatasetDict({s: corpus[s].select(range(size)) for s, size in SIZES.items()})
        if name == "finance":
            splits = splits.map(
                _without_dates, fn_kwargs={"tags": splits["train"].features["ner_tags"].feature}
            )
        source = load_source(splits, name=name)
        terms, provenance = TERMS[name], HOMES[name]
        sources.append(replace(source, license=terms, language="en", provenance=provenance))
    return sources


def _without_dates(row: dict[str, Any], tags: ClassLabel) -> dict[str, Any]:
    dates = {tags.str2int(tag) for tag in ("B-day", "I-day")}
    return {"ner_tags": [0 if tag in dates else tag for tag in row["ner_tags"]]}


def measure(sources: Sequence[NerSource], taggers: Mapping[str, LookupTagger]) -> SimilarityMatrix:
    """Measure all evidence about the labels."""
    labels = [ref for source in sources for ref in source.label_refs]
    counts = cross_predictions(lambda name, source: taggers[name].on(source, "train"), sources, labels)
    sums = {
        source.name: LabelCentroids.of(TrigramVectors().mention_vectors(source.sentences("train")))
        for source in sources
    }
    train = {source.name: source.summary.entities["train"] for source in sources}
    support = np.array([train[ref.source].get(ref.label, 0) for ref in labels], dtype=np.int64)
    overlap = mention_overlap(sources).matrix(labels)
    return SimilarityMatrix(tuple(labels), support, *counts, semantic_similarity(sums, labels), overlap)


def score(
    sources: Sequence[NerSource],
    taggers: Mapping[str, LookupTagger],
    mapping: LabelMapping,
    pseudo: PseudoLabels | None,
    leaks: Sequence[Duplicate],
) -> SystemScores:
    """Score a lookup tagger of the merged train split beside the sources' own, on test."""
    merged = merge_sources(sources, mapping, leaks, pseudo)
    tagger = LookupTagger(_sentences(merged, "train"))
    predictions = {s.name: (list(taggers[s.name].on(s, "test")), list(tagger.on(s, "test"))) for s in sources}
    native, unified = (
        score_merged(sources, mapping, predictions, "test", native=own) for own in (True, False)
    )
    return SystemScores(native, unified)


def _sentences(merged: DatasetDict, split: str) -> Iterator[AnnotatedSentence]:
    return as_source("merged", merged).sentences(split)


def make_facts() -> dict[str, Any]:
    """Return what the card of the merged dataset is made from."""
    sources = make_sources()
    taggers = {source.name: LookupTagger(source.sentences("train")) for source in sources}
    matrix = measure(sources, taggers)
    mapping = merge_equivalent(matrix)
    leaks = find_leaks(sources)
    pseudo = pseudo_labels(
        sources,
        mapping,
        lambda name, source: taggers[name].on(source, "train"),
        FLOOR,
        left_out_of_train(leaks),
    )
    merged = merge_sources(sources, mapping, leaks, pseudo)
    call = CallFacts(
        "align",
        tuple(source.name for source in sources),
        encoder="letter trigrams, a stand-in",
        method="equivalence",
        seed=SEED,
        settings={"evidence": {"taggers": "separate"}},
    )
    report = build_report(
        sources,
        mapping,
        MergedData(merged, leaks, pseudo),
        matrix=matrix,
        history=all_at_once(mapping, matrix),
    )
    report = replace(
        report,
        call=call,
        systems={
            "merged": score(sources, taggers, mapping, pseudo, leaks),
            "gold": score(sources, taggers, mapping, None, leaks),
        },
        seconds=SECONDS,
        versions=VERSIONS,
    )
    return {
        "repo_id": REPOSITORY,
        "report": report,
        "mapping": mapping,
        "configs": {"merged": merged},
    }


def make_cards() -> dict[str, RepoCard]:
    """Return the example cards by the name of their file."""
    facts = make_facts()
    merged, mapping, report = facts["configs"]["merged"], facts["mapping"], facts["report"]
    validation = list(_sentences(merged, "validation"))
    found = LookupTagger(_sentences(merged, "train")).predict(s.tokens for s in validation)
    scores = score_entities(
        [s.entities for s in validation], list(found), [len(s.tokens) for s in validation]
    )
    record = {"validation": scores, "arguments": {"seed": SEED}, "dataset_repo": REPOSITORY}
    tagger = model_card(
        "someone/demo-merged-tagger", mapping.unified_labels, record, report=report, mapping=mapping
    )
    return {
        "dataset.md": dataset_card(**facts),
        "recipe.md": dataset_card(**facts, text=False),
        "tagger.md": tagger,
    }


def main() -> int:
    """Write the cards, or say which would change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    check = parser.parse_args().check
    changed = []
    for name, card in make_cards().items():
        file = FOLDER / name
        if not file.exists() or file.read_text(encoding="utf-8") != str(card):
            changed.append(name)
            if not check:
                file.write_text(str(card), encoding="utf-8")
    print(f"{'would change' if check else 'written'}: {', '.join(changed) or 'none'}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
