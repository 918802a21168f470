"""Folders: documents that are called like splits, genres of one corpus, several annotators, patterns of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from corpora import write
from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions


def folder(place: Path, *names: str, label: str = "LOC", same: bool = False) -> Path:
    """Write files of two sentences each, the same or others in every one."""
    for number, name in enumerate(names):
        word = "Osk" if same else f"Osk{number}x"
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write(
            file,
            f"In\tO\n{word}\tB-{label}\nrain\tO\nfell\tO\n\nIt\tO\nleft\tO\n{word}\tB-{label}\nlate\tO\n",
        )
    return place


def read(place: Path, **options) -> dict[str, int]:
    source = load_source(place, name="a", options=ReadingOptions(**options))
    return {split: len(rows) for split, rows in source.dataset.items()}


@pytest.mark.parametrize(
    "names",
    [
        ("train_station.c", "test_match.c", "harbour.c"),
        ("train_station.c", "harbour.c", "market.c"),
        ("dev_team.c", "latest.c"),
        ("train_station.c", "test_match.c", "dev_team.c", "x/bank.c"),
    ],
)
def test_documents_called_like_splits_are_asked_for(tmp_path: Path, names: tuple[str, ...]) -> None:
    place = folder(tmp_path / "a", *names)
    with pytest.raises(
        SourceError, match=r"may be splits or documents that are called so: .*data_files=\{'train'"
    ):
        read(place)
    sizes = read(place, data_files={"train": "*.c"})
    assert sum(sizes.values()) == 2 * len(names)


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("train.c", "dev.c", "test.c"), ("all.c",)),
        (("weibo.train", "weibo.dev", "weibo.test"), ()),
        (("en_ewt-train.c", "en_ewt-dev.c", "en_ewt-test.c"), ("en_ewt-all.c",)),
        (("train_v2.c", "dev.c", "test_public.c"), ()),
        (("corpus_train.c", "corpus_dev.c", "corpus_test.c"), ("labels.txt",)),
    ],
)
def test_splits_of_one_corpus_are_read(
    tmp_path: Path, names: tuple[str, ...], others: tuple[str, ...]
) -> None:
    assert read(folder(tmp_path / "a", *names, *others)) == {"train": 2, "validation": 2, "test": 2}


def test_a_file_that_is_no_annotation_makes_no_doubt(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", "msra_train_bio.txt", "msra_dev.txt", "test.txt")
    write(place / "tags.txt", "O\nB-LOC\nI-LOC\n")
    assert read(place) == {"train": 2, "validation": 2, "test": 2}


GENRES = [f"{genre}/{genre}.{split}.char" for genre in ("bc", "nw") for split in ("train", "dev", "test")]


@pytest.mark.parametrize(
    "names",
    [
        GENRES,
        [f"{name.partition('/')[0]}/char/{name.partition('/')[2]}" for name in GENRES],
        [f"data/{name}" for name in GENRES],
        GENRES[:-1],
    ],
)
def test_genres_of_one_corpus_are_joined_and_kept_in_a_column(tmp_path: Path, names: list[str]) -> None:
    source = load_source(folder(tmp_path / "a", *names), name="a")
    found = {
        (row["genre"], row["tokens"][1])
        for rows in source.dataset.values()
        for row in rows
        if row["tokens"][0] == "In"
    }
    assert found == {("bc" if "bc" in name else "nw", f"Osk{number}x") for number, name in enumerate(names)}
    assert "read as one corpus, of which these are parts: bc, nw" in source.notes
    assert sum(map(len, source.dataset.values())) == 2 * len(names)


def test_several_corpora_in_one_folder_are_no_genres(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", *GENRES[:3])
    folder(place, *GENRES[3:], label="PRODUCT")
    with pytest.raises(SourceError, match=r"all look like the (train|validation|test) split of a"):
        read(place)
    with pytest.raises(SourceError, match=r"all look like the (train|validation|test) split of a"):
        read(folder(tmp_path / "b", "bc/train.c", "nw/train.c", "bc/test.c", "nw/test.c"))
    with pytest.raises(SourceError, match=r"all look like the (train|validation|test) split of a"):
        read(
            folder(tmp_path / "c", "weibo/weibo.train", "msra/msra.train", "weibo/weibo.dev", "msra/msra.dev")
        )


def test_two_levels_of_folders_that_differ_are_asked_for(tmp_path: Path) -> None:
    names = [
        f"{g}/{kind}/{g}.{s}.x" for g in ("bc", "nw") for kind in ("char", "word") for s in ("train", "test")
    ]
    place = folder(tmp_path / "a", *names)
    with pytest.raises(
        SourceError, match=r"two levels of folders differ, bc, nw and char, word. .*data_files="
    ):
        read(place)
    patterns = {"train": "*/char/*.train.x", "test": "*/char/*.test.x"}
    source = load_source(place, name="a", options=ReadingOptions(data_files=patterns))
    assert {genre for rows in source.dataset.values() for genre in rows["genre"]} == {"bc", "nw"}
    assert sum(map(len, source.dataset.values())) == 8
    assert any(
        note.startswith("not read: ") and note.endswith("(not named by data_files)") for note in source.notes
    )


@pytest.mark.parametrize(
    ("patterns", "error", "message"),
    [
        ({"train": "*.x"}, SourceError, "data_files names no file as train"),
        ({"train": "*.c", "test": "b.c"}, SourceError, "data_files names a file of another split as test"),
        ({"dev": "a.c", "validation": "b.c"}, ConfigurationError, "expected splits"),
        ({"more": "a.c"}, ConfigurationError, "expected splits"),
        ({"train": "../b/*.c"}, ConfigurationError, "expected a path within"),
        ({"train": "/etc/*"}, ConfigurationError, "expected a path within"),
    ],
)
def test_patterns_that_are_refused(
    tmp_path: Path, patterns: Mapping[str, str], error: type[Exception], message: str
) -> None:
    place = folder(tmp_path / "a", "a.c", "b.c")
    with pytest.raises(error, match=message):
        read(place, data_files=patterns)


def test_patterns_name_no_parts_of_a_file(tmp_path: Path) -> None:
    place = folder(tmp_path / "a", "a.c")
    with pytest.raises(ConfigurationError, match=r"a\.c is a file, and patterns name files in a folder"):
        read(place / "a.c", data_files={"train": "*"})


@pytest.mark.parametrize(
    "names", [("doc1/ann.c", "doc1/bob.c"), ("ann.c", "bob.c"), ("ann/doc1.c", "bob/doc1.c")]
)
def test_files_of_several_annotators_are_asked_for(tmp_path: Path, names: tuple[str, ...]) -> None:
    place = folder(tmp_path / "a", *names, same=True)
    with pytest.raises(SourceError, match=r"hold the same sentences, .*annotator='(ann|bob)'"):
        read(place)
    assert sum(read(place, annotator="bob").values()) == 2


def test_documents_that_share_short_sentences_are_no_annotators(tmp_path: Path) -> None:
    for name in "abc":
        write(
            tmp_path / "d" / f"{name}.c", f"Abstract\tO\n:\tO\n\nIn\tO\nOsk{name}\tB-LOC\nrain\tO\nfell\tO\n"
        )
    assert sum(read(tmp_path / "d").values()) == 6


def test_brat_folders_of_several_annotators_are_asked_for(tmp_path: Path) -> None:
    for annotator in ("ann", "bob"):
        for name in "12":
            write(tmp_path / "a" / annotator / f"{name}.txt", f"In Osk{name} rain fell.\n")
            write(tmp_path / "a" / annotator / f"{name}.ann", f"T1\tLOC 3 7\tOsk{name}\n")
    with pytest.raises(SourceError, match=r"hold the same sentences, .*annotator='(ann|bob)'"):
        read(tmp_path / "a")
    assert sum(read(tmp_path / "a", annotator="ann").values()) == 2
