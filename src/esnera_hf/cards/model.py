"""The card of a tagger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from esnera_hf.cards.card import Card
from esnera_hf.cards.facts import ModelCardFacts
from esnera_hf.cards.labels import mentions, not_annotated
from esnera_hf.cards.making import making, own_tagger, quoted
from esnera_hf.cards.markdown import render
from esnera_hf.cards.metadata import evaluation, hub_ids, is_repository, languages, licence_entries
from esnera_hf.cards.scores import label_rows, large_losses, main_scores, score_rows
from esnera_hf.cards.sources import source_rows
from esnera_hf.report.html import LARGE_LOSS

_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_EXAMPLES = 6
_MEASURES = ("f1", "precision", "recall")
_TITLES = {
    "labels": "Labels",
    "scores": "Scores",
    "training": "Training",
    "limits": "Limits",
    "sources": "Licences",
    "citation": "Citation",
}


def model_card(facts: ModelCardFacts) -> Card:
    """Return the card of a tagger.

    Args:
        facts: what is known of it.
    """
    return Card(_metadata(facts), render("model.md.jinja", _values(facts)))


def _metadata(facts: ModelCardFacts) -> dict[str, Any]:
    merged = [facts.dataset_repo] if is_repository(facts.dataset_repo) else []
    datasets = [*merged, *hub_ids(facts.summaries)]
    metadata = {
        **licence_entries(facts.terms),
        "language": languages(facts.summaries),
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "base_model": facts.base_encoder if _MODEL_ID.fullmatch(facts.base_encoder) else "",
        "datasets": list(dict.fromkeys(datasets)),
        "metrics": list(_MEASURES) if facts.record.get("validation") else [],
        "tags": ["esnera", "esnera-hf", "named-entity-recognition", "crf"],
        "model-index": evaluation(_name(facts), _results(facts)),
    }
    return {key: value for key, value in metadata.items() if value}


def _name(facts: ModelCardFacts) -> str:
    return facts.repo_id.rpartition("/")[2]


def _test_scores(facts: ModelCardFacts) -> dict[str, Any] | None:
    """Return the scores on test of the tagger that was trained on the merged dataset."""
    found = None if facts.report is None else main_scores(facts.report)
    return found if found is not None and found["split"] == "test" else None


def _results(facts: ModelCardFacts) -> list[tuple[str, str, str, Mapping[str, float | None]]]:
    """Return what was measured: on test by source, or else on validation of all training data."""
    scores = _test_scores(facts)
    hub = {str(s["name"]): (hub_ids([s]) or [""])[0] for s in facts.summaries}
    if scores is not None:
        return [
            (name, hub.get(name, ""), "test", {"f1": found["micro"]["after"]["value"]})
            for name, found in scores["sources"].items()
        ]
    split = "test" if _tested(facts) else "validation"
    if not facts.record.get(split):
        return []
    micro = facts.record[split]["micro"]
    name = facts.dataset_repo or " + ".join(hub) or _name(facts)
    alone = next(iter(hub.values())) if len(hub) == 1 else ""
    return [(name, facts.dataset_repo or alone, split, {kind: micro[kind] for kind in _MEASURES})]


def _tested(facts: ModelCardFacts) -> Mapping[str, Any] | None:
    """Return the scores on the test split of the only source, if it holds any entity."""
    test = facts.record.get("test")
    return test if test and test["micro"]["support"] else None


def _values(facts: ModelCardFacts) -> dict[str, Any]:
    labels = _label_rows(facts)
    scores = _test_scores(facts)
    validation, test = facts.record.get("validation"), _tested(facts)
    training = {
        "arguments": list(dict(facts.record.get("arguments") or {}).items()),
        "history": list(facts.record.get("history") or []),
        "making": [] if facts.report is None else making(facts.report),
    }
    content = {
        "labels": labels,
        "scores": None if scores is None else {"rows": score_rows(scores), "labels": label_rows(scores)},
        "by_label": _by_label(test or validation or {}),
        "training": training if any(training.values()) else None,
        "limits": _limits(facts, scores),
        "sources": source_rows(facts.summaries, facts.terms),
        "citation": True,
    }
    present = {**content, "scores": scores or test or validation}
    return {
        **content,
        "name": _name(facts),
        "facts": facts,
        "validation": validation,
        "test": test,
        "examples": any(row["examples"] for row in labels),
        "parts": any(row["parent"] for row in labels),
        "merges": facts.mapping is not None and len(facts.mapping.sources) > 1,
        "base": facts.base_encoder if _MODEL_ID.fullmatch(facts.base_encoder) else "",
        "dataset": facts.dataset_repo if is_repository(facts.dataset_repo) else "",
        "sections": {"use": "Use", **{key: title for key, title in _TITLES.items() if present[key]}},
        "calls": _calls(quoted(facts.repo_id)),
        "terms": facts.terms,
        "whole": "the training data",
        "large_loss": LARGE_LOSS,
        "before": "" if facts.report is None else own_tagger(facts.report),
    }


def _calls(repo: str) -> dict[str, str]:
    """Return the Python that uses the tagger."""
    return {
        "transformers": (
            "from transformers import pipeline\n\n"
            f'tagger = pipeline("token-classification", model={repo}, trust_remote_code=True)\n'
            'tagger("…")'
        ),
        "package": (
            "import esnera_hf\n\n"
            f"tagger = esnera_hf.Tagger.from_pretrained({repo})\n"
            'for entities in tagger.predict([["some", "words"]], scores=True):\n'
            "    print(entities)"
        ),
    }


def _label_rows(facts: ModelCardFacts) -> list[dict[str, Any]]:
    """Return a row a label: what it merges, and mentions of sources whose text may be shared."""
    mapping, report = facts.mapping, facts.report
    shared = {name for name, licence in facts.terms.by_source.items() if licence.text_may_be_shared is True}
    rows = []
    for label in facts.tagger_labels:
        members = () if mapping is None else mapping.members(label)
        by_member = [
            mentions(report.examples, str(member))
            for member in members
            if report is not None and member.source in shared
        ]
        # The first mention of each member, then the second ones.
        found = [mention for turn in zip_longest(*by_member) for mention in turn if mention is not None]
        members_text = [str(member) for member in members]
        rows.append(
            {
                "name": label,
                "parent": None if mapping is None else mapping.parents.get(label),
                "members": members_text,
                "examples": list(dict.fromkeys(found))[:_EXAMPLES],
            }
        )
    return rows


def _by_label(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"label": label, **score} for label, score in scores.get("by_label", {}).items()]


def _limits(facts: ModelCardFacts, scores: Mapping[str, Any] | None) -> dict[str, Any]:
    report, mapping = facts.report, facts.mapping
    names = {str(summary["name"]) for summary in facts.summaries}
    pseudo = None if report is None else report.pseudo
    tested = scores is not None or bool(_tested(facts))
    return {
        "pseudo": None if not pseudo or not pseudo["total"] else pseudo,
        "not_annotated": [] if mapping is None else list(not_annotated(mapping, names)),
        "losses": large_losses(scores, mapping),
        "unmeasured": not tested and not facts.record.get("validation"),
        "validation_only": not tested and bool(facts.record.get("validation")),
    }
