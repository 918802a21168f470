"""What changes from one label mapping to another, and the entities that are affected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from esnera_hf._internal.text import counted, join_tokens, shorten, visible
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import LEFT_OUT
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef

NO_PARENT = "(no part of another)"
# So that a line of the difference fits a screen, and that of decided_anew a few.
_EXAMPLES, _LONGEST_EXAMPLE, _NAMED = 3, 40, 5


class MappingDifference:
    """What changes from one mapping to another; false where nothing does.

    Attributes:
        renamed: unified labels that go on under another name, which no other one
            bore that goes on, by their old ones: more than half of the members of both are the same,
            and neither name stands for a label without them, or for a part of them,
            in the other mapping.
        moved: source labels that change their group, or are left out or no longer
            so (``None``): label, before, after, and mentions in the train split; a
            rename moves nothing.
        added: source labels that only the second mapping maps.
        removed: source labels that only the first one maps.
        joined: pairs of source labels that become one and were not.
        parted: pairs of source labels that were one and are not any more.
        parents: unified labels of the second mapping whose parent is another one
            than in the first: label, before, after; a rename moves nothing.
        reordered: the unified labels of both mappings in the order of the second one,
            if that is another: their ids in the dataset are others, too.
    """

    def __init__(self, before: LabelMapping, after: LabelMapping) -> None:
        old = {entry.label: entry for entry in before.entries}
        new = {entry.label: entry for entry in after.entries}
        shared = sorted(old.keys() & new.keys())
        pairs = list(combinations(shared, 2))
        self.renamed = _renamed(before, after, shared)
        self.moved = [
            (label, old[label].unified, new[label].unified, new[label].mentions or old[label].mentions)
            for label in shared
            if self.renamed.get(old[label].unified or "", old[label].unified) != new[label].unified
        ]
        self.added = sorted(new.keys() - old.keys())
        self.removed = sorted(old.keys() - new.keys())
        self.joined = [pair for pair in pairs if after.are_one(*pair) and not before.are_one(*pair)]
        self.parted = [pair for pair in pairs if before.are_one(*pair) and not after.are_one(*pair)]
        self.parents = _moved_parents(before, after, self.renamed)
        self.reordered = _reordered(before, after, self.renamed)

    def __bool__(self) -> bool:
        return bool(self._lines())

    def __str__(self) -> str:
        return "\n".join(map(visible, self._lines())) or "no difference"

    def _lines(self) -> list[str]:
        lines = [f"renamed: {before} → {after}" for before, after in self.renamed.items()]
        lines += [
            f"moved: {_move(label, before, after, LEFT_OUT)} ({counted(mentions, 'train mention')})"
            for label, before, after, mentions in self.moved
        ]
        lines += [f"parent of {_move(*move, NO_PARENT)}" for move in self.parents]
        lines += [f"new: {label}" for label in self.added]
        lines += [f"gone: {label}" for label in self.removed]
        lines += [f"become one: {one} and {other}" for one, other in self.joined]
        lines += [f"no longer one: {one} and {other}" for one, other in self.parted]
        if self.reordered:
            lines.append(f"another order, and other ids in the dataset: {', '.join(self.reordered)}")
        return lines


def affected_entities(difference: MappingDifference, sources: Sequence[NerSource]) -> list[str]:
    """Return a line with the number of entities, and up to three mentions, of each label of some sources that moves."""
    by_name = {source.name: source for source in sources}
    lines = []
    for label, *_ in difference.moved:
        if label.source in by_name:
            source = by_name[label.source]
            counts = source.summary.entities.items()
            entities = ", ".join(f"{labels.get(label.label, 0):,} in {split}" for split, labels in counts)
            lines.append(visible(f"{label}: {entities}; e.g. {', '.join(_mentions(source, label.label))}"))
    return lines


def decided_anew(before: LabelMapping, made: LabelMapping) -> str:
    """Say how many entries of a mapping are locked, and which of the others an alignment made differently."""
    now = {entry.label: entry.unified for entry in made.entries}
    free = [entry for entry in before.entries if not entry.locked and entry.label in now]
    changed = [
        _move(entry.label, entry.unified, now[entry.label], LEFT_OUT)
        for entry in free
        if entry.unified != now[entry.label]
    ]
    changed += [
        f"parent of {_move(label, before.parents.get(label), made.parents.get(label), NO_PARENT)}"
        for label in before.unified_labels
        if label in made.unified_labels and before.parents.get(label) != made.parents.get(label)
    ]
    locked = sum(entry.locked for entry in before.entries)
    summary = f"{before.file or 'mapping'}: {locked:,} of {len(before.entries):,} entries are locked and kept"
    if not free:
        return f"{summary}."
    summary += f", {len(free):,} decided anew"
    if not changed:
        return f"{summary}, which changed none."
    more = f", and {len(changed) - _NAMED:,} more" if len(changed) > _NAMED else ""
    moves = f"{', '.join(changed[:_NAMED])}{more}"
    return f"{summary}; not as in the file: {moves}. Say locked: true where you want to keep it."


def _move(label: LabelRef | str, before: str | None, after: str | None, nowhere: str) -> str:
    return visible(f"{label}: {before or nowhere} → {after or nowhere}")


def _renamed(before: LabelMapping, after: LabelMapping, shared: Sequence[LabelRef]) -> dict[str, str]:
    """Return the new names of unified labels, by their old ones."""
    was = Counter(before[label] for label in shared)
    is_now = Counter(after[label] for label in shared)
    both = Counter((before[label], after[label]) for label in shared)
    # One that goes into a label that was there, and goes on under its name, is merged; one that leaves a part of
    # its members under its own name is parted; names without members of both stand for labels of their own.
    renamed = {
        old: new
        for (old, new), count in both.items()
        if old is not None and new is not None and old != new and 2 * count > max(was[old], is_now[new])
        if not (both[new, new] or both[old, old])
        if (is_now[old] or old not in after.unified_labels) and (was[new] or new not in before.unified_labels)
    }
    # An umbrella has no members: it goes on where all of its parts do.
    for old in before.umbrellas - set(after.unified_labels):
        wholes = {after.parents.get(renamed.get(part, part)) for part in before.tree.children(old)}
        new = wholes.pop()
        if not wholes and new in after.umbrellas - set(before.unified_labels):
            renamed[old] = new
    return renamed


def _reordered(before: LabelMapping, after: LabelMapping, renamed: Mapping[str, str]) -> list[str]:
    """Return the unified labels of both, under their names in the second, in its order if that is another."""
    taken = renamed.values()
    was = [renamed.get(name, name) for name in before.unified_labels if name in renamed or name not in taken]
    common = [name for name in after.unified_labels if name in was]
    return [] if [name for name in was if name in common] == common else common


def _moved_parents(
    before: LabelMapping, after: LabelMapping, renamed: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """Return the labels of the second mapping with another parent, all under their names in it."""
    was = {renamed.get(child, child): renamed.get(parent, parent) for child, parent in before.parents.items()}
    moves = ((label, was.get(label), after.parents.get(label)) for label in after.tree.order)
    return [(label, old, new) for label, old, new in moves if old != new]


def _mentions(source: NerSource, label: str) -> list[str]:
    mentions: dict[str, None] = {}
    for split in source.dataset:
        for sentence in source.sentences(split):
            for entity in sentence.entities:
                if entity.label == label:
                    tokens = sentence.tokens[entity.start : entity.end]
                    mentions[shorten(join_tokens(tokens), _LONGEST_EXAMPLE)] = None
                    if len(mentions) == _EXAMPLES:
                        return list(mentions)
    return list(mentions)
