"""A token of the Hub is handed to its clients and ends up in no file and no message, however it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import make_encoder, toy_rows, write_corpus
from hub_server import HubServer, client_environment

pytestmark = pytest.mark.slow

#: Aligns private corpora of the Hub, saves, publishes all that can be, reads it again, and fails in the end.
CODE = """
import sys
from pathlib import Path
from esnera_hf import AlignSettings, GreedySettings, MergeResult, OutputSettings, Tagger, TaggerSettings
from esnera_hf import EsneraError, align, apply, load_source

token = sys.stdin.readline().strip() or None
sources = [load_source("me/alpha", name="alpha"), load_source("me/beta", name="beta")]
settings = AlignSettings(
    taggers=TaggerSettings(training={"num_train_epochs": 1}),
    greedy=GreedySettings(0.4, 0.4),
    output=OutputSettings(train_merged=True),
)
result = align(sources, encoder="me/encoder", method="greedy", settings=settings)
result.save("merged")
Path("card.md").write_text(str(MergeResult.load("merged").card("me/merged", may_share=["alpha", "beta"])))
print(result.push_to_hub("me/merged", token=token, may_share=["alpha", "beta"], private=True))
print(result.push_to_hub("me/recipe", token=token, text=False))
print(result.load_tagger().push_to_hub("me/tagger", token=token, private=True))
Tagger.from_pretrained("me/tagger", token=token).save_pretrained("tagger")
print(apply("me/recipe", ["alpha=alpha", "beta=beta"]))
for name in ("me/refused", "stranger/merged"):
    try:
        result.push_to_hub(name, token=token, may_share=["alpha", "beta"])
    except EsneraError as error:
        print(error)
        print(error, file=sys.stderr)
"""
CORPORA = {"alpha": {"PERSON": "per", "PLACE": "loc"}, "beta": {"PERSON": "name", "PLACE": "city"}}


def add_repositories(hub: HubServer, folder: Path, *, private: bool) -> None:
    """Put two corpora and an encoder on the Hub, and copies of the corpora beside it."""
    for seed, (name, labels) in enumerate(CORPORA.items()):
        write_corpus(folder / name, labels, 10 * seed, train=60, rest=20)
        files: dict[str, bytes | str] = {}
        for offset, (split, size) in enumerate({"train": 60, "validation": 20, "test": 20}.items()):
            rows = toy_rows(labels, size, 10 * seed + offset)
            records = [json.dumps({"tokens": tokens, "ner_tags": tags}) for tokens, tags in rows]
            files[f"{split}.jsonl"] = "\n".join(records) + "\n"
        hub.add_repo("dataset", f"me/{name}", files, private=private)
    make_encoder(folder / "encoder")
    weights = {path.name: path.read_bytes() for path in (folder / "encoder").iterdir()}
    hub.add_repo("model", "me/encoder", weights, private=private)


def written(hub: HubServer, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of everything that a run left behind."""
    for path in sorted(folder.rglob("*")):
        yield str(path), str(path).encode() + (path.read_bytes() if path.is_file() else b"")
    for repo in hub.repos.values():
        for commit in repo.commits:
            yield f"{repo.repo_id}: a commit", commit.title.encode()
            yield from repo.files(commit.sha).items()


@pytest.mark.parametrize("way", ["argument", "variable", "file"])
def test_the_token_is_nowhere(way: str, tmp_path: Path) -> None:
    with HubServer() as hub:
        # Sources and encoders are read by whoever is logged in; there is no argument for it.
        add_repositories(hub, tmp_path, private=way != "argument")
        token = hub.tokens["write"]
        hub.fail("me/refused/commit", status=403, headers={"X-Error-Message": f"{token} may not"}, times=-1)
        stored = tmp_path / "hf" / "token"
        if way == "file":
            stored.parent.mkdir()
            stored.write_text(token)
        (tmp_path / "tmp").mkdir()
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            env=client_environment(
                hub.url,
                tmp_path,
                token=token if way == "variable" else None,
                env={"TMPDIR": str(tmp_path / "tmp")},
            ),
            cwd=tmp_path,
            input=f"{token}\n" if way == "argument" else "\n",
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        assert {"merged", "tagger", "card.md", "esnera"} <= {path.name for path in tmp_path.iterdir()}
        assert {"me/merged", "me/recipe", "me/tagger"} <= {name for _, name in hub.repos}
        assert printed.count("hf_… may not") == 2
        assert printed.count("is neither you nor an organisation of yours") == 2
        assert token not in printed
        stored.unlink(missing_ok=True)
        assert [name for name, content in written(hub, tmp_path) if token.encode() in content] == []
        # A token that is left somewhere would be found.
        (tmp_path / "hf" / "left").write_text(f"Bearer {token}")
        assert [name for name, content in written(hub, tmp_path) if token.encode() in content] == [
            str(tmp_path / "hf" / "left")
        ]
