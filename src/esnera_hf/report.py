"""What was merged into what and why: the account of one alignment."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from esnera_hf.alignment import MergePath
from esnera_hf.console import duration
from esnera_hf.merging import Leak
from esnera_hf.metrics import Scores
from esnera_hf.sources import NerSource
from esnera_hf.text import display_width, pad

_VERSIONED = ("esnera-hf", "torch", "transformers", "datasets", "huggingface_hub", "pytorch-crf")
_EXAMPLES = 3


@dataclass(frozen=True)
class TaggerReport:
    """How well a source's own tagger does on that source.

    Attributes:
        validation: scores on the split that chose the epoch.
        test: scores on the split that chose nothing.
        history: loss and validation scores by epoch.
        arguments: the training settings.
        seconds: training time; 0 if the tagger was reused.
    """

    validation: Scores
    test: Scores
    history: list[dict[str, float]]
    arguments: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Report:
    """The account of an alignment, as data; ``str()`` gives the part people read first.

    Attributes:
        settings: everything that was chosen or given.
        sources: the sources' summaries.
        taggers: the sources' own taggers, by source.
        stages: the merge path with every decision.
        seconds: wall time by step.
        versions: of the packages that matter.
        leaks: sentences of train and validation that stand in a later split,
            too: counts by pair of splits, examples as pairs of sentence ids.
            Between sources they were left out of the merged dataset.
    """

    settings: dict[str, Any]
    sources: list[dict[str, Any]]
    taggers: dict[str, dict[str, Any]]
    stages: list[dict[str, Any]]
    seconds: dict[str, float]
    versions: dict[str, str] = field(default_factory=dict)
    leaks: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "settings": self.settings,
            "versions": self.versions,
            "sources": self.sources,
            "taggers": self.taggers,
            "stages": self.stages,
            "leaks": self.leaks,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Rebuild a report from :meth:`to_dict`."""
        return cls(**data)

    def __str__(self) -> str:
        lines = []
        for source in self.sources:
            total = sum(sum(counts.values()) for counts in source["entities"].values())
            line = f"{source['name']}: {sum(source['sentences'].values()):,} sentences, {total:,} entities"
            tagger = self.taggers.get(source["name"])
            if tagger:
                f1 = [tagger[split]["micro"]["f1"] for split in ("validation", "test")]
                line += f"; own tagger: micro-F1 {f1[0]:.3f} validation, {f1[1]:.3f} test"
            lines.append(line)
            lines += [f"  dropped {count:,}: {reason}" for reason, count in source["dropped"].items()]
            lines += [f"  repaired {count:,}: {kind}" for kind, count in source["repairs"].items()]
            lines += [f"  {note}" for note in source["notes"]]
        for stage in self.stages:
            lines.append(
                f"{' + '.join(stage['sources'])} → {stage['target']} "
                f"(sum of S_emp {stage['sum_empirical']:.2f})"
            )
            lines += _decision_lines(stage["decisions"])
        lines += map(_leak_line, self.leaks)
        lines.append("time: " + ", ".join(f"{step} {duration(s)}" for step, s in self.seconds.items()))
        return "\n".join(lines)


def _leak_line(leak: Mapping[str, Any]) -> str:
    fate = "left out" if leak["left_out"] else "kept, the source's own"
    return (
        f"{leak['in']}: {leak['sentences']:,} sentences stand in {leak['also_in']}, too "
        f"({leak['exact']:,} the same, the others nearly): {fate}"
    )


def _decision_lines(decisions: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max((display_width(d["group"][0]) for d in decisions), default=0)
    lines = []
    for d in decisions:
        name = pad(d["group"][0], width)
        if d["candidate"] is None:
            lines.append(f"  {name}     stays: nothing is known of it")
            continue
        semantic = "unknown" if d["semantic"] is None else f"{d['semantic']:.2f}"
        empirical = f"{d['matched']}/{d['predicted']}" if d["predicted"] else "unknown, never predicted"
        verb = "→" if d["merged"] else "stays; nearest"
        lines.append(
            f"  {name}  {verb} {d['candidate']}  S {d['similarity']:.2f} "
            f"(semantic {semantic}, empirical {empirical})"
        )
    return lines


def build_report(
    sources: Sequence[NerSource],
    taggers: Mapping[str, TaggerReport],
    path: MergePath,
    settings: Mapping[str, Any],
    seconds: Mapping[str, float],
    leaks: Sequence[Leak] = (),
) -> Report:
    """Put a report together."""
    return Report(
        settings=dict(settings),
        sources=[source.summary.to_dict() for source in sources],
        taggers={name: _tagger_to_dict(tagger) for name, tagger in sorted(taggers.items())},
        stages=[
            {
                "sources": list(stage.sources),
                "target": stage.target,
                "sum_empirical": stage.sum_empirical,
                "decisions": [
                    {
                        "group": [str(d.group.head), *(str(m) for m in d.group.members if m != d.group.head)],
                        "candidate": None if d.candidate is None else str(d.candidate),
                        "similarity": d.similarity,
                        "semantic": d.semantic,
                        "matched": d.matched,
                        "predicted": d.predicted,
                        "merged": d.merged,
                    }
                    for d in stage.decisions
                ],
            }
            for stage in path.stages
        ],
        leaks=_leak_counts(leaks),
        seconds={step: round(value, 1) for step, value in seconds.items()},
        versions={"python": platform.python_version(), **{name: version(name) for name in _VERSIONED}},
    )


def _leak_counts(leaks: Sequence[Leak]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Leak]] = {}
    for leak in leaks:
        parts = "/".join(leak.place.part), "/".join(leak.because.part)
        groups.setdefault(parts, []).append(leak)
    return [
        {
            "in": place,
            "also_in": because,
            "left_out": found[0].left_out,
            "sentences": len(found),
            "exact": sum(leak.exact for leak in found),
            "examples": [[leak.place.id, leak.because.id] for leak in found[:_EXAMPLES]],
        }
        for (place, because), found in groups.items()
    ]


def _tagger_to_dict(tagger: TaggerReport) -> dict[str, Any]:
    return {
        "validation": tagger.validation.to_dict(),
        "test": tagger.test.to_dict(),
        "history": tagger.history,
        "arguments": tagger.arguments,
        "seconds": round(tagger.seconds, 1),
    }
