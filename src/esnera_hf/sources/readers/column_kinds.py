"""What the cells of one column say about it: tags, tokens, numbers, names of sentences or documents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, pairwise

from esnera_hf._internal.text import shown
from esnera_hf.sources.readers.tags import Notation, detect_notation, is_usual_tag
from esnera_hf.tagging import OUTSIDE

#: By role, words in the names of columns that tell it; the first role that fits counts.
_ROLE_WORDS = {
    "other": "pos upos xpos postag chunk lemma lemmas dep deprel head morph feats shape prev next srl speaker",
    "sentence": "sentence sentences sent sentenceid sentid sentno sid seq sequence utterance tweet",
    "document": "doc docs document documents docid documentid docno file filename article pmid textid",
    "tag": "tag tags label labels ner ners ne nes entity entities iob iob2 bio bio2 bioes bilou nertag nertags",
    "number": "id ids idx index num no number position offset offsets start end begin unnamed tokenid tokenno wordid",
}
#: Whole names of the column of tokens.
_TOKEN_NAMES = frozenset(
    "token tokens word words char chars character characters form wordform surface text term".split()
)
#: A piece of a word that a subword tokenizer has cut off.
WORD_PIECE = re.compile(r"##\w")
_WORDS = re.compile(r"[A-Z]?[a-z]+\d?|[A-Z]+(?![a-z])\d?|\d+")
NUMBER = re.compile(r"-?\d+([-.,:/]\d+)*")
_WHOLE_NUMBER = re.compile(r"\d{1,18}(\.0)?")
#: Of chunkers of English, German, Spanish, Hindi: phrases of a parse, not entities.
CHUNKS = frozenset(
    "NP VP PP ADVP ADJP SBAR PRT INTJ CONJP LST UCP NC VC PC NX VX PX ADVX SN SV SP NGP VGF VGNF VGNN JJP RBP CCP "
    "BLK NEGP FRAGP".split()
)
#: Cells of which a share or a number says something.
ENOUGH = 20
#: Blocks of rows of which one says something.
_FEW_BLOCKS = 3


def role_of(name: str) -> str:
    """Return what a name says of its column: token, tag, sentence, document, number or other; ``""`` for nothing."""
    words = [word.casefold() for word in _WORDS.findall(name)]
    if "".join(words) in _TOKEN_NAMES:
        return "token"
    return next((role for role, names in _ROLE_WORDS.items() if set(words) & set(names.split())), "")


class Column:
    """One column of the first rows of a file.

    Attributes:
        index: its number, from 0.
        name: as the first row says it, ``""`` where it says none.
        cells: its cells, top to bottom.
        blocks: for each cell, the number of the block of rows, between blank lines, that it stands in.
    """

    def __init__(self, index: int, name: str, cells: Sequence[str], blocks: Sequence[int]) -> None:
        self.index, self.name, self.cells, self.blocks = index, name, cells, blocks
        self.counts = Counter(cells)

    def __str__(self) -> str:
        return f"column {self.index}" + (f" {shown(self.name)}" if self.name else "")

    @property
    def key(self) -> str:
        """How an option names it."""
        return repr(self.name) if self.name else str(self.index)

    @cached_property
    def role(self) -> str:
        """What its name says."""
        return role_of(self.name)

    @cached_property
    def notation(self) -> Notation:
        """How its tags are written, if it holds tags."""
        return detect_notation(self.counts)

    @cached_property
    def labels(self) -> set[str]:
        """The labels of its tags."""
        tags = {tag for cell in self.counts for tag in self.notation.tags(cell)} - {OUTSIDE}
        return {tag[2:] for tag in tags if is_usual_tag(tag)} if self.notation.form else tags

    @cached_property
    def is_tagged(self) -> bool:
        """Whether most of its cells hold tags with prefixes, or ``O``, and some have a label."""
        valid = sum(
            count for cell, count in self.counts.items() if all(map(is_usual_tag, self.notation.tags(cell)))
        )
        return self.notation.form is not None and bool(self.labels) and 2 * valid >= len(self.cells)

    @cached_property
    def is_empty(self) -> bool:
        """Whether it holds nothing but ``O``."""
        return self.counts.keys() <= self.notation.outside

    @cached_property
    def is_bare(self) -> bool:
        """Whether it holds ``O`` and, it seems, labels without prefixes."""
        has_outside = not self.notation.outside.isdisjoint(self.counts) and not self.is_empty
        return self.notation.form is None and has_outside and 2 * len(self.counts) <= len(self.cells) + 4

    def holds_sentences(self, columns: Iterable[Column]) -> bool:
        """Tell whether each cell holds the tags of a whole sentence, and one of another column its tokens."""
        sizes = [len(cell.split()) for cell in self.cells]
        return self.notation.joint == " " and any(
            sizes == [len(cell.split()) for cell in column.cells] for column in columns if column is not self
        )

    @cached_property
    def counts_up(self) -> bool:
        """Whether it numbers the tokens of each sentence or of the file: each is one more, or begins anew."""
        numbers = self._numbers
        steps = [after - before for before, after in pairwise(numbers)]
        ups = sum(step == 1 for step in steps)
        return 2 * ups > len(steps) and all(step <= 1 for step in steps)

    @cached_property
    def numbers_sentences(self) -> bool:
        """Whether it numbers sentences: the same number for several rows, then a higher one, or begins anew."""
        steps = [after - before for before, after in pairwise(self._numbers)]
        ups, downs = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
        # Numbers of tags rise and fall alike.
        return ups > 0 and 2 * (ups + downs) <= len(steps) and 3 * downs <= ups

    @cached_property
    def names_groups(self) -> bool:
        """Whether it names groups of rows: in each row of one, or in its first row with empty cells below."""
        names = [name for name, _ in groupby(filter(None, self.cells))]
        # A name that comes back is a word or a tag; names of one row each are numbers of rows.
        return 1 < len(names) == len(set(names)) and 2 * len(names) <= len(self.cells)

    @cached_property
    def is_constant(self) -> bool:
        """Whether it is the same in all rows of a block, where blank lines part blocks of several rows."""
        runs = [
            list(cells) for _, cells in groupby(zip(self.blocks, self.cells, strict=True), lambda c: c[0])
        ]
        long = [{cell for _, cell in run} for run in runs if len(run) > 1]
        return len(long) >= _FEW_BLOCKS and all(len(cells) == 1 for cells in long)

    def tag_objections(self) -> Iterator[str]:
        """Yield what speaks against a column of tags of entities."""
        labels = self.labels
        if self.is_empty:
            yield f"it holds nothing but {OUTSIDE!r}"
        elif labels and labels <= CHUNKS:
            yield f"its labels are those of chunks: {', '.join(sorted(labels)[:5])}"
        if self.is_bare and len(self.cells) >= ENOUGH:
            others = {cell: count for cell, count in self.counts.items() if cell not in self.notation.outside}
            once = sum(count == 1 for count in others.values())
            if len(others) > 4 and 2 * once > len(others):
                yield f"{once} of its {len(others)} labels occur once"
            most = max(others, key=lambda cell: others[cell])
            if others[most] > self.counts[OUTSIDE]:
                yield f"{shown(most)} is more frequent than {OUTSIDE!r}"

    def token_objections(self, *, alone: bool = False) -> Iterator[str]:
        """Yield what speaks against a column of tokens; ``alone`` if no other column could be it."""
        if self.role not in ("", "token", "tag"):
            yield f"it is called {shown(self.name)}"
        examples = ", ".join(map(shown, list(self.counts)[:4]))
        has_letters = any(char.isalpha() for cell in self.counts for char in cell)
        is_number = all(map(NUMBER.fullmatch, filter(None, self.counts)))
        if not has_letters and (is_number or len(self.cells) >= ENOUGH):
            yield f"none of its cells has a letter: {examples}"
        elif self._are_ids and not alone:
            yield f"its cells are numbered names: {examples}"
        if self.is_constant and not alone:
            yield "it is the same in all rows between two blank lines"
        elif len(set(self.blocks)) == 1 and (self.names_groups or self._are_runs) and not alone:
            yield "its cells stay the same for several rows"
        pieces = sum(count for cell, count in self.counts.items() if WORD_PIECE.match(cell))
        if pieces > 2 and ENOUGH * pieces > len(self.cells):
            yield f"{pieces} of its {len(self.cells)} cells are pieces of words (##…): join them, and their tags"
        if 2 * self.counts[""] > len(self.cells):
            yield "most of its cells are empty"
        spaced = sum(" " in cell and not cell.isspace() for cell in self.cells)
        if spaced > 2 and 10 * spaced > len(self.cells):
            yield f"{spaced} of its {len(self.cells)} cells hold spaces, as pieces of text that are no tokens"

    @property
    def _are_ids(self) -> bool:
        shapes = {re.sub(r"\d+", "0", cell) for cell in self.counts}
        has_digits = all(any(map(str.isdecimal, cell)) for cell in self.counts)
        return has_digits and len(shapes) <= 3 and len(self.cells) >= ENOUGH

    @property
    def _are_runs(self) -> bool:
        return len(self.cells) > 4 and 2 * sum(1 for _ in groupby(self.cells)) <= len(self.cells)

    @cached_property
    def _numbers(self) -> list[int]:
        """Its whole numbers; none if a cell is no such number."""
        if not all(map(_WHOLE_NUMBER.fullmatch, self.counts)):
            return []
        return [int(cell.partition(".")[0]) for cell in self.cells]
