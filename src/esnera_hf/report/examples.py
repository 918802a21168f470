"""Examples for a report: mentions of labels in context, and annotated spans that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from esnera_hf.sources import NerSource
from esnera_hf.text import join_tokens, shorten

EXAMPLES = 3
_CONTEXT = 30
_LONGEST_MENTION = 80


def mentions_in_context(sources: Sequence[NerSource]) -> dict[str, list[dict[str, Any]]]:
    """Return up to three different mentions of each label with the text around them, train first.

    Args:
        sources: the sources.

    Returns:
        By ``source:label``: ``left``, ``mention``, ``right`` and the sentence's
        ``id``.
    """
    found: dict[str, list[dict[str, Any]]] = {str(ref): [] for source in sources for ref in source.label_refs}
    for source in sources:
        wanting = set(source.labels)
        for split in source.dataset:
            for sentence in source.sentences(split) if wanting else ():
                for entity in sentence.entities:
                    examples = found[f"{source.name}:{entity.label}"]
                    if entity.label not in wanting:
                        continue
                    example = in_context(sentence.tokens, entity.start, entity.end)
                    if example["mention"] not in {known["mention"] for known in examples}:
                        examples.append({**example, "id": sentence.id})
                    if len(examples) == EXAMPLES:
                        wanting.discard(entity.label)
                if not wanting:
                    break
    return found


def in_context(tokens: Sequence[str], start: int, end: int) -> dict[str, str]:
    """Return a mention and some text on both sides of it; ``…`` stands for what was cut."""
    mention = join_tokens(tokens[start:end])
    left, right = join_tokens(tokens[:start]), join_tokens(tokens[end:])
    # The space beside the mention, where the script has one.
    left += " " if join_tokens(tokens[:end]).endswith(f" {mention}") else ""
    right = (" " if join_tokens(tokens[start:]).startswith(f"{mention} ") else "") + right
    return {
        "left": left if len(left) <= _CONTEXT else "…" + left[-_CONTEXT:],
        "mention": shorten(mention, _LONGEST_MENTION),
        "right": right if len(right) <= _CONTEXT else right[:_CONTEXT] + "…",
    }


def dropped_spans(sources: Sequence[NerSource]) -> list[dict[str, Any]]:
    """Return up to three annotated spans a source and reason that were left out while reading."""
    shown = []
    for source in sources:
        by_reason: dict[str, int] = {}
        for drop in source.dropped:
            by_reason[drop.reason] = by_reason.get(drop.reason, 0) + 1
            if by_reason[drop.reason] <= EXAMPLES:
                shown.append(
                    {
                        "source": source.name,
                        "where": drop.where,
                        "label": drop.label,
                        "mention": shorten(drop.mention, _LONGEST_MENTION),
                        "reason": drop.reason,
                    }
                )
    return shown
