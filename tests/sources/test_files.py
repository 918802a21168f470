"""Files and folders: which is which split, in which format; tables; compression."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from corpora import sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.text import read_lines

COLUMNS = "{name}\tB-PER\nran\tO\n"
TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
CONLL = Features(
    {
        "id": Value("string"),
        "tokens": List(Value("string")),
        "pos_tags": List(ClassLabel(names=["NN", "VB"])),
        "chunk_tags": List(ClassLabel(names=["O", "B-NP"])),
        "ner_tags": List(ClassLabel(names=TAGS)),
    }
)


def conll(*names):
    rows = [
        {"id": "0", "tokens": [name, "ran"], "pos_tags": [0, 1], "chunk_tags": [1, 0], "ner_tags": [1, 0]}
        for name in names
    ]
    return Dataset.from_list(rows, CONLL)


def texts(source):
    return [text for text, _ in sentences_of(source)]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ('[{"text": "a"}]', "json"),
        ('[\n {\n"text": "a"}]', "json"),
        ('["a b", {"entities": []}]', "json"),
        ("[\tO\nx\tB-PER\n", "columns"),
        ('{\n"data": []}', "json"),
        ('{"data": {"text": "a"}, "annotations": []}', "json"),
        ('{"text": "a", "label": [[0, 1, "x"]]}', "json"),
        ('{"text": "a", "label": {}}', "json"),
        ("中国/ns 人/o\n", "slashed"),
        ("a/b\tO\nc/d\tB-x\n", "columns"),
    ],
)
def test_formats(tmp_path, content, form):
    assert detect_format(write(tmp_path / "a.txt", content)) == form


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files(tmp_path, suffix, compress):
    content = (COLUMNS.format(name="Ann") + "\n" + COLUMNS.format(name="李")).encode()
    path = write(tmp_path / f"c.conll.{suffix}", compress(content))
    assert next(read_lines(path)).text == "Ann\tB-PER"
    source = load_source(path)
    assert (source.name, sorted(texts(source))) == ("c", ["Annran", "李ran"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-12])
    with pytest.raises(SourceError, match=rf"c\.conll\.{suffix}: the compressed file is damaged"):
        load_source(path)
    path.write_bytes(whole[:12] + bytes(8) + whole[20:])
    with pytest.raises(SourceError, match=rf"c\.conll\.{suffix}"):
        load_source(path)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_in_shards(tmp_path, kind):
    folder = tmp_path / "c" / "data"
    folder.mkdir(parents=True)
    for stem, name in (
        ("train-00000-of-00002", "A"),
        ("train-00001-of-00002", "B"),
        ("validation", "C"),
        ("test", "D"),
    ):
        if kind == "parquet":
            conll(name).to_parquet(folder / f"{stem}.parquet")
        else:
            conll(name).save_to_disk(tmp_path / "saved")
            (tmp_path / "saved" / "data-00000-of-00001.arrow").rename(folder / f"{stem}.arrow")
    write(tmp_path / "c" / "README.md", "about")
    source = load_source(tmp_path / "c")
    assert texts(source) == ["Aran", "Bran", "Cran", "Dran"]
    assert source.labels == ("PER",)
    assert source.notes == ()


def test_shards_that_do_not_belong_together_or_are_missing(tmp_path):
    for config in ("de", "en"):
        (tmp_path / "multi" / config).mkdir(parents=True)
        conll(config).to_parquet(tmp_path / "multi" / config / "train-00000-of-00001.parquet")
    with pytest.raises(
        SourceError, match=r"de/train-0.*, en/train-0.* all look like the train split of multi"
    ):
        load_source(tmp_path / "multi")
    for stem in ("train", "data"):
        (tmp_path / stem).mkdir()
        conll("A").to_parquet(tmp_path / stem / f"{stem}-00000-of-00003.parquet")
        conll("B").to_parquet(tmp_path / stem / f"{stem}-00002-of-00003.parquet")
        missing = rf"2 files {stem}-\*-of-00003\.parquet, expected 3\. Fetch the others"
        with pytest.raises(SourceError, match=missing):
            load_source(tmp_path / stem)
    assert texts(load_source(tmp_path / "data" / "data-00000-of-00003.parquet")) == ["Aran"]


def test_shards_that_are_not_read_or_lie_in_several_splits(tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / "c" / f"{split}.txt", COLUMNS.format(name=split))
    write(tmp_path / "c" / "raw-00000-of-00004.txt", "raw")
    assert texts(load_source(tmp_path / "c")) == ["trainran", "devran", "testran"]
    for number, split in enumerate(("train", "train", "test"), 1):
        write(tmp_path / "d" / split / f"part-{number}-of-3.txt", COLUMNS.format(name=f"{split}{number}"))
    source = load_source(tmp_path / "d")
    assert sum(source.summary.sentences.values()) == 3
    assert source.dataset["test"]["tokens"][:] == [["test3", "ran"]]


def test_saved_datasets(tmp_path):
    DatasetDict({"train": conll("A"), "dev": conll("B"), "test": conll("C")}).save_to_disk(tmp_path / "all")
    assert texts(load_source(tmp_path / "all")) == ["Aran", "Bran", "Cran"]
    conll("A", "B").save_to_disk(tmp_path / "one")
    source = load_source(tmp_path / "one")
    assert sorted(texts(source)) == ["Aran", "Bran"]
    assert source.notes[0].startswith("only train is labelled")


def test_a_damaged_table(tmp_path):
    with pytest.raises(SourceError, match=r"x\.parquet: the parquet file cannot be read"):
        load_source(write(tmp_path / "x.parquet", "no table"))


def test_one_file_a_split_beside_other_files(tmp_path):
    folder = tmp_path / ".cache" / "c"
    for split in ("train", "dev", "test"):
        write(folder / f"{split}.txt", COLUMNS.format(name=split))
        write(folder / "scores" / f"{split}.pdf", "no")
    for other in (
        "README",
        "LICENSE.txt",
        "license_gb.txt",
        ".train.swp",
        "train.py",
        "test.stats",
        "__MACOSX/dev.txt",
    ):
        write(folder / other, "授权协议".encode("gb18030"))
    write(folder / "empty.train", "")
    source = load_source(folder)
    assert texts(source) == ["trainran", "devran", "testran"]
    assert source.notes == ()


def test_a_file_without_a_split_beside_those_with_one(tmp_path):
    write(tmp_path / "c" / "train.txt", COLUMNS.format(name="A"))
    write(tmp_path / "c" / "entities.txt", "list")
    assert load_source(tmp_path / "c").notes[0] == "not read: entities.txt (no split in the name)"


def test_folders_that_are_splits(tmp_path):
    for split in ("train", "dev", "test"):
        for name in "ab":
            write(tmp_path / "c" / split / f"{name}.conll", COLUMNS.format(name=split + name))
    assert texts(load_source(tmp_path / "c")) == [
        "trainaran",
        "trainbran",
        "devaran",
        "devbran",
        "testaran",
        "testbran",
    ]
    write(tmp_path / "c" / "dev" / "c.txt", COLUMNS.format(name="x"))
    with pytest.raises(
        SourceError, match=r"dev/a\.conll, dev/b\.conll, dev/c\.txt all look like the validation split"
    ):
        load_source(tmp_path / "c")


def test_a_known_corpus_with_two_files_for_a_split(tmp_path):
    for name in ("msra_train_bio.txt", "msra_train.txt", "msra_test.txt"):
        write(tmp_path / "msra" / name, COLUMNS.format(name="A"))
    with pytest.raises(
        SourceError, match=r"msra_train\.txt, msra_train_bio\.txt all look like the train split of msra"
    ):
        load_source(tmp_path / "msra")


def test_a_boson_folder_with_a_license_in_another_encoding(tmp_path):
    write(tmp_path / "boson" / "origindata.txt", "在{{location:北京}}。\n\n到{{location:上海}}\n无\n")
    write(tmp_path / "boson" / "license.txt", "授权协议\n".encode("gb18030") * 20)
    write(tmp_path / "boson" / "声明.txt", "授权协议\n".encode("gb18030") * 20)
    source = load_source(tmp_path / "boson")
    assert sorted(texts(source)) == ["到上海", "在北京。", "无"]
    assert source.license.text_may_be_shared is False


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        pytest.param(
            "中\tB-LOC\n国\tE-LOC\n人\tS-RACE\n好\tO\n", {}, [(0, 2, "LOC"), (2, 3, "RACE")], id="resume"
        ),
        pytest.param(
            "中 B-LOC\n国 M-LOC\n人 E-LOC\n李 W-PER\n", {}, [(0, 3, "LOC"), (3, 4, "PER")], id="BMEWO"
        ),
        pytest.param(
            "A\tperson-actor\nB\tperson-actor\nC\tart-film\n.\tO\n",
            {},
            [(0, 2, "person-actor"), (2, 3, "art-film")],
            id="Few-NERD",
        ),
        pytest.param(
            "A\tB-product name\nB\tI-product name\nC\tB-GPE.NOM\nD\tB-人名\nE\tB-a-b\n.\tO\n",
            {},
            [(0, 2, "product name"), (2, 3, "GPE.NOM"), (3, 4, "人名"), (4, 5, "a-b")],
            id="odd labels",
        ),
        pytest.param(
            "-DOCSTART- -X- O O\n\nA N I-NP I-PER\nB N B-NP B-PER\nC N I-NP O\nD N I-NP I-PER\n",
            {},
            [(0, 1, "PER"), (1, 2, "PER"), (3, 4, "PER")],
            id="CoNLL-2003, IOB1",
        ),
        pytest.param(
            "-DOCSTART- -X- -X- O\n\nA N B-NP B-PER\nB N B-NP B-PER\nC N I-NP O\nD N I-NP B-PER\n",
            {},
            [(0, 1, "PER"), (1, 2, "PER"), (3, 4, "PER")],
            id="CoNLL-2003, IOB2",
        ),
        pytest.param(
            "# sent_id = 1\n# text = A B\n1\tA\tB-PER\t-\tann\n2\tB\tI-PER\t-\tann\n",
            {},
            [(0, 2, "PER")],
            id="UNER",
        ),
        pytest.param(
            "A\tB-LOC\tO\nB\tI-LOC\tB-LOCpart\nC\tB-PER\tO\nD\tO\tO\n",
            {},
            [(0, 2, "LOC"), (2, 3, "PER")],
            id="kindred layers",
        ),
        pytest.param(
            "A\tB-PER\nB\tI-PER\n", {"scheme": "none"}, [(0, 1, "B-PER"), (1, 2, "I-PER")], id="scheme named"
        ),
    ],
)
def test_column_files(tmp_path, content, options, expected):
    source = load_source(write(tmp_path / "c.txt", content), options=ReadingOptions(**options))
    assert sentences_of(source)[0][1] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.txt", "a\tO\nb\tI-X\n\nc\tB-X\n", "c.txt, line 1: inside tag without a begin tag"),
        ("c.txt", b"a\tB-X\n\n\xff\tB-X\n", "c.txt, line 3: bytes that are not UTF-8"),
        ("c.txt", "{{a:x}}\n{{a: x}}\n", "c.txt, line 2: mention with leading or trailing spaces"),
        ("c.txt", "{{a:x}}\n{{a:}}b\n", "c.txt, line 2: span without any token"),
        ("c.txt", "{{a:x}}\n{{a:x{{b:y}}}}\n", "c.txt, line 2: Entity"),
        ("c.json", '{"text": "ab c", "label": [[0, 1, "x"]]}', "c.json, line 1: offset inside a token"),
        (
            "c.json",
            '{"text": "ab c", "label": [[0, 3, "x"]]}',
            "c.json, line 1: mention with leading or trailing",
        ),
        ("c.txt", "a\tB-Ｘ\n", "c.txt, line 1: label in another Unicode form"),
    ],
)
def test_strict_reading_names_the_first_repair(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    load_source(path)
    with pytest.raises(SourceError) as caught:
        load_source(path, options=ReadingOptions(strict=True))
    assert str(caught.value).startswith(f"c, {message}")
    assert str(caught.value).endswith("Mend it, or read without strict=True.")


def test_our_own_lines(tmp_path):
    record = {"tokens": ["Ann", "ran"], "spans": [[0, 1, "PER"]]}
    path = write(tmp_path / "c.dev.jsonl.gz", gzip.compress((json.dumps(record) + "\n").encode() * 3))
    source = load_source(path)
    assert sentences_of(source) == [("Annran", [(0, 1, "PER")])] * 3
    assert source.notes[0].startswith("only validation is labelled")


def test_a_folder_of_several_sources(tmp_path):
    splits = {"train": conll("A"), "dev": conll("B"), "test": conll("C")}
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    write(tmp_path / "news.conll", COLUMNS.format(name="A"))
    with pytest.raises(
        SourceError, match=r"a folder of several sources, of which saved is one .* Name one of them"
    ):
        load_source(tmp_path)
