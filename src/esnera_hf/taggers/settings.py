"""Settings of the sources' taggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.source import NerSource

if TYPE_CHECKING:
    from esnera_hf.modeling.arguments import TrainingLike as TrainingLike
else:
    # The types of settings are looked up where torch is not imported.
    TrainingLike = Mapping[str, Any]

TaggerKind = Literal["joint", "separate"]


@dataclass(frozen=True)
class TaggerSettings:
    """How the taggers of sources are trained.

    Attributes:
        kind: one ``joint`` tagger for all sources, an encoder with a head per
            source, or a ``separate`` tagger per source.
        training: settings by name, or ``TrainingArguments``, that win over those
            chosen for the encoder and the corpus.
        joint_of: names of the sources that the joint tagger is trained on, such as
            those of a finished alignment; each of the others gets a tagger of its
            own, which begins with the joint tagger's encoder. ``None`` means all.

    Raises:
        ConfigurationError: a setting is out of range, or does not go with another.
    """

    # One training instead of many, and better: F1 0.95 against 0.82 on gold alignments (benchmarks/results/taggers.md).
    kind: TaggerKind = "joint"
    training: TrainingLike = field(default_factory=dict)
    joint_of: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TaggerKind):
            raise ConfigurationError(
                f"kind={self.kind!r}: expected {' or '.join(map(repr, get_args(TaggerKind)))}."
            )
        object.__setattr__(self, "training", training_settings(self.training))
        if self.joint_of is None:
            return
        if isinstance(self.joint_of, str) or not self.joint_of:
            raise ConfigurationError(
                f"joint_of={self.joint_of!r}: expected the names of one or more sources."
            )
        if self.kind != "joint":
            raise ConfigurationError(
                "joint_of= needs kind='joint': it says what the joint tagger is trained on."
            )
        object.__setattr__(self, "joint_of", tuple(self.joint_of))

    def with_seed(self, seed: int) -> TaggerSettings:
        """Return the settings with a seed for the training, unless it has one."""
        return replace(self, training={"seed": seed, **training_settings(self.training)})

    def compared(self, compare: Literal["own", "joint"] | None) -> TaggerSettings:
        """Return the settings of the taggers that a merged one is compared with; these if nothing is asked for."""
        kind: TaggerKind = "separate" if compare == "own" else "joint"
        return self if compare is None or kind == self.kind else replace(self, kind=kind, joint_of=None)

    def divide(self, sources: Sequence[NerSource]) -> tuple[tuple[NerSource, ...], tuple[NerSource, ...]]:
        """Return the sources that a joint tagger is trained on, and those with taggers of their own.

        Raises:
            ConfigurationError: one of ``joint_of`` is not among the sources.
        """
        if self.kind == "separate":
            return (), tuple(sources)
        names = [source.name for source in sources]
        joint_of = names if self.joint_of is None else self.joint_of
        missing = [name for name in joint_of if name not in names]
        if missing:
            raise ConfigurationError(
                f"joint_of= names {', '.join(map(repr, missing))}; the sources are "
                f"{', '.join(map(repr, names))}. Name sources of this alignment."
            )
        joined = tuple(source for source in sources if source.name in joint_of)
        return joined, tuple(source for source in sources if source.name not in joint_of)


def training_settings(training: TrainingLike) -> dict[str, Any]:
    """Return the settings of a training by name; only those that decide weights are allowed.

    Raises:
        ConfigurationError: one is not allowed, or of another type.
    """
    if isinstance(training, Mapping) and not training:
        return {}  # without the seconds that torch takes to import
    from esnera_hf.modeling.arguments import checked_training

    return checked_training(training)
