"""What is fuzzed: how an input of each parser is made, run and judged."""

from __future__ import annotations

import json
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from grammar import written
from mutations import dumped, spoiled, spoiled_value
from seeds import BRAT_TEXT, MANIFEST, MAPPINGS, RECIPE, REPORT, SIMILARITY, TEXTS, json_values

from esnera_hf._internal.yaml import dump_yaml
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.hub.recipe import Recipe
from esnera_hf.hub.repository import read_manifest
from esnera_hf.report.files import read_report, write_json
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.offsets import EMPTY, to_tokens
from esnera_hf.sources.source import RawSentence, flatten
from esnera_hf.tagging import (
    SCHEMES,
    Entity,
    TagError,
    detect_scheme,
    entities_from_tags,
    tags_from_entities,
)

_TAGS = (
    "O",
    "B-x",
    "I-x",
    "E-x",
    "S-x",
    "M-x",
    "W-y",
    "L-y",
    "U-y",
    "B-y",
    "I-y",
    "B_x",
    "x",
    "",
    "B-",
    "o",
    "-",
)
_TEXT = "ab 'é-\u0301\u200b\u202e\n\t\u3000北京で\U0001f468\u200d\ufeff0_."


class WrongError(Exception):
    """A parser gave what cannot be right."""


@dataclass(frozen=True)
class Case:
    """One input: files by name, options of the reader, and, where it is known, what must be read."""

    target: str
    files: Mapping[str, bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    truth: Any = None


def check(condition: bool, message: str) -> None:
    """Raise if a condition does not hold."""
    if not condition:
        raise WrongError(message)


def make(target: str, choose: random.Random) -> Case:
    """Make an input of a target."""
    if target in TEXTS:
        return _file_case(target, choose)
    if target == "auto":
        case = _file_case(choose.choice(sorted(TEXTS)), choose)
        name = next(iter(case.files))
        return Case("auto", {**case.files, name: case.files[name]})
    if target == "load":
        case = _file_case(choose.choice(sorted(TEXTS)), choose)
        return Case("load", case.files, {"format": choose.choice((None, case.target))})
    return _MADE[target](choose)


def run(case: Case, folder: Path) -> None:
    """Run a parser on an input; its result is judged, its errors are the caller's to judge."""
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    if case.target in (*TEXTS, "auto"):
        _read(case, folder)
    else:
        _RUN[case.target](case, folder)


def _file_case(target: str, choose: random.Random) -> Case:
    kind = choose.random()
    if kind < 0.3:
        sound = written(target, choose)
        return Case(target, sound.files, sound.options, sound.truth)
    if kind < 0.4:
        sound = written(target, choose)
        name = next(iter(sound.files))
        return Case(target, {**sound.files, name: spoiled([sound.files[name]], choose)}, sound.options)
    if kind < 0.6 and target in ("json", "cluener"):
        records = spoiled_value(choose.choice(_PARSED[target]), choose)
        lines = [dumped(record) for record in records] if isinstance(records, list) else [dumped(records)]
        return Case(target, {"data.json": "\n".join(lines).encode("utf-8", "surrogatepass")})
    seeds = [text.encode() for text in TEXTS[target]]
    if target == "brat":
        text = spoiled([BRAT_TEXT.encode()], choose) if choose.random() < 0.3 else BRAT_TEXT.encode()
        return Case(target, {"data.ann": spoiled(seeds, choose), "data.txt": text})
    return Case(target, {"data.txt": spoiled(seeds, choose)})


def _read(case: Case, folder: Path) -> None:
    name = next(iter(case.files))
    form = None if case.target == "auto" else case.target
    reader = file_reader([folder / name], ReadingOptions(**{"format": form, **case.options}))
    sentences = list(reader())
    for sentence in sentences:
        _check_sentence(sentence, name)
    if case.truth is not None and case.target != "auto":
        found = [(s.tokens, sorted((e.start, e.end, e.label) for e in s.spans or ())) for s in sentences]
        known = [(list(tokens), [tuple(span) for span in spans]) for tokens, spans in case.truth]
        check(found == known, f"read {found!r}\nexpected {known!r}")


def _check_sentence(sentence: RawSentence, name: str) -> None:
    check(bool(sentence.tokens), "a sentence without tokens")
    check(all(type(token) is str for token in sentence.tokens), f"tokens {sentence.tokens!r}")
    check(name.partition(".")[0] in sentence.where, f"the place {sentence.where!r} does not name the file")
    for token in sentence.tokens:
        token.encode()
    spans = sentence.spans or []
    for span in spans:
        check(0 <= span.start < span.end <= len(sentence.tokens), f"{span} in {len(sentence.tokens)} tokens")
        check(type(span.label) is str, f"label {span.label!r}")
    kept, clashes = flatten(spans, {})
    check(len(kept) + len(clashes) == len(spans), "spans lost")
    tags = tags_from_entities(len(sentence.tokens), kept)
    check(len(tags) == len(sentence.tokens), "as many tags as tokens expected")


def _load(case: Case, folder: Path) -> None:
    path = folder / next(iter(case.files))
    options = ReadingOptions(**case.options)
    source = load_source(path, name="data", options=options)
    found: Counter[str] = Counter(drop.label for drop in source.dropped)
    texts: Counter[str] = Counter()
    for split in source.dataset:
        for sentence in source.sentences(split):
            texts["".join(sentence.tokens)] += 1
            found.update(entity.label for entity in sentence.entities)
            for entity in sentence.entities:
                check(0 <= entity.start < entity.end <= len(sentence.tokens), f"{entity}")
    raw = list(file_reader([path], options)())
    check(texts == Counter("".join(s.tokens) for s in raw), "sentences gained or lost")
    check(
        found == Counter(_normal(span.label) for s in raw for span in s.spans or ()),
        "entities gained or lost",
    )
    check(bool(source.labels), "a source without labels")


def _normal(label: str) -> str:
    text = unicodedata.normalize("NFKC", label).strip()
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _tags_case(choose: random.Random) -> Case:
    tags = choose.choices(_TAGS[:12] if choose.random() < 0.7 else _TAGS, k=choose.randint(0, 12))
    return Case("tags", {}, {"tags": tags, "scheme": choose.choice((None, *SCHEMES))})


def _tags(case: Case, _folder: Path) -> None:
    tags = case.options["tags"]
    scheme = case.options["scheme"] or detect_scheme([tags])
    try:
        entities, repairs = entities_from_tags(tags, scheme)
    except TagError as error:
        check(repr(str(error)) != "''", "an empty message")
        return
    end = 0
    for entity in entities:
        check(end <= entity.start < entity.end <= len(tags), f"{entity} of {tags}")
        check(bool(entity.label), f"{entity} without a label")
        end = entity.end
    covered = {token for entity in entities for token in range(entity.start, entity.end)}
    check(
        covered == {i for i, tag in enumerate(tags) if tag != "O"}, f"tokens covered by {entities} of {tags}"
    )
    check(all(0 <= token < len(tags) for token, _ in repairs), f"{repairs}")
    again = tags_from_entities(len(tags), entities)
    check(entities_from_tags(again) == (entities, []), f"{entities} do not survive as IOB2")


def _offsets_case(choose: random.Random) -> Case:
    text = "".join(choose.choices(_TEXT, k=choose.randint(0, 20)))
    spans = []
    for _ in range(choose.randint(0, 4) if text else 0):
        start = choose.randrange(len(text))
        spans.append((start, choose.randint(start + 1, len(text)), choose.choice("xy")))
    return Case("offsets", {}, {"text": text, "spans": spans, "characters": choose.random() < 0.5})


def _offsets(case: Case, _folder: Path) -> None:
    text, spans = case.options["text"], case.options["spans"]
    record = RawSentence([], [Entity(*span) for span in spans], "data, line 1", text=text)
    sentence = to_tokens(record, characters=case.options["characters"])
    at = 0
    for token in sentence.tokens:
        at = text.index(token, at) + len(token)
    found = sentence.spans or []
    check(len(found) + sentence.repairs.count(EMPTY) == len(spans), "spans lost")
    left = iter(found)
    for start, end, label in spans:
        if not text[start:end].strip():
            continue
        entity = next(left)
        inside = "".join(sentence.tokens[entity.start : entity.end])
        wanted = "".join(text[start:end].split())
        check(
            entity.label == label and wanted in "".join(inside.split()), f"{inside!r} for {text[start:end]!r}"
        )


def _mapping_case(choose: random.Random) -> Case:
    if choose.random() < 0.5:
        text = dump_yaml(spoiled_value(choose.choice(_MAPPINGS), choose))
        return Case("mapping", {"mapping.yaml": text.encode("utf-8", "surrogatepass")})
    return Case("mapping", {"mapping.yaml": spoiled([text.encode() for text in MAPPINGS], choose)})


def _mapping(case: Case, folder: Path) -> None:
    mapping = LabelMapping.load(folder / "mapping.yaml")
    check(LabelMapping.from_yaml(mapping.to_yaml()) == mapping, "the mapping does not survive being written")


def _recipe_case(choose: random.Random) -> Case:
    head = dumped(spoiled_value(RECIPE, choose)).encode("utf-8", "surrogatepass")
    content = head if choose.random() < 0.7 else spoiled([dumped(RECIPE).encode()], choose)
    return Case("recipe", {"recipe.json": content})


def _recipe(_case: Case, folder: Path) -> None:
    if not (folder / "recipe").exists():
        (folder / "sound").mkdir()
        added = {"start": 0, "end": 1, "label": "PER", "confidence": 0.95}
        row = {
            "id": "a-train-0",
            "source": "a",
            "text": bytes(16),
            "annotation": bytes(16),
            "pseudo": [added],
        }
        rows: dict[str, list[dict[str, Any]]] = {"train": [row], "validation": [], "test": []}
        mapping = LabelMapping.from_yaml(MAPPINGS[0])
        Recipe(mapping, {}, rows, bytes(16), "11" * 16).write(folder / "sound")
        (folder / "sound" / "recipe").rename(folder / "recipe")
        mapping.save(folder / "mapping.yaml")
    recipe = Recipe.read(folder)
    check(set(recipe.rows) == {"train", "validation", "test"}, f"splits {sorted(recipe.rows)}")
    check(all(isinstance(name, str) for name in recipe.sources), "a source without a name")


def _manifest_case(choose: random.Random) -> Case:
    value = dumped(spoiled_value(MANIFEST, choose))
    text = value if choose.random() < 0.7 else spoiled([value.encode()], choose).decode(errors="replace")
    return Case("manifest", {}, {"text": text})


def _manifest(case: Case, _folder: Path) -> None:
    metadata, listed = read_manifest(case.options["text"])
    check(isinstance(metadata, dict), f"metadata {metadata!r}")
    check(all(isinstance(path, str) for path in listed), f"files {listed!r}")


def _report_case(choose: random.Random) -> Case:
    parts = {"report.json": REPORT, "similarity.json": SIMILARITY}
    files = {name: dumped(value).encode() for name, value in parts.items()}
    name = choose.choice(sorted(parts))
    if choose.random() < 0.7:
        files[name] = dumped(spoiled_value(parts[name], choose)).encode("utf-8", "surrogatepass")
    else:
        files[name] = spoiled([files[name]], choose)
    return Case("report", files)


def _report(_case: Case, folder: Path) -> None:
    (folder / "mapping.yaml").write_text(MAPPINGS[0], encoding="utf-8")
    report, _, similarity = read_report(folder)
    write_json(report.to_dict(), folder / "again.json")
    check(json.loads((folder / "again.json").read_text("utf-8")) is not None, "the report cannot be written")
    if similarity is not None:
        check(len(similarity.labels) == len(similarity.semantic), "a matrix of another size")


_MAPPINGS = [yaml.safe_load(text) for text in MAPPINGS]
_PARSED = {target: json_values(target) for target in ("json", "cluener")}
_MADE: dict[str, Callable[[random.Random], Case]] = {
    "tags": _tags_case,
    "offsets": _offsets_case,
    "mapping": _mapping_case,
    "recipe": _recipe_case,
    "manifest": _manifest_case,
    "report": _report_case,
}
_RUN: dict[str, Callable[[Case, Path], None]] = {
    "load": _load,
    "tags": _tags,
    "offsets": _offsets,
    "mapping": _mapping,
    "recipe": _recipe,
    "manifest": _manifest,
    "report": _report,
}
#: Targets and how many of a hundred inputs each of them gets.
SHARES: dict[str, int] = {
    **dict.fromkeys(TEXTS, 5),
    "auto": 9,
    "tags": 9,
    "offsets": 6,
    "mapping": 5,
    "recipe": 3,
    "manifest": 3,
    "report": 2,
    "load": 1,
}
