"""Encoders that were made for another script or language than a source's, by their tokenizers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from builders import make_source, row
from esnera_hf import NerSource, load_source
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.cli.align import save_and_print
from esnera_hf.hub.evidence import Evidence
from esnera_hf.modeling.encoders import load_tokenizer
from esnera_hf.report.html import render_report
from esnera_hf.report.report import MergeReport
from esnera_hf.taggers.encoder_fit import EncoderFit, fit_of, measure_fits
from results import make_result

DATA_DIR, ENCODER_DIR = (os.environ.get(f"ESNERA_{what}_DIR", "") for what in ("DATA", "ENCODER"))
ENGLISH = (
    "government president yesterday company announced minister election european market against several "
    "between because another million percent october research university university hospital morning evening "
    "country million states united nations council report quarter industry"
).split()
GERMAN = (
    "Regierung Bundestag gestern Unternehmen erklärte Minister Wahlen europäische Märkte gegen mehrere zwischen "
    "wegen weitere Millionen Prozent Oktober Forschung Universität Klinik Morgen Abend Länder Staaten vereinte "
    "Nationen Bericht Quartal Industrie Verkehr"
).split()
CHINESE = list(
    "政府总统昨天公司宣布部长选举欧洲市场反对几个之间因为百万分之十月研究大学医院早晨晚上国家联合理事会报告"
)
SYLLABLES = "go ##ver ##nm ##ent pre ##si ##den ##t ye ##ste ##rda ##y co ##mp ##any the of in".split()


def word_pieces(*pieces: str) -> BertTokenizer:
    letters = "abcdefghijklmnopqrstuvwxyzäöüß"
    alphabet = [*letters, *letters.upper(), *(f"##{letter}" for letter in letters)]
    vocabulary = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, *alphabet])
    return BertTokenizer(
        vocab={piece: n for n, piece in enumerate(vocabulary)}, do_lower_case=False, strip_accents=False
    )


def bytes_of(texts: list[list[str]]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=["<pad>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator([" ".join(words) for words in texts] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>")


def sentences_of(words: list[str]) -> NerSource:
    """Return a source whose sentences hold each of the words several times in all."""
    rows = [row(" ".join(words[n : n + 8])) for n in range(len(words) - 7)]
    return make_source("news", {"train": [row(f"{words[0]}/B-PER"), *rows]})


TOKENIZERS = {
    "english": word_pieces(*ENGLISH),
    "german": word_pieces(*GERMAN),
    "chinese": word_pieces(*CHINESE, *SYLLABLES),
    "both": word_pieces(*CHINESE, *ENGLISH),
    "english bytes": bytes_of([ENGLISH]),
    "chinese bytes": bytes_of([CHINESE, *[list(word) for word in CHINESE]]),
}
TEXTS = {"english": ENGLISH, "german": GERMAN, "chinese": CHINESE}
FITTING = {
    *{("english", "english"), ("german", "german"), ("chinese", "chinese"), ("both", "chinese")},
    *{("both", "english"), ("english bytes", "english"), ("chinese bytes", "chinese")},
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_an_encoder_of_another_script_or_language_is_told(tokenizer: str, text: str) -> None:
    fit = fit_of(TOKENIZERS[tokenizer], sentences_of(TEXTS[text]))
    assert (fit.problem == "") == ((tokenizer, text) in FITTING), fit
    if text == "chinese" and fit.problem:
        assert "does not know 1" in fit.problem or fit.lost == fit.words


def test_of_a_few_words_nothing_is_concluded() -> None:
    fit = fit_of(TOKENIZERS["chinese"], sentences_of(ENGLISH[:12]))
    assert (fit.common, fit.problem) == (11, "")
    assert fit_of(TOKENIZERS["chinese"], make_source("a", {"train": [row("1 2 3/B-X")]})).problem == ""


def test_a_space_of_its_own_is_no_piece() -> None:
    """As of XLM-R, which puts one before every character that is given as a word."""
    tokenizer = Tokenizer(
        models.WordLevel({"<unk>": 0, "▁": 1, **{c: n for n, c in enumerate(CHINESE, 2)}}, "<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split("▁", "isolated")]
    )
    fast: PreTrainedTokenizerBase = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fit = fit_of(fast, sentences_of(CHINESE))
    assert (fit.lost, fit.problem) == (0, "")


def test_it_is_said_at_once_and_in_console_report_and_page(
    encoder_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esnera_hf.modeling.encoders._tokenizer", lambda name: TOKENIZERS["chinese"])
    fits = measure_fits([sentences_of(ENGLISH)], str(encoder_folder), seed=1)
    fit = fits["news"]
    line = (
        "the encoder does not seem to be made for the language of news: its tokenizer cuts "
        f"{fit.common - fit.whole} of the {fit.common} most common long words into pieces, "
        f"{fit.letters / fit.pieces:.1f} letters a piece ({fit.letters} in {fit.pieces}); choose one "
        "that is (--encoder)"
    )
    assert capsys.readouterr().err == f"WARNING: {line}\n"
    report = MergeReport.from_dict(MergeReport((), encoder_fits=fits).to_dict())
    assert report.encoder_fits == fits
    assert str(report).split("\n")[0] == line
    assert line in render_report(report, LabelMapping((), ()), None)
    assert measure_fits([], "no such encoder", seed=1) == {}
    result = make_result()
    save_and_print(replace(result, report=replace(result.report, encoder_fits=fits)), None)
    assert line not in "".join(capsys.readouterr())  # the command said it at once


def test_it_is_said_of_what_an_evidence_bundle_is_made_from(
    encoder_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esnera_hf.modeling.encoders._tokenizer", lambda name: TOKENIZERS["chinese"])
    monkeypatch.setattr("esnera_hf.hub.evidence_measurement.make_light_heads", lambda *source, times: {})
    with pytest.raises(KeyError):
        Evidence.from_source(sentences_of(ENGLISH), encoder=encoder_folder)
    assert "not seem to be made for the language of news" in capsys.readouterr().err


@pytest.mark.real
@pytest.mark.skipif(
    not (DATA_DIR and ENCODER_DIR), reason="ESNERA_DATA_DIR and ESNERA_ENCODER_DIR are not set"
)
@pytest.mark.parametrize(
    ("encoder", "fitting", "other"),
    [
        (
            "e5-zh-4l",
            "weibo cluener wnut17 wikigold ncbi_disease",
            "germeval14 danplus uner_pt_bosque klue_ko",
        ),
        (
            "e5-multi-12l",
            "weibo wnut17 ncbi_disease germeval14 danplus uner_pt_bosque klue_ko stockmark_ja",
            "",
        ),
    ],
)
def test_real_encoders_fit_the_languages_of_their_vocabulary(encoder: str, fitting: str, other: str) -> None:
    tokenizer = load_tokenizer(str(Path(ENCODER_DIR) / encoder))
    problems = {}
    for name in [*fitting.split(), *other.split()]:
        source = load_source(f"{name}={Path(DATA_DIR) / name}")
        problems[name] = fit_of(tokenizer, source.sample(1200, 42)).problem
    assert {name for name, problem in problems.items() if problem} == set(other.split()), problems


def test_what_is_counted_is_what_is_said() -> None:
    fit = EncoderFit(1000, 250, 0, 0, 0, 0)
    assert fit.problem == "its tokenizer does not know 25% of the words (250 of 1,000)"
