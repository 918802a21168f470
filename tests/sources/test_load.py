"""``load_source``: names, files, folders, datasets, and whatever else a person passes."""

from __future__ import annotations

from contextlib import nullcontext
from unittest.mock import Mock

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from corpora import raw_reader, sentences_of, write
from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.sources import files as files_module
from esnera_hf.sources.build import build_source
from esnera_hf.sources.load import load_each, load_source, load_sources, source_name
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import NerSource

COLUMNS = "Ann\tB-PER\nran\tO\n\nBob\tB-PER\nsat\tO\n"
CLUENER = '{"text": "王五好", "label": {"name": {"王五": [[0, 1]]}}}\n'
BOSON = "在{{location:北京}}。\n到{{location:上海}}。\n"


@pytest.fixture(autouse=True)
def _no_corpora(monkeypatch, tmp_path):
    monkeypatch.delenv("ESNERA_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


def tagged(tags):
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-x"]))})
    return Dataset.from_dict({"tokens": [["a"] * len(row) for row in tags], "ner_tags": tags}, features)


def test_a_known_name_in_the_data_folder_with_a_split_under_another_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ESNERA_DATA_DIR", str(tmp_path / "data"))
    for split in ("train", "dev", "test"):
        write(tmp_path / "data" / "conll2003" / f"{split}.txt", f"Ann I-PER\n{split} O\n")
    source = load_source("conll2003")
    assert [source.dataset[split]["tokens"][0][1] for split in source.dataset] == ["train", "dev", "test"]
    assert (source.license.name, source.notes) == ("Reuters corpus", ())
    write(tmp_path / "data" / "conll2003" / "other.dev", "Bob I-PER\n")
    source = load_source("conll2003")
    assert source.notes[0] == "a split lies there under another name, and was not read"
    assert "dev.txt, other.dev all look like the validation split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "file", "license", "may"),
    [
        ("xusenlin/clue-ner", None, "unknown", None),
        ("ttxy/cn_ner", None, "BosonNLP", False),
        ("ttxy/cn_ner", "jsons/boson.json", "BosonNLP", False),
        ("ttxy/cn_ner", "jsons/other.json", "apache-2.0", True),
        ("mine=TTXY/cn_ner", None, "BosonNLP", False),
        ("boson=somebody/boson", None, "BosonNLP", False),
        ("universalner/universal_ner", None, "cc-by-sa-4.0", True),
        ("somebody/else", None, "apache-2.0", True),
    ],
)
def test_a_copy_on_the_hub_keeps_the_terms_of_its_corpus(text, file, license, may, monkeypatch):
    copy = DatasetDict({"train": tagged([[1, 0]] * 3)}), ("apache-2.0", "1" * 40, ())
    monkeypatch.setattr("esnera_hf.sources.load.load_from_hub", lambda *_, **__: copy)
    options = ReadingOptions(data_files={"train": file} if file else None)
    source = load_source(text, options=options)
    assert (source.license.name, source.license.text_may_be_shared) == (license, may)
    assert source.provenance.hub_id == text.rpartition("=")[2]
    assert load_source(text, options=ReadingOptions(license="mit")).license.name == "mit"


NEITHER, NO_FILE = "no such file, folder or known name (", "no such file or folder"
PASS = "pass 'name=PATH' to a copy of yours"


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("clunner", NEITHER, ". Did you mean cluener? Check the spelling, or pass 'name=PATH' to a copy of"),
        ("qqqq", NEITHER, "yours; `esnera-hf sources` lists the known names."),
        ("", NEITHER, PASS),
        *((text, f"{NO_FILE} (", f"{PASS}.") for text in ("nope.conll", "mine=missing.txt", "./clunner")),
        *((text, NO_FILE, PASS) for text in ("a/b/c.txt", "~/missing")),
        ("nobody/nothing", f"{NO_FILE}, and the Hub", ""),
        ("boson", "no copy found", "pass 'boson=PATH', or set ESNERA_DATA_DIR"),
    ],
)
def test_a_path_and_a_misspelt_name_get_their_advice(text, message, advice):
    with pytest.raises(SourceNotFoundError) as caught:
        load_source(text)
    name = text.rpartition("=")[2]
    assert str(caught.value).startswith(f"{name if name == 'boson' else repr(name)}: {message}")
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["mine.conll", "a=b.txt", "other=mine.conll", "x=a=b.txt", "folder"])
def test_a_source_is_called_as_it_will_be(tmp_path, text):
    for path in ("mine.conll", "a=b.txt", "folder/train.conll"):
        write(tmp_path / path, COLUMNS)
    name = {"a=b.txt": "a=b", "folder": "folder", "mine.conll": "mine"}.get(text, text.partition("=")[0])
    assert source_name(text) == load_source(text).name == name
    assert load_source(tmp_path / "mine.conll", name="other").name == "other"


def test_options_reach_the_reader(tmp_path):
    path = write(tmp_path / "x.txt", "a I-A I-x O\nb O B-x O\nc O O O\n")
    source = load_source(path, options=ReadingOptions(tag_column=2, scheme="IOB1", seed=7))
    assert sentences_of(source) == [("abc", [(0, 1, "x"), (1, 2, "x")])]
    assert source.repairs == {}
    assert source.notes[0].endswith("(seed 7)")
    lines = write(tmp_path / "y.txt", "plain\n{{a:x}}\n")
    assert len(sentences_of(load_source(lines, options=ReadingOptions(format="boson")))) == 2
    fine = '{"tokens": ["Ann", "ran"], "ner_tags": ["B-PER", "O"], "fine": ["B-PER-artist", "O"], "ids": [1, 0]}\n'
    records = write(tmp_path / "z.jsonl", fine)
    for column, names, label in (("fine", None, "PER-artist"), ("ids", ("O", "B-x"), "x")):
        options = ReadingOptions(tag_column=column, tag_names=names)
        assert sentences_of(load_source(records, options=options)) == [("Annran", [(0, 1, label)])]
    message = r"z\.jsonl, line 1: no list of tags .none., which .* keys tokens, ner_tags"
    with pytest.raises(SourceError, match=message):
        load_source(records, options=ReadingOptions(tag_column="none"))


def test_datasets():
    with pytest.raises(ConfigurationError, match="a Dataset has no name of its own"):
        load_source(tagged([[1]]))
    for splits in (("train", "extra"), ("dev", "validation")):
        with pytest.raises(SourceError, match=f"d: split '{splits[1]}' is none of train, validation, test"):
            load_source(DatasetDict({split: tagged([[1]]) for split in splits}), name="d")
    rows = tagged([[0, 1]] * 2)
    source = load_source(DatasetDict({"train": rows, "dev": rows, "test": rows}), name="d")
    assert sentences_of(source) == [("aa", [(1, 2, "x")])] * 6
    assert sentences_of(load_source(rows, name="d")) == [("aa", [(1, 2, "x")])] * 2


@pytest.mark.parametrize(
    ("content", "expected", "language"),
    [
        (COLUMNS, [("Annran", [(0, 1, "PER")]), ("Bobsat", [(0, 1, "PER")])], ""),
        (CLUENER, [("王五好", [(0, 2, "name")])], "zh"),
        (BOSON, [("在北京。", [(1, 3, "location")]), ("到上海。", [(1, 3, "location")])], "zh"),
    ],
)
def test_a_file(tmp_path, content, expected, language):
    path = write(tmp_path / "mine.v1.txt", b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    source = load_source(path)
    assert (source.name, source.language) == ("mine", language)
    assert sorted(sentences_of(source)) == sorted(expected)
    assert source.notes == (
        "mine.v1.txt: a byte order mark, left out",
        "mine.v1.txt: CRLF line ends",
        "only train is labelled: cut by text into train, validation and test (seed 42)",
    )
    assert load_source(path, options=ReadingOptions(language="fi")).language == "fi"


ONE = {"train.txt": "Ann\tB-PER\n\nx\tO\n"}


@pytest.mark.parametrize(
    ("folder", "files", "text", "license"),
    [
        ("weibo", ONE, "{}", "unknown"),
        ("weibo", ONE, "weibo={}", "cc-by-sa-3.0"),
        ("conll2003", {**ONE, "dev.txt": "Ann\tB-PER\n"}, "{}", "unknown"),
        ("boson", {"origindata.txt": BOSON, "license.txt": b"\xca\xda\xc8\xa8\n" * 20}, "{}", "BosonNLP"),
        ("x", {"x.txt": BOSON}, "boson={}", "BosonNLP"),
    ],
)
def test_files_that_happen_to_have_a_known_name_get_none_of_its_terms(tmp_path, folder, files, text, license):
    for name, content in files.items():
        write(tmp_path / folder / name, content)
    assert load_source(text.format(tmp_path / folder)).license.name == license


def test_a_known_corpus_with_two_files_for_a_split(tmp_path):
    for name in ("msra_train_bio.txt", "msra_train.txt", "msra_test.txt"):
        write(tmp_path / "msra" / name, COLUMNS)
    with pytest.raises(SourceError, match=r"msra_train\.txt, msra_train_bio\.txt all look like the train"):
        load_source(tmp_path / "msra")


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("x.txt", COLUMNS, "ner", r"the columns of x\.txt have numbers, not names"),
        ("x.jsonl", '{"tokens": ["a"], "tags": ["B-x"]}', 1, r"records of x\.jsonl have names, not numbers"),
        ("x.boson", BOSON, 1, r"x\.boson is read as boson, which has no tag columns"),
        ("", "", 1, "a dataset's columns have names, not numbers"),
    ],
)
def test_a_tag_column_of_the_wrong_kind(tmp_path, name, content, column, message):
    data = write(tmp_path / name, content) if name else tagged([[1]])
    with pytest.raises(ConfigurationError, match=message):
        load_source(data, name="d", options=ReadingOptions(tag_column=column))


def test_options_check_themselves():
    for name, value, expected in (
        ("format", "xml", "one of columns, json, cluener, "),
        ("scheme", "BIO", "one of IOB1, IOB2"),
        ("language", "Finnish!", "a BCP 47 code"),
        ("tag_layer", "both", 'a number from 0, or "all"'),
    ):
        with pytest.raises(ConfigurationError, match=f"{name}='{value}': expected {expected}"):
            ReadingOptions(**{name: value})


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder that is large enough to be cached."""
    monkeypatch.setattr(files_module, "_WORTH_CACHING", 0)
    for split in ("train", "dev", "test"):
        write(tmp_path / "corpus" / f"{split}.txt", f"Ann\tB-PER\n{split}\tO\n\nBob\tI-PER\n")
    return tmp_path / "corpus"


def facts(source):
    rows = {split: (part[:], part._fingerprint) for split, part in source.dataset.items()}
    return {**vars(source), "dataset": rows}


def test_files_that_did_not_change_are_not_read_again(corpus, monkeypatch):
    before = facts(load_source(corpus))
    with monkeypatch.context() as patch:
        patch.setattr("esnera_hf.sources.files.ColumnFile.__call__", lambda self: pytest.fail("read"))
        assert facts(load_source(corpus)) == before
    assert load_source(f"other={corpus}").dataset["train"]["source"][0] == "other"
    write(corpus / "dev.txt", "Eve\tB-LOC\n")
    assert load_source(corpus).labels == ("LOC", "PER")
    write(corpus / "dev.txt", "Ann\tB-PER\ndev\tO\n\nBob\tI-PER\n")
    assert facts(load_source(corpus)) == before


def test_a_file_that_may_not_be_read_and_holds_no_data_is_no_obstacle(corpus, monkeypatch):
    before = facts(load_source(corpus))
    monkeypatch.setattr(files_module.hashlib, "file_digest", Mock(side_effect=PermissionError))
    assert files_module.content_digest(corpus) is None
    assert load_source(corpus).fingerprint == load_source(corpus).fingerprint
    assert facts(load_source(corpus))["repairs"] == before["repairs"]


def source(name, text="ab", label="x"):
    reader = raw_reader((text, [(0, 1, label)]), ("cc", []), ("dd", []))
    return build_source(NerSource(name), {"train": reader, "validation": reader, "test": reader})


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ("ab", {}, "sources='ab': expected a list of at least one source"),
        ([], {}, "expected a list of at least one source"),
        ([source("a")], {"least": 2}, "expected a list of at least two sources to align"),
        ([source("a"), 3], {}, "source 3: expected a known name, a path"),
        ([tagged([[1]])], {}, "a Dataset has no name"),
        (["x", "y", "x"], {}, "given twice: x"),
        ([source("a")], {"max_samples": 0}, "max_samples=0: expected a positive number"),
        ([source("a")], {"seed": -1}, "seed=-1: expected a whole number from 0"),
        ([source("a"), source("a", "ef")], {}, "two sources are called 'a'"),
        ([source("a"), source("b")], {}, "'a' and 'b' hold the same sentences with the same annotation"),
        ([source("a", label="b:c"), source("a:b", "ef", label="c")], {}, "'a:b:c' may be a label of 'a' or"),
        ([source("a", label="b:c"), source("a:b", "ef", label="d")], {}, None),
    ],
)
def test_sources_that_cannot_be_told_apart_or_are_none(sources, options, message):
    with pytest.raises(ConfigurationError, match=message) if message else nullcontext():
        load_sources(sources, **options)


def test_several_sources_are_sorted_sampled_and_loaded_once():
    loaded = load_sources([source("b"), source("a", "ef")], 2, seed=1)
    assert [(one.name, one.max_samples, len(one.dataset["train"])) for one in loaded] == [
        (n, 2, 2) for n in "ab"
    ]
    first, second = loaded[::-1]
    assert load_each([first, second]) == [first, second]
    assert load_source(first) is first
    with pytest.raises(ConfigurationError, match="name='c': the source is loaded and called 'b'"):
        load_source(first, name="c")
    with pytest.raises(ConfigurationError, match="Put a single one in brackets"):
        load_each("b")


def test_a_source_can_be_cut_to_a_sample(tmp_path):
    path = write(tmp_path / "c.txt", "".join(f"Ann{n}\tB-PER\n\n" for n in range(40)))
    options = ReadingOptions(seed=3)
    sampled = load_source(path, options=options, max_samples=2)
    assert sampled.fingerprint == load_source(path, options=options).sample(2, 3).fingerprint
    whole = load_source(path, max_samples=100)
    assert (whole.max_samples, whole.origin) == (None, str(path))
