"""What a dataset card shows of the data and of where its labels come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

from datasets import DatasetDict

from esnera_hf._internal.text import shorten, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.hub.markdown import escape
from esnera_hf.merging.export import exported_sentences
from esnera_hf.report.format import figure
from esnera_hf.report.tables import is_merge, score_name
from esnera_hf.tagging import LabelRef, tags_from_entities

#: Rows among which the example is looked for, and the most tokens of it: it should fit a line or two.
_LOOKED_AT, _MOST_TOKENS, _LONGEST_TOKEN = 500, 16, 40
#: Mentions of a label in its row of the table.
_MENTIONS = 2


def example_row(merged: DatasetDict) -> str:
    """Return a row as JSON, its tags by name: of the first rows the one with most labels, the shortest of these."""
    best: tuple[tuple[int, int], str] | None = None
    for rows in islice((rows for rows in merged.values() if len(rows)), 1):
        for sentence, _ in islice(exported_sentences(rows), _LOOKED_AT):
            labels = {entity.label for entity in sentence.entities}
            if not labels or len(sentence.tokens) > _MOST_TOKENS:
                continue
            rank = (-len(labels), len(sentence.tokens))
            if best is None or rank < best[0]:
                shown = {
                    "id": sentence.id,
                    "tokens": [shorten(visible(token), _LONGEST_TOKEN) for token in sentence.tokens],
                    "ner_tags": tags_from_entities(len(sentence.tokens), sentence.entities),
                    "source": sentence.source,
                }
                best = rank, json.dumps(shown, ensure_ascii=False)
    return "" if best is None else best[1]


def origin(mapping: LabelMapping, entry: MappedLabel, mentions: Callable[[LabelRef], list[str]]) -> str:
    """Return a source label with what it rests on, where it was merged, and two of its mentions, as Markdown."""
    text = escape(entry.label)
    if is_merge(mapping, entry):
        text += f" ({score_name(mapping)} {figure(entry.similarity)})"
    examples = ", ".join(escape(mention) for mention in mentions(entry.label)[:_MENTIONS])
    return f"{text}: {examples}" if examples else text
