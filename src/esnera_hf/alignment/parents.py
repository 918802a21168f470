"""``parents``: the lines of a mapping file that say which unified label is a part of which."""

from __future__ import annotations

from collections.abc import Sequence

from yaml.nodes import Node

from esnera_hf.alignment.tree import find_circle
from esnera_hf.alignment.yaml_nodes import YamlDocument, hint, round_trip
from esnera_hf.text import shown


def read_parents(document: YamlDocument, node: Node, schema: Sequence[str]) -> dict[str, str]:
    """Return the parent of each unified label that has one.

    Args:
        document: where they stand.
        node: the value of ``parents``.
        schema: the unified labels.

    Raises:
        MappingError: it is no mapping, a child or parent is not in the schema, a
            child is given twice, or parents go round in a circle; it says in
            which line.
    """
    nodes = document.fields(node, "parents", (), schema)
    parents = {}
    for child, value in nodes.items():
        parent = document.text(value, f"parents, {shown(child)}")
        if parent not in schema:
            raise document.error(
                value,
                f"parents, {shown(child)}: found {shown(parent)}, expected a name of unified_labels."
                f"{hint(parent, schema)} Correct it, or add the name to unified_labels.",
            )
        parents[child] = parent
    circle = find_circle(parents)
    if circle:
        node, steps = round_trip(circle, nodes)
        raise document.error(node, f"parents go round in a circle: {steps}. Remove one of these lines.")
    return parents
