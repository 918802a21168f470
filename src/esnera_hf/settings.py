"""Settings of an alignment, put together of those of its steps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import Literal, cast, get_args

from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.similarity.evidence import EvidenceKind, EvidenceSettings
from esnera_hf.taggers.settings import TaggerSettings

Method = Literal["equivalence", "greedy"]


@dataclass(frozen=True)
class AlignSettings:
    """Settings of an alignment beyond those that most people set.

    Attributes:
        evidence: how similarities are measured.
        taggers: how the taggers of sources are trained.
        greedy: λ, τ and the bound of the paper's greedy path.
        schema: names, labels to keep together or apart, locked entries.
        output: pseudo-labels, and a tagger trained on the merged dataset.
    """

    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    taggers: TaggerSettings = field(default_factory=TaggerSettings)
    greedy: GreedySettings = field(default_factory=GreedySettings)
    schema: SchemaSettings = field(default_factory=SchemaSettings)
    output: OutputSettings = field(default_factory=OutputSettings)

    def __post_init__(self) -> None:
        for part in fields(self):
            value, kind = getattr(self, part.name), cast(type, part.default_factory)
            if not isinstance(value, kind):
                raise ConfigurationError(f"{part.name}={value!r}: expected {kind.__name__}(…).")
        if self.evidence.embeddings == "tuned" and self.taggers.kind != "joint":
            raise ConfigurationError(
                "embeddings='tuned' needs joint taggers: the vectors of several taggers do not compare."
            )

    def checked(self, method: Method, evidence: EvidenceKind | None, seed: int) -> AlignSettings:
        """Return the settings with the kind of evidence and the seed of the training.

        Raises:
            ConfigurationError: method or evidence is unknown, or settings of another method are set.
        """
        for name, value, choices in (
            ("method", method, Method),
            ("evidence", evidence or "frozen", EvidenceKind),
        ):
            if value not in get_args(choices):
                raise ConfigurationError(
                    f"{name}={value!r}: expected {' or '.join(map(repr, get_args(choices)))}."
                )
        # Silently ignored settings would be taken for used ones.
        if method == "equivalence" and self.greedy != GreedySettings():
            raise ConfigurationError(
                "settings of the greedy path, such as λ or τ, are set, and method='equivalence', which knows none of "
                "them. Leave them out, or set method='greedy'."
            )
        if method == "greedy" and self.schema.min_precision is not None:
            raise ConfigurationError(
                f"min_precision={self.schema.min_precision!r}: method='greedy' merges by λ and τ. Leave it out, or set "
                "method='equivalence'."
            )
        kind = evidence or self.evidence.kind or ("taggers" if method == "greedy" else "frozen")
        output = self.output.for_evidence(kind)
        trains = kind == "taggers" or method == "greedy" or output.needs_taggers
        if not trains and (self.taggers.kind != "joint" or self.taggers.joint_of is not None):
            raise ConfigurationError(
                "separate taggers or joint_of= are set, and no tagger of a source is trained. Leave them out, or ask "
                "for taggers: evidence='taggers', pseudo-labels, or compare='joint'."
            )
        return replace(
            self,
            evidence=replace(self.evidence, kind=kind),
            taggers=self.taggers.with_seed(seed),
            output=output,
        )

    def recorded(self) -> AlignSettings:
        """Return the settings as a report holds them: a locked mapping by its file, and no salt."""
        locked, evidence = self.schema.locked, replace(self.evidence, salt=None)
        if locked is None:
            return replace(self, evidence=evidence)
        file = locked.file or "mapping.yaml" if isinstance(locked, LabelMapping) else os.fspath(locked)
        return replace(self, evidence=evidence, schema=replace(self.schema, locked=file))
