"""The atlas: built with a tiny encoder, added to, searched for labels, and read when a stranger wrote it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_encoder, make_source, refusal, row, toy_source
from esnera_hf.alignment.constraints import SchemaSettings
from esnera_hf.api import align, apply, reproduce
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.hub.atlas import ATLAS_FILE, BUNDLES, PAGE_FILE, Atlas
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.locate import describe, locate
from esnera_hf.report.files import SIMILARITY_FILE
from esnera_hf.settings import AlignSettings
from esnera_hf.tagging import LabelRef

PERSON = "</script><b>PER"
DEFINITIONS = {"news:PER": "people,\u202e not gods", "web:firma": "<img src=x onerror=alert(1)>"}


def corpora() -> list[Any]:
    return [
        toy_source("news", {"PERSON": "PER", "PLACE": "LOC", "FIRM": "ORG"}, 1),
        toy_source("web", {"PERSON": "person", "FIRM": "firma"}, 2),
        toy_source("odd", {"PERSON": PERSON, "PLACE": "place"}, 3),
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    make_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def saved(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("atlases") / "atlas"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        Atlas.build(corpora(), encoder=encoder, definitions=DEFINITIONS).save(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path / "cache"))


def test_what_is_saved_is_loaded(saved: Path) -> None:
    atlas = Atlas.load(saved)
    assert list(atlas.bundles) == ["news", "odd", "web"]
    assert atlas.definitions == atlas.mapping.definitions == DEFINITIONS
    assert set(atlas.mapping.mentions) <= set(atlas.mapping.unified_labels)
    assert {entry.label for entry in atlas.mapping.entries} == set(atlas.matrix.labels)
    again = saved.parent / "again"
    atlas.save(again)
    for file in (path for path in saved.rglob("*") if path.is_file()):
        assert (again / file.relative_to(saved)).read_bytes() == file.read_bytes(), file


def test_no_word_of_the_corpora_is_in_it(saved: Path) -> None:
    words = {
        token
        for source in corpora()
        for split in source.dataset.values()
        for row in split["tokens"]
        for token in row
    }
    text = "\n".join(file.read_bytes().decode("latin-1") for file in saved.rglob("*") if file.is_file())
    named = set(re.findall(r"\w+", " ".join([*DEFINITIONS.values(), "news web odd"])))
    assert not [word for word in words - named if len(word) > 4 and word in re.findall(r"\w+", text)]


def test_what_is_added_is_read_by_the_heads_that_are_there(saved: Path, encoder: Path) -> None:
    atlas = Atlas.load(saved)
    new = toy_source("mails", {"PERSON": "sender", "FIRM": "company"}, 4)
    more = atlas.add(new, encoder=encoder, definitions={"mails:sender": "who wrote it"})
    assert list(more.bundles) == ["news", "odd", "web", "mails"]
    assert more.definitions == {**DEFINITIONS, "mails:sender": "who wrote it"}
    own = [more.matrix.index[label] for label in atlas.matrix.labels]
    assert (more.matrix.predicted[np.ix_(own, own)] == atlas.matrix.predicted).all()
    theirs = more.matrix.indices("mails")
    assert more.matrix.predicted[np.ix_(own, theirs)].sum() > 0
    assert more.matrix.predicted[np.ix_(theirs, own)].sum() == 0
    by_bundle = atlas.add(Evidence.from_source(new, encoder=encoder, reveal=1))
    assert by_bundle.matrix.predicted[np.ix_(own, theirs)].sum() == 0
    assert np.isfinite(by_bundle.matrix.semantic[np.ix_(own, theirs)]).all()
    with pytest.raises(ConfigurationError, match="a corpus of this name is in the atlas"):
        more.add(new, encoder=encoder)


def test_an_atlas_of_bundles(saved: Path, encoder: Path) -> None:
    atlas = Atlas.load(saved)
    bundles = list(atlas.bundles.values())
    built = Atlas.build(bundles)
    assert built.matrix.labels == atlas.matrix.labels
    assert not built.matrix.predicted.any()
    assert np.array_equal(built.matrix.semantic, atlas.matrix.semantic, equal_nan=True)
    mixed = Atlas.build([corpora()[0], bundles[1]], encoder=encoder)
    news, odd = mixed.matrix.indices("news"), mixed.matrix.indices("odd")
    assert (
        mixed.matrix.predicted[np.ix_(odd, news)].sum() > 0 == mixed.matrix.predicted[np.ix_(news, odd)].sum()
    )
    for doubled, message in (
        (bundles[:1], "at least"),
        ([*bundles, bundles[0].named("web")], "two sources are called"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Atlas.build(doubled)


def test_bundles_are_taken_by_their_files_under_names_of_ones_own(
    saved: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atlas, file = Atlas.load(saved), tmp_path / "web.evidence"
    atlas.bundles["web"].save(file)
    assert list(Atlas.build([corpora()[0], f"net={file}"], encoder=encoder).bundles) == ["net", "news"]
    others = atlas.without({"web"})
    others.save(tmp_path / "others")
    assert list(others.add(f"net={file}").bundles) == ["news", "odd", "net"]
    located, output = locate(f"net={file}", atlas), tmp_path / "new" / "located.json"
    assert main(["locate", f"net={file}", "--atlas", str(saved), "--output", str(output)]) == 0
    assert json.loads(output.read_text("utf-8")) == {"locations": located}
    assert {place["label"] for place in located[0]["nearest"][:2]} == {"web:firma", "news:ORG"}
    more = ["atlas", "add", str(tmp_path / "others"), f"net={file}", "--output", str(tmp_path / "more")]
    assert main(more) == 0
    assert "net" in Atlas.load(tmp_path / "more").bundles
    (tmp_path / "web.answer").write_text("{}")
    capsys.readouterr()
    assert "an answer, and no bundle" in refusal(capsys, "locate", tmp_path / "web.answer", "--atlas", saved)


def test_labels_are_located(saved: Path, encoder: Path) -> None:
    atlas = Atlas.load(saved)
    mine = toy_source("mine", {"PERSON": "person_name", "PLACE": "location", "FIRM": "org"}, 5)
    locations = locate(mine, atlas, encoder=encoder)
    by_label = {location["label"]: location for location in locations}
    assert list(by_label) == list(mine.labels)
    place = by_label["location"]
    assert place["nearest"][0]["label"] in ("news:LOC", "odd:place")
    for location in locations:
        for near in location["nearest"]:
            assert 0 <= near["equal"] <= 1
            assert 0 <= near["part_of"] <= 1
            assert near["equal"] + near["part_of"] <= 1.001
            source, _, label = near["label"].partition(":")
            assert near["name"] == atlas.mapping[LabelRef(source, label)]
        additions = location["additions"]
        assert additions == sorted(additions, key=lambda one: (-one["mentions"], one["corpus"]))
        for one in additions:
            assert one["mentions"] == atlas.bundles[one["corpus"]].mentions[one["label"]]
    text = describe(locations)
    assert "under an unknown license" in text
    assert "\u202e" not in text
    assert text.startswith(f"{mine.labels[0]}  (")


def test_a_corpus_of_the_atlas_is_compared_with_the_others(saved: Path, encoder: Path) -> None:
    locations = locate(corpora()[1], Atlas.load(saved), encoder=encoder)
    named = {near["label"].partition(":")[0] for location in locations for near in location["nearest"]}
    assert named <= {"news", "odd"}


def test_labels_take_their_places_in_the_tree_of_an_atlas(saved: Path, encoder: Path, tmp_path: Path) -> None:
    """The tree stays as it is, the result is made again from its report, and the mapping applies to the text."""
    atlas = Atlas.load(saved)
    mine = toy_source("mine", {"PERSON": "PER", "PLACE": "LOC", "FIRM": "ORG"}, 5)
    result = align([mine], to=saved, encoder=encoder)
    for entry in atlas.mapping.entries:
        assert result.mapping[entry.label] == entry.unified
    for name, parent in atlas.mapping.parents.items():
        assert result.mapping.parents[name] == parent
    place = LabelRef("mine", "LOC")
    assert result.mapping[place] == result.mapping[LabelRef("news", "LOC")]
    assert result.mapping.definitions == DEFINITIONS
    assert set(result.dataset["train"]["source"]) == {"mine"}
    assert result.similarity is not None
    own = [result.similarity.index[label] for label in atlas.matrix.labels]
    assert (result.similarity.predicted[np.ix_(own, own)] == atlas.matrix.predicted).all()
    result.save(tmp_path / "placed")
    applied = apply(tmp_path / "placed" / "mapping.yaml", [mine])
    assert applied.dataset["train"]["ner_tags"] == result.dataset["train"]["ner_tags"]
    with pytest.raises(ConfigurationError, match="--to PATH, to="):
        reproduce(tmp_path / "placed", [mine], encoder=encoder)
    assert reproduce(tmp_path / "placed", [mine], encoder=encoder, to=saved)[1] == []
    # A corpus of its name in the atlas is taken to be the same.
    news = align([corpora()[0]], to=atlas, encoder=encoder)
    assert set(news.mapping.sources) == {"news", "odd", "web"}
    with pytest.raises(ConfigurationError, match="the atlas holds news alone"):
        align([corpora()[0]], to=atlas.without({"odd", "web"}), encoder=encoder)
    settings = AlignSettings(schema=SchemaSettings(locked=result.mapping))
    with pytest.raises(ConfigurationError, match="keeps the lines of its own tree"):
        align([mine], to=atlas, encoder=encoder, settings=settings)


def test_the_same_corpus_under_another_name_is_not_added(saved: Path, encoder: Path) -> None:
    atlas = Atlas.load(saved)
    copy = replace(corpora()[1], name="copy")
    for source in (copy, Evidence.from_source(copy, encoder=encoder, reveal=1)):
        with pytest.raises(ConfigurationError, match="the same corpus is in the atlas as web"):
            atlas.add(source, encoder=encoder)


def test_a_corpus_without_labels_is_not_located(saved: Path, encoder: Path) -> None:
    rows = [row("nothing here")]
    with pytest.raises(ConfigurationError, match="no labels to locate"):
        locate(make_source("empty", {"train": rows}), Atlas.load(saved), encoder=encoder)


def test_a_small_atlas(saved: Path, encoder: Path) -> None:
    one = Atlas.load(saved).without({"news", "odd"})
    for location in locate(corpora()[0], one, encoder=encoder):
        assert [near["label"].partition(":")[0] for near in location["nearest"]] == ["web", "web"]
    with pytest.raises(ConfigurationError, match="all that the atlas holds"):
        locate(corpora()[1], one, encoder=encoder)


def edited(change: Callable[[dict[str, Any]], Any], name: str = ATLAS_FILE) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        data = json.loads((folder / name).read_text("utf-8"))
        change(data)
        (folder / name).write_text(json.dumps(data), "utf-8")

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda folder: (folder / ATLAS_FILE).unlink(), "cannot be read"),
        (lambda folder: (folder / ATLAS_FILE).write_text("[" * 10_000), "the file is damaged"),
        (edited(lambda data: data.update(version=1)), "version"),
        (edited(lambda data: data.update(code="import os")), "code"),
        (
            edited(lambda data: data["bundles"].update(news=["../../news.evidence", ""])),
            "expected bundles/0000",
        ),
        (edited(lambda data: data["bundles"].update(news=["/etc/passwd", ""])), "expected bundles/0000"),
        (edited(lambda data: data["bundles"].update(news=data["bundles"]["web"])), "different files"),
        (
            edited(lambda data: data["bundles"]["news"].__setitem__(1, "0" * 32)),
            "is not the bundle of 'news'",
        ),
        (edited(lambda data: data["bundles"].pop("web")), "not of the same labels"),
        (edited(lambda data: data["bundles"].clear()), "different files"),
        (edited(lambda data: data["definitions"].update({"news:X": "x"})), "is no label"),
        (edited(lambda data: data["definitions"].update({"news:PER": "x" * 3000})), "at most 2,000"),
        (edited(lambda data: data["definitions"].update({"news:PER": ["x"]})), "definitions"),
        (edited(lambda data: data.update(read=[]), SIMILARITY_FILE), "read"),
        (edited(lambda data: data["labels"].reverse(), SIMILARITY_FILE), "not of the same labels"),
        (lambda folder: (folder / BUNDLES / "0000.evidence").write_bytes(b"x" * 100), "no evidence bundle"),
        (lambda folder: (folder / BUNDLES / "0002.evidence").unlink(), "there is no such file"),
    ],
)
def test_a_strangers_atlas_is_checked(
    edit: Callable[[Path], None], message: str, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(saved, folder)
    edit(folder)
    with pytest.raises(SourceError) as caught:
        Atlas.load(folder)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_page_holds_names_as_text_only(saved: Path) -> None:
    page = (saved / PAGE_FILE).read_text("utf-8")
    assert page.count("<script") == 2
    assert "<b>PER" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    model = json.loads(re.search(r'id="model">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    atlas = Atlas.load(saved)
    assert model["corpora"] == 3
    members = [member for label in model["labels"] for member in label["members"]]
    assert len(members) == len(atlas.matrix.labels)
    assert "<img src=x onerror=alert(1)>" in [member["definition"] for member in members]
    for number, label in enumerate(model["labels"]):
        assert label["parent"] is None or 0 <= label["parent"] < number
    policy = re.search(r'Policy" content="([^"]*)"', page)[1]  # type: ignore[index]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    script = Path(__file__).parents[2] / "src/esnera_hf/hub/templates/atlas.js"
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|import\(", script.read_text()
    )


def test_the_command_line(
    saved: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from builders import write_corpus

    mine = write_corpus(tmp_path / "mine", {"PERSON": "PER", "PLACE": "LOC"}, 7)
    file = tmp_path / "located.json"
    assert (
        main(["locate", str(mine), "--atlas", str(saved), "--encoder", str(encoder), "--output", str(file)])
        == 0
    )
    assert [one["label"] for one in json.loads(file.read_text("utf-8"))["locations"]] == ["LOC", "PER"]
    more = tmp_path / "more"
    definitions = tmp_path / "definitions.json"
    definitions.write_text('{"mine:PER": "people"}')
    options = ["--encoder", str(encoder), "--definitions", str(definitions), "--output", str(more)]
    assert main(["atlas", "add", str(saved), str(mine), *options]) == 0
    assert Atlas.load(more).definitions["mine:PER"] == "people"
    bundle = tmp_path / "their.evidence"
    Evidence.from_source(mine, encoder=encoder, reveal=1).save(bundle)
    assert main(["atlas", "add", str(saved), f"clinic={bundle}", "--output", str(tmp_path / "named")]) == 0
    placed = ["align", str(mine), "--to", str(saved), "--encoder", str(encoder), "--output"]
    assert main([*placed, str(tmp_path / "placed")]) == 0
    assert "clinic" in Atlas.load(tmp_path / "named").bundles
    capsys.readouterr()
    assert main(["atlas", "show", str(more)]) == 0
    assert capsys.readouterr().out.startswith("4 corpora, 9 labels\n")
    said = refusal(capsys, "locate", mine, "--atlas", saved)
    assert "--encoder" in said
    for command, said in (
        (["build", mine, saved, "--output", more], "exists"),
        (["build", mine, "--output", tmp_path / "new"], "expected two or more sources, found 1"),
        (["build", mine, saved], "say where the atlas goes with --output"),
        (["add", saved, "--output", tmp_path / "new"], "expected an atlas and a source, found 1"),
        (["show", saved, "--output", tmp_path / "new"], "--output: `atlas show` prints what is there"),
        (["show", saved, "--format", "json", "--strict"], "--format, --strict: `atlas show` prints what"),
        (["show", mine], "no atlas that can be used"),
    ):
        assert said in refusal(capsys, "atlas", *command)
