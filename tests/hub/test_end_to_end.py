"""What is published is what people get: the unmodified clients in processes of their own, over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict

from builders import toy_rows, toy_source
from card_facts import merge_with_pseudo_labels
from esnera_hf import LabelMapping, MergeResult, Tagger, apply, load_source
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.modeling.training import fit_tagger
from esnera_hf.sources.licenses import license_from_id
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef
from hub_server import HubServer, run_client

pytestmark = pytest.mark.slow

NAMES = {"alpha": {"PERSON": "per", "PLACE": "loc"}, "beta": {"PERSON": "name", "FIRM": "NO"}}
#: Makes the package unimportable, as where it was never installed.
HIDING = """
import sys
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "esnera_hf":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
"""
WRITING = """
from huggingface_hub import create_tag
from esnera_hf.cli.main import main
assert main(["push", "merged", "me/merged", "--by-source"]) == 0
create_tag("me/merged", repo_type="dataset", tag="v1.0")
assert main(["push", "merged", "me/secret", "--private"]) == 0
assert main(["push", "merged", "me/recipe", "--no-text"]) == 0
assert main(["push", "tagger", "me/tagger"]) == 0
"""
READING = (
    HIDING
    + """
import json
from datasets import load_dataset
from transformers import pipeline
def read(*arguments, **options):
    try:
        loaded = load_dataset(*arguments, **options)
    except Exception as error:
        return type(error).__name__
    return {split: [repr(rows.features), list(rows)] for split, rows in loaded.items()}
told = {
    "without-token": read("me/secret", token=False),
    "tag": read("me/merged", revision="v1.0"),
    "stream": read("me/merged", streaming=True),
    "beta": read("me/merged", "beta"),
    "private": read("me/secret"),
}
named = pipeline("token-classification", model="me/tagger", trust_remote_code=True)
told["entities"] = named(json.load(open("inputs.json")), is_split_into_words=True)
told["module"] = type(named.model).__module__
json.dump(told, open("told.json", "w"), default=float)
assert not any(name.startswith("esnera_hf") for name in sys.modules)
"""
)


@dataclass(frozen=True)
class World:
    """A Hub with what was published, and what plain clients read of it."""

    hub: HubServer
    home: Path
    dataset: DatasetDict
    tagger: Tagger
    sentences: list[list[str]]
    told: dict[str, Any]


@pytest.fixture(scope="module")
def world(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    result = make_result(home)
    result.save(home / "merged")
    settings = {"learning_rate": 1e-2, "head_learning_rate": 2e-2, "num_train_epochs": 4, "window_length": 20}
    toys = toy_source("toy", NAMES["alpha"], seed=1)
    tagger = fit_tagger(toys, str(encoder_folder), home / "training", settings)
    tagger.save_pretrained(home / "tagger")
    sentences = [list(words) for words, _ in toy_rows(NAMES["alpha"], 20, seed=7)]
    sentences.append([word for sentence in sentences[:8] for word in sentence])  # longer than a window
    (home / "inputs.json").write_text(json.dumps(sentences), encoding="utf-8")
    with HubServer() as hub:
        run(hub, home, WRITING, "write")
        run(hub, home, READING, "read")
        told = json.loads((home / "told.json").read_text(encoding="utf-8"))
        yield World(hub, home, result.dataset, tagger, sentences, told)
        assert hub.unexpected == []


def run(hub: HubServer, home: Path, code: str, token: str) -> str:
    """Run Python that must succeed without telling a token, and return what it printed; see also test_tokens."""
    done = run_client(hub, code, home=home, token=hub.tokens[token])
    assert done.returncode == 0, done.stderr
    assert not any(known in done.stdout + done.stderr for known in hub.known_tokens)
    return done.stdout


def make_result(home: Path) -> MergeResult:
    """Two sources read from files, with pseudo-labels made by hand."""
    sources = [read_corpus(home, name, seed) for seed, name in enumerate(NAMES)]
    labels = {"per": "PER", "loc": "loc", "name": "PER", "NO": "NO"}
    refs = [ref for source in sources for ref in source.label_refs]
    entries = tuple(MappedLabel(LabelRef(ref.source, ref.label), labels[ref.label]) for ref in refs)
    result = apply(LabelMapping(("PER", "loc", "NO"), entries), sources)
    merged = merge_with_pseudo_labels(sources, result.mapping)
    assert sum(1 in origin for origin in merged["train"]["origin"]) > 10
    return replace(result, dataset=merged)


def read_corpus(folder: Path, name: str, seed: int) -> NerSource:
    (folder / name).mkdir()
    for offset, (split, sentences) in enumerate({"train": 60, "dev": 12, "test": 12}.items()):
        rows = toy_rows(NAMES[name], sentences, 10 * seed + offset)
        blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
        (folder / name / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return replace(load_source(folder / name), license=license_from_id("cc-by-4.0"))


def contents(dataset: DatasetDict) -> Any:
    """Return features and rows as JSON gives them back."""
    return json.loads(json.dumps({split: [repr(r.features), list(r)] for split, r in dataset.items()}))


def test_the_dataset_is_loaded_as_it_was(world: World) -> None:
    expected = contents(world.dataset)
    assert [world.told[name] for name in ("tag", "stream", "private")] == 3 * [expected]
    assert world.told["without-token"] == "DatasetNotFoundError"
    for split, (_, rows) in expected.items():
        assert world.told["beta"][split][1] == [row for row in rows if row["source"] == "beta"]


def test_a_recipe_gives_the_same_dataset(world: World) -> None:
    assert not [name for name in world.hub.repo("dataset", "me/recipe").files() if name.startswith("data/")]
    code = """
    from esnera_hf.cli.main import main
    assert main(["apply", "me/recipe", "beta=beta", "alpha", "--output", "again"]) == 0
    assert main(["apply", "me/merged@v1.0", "beta", "alpha"]) == 0
    """
    assert run(world.hub, world.home, code, "read").count("the same dataset as the published one") == 2
    assert contents(MergeResult.load(world.home / "again").dataset) == contents(world.dataset)


def test_the_tagger_without_the_package(world: World) -> None:
    expected = list(world.tagger.predict(world.sentences))
    assert sum(map(len, expected)) > 20
    assert world.told["module"].startswith("transformers_modules.")
    for words, entities, found in zip(world.sentences, expected, world.told["entities"], strict=True):
        starts = [len(" ".join([*words[:n], ""])) for n in range(len(words))]
        spans = [(starts[e.start], starts[e.end - 1] + len(words[e.end - 1]), e.label) for e in entities]
        assert [(e["start"], e["end"], e["entity_group"]) for e in found] == spans
        assert [e["score"] for e in found] == pytest.approx([e.score for e in entities])
