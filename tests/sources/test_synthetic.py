"""Generated corpora: decided by the seed, with mentions of their own, and labels of a known meaning."""

from __future__ import annotations

from collections import Counter

from esnera_hf.sources.load import load_source
from esnera_hf.sources.synthetic import MEANING, PARTS, SIZES, generate_corpora


def test_corpora_are_decided_by_the_seed() -> None:
    first, again, other = (
        {n: d["train"].to_dict() for n, d in generate_corpora(s).items()} for s in (1, 1, 2)
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_every_label_has_mentions_and_a_meaning_and_some_mentions_are_of_one_corpus() -> None:
    refs, people = [], []
    for name, dataset in generate_corpora(42).items():
        source = load_source(dataset, name=name)
        refs += source.label_refs
        assert {split: len(rows) for split, rows in source.dataset.items()} == SIZES
        assert min(source.summary.entities["train"].values()) >= 50
        assert not source.dropped
        label = next(ref.label for ref in source.label_refs if MEANING[ref] == "person")
        mentions = ((sentence.tokens, e) for sentence in source.sentences("train") for e in sentence.entities)
        people.append({tuple(words[e.start : e.end]) for words, e in mentions if e.label == label})
    assert sorted(refs) == sorted(MEANING)
    assert all((people[0] & people[1], people[0] - people[1], people[1] - people[0]))


def test_labels_are_equal_fine_alone_and_look_alike() -> None:
    kinds = Counter(MEANING.values())
    assert kinds["person"] == kinds["organisation"] == 3
    assert kinds["work"] == kinds["money"] == 1
    works = {ref.label for ref, kind in MEANING.items() if PARTS.get(kind) == "work"}
    assert works == {"book", "movie", "game"}
    assert sorted(kind for ref, kind in MEANING.items() if ref.label == "title") == ["job", "prize"]
