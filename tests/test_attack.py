"""Files of strangers: each hostile edit ends in one family of errors, and nothing is requested, written or removed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import constants

from builders import make_encoder, make_source, row, write_corpus
from esnera_hf import MergeResult, Tagger, align, apply, load_source
from esnera_hf._internal import console
from esnera_hf.alignment.mapping_exchange import to_sssom
from esnera_hf.api import reproduce
from esnera_hf.errors import ConfigurationError, EsneraError, SourceError
from esnera_hf.evaluation.label_errors import LabelError, LabelErrors
from esnera_hf.hub.answer import Answer
from esnera_hf.hub.atlas import Atlas
from esnera_hf.hub.evidence import Evidence
from esnera_hf.hub.locate import describe, locate
from esnera_hf.modeling.encoders import load_encoder
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.sources.source import AnnotatedSentence
from esnera_hf.tagging import Entity
from hostile_exchange import EXCHANGED, packed, single_values, unpacked
from hostile_files import EDITS, VICTIM
from hostile_files import KINDS as OTHERS
from results import make_result

KINDS = OTHERS | EXCHANGED
_SALT = "a secret of both sides"
#: Drawn edits of single values, of each kind that owners of corpora exchange.
_DRAWN = 30
_REQUESTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork")
#: What may be relative to a descriptor of a folder; then shutil.rmtree has been noted by that time.
_RELATIVE = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink")
_CHANGES = (*_RELATIVE, "os.chmod", "os.truncate", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Notes what Python requests, runs, writes and removes; a hook of the interpreter stays for good."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.allowed: tuple[Path, ...] | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event in _REQUESTS or event in _PROGRAMS:
            self.noted.append(f"{event}{arguments!r:.200}")
            raise PermissionError(f"{event} by a hostile file")
        if event in _RELATIVE and type(arguments[-1]) is int and arguments[-1] >= 0:
            return
        if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITING):
            count = 2 if event in ("os.rename", "os.link", "os.symlink") else 1
            places = [part for part in arguments[:count] if isinstance(part, (str, bytes))]
            self.noted += [
                f"{event} {place!r}" for place in places if not self._is_allowed(os.fsdecode(place))
            ]

    def _is_allowed(self, place: str) -> bool:
        path = os.path.abspath(place)
        return (
            path == os.devnull
            or "__pycache__" in path
            or any(
                path.startswith(f"{folder}{os.sep}") or path == str(folder) for folder in self.allowed or ()
            )
        )


WATCH = Watch()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result, a recipe, an encoder, a tagger and corpora, made for the suite."""
    folder = tmp_path_factory.mktemp("sound")
    write_corpus(folder / "alpha", {"PERSON": "per", "PLACE": "loc"}, 1, 20, 10)
    write_corpus(folder / "beta", {"PERSON": "name", "FIRM": "firm"}, 5, 20, 10)
    write_corpus(folder / "gamma", {"PERSON": "who", "PLACE": "where"}, 7, 20, 10)
    result = align(sources(folder), evidence="surface")
    result.save(folder / "result")
    result.save_for_hub(folder / "recipe", text=False)
    make_encoder(folder / "encoder")
    tagger = CrfTagger.from_encoder(
        load_encoder(str(folder / "encoder"))[0], ["O", "B-x", "I-x"], window_length=20
    )
    Tagger(tagger, load_encoder(str(folder / "encoder"))[1]).save_pretrained(folder / "tagger")
    (folder / "corpora").mkdir()
    load_source(folder / "alpha").dataset["train"].to_parquet(folder / "corpora" / "corpus.parquet")
    with tarfile.open(folder / "corpora" / "archive.tar.gz", "w:gz") as archive:
        archive.add(folder / "alpha", "alpha")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESNERA_CACHE_DIR", str(tmp_path_factory.mktemp("sound-cache")))
        make_exchange(folder)
    return folder


def make_exchange(folder: Path) -> None:
    """Write the bundles of both corpora, an answer of one, and an atlas of both."""
    exchange, encoder = folder / "exchange", folder / "encoder"
    exchange.mkdir()
    for name in ("alpha", "beta"):
        bundle = Evidence.from_source(folder / name, encoder=encoder, salt=_SALT, reveal=1)
        bundle.save(exchange / f"{name}.evidence")
    asked = Evidence.load(exchange / "alpha.evidence")
    Answer.from_source(asked, folder / "beta", encoder=encoder, salt=_SALT).save(exchange / "beta.answer")
    definitions = {"alpha:per": "people"}
    Atlas.build([asked, folder / "beta"], encoder=encoder, definitions=definitions).save(folder / "atlas")


def sources(folder: Path) -> list[str]:
    return [f"{name}={folder / name}" for name in ("alpha", "beta")]


def use(kind: str, folder: Path, sound: Path) -> None:
    """Do with a file of a stranger what people do."""
    if kind in ("report", "similarities", "features", "arrow"):
        result = MergeResult.load(folder)
        str(result.card("owner/name", may_share=["alpha", "beta"]))
    if kind == "report":
        reproduce(folder, sources(sound))
    elif kind == "mapping":
        apply(folder / "mapping.yaml", sources(sound))
    elif kind in ("recipe", "rows"):
        apply(folder, sources(sound))
    elif kind in ("encoder", "tokenizer"):
        load_encoder(str(folder))
    elif kind in ("tagger", "weights"):
        list(Tagger.from_pretrained(folder).predict([["anna", "met", "bruno"]]))
    elif kind in EXCHANGED:
        use_exchanged(kind, folder, sound)
    elif kind in ("corpus", "archive"):
        str(load_source(folder / Path(KINDS[kind].file).name, name="given").summary)


def use_exchanged(kind: str, folder: Path, sound: Path) -> None:
    """Do with a bundle, an answer or an atlas of a stranger what their commands do."""
    encoder, own, output = sound / "encoder", sound / "beta", folder.parent / "output"
    if kind == "evidence":
        bundle = Evidence.load(folder / "alpha.evidence")
        f"{bundle}{bundle.card('owner/name.evidence')}"
        salted = AlignSettings(EvidenceSettings(salt=_SALT))
        result = align([own, folder / "alpha.evidence"], encoder=encoder, settings=salted)
        result.save(output / "aligned")
        f"{result}{result.card('owner/name', may_share=['beta'])}"
        Answer.from_source(bundle, own, encoder=encoder, salt=_SALT).save(output / "own.answer")
        Atlas.build([bundle, own], encoder=encoder).save(output / "atlas")
    elif kind == "answer":
        str(Answer.load(folder / "beta.answer"))
        given = [folder / name for name in ("alpha.evidence", "beta.evidence", "beta.answer")]
        align(given, encoder=encoder).save(output / "aligned")
    else:
        atlas = Atlas.load(folder)
        f"{atlas}{atlas.card('owner/name')}"
        describe(locate(f"mine={own}", atlas, encoder=encoder))
        atlas.add(f"mine={sound / 'gamma'}", encoder=encoder).save(output / "larger")


@pytest.fixture
def attacked(
    sound: Path, tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, bytes | None], list[str]]]:
    """Put a content into the place of a file, use it, and return what it did beside that."""
    # As a user is: online. Whatever is asked for is noted, and stopped before it leaves.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    hub = Path(constants.HF_HOME)

    def attack(kind: str, content: bytes | None) -> list[str]:
        output = tmp_path / "output"
        for used in ("given", "output"):
            shutil.rmtree(tmp_path / used, ignore_errors=True)
        output.mkdir()
        folder = shutil.copytree(sound / KINDS[kind].folder, tmp_path / "given")
        if content is not None:
            (folder / KINDS[kind].file).write_bytes(content)
        WATCH.noted = []
        WATCH.allowed = (output, temporary, cache_folder, hub, Path(datasets.config.HF_DATASETS_CACHE))
        try:
            use(kind, folder, sound)
        finally:
            WATCH.allowed = None
        return WATCH.noted

    yield attack
    WATCH.allowed = None


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_used_and_nothing_else(
    kind: str, attacked: Callable[[str, bytes | None], list[str]]
) -> None:
    assert attacked(kind, None) == []


@pytest.mark.parametrize("number", range(EDITS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_edit_is_refused_and_does_nothing(
    kind: str, number: int, sound: Path, attacked: Callable[[str, bytes | None], list[str]]
) -> None:
    content = (sound / KINDS[kind].folder / KINDS[kind].file).read_bytes()
    edits = list(KINDS[kind].edits(content))
    assert len(edits) == EDITS
    done, hostile = edits[number]
    assert hostile != content, done
    with pytest.raises(EsneraError) as error:
        attacked(kind, hostile)
    assert WATCH.noted == [], done
    assert not Path(VICTIM).exists()
    assert str(error.value).strip(), done


# A bundle in an atlas is refused whatever is changed, as the atlas holds its digest.
@pytest.mark.parametrize("kind", sorted(EXCHANGED.keys() - {"atlas bundle"}))
def test_a_single_value_is_used_or_refused_and_does_nothing(
    kind: str, sound: Path, attacked: Callable[[str, bytes | None], list[str]]
) -> None:
    content = (sound / KINDS[kind].folder / KINDS[kind].file).read_bytes()
    refused = 0
    for done, edited in single_values(content, _DRAWN):
        try:
            assert attacked(kind, edited) == [], done
        except EsneraError:
            refused += 1
        assert WATCH.noted == [], done
    assert refused > _DRAWN / 2
    assert not Path(VICTIM).exists()


def test_no_name_of_a_stranger_steers_a_terminal(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steering = "\x1b[2J\x9b31m\u202e"
    content = (sound / "exchange" / "alpha.evidence").read_bytes()
    facts, _ = unpacked(content)
    facts["license"]["name"] += steering
    (tmp_path / "x.evidence").write_bytes(packed(content, json.dumps(facts)))
    bundle = Evidence.load(tmp_path / "x.evidence")
    printed = [str(bundle), str(bundle.card("owner/x.evidence"))]
    for is_json in (False, True):
        monkeypatch.setattr(console._Output, "json", is_json)
        console.say(f"a label {steering}\nof alpha", "warning")
    printed += [*capsys.readouterr()]
    assert "".join(printed).count("\ufffd") >= 3 * len(printed[:3])
    assert all(line.isprintable() for text in printed for line in text.split("\n"))


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x", "＝1"])
def test_no_name_of_a_stranger_is_a_formula(name: str, tmp_path: Path) -> None:
    sentence = AnnotatedSentence("1", [name, "b"], [], "a")
    likely = Entity(0, 1, name)
    error = LabelError("a", sentence, ("train", 0), "missed", None, likely, (0.0, 1.0), 1.0)
    LabelErrors((error,), 1).save(tmp_path / "errors.csv")
    tables = [((tmp_path / "errors.csv").read_text(encoding="utf-8"), ",")]
    tables.append((to_sssom(make_result(first=name, label=name).mapping), "\t"))
    for text, delimiter in tables:
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        cells = [cell for line in csv.reader(lines, delimiter=delimiter) for cell in line]
        assert any(cell.startswith(f"'{name}") for cell in cells)
        assert not any(cell.startswith(name[0]) for cell in cells)


def test_labels_without_number_are_refused_before_they_are_compared(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(f"x/B-{number}") for number in range(3000)]
    with pytest.raises(
        ConfigurationError, match=r"at most 3,000 labels to compare, found 3,002, 3,000 of them"
    ):
        align([make_source("many", {"train": rows}), sound / "alpha"], evidence="surface")
    monkeypatch.setattr("esnera_hf.hub.atlas.MOST_ALIGNED", 3)
    with pytest.raises(SourceError, match="at most 3 labels, found 4"):
        Atlas.load(sound / "atlas")


@pytest.mark.parametrize(
    "action",
    [
        lambda place: open(place, "w").close(),
        lambda place: os.mkdir(place),
        lambda place: __import__("socket").create_connection(("127.0.0.1", 9), 0.1),
        lambda place: __import__("subprocess").run(["true"], check=True),
    ],
)
def test_it_would_be_noticed(action: Callable[[Path], Any], tmp_path: Path) -> None:
    WATCH.noted, WATCH.allowed = [], (tmp_path / "allowed",)
    try:
        action(tmp_path / "elsewhere")
    except OSError:
        pass
    finally:
        WATCH.allowed = None
    assert WATCH.noted
