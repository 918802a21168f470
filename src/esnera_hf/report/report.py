"""The account of one alignment, as data and as the text that people read first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from esnera_hf._internal.console import duration
from esnera_hf._internal.text import display_width, pad, visible
from esnera_hf.errors import ConfigurationError
from esnera_hf.metrics import Scores
from esnera_hf.report.format import merge_setting, system_title

#: Below this micro-F1 on its test split a tagger is no evidence.
LOW_F1 = 0.1
#: The target where labels were merged by equivalence, and not along a path.
ALL_AT_ONCE = "(all at once)"
_UNMERGED = {
    "broken": "NOTHING MERGED: every mapping that was tried broke the bound on F1",
    "apart": "NOTHING MERGED: no setting of λ and τ merged anything",
    "wished": "merged only what was wished",
}


@dataclass(frozen=True)
class TaggerScores:
    """How a source's own tagger does on the source, and how it was trained.

    Attributes:
        validation: scores on the validation split.
        test: scores on the test split.
        history: of the training, a row an epoch.
        arguments: of the training.
        seconds: wall time of the training; 0 if the tagger lay in the cache.
    """

    validation: Scores
    test: Scores
    history: Sequence[Mapping[str, Any]]
    arguments: Mapping[str, Any]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain data."""
        return {
            "validation": self.validation.to_dict(),
            "test": self.test.to_dict(),
            "history": list(self.history),
            "arguments": dict(self.arguments),
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class Report:
    """The account of an alignment, as data; ``str()`` gives the part people read first.

    Attributes:
        settings: everything that was chosen or given, enough to run it again.
        sources: the sources' summaries.
        taggers: the sources' own taggers by source: scores on validation and
            test, training history, arguments, seconds.
        stages: the merge path with every decision; of typed merging one stage.
        trials: every mapping of the search in order of preference, tried or not.
        near: pairs of labels of different sources that stayed apart, those of
            which one is a part of the other and then the most alike first, with
            both similarities in both directions; under typed merging also how
            they relate and how much the one covers of the other.
        search_scores: of the last mapping that was tried and chosen: own taggers
            (before) and the merged one (after) on validation, ``projected``
            through the mapping and in ``native``.
        pseudo: pseudo-labels: the floor, how many by source, label and tagger,
            and how many were rejected for which reason.
        systems: scored final taggers: ``merged``, and those it is compared with.
        examples: mentions of each label in context.
        dropped: examples of annotated spans that were left out.
        leaks: sentences of train and validation that stand in a later split,
            too: counts by pair of splits, examples as pairs of sentence ids.
            Between sources they were left out of the merged dataset.
        places: what of the settings names a place on the machine it was made on;
            it is not published.
        seconds: wall time by step.
        versions: of the packages that matter.
        fingerprints: digests of what went in and came out, by which a repetition
            is checked: of the ``sources`` by name, the ``encoder`` if there is one,
            the ``mapping`` and the ``dataset``.
        machine: what the taggers were computed on: ``device``, ``threads`` and
            ``processes``; empty where nothing was computed.
    """

    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    taggers: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)
    near: list[dict[str, Any]] = field(default_factory=list)
    search_scores: dict[str, Any] | None = None
    pseudo: dict[str, Any] | None = None
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    leaks: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Rebuild a report from :meth:`to_dict`.

        Raises:
            ConfigurationError: it is no report of this version.
        """
        known = {entry.name for entry in fields(cls)}
        if not {"settings", "sources"} <= set(data) or set(data) - known:
            raise ConfigurationError(
                f"no report of this version: expected {', '.join(sorted(known))}, found {', '.join(data)[:200]}. "
                "Read it with the version that wrote it, or align again."
            )
        return cls(**data)

    def __str__(self) -> str:
        return "\n".join(
            visible(line)
            for line in (
                *(line for source in self.sources for line in self._source_lines(source)),
                *(
                    line
                    for n, stage in enumerate(self.stages)
                    for line in _stage_lines(stage, self.why_unmerged(n))
                ),
                *self._search_lines(),
                *self._pseudo_lines(),
                *(line for name in self.systems for line in self._system_lines(name)),
                *map(_leak_line, self.leaks),
                *self.warnings(),
                "time: " + ", ".join(f"{step} {duration(s)}" for step, s in self.seconds.items()),
            )
        )

    def why_unmerged(self, stage: int) -> str | None:
        """Say why a stage merged nothing by similarity.

        Args:
            stage: its number.

        Returns:
            ``broken`` if mappings were tried and none held the bound on F1, ``apart``
            if no setting merged anything, ``wished`` if nothing could have been
            merged but what was wished; ``None`` if something was merged.
        """
        if self.stages[stage]["tau"] is not None:
            return None
        if any(trial["stage"] == stage for trial in self.trials):
            return "broken"
        decisions = self.stages[stage]["decisions"]
        could = any(d["candidate"] is not None and not d["wished"] for d in decisions)
        return "apart" if could else "wished"

    def warnings(self) -> Iterator[str]:
        """Yield what makes the evidence weak: taggers that find next to nothing."""
        for source, tagger in self.taggers.items():
            f1 = tagger["test"]["micro"]["f1"]
            if f1 < LOW_F1:
                yield (
                    f"the tagger of {source} finds next to nothing on its test split (F1 {f1:.2f}): what is said of "
                    "its labels rests on hardly any right predictions; give it more sentences or epochs"
                )

    def _source_lines(self, source: Mapping[str, Any]) -> Iterator[str]:
        total = sum(sum(counts.values()) for counts in source["entities"].values())
        line = f"{source['name']}: {sum(source['sentences'].values()):,} sentences, {total:,} entities"
        tagger = self.taggers.get(source["name"])
        if tagger:
            f1 = [tagger[split]["micro"]["f1"] for split in ("validation", "test")]
            line += f"; own tagger: micro-F1 {f1[0]:.3f} validation, {f1[1]:.3f} test"
        yield line
        yield from (f"  dropped {count:,}: {reason}" for reason, count in source["dropped"].items())
        yield from (f"  repaired {count:,}: {kind}" for kind, count in source["repairs"].items())
        yield from (f"  {note}" for note in source["notes"])

    def _system_lines(self, name: str) -> Iterator[str]:
        scores = self.systems[name]["native"]
        title = system_title(name, self.settings)
        yield f"{name} tagger ({title}), test, each source's own labels (own tagger → this one):"
        for source, entry in scores["sources"].items():
            micro = entry["micro"]
            yield f"  {source}: micro-F1 {_figure(micro['before'])} → {_figure(micro['after'])}"

    def _search_lines(self) -> Iterator[str]:
        tried = [trial for trial in self.trials if trial["scores"]]
        if not self.trials:
            return
        yield f"search: {len(self.trials)} distinct mappings, {len(tried)} tried"
        for trial in tried:
            pooled = trial["scores"][self.settings["search"]["scoring"]]["pooled"]
            yield (
                f"  {' + '.join(trial['sources'])} → {trial['target']}, λ {trial['lambda']}, τ {trial['tau']}: "
                f"{trial['merged']} merged, micro-F1 {pooled['before']['value']:.3f} → "
                f"{pooled['after']['value']:.3f}, {'holds' if trial['holds'] else 'breaks'} the bound"
            )

    def _pseudo_lines(self) -> Iterator[str]:
        if self.pseudo is not None:
            yield (
                f"pseudo-labels: {self.pseudo['total']:,} with a confidence of at least {self.pseudo['floor']}, "
                "in the train split only"
            )


def _stage_lines(stage: Mapping[str, Any], unmerged: str | None) -> Iterator[str]:
    setting = merge_setting(stage["lambda"], stage["tau"]) if unmerged is None else _UNMERGED[unmerged]
    if stage["sum_empirical"] is not None:
        setting = f"sum of S_emp {stage['sum_empirical']:.2f}; {setting}"
    where = ", all at once" if stage["target"] == ALL_AT_ONCE else f" → {stage['target']}"
    yield f"{' + '.join(stage['sources'])}{where} ({setting})"
    yield from _decision_lines(stage["decisions"])


def _decision_lines(decisions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    width = max((display_width(d["group"][0]) for d in decisions), default=0)
    for d in decisions:
        name = pad(d["group"][0], width)
        if d["candidate"] is None:
            yield f"  {name}     stays: nothing is known of it"
            continue
        similarity, semantic = (
            "unknown" if d[key] is None else f"{d[key]:.2f}" for key in ("similarity", "semantic")
        )
        empirical = f"{d['matched']}/{d['predicted']}" if d["predicted"] else "unknown, never predicted"
        if d["merged"]:
            verb = "as wished →" if d["wished"] else "→"
        elif d.get("part"):
            verb = "is a part of"
        else:
            verb = "holds others; nearest" if d.get("holds") else "stays; nearest"
        yield f"  {name}  {verb} {d['candidate']}  S {similarity} (semantic {semantic}, empirical {empirical})"


def _figure(estimate: Mapping[str, Any]) -> str:
    return "unknown" if estimate["value"] is None else f"{estimate['value']:.3f}"


def _leak_line(leak: Mapping[str, Any]) -> str:
    fate = "left out" if leak["left_out"] else "kept, the source's own"
    return (
        f"{leak['in']}: {leak['sentences']:,} sentences stand in {leak['also_in']}, too "
        f"({leak['exact']:,} the same, the others nearly): {fate}"
    )
