"""``mapping.yaml`` becomes a label mapping: every mistake an editor makes is named with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from yaml.nodes import MappingNode, Node

from esnera_hf.alignment.mapping import (
    MERGE,
    TREE_MERGE,
    VERSION,
    LabelMapping,
    MappedLabel,
    MappingStage,
    Relation,
)
from esnera_hf.alignment.parents import read_parents
from esnera_hf.alignment.references import follow_references
from esnera_hf.alignment.yaml_nodes import YamlDocument, hint, is_null, line_of
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import Agreement, PairEvidence
from esnera_hf.tagging import OUTSIDE
from esnera_hf.text import shown

_EVIDENCE = ("semantic", "empirical_forward", "empirical_backward")


def read_mapping(text: str, file: str = "") -> LabelMapping:
    """Read a mapping from YAML text.

    Args:
        text: what :meth:`LabelMapping.to_yaml` gives, edited or not.
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
        root, "the mapping", ("version", "unified_labels", "labels"), ("merge", "stages", "parents")
    )
    schema = _read_schema(document, fields["unified_labels"])
    parents = read_parents(document, fields["parents"], schema) if "parents" in fields else {}
    if "merge" in fields:
        _check_merge(document, fields["merge"], fields["parents"] if parents else None)
    stages = document.items(fields["stages"], "stages") if "stages" in fields else []
    entries, lines = _read_entries(document, document.items(fields["labels"], "labels"), schema)
    return LabelMapping(
        schema,
        entries,
        tuple(_read_stage(document, node) for node in stages),
        parents=parents,
        file=file,
        lines=lines,
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


def _check_merge(document: YamlDocument, node: Node, parents: Node | None) -> None:
    """Check that the kind of merge is a known one, and not flat where there are parents."""
    merge = document.text(node, "merge")
    if merge not in (MERGE, TREE_MERGE):
        raise document.error(
            node, f"merge: expected {MERGE} or {TREE_MERGE}, found {shown(merge)}. Correct it."
        )
    if merge == MERGE and parents is not None:
        raise document.error(
            node,
            f"merge: found {MERGE}, and parents in line {line_of(parents)}. Say {TREE_MERGE}, or remove the "
            "parents.",
        )


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
            f"{hint(relation, get_args(Relation))} Correct it.",
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
            f"{what}: found {matched:,} matched of {predicted:,} predicted, expected no more than those. Correct it.",
        )
    return Agreement(matched, predicted)
