"""A token of the Hub is handed to its clients and ends up in no file and no message, however it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import make_encoder, toy_rows
from hub_server import HubServer
from hub_server.client import client_environment

#: Aligns private corpora of the Hub, saves, publishes all that can be, reads it again, and fails in the end.
CODE = """
import sys
from pathlib import Path
import esnera_hf
from esnera_hf import MergeResult, Tagger, align, apply, load_source
from esnera_hf.errors import EsneraError
from esnera_hf.alignment.search import GreedySettings
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.settings import AlignSettings
from esnera_hf.taggers.settings import TaggerSettings

pytestmark = pytest.mark.slow

given = sys.stdin.readline().strip() or None
sources = [load_source("me/alpha", name="alpha"), load_source("me/beta", name="beta")]
settings = AlignSettings(
    taggers=TaggerSettings(training={"num_train_epochs": 1}),
    greedy=GreedySettings(lam=0.4, tau=0.4),
    output=OutputSettings(train_merged=True),
)
result = align(sources, encoder="me/encoder", method="greedy", settings=settings)
result.save("merged")
Path("card.md").write_text(str(MergeResult.load("merged").card("me/merged", may_share=["alpha", "beta"])))
print(result.push_to_hub("me/merged", token=given, may_share=["alpha", "beta"], private=True))
print(result.push_to_hub("me/recipe", token=given, text=False))
print(result.load_tagger().push_to_hub("me/tagger", token=given, private=True))
tagger = Tagger.from_pretrained("me/tagger", token=given)
tagger.save_pretrained("tagger")
print(apply("me/recipe", ["alpha=alpha", "beta=beta"]).comparison)
for name in ("me/refused", "stranger/merged"):
    try:
        result.push_to_hub(name, token=given, may_share=["alpha", "beta"])
    except EsneraError as error:
        print(error)
        print(error, file=sys.stderr)
print("done", esnera_hf.__version__)
"""


CORPORA = {
    "alpha": {"PERSON": "per", "PLACE": "loc"},
    "beta": {"PERSON": "name", "PLACE": "city"},
}


@dataclass(frozen=True)
class Outcome:
    """What a run left behind."""

    folder: Path
    printed: str
    hub: HubServer
    token: str
    stored: Path | None

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield every name and content that could hold the token, but for the file a user keeps it in."""
        yield "what was printed", self.printed.encode()
        for path in sorted(self.folder.rglob("*")):
            yield str(path), str(path).encode()
            if path.is_file() and path != self.stored:
                yield str(path), path.read_bytes()
        for repo in self.hub.repos.values():
            for commit in repo.commits:
                yield f"{repo.repo_id}: a commit", commit.title.encode()
                yield from repo.files(commit.sha).items()


def write_corpus(folder: Path, names: dict[str, str], seed: int) -> dict[str, bytes | str]:
    """Write a corpus in columns, and return it as the files of a dataset repository."""
    folder.mkdir()
    files: dict[str, bytes | str] = {}
    for offset, (split, sentences) in enumerate({"train": 60, "validation": 20, "test": 20}.items()):
        rows = toy_rows(names, sentences, seed + offset)
        blocks = ["\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows]
        (folder / f"{split}.txt").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        records = [json.dumps({"tokens": tokens, "ner_tags": tags}) for tokens, tags in rows]
        files[f"{split}.jsonl"] = "\n".join(records) + "\n"
    return files


def add_repositories(hub: HubServer, folder: Path, *, private: bool) -> None:
    """Put two corpora and an encoder on the Hub, and copies of the corpora beside it."""
    for seed, (name, labels) in enumerate(CORPORA.items()):
        hub.add_repo("dataset", f"me/{name}", write_corpus(folder / name, labels, 10 * seed), private=private)
    make_encoder(folder / "encoder")
    files: dict[str, bytes | str] = {path.name: path.read_bytes() for path in (folder / "encoder").iterdir()}
    hub.add_repo("model", "me/encoder", files, private=private)


WAYS = ("argument", "variable", "file")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """What runs leave whose token was given as an argument, in a variable or by logging in; they run side by side."""
    with ExitStack() as stack, ThreadPoolExecutor(len(WAYS)) as pool:
        started = {}
        for way in WAYS:
            folder, hub = tmp_path_factory.mktemp(way), stack.enter_context(HubServer())
            # Sources and encoders are read by whoever is logged in; there is no argument for it.
            add_repositories(hub, folder, private=way != "argument")
            started[way] = pool.submit(run, way, folder, hub)
        yield {way: outcome.result() for way, outcome in started.items()}


def run(way: str, folder: Path, hub: HubServer) -> Outcome:
    (folder / "tmp").mkdir()
    token = hub.tokens["write"]
    refusal = {"X-Error-Message": f"{token} may not write here"}
    hub.fail("me/refused/commit", status=403, headers=refusal, times=-1)
    stored = folder / "hf" / "token"
    if way == "file":
        stored.parent.mkdir()
        stored.write_text(token)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=client_environment(
            hub.url,
            folder,
            token=token if way == "variable" else None,
            env={"TMPDIR": str(folder / "tmp")},
        ),
        cwd=folder,
        input=f"{token}\n" if way == "argument" else "\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Outcome(folder, done.stdout + done.stderr, hub, token, stored if way == "file" else None)


@pytest.fixture(params=WAYS)
def outcome(request: pytest.FixtureRequest, runs: dict[str, Outcome]) -> Outcome:
    """One of them."""
    return runs[request.param]


def test_everything_was_written_and_published(outcome: Outcome) -> None:
    assert {"merged", "tagger", "card.md", "esnera", "hf"} <= {path.name for path in outcome.folder.iterdir()}
    published = {repo.repo_id for repo in outcome.hub.repos.values() if len(repo.commits) > 1 or repo.files()}
    assert {"me/merged", "me/recipe", "me/tagger"} <= published
    assert outcome.printed.count("hf_… may not write here") == 2
    assert outcome.printed.count("is neither you nor an organisation of yours") == 2
    pushed = [
        request.user
        for request in outcome.hub.log
        if request.path.startswith("/api/models/me/tagger/commit/")
    ]
    assert pushed == ["me"]


def test_the_token_is_nowhere(outcome: Outcome) -> None:
    found = [name for name, content in outcome.places() if outcome.token.encode() in content]
    assert found == []


def test_a_token_would_be_found(outcome: Outcome) -> None:
    (outcome.folder / "hf" / "left").write_text(f"Bearer {outcome.token}")
    try:
        found = [name for name, content in outcome.places() if outcome.token.encode() in content]
    finally:
        (outcome.folder / "hf" / "left").unlink()
    assert found == [str(outcome.folder / "hf" / "left")]
