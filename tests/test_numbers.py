"""No number on console, page or card, or in mapping.yaml, that what lies beside it does not give again.

The numbers of each place are looked for among those of what is named there: two labels, a label, a source, or
nothing, which is the alignment as a whole. What they may be is worked out again from the counts of ``report.json``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain, combinations
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import pytest
import yaml

from card_facts import comparison
from esnera_hf import MergeResult, api
from esnera_hf.alignment.questions import Question
from esnera_hf.evaluation.merged_tagger import SystemScores, TaggerScores
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.metrics import LabelScore, Scores
from esnera_hf.report.build import with_pairs
from esnera_hf.report.html import render_report
from test_golden import MENTIONS, SETTINGS, corpus, dictionary_tagger

_NUMBER = re.compile(r"(?<![\w.])([+-]?\d+(?:,\d{3})*(?:\.\d+)?)( ?%)?(?!\w)")
#: What no alignment decides: the width of intervals, the formula of the odds, the F1 whose loss is pointed out.
_CONSTANT = (
    "95 %",
    "P(equal) = 1 / (1 + e",
    "more than 0.1 of F1",
    "more than 0.1 F1",
    "more than 0.1.",
    "2508.06877",
)
_BLOCKS = {"p", "li", "tr", "h1", "h2", "h3", "summary", "title", "legend", "output"}
_VOID = {"meta", "br", "input"}


def aligned(method: Any, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> MergeResult:
    """Return an alignment by dictionaries, with all that a report can hold of it."""
    monkeypatch.setattr(
        api, "train_source_taggers", lambda sources, *_: {s.name: dictionary_tagger(s.name) for s in sources}
    )
    result = api.align(
        [corpus("news"), corpus("web")], encoder=encoder, method=method, settings=SETTINGS[method]
    )
    report, taggers = result.report, {}
    for name, labels in MENTIONS.items():
        by_label = {label: LabelScore(0.5, 0.75, 0.6, 30) for label in labels}
        scores = Scores(LabelScore(0.61, 0.77, 0.68, 90), 0.6, by_label)
        taggers[name] = TaggerScores(scores, replace(scores, micro=LabelScore(0.6, 0.7, 0.646, 90)))
    sources = {"news": comparison(0.646, 0.712, 90), "web": comparison(0.646, 0.6333, 120)}
    by_label = {
        name: {label: comparison(0.6, 0.49 - n / 100, 30) for n, label in enumerate(labels)}
        for name, labels in MENTIONS.items()
    }
    scores_of_all = MergedScores(comparison(0.646, 0.669, 210), sources, by_label)
    matrix = result.similarity
    assert matrix is not None
    # Every pair of labels is asked about, so that the sentences of all of them are read.
    questions = tuple(
        Question(
            one,
            other,
            result.mapping.decision(one, other),
            *(round(matrix.probability(one, other, name), 4) for name in ("equal", "subset", "superset")),
            min(int(matrix.support[matrix.index[label]]) for label in (one, other)),
        )
        for one, other in combinations(matrix.labels, 2)
        if one.source != other.source
    )
    report = replace(
        report,
        taggers=taggers,
        systems={"merged": SystemScores(scores_of_all, scores_of_all)},
        questions=questions,
    )
    return replace(result, report=with_pairs(report, result.mapping, matrix))


class Facts:
    """What the files of an alignment say, by what it is about, and what can be worked out of that."""

    def __init__(self, folder: Path) -> None:
        self.report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        self.mapping = yaml.safe_load((folder / "mapping.yaml").read_text(encoding="utf-8"))
        self.similarity = json.loads((folder / "similarity.json").read_text(encoding="utf-8"))
        self.entries = {f"{e['source']}:{e['label']}": e for e in self.mapping["labels"]}
        self.pairs: dict[frozenset[str], list[float]] = {}
        self.named: dict[str, list[float]] = {name: [] for name in self.entries}
        # Of the questions the console shows five, and the page seven before the rest is folded.
        asked = len(self.report["questions"])
        self.all: list[float] = [asked, asked - 5, asked - 7, len(self.report["pairs"])]
        self._read_pairs()
        self._read_mapping()
        self._read_sources()
        self._read_scores()
        #: Names with digits in them: of versions, and the folder of the encoder.
        self.names = sorted(self.report["versions"].values(), key=len, reverse=True)
        self.names.append(self.report["call"]["encoder"])

    def pair(self, one: Any, other: Any) -> list[float]:
        return self.pairs.setdefault(frozenset((":".join(one), ":".join(other))), [])

    def _read_pairs(self) -> None:
        for pair in self.report["pairs"]:
            total = pair["start"] + sum(pair["parts"].values())
            equal = 1 / (1 + math.exp(-total))
            # The parts give the probability that decides; the other four share what is left.
            assert equal == pytest.approx(pair["probabilities"][0], abs=2e-3)
            assert sum(pair["probabilities"]) == pytest.approx(1, abs=1e-3)
            values = [equal, total, -total, pair["start"], *pair["parts"].values(), *pair["probabilities"]]
            values += [*pair["mentions"], *pair["annotated"], *pair["forms"], *pair["shared"], pair["names"]]
            values += [
                v for v in (*pair["own_recall"], *pair["form_shares"], pair["semantic"]) if v is not None
            ]
            self.pair(pair["one"], pair["other"]).extend(
                chain(values, *(shares(pair[way]) for way in ("forward", "backward")))
            )
        for near in self.report["near"]:
            numbers = [value for value in near.values() if isinstance(value, float)]
            counts = (shares(near[way]) for way in ("forward", "backward"))
            self.pair(near["one"], near["other"]).extend(chain(numbers, *counts))
        for asked in self.report["questions"]:
            own = [asked["equal"], asked["part"], asked["whole"], asked["mentions"]]
            self.pair(asked["one"], asked["other"]).extend(own)
        for step in self.report["steps"]:
            self.all += [step["tau"] or 0, step["lam"] or 0, step["sum_empirical"]]
            merged = [d for d in step["decisions"] if d["merged"]]
            self.all += [len(merged), sum(len(group) - 1 for group in step["groups"] if group)]
            for decision in step["decisions"]:
                for label in decision["group"] if decision["candidate"] else ():
                    self._read_decision(step, decision, self.pair(label, decision["candidate"]))

    def part(self, part: str, whole: str) -> float:
        """Return how probable it is that a label is a part of another one."""
        for pair in self.report["pairs"]:
            one, other = ":".join(pair["one"]), ":".join(pair["other"])
            if {one, other} == {part, whole}:
                return float(pair["probabilities"][1 if part == one else 2])
        raise AssertionError(f"{part} and {whole} are not explained")

    def _read_decision(self, step: Any, decision: Any, values: list[float]) -> None:
        own = shares(decision)
        if step["lam"] is None:
            # It repeats one of the probabilities.
            assert any(decision["similarity"] == pytest.approx(value, abs=1e-4) for value in values)
        elif decision["semantic"] is not None and decision["predicted"]:
            lam = step["lam"]
            score = (1 - lam) * decision["semantic"] + lam * own[2]
            assert score == pytest.approx(decision["similarity"], abs=1e-4)
            own += [score, lam, 1 - lam]
        values += [*own, decision["similarity"], *([decision["semantic"]] if decision["semantic"] else [])]

    def _read_mapping(self) -> None:
        unified, parents = self.mapping["unified_labels"], self.mapping.get("parents") or {}
        groups = {name: [e for e in self.entries.values() if e["unified"] == name] for name in unified}
        borne = [name for name, members in groups.items() if members]
        related = {*parents, *parents.values()}
        self.all += [len(self.entries), len(borne), len(unified) - len(parents), len(self.report["sources"])]
        self.all += [sum(len(members) > 1 for members in groups.values()), len(parents)]
        self.all += [sum(len(members) == 1 and name not in related for name, members in groups.items())]
        lam = self.mapping.get("lambda")
        for name, entry in self.entries.items():
            self.named[name].append(entry["mentions"])
            other = entry["compared_with"]
            if lam is not None and other["empirical_forward"]["predicted"]:
                score = (1 - lam) * other["semantic"] + lam * shares(other["empirical_forward"])[2]
                assert score == pytest.approx(other["similarity"], abs=1e-4)
                self.pair(name.split(":"), (other["source"], other["label"])).append(score)
        for name, members in groups.items():
            total = sum(entry["mentions"] for entry in members)
            self.named.setdefault(f"[{name}]", []).extend((len(members), total))

    def _read_sources(self) -> None:
        totals: dict[str, int] = {}
        entities_of_all = 0
        of_unified: dict[str, int] = {}
        for source in self.report["sources"]:
            name, entities = source["name"], 0
            for split, count in source["sentences"].items():
                totals[split] = totals.get(split, 0) + count
            for labels in source["entities"].values():
                entities += sum(labels.values())
                for label, count in labels.items():
                    self.named[f"{name}:{label}"].append(count)
                    unified = self.entries[f"{name}:{label}"]["unified"]
                    of_unified[unified] = of_unified.get(unified, 0) + count
            entities_of_all += entities
            values = [*source["sentences"].values(), sum(source["sentences"].values()), entities]
            self.named.setdefault(name, []).extend(values)
        for name, count in of_unified.items():
            self.named[f"[{name}]"].append(count)
        call = self.report["call"]
        self.all += [*totals.values(), entities_of_all, call["seed"], *self.report["seconds"].values()]
        self.all.append(call["settings"]["output"]["pseudo_label_threshold"] or 0)
        pseudo = self.report["pseudo_labels"]
        self.all += [pseudo["threshold"], sum(row[3] for row in pseudo["counts"])] if pseudo else []

    def _read_scores(self) -> None:
        for name, tagger in self.report["taggers"].items():
            for scores in (tagger["validation"], tagger["test"]):
                self.named[name].append(scores["micro"]["f1"])
                for label, score in scores["by_label"].items():
                    self.named[f"{name}:{label}"].append(score["f1"])
        for system in self.report["systems"].values():
            for scores in (system["native"], system["unified"]):
                self.all += compared(scores["pooled"])
                for name, micro in scores["sources"].items():
                    self.named[name] += compared(micro)
                    for label, score in scores["by_label"][name].items():
                        self.named[f"{name}:{label}"] += compared(score)

    def of(self, text: str, context: str = "") -> list[float]:
        """Return the numbers of what a text names; what stands above it counts where it names no pair itself."""
        words = set(re.findall(r"[\w+@]+", text))
        names = {f"[{word}]" for word in words if f"[{word}]" in self.named}
        for where in (text, f"{context} {text}"):
            labels = [name for name in self.entries if re.search(rf"(?<![\w:]){name}(?!\w)", where)]
            pairs = [
                self.pairs[frozenset(two)] for two in combinations(labels, 2) if frozenset(two) in self.pairs
            ]
            if pairs:
                return list(chain(*pairs, *(self.named[name] for name in {*labels, *names})))
        above = set(re.findall(r"\w+", context))
        names |= {f"{source}:{word}" for source in above | words for word in words} & self.named.keys()
        names |= {*labels, *(words | above) & self.named.keys()}
        return list(chain(*(self.named[name] for name in names), [] if labels else self.all))

    def strange(self, text: str, context: str = "") -> list[str]:
        """Return the numbers of a text that cannot be worked out again."""
        for digits in (*_CONSTANT, *self.names):
            text = text.replace(digits, "")
        values = self.of(text, context)
        return [
            number[0]
            for number in _NUMBER.finditer(text)
            if not derivable(number[1], bool(number[2]), values)
        ]


def shares(counts: Any) -> list[float]:
    matched, predicted = counts["matched"], counts["predicted"]
    return [matched, predicted, *([matched / predicted] if predicted else [])]


def compared(score: Any) -> list[float]:
    before, after, change = score["before"], score["after"], score["change"]
    intervals = [
        value for estimate in (before, after, change) for value in (estimate["low"], estimate["high"])
    ]
    return [score["support"], before["value"], after["value"], after["value"] - before["value"], *intervals]


def derivable(text: str, percent: bool, values: list[float]) -> bool:
    """Tell whether a number is one of the values, to its last digit."""
    digits = len(text.partition(".")[2]) + (2 if percent else 0)
    shown = float(text.replace(",", "")) / (100 if percent else 1)
    # Two roundings, that of the report and that of the place, are a little more than half a digit.
    return any(abs(shown - value) <= 0.5 * 10**-digits + 1.5e-4 for value in values)


class Page(HTMLParser):
    """A page as elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.builder, self.open = TreeBuilder(), list[str]()
        self.feed(text)
        self.root = self.builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in _VOID:
            self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        self.builder.data(data)


def told(element: Element) -> str:
    """Return the text of an element, and what is said of its pictures, without the examples and blocks within."""
    parts = [element.get("aria-label", "") + " ", element.text or ""]
    for child in element:
        inner = (
            child.tag in _BLOCKS
            or child.get("class") in ("example", "points")
            or child.tag in ("script", "style", "pre")
        )
        parts += ["" if inner else told(child), child.tail or "", " "]
    return "".join(parts)


def places(element: Element, context: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a page with what stands above each."""
    heading = context
    for child in element:
        names = child.get("class", "").split()
        if child.tag in ("script", "style", "pre", "nav") or "heat" in names:
            continue
        if child.tag in ("article", "div") and {"question", "member"} & set(names):
            whole = " ".join(chain(child.itertext()))
            yield from places(child, " ".join(re.findall(r"\w+:\w+", whole)[:2]))
            continue
        if child.tag in _BLOCKS or child.get("aria-label"):
            yield heading, " ".join(told(child).split())
        if child.tag == "h3":
            heading = " ".join("".join(child.itertext()).split())
        yield from places(child, heading)


@pytest.fixture(scope="module", params=["equivalence", "greedy"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path
) -> tuple[MergeResult, Facts, Path]:
    folder = tmp_path_factory.mktemp(request.param) / "files"
    with pytest.MonkeyPatch.context() as patch:
        result = aligned(request.param, encoder_folder, patch)
    result.save(folder)
    return result, Facts(folder), folder


def test_the_console(made: tuple[MergeResult, Facts, Path]) -> None:
    result, facts, _ = made
    heading = ""
    for line in [
        *str(result.report).split("\n"),
        *result.report.details().split("\n"),
        *repr(result).split("\n"),
    ]:
        heading = heading if line.startswith("  ") else line
        line = re.sub(r"^time: .*", lambda match: match[0].replace(" min", " s"), line)
        assert facts.strange(line, heading) == [], line


def test_the_page(made: tuple[MergeResult, Facts, Path]) -> None:
    result, facts, folder = made
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text == render_report(result.report, result.mapping, result.similarity)
    root = Page(text).root
    read = [*places(root)]
    assert sum(len(_NUMBER.findall(text)) for _, text in read) > 100
    strange = {text: numbers for context, text in read if (numbers := facts.strange(text, context))}
    assert strange == {}
    # Which of two labels is the part of the other.
    said = re.findall(
        r"(\w+:\w+) a part of (\w+:\w+) (\d\.\d\d)", " ".join(" ".join(root.itertext()).split())
    )
    assert len(said) > 20
    assert {row for row in said if not derivable(row[2], False, [facts.part(*row[:2])])} == set()


def test_the_tables_of_similarities(made: tuple[MergeResult, Facts, Path]) -> None:
    _, facts, folder = made
    matrix = facts.similarity
    labels = [tuple(label) for label in matrix["labels"]]
    root = Page((folder / "report.html").read_text(encoding="utf-8")).root
    cells = 0
    for part in root.iter("details"):
        table = next((t for t in part.findall("div/table") if t.get("class") == "heat"), None)
        if table is None:
            continue
        title = " ".join("".join(part.find("summary").itertext()).split())  # type: ignore[union-attr]
        one, other = re.match(r"(\w+) \(rows\), (\w+) \(columns\)", title).groups()  # type: ignore[union-attr]
        head, *rows = [["".join(cell.itertext()) for cell in row] for row in table.findall("tr")]
        for label, *values in rows:
            for name, value in zip(head[1:], values, strict=True):
                i, j = labels.index((one, label)), labels.index((other, name))
                matched, predicted = matrix["matched"][i][j], matrix["predicted"][i][j]
                empirical = matched / predicted if predicted else None
                expected = matrix["semantic"][i][j] if "semantic" in title else empirical
                assert value == ("?" if expected is None else f"{expected + 0.0:.2f}"), (title, label, name)
                cells += 1
    assert cells == 3 * 12


def test_the_data_of_the_page_are_those_of_the_mapping(made: tuple[MergeResult, Facts, Path]) -> None:
    _, facts, folder = made
    text = (folder / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert (data["unified"], data["parents"]) == (
        facts.mapping["unified_labels"],
        facts.mapping.get("parents") or {},
    )
    for entry in data["entries"]:
        written = facts.entries[f"{entry['source']}:{entry['label']}"]
        assert {**entry["evidence"], "mentions": entry["mentions"], "unified": entry["unified"]} == {
            key: value for key, value in written.items() if key not in ("source", "label", "locked")
        }


def test_the_mapping(made: tuple[MergeResult, Facts, Path]) -> None:
    _, facts, folder = made
    for label, entry in facts.entries.items():
        other = entry["compared_with"]
        named = f"{label} and {other['source']}:{other['label']}"
        for way in ("empirical_forward", "empirical_backward"):
            counts = other.get(way)
            if counts and counts["predicted"]:
                assert counts["share"] == pytest.approx(counts["matched"] / counts["predicted"], abs=1e-4)
        assert facts.strange(f"{named}: {entry['why']}") == []
        if said := re.match(r"P\(part\) ([\d.]+),", entry["why"]):
            both = label, f"{other['source']}:{other['label']}"
            below = (facts.mapping.get("parents") or {}).get(entry["unified"])
            part, whole = both if below == facts.entries[both[1]]["unified"] else both[::-1]
            assert derivable(said[1], False, [facts.part(part, whole)])
        assert facts.strange(f"{named}: {other['similarity']:.4f} {other['semantic']:.4f}") == []
    text = (folder / "mapping.yaml").read_text(encoding="utf-8")
    groups = re.findall(r"^# (\w+): (\d+) labels?, (\d+) mentions?$", text, re.M)
    assert len(groups) == len(facts.mapping["unified_labels"])
    for name, labels, mentions in groups:
        assert [int(labels), int(mentions)] == facts.named[f"[{name}]"][:2]


def test_the_card(made: tuple[MergeResult, Facts, Path]) -> None:
    result, facts, _ = made
    card = result.card("me/ner", may_share=["news", "web"])
    head, body = str(card).split("---\n", 2)[1:]
    counts = {
        split["name"]: split["num_examples"] for split in yaml.safe_load(head)["dataset_info"]["splits"]
    }
    assert counts == {split: len(rows) for split, rows in result.dataset.items()}
    body = re.sub(r"```.*?```|## Columns.*?\n## |## Citation.*", "", body, flags=re.S)
    lines = [line for line in body.split("\n") if line]
    assert sum(len(_NUMBER.findall(line)) for line in lines) > 30
    assert {line: strange for line in lines if (strange := facts.strange(line))} == {}


def test_a_wrong_number_is_noticed(made: tuple[MergeResult, Facts, Path]) -> None:
    _, facts, _ = made
    for label, entry in facts.entries.items():
        other = entry["compared_with"]
        text = f"{label} and {other['source']}:{other['label']}: {entry['why']}"
        for number in _NUMBER.finditer(text):
            # So far off that it is no other number of the pair, such as one of its log-odds.
            changed = f"{float(number[1]) + 7137.31:.{len(number[1].partition('.')[2])}f}"
            wrong = text[: number.start(1)] + changed + text[number.end(1) :]
            assert facts.strange(wrong) == [changed + (number[2] or "")]
