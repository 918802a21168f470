"""``mapping.yaml``: a label mapping as a file that people read and edit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, get_args

import yaml
from yaml.nodes import MappingNode, Node

from esnera_hf.alignment.mapping import LabelMapping, MappedLabel, MappingStage, Relation
from esnera_hf.alignment.references import follow_references
from esnera_hf.alignment.yaml_nodes import YamlDocument, hint, is_null, line_of, shown
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence
from esnera_hf.tagging import OUTSIDE
from esnera_hf.text import shorten

VERSION = 1
_MERGE = "flat"
_LONGEST_NAME = 60
_EVIDENCE = ("semantic", "empirical_forward", "empirical_backward")
#: Reading would fold them into spaces, and editors take them for the end of a line.
_LINE_BREAKS = "\n\r\x85\u2028\u2029"

_HEADER = """\
# Label mapping of esnera_hf: what each label of each source is called in the merged dataset.
#
# To change it, edit the entries below `labels`:
#   unified: may be changed to any name of unified_labels (add a name there to make a new label), or
#     to null to leave the entities of the label out of the merged dataset.
#   same_as: "source:label", instead of unified, sends the label wherever that one goes.
#   locked: true makes the next align keep the line.
# To apply it: esnera-hf apply mapping.yaml SOURCES
#
# relation says how the source label relates to the unified one; mentions counts those of its train
# split. compared_with is the label it was merged into, or the nearest one of another source; the
# evidence below it is for that pair: forward counts the entities a tagger of this source predicts as
# this label on the other source's text (predicted) and those of them the other source annotates so
# (matched), backward the reverse.
"""


def write_mapping(mapping: LabelMapping) -> str:
    """Return a mapping as YAML with comments that explain it.

    Entries keep their order; a comment stands before each run of labels that go
    to the same unified label.
    """
    parts = [_HEADER, _dump({"version": VERSION, "merge": _MERGE})]
    if mapping.stages:
        parts += ["stages:\n", *map(_stage_text, mapping.stages)]
    parts.append(_dump({"unified_labels": list(mapping.unified_labels)}))
    parts.append("labels:\n" if mapping.entries else "labels: []\n")
    groups: dict[str | None, list[MappedLabel]] = {}
    for entry in mapping.entries:
        groups.setdefault(entry.unified, []).append(entry)
    for unified, entries in groupby(mapping.entries, key=lambda entry: entry.unified):
        run = list(entries)
        parts.append(f"\n# {_group_line(unified, run, groups[unified])}\n")
        parts += map(_entry_text, run)
    return "".join(parts)


class _Dumper(yaml.SafeDumper):
    """Escapes line breaks."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if any(char in text for char in _LINE_BREAKS) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def _dump(data: Any, *, flow: bool = False) -> str:
    width = sys.maxsize  # a text broken across lines is hard to edit
    dumped = yaml.dump(
        data, Dumper=_Dumper, default_flow_style=flow, allow_unicode=True, sort_keys=False, width=width
    )
    return str(dumped)


def _in_one_line(data: dict[str, Any]) -> str:
    return _dump(data, flow=True).removesuffix("\n")


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
    return _dump([data]) + _compared_text(entry)


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


def read_mapping(text: str, file: str = "") -> LabelMapping:
    """Read a mapping from YAML text.

    Args:
        text: what :func:`write_mapping` gives, edited or not.
        file: where it is from, for messages.

    Returns:
        The mapping, with the line of each entry.

    Raises:
        MappingError: the text is not YAML, not a mapping of this version, or
            contradicts itself; it says in which line.
    """
    document = YamlDocument(text, file)
    root = _checked_root(document)
    fields = document.fields(
        root, "the mapping", ("version", "unified_labels", "labels"), ("merge", "stages")
    )
    if "merge" in fields and document.text(fields["merge"], "merge") != _MERGE:
        raise document.error(
            fields["merge"], f"merge: expected {_MERGE}, found {shown(fields['merge'].value)}. Correct it."
        )
    schema = _read_schema(document, fields["unified_labels"])
    stages = document.items(fields["stages"], "stages") if "stages" in fields else []
    entries, lines = _read_entries(document, document.items(fields["labels"], "labels"), schema)
    return LabelMapping(
        schema,
        entries,
        tuple(_read_stage(document, node) for node in stages),
        file,
        lines,
    )


def _checked_root(document: YamlDocument) -> Node:
    """Check the version before anything else: a file of another one may hold anything."""
    root = document.root
    if root is None:
        raise document.error(1, f"found nothing, expected a mapping file of version {VERSION}.")
    pairs = root.value if isinstance(root, MappingNode) else []
    version = next((value for key, value in pairs if key.value == "version"), None)
    if version is None:
        raise document.error(
            root,
            f"found no version, expected a mapping file that says `version: {VERSION}`. Is it another file?",
        )
    if version.tag != "tag:yaml.org,2002:int" or version.value != str(VERSION):
        found = shown(version.value) if isinstance(version.value, str) else "a list or mapping"
        raise document.error(
            version,
            f"found version {found}, expected version {VERSION}. Write the mapping anew with this release of "
            "esnera-hf, or read it with the one that wrote it.",
        )
    return root


def _read_schema(document: YamlDocument, node: Node) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for item in document.items(node, "unified_labels"):
        name = document.text(item, "unified_labels")
        if name in ("", OUTSIDE):
            raise document.error(
                item,
                f"unified_labels: found {shown(name)}, expected a name other than '' and '{OUTSIDE}', which "
                "means 'outside'. Rename it.",
            )
        if name in lines:
            raise document.error(
                item,
                f"unified_labels names {shown(name)} twice, first in line {lines[name]}. Remove one of them.",
            )
        lines[name] = line_of(item)
    return tuple(lines)


def _read_stage(document: YamlDocument, node: Node) -> MappingStage:
    fields = document.fields(node, "a stage", ("sources", "target"), ("lambda", "tau"))
    sources = document.items(fields["sources"], "sources")
    lam, tau = (document.number(fields[key], key) if key in fields else None for key in ("lambda", "tau"))
    return MappingStage(
        tuple(document.text(item, "sources") for item in sources),
        document.text(fields["target"], "target"),
        lam,
        tau,
    )


def _read_entries(
    document: YamlDocument, nodes: Sequence[Node], schema: Sequence[str]
) -> tuple[tuple[MappedLabel, ...], dict[LabelRef, int]]:
    """Read all entries, with their lines, and follow what they refer to."""
    entries: list[MappedLabel] = []
    lines: dict[LabelRef, int] = {}
    references: dict[LabelRef, Node] = {}
    for node in nodes:
        entry, reference = _read_entry(document, node, schema)
        if entry.label in lines:
            raise document.error(
                node,
                f"{shown(str(entry.label))} is mapped twice, first in line {lines[entry.label]}. Keep one of "
                "the two entries.",
            )
        entries.append(entry)
        lines[entry.label] = line_of(node)
        if reference is not None:
            references[entry.label] = reference
    unified = {entry.label: entry.unified for entry in entries}
    ends = follow_references(document, references, lines)
    resolved = (
        replace(entry, unified=unified[ends[entry.label]]) if entry.label in ends else entry
        for entry in entries
    )
    return tuple(resolved), lines


def _read_entry(document: YamlDocument, node: Node, schema: Sequence[str]) -> tuple[MappedLabel, Node | None]:
    """Read one entry and, if it refers to another, where it says so."""
    fields = document.fields(
        node,
        "an entry",
        ("source", "label"),
        ("unified", "same_as", "relation", "mentions", "locked", "compared_with"),
    )
    label = LabelRef(*(document.text(fields[key], key) for key in ("source", "label")))
    if ("unified" in fields) == ("same_as" in fields):
        found = "both unified and same_as" if "unified" in fields else "neither unified nor same_as"
        raise document.error(
            node,
            f"{shown(str(label))}: found {found}, expected one of them. unified: null leaves the label out.",
        )
    relation: Any = document.text(fields["relation"], "relation") if "relation" in fields else "equal"
    if relation not in get_args(Relation):
        raise document.error(
            fields["relation"],
            f"relation: found {shown(relation)}, expected one of {', '.join(get_args(Relation))}."
            f"{hint(relation, get_args(Relation))}",
        )
    entry = MappedLabel(
        label,
        _read_unified(document, fields["unified"], schema) if "unified" in fields else None,
        relation,
        document.count(fields["mentions"], "mentions") if "mentions" in fields else 0,
        locked=document.flag(fields["locked"], "locked") if "locked" in fields else False,
    )
    if "compared_with" in fields:
        entry = _with_evidence(document, entry, fields["compared_with"])
    return entry, fields.get("same_as")


def _read_unified(document: YamlDocument, node: Node, schema: Sequence[str]) -> str | None:
    if is_null(node):
        return None
    name = document.text(node, "unified")
    if name not in schema:
        raise document.error(
            node,
            f"unified: found {shown(name)}, expected a name of unified_labels or null.{hint(name, schema)} "
            "Correct it, or add the name to unified_labels.",
        )
    return name


def _with_evidence(document: YamlDocument, entry: MappedLabel, node: Node) -> MappedLabel:
    fields = document.fields(node, "compared_with", ("source", "label"), ("similarity", *_EVIDENCE))
    if any(key in fields for key in _EVIDENCE):
        document.fields(node, "compared_with", ("source", "label", *_EVIDENCE), ("similarity",))
        semantic, forward, backward = (fields[key] for key in _EVIDENCE)
        evidence = PairEvidence(
            document.number(semantic, "semantic"),
            _read_agreement(document, forward, "empirical_forward"),
            _read_agreement(document, backward, "empirical_backward"),
        )
        entry = replace(entry, evidence=evidence)
    return replace(
        entry,
        compared_with=LabelRef(*(document.text(fields[key], key) for key in ("source", "label"))),
        similarity=document.number(fields["similarity"], "similarity") if "similarity" in fields else None,
    )


def _read_agreement(document: YamlDocument, node: Node, what: str) -> Agreement:
    """Read numerator and denominator; the share follows from them and is written for people only."""
    fields = document.fields(node, what, ("matched", "predicted"), ("share",))
    matched, predicted = (document.count(fields[key], key) for key in ("matched", "predicted"))
    if matched > predicted:
        raise document.error(
            node,
            f"{what}: found {matched:,} matched of {predicted:,} predicted, expected no more than those.",
        )
    return Agreement(matched, predicted)
