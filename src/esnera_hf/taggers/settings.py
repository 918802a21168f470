"""How the sources' own taggers are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.source import NerSource

if TYPE_CHECKING:
    from esnera_hf.modeling.arguments import TrainingLike as TrainingLike
else:
    # The types of settings are looked up where torch is not imported.
    TrainingLike = Mapping[str, Any]

Taggers = Literal["separate", "joint"]


def check_taggers(taggers: str) -> None:
    """Check how taggers are to be made.

    Raises:
        ConfigurationError: it is not known.
    """
    if taggers not in get_args(Taggers):
        raise ConfigurationError(
            f"taggers={taggers!r}: expected {' or '.join(map(repr, get_args(Taggers)))}."
        )


def check_joint_of(names: Sequence[str] | None, taggers: str) -> None:
    """Check the names of the sources that the joint tagger is trained on.

    Raises:
        ConfigurationError: there is none, or no joint tagger.
    """
    if names is None:
        return
    if isinstance(names, str) or not names:
        raise ConfigurationError(f"joint_of={names!r}: expected the names of one or more sources.")
    if taggers != "joint":
        raise ConfigurationError(
            "joint_of= needs taggers='joint': it says what the joint tagger is trained on."
        )


def training_settings(training: TrainingLike) -> dict[str, Any]:
    """Return the settings of a training by name; only those that decide weights are allowed.

    Raises:
        ConfigurationError: one is not allowed, or of another type.
    """
    if isinstance(training, Mapping) and not training:
        return {}  # without a second or three for torch
    from esnera_hf.modeling.arguments import checked_training

    return checked_training(training)


@dataclass(frozen=True)
class TaggerPlan:
    """How the sources' own taggers are made.

    Attributes:
        encoder: folder or Hub id of a pretrained encoder.
        training: overrides of the training arguments.
        taggers: ``separate`` or ``joint``.
        joint_of: the sources that the joint tagger is trained on; ``None`` means all.

    Raises:
        ConfigurationError: one of them is out of range.
    """

    encoder: str
    training: Mapping[str, Any] = field(default_factory=dict)
    taggers: Taggers = "separate"
    joint_of: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_taggers(self.taggers)
        check_joint_of(self.joint_of, self.taggers)

    def joined_and_later(
        self, sources: Sequence[NerSource]
    ) -> tuple[tuple[NerSource, ...], tuple[NerSource, ...]]:
        """Return the sources that the joint tagger is trained on, and the others.

        Raises:
            ConfigurationError: one of ``joint_of`` is not among the sources.
        """
        if self.joint_of is None:
            return tuple(sources), ()
        names = [source.name for source in sources]
        missing = [name for name in self.joint_of if name not in names]
        if missing:
            raise ConfigurationError(
                f"joint_of= names {', '.join(map(repr, missing))}; the sources are "
                f"{', '.join(map(repr, names))}. Name sources of this alignment."
            )
        joined = tuple(source for source in sources if source.name in self.joint_of)
        return joined, tuple(source for source in sources if source.name not in self.joint_of)
