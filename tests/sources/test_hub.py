"""Hub datasets, without a network: the loader is replaced."""

from __future__ import annotations

import pytest
from datasets import Dataset, DatasetDict, Features, List, Value

from corpora import sentences_of
from esnera_hf.sources import hub
from esnera_hf.sources.hub import LoadedFromHub
from esnera_hf.sources.load import load_source
from esnera_hf.sources.options import ReadingOptions

COMMIT = "c" * 40
ROWS = Dataset.from_dict({"tokens": [["a", "b"]], "ner_tags": [["B-x", "O"]]})


@pytest.fixture(autouse=True)
def _no_corpora(monkeypatch, tmp_path):
    monkeypatch.delenv("ESNERA_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answer(monkeypatch):
    """Let the Hub answer, and return what it was asked."""

    def install(*answers):
        asked, queue = [], list(answers)

        def load(repo_id, config, *, data_files, revision):
            asked.append((repo_id, config, data_files, revision))
            found = queue.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        def ask(repo_id, options):
            files = dict(options.data_files) if options.data_files else None
            return LoadedFromHub(DatasetDict(), commit=COMMIT), options.config, files

        monkeypatch.setattr(hub, "load_dataset", load)
        monkeypatch.setattr(hub, "_ask", ask)
        return asked

    return install


def test_a_dataset_with_options(answer):
    asked = answer(DatasetDict({"train": ROWS, "validation": ROWS, "test": ROWS}))
    options = ReadingOptions(config="en", revision="v1", data_files={"train": "a.json"})
    source = load_source("owner/name", options=options)
    assert asked == [("owner/name", "en", {"train": "a.json"}, COMMIT)]
    assert (source.name, source.summary.sentences["train"]) == ("name", 1)
    answer(ROWS)
    assert load_source("mine=owner/name").name == "mine"


def test_cluener_as_on_the_hub(answer):
    entity = {
        "id": Value("int64"),
        "entity": Value("string"),
        "start_offset": Value("int64"),
        "end_offset": Value("int64"),
        "label": Value("string"),
    }
    features = Features({"text": Value("string"), "entities": List(entity)})
    found = [{"id": 0, "entity": "王五", "start_offset": 0, "end_offset": 2, "label": "name"}]
    rows = Dataset.from_list([{"text": "王五好", "entities": found}] * 2, features)
    bare = Dataset.from_list([{"text": "无人", "entities": []}], features)
    answer(DatasetDict({"train": rows, "validation": rows, "test": bare}))
    source = load_source("cluener")
    assert set(map(str, sentences_of(source))) == {"('王五好', [(0, 2, 'name')])"}
    assert source.notes[0] == "test carries no annotation: not loaded"
