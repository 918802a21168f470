"""What changes from one label mapping to another, and the entities that are affected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from esnera_hf.alignment.mapping import LEFT_OUT, LabelMapping
from esnera_hf.labels import LabelRef
from esnera_hf.sources import NerSource
from esnera_hf.text import join_tokens, shorten, visible

NO_PARENT = "(no part of another)"
_EXAMPLES = 3
_LONGEST_EXAMPLE = 40
_NAMED = 5


@dataclass(frozen=True, slots=True)
class MovedLabel:
    """A source label whose group changes; ``None`` stands for left out."""

    label: LabelRef
    before: str | None
    after: str | None
    mentions: int

    def __str__(self) -> str:
        before, after = (LEFT_OUT if name is None else name for name in (self.before, self.after))
        return visible(f"{self.label}: {before} → {after} ({self.mentions:,} train mentions)")


@dataclass(frozen=True, slots=True)
class MovedParent:
    """A unified label that becomes a part of another one; ``None`` stands for no part of any."""

    label: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        before, after = (NO_PARENT if name is None else name for name in (self.before, self.after))
        return visible(f"{self.label}: {before} → {after}")


@dataclass(frozen=True)
class MappingDifference:
    """What changes from one mapping to another.

    Attributes:
        renamed: unified labels that go on under another name, which no other one
            bore that goes on: more than half of the members of both are the same,
            and neither name stands for a label without them, or for a part of them,
            in the other mapping.
        moved: source labels that change their group, or are left out or no
            longer so; a rename moves nothing.
        added: source labels that only the second mapping maps.
        removed: source labels that only the first one maps.
        joined: pairs of source labels that become one and were not.
        parted: pairs of source labels that were one and are not any more.
        parents: unified labels of the second mapping whose parent is another one
            than in the first; a rename moves nothing.
        reordered: the unified labels of both mappings in the order of the second one,
            if that is another: their ids in the dataset are others, too.
    """

    renamed: tuple[tuple[str, str], ...]
    moved: tuple[MovedLabel, ...]
    added: tuple[LabelRef, ...]
    removed: tuple[LabelRef, ...]
    joined: tuple[tuple[LabelRef, LabelRef], ...]
    parted: tuple[tuple[LabelRef, LabelRef], ...]
    parents: tuple[MovedParent, ...] = ()
    reordered: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        labels = (self.renamed, self.moved, self.added, self.removed, self.joined, self.parted)
        return any((*labels, self.parents, self.reordered))

    def __str__(self) -> str:
        if not self:
            return "no difference"
        lines = [f"renamed: {before} → {after}" for before, after in self.renamed]
        lines += [f"moved: {moved}" for moved in self.moved]
        lines += [f"parent of {moved}" for moved in self.parents]
        lines += [f"new: {label}" for label in self.added]
        lines += [f"gone: {label}" for label in self.removed]
        lines += [f"become one: {one} and {other}" for one, other in self.joined]
        lines += [f"no longer one: {one} and {other}" for one, other in self.parted]
        if self.reordered:
            lines.append(f"another order, and other ids in the dataset: {', '.join(self.reordered)}")
        return "\n".join(map(visible, lines))


@dataclass(frozen=True, slots=True)
class AffectedLabel:
    """The entities of a source label that a difference affects.

    Attributes:
        moved: the label and where it goes.
        entities: how many of it there are, by split.
        examples: up to three of its mentions.
    """

    moved: MovedLabel
    entities: dict[str, int]
    examples: tuple[str, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} in {split}" for split, count in self.entities.items())
        return visible(f"{self.moved.label}: {counts}; e.g. {', '.join(self.examples)}")


def compare_mappings(before: LabelMapping, after: LabelMapping) -> MappingDifference:
    """Return what changes from one mapping to another.

    Args:
        before: the first mapping.
        after: the second one.
    """
    old = {entry.label: entry for entry in before.entries}
    new = {entry.label: entry for entry in after.entries}
    shared = sorted(old.keys() & new.keys())
    renamed = _renamed(before, after, shared)
    moved = tuple(
        MovedLabel(label, old[label].unified, new[label].unified, new[label].mentions or old[label].mentions)
        for label in shared
        if renamed.get(old[label].unified or "", old[label].unified) != new[label].unified
    )
    pairs = list(combinations(shared, 2))
    was = [before.are_one(*pair) for pair in pairs]
    is_now = [after.are_one(*pair) for pair in pairs]
    return MappingDifference(
        tuple(renamed.items()),
        moved,
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(pair for pair, one, other in zip(pairs, was, is_now, strict=True) if other and not one),
        tuple(pair for pair, one, other in zip(pairs, was, is_now, strict=True) if one and not other),
        tuple(_moved_parents(before, after, renamed)),
        _reordered(before, after, renamed),
    )


def affected_entities(
    difference: MappingDifference, sources: Sequence[NerSource]
) -> tuple[AffectedLabel, ...]:
    """Return the entities of the labels that move, for those of the sources that are given.

    Args:
        difference: from :func:`compare_mappings`.
        sources: the sources to count in.
    """
    by_name = {source.name: source for source in sources}
    found = []
    for moved in difference.moved:
        source = by_name.get(moved.label.source)
        if source is not None:
            counts = source.summary.entities
            entities = {split: labels.get(moved.label.label, 0) for split, labels in counts.items()}
            found.append(AffectedLabel(moved, entities, tuple(_mentions(source, moved.label.label))))
    return tuple(found)


def _renamed(before: LabelMapping, after: LabelMapping, shared: Sequence[LabelRef]) -> dict[str, str]:
    """Return the new names of unified labels, by their old ones."""
    was = Counter(before[label] for label in shared)
    is_now = Counter(after[label] for label in shared)
    both = Counter((before[label], after[label]) for label in shared)
    renamed = {
        old: new
        for (old, new), count in both.items()
        if old is not None and new is not None and old != new and 2 * count > max(was[old], is_now[new])
    }
    # One that goes into a label that was there, and goes on under its name, is merged; one that leaves a part of
    # its members under its own name is parted; names without members of both stand for labels of their own.
    return {
        old: new
        for old, new in renamed.items()
        if not (both[new, new] or both[old, old])
        and (is_now[old] or old not in after.unified_labels)
        and (was[new] or new not in before.unified_labels)
    }


def _reordered(before: LabelMapping, after: LabelMapping, renamed: Mapping[str, str]) -> tuple[str, ...]:
    """Return the unified labels of both, under their names in the second, in its order if that is another."""
    taken = renamed.values()
    was = [renamed.get(name, name) for name in before.unified_labels if name in renamed or name not in taken]
    kept = tuple(name for name in after.unified_labels if name in was)
    return () if [name for name in was if name in kept] == list(kept) else kept


def _moved_parents(
    before: LabelMapping, after: LabelMapping, renamed: Mapping[str, str]
) -> Iterator[MovedParent]:
    """Yield the labels of the second mapping with another parent, all under their names in it."""
    was = {renamed.get(child, child): renamed.get(parent, parent) for child, parent in before.parents.items()}
    for label in after.tree.order:
        if was.get(label) != after.parents.get(label):
            yield MovedParent(label, was.get(label), after.parents.get(label))


def _mentions(source: NerSource, label: str) -> Iterator[str]:
    shown: set[str] = set()
    for split in source.dataset:
        for sentence in source.sentences(split):
            for entity in sentence.entities:
                mention = shorten(join_tokens(sentence.tokens[entity.start : entity.end]), _LONGEST_EXAMPLE)
                if entity.label == label and mention not in shown:
                    yield mention
                    shown.add(mention)
                    if len(shown) == _EXAMPLES:
                        return


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
