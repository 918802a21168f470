"""What cards say of how something was made: settings, versions, time, and the call to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esnera_hf.console import duration
from esnera_hf.report import Report
from esnera_hf.report.systems import PARTIAL, is_partial


def making(report: Report) -> list[tuple[str, str]]:
    """Return names and values of the settings that decide the outcome."""
    settings = report.settings
    found = {
        "encoder": settings.get("encoder"),
        "seed": settings.get("seed"),
        "sentences used": _sentences(settings),
        "search": _search(report),
        "taggers": _taggers(settings),
        "spans match by": settings.get("evidence", {}).get("match"),
        "vectors of mentions": settings.get("evidence", {}).get("embeddings"),
        "vectors centred over": settings.get("evidence", {}).get("centre"),
        "likelihood of the final tagger": PARTIAL if is_partial(settings) else "",
        "versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
        "time": _time(report.seconds),
    }
    return [(name, str(value)) for name, value in found.items() if value not in (None, "")]


def _sentences(settings: Mapping[str, Any]) -> str:
    most = settings.get("sentences")
    return "" if most is None else f"at most {most:,} a split of each source"


def own_tagger(report: Report) -> str:
    """Return what the tagger of a source is that a merged one is compared with."""
    evidence = report.settings.get("evidence") or {}
    if _kind(report.settings) != "joint":
        return "a tagger trained on that source alone"
    others = " (or, of a later source, a tagger that began with it)" if evidence.get("joint_of") else ""
    return f"that source's head of the joint tagger{others}"


def _kind(settings: Mapping[str, Any]) -> str:
    """Return ``joint`` or ``separate``, as an alignment or an applied mapping keeps it; nothing if unknown."""
    return str((settings.get("evidence") or settings).get("taggers") or "")


def _taggers(settings: Mapping[str, Any]) -> str:
    evidence = settings.get("evidence") or {}
    told = [_kind(settings)]
    if evidence.get("joint_of"):
        told.append(f"of {', '.join(evidence['joint_of'])}; the others begin with it")
    return ", ".join(filter(None, told))


def _search(report: Report) -> str:
    if not report.trials:
        return ""
    tried = sum(trial["scores"] is not None for trial in report.trials)
    bound = report.settings.get("search", {}).get("max_drop")
    text = f"{len(report.trials):,} distinct mappings, {tried:,} tried"
    return text + ("" if bound is None else f"; pooled micro-F1 may fall by less than {bound}")


def _time(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{step} {duration(value)}" for step, value in seconds.items())


def merge_steps(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the steps of the merge path."""
    for number, stage in enumerate(report.stages):
        yield {
            "sources": stage["sources"],
            "target": stage["target"],
            "lam": stage["lambda"],
            "tau": stage["tau"],
            "merged": stage["merged"],
            "unmerged": report.why_unmerged(number),
        }


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where it holds none."""
    written = repr(text)
    return f'"{written[1:-1]}"' if '"' not in text else written
