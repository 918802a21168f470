"""Read every named corpus at hand and compare it with a reference read by other code.

The folder named by ``ESNERA_DATA_DIR`` holds the corpora as published; the
folder ``jsonl`` beside it holds the references, a sentence a line with
``tokens`` and ``spans``. Only counts and names of labels leave this script.

    ESNERA_DATA_DIR=… python benchmarks/source_counts.py benchmarks/results/readers.md
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_line import benchmark_parser

from esnera_hf.sources.catalogue import NAMED_SOURCES, NamedSource
from esnera_hf.sources.files import file_reader
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import RawSentence

BEGIN, END = "<!-- {}: written by benchmarks/source_counts.py -->", "<!-- end of {} -->"

#: Names of reference splits by split of the source, where they are not train, dev and test.
REFERENCE_SPLITS = {
    "btc": {"train": ["sec_a", "sec_b", "sec_e", "sec_g"], "validation": ["sec_h"], "test": ["sec_f"]},
    "wikigold": {"train": ["all"]},
    "stockmark": {"train": ["all"]},
}
REFERENCE_NAMES = {"klue": "klue_ko", "stockmark": "stockmark_ja"}
#: Further files of a corpus, outside its splits.
FURTHER = {
    ("danplus", split): f"data/da_{split}.tsv"
    for split in ("arto_dev", "arto_test", "twitter_dev", "twitter_test")
}
EXPLAINED = {
    "weibo": (
        "positions of two digits: the reference takes the last digit off every token, the reader the whole "
        "position in its word; spans are the same"
    ),
}

Sentence = tuple[list[str], list[tuple[int, int, str]]]


@dataclass(frozen=True)
class Comparison:
    """One split of a corpus, read and as the reference has it."""

    corpus: str
    split: str
    read: list[Sentence]
    reference: list[Sentence]

    @property
    def same(self) -> int:
        """Sentences with the same tokens and spans in both, place by place."""
        return sum(one == other for one, other in zip(self.read, self.reference, strict=False))

    @property
    def labels_apart(self) -> list[str]:
        """Labels with other counts, as ``label read/reference``."""
        read, reference = count_labels(self.read), count_labels(self.reference)
        return [
            f"{label} {read[label]:,}/{reference[label]:,}"
            for label in sorted(read | reference)
            if read[label] != reference[label]
        ]

    @property
    def differs(self) -> bool:
        """Whether anything is read otherwise than the reference has it."""
        return self.read != self.reference


def count_labels(sentences: list[Sentence]) -> Counter[str]:
    """Count spans by label."""
    return Counter(label for _, spans in sentences for _, _, label in spans)


def comparisons(folder: Path, known: NamedSource) -> Iterator[Comparison]:
    """Yield a comparison for every split of a corpus that has a reference."""
    name = REFERENCE_NAMES.get(known.name, known.name)
    options = ReadingOptions(format=known.format, tag_column=known.tag_column)
    usual = {"train": ["train"], "validation": ["dev"], "test": ["test"]}
    for place in (folder / sub for sub in known.folders):
        for split, files in known.find_files(place).items() if place.is_dir() else ():
            parts = REFERENCE_SPLITS.get(known.name, usual).get(split, [])
            reference = [sentence for part in parts for sentence in references(folder, f"{name}.{part}")]
            if reference:
                yield Comparison(known.name, split, list(sentences(files, options)), reference)
        for (corpus, split), file in FURTHER.items():
            if corpus == known.name and (place / file).exists():
                read = list(sentences([place / file], options))
                yield Comparison(corpus, split, read, references(folder, f"{name}.{split}"))


def sentences(files: list[Path], options: ReadingOptions) -> Iterator[Sentence]:
    """Yield tokens and spans as a reader gives them, before nested spans are dropped."""
    for sentence in file_reader(files, options)():
        yield sentence.tokens, spans_of(sentence)


def spans_of(sentence: RawSentence) -> list[tuple[int, int, str]]:
    """Return the spans of a sentence as sorted triples."""
    return sorted((span.start, span.end, span.label) for span in sentence.spans or ())


def references(folder: Path, name: str) -> list[Sentence]:
    """Return the sentences of a reference file, none if there is no such file."""
    path = folder.parent / "jsonl" / f"{name}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        records = [json.loads(line) for line in stream]
    return [(record["tokens"], sorted(tuple(span) for span in record["spans"])) for record in records]


def counts_table(folder: Path) -> str:
    """Return the table of comparisons.

    Raises:
        SystemExit: a difference has no explanation in ``EXPLAINED``.
    """
    rows = [
        "| corpus | split | sentences | reference | the same | spans | reference | kept + dropped | difference |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for known in NAMED_SOURCES.values():
        found = list(comparisons(folder, known))
        outcome = outcomes(known) if found else {}
        for one in found:
            if one.differs and one.corpus not in EXPLAINED:
                sys.exit(f"{one.corpus}, {one.split}: read otherwise than the reference: {one.labels_apart}")
            cells = (
                one.corpus,
                one.split,
                *(f"{number:,}" for number in (len(one.read), len(one.reference), one.same)),
                *(f"{count_labels(part).total():,}" for part in (one.read, one.reference)),
                outcome.get(one.split, ""),
                f"{EXPLAINED[one.corpus]}; {', '.join(one.labels_apart)}".rstrip("; ") if one.differs else "",
            )
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def outcomes(known: NamedSource) -> dict[str, str]:
    """Return ``kept + dropped`` by split of a source as loaded, for all splits together where some are cut."""
    source = load_source(known.name)
    kept = {split: sum(counts.values()) for split, counts in source.summary.entities.items()}
    if any("cut by text" in note for note in source.notes):
        total = f"{sum(kept.values()):,} + {len(source.dropped):,} in all splits"
        return dict.fromkeys(kept, total)
    dropped = Counter(drop.split for drop in source.dropped)
    return {split: f"{kept[split]:,} + {dropped[split]:,}" for split in kept}


def replaced(text: str, name: str, table: str) -> str:
    """Return a document with one of its generated tables replaced."""
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def main() -> None:
    """Write the table into the document given."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("document", type=Path, help="benchmarks/results/readers.md")
    document = parser.parse_args().document
    text = replaced(
        document.read_text(encoding="utf-8"), "counts", counts_table(Path(os.environ["ESNERA_DATA_DIR"]))
    )
    document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
