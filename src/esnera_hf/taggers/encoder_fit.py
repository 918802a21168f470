"""Whether an encoder was made for the script and the language of a source, by what its tokenizer makes of words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from esnera_hf._internal.console import say
from esnera_hf._internal.text import display_width
from esnera_hf.sources.source import NerSource

#: Sentences whose words are looked at: enough for a hundred common long words, in a fraction of a second.
_SENTENCES = 1200
#: Common words that are looked at, and the fewest from which anything is concluded.
_COMMON, _FEWEST = 100, 20
#: Letters of a long word: shorter ones, such as "the" and "www", stand in the vocabulary of many a foreign tokenizer.
_LONG = 5
#: Where an encoder fits, next to nothing is lost (1 % at most, measured on 40 corpora of nine languages), where it does
#: not know the script, a quarter and more.
_LOST = 0.1
#: Most common words of its language are pieces of a tokenizer, and those that it cuts have stems in it; what it was not
#: made for it cuts into syllables of two or three letters. Measured on 32 corpora and five tokenizers: 4.4 letters and
#: more where they fit (by a Chinese BERT that reads English 2.6 to 3.5), half of the words or more in one piece (0.48
#: at most). Both have to be short of it, as a language may have short words.
_LETTERS, _WHOLE = 4.0, 0.5
#: What stands for a space before a word, in a piece of its own.
_SPACES = ("▁", "Ġ")


@dataclass(frozen=True)
class EncoderFit:
    """What the tokenizer of an encoder makes of the words of a source.

    Attributes:
        words: tokens with a letter, of some sentences of the train split.
        lost: those that it does not know: unknown to it, or in more pieces than characters, such as bytes.
        common: the most common long words of scripts that part words by spaces.
        whole: those of them that are one piece.
        letters, pieces: of all of them.
    """

    words: int
    lost: int
    common: int
    whole: int
    letters: int
    pieces: int

    @property
    def problem(self) -> str:
        """What shows that the encoder was not made for such text; nothing where nothing does."""
        if self.lost > _LOST * self.words:
            return (
                f"its tokenizer does not know {self.lost / self.words:.0%} of the words ({self.lost:,} of "
                f"{self.words:,})"
            )
        few = self.common < _FEWEST or self.whole >= _WHOLE * self.common
        if few or self.letters >= _LETTERS * self.pieces:
            return ""
        return (
            f"its tokenizer cuts {self.common - self.whole} of the {self.common} most common long words into pieces, "
            f"{self.letters / self.pieces:.1f} letters a piece ({self.letters:,} in {self.pieces:,})"
        )


def measure_fits(sources: Sequence[NerSource], encoder: str, seed: int) -> dict[str, EncoderFit]:
    """Return by source how an encoder's tokenizer fits its text, and warn at once where it does not.

    Args:
        seed: of the sentences that are looked at.

    Raises:
        EncoderError: the tokenizer cannot be loaded.
    """
    from esnera_hf.modeling.encoders import load_tokenizer

    if not sources:
        return {}
    tokenizer = load_tokenizer(encoder)
    fits = {}
    for source in sources:
        fit = fits[source.name] = fit_of(tokenizer, source.sample(_SENTENCES, seed))
        if fit.problem:
            say(misfit(source.name, fit), "warning")
    return fits


def misfit(source: str, fit: EncoderFit) -> str:
    """Return the warning that an encoder does not fit a source."""
    return (
        f"the encoder does not seem to be made for the language of {source}: {fit.problem}; choose one that is "
        "(--encoder)"
    )


def fit_of(tokenizer: Any, source: NerSource) -> EncoderFit:
    """Return what a tokenizer makes of the words in the train split of a source."""
    in_sentences: Counter[str] = Counter()
    for sentence in source.sentences("train"):
        in_sentences.update(word for word in set(sentence.tokens) if any(map(str.isalpha, word)))
    if not in_sentences:
        return EncoderFit(0, 0, 0, 0, 0, 0)
    words = list(in_sentences)
    encoded = tokenizer(
        [[word] for word in words], is_split_into_words=True, add_special_tokens=False, verbose=False
    )
    pieces_of = {
        word: [piece for piece in tokenizer.convert_ids_to_tokens(ids) if piece not in _SPACES]
        for word, ids in zip(words, encoded["input_ids"], strict=True)
    }
    lost = sum(
        count
        for word, count in in_sentences.items()
        if not 0 < len(pieces_of[word]) <= len(word) or tokenizer.unk_token in pieces_of[word]
    )
    repeated = [word for word, count in in_sentences.most_common() if count > 1 and _is_long(word)]
    common = sorted(repeated, key=lambda word: (-in_sentences[word], word))[:_COMMON]
    return EncoderFit(
        in_sentences.total(),
        lost,
        len(common),
        sum(len(pieces_of[word]) == 1 for word in common),
        sum(map(len, common)),
        sum(len(pieces_of[word]) for word in common),
    )


def _is_long(word: str) -> bool:
    """Tell a long word of letters that take one column each: those of two are whole syllables or words."""
    letters = all(unicodedata.category(char)[0] in "LM" for char in word)
    return letters and len(word) >= _LONG and display_width(word) <= len(word)
