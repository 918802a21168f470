"""What the annotation of a source leaves open: candidate labels, for learning from partial annotation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esnera_hf._internal.checks import within
from esnera_hf.errors import ConfigurationError


@dataclass(frozen=True)
class AllowedLabels:
    """The unified labels that what a source says, or does not say, may stand for.

    Attributes:
        entities: by label that the source annotates, what its entities may be:
            the label, and its parts that the source does not tell apart.
        outside: what a token outside its entities may be, beside ``O``: the labels
            that it does not annotate.
        parts: by label of ``outside``, its parts that are there, too: what a
            pseudo-label of it may also stand for.
    """

    entities: Mapping[str, tuple[str, ...]]
    outside: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        projection: Mapping[str, str],
        covered: Collection[str] = (),
        parts: Mapping[str, Collection[str]] | None = None,
    ) -> AllowedLabels:
        """Derive the candidates from what a source annotates.

        Args:
            labels: the unified labels.
            projection: the label under which the source annotates what each of
                them means, for those it annotates.
            covered: labels that are no label of the source, and all of whose
                kind it annotates.
            parts: the parts of labels, and theirs in turn; there are none if not given.
        """
        entities: dict[str, tuple[str, ...]] = {}
        for label in labels:
            if label in projection:
                known = projection[label]
                entities[known] = (*entities.get(known, ()), label)
        outside = tuple(label for label in labels if label not in projection and label not in covered)
        below = {
            whole: tuple(label for label in outside if label in (parts or {}).get(whole, ()))
            for whole in outside
        }
        return cls(entities, outside, {whole: named for whole, named in below.items() if named})

    def restricted(self, labels: Collection[str]) -> AllowedLabels:
        """Return the candidates without all but some labels, such as those that occur."""

        def kept(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(name for name in names if name in labels)

        def kept_of(names: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
            return {known: kept(other) for known, other in names.items() if known in labels}

        return AllowedLabels(kept_of(self.entities), kept(self.outside), kept_of(self.parts))


@dataclass(frozen=True)
class PartialAnnotation:
    """What a training on partially annotated sentences has to know.

    Attributes:
        candidates: the labels left open, by source of a sentence.
        pseudo_noise: of pseudo-labels: probability, relative to that of tags
            that agree with one, of those that do not (virtual evidence), in
            [0, 1]; 0 takes them for gold, 1 ignores them.

    Raises:
        ConfigurationError: the noise is out of range.
    """

    candidates: Mapping[str, AllowedLabels]
    pseudo_noise: float = 0.0

    def __post_init__(self) -> None:
        check_pseudo_noise(self.pseudo_noise)

    def identity(self) -> dict[str, Any]:
        """Return what tells the tagger trained so from others, as JSON can hold it."""
        return {
            "pseudo_noise": self.pseudo_noise,
            "candidates": {
                name: {
                    "entities": dict(sorted(known.entities.items())),
                    "outside": known.outside,
                    **({"parts": dict(sorted(known.parts.items()))} if known.parts else {}),
                }
                for name, known in sorted(self.candidates.items())
            },
        }


def check_pseudo_noise(value: float) -> None:
    """Check how far tags may contradict a pseudo-label.

    Raises:
        ConfigurationError: it is no number from 0 to 1.
    """
    if not within(value, 0, 1):
        raise ConfigurationError(f"pseudo_noise={value!r}: expected a number from 0 to 1.")
