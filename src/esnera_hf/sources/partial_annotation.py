"""Labels that the annotation of a source leaves open, for learning from partial annotation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esnera_hf._internal.checks import within
from esnera_hf.errors import ConfigurationError


@dataclass(frozen=True)
class AllowedLabels:
    """The unified labels that the annotation of a source may stand for.

    Attributes:
        entities: by label that the source annotates, what its entities may be:
            the label, and its parts that the source does not tell apart.
        unannotated: the labels that the source does not annotate: a token outside
            its entities may be any of them, or ``O``.
        parts: by unannotated label, its unannotated parts: a pseudo-label of the
            one may also stand for the others.
    """

    entities: Mapping[str, tuple[str, ...]]
    unannotated: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        projection: Mapping[str, str],
        covered: Collection[str] = (),
        parts: Mapping[str, Collection[str]] | None = None,
    ) -> AllowedLabels:
        """Derive the allowed labels from those that a source annotates.

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
                entities[projection[label]] = (*entities.get(projection[label], ()), label)
        # A token that the source leaves out is no entity of a kind that it annotates throughout.
        unannotated = tuple(label for label in labels if label not in projection and label not in covered)
        below = {
            whole: tuple(label for label in unannotated if label in (parts or {}).get(whole, ()))
            for whole in unannotated
        }
        return cls(entities, unannotated, {whole: inside for whole, inside in below.items() if inside})

    def restricted(self, labels: Collection[str]) -> AllowedLabels:
        """Return the allowed labels without all but some, such as those that occur."""
        entities, parts = (
            {
                name: tuple(o for o in others if o in labels)
                for name, others in table.items()
                if name in labels
            }
            for table in (self.entities, self.parts)
        )
        return AllowedLabels(entities, tuple(name for name in self.unannotated if name in labels), parts)


#: How a tagger is trained on partially annotated sentences: the labels left open, by source of a sentence; and the
#: probability of tags that contradict a pseudo-label, relative to that of tags that agree with it (virtual
#: evidence), in [0, 1]: 0 takes pseudo-labels for gold, 1 ignores them.
PartialAnnotation = tuple[Mapping[str, AllowedLabels], float]


def annotation_identity(annotation: PartialAnnotation) -> dict[str, Any]:
    """Return what tells a tagger trained so from others, as JSON can hold it."""
    allowed, noise = annotation
    return {
        "pseudo_label_noise": noise,
        "allowed": {
            source: {
                "entities": dict(sorted(labels.entities.items())),
                "unannotated": labels.unannotated,
                **({"parts": dict(sorted(labels.parts.items()))} if labels.parts else {}),
            }
            for source, labels in sorted(allowed.items())
        },
    }


def check_pseudo_label_noise(value: float) -> None:
    """Check how far tags may contradict a pseudo-label."""
    if not within(value, 0, 1):
        raise ConfigurationError(f"pseudo_label_noise={value!r}: expected a number from 0 to 1.")
