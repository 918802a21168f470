"""What cards say of labels: what was merged into what, on what evidence, and how sure that is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from esnera_hf._internal.arrow import Statistics
from esnera_hf._internal.console import duration
from esnera_hf._internal.text import shorten
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.report.format import PARTIAL, is_partial, system_title
from esnera_hf.report.html import LARGE_LOSS
from esnera_hf.report.report import Report
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.licenses import Terms
from esnera_hf.tagging import GOLD, PSEUDO, LabelRef

_LONGEST_MENTION = 40
_WEAKEST = 3

Examples = Mapping[str, Sequence[Mapping[str, Any]]]


def merged_labels(mapping: LabelMapping, statistics: Statistics) -> list[dict[str, Any]]:
    """Return a row a unified label: the source labels it is made of, and its entities by origin.

    Each label is followed by its parts; ``parent`` is the label that it is a part of.
    """
    by_label = {label: {GOLD: 0, PSEUDO: 0} for label in mapping.unified_labels}
    for (_, _, label, origin), count in statistics.entities.items():
        by_label[label][origin] += count
    return [
        {
            "name": label,
            "parent": mapping.parents.get(label),
            "members": [str(ref) for ref in mapping.members(label)],
            **by_label[label],
        }
        for label in mapping.tree.order
    ]


def evidence_rows(mapping: LabelMapping, examples: Examples) -> list[dict[str, Any]]:
    """Return a row a source label, those of a unified label together, those left out last."""
    return [
        _evidence(entry, mapping, examples)
        for unified in (*mapping.tree.order, None)
        for entry in mapping.entries
        if entry.unified == unified
    ]


def _evidence(entry: MappedLabel, mapping: LabelMapping, examples: Examples) -> dict[str, Any]:
    evidence, other = entry.evidence, entry.compared_with
    return {
        "label": str(entry.label),
        "unified": entry.unified,
        "relation": entry.relation,
        "mentions": entry.mentions,
        "other": None if other is None else str(other),
        "merged": other is not None and is_merge(mapping, entry),
        "similarity": entry.similarity,
        "semantic": None if evidence is None else evidence.semantic,
        "forward": None if evidence is None else asdict(evidence.forward),
        "backward": None if evidence is None else asdict(evidence.backward),
        "examples": mentions(examples, str(entry.label)),
    }


def mentions(examples: Examples, label: str) -> list[str]:
    """Return example mentions of a source label, cut to a table's width."""
    return [shorten(str(example["mention"]), _LONGEST_MENTION) for example in examples.get(label, ())]


def is_merge(mapping: LabelMapping, entry: MappedLabel) -> bool:
    """Tell whether a label went to the same unified label as the one it was compared with."""
    other = entry.compared_with
    known = {found.label for found in mapping.entries}
    return other is not None and other in known and mapping.are_one(entry.label, other)


def weakest_merges(mapping: LabelMapping) -> list[dict[str, Any]]:
    """Return the three pairs of merged labels with the lowest similarity, the lowest first."""
    pairs: dict[frozenset[str], dict[str, Any]] = {}
    for entry in mapping.entries:
        if entry.similarity is not None and is_merge(mapping, entry):
            one, other = str(entry.label), str(entry.compared_with)
            row = {"one": one, "other": other, "similarity": entry.similarity}
            known = pairs.setdefault(frozenset((one, other)), row)
            known["similarity"] = min(known["similarity"], entry.similarity)
    return sorted(pairs.values(), key=lambda pair: (pair["similarity"], pair["one"]))[:_WEAKEST]


def merged_by_meaning_alone(mapping: LabelMapping) -> list[str]:
    """Return the labels that were merged though no tagger ever predicted them in the other source or back."""
    return [
        str(entry.label)
        for entry in mapping.entries
        if entry.evidence is not None
        and is_merge(mapping, entry)
        and not entry.evidence.forward.predicted
        and not entry.evidence.backward.predicted
    ]


def not_annotated(mapping: LabelMapping, sources: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield, for each source, the unified labels that it annotates under no name."""
    for source in mapping.sources:
        annotated = mapping.projection(source)
        missing = [label for label in mapping.unified_labels if label not in annotated]
        if missing and source in sources:
            yield {"source": source, "labels": missing}


def annotated_coarsely(mapping: LabelMapping, sources: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield, for each source and label of it that has parts, the parts that it gives only as that label."""
    for source in mapping.sources:
        projection = mapping.projection(source)
        for label in mapping.tree.order:
            parts = [part for part, known in projection.items() if known == label != part]
            if parts and source in sources:
                yield {"source": source, "label": label, "parts": parts}


_OWN = "native"


def main_scores(report: Report) -> dict[str, Any] | None:
    """Return the scores in the sources' own labels that say most, with the split they are on.

    Those on test of the tagger trained on the merged dataset; else those on
    validation of the tagger that was trained to try the chosen mapping.
    """
    if "merged" in report.systems:
        return {"split": "test", **report.systems["merged"][_OWN]}
    if report.search_scores is not None:
        return {"split": "validation", **report.search_scores[_OWN]}
    return None


def score_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a source, and one over all of them if there are several."""
    rows = [{"name": name, "all": False, **found["micro"]} for name, found in scores["sources"].items()]
    return rows + [{"name": "", "all": True, **scores["pooled"]}] * (len(rows) > 1)


def system_rows(report: Report) -> list[dict[str, Any]]:
    """Return a row a tagger scored on test, pooled over the sources; none if there is nothing to compare."""
    if len(report.systems) < 2:
        return []
    return [
        {
            "name": system_title(name, report.settings),
            _OWN: system[_OWN]["pooled"]["after"],
            "unified": system["unified"]["pooled"]["after"],
        }
        for name, system in report.systems.items()
    ]


def label_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a source and label of its own that is annotated on the split."""
    return [
        {"source": source, "label": label, **row}
        for source, found in scores["sources"].items()
        for label, row in found["by_label"].items()
        if row["support"]
    ]


def large_losses(scores: Mapping[str, Any] | None, mapping: LabelMapping | None) -> list[dict[str, Any]]:
    """Return the labels that lose more F1 than is let pass, the worst first; not those that are left out."""
    rows = [] if scores is None else label_rows(scores)
    left_out = set() if mapping is None else set(mapping.members(None))
    lost = [
        row
        for row in rows
        if row["change"]["value"] is not None
        and row["change"]["value"] < -LARGE_LOSS
        and LabelRef(row["source"], row["label"]) not in left_out
    ]
    return sorted(lost, key=lambda row: row["change"]["value"])


def own_taggers(report: Report) -> Iterator[dict[str, Any]]:
    """Yield micro-F1 of the sources' own taggers on validation and test."""
    for name, tagger in report.taggers.items():
        yield {
            "source": name,
            **{split: tagger[split]["micro"]["f1"] for split in ("validation", "test")},
            "support": tagger["test"]["micro"]["support"],
        }


_MAY = {True: "yes", False: "no", None: "not stated"}


def source_rows(summaries: Sequence[Mapping[str, Any]], terms: Terms) -> list[dict[str, Any]]:
    """Return a row a source: its terms and where it comes from."""
    rows = []
    for summary in summaries:
        license = terms.by_source.get(summary["name"])
        rows.append(
            {
                "name": summary["name"],
                "language": str(summary.get("language") or ""),
                "license": "unknown" if license is None else license.name,
                "clause": "" if license is None else license.clause,
                "may": _MAY[None if license is None else license.text_may_be_shared],
                "home": home(summary),
                "named_as": named_as(summary),
                "citation": str(summary.get("citation") or ""),
            }
        )
    return rows


def home(summary: Mapping[str, Any]) -> str:
    """Return where a source is published, ``""`` where that is not known."""
    hub_id = str(summary.get("hub_id") or "")
    return str(summary.get("homepage") or "") or (
        f"https://huggingface.co/datasets/{hub_id}" if hub_id else ""
    )


def named_as(summary: Mapping[str, Any]) -> str:
    """Return what :func:`esnera_hf.apply` is to be given for a source."""
    name, hub_id = str(summary["name"]), str(summary.get("hub_id") or "")
    known = find_named(name)
    if known is not None and known.hub_id and hub_id in ("", known.hub_id):
        return name
    return f"{name}={hub_id or 'PATH'}"


def left_out_rows(summaries: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what reading left out or repaired, by source and kind."""
    for summary in summaries:
        for key, fate in (("dropped", "left out"), ("repairs", "repaired")):
            for kind, count in summary.get(key, {}).items():
                yield {"source": summary["name"], "what": kind, "fate": fate, "count": count}


def notes(summaries: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield the notes on splits that were cut, renamed or not loaded."""
    for summary in summaries:
        yield from ({"source": summary["name"], "note": note} for note in summary.get("notes", ()))


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
        "vectors centered over": settings.get("evidence", {}).get("center"),
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
    bound = report.settings.get("search", {}).get("max_f1_drop")
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
