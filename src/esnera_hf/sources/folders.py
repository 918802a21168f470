"""Folders of files: which file is which split, and what are parts of one corpus rather than several."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.catalogue import find_named
from esnera_hf.sources.source import Reader
from esnera_hf.sources.splits import canonical_split, split_of_file

#: Files of one split.
Files = dict[str, list[Path]]
ReaderOf = Callable[[Path], Reader]

_SHARD = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)\.")
_WORDS = re.compile(r"[a-z]+", re.IGNORECASE)
#: Sentences of a file that tell whether it is annotated, with which labels, and whether another one repeats it.
_SAMPLED = 500
#: Words of a sentence that two documents do not share by chance, as they share "Abstract :".
_LONG = 4
#: Each genre has more than this share of the labels of its corpus.
_KINDRED = 0.5


def split_files(path: Path, files: list[Path], name: str, reader_of: ReaderOf) -> tuple[Files, list[str]]:
    """Return the files of each split, of those in a folder that may hold data, and notes on what was chosen.

    Raises:
        SourceError: names do not tell the splits, two files claim one, or shards are missing.
    """
    by_split: Files = defaultdict(list)
    for file in files:
        by_split[split_of_file(file) or split_of_folder(path, file) or ""].append(file)
    unnamed = by_split.pop("", [])
    notes = []
    _check_names(path, by_split, unnamed, reader_of)
    if genres := genres_of(path, by_split, reader_of):
        notes.append(f"read as one corpus, of which these are parts: {', '.join(sorted({*genres.values()}))}")
    for split, members in () if genres else by_split.items():
        check_one_file(path, name, split, members)
    # Beside train, dev and test, a file without a split is a list of labels, raw text or the whole once more.
    if by_split and unnamed:
        notes.append(f"not read: {listed(path, unnamed)} (no split in the name)")
    elif unnamed:
        if len({file.suffix for file in unnamed}) > 1:
            raise SourceError(
                f"{path}: expected files whose names say their split (train, dev or validation, test), or "
                f"files of one kind; found {listed(path, unnamed)}. Rename them, pass one file, or name them: "
                "ReadingOptions(data_files={'train': 'PATTERN'})."
            )
        by_split["train"] = unnamed
        if len(unnamed) > 1:
            notes.append(f"{len(unnamed)} files without a split in their names, read as one")
    if not by_split:
        raise SourceError(f"{path}: no file that could hold data. Expected train, dev and test files.")
    _check_shards(path, by_split)
    return dict(by_split), notes


def named_files(path: Path, files: Sequence[Path], patterns: Mapping[str, str]) -> tuple[Files, list[str]]:
    """Return the files of each split that patterns name, such as ``"*/char/*.train.char"``, and a note on the others.

    Raises:
        ConfigurationError: a split or pattern is none.
        SourceError: a pattern fits no file, or one of another pattern.
    """
    by_split: Files = {}
    for split, pattern in patterns.items():
        canonical = canonical_split(split)
        if (
            canonical is None
            or canonical in by_split
            or Path(pattern).is_absolute()
            or ".." in Path(pattern).parts
        ):
            raise ConfigurationError(
                f"data_files={dict(patterns)!r}: expected splits (train, validation, test), once each, with patterns "
                f"of files inside {path}."
            )
        members = [file for file in files if file.relative_to(path).match(pattern)]
        if not members or any(file in others for others in by_split.values() for file in members):
            named = "no file" if not members else "a file of another split"
            raise SourceError(f"{path}: data_files names {named} as {split}: {pattern!r}. Mend the pattern.")
        by_split[canonical] = members
    others = [file for file in files if not any(file in members for members in by_split.values())]
    return by_split, [f"not read: {listed(path, others)} (not named by data_files)"] if others else []


def genres_of(path: Path, by_split: Mapping[str, Sequence[Path]], reader_of: ReaderOf) -> dict[Path, str]:
    """Return the genre of each file where folders hold the genres of one corpus, each with splits of its own.

    That is so where the paths differ in one folder, which the names of the files repeat
    (``bc/bc.train.char``, ``nw/nw.train.char``), and all genres are annotated with much the same labels.

    Raises:
        SourceError: two levels of folders differ.
    """
    files = [file for members in by_split.values() for file in members]
    folders = [file.relative_to(path).parts[:-1] for file in files]
    if len(files) == len(by_split) or len({*map(len, folders)}) > 1 or not folders[0]:
        return {}
    levels = [{*parts} for parts in zip(*folders, strict=True) if len({*parts}) > 1]
    doubled = any(len({file.parent for file in members}) < len(members) for members in by_split.values())
    repeated = [level for level in levels if all(_repeats(file, level) for file in files)]
    if doubled or len(repeated) != 1:
        return {}
    if len(levels) > 1:
        train = next(iter(by_split.values()))[0].relative_to(path)
        raise SourceError(
            f"{path}: two levels of folders differ, {' and '.join(', '.join(sorted(level)) for level in levels)}. "
            "Say which files count: ReadingOptions(data_files={'train': 'PATTERN', …}); such as "
            f"{train.as_posix()!r} with * for what differs among the parts of the corpus."
        )
    genres = {file: next(part for part in file.parts if part in repeated[0]) for file in files}
    if len({file.suffix for file in files}) > 1 or any(find_named(genre) for genre in repeated[0]):
        return {}
    labels = {genre: _labels(files, genres, genre, reader_of) for genre in repeated[0]}
    common = set().union(*labels.values())
    return genres if all(len(own) > _KINDRED * len(common) for own in labels.values()) else {}


def _repeats(file: Path, level: Iterable[str]) -> bool:
    own = next((part for part in file.parts[:-1] if part in level), "")
    return own.lower() in _WORDS.findall(file.name.lower())


def _labels(files: Iterable[Path], genres: Mapping[Path, str], genre: str, reader_of: ReaderOf) -> set[str]:
    sentences = (
        one for file in files if genres[file] == genre for one in islice(reader_of(file)(), _SAMPLED)
    )
    return {span.label for sentence in sentences for span in sentence.spans or ()}


def _check_names(
    path: Path, by_split: Mapping[str, Sequence[Path]], unnamed: Sequence[Path], reader_of: ReaderOf
) -> None:
    """Check that split names in file names mean splits, rather than documents called ``train_station``."""
    of_splits = [file for members in by_split.values() for file in members if split_of_file(file)]
    others = [_other_words(file) for file in of_splits]
    # weibo.train and weibo.dev are splits of weibo; train_station and test_match are documents, if others lie there.
    if not others or (len({*others}) == 1 and (not others[0] or len(of_splits) > 1)):
        return
    beside = [
        file
        for file in unnamed
        if file.suffix == of_splits[0].suffix and not (others[0] and others[0] <= _other_words(file))
    ]
    if any(_is_annotated(reader_of, file) for file in beside):
        raise SourceError(
            f"{path}: {listed(path, of_splits)} may be splits or documents that are called so: {listed(path, beside)} "
            "hold annotations too. Say which files count: ReadingOptions(data_files={'train': 'PATTERN', …}), such as "
            f"'*{of_splits[0].suffix}' for all as one, or put those of each split into a folder with its name."
        )


def _other_words(file: Path) -> frozenset[str]:
    words = _WORDS.findall(file.name.removesuffix(file.suffix).lower())
    suffix = [] if split_of_file(Path(file.suffix)) else words
    return frozenset(word for word in (suffix or words) if not canonical_split(word))


def _is_annotated(reader_of: ReaderOf, file: Path) -> bool:
    try:
        return any(sentence.spans is not None for sentence in islice(reader_of(file)(), 1))
    except (SourceError, ConfigurationError):
        return False


def of_annotator(path: Path, files: list[Path], annotator: str | None, reader_of: ReaderOf) -> list[Path]:
    """Return the files of one annotator where each has files of their own, all files elsewhere.

    Files are an annotator's if they or a folder of theirs have the name.

    Raises:
        SourceError: files repeat the text of others, and no annotator is named.
    """
    if annotator is not None:
        own = [file for file in files if annotator in (file.stem, *file.relative_to(path).parts[:-1])]
        return own or files
    if len(files) < 2:  # no other could repeat its text, and a cached file is not read again
        return files
    texts: dict[Path, set[tuple[str, ...]]] = {}
    holders: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in files:
        sentences = (tuple(one.tokens) for one in islice(reader_of(file)(), _SAMPLED))
        texts[file] = {tokens for tokens in sentences if len(tokens) >= _LONG}
        for tokens in texts[file]:
            holders[tokens].append(file)
    shared: dict[tuple[Path, Path], int] = defaultdict(int)
    for own in holders.values():
        for pair in combinations(own[:20], 2):
            shared[pair] += 1
    for (one, other), count in shared.items():
        if 2 * count >= min(len(texts[one]), len(texts[other])):
            names = (file.relative_to(path) for file in (one, other))
            raise SourceError(
                f"{path}: {' and '.join(map(str, names))} hold the same sentences, as if several people had annotated "
                "them. Say whose annotation counts, by the name of the file or folder: annotator="
                f"{_told_apart(one, other)!r}; or pass the files that count: data_files={{'train': 'PATTERN'}}."
            )
    return files


def _told_apart(file: Path, other: Path) -> str:
    """Return the first name in a path that another path does not have."""
    return next(
        (part for part in reversed(file.with_suffix("").parts) if part not in other.with_suffix("").parts), ""
    )


def check_one_file(path: Path, name: str, split: str, files: Sequence[Path]) -> None:
    """Check that a split is one file, the shards of one, or the files of a folder with its name."""
    in_one_folder = len({file.parent for file in files}) == 1
    if len(files) == 1 or (in_one_folder and [len(files)] == [*map(len, _shards(files).values())]):
        return
    by_folder = [split_of_file(file) is None and split_of_folder(path, file) == split for file in files]
    if all(by_folder) and len({file.suffix for file in files}) == 1:
        return
    if saved := sorted({str(mark.parent.relative_to(path)) for mark in path.rglob("dataset_dict.json")}):
        raise SourceError(
            f"{path}: a folder of several sources, of which {', '.join(saved[:5])} is one that save_to_disk wrote. "
            f"Name one of them, such as {path / saved[0]}."
        )
    raise SourceError(
        f"{path}: {listed(path, files)} all look like the {split} split of {name}. Pass a folder that holds "
        "one file a split, or one file; or say which files count: "
        f"ReadingOptions(data_files={{{split!r}: 'PATTERN', …}})."
    )


def _check_shards(path: Path, by_split: Mapping[str, Sequence[Path]]) -> None:
    for (whole, count), numbers in _shards(file for files in by_split.values() for file in files).items():
        if numbers not in ({*range(count)}, {*range(1, count + 1)}):
            raise SourceError(
                f"{path}: {len(numbers)} files {whole}, expected {count}. Fetch the others, or pass one file."
            )


def _shards(files: Iterable[Path]) -> dict[tuple[str, int], set[int]]:
    """Return the numbers of the shards among files, by the name of the file that was cut and into how many."""
    numbers: dict[tuple[str, int], set[int]] = {}
    for file in files:
        if shard := _SHARD.search(file.name):
            whole = f"{file.name[: shard.start()]}-*-of-{shard['count']}{file.name[shard.end() - 1 :]}"
            numbers.setdefault((whole, int(shard["count"])), set()).add(int(shard["number"]))
    return numbers


def listed(path: Path, files: Sequence[Path]) -> str:
    """Return the names of up to five files of a folder."""
    return ", ".join(str(file.relative_to(path)) for file in files[:5]) + (", …" if len(files) > 5 else "")


def split_of_folder(path: Path, file: Path) -> str | None:
    """Return the split that a folder on the way to a file is called after."""
    folders = reversed(file.relative_to(path).parts[:-1])
    return next((split for split in map(canonical_split, folders) if split), None)
