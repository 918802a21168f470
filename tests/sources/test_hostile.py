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

LONG = "x" * 10_000_000
MANY = 10_000
ODD_TOKENS = (
    *(
        "\u200b",
        "\u202eab\u202c",
        "\u2066x\u2069",
        "e\u0301\u0323",
        "Z\u0351\u036b\u0343",
        "\U0001f468\u200d\U0001f469",
    ),
    *(
        "\U0001f1e9\U0001f1ea",
        "\ufeffa",
        "a\u2028b",
        "a\x85b",
        "\x1b[31m",
        "\x07",
        "\u3164",
        "=1+1",
        "../../x",
        "\ufffe",
    ),
)


def read(path, form):
    return list(file_reader([path], ReadingOptions(format=form))())


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("columns", f"{LONG}\tB-x\nb\tO\n"),
        ("json", json.dumps({"tokens": [LONG, "b"], "spans": [[0, 1, "x"]]})),
        ("slashed", f"{LONG}/B-x b/O\n"),
    ],
)
def test_a_line_of_ten_megabytes_is_read(tmp_path, form, content):
    (sentence,) = read(write(tmp_path / "data.txt", content), form)
    assert [len(token) for token in sentence.tokens] == [10_000_000, 1]
    assert sentence.spans == [Entity(0, 1, "x")]


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("columns", f"a\tB-x\nb\tO\nc\t{LONG}\n"),
        ("json", f'{{"text": "a"}}\n{LONG}'),
        ("cluener", json.dumps({"text": "ab", "label": {LONG: {LONG: [[0, 1]]}}})),
        ("json", json.dumps({"text": "ab", "spans": [{"start": 0, "end": 1, "label": LONG, "text": LONG}]})),
        ("json", json.dumps({LONG: 1})),
        ("boson", f"a{{{{{LONG}:b"),
        ("boson", f"{LONG}}}}}"),
        ("slashed", LONG),
        ("brackets", f"d 0 0 a NN * - - - - {LONG}"),
        ("brat", f"T1\tx 0 2\t{LONG}"),
        ("brat", f"T1\tx 0 {'9' * 10_000}\tab"),
    ],
    ids=lambda value: value[:12],
)
def test_an_error_in_a_line_of_ten_megabytes_is_short(tmp_path, form, content):
    path = write(tmp_path / ("data.ann" if form == "brat" else "data.conll"), content)
    write(tmp_path / "data.txt", "ab\n")
    with pytest.raises(SourceError, match=r"data\.\w+, line \d") as caught:
        read(path, form)
    assert len(str(caught.value)) < 1000


def test_a_million_columns(tmp_path):
    row = "w\t" * 999_999
    with pytest.raises(SourceError, match="line 2: expected 2 columns as in the lines before, found 1000000"):
        read(write(tmp_path / "data.conll", f"w\tB-x\n{row}O\n"), "columns")
    row = row[:100_000]
    (sentence,) = read(write(tmp_path / "data.conll", f"{row}B-x\n{row}O\n"), "columns")
    assert sentence.spans == [Entity(0, 1, "x")]


@pytest.mark.parametrize("form", ["columns", "json"])
def test_odd_characters_are_kept_as_they_are(tmp_path, form):
    spans = [[0, 2, "x"]]
    if form == "json":
        content = json.dumps({"tokens": ODD_TOKENS, "spans": spans})
    else:
        tags = ["B-x", "I-x", *["O"] * (len(ODD_TOKENS) - 2)]
        content = "".join(f"{token}\t{tag}\n" for token, tag in zip(ODD_TOKENS, tags, strict=True))
    source = load_source(write(tmp_path / "data.txt", content), options=ReadingOptions(format=form))
    (row,) = [row for split in source.dataset.values() for row in split]
    assert tuple(row["tokens"]) == ODD_TOKENS
    assert row["ner_tags"][:3] == ["B-x", "I-x", "O"]
    assert source.repairs == {}


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
