"""``load_source``: names, files, folders, datasets, and whatever else a person passes."""

from __future__ import annotations

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from corpora import raw_reader, sentences_of, write
from esnera_hf.errors import ConfigurationError, SourceError, SourceNotFoundError
from esnera_hf.sources.build import SourceTerms, build_source
from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.files import detect_format
from esnera_hf.sources.hub import LoadedFromHub
from esnera_hf.sources.load import check_names, load_source, source_name
from esnera_hf.sources.options import ReadingOptions

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


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (COLUMNS, "columns"),
        (CLUENER, "json"),
        ("\n \ufeff" + CLUENER, "columns"),
        ("\ufeff\n" + CLUENER, "json"),
        ('{ "text": "a"}', "json"),
        (BOSON, "boson"),
        ("无\n" * 150 + BOSON, "boson"),
        ("{\tO\nx\tB-PER\n}\tO\n", "columns"),
        ("{{\tO\nx\tB-PER\n}}\tO\n", "columns"),
    ],
)
def test_formats_are_told_apart(tmp_path, content, form):
    assert detect_format(write(tmp_path / "a", content)) == form


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (COLUMNS, [("Annran", [(0, 1, "PER")]), ("Bobsat", [(0, 1, "PER")])]),
        (CLUENER, [("王五好", [(0, 2, "name")])]),
        (BOSON, [("在北京。", [(1, 3, "location")]), ("到上海。", [(1, 3, "location")])]),
    ],
)
def test_a_file(tmp_path, content, expected):
    source = load_source(write(tmp_path / "mine.v1.txt", content))
    assert source.name == "mine"
    assert sorted(sentences_of(source)) == sorted(expected)
    assert source.notes == ("only train is labelled: cut by text into train, validation and test (seed 42)",)


def test_a_name_can_be_given(tmp_path):
    path = write(tmp_path / "a=b.txt", COLUMNS)
    assert load_source(f"mine={tmp_path / 'a=b.txt'}").name == "mine"
    assert load_source(str(path)).name == "a=b"
    assert load_source(path, name="other").name == "other"
    assert load_source(f"mine={path}", name="other").name == "other"


def test_a_known_name_brings_its_terms(tmp_path):
    path = write(tmp_path / "x.txt", BOSON)
    source = load_source(f"boson={path}")
    assert source.license == NAMED_SOURCES["boson"].license
    assert source.language == "zh"


def test_a_folder(tmp_path):
    folder = tmp_path / "corpus"
    write(folder / "data" / "x.train", COLUMNS)
    write(folder / "data" / "x.dev", COLUMNS.replace("Ann", "Eve"))
    write(folder / "data" / "x.test", COLUMNS.replace("Ann", "Joe"))
    write(folder / "README.md", "about")
    write(folder / "LICENSE", "free")
    write(folder / ".hidden.test", "x")
    source = load_source(folder)
    assert source.name == "corpus"
    assert source.notes == ()
    firsts = [source.dataset[split]["tokens"][0][0] for split in ("train", "validation", "test")]
    assert firsts == ["Ann", "Eve", "Joe"]


def test_a_folder_with_one_file(tmp_path, monkeypatch):
    write(tmp_path / "corpus" / "all.conll", COLUMNS)
    monkeypatch.chdir(tmp_path / "corpus")
    assert load_source(".").name == "corpus"


def test_a_folder_with_two_files_for_a_split(tmp_path):
    write(tmp_path / "c" / "a.train", COLUMNS)
    write(tmp_path / "c" / "b.train", COLUMNS)
    with pytest.raises(SourceError, match=r"a\.train, b\.train all look like the train split of c"):
        load_source(tmp_path / "c")


def test_a_folder_with_files_of_two_kinds_and_no_splits(tmp_path):
    for name in ("a.txt", "b.conll"):
        write(tmp_path / "c" / name, COLUMNS)
    with pytest.raises(
        SourceError, match=r"c: expected files whose names say their split .*found a\.txt, b\."
    ):
        load_source(tmp_path / "c")


def test_a_folder_without_data(tmp_path):
    write(tmp_path / "c" / "README.md", "about")
    with pytest.raises(SourceError, match="c: no file that could hold data"):
        load_source(tmp_path / "c")


def test_files_without_split_names_are_pooled(tmp_path):
    for name in ("a.txt", "b.txt"):
        write(tmp_path / "c" / name, COLUMNS)
    source = load_source(tmp_path / "c")
    assert sorted(text for text, _ in sentences_of(source)) == ["Annran", "Annran", "Bobsat", "Bobsat"]
    assert source.notes[0] == "2 files without a split in their names, read as one"


def test_a_known_name_is_looked_up_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ESNERA_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "data" / "cluener" / "v1"
    write(folder / "train.json", CLUENER)
    write(folder / "dev.json", CLUENER.replace("好", "坏") + CLUENER.replace("好", "笑"))
    write(folder / "test.json", '{"text": "无"}\n')
    source = load_source("cluener")
    assert source.language == "zh"
    assert source.notes == (
        "test carries no annotation: not loaded",
        "no labelled test split: half of validation, cut by text (seed 42)",
    )
    assert {split: len(rows) for split, rows in source.dataset.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }


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
    ("given", "license", "may"),
    [
        ("xusenlin/clue-ner", "unknown", None),
        ("ttxy/cn_ner", "BosonNLP", False),
        ("mine=TTXY/cn_ner", "BosonNLP", False),
        ("boson=somebody/boson", "BosonNLP", False),
        ("universalner/universal_ner", "cc-by-sa-4.0", True),
        ("somebody/else", "apache-2.0", True),
    ],
)
def test_a_copy_on_the_hub_keeps_the_terms_of_its_corpus(given, license, may, monkeypatch):
    splits = DatasetDict({"train": tagged([[1, 0]] * 3)})
    monkeypatch.setattr(
        "esnera_hf.sources.load.load_from_hub", lambda *_, **__: LoadedFromHub(splits, "apache-2.0", "1" * 40)
    )
    source = load_source(given)
    assert (source.license.name, source.license.text_may_be_shared) == (license, may)
    assert source.provenance.hub_id == given.rpartition("=")[2]
    stated = load_source(given, options=ReadingOptions(license="mit"))
    assert stated.license.name == "mit"


def test_other_files_of_a_repository_with_a_known_copy(monkeypatch):
    splits = DatasetDict({"train": tagged([[1, 0]] * 3)})
    monkeypatch.setattr(
        "esnera_hf.sources.load.load_from_hub", lambda *_, **__: LoadedFromHub(splits, "bsd", "")
    )
    for file, license in (("jsons/boson.json", "BosonNLP"), ("jsons/other.json", "bsd")):
        options = ReadingOptions(data_files={"train": file})
        assert load_source("ttxy/cn_ner", options=options).license.name == license


def test_a_known_name_that_is_nowhere():
    with pytest.raises(SourceNotFoundError) as caught:
        load_source("boson")
    assert "boson: no copy found" in str(caught.value)
    assert "'boson=PATH'" in str(caught.value)
    assert "ESNERA_DATA_DIR" in str(caught.value)


@pytest.mark.parametrize("text", ["cluner", "missing.txt", "a/b/c.txt", "", "mine=missing.txt", "~/missing"])
def test_no_such_name_or_file(text):
    with pytest.raises(SourceNotFoundError) as caught:
        load_source(text)
    assert str(caught.value).startswith(f"{text.rpartition('=')[2]!r}: no such file")
    assert "pass 'name=PATH' to a copy of yours" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("clunner", "no such file, folder or known name (", ". Did you mean cluener? Check the spelling, or"),
        ("qqqq", "no such file, folder or known name (", "yours; `esnera-hf sources` lists the known names."),
        ("nope.conll", "no such file or folder (", "pass 'name=PATH' to a copy of yours."),
        ("./clunner", "no such file or folder (", "pass 'name=PATH' to a copy of yours."),
    ],
)
def test_a_path_and_a_misspelt_name_get_their_advice(text, message, advice):
    with pytest.raises(SourceNotFoundError) as caught:
        load_source(text)
    assert str(caught.value).startswith(f"{text!r}: {message}")
    assert advice in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_hub_dataset_without_a_network():
    with pytest.raises(SourceNotFoundError, match="'nobody/nothing': no such file or folder, and the Hub"):
        load_source("nobody/nothing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "no known format"),
        ("no format\nthat is known\n", "no known format"),
        ("a\tO\n\0\n", "line 2: a NUL byte"),
        ("a\tO\nb\tO\n", r"no entities in any split \(train\)"),
        ("a\tB-O\nb\tO\n", "line 1: a label called 'O'"),
        ("a\tB-x\nb\n", "line 2: expected 2 columns"),
        ('{"text": "a"}\n', r"no entities in any split \(train\)"),
    ],
)
def test_a_file_that_is_no_source(tmp_path, content, message):
    with pytest.raises(SourceError, match=rf"\bx\b.*{message}"):
        load_source(write(tmp_path / "x.txt", content))


def test_damaged_bytes_are_counted_in_the_source(tmp_path):
    path = write(tmp_path / "x.txt", COLUMNS.replace("ran", "r?n").encode().replace(b"?", b"\xff"))
    source = load_source(path)
    assert source.summary.repairs == {"bytes that are not UTF-8, read as U+FFFD": 1}
    assert ("Annr\ufffdn", [(0, 1, "PER")]) in sentences_of(source)


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
    with pytest.raises(
        SourceError, match=r"z\.jsonl, line 1: no list of tags .none., which .* keys tokens, ner_tags"
    ):
        load_source(records, options=ReadingOptions(tag_column="none"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xml"}, "format='xml': expected one of columns, json, cluener, boson, brackets"),
        ({"scheme": "BIO"}, "scheme='BIO': expected one of IOB1, IOB2"),
    ],
)
def test_options_check_themselves(options, message):
    with pytest.raises(ConfigurationError, match=message):
        ReadingOptions(**options)


def test_a_tag_column_of_the_wrong_kind(tmp_path):
    with pytest.raises(ConfigurationError, match=r"the columns of x\.txt have numbers, not names"):
        load_source(write(tmp_path / "x.txt", COLUMNS), options=ReadingOptions(tag_column="ner"))
    lines = write(tmp_path / "x.jsonl", '{"tokens": ["a"], "tags": ["B-x"]}\n')
    with pytest.raises(ConfigurationError, match=r"the records of x\.jsonl have names, not numbers"):
        load_source(lines, options=ReadingOptions(tag_column=1))
    markup = write(tmp_path / "x.boson", "{{a:x}}\n")
    with pytest.raises(ConfigurationError, match=r"x\.boson is read as boson, which has no tag columns"):
        load_source(markup, options=ReadingOptions(tag_column=1))
    with pytest.raises(ConfigurationError, match="a dataset's columns have names, not numbers"):
        load_source(tagged([[1]]), name="d", options=ReadingOptions(tag_column=1))


def test_datasets():
    rows = tagged([[0, 1]] * 2)
    source = load_source(DatasetDict({"train": rows, "dev": rows, "test": rows}), name="d")
    assert sentences_of(source) == [("aa", [(1, 2, "x")])] * 6
    assert sentences_of(load_source(rows, name="d")) == [("aa", [(1, 2, "x")])] * 2


def test_a_dataset_needs_a_name():
    with pytest.raises(ConfigurationError, match="a dataset has no name of its own"):
        load_source(tagged([[1]]))


@pytest.mark.parametrize("splits", [("train", "extra"), ("dev", "validation")])
def test_splits_of_a_dataset(splits):
    with pytest.raises(SourceError, match=f"d: split '{splits[1]}' is none of train, validation, test"):
        load_source(DatasetDict({split: tagged([[1]]) for split in splits}), name="d")


def test_a_broken_row_of_a_dataset_names_split_and_row():
    rows = Dataset.from_dict({"tokens": [["a"], ["a"]], "ner_tags": [["B-x"], []]})
    with pytest.raises(SourceError, match="d, split test, row 1: 1 tokens and 0 tags"):
        load_source(DatasetDict({"test": rows}), name="d")


def source(name, text="ab", label="x"):
    reader = raw_reader((text, [(0, 1, label)]))
    return build_source(SourceTerms(name), {"train": reader, "validation": reader, "test": reader})


def test_sources_that_can_be_told_apart():
    check_names([source("a"), source("b", "cd")])
    check_names({"a": source("a"), "b": source("b", "cd")}.values())


def test_two_sources_of_one_name():
    with pytest.raises(ConfigurationError, match="two sources are called 'a'"):
        check_names([source("a"), source("a", "cd")])


def test_labels_of_two_sources_that_read_alike():
    with pytest.raises(ConfigurationError, match="'a:b:c' may be a label of 'a' or of 'a:b'"):
        check_names([source("a", label="b:c"), source("a:b", "cd", label="c")])
    check_names([source("a", label="b:c"), source("a:b", "cd", label="d")])


def test_one_source_twice():
    with pytest.raises(
        ConfigurationError, match="'a' and 'b' hold the same sentences with the same annotation"
    ):
        check_names(iter([source("a"), source("b")]))


def test_byte_order_marks_and_line_ends_are_noted(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"\xef\xbb\xbfAnn\tB-PER\r\n\r\nran\tO\r\n\r\nBob\tB-PER\r\n")
    notes = load_source(path, name="mine").notes
    assert notes[:2] == ("data.txt: a byte order mark, left out", "data.txt: CRLF line ends")


def test_files_that_happen_to_have_a_known_name_get_none_of_its_terms(tmp_path):
    folder = tmp_path / "weibo"
    folder.mkdir()
    (folder / "train.txt").write_text("Ann\tB-PER\n\n" * 3, encoding="utf-8")
    assert load_source(folder).license.name == "unknown"
    assert load_source(f"weibo={folder}").license.name == "cc-by-sa-3.0"


def test_a_split_of_a_known_corpus_under_another_name_is_not_left_out(tmp_path):
    folder = tmp_path / "conll2003"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        (folder / f"{split}.txt").write_text(f"Ann\tB-PER\n{split}\tO\n\n", encoding="utf-8")
    source = load_source(folder)
    assert [source.dataset[split]["tokens"][0][1] for split in source.dataset] == ["train", "dev", "test"]


def test_a_language_that_is_given_counts(tmp_path):
    path = write(tmp_path / "mine.conll", "Ann\tB-X\nran\tO\n\n" * 3)
    assert load_source(path, options=ReadingOptions(language="fi")).language == "fi"
    with pytest.raises(ConfigurationError, match="language='Finnish!': expected a BCP 47 code"):
        ReadingOptions(language="Finnish!")


@pytest.mark.parametrize("given", ["mine.conll", "other=mine.conll", "folder"])
def test_a_source_is_called_as_it_will_be(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "mine.conll", tmp_path / "folder" / "train.conll"):
        write(path, "Ann\tB-X\nran\tO\n\n" * 3)
    assert source_name(given) == load_source(given).name
