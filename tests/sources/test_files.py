"""Files, folders and archives: which is which split, in which format; tables; compression; damage; traps."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from pathlib import Path
from unittest.mock import Mock

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from corpora import sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources import archives as archives_module
from esnera_hf.sources.archives import opened
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.load import load_source
from esnera_hf.sources.readers.text import read_lines

COLUMNS = "{name}\tB-PER\nran\tO\n"
SPLITS = ("train", "dev", "test")
NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
CONLL = Features(
    {"id": Value("string"), "tokens": List(Value("string"))}
    | {
        name: List(ClassLabel(names=names))
        for name, names in (("pos_tags", ["NN", "VB"]), ("ner_tags", NAMES))
    }
)


def conll(*names):
    rows = [{"id": "0", "tokens": [name, "ran"], "pos_tags": [0, 1], "ner_tags": [1, 0]} for name in names]
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
        ('{ "text": "a"}', "json"),
        ('\ufeff\n{"text": "a", "label": {}}', "json"),
        ('\n \ufeff{"text": "a", "label": {}}', "columns"),
        ("{\tO\nx\tB-PER\n}\tO\n", "columns"),
        ("{{\tO\nx\tB-PER\n}}\tO\n", "columns"),
        ("在{{location:北京}}。\n", "boson"),
        ("无\n" * 150 + "在{{location:北京}}。\n", "boson"),
        ("中国/ns 人/o\n", "slashed"),
        ("a/b\tO\nc/d\tB-x\n", "columns"),
        *((f"{token}\tB-X\nb\tO\n", "columns") for token in ("{{x:b}}", "{{")),
        *((f"a\tB-{label}\nb\tO\n", "columns") for label in ("{{x:b}}", "}}")),
    ],
)
def test_formats(tmp_path, content, form):
    assert detect_format(write(tmp_path / "a.txt", content)) == form


@pytest.mark.parametrize(("suffix", "tool"), [("gz", gzip), ("bz2", bz2), ("xz", lzma)])
def test_compressed_files(tmp_path, suffix, tool):
    content = (COLUMNS.format(name="Ann") + "\n" + COLUMNS.format(name="李")).encode()
    path = write(tmp_path / f"c.conll.{suffix}", tool.compress(content))
    assert next(read_lines(path))[1] == "Ann\tB-PER"
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
    stems = ("train-00000-of-00002", "train-00001-of-00002", "validation", "test")
    for stem, name in zip(stems, "ABCD", strict=True):
        if kind == "parquet":
            conll(name).to_parquet(folder / f"{stem}.parquet")
        else:
            conll(name).save_to_disk(tmp_path / "saved")
            (tmp_path / "saved" / "data-00000-of-00001.arrow").rename(folder / f"{stem}.arrow")
    write(tmp_path / "c" / "README.md", "about")
    source = load_source(tmp_path / "c")
    assert (texts(source), source.labels, source.notes) == (["Aran", "Bran", "Cran", "Dran"], ("PER",), ())


def test_shards_that_do_not_belong_together_or_are_missing(tmp_path):
    for config in ("de", "en"):
        (tmp_path / "multi" / config).mkdir(parents=True)
        conll(config).to_parquet(tmp_path / "multi" / config / "train-00000-of-00001.parquet")
    with pytest.raises(SourceError, match=r"de/train-0.*, en/train-0.* all look like the train split of"):
        load_source(tmp_path / "multi")
    for stem in ("train", "data"):
        (tmp_path / stem).mkdir()
        conll("A").to_parquet(tmp_path / stem / f"{stem}-00000-of-00003.parquet")
        conll("B").to_parquet(tmp_path / stem / f"{stem}-00002-of-00003.parquet")
        missing = rf"2 files {stem}-\*-of-00003\.parquet, expected 3\. Fetch the others"
        with pytest.raises(SourceError, match=missing):
            load_source(tmp_path / stem)
    assert texts(load_source(tmp_path / "data" / "data-00000-of-00003.parquet")) == ["Aran"]


def test_saved_datasets(tmp_path):
    DatasetDict({"train": conll("A"), "dev": conll("B"), "test": conll("C")}).save_to_disk(tmp_path / "all")
    assert texts(load_source(tmp_path / "all")) == ["Aran", "Bran", "Cran"]
    conll("A", "B").save_to_disk(tmp_path / "one")
    source = load_source(tmp_path / "one")
    assert sorted(texts(source)) == ["Aran", "Bran"]
    assert source.notes[0].startswith("only train is labelled")
    write(tmp_path / "news.conll", COLUMNS.format(name="A"))
    with pytest.raises(
        SourceError, match=r"a folder of several sources, of which all is one .* such as .*/all\."
    ):
        load_source(tmp_path)


BESIDE = "x/dev.pdf README LICENSE.txt licence_gb.txt .train.swp train.py test.stats __MACOSX/dev.txt .cache/dev.txt"


@pytest.mark.parametrize(
    ("files", "splits", "note"),
    [
        (f"train.txt dev.txt test.txt {BESIDE}", "train, dev, test", ""),
        ("train.txt dev.txt test.txt raw-0-of-4.txt", "train, dev, test", "not read: raw-0-of-4.txt"),
        ("x.train x.dev x.test entities.txt", "x, x, x", "not read: entities.txt (no split in the name)"),
        ("train/a.txt train/b.txt dev/c.txt dev/d.txt test/e.txt", "a b, c d, e", ""),
        ("train/p-1-of-2.txt dev/a.txt test/p-2-of-2.txt", "p-1-of-2, a, p-2-of-2", ""),
        ("a.txt b.txt", "a b, , ", "2 files without a split in their names, read as one"),
    ],
)
def test_folders(tmp_path, files, splits, note):
    """Each file holds its own name."""
    for name in files.split():
        content = b"\xca\xda" if name in BESIDE.split() else COLUMNS.format(name=Path(name).stem)
        write(tmp_path / ".cache" / "c" / name, content)
    write(tmp_path / ".cache" / "c" / "empty.train", "")
    source = load_source(tmp_path / ".cache" / "c")
    names = (" ".join(tokens[0] for tokens in rows["tokens"][:]) for rows in source.dataset.values())
    assert ", ".join(names) == splits
    assert (source.notes or ("",))[0].startswith(note)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("a.train b.train", r"c: a\.train, b\.train all look like the train split of c"),
        ("dev/a.conll dev/b.conll dev/c.txt", r"dev/a\.conll, dev/b\.conll, dev/c\.txt all look like the"),
        ("a.txt b.conll", r"c: expected files whose names say their split .*found a\.txt, b\."),
        ("README.md", "c: no file that could hold data"),
        ("x.parquet", r"x\.parquet: the parquet file cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_read(tmp_path, files, message):
    for name in files.split():
        write(tmp_path / "c" / name, COLUMNS.format(name="A"))
    with pytest.raises(SourceError, match=message):
        load_source(tmp_path / "c")


def test_a_link_in_a_folder_is_followed_and_one_in_a_circle_is_not(tmp_path):
    blob = write(tmp_path / "blobs" / "0a", "Ann\tB-PER\n\nran\tO\n")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "x.train").symlink_to(blob)
    (folder / "again").symlink_to(folder)
    assert load_source(folder, name="c").summary.entities["train"] == {"PER": 1}


ANN = b"Ann\tB-PER\n"
FILES = {"c/x.train": ANN, "c/x.dev": b"Eve\tB-PER\n", "c/x.test": b"Joe\tB-PER\n", "README.md": b"no"}
LARGE = {f"{split}.txt": random.Random(split).randbytes(30_000) for split in SPLITS}


def packed(path, files, *links):
    """Write an archive of the kind that its name says, with files and members of tar of other types."""
    kind = path.name.rpartition(".")[2]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind.replace('tgz', 'gz').replace('tar', '')}") as tar:
        for name, member_type, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = member_type, target
            tar.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(params=["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def archive(request, tmp_path):
    return tmp_path / f"corpus.v1.{request.param}"


def test_an_archive_is_read_as_its_folder(archive):
    source = load_source(packed(archive, FILES))
    assert (source.name, texts(source), source.notes) == ("corpus", ["Ann", "Eve", "Joe"], ())


@pytest.mark.parametrize("name", ["../evil.train", "/evil.train", "a/../../evil.train"])
def test_paths_that_lead_outside(archive, name, tmp_path):
    with pytest.raises(SourceError, match=r"corpus\.v1\..*evil\.train', which leads outside the archive"):
        load_source(packed(archive, {name: ANN}))
    assert not list(tmp_path.parent.glob("evil*"))


@pytest.mark.parametrize(
    ("link", "files"),
    [
        (("x.train", tarfile.SYMTYPE, "../../secret"), {}),
        (("x.train", tarfile.FIFOTYPE, ""), {}),
        (("x.train", tarfile.CHRTYPE, ""), {}),
        (("x.train", tarfile.LNKTYPE, "/etc/passwd"), {}),
        (("a", tarfile.SYMTYPE, "../.."), {"a/x.train": ANN}),
    ],
)
def test_links_and_devices_in_an_archive(tmp_path, link, files):
    with pytest.raises(SourceError, match="the archive cannot be unpacked"):
        load_source(packed(tmp_path / "c.tar", files, link))
    assert [file.name for file in tmp_path.rglob("*")] == ["c.tar"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_archive_and_none_at_all(archive, whole):
    content = packed(archive, {"x.train": bytes(range(256)) * 50}).read_bytes()[:60]
    write(archive, ANN * 60 if whole else content)
    with pytest.raises(SourceError, match=r"corpus\.v1\..*: the archive cannot be unpacked"):
        load_source(archive)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("at", [0.35, 0.7, 0.97])
def test_a_tar_that_is_damaged_inside_is_not_read_up_to_there(tmp_path, kind, at):
    """tarfile takes a damaged header for the end, and never looks at the checksum of gzip."""
    path = packed(tmp_path / f"c.tar.{kind}", LARGE)
    content = path.read_bytes()
    start = int(len(content) * at)
    path.write_bytes(
        content[:start] + bytes(b ^ 0x55 for b in content[start : start + 9]) + content[start + 9 :]
    )
    with pytest.raises(SourceError, match=r"c\.tar\.\w+: the archive cannot be unpacked"), opened(path):
        pass


@pytest.mark.parametrize("damage", [bytes(512), b"x" * 512])
def test_a_damaged_header_is_not_the_end(tmp_path, damage):
    path = packed(tmp_path / "c.tar", LARGE)
    before, name, behind = path.read_bytes().partition(b"dev.txt")
    path.write_bytes(before + damage + (name + behind)[512:])
    with pytest.raises(SourceError, match="what lies behind that was not read"), opened(path):
        pass


def test_an_archive_is_whole_while_it_is_open(archive, tmp_path):
    with opened(packed(archive, LARGE)) as folder:
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == LARGE
    assert not folder.exists()
    with opened(tmp_path) as same:
        assert same == tmp_path


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("Invalid data"), r"c\.zip: the archive cannot be unpacked: Invalid data\. Fetch it"),
        (OSError(errno.ENOSPC, "No space"), r"unpacked into .*: No space left on device\. Make room"),
    ],
)
def test_a_damaged_stream_is_told_from_a_full_disk(tmp_path, monkeypatch, error, message):
    monkeypatch.setattr(archives_module, "_unpack", Mock(side_effect=error))
    with pytest.raises(SourceError, match=message):
        load_source(packed(tmp_path / "c.zip", FILES))


def test_an_archive_that_is_too_large(archive, monkeypatch):
    monkeypatch.setattr(archives_module, "_LARGEST", 20)
    with pytest.raises(SourceError, match="would unpack to more than 0 GiB"):
        load_source(packed(archive, FILES))


@pytest.mark.parametrize("most", [len(FILES), len(FILES) - 1])
def test_an_archive_of_too_many_members(archive, monkeypatch, most):
    monkeypatch.setattr(archives_module, "_MOST_MEMBERS", most)
    packed(archive, FILES)
    if most == len(FILES):
        assert load_source(archive).labels
        return
    with pytest.raises(SourceError, match=f"holds more than {most} members"):
        load_source(archive)
