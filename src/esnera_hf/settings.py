"""What a user can set of an alignment, and what the report keeps of it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.errors import ConfigurationError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.taggers.settings import training_settings

Merge = Literal["flat", "typed"]
_PARTS = {
    "evidence": EvidenceSettings,
    "search": GreedySettings,
    "schema": SchemaSettings,
    "final": OutputSettings,
}


@dataclass(frozen=True)
class AlignSettings:
    """How an alignment is made, beyond what most people set.

    Attributes:
        evidence: how similarities are measured and taggers trained.
        search: grid, bound, and how many sentences the search uses.
        schema: names, labels to keep together or apart, locked entries.
        final: pseudo-labels, and a tagger trained on the merged dataset.
        merge: ``typed``: only what is equal by evidence in both directions merges,
            all at once, and a label that another one holds becomes its child;
            nothing is searched. ``flat`` as the paper does: along the greedy path,
            by one similarity above one threshold, both searched; several labels of
            one source may join one target. If not given, it is ``flat`` where λ or τ
            is, or anything of the search but ``sentences`` differs from its default,
            and ``typed`` otherwise.
    """

    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    search: GreedySettings = field(default_factory=GreedySettings)
    schema: SchemaSettings = field(default_factory=SchemaSettings)
    final: OutputSettings = field(default_factory=OutputSettings)
    merge: Merge | None = None

    def __post_init__(self) -> None:
        for name, kind in _PARTS.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ConfigurationError(f"{name}={value!r}: expected {kind.__name__}(…).")
        if self.merge not in (None, *get_args(Merge)):
            raise ConfigurationError(f"merge={self.merge!r}: expected {' or '.join(get_args(Merge))}.")

    def completed(self, lam: float | None, tau: float | None, seed: int) -> AlignSettings:
        """Return the settings with the seed, λ or τ fixed where one is given, and the way of merging chosen.

        Raises:
            ConfigurationError: λ or τ is out of range, or something of the search is
                set for typed merging.
        """
        search = replace(
            self.search,
            lam=self.search.lam if lam is None else lam,
            tau=self.search.tau if tau is None else tau,
        )
        along_path = (
            lam is not None or tau is not None or replace(search, max_samples=None) != GreedySettings()
        )
        if along_path and self.merge == "typed":
            raise ConfigurationError(
                "λ, τ or the search is set, and merge='typed', which knows none of them. Leave them out, or set "
                "merge='flat'."
            )
        merge = self.merge or ("flat" if along_path else "typed")
        evidence = replace(
            self.evidence,
            training={"seed": seed, **training_settings(self.evidence.training)},
            embeddings=self.evidence.chosen_embeddings,
        )
        return replace(self, search=search, evidence=evidence, merge=merge)

    @property
    def locked_file(self) -> str | None:
        """The file of the locked mapping, if there is one."""
        locked = self.schema.locked
        if isinstance(locked, LabelMapping):
            return locked.file or None
        return None if locked is None else os.fspath(locked)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data; a locked mapping is named by its file."""
        named = None if self.schema.locked is None else self.locked_file or "mapping.yaml"
        return asdict(replace(self, schema=replace(self.schema, locked=named)))
