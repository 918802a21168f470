"""The unified labels as a forest: which one is a part of which."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

from esnera_hf._internal.text import in_columns, visible
from esnera_hf.errors import ConfigurationError, MappingError

TreeGrain = Literal["coarse", "medium", "fine"]


class TreeCut:
    """A tree cut to fewer labels: what each label becomes, and what that costs.

    ``str()`` gives the steps as a table.

    Attributes:
        names: by label, the one it becomes: itself, or one that contains it.
        steps: the labels that take in what is below them, one after another: the
            label, the labels that vanish, the mentions they had, and how many labels
            are left.
    """

    def __init__(self, tree: LabelTree, mentions: Mapping[str, int]) -> None:
        self.names = {label: label for label in tree.labels}
        self.steps: list[tuple[str, tuple[str, ...], int, int]] = []
        self._tree, self._mentions = tree, mentions

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that entities have after the cut, in the order of the schema."""
        outermost = {self.names[label] for label in self._mentions}
        return tuple(label for label in self._tree.labels if label in outermost)

    def cost(self, label: str) -> tuple[tuple[str, ...], int]:
        """Return the labels that vanish if a label takes in what is below it, and the mentions they have."""
        below = {label, *self._tree.descendants(label)}
        counts: dict[str, int] = {}
        for name, count in self._mentions.items():
            if name in below and self.names[name] != label:
                counts[self.names[name]] = counts.get(self.names[name], 0) + count
        return tuple(name for name in self._tree.labels if name in counts), sum(counts.values())

    def take_in(self, label: str) -> None:
        """Let a label take in what is below it."""
        gone, mentions = self.cost(label)
        self.names |= dict.fromkeys(self._tree.descendants(label), label)
        if gone:
            self.steps.append((label, gone, mentions, len(self.labels)))

    def __str__(self) -> str:
        rows = [("labels", "mentions", "becomes", "what vanishes")]
        rows += [
            (f"{left:,}", f"{mentions:,}", visible(label), visible(", ".join(gone)))
            for label, gone, mentions, left in self.steps
        ]
        return in_columns(rows)


class LabelTree:
    """Unified labels and the parents of some of them.

    Attributes:
        labels: the unified schema, in order.
        parents: the parent of each label that has one.

    Raises:
        MappingError: a child or parent is not in the schema, or parents go
            round in a circle.
    """

    def __init__(self, labels: Sequence[str], parents: Mapping[str, str]) -> None:
        self.labels, self.parents = labels, parents
        for child, parent in self.parents.items():
            for name in (child, parent):
                if name not in self.labels:
                    raise MappingError(
                        f"parents: {child!r} is a part of {parent!r}, and {name!r} is not in the unified "
                        f"schema: {', '.join(self.labels)}. Add it there or correct the name."
                    )
        circle = find_circle(self.parents)
        if circle:
            steps = " → ".join(map(repr, (*circle, circle[0])))
            raise MappingError(f"parents go round in a circle: {steps}. Leave out one of these parents.")

    def ancestors(self, label: str) -> tuple[str, ...]:
        """Return parent, grandparent and so on, the nearest first."""
        above = []
        while label in self.parents:
            label = self.parents[label]
            above.append(label)
        return tuple(above)

    def root(self, label: str) -> str:
        """Return the outermost label that contains a label; itself if none does."""
        return (label, *self.ancestors(label))[-1]

    def children(self, label: str) -> tuple[str, ...]:
        """Return the labels whose parent a label is, in the order of the schema."""
        return self._children.get(label, ())

    def descendants(self, label: str) -> tuple[str, ...]:
        """Return children, grandchildren and so on, each after its parent."""
        return tuple(self._below(label))[1:]

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The labels without a parent, in the order of the schema."""
        return tuple(label for label in self.labels if label not in self.parents)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All labels, each root followed by its descendants; the schema itself where there are no parents."""
        return tuple(label for root in self.roots for label in self._below(root))

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        children: dict[str, tuple[str, ...]] = {}
        for label in self.labels:
            if label in self.parents:
                parent = self.parents[label]
                children[parent] = (*children.get(parent, ()), label)
        return children

    def _below(self, label: str) -> Iterator[str]:
        waiting = [label]
        while waiting:
            label = waiting.pop()
            yield label
            waiting.extend(reversed(self.children(label)))

    def nearest(self, labels: Collection[str]) -> dict[str, str]:
        """Return, for each label that is one of some or a part of one, the nearest of those."""
        chains = ((label, (label, *self.ancestors(label))) for label in self.labels)
        nearest = ((label, next((name for name in chain if name in labels), None)) for label, chain in chains)
        return {label: name for label, name in nearest if name is not None}

    def cut_at(self, tops: Collection[str], mentions: Mapping[str, int]) -> TreeCut:
        """Return the tree with everything below some labels taken in by them.

        Of ``tops`` the outermost take in the others; ``mentions`` are of each label that entities have.
        """
        cut = TreeCut(self, mentions)
        for label in self.order:
            if label in tops and cut.names[label] == label:
                cut.take_in(label)
        return cut

    def cut_to(self, limit: int, mentions: Mapping[str, int]) -> TreeCut:
        """Return the tree with at most so many labels.

        Step by step a label takes in all that is below it: the one by which fewest
        mentions lose their label, for each label that is saved.

        Raises:
            ConfigurationError: there are more outermost labels than that.
        """
        cut = TreeCut(self, mentions)
        fewest = len({self.root(label) for label in mentions})
        if limit < max(fewest, 1):
            raise ConfigurationError(
                f"labels={limit}: the tree of labels has {fewest} outermost labels, and no cut leaves fewer. Ask for "
                f"{max(fewest, 1)} or more, or put some of them below one label under `parents` in mapping.yaml."
            )
        while len(cut.labels) > limit:
            choices = []
            for place, label in enumerate(self.labels):
                gone, cost = cut.cost(label)
                saved = len(gone) - (label not in cut.labels)
                if cut.names[label] == label and saved > 0:
                    choices.append((cost / saved, -saved, place))
            cut.take_in(self.labels[min(choices)[2]])
        return cut

    def covered(self, label: str, labels: Collection[str]) -> bool:
        """Tell whether some labels take in all of a label, as far as the tree tells.

        They do if it is one of them or a part of one, or has several children and
        they take in each of these. An only child never does: its parent is wider,
        or the two would be one label.
        """
        if label in labels or not set(labels).isdisjoint(self.ancestors(label)):
            return True
        children = self.children(label)
        return len(children) > 1 and all(self.covered(child, labels) for child in children)


def find_circle(parents: Mapping[str, str]) -> list[str]:
    """Return labels that are ancestors of themselves, each followed by its parent; none if there are none."""
    safe: set[str] = set()
    for start in parents:
        seen: dict[str, None] = {}
        label = start
        while label in parents and label not in safe:
            if label in seen:
                path = list(seen)
                return path[path.index(label) :]
            seen[label] = None
            label = parents[label]
        safe.update(seen)
    return []
