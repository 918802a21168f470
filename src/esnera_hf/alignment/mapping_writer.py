"""A label mapping becomes ``mapping.yaml``, with comments for the people who edit it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from esnera_hf.alignment.mapping import MERGE, TREE_MERGE, VERSION, LabelMapping, MappedLabel, MappingStage
from esnera_hf.similarity import Agreement
from esnera_hf.text import shorten
from esnera_hf.yaml_text import dump_yaml

_LONGEST_NAME = 60

_HEADER = """\
# Label mapping of esnera_hf: what each label of each source is called in the merged dataset.
#
# To change it, edit the entries below `labels`:
#   unified: may be changed to any name of unified_labels (add a name there to make a new label), or
#     to null to leave the entities of the label out of the merged dataset.
#   same_as: "source:label", instead of unified, sends the label wherever that one goes.
#   locked: true makes the next align keep the line: the unified label, or none, and the parent of that
#     unified label, or none. All else is decided anew.
# To apply it: esnera-hf apply mapping.yaml SOURCES
#
# relation says how the source label relates to the unified one; mentions counts those of its train
# split. compared_with is the label it was merged into, or the nearest one of another source; the
# evidence below it is for that pair: forward counts the entities a tagger of this source predicts as
# this label on the other source's text (predicted) and those of them the other source annotates so
# (matched), backward the reverse.
"""

_TREE_HEADER = """\
#
# parents says which unified label is a part of which (book: PRODUCT). ner_tags of the merged dataset
# holds the label of the source, coarse_tags the outermost one. Without parents, and with merge: flat,
# no label is a part of another.
"""


def write_mapping(mapping: LabelMapping) -> str:
    """Return a mapping as YAML with comments that explain it.

    Entries keep their order; a comment stands before each run of labels that go
    to the same unified label.
    """
    merge = MERGE if mapping.is_flat else TREE_MERGE
    parts = [
        _HEADER,
        "" if mapping.is_flat else _TREE_HEADER,
        dump_yaml({"version": VERSION, "merge": merge}),
    ]
    if mapping.stages:
        parts += ["stages:\n", *map(_stage_text, mapping.stages)]
    parts.append(dump_yaml({"unified_labels": list(mapping.unified_labels)}))
    if not mapping.is_flat:
        parts.append(dump_yaml({"parents": dict(mapping.parents)}))
    parts.append("labels:\n" if mapping.entries else "labels: []\n")
    groups: dict[str | None, list[MappedLabel]] = {}
    for entry in mapping.entries:
        groups.setdefault(entry.unified, []).append(entry)
    for unified, entries in groupby(mapping.entries, key=lambda entry: entry.unified):
        run = list(entries)
        parts.append(f"\n# {_group_line(unified, run, groups[unified])}\n")
        parts += map(_entry_text, run)
    return "".join(parts)


def _in_one_line(data: dict[str, Any]) -> str:
    return dump_yaml(data, flow=True).removesuffix("\n")


def _group_line(unified: str | None, run: Sequence[MappedLabel], group: Sequence[MappedLabel]) -> str:
    """Name a unified label and count what goes there, in one line whatever the name holds."""
    name = "left out of the merged dataset" if unified is None else shorten(unified, _LONGEST_NAME)
    labels = f"{len(group):,} label{'s' * (len(group) != 1)}"
    total = sum(entry.mentions for entry in group)
    mentions = f"{total:,} mention{'s' * (total != 1)}"
    if len(run) == len(group):
        return f"{name}: {labels}, {mentions}"
    return f"{name}: {len(run):,} of {labels}, {sum(entry.mentions for entry in run):,} of {mentions}"


def _stage_text(stage: MappingStage) -> str:
    data = {
        "sources": list(stage.sources),
        "target": stage.target,
        "lambda": _known(stage.lam),
        "tau": _known(stage.tau),
    }
    return f"- {_in_one_line(data)}\n"


def _entry_text(entry: MappedLabel) -> str:
    data = {
        "source": entry.label.source,
        "label": entry.label.label,
        "unified": entry.unified,
        "relation": entry.relation,
        "mentions": int(entry.mentions),
    }
    if entry.locked:
        data["locked"] = True
    return dump_yaml([data]) + _compared_text(entry)


def _compared_text(entry: MappedLabel) -> str:
    """Return the pair and its evidence as one flow mapping, an agreement a line."""
    if entry.compared_with is None:
        return ""
    pair = {
        "source": entry.compared_with.source,
        "label": entry.compared_with.label,
        "similarity": _known(entry.similarity),
    }
    evidence = entry.evidence
    if evidence is None:
        return f"  compared_with: {_in_one_line(pair)}\n"
    first = _in_one_line(pair | {"semantic": _known(evidence.semantic)})
    forward, backward = (
        _in_one_line(_agreement_to_dict(agreement)) for agreement in (evidence.forward, evidence.backward)
    )
    return (
        f"  compared_with: {first.removesuffix('}')},\n"
        f"    empirical_forward: {forward},\n"
        f"    empirical_backward: {backward}}}\n"
    )


def _agreement_to_dict(agreement: Agreement) -> dict[str, Any]:
    ratio = agreement.ratio
    return {
        "share": None if ratio is None else round(ratio, 4),
        "matched": int(agreement.matched),
        "predicted": int(agreement.predicted),
    }


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)
