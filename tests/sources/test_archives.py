"""Archives: read as the folder they hold, refused where they are damaged or dangerous."""

from __future__ import annotations

import errno
import io
import random
import tarfile
import zipfile

import pytest

from corpora import sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources import files as archives
from esnera_hf.sources.files import opened
from esnera_hf.sources.load import load_source

FILES = {
    "c/x.train": b"Ann\tB-PER\n",
    "c/x.dev": b"Eve\tB-PER\n",
    "c/x.test": b"Joe\tB-PER\n",
    "README.md": b"no",
}


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files, mode):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def raising(error):
    def unpack(path, folder):
        raise error

    return unpack


@pytest.fixture(params=["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def archive(request, tmp_path):
    path = tmp_path / f"corpus.v1.{request.param}"
    if request.param == "zip":
        return lambda files: zipped(path, files)
    compression = request.param.rpartition(".")[2].replace("tgz", "gz").replace("tar", "")
    return lambda files: tarred(path, files, f"w:{compression}")


def test_an_archive_is_read_as_its_folder(archive):
    source = load_source(archive(FILES))
    assert source.name == "corpus"
    assert [text for text, _ in sentences_of(source)] == ["Ann", "Eve", "Joe"]
    assert source.notes == ()


@pytest.mark.parametrize("name", ["../evil.train", "/evil.train", "a/../../evil.train"])
def test_paths_that_lead_outside(archive, name, tmp_path):
    with pytest.raises(SourceError, match=r"corpus\.v1\..*evil\.train', which leads outside the archive"):
        load_source(archive({name: b"Ann\tB-PER\n"}))
    assert not list(tmp_path.parent.glob("evil*"))


def test_links_that_lead_outside(tmp_path):
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        link = tarfile.TarInfo("x.train")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        archive.addfile(link)
    with pytest.raises(SourceError, match="the archive cannot be unpacked"):
        load_source(tmp_path / "c.tar")


def test_a_damaged_archive(archive):
    path = archive({"x.train": bytes(range(256)) * 50})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match=r"corpus\.v1\..*: the archive (cannot be unpacked|is damaged)"):
        load_source(path)


LARGE = {f"{split}.txt": random.Random(split).randbytes(30_000) for split in ("train", "dev", "test")}


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("at", [0.35, 0.7, 0.97])
def test_a_tar_that_is_damaged_inside_is_not_read_up_to_there(tmp_path, mode, at):
    """tarfile takes a damaged header for the end, and never looks at the checksum of gzip."""
    path = tarred(tmp_path / "c.tar.x", LARGE, mode).rename(tmp_path / f"c.tar.{mode[2:]}")
    content = bytearray(path.read_bytes())
    start = int(len(content) * at)
    content[start : start + 9] = bytes(byte ^ 0x55 for byte in content[start : start + 9])
    path.write_bytes(content)
    with (
        pytest.raises(SourceError, match=r"c\.tar\.\w+: the archive (is damaged|cannot be unpacked)"),
        opened(path),
    ):
        pass


@pytest.mark.parametrize("damage", [bytes(512), b"x" * 512])
def test_a_damaged_header_is_not_the_end(tmp_path, damage):
    path = tarred(tmp_path / "c.tar", LARGE, "w")
    content = bytearray(path.read_bytes())
    start = content.index(b"dev.txt")
    content[start : start + 512] = damage
    path.write_bytes(content)
    with pytest.raises(SourceError, match="what lies behind that was not read"), opened(path):
        pass


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_sound_tar_is_read_to_its_end(tmp_path, mode):
    path = tarred(tmp_path / "c.tar.x", LARGE, mode).rename(
        tmp_path / ("c.tar" if mode == "w" else f"c.tar.{mode[2:]}")
    )
    with opened(path) as folder:
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == LARGE


def test_a_damaged_stream_is_told_from_a_full_disk(tmp_path, monkeypatch):
    path = zipped(tmp_path / "c.zip", FILES)
    monkeypatch.setattr(archives, "_unpack", raising(OSError("Invalid data stream")))
    with pytest.raises(
        SourceError, match=r"c\.zip: the archive cannot be unpacked: Invalid data stream\. Fetch it again"
    ):
        load_source(path)
    monkeypatch.setattr(archives, "_unpack", raising(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(SourceError, match=r"cannot be unpacked into .*: No space left on device\. Make room"):
        load_source(path)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_no_archive_at_all(tmp_path, suffix):
    with pytest.raises(SourceError, match="the archive"):
        load_source(write(tmp_path / f"c.{suffix}", "Ann\tB-PER\n" * 60))


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_LARGEST_ARCHIVE", 20)
    with pytest.raises(SourceError, match="would unpack to 0 GiB"):
        load_source(zipped(tmp_path / "c.zip", FILES))


def test_the_folder_goes_afterwards(tmp_path):
    with opened(zipped(tmp_path / "c.zip", FILES)) as folder:
        assert (folder / "c" / "x.dev").read_bytes() == FILES["c/x.dev"]
    assert not folder.exists()
    with opened(tmp_path) as same:
        assert same == tmp_path
