"""The card of a merged dataset, or of the recipe that it can be made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esnera_hf.alignment import LabelMapping
from esnera_hf.cards.card import Card
from esnera_hf.cards.facts import DatasetCardFacts
from esnera_hf.cards.labels import (
    annotated_coarsely,
    evidence_rows,
    mentions,
    merged_by_meaning_alone,
    merged_labels,
    not_annotated,
    weakest_merges,
)
from esnera_hf.cards.making import making, merge_steps, own_tagger, quoted
from esnera_hf.cards.markdown import render
from esnera_hf.cards.metadata import (
    data_entries,
    languages,
    licence_entries,
    multilinguality,
    size_category,
    source_datasets,
)
from esnera_hf.cards.scores import large_losses, main_scores, own_taggers, score_rows, system_rows
from esnera_hf.cards.sources import left_out_rows, named_as, notes, source_rows
from esnera_hf.cards.statistics import Statistics, count_dataset
from esnera_hf.merging import GOLD, PSEUDO
from esnera_hf.report.files import FLOW_PICTURE
from esnera_hf.report.flow import describe_flow
from esnera_hf.report.html import LARGE_LOSS
from esnera_hf.text import shorten

_LONGEST_NAME = 100
_NEAR = 5
_TITLES = {
    "labels": "Labels",
    "evidence": "Evidence",
    "near": "What stayed apart",
    "scores": "F1 before and after",
    "statistics": "Statistics",
    "pseudo": "Pseudo-labels",
    "left_out": "What was left out",
    "columns": "Columns",
    "limits": "Limits",
    "making": "How it was made",
    "sources": "Licences",
    "citation": "Citation",
}


def dataset_card(facts: DatasetCardFacts) -> Card:
    """Return the card of a merged dataset; without its text, of the recipe.

    Args:
        facts: what is known of it.
    """
    statistics = count_dataset(facts.merged)
    return Card(_metadata(facts, statistics), render("dataset.md.jinja", _values(facts, statistics)))


def _metadata(facts: DatasetCardFacts, statistics: Statistics) -> dict[str, Any]:
    sources = facts.report.sources
    pseudo = statistics.count(origin=PSEUDO) > 0
    tags = ["esnera", "named-entity-recognition", "label-alignment", "dataset-merging", "esnera-hf"]
    metadata = {
        "pretty_name": _title(facts.mapping),
        **licence_entries(facts.terms),
        "language": languages(sources),
        "multilinguality": multilinguality(sources),
        "annotations_creators": ["found"] + ["machine-generated"] * pseudo,
        "size_categories": [size_category(statistics.sentences.total())],
        "source_datasets": source_datasets(sources),
        "task_categories": ["token-classification"],
        "task_ids": ["named-entity-recognition"],
        "tags": tags + ["pseudo-labels"] * pseudo + ["recipe"] * (not facts.text),
        **(data_entries(facts.configs) if facts.text else {}),
    }
    return {key: value for key, value in metadata.items() if value}


def _title(mapping: LabelMapping) -> str:
    return shorten(" + ".join(mapping.sources), _LONGEST_NAME) + ": named entities in one label schema"


def _values(facts: DatasetCardFacts, statistics: Statistics) -> dict[str, Any]:
    content = _content(facts, statistics)
    sections = {
        "use": "Load it" if facts.text else "Make it from your own copies",
        **{key: title for key, title in _TITLES.items() if content[key]},
    }
    return {
        **content,
        "title": _title(facts.mapping),
        "repo": facts.repo_id,
        "report": facts.report,
        "mapping": facts.mapping,
        "terms": facts.terms,
        "whole": "the dataset" if facts.text else "the dataset made from this recipe",
        "configs": list(facts.configs),
        "text": facts.text,
        "sections": sections,
        "applied": not facts.report.stages,
        "typed": facts.mapping.method == "equivalence" and bool(facts.report.stages),
        "splits": _split_rows(statistics),
        "calls": _calls(facts),
        "large_loss": LARGE_LOSS,
        "flow": {"file": FLOW_PICTURE, "said": describe_flow(facts.mapping)},
        "before": own_tagger(facts.report),
    }


def _content(facts: DatasetCardFacts, statistics: Statistics) -> dict[str, Any]:
    report, mapping = facts.report, facts.mapping
    scores = main_scores(report)
    evidence = evidence_rows(mapping, report.examples if facts.text else {})
    left_out = {
        "rows": list(left_out_rows(report.sources)),
        "notes": list(notes(report.sources)),
        "labels": [row for row in evidence if row["unified"] is None],
        "leaks": report.leaks,
        "examples": report.dropped if facts.text else [],
    }
    return {
        "labels": merged_labels(mapping, statistics),
        "evidence": evidence,
        "compared": any(row["other"] is not None for row in evidence),
        "near": _near(facts),
        "scores": scores and {"split": scores["split"], "rows": score_rows(scores)},
        "systems": system_rows(report),
        "own": list(own_taggers(report)),
        "statistics": _statistics(statistics, mapping),
        "pseudo": _pseudo(facts, statistics),
        "left_out": left_out if any(left_out.values()) else None,
        "columns": facts.text,
        "limits": _limits(facts, statistics),
        "making": making(report),
        "steps": list(merge_steps(report)),
        "sources": source_rows(report.sources, facts.terms),
        "citation": True,
    }


def _split_rows(statistics: Statistics) -> list[dict[str, Any]]:
    return [
        {
            "name": split,
            "sentences": sum(n for (part, _), n in statistics.sentences.items() if part == split),
            "tokens": sum(n for (part, _), n in statistics.tokens.items() if part == split),
            "entities": statistics.count(split=split),
            "pseudo": statistics.count(split=split, origin=PSEUDO),
        }
        for split in statistics.splits
    ]


def _calls(facts: DatasetCardFacts) -> dict[str, str]:
    """Return the Python that loads or makes the dataset; it quotes every name as Python does."""
    repo = quoted(facts.repo_id)
    first = next(iter(facts.configs))
    split = next((split for split, rows in facts.merged.items() if len(rows)), "train")
    load = [
        "from datasets import load_dataset\n",
        f"dataset = load_dataset({repo})",
        f'tags = dataset["{split}"].features["ner_tags"].feature.names',
        *_by_source(repo, [name for name in facts.configs if name != first]),
    ]
    pinned = f'dataset = load_dataset({repo}, revision="FULL-HASH-OF-A-COMMIT")'
    reading = facts.report.settings.get("reading") or [{}] * len(facts.report.sources)
    given = ", ".join(_given_again(*pair) for pair in zip(facts.report.sources, reading, strict=True))
    levels = (
        'import esnera_hf\n\ncoarse = esnera_hf.view(dataset, "coarse")\n'
        'original = esnera_hf.view(dataset, "original")'
    )
    rebuild = f"import esnera_hf\n\nrebuilt = esnera_hf.apply({repo}, [{given}])\nrebuilt.dataset"
    return {"load": "\n".join(load), "pinned": pinned, "rebuild": rebuild, "levels": levels}


def _given_again(summary: Mapping[str, Any], reading: Mapping[str, Any]) -> str:
    """Return the Python that names a source, to be read as it was read."""
    name = quoted(named_as(summary))
    if not reading:
        return name
    options = ", ".join(f"{key}={value!r}" for key, value in reading.items())
    return f"esnera_hf.load_source({name}, options=esnera_hf.ReadingOptions({options}))"


def _by_source(repo: str, names: Sequence[str]) -> list[str]:
    """Return the Python that loads the configurations of the sources, by name."""
    if not names:
        return []
    listed = ", ".join(map(quoted, names))
    return [f"by_source = {{name: load_dataset({repo}, name) for name in [{listed}]}}"]


def _near(facts: DatasetCardFacts) -> list[dict[str, Any]]:
    examples = facts.report.examples if facts.text else {}
    return [
        {**pair, **{f"{side}_examples": mentions(examples, pair[side]) for side in ("one", "other")}}
        for pair in facts.report.near[:_NEAR]
    ]


def _statistics(statistics: Statistics, mapping: LabelMapping) -> dict[str, Any]:
    found = {(label, source) for _, source, label, _ in statistics.entities}
    labels = sorted(found, key=lambda pair: (mapping.unified_labels.index(pair[0]), pair[1]))
    return {
        "sources": [
            {
                "name": source,
                "sentences": [statistics.sentences[split, source] for split in statistics.splits],
                "entities": statistics.count(source=source),
            }
            for source in statistics.sources
        ],
        "labels": [
            {
                "label": label,
                "source": source,
                "gold": [statistics.entities[split, source, label, GOLD] for split in statistics.splits],
                "pseudo": statistics.count(source=source, label=label, origin=PSEUDO),
            }
            for label, source in labels
        ],
    }


def _pseudo(facts: DatasetCardFacts, statistics: Statistics) -> dict[str, Any] | None:
    found = facts.report.pseudo
    if found is None:
        return None
    rows = []
    for label in facts.mapping.unified_labels:
        gold = statistics.count(split="train", label=label, origin=GOLD)
        added = statistics.count(split="train", label=label, origin=PSEUDO)
        if added:
            rows.append({"label": label, "gold": gold, "pseudo": added, "share": added / (gold + added)})
    return {"floor": found["floor"], "rejected": found["rejected"], "labels": rows}


def _limits(facts: DatasetCardFacts, statistics: Statistics) -> dict[str, Any]:
    mapping, scores = facts.mapping, main_scores(facts.report)
    names = {str(source["name"]) for source in facts.report.sources}
    train = statistics.count(split="train")
    pseudo = statistics.count(split="train", origin=PSEUDO)
    return {
        "pseudo": pseudo,
        "share": pseudo / train if train else 0.0,
        "not_annotated": list(not_annotated(mapping, names)),
        "coarsely": list(annotated_coarsely(mapping, names)),
        "losses": large_losses(scores, mapping),
        "split": scores and scores["split"],
        "weakest": weakest_merges(mapping),
        "meaning_alone": merged_by_meaning_alone(mapping),
        "unmeasured": _unmeasured(facts),
        "own_leaks": sum(leak["sentences"] for leak in facts.report.leaks if not leak["left_out"]),
        "sampled": facts.report.settings.get("sentences"),
        "unshared": [
            name for name, licence in facts.terms.by_source.items() if licence.text_may_be_shared is not True
        ],
    }


def _unmeasured(facts: DatasetCardFacts) -> dict[str, int] | None:
    """Count the pairs of labels of different sources, and those that no tagger says anything of."""
    matrix = facts.similarity
    if matrix is None:
        return None
    owners = [label.source for label in matrix.labels]
    pairs = [(i, j) for j in range(len(owners)) for i in range(j) if owners[i] != owners[j]]
    unknown = sum(not matrix.predicted[i, j] and not matrix.predicted[j, i] for i, j in pairs)
    return {"pairs": len(pairs), "unknown": int(unknown)} if unknown else None
