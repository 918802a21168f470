"""Archives: read as the folder they hold, refused where they are damaged or dangerous."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from corpora import sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources import archives, load_source
from esnera_hf.sources.archives import opened

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
