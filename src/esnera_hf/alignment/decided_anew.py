"""What a new alignment made of the entries of an edited mapping that are not locked."""

from __future__ import annotations

from esnera_hf.alignment.difference import MovedParent
from esnera_hf.alignment.mapping import LEFT_OUT, LabelMapping

_NAMED = 5


def decided_anew(given: LabelMapping, made: LabelMapping) -> str:
    """Say how many entries of a mapping are locked, and which of the others came out differently.

    Args:
        given: the mapping whose locked entries were kept.
        made: the one that the alignment gives.
    """
    now = {entry.label: entry.unified for entry in made.entries}
    free = [entry for entry in given.entries if not entry.locked and entry.label in now]
    other = [entry for entry in free if entry.unified != now[entry.label]]
    changed = [f"{e.label}: {e.unified or LEFT_OUT} → {now[e.label] or LEFT_OUT}" for e in other]
    parents = [
        f"parent of {MovedParent(label, given.parents.get(label), made.parents.get(label))}"
        for label in given.unified_labels
        if label in made.unified_labels and given.parents.get(label) != made.parents.get(label)
    ]
    locked = sum(entry.locked for entry in given.entries)
    told = f"{given.file or 'mapping'}: {locked:,} of {len(given.entries):,} entries are locked and kept"
    if not free:
        return f"{told}."
    told += f", {len(free):,} decided anew"
    if not changed and not parents:
        return f"{told}, which changed none."
    found = [*changed, *parents]
    more = f", and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"{told}; not as in the file: {', '.join(found[:_NAMED])}{more}. Say locked: true where you want to keep it."
