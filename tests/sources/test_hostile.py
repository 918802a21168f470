"""Files that are hostile by their size, their characters or their links."""

from __future__ import annotations

import io
import json
import tarfile
import time

import pytest

from corpora import sentences_of, write
from esnera_hf.errors import SourceError
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.inline import read_boson
from esnera_hf.sources.source import flatten
from esnera_hf.tagging import Entity

MANY = 10_000


def read(path, form):
    return list(file_reader([path], ReadingOptions(format=form))())


def test_ten_thousand_entities_in_a_sentence(tmp_path):
    tokens = [f"w{number}" for number in range(MANY)]
    spans = [[place, place + 1, f"l{place % 7}"] for place in range(MANY)] + [[0, MANY - 1, "l0"]]
    path = write(tmp_path / "data.json", json.dumps({"tokens": tokens, "spans": spans}))
    source = load_source(path)
    ((_, kept),) = sentences_of(source)
    assert kept == [(0, MANY - 1, "l0"), (MANY - 1, MANY, f"l{(MANY - 1) % 7}")]
    assert source.summary.dropped == {"nested in a longer span": MANY - 1}


def test_choosing_spans_takes_no_time_that_grows_with_their_square():
    spans = [Entity(place, place + 1, "x") for place in range(10 * MANY)]
    started = time.process_time()
    kept, clashes = flatten(spans, {})
    assert (kept, clashes) == (spans, [])
    assert time.process_time() - started < 20  # many minutes if every span were compared with all others


@pytest.mark.parametrize("line", ["{{" + " " * 100_000 + "}}", "{{" * 50_000 + "}}", "{{a" + " a" * 50_000])
def test_markup_that_never_ends_takes_no_time(tmp_path, line):
    path = write(tmp_path / "data.txt", f"{line}\n")
    started = time.process_time()
    with pytest.raises(SourceError, match="closes no"):
        list(read_boson(write(path, f"{line}\n}}}}\n")))
    assert time.process_time() - started < 20  # the cube of its length before


@pytest.mark.parametrize(
    ("token", "label"), [("{{x:b}}", "PER"), ("a", "{{x:b}}"), ("{{x", "y}}"), ("{{", "}}")]
)
def test_a_column_file_whose_tokens_or_labels_look_like_markup_is_still_one(tmp_path, token, label):
    path = write(tmp_path / "data.txt", f"{token}\tB-{label}\nb\tO\n")
    (sentence,) = read(path, None)
    assert (sentence.tokens, sentence.spans) == ([token, "b"], [Entity(0, 1, label)])


def test_labels_of_markup_lose_their_spaces(tmp_path):
    (sentence,) = read_boson(write(tmp_path / "data.txt", "{{ per name : Ann}}\n"))
    assert sentence.spans[0].label == "per name"
    assert "".join(sentence.tokens) == " Ann"


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE])
def test_devices_and_links_to_elsewhere_in_an_archive(tmp_path, kind):
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        member = tarfile.TarInfo("x.train")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(SourceError, match="the archive cannot be unpacked"):
        load_source(tmp_path / "c.tar")


def test_a_file_is_not_written_through_a_link_of_an_archive(tmp_path):
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "../.."
        archive.addfile(link)
        member = tarfile.TarInfo("a/x.train")
        member.size = 10
        archive.addfile(member, io.BytesIO(b"Ann\tB-PER\n"))
    with pytest.raises(SourceError, match="the archive cannot be unpacked"):
        load_source(tmp_path / "c.tar")
    assert [file.name for file in tmp_path.rglob("*")] == ["c.tar"]


def test_a_link_in_a_folder_is_followed_and_one_in_a_circle_is_not(tmp_path):
    blob = write(tmp_path / "blobs" / "0a", "Ann\tB-PER\n\nran\tO\n")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "x.train").symlink_to(blob)
    (folder / "again").symlink_to(folder)
    assert load_source(folder, name="c").summary.entities["train"] == {"PER": 1}
