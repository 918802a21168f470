"""``same_as``: entries of a mapping file that go wherever another one goes."""

from __future__ import annotations

from collections.abc import Mapping

from yaml.nodes import Node

from esnera_hf.alignment.yaml_nodes import YamlDocument, hint, round_trip
from esnera_hf.labels import LabelRef
from esnera_hf.text import shown


def follow_references(
    document: YamlDocument, references: Mapping[LabelRef, Node], lines: Mapping[LabelRef, int]
) -> dict[LabelRef, LabelRef]:
    """Return, for each label that refers to another, the label that the references end with.

    Args:
        document: where they stand.
        references: the value of ``same_as`` of each label that has one.
        lines: the line of the entry of every label.

    Raises:
        MappingError: a reference names no entry or more than one, or some go
            round in a circle.
    """
    targets = _targets(document, references, lines)
    return {label: _end(document, label, targets, references) for label in targets}


def _targets(
    document: YamlDocument, references: Mapping[LabelRef, Node], lines: Mapping[LabelRef, int]
) -> dict[LabelRef, LabelRef]:
    """Return the label that each entry with same_as names; a name may hold colons, so whole names are compared."""
    by_name: dict[str, list[LabelRef]] = {}
    for label in lines:
        by_name.setdefault(str(label), []).append(label)
    targets = {}
    for label, node in references.items():
        name = document.text(node, "same_as")
        found = by_name.get(name, [])
        if not found:
            raise document.error(
                node,
                f"same_as: found {shown(name)}, expected the source:label of an entry.{hint(name, by_name)} "
                "Correct it.",
            )
        if len(found) > 1:
            places = " and ".join(str(lines[one]) for one in found)
            raise document.error(
                node,
                f"same_as: {shown(name)} may be the label of line {places}. Say unified instead.",
            )
        targets[label] = found[0]
    return targets


def _end(
    document: YamlDocument,
    start: LabelRef,
    targets: Mapping[LabelRef, LabelRef],
    references: Mapping[LabelRef, Node],
) -> LabelRef:
    """Return where a chain of references ends."""
    seen: dict[LabelRef, None] = {}
    label = start
    while label in targets:
        if label in seen:
            circle = list(seen)[list(seen).index(label) :]
            node, steps = round_trip(circle, references)
            raise document.error(
                node, f"same_as goes round in a circle: {steps}. Say unified instead in one of these lines."
            )
        seen[label] = None
        label = targets[label]
    return label
