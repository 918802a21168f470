"""A merged dataset goes to the Hub, whatever goes wrong on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi, constants

from esnera_hf import MergeResult
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, HubError, LicenseError
from esnera_hf.hub.readme import END, START, split_readme
from esnera_hf.report.report import CallFacts
from hub_server import HubServer, clients_inside
from results import make_result

REPO = "me/merged"
COMMIT = r"/commit/main"
HAND_WRITTEN = "---\nlicense: mit\ntags:\n- mine\n---\n# My own words\n\nStay as they are.\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A Hub for the clients of this process, in which ``me`` is logged in."""
    with HubServer() as server, clients_inside(server, tmp_path, token=server.tokens["write"]):
        yield server
        assert server.unexpected == []


@pytest.fixture(scope="module")
def result() -> MergeResult:
    return make_result()


def metadata(server: HubServer, revision: str = "main") -> dict[str, Any]:
    readme = server.repo("dataset", REPO).files(revision)["README.md"].decode()
    return split_readme(readme)[0]


def data_sent(server: HubServer) -> int:
    """Return how many objects were sent to the storage."""
    return len(server.requests(method="PUT", origin="cdn"))


def commits(server: HubServer, repo_id: str = REPO) -> list[str]:
    return [commit.title for commit in server.repo("dataset", repo_id).commits]


class TestWhatIsPublished:
    def test_all_of_it_in_one_commit(self, hub: HubServer, result: MergeResult) -> None:
        published = result.push_to_hub("merged", private=True)
        repo = hub.repo("dataset", REPO)
        assert repo.private
        assert sorted(repo.files()) == [
            "README.md",
            "data/merged/test-00000-of-00001.parquet",
            "data/merged/train-00000-of-00001.parquet",
            "data/merged/validation-00000-of-00001.parquet",
            "esnera.json",
            "flow.svg",
            "mapping.yaml",
            "report.html",
            "report.json",
            "similarity.json",
        ]
        assert commits(hub)[0] == "Publish the merged dataset: 3 labels of 2 sources, 2 unified labels"
        assert len(commits(hub)) == 2  # the Hub makes the first when it makes the repository
        assert published.commit == repo.commits[0].sha
        assert str(published) == f"published: {hub.url}/datasets/{REPO} (commit {published.commit[:7]})"
        assert metadata(hub)["license"] == "cc-by-4.0"

    def test_a_second_time_there_is_nothing_to_do(self, hub: HubServer, result: MergeResult) -> None:
        first = result.push_to_hub(REPO)
        sent = data_sent(hub)
        second = result.push_to_hub(REPO)
        assert (second.changed, second.commit) == (False, first.commit)
        assert data_sent(hub) == sent > 0
        assert "holds all of it already" in str(second)

    def test_a_branch(self, hub: HubServer, result: MergeResult) -> None:
        result.push_to_hub(REPO, revision="v2")
        repo = hub.repo("dataset", REPO)
        assert "mapping.yaml" in repo.files("v2")
        assert "mapping.yaml" not in repo.files("main")

    def test_a_pull_request(
        self, hub: HubServer, result: MergeResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_repo("dataset", "other/theirs", {"README.md": HAND_WRITTEN})
        published = result.push_to_hub("other/theirs", create_pr=True)
        assert published.pull_request == f"{hub.url}/datasets/other/theirs/discussions/1"
        repo = hub.repo("dataset", "other/theirs")
        assert "mapping.yaml" in repo.files("refs/pr/1")
        assert sorted(repo.files()) == ["README.md"]
        with pytest.raises(HubError, match="either create_pr or revision"):
            result.push_to_hub(REPO, create_pr=True, revision="v2")
        with pytest.raises(HubError, match="a pull request needs a repository"):
            result.push_to_hub("other/none", create_pr=True)

    def test_a_configuration_a_source(self, hub: HubServer) -> None:
        result = make_result("data", "b c/d")
        result.push_to_hub(REPO, by_source=True)
        files = hub.repo("dataset", REPO).files()
        folders = {file.split("/")[1] for file in files if file.startswith("data/")}
        assert folders == {"merged", "source_data", "b_c_d"}
        names = [config["config_name"] for config in metadata(hub)["configs"]]
        assert names[0] == "merged"
        assert sorted(names) == ["b_c_d", "merged", "source_data"]
        result.push_to_hub(REPO)
        files = hub.repo("dataset", REPO).files()
        assert {file.split("/")[1] for file in files if file.startswith("data/")} == {"merged"}
        assert [config["config_name"] for config in metadata(hub)["configs"]] == ["merged"]

    def test_a_hand_written_readme_is_kept(self, hub: HubServer, result: MergeResult) -> None:
        hub.add_repo("dataset", REPO, {"README.md": HAND_WRITTEN, "notes.txt": "mine", "data/other.csv": "a"})
        result.push_to_hub(REPO)
        files = hub.repo("dataset", REPO).files()
        assert files["notes.txt"] == b"mine"
        assert files["data/other.csv"] == b"a"
        text = split_readme(files["README.md"].decode())[1]
        assert text.startswith(f"# My own words\n\nStay as they are.\n\n{START}\n")
        assert text.endswith(f"{END}\n")
        assert metadata(hub)["license"] == "cc-by-4.0"
        assert metadata(hub)["tags"][0] == "mine"

    def test_files_that_are_not_ours_are_never_deleted(self, hub: HubServer, result: MergeResult) -> None:
        theirs = {"files": ["precious.bin", ".gitattributes", "data/x.csv", "README.md"], "configs": 5}
        repo = hub.add_repo("dataset", REPO)
        repo.commit({"esnera.json": json.dumps(theirs), "precious.bin": "1", "data/x.csv": "a"})
        result.push_to_hub(REPO)
        assert {"precious.bin", "data/x.csv"} <= set(hub.repo("dataset", REPO).files())

    @pytest.mark.parametrize("by_source", [False, True])
    def test_no_text_is_claimed_beside_text_whose_origin_is_lost(
        self, hub: HubServer, result: MergeResult, by_source: bool
    ) -> None:
        result.push_to_hub(REPO, by_source=by_source)
        hub.repo("dataset", REPO).commit({}, deleted=["esnera.json"])
        before = hub.repo("dataset", REPO).files()
        with pytest.raises(HubError, match=r"lies where a push puts text, and no esnera\.json tells whose"):
            result.push_to_hub(REPO, text=False)
        assert hub.repo("dataset", REPO).files() == before

    def test_beside_what_datasets_itself_published(self, hub: HubServer, result: MergeResult) -> None:
        Dataset.from_dict({"text": ["a", "b"]}).push_to_hub(REPO)
        result.push_to_hub(REPO)
        assert load_dataset(REPO, split="train")["text"][:] == ["a", "b"]
        assert load_dataset(REPO, "merged", split="test").to_list() == result.dataset["test"].to_list()

    @pytest.mark.parametrize("revision", ["v1", "refs/pr/1", "", "0123456789" * 4])
    def test_what_is_no_branch(self, hub: HubServer, result: MergeResult, revision: str) -> None:
        repo = hub.add_repo("dataset", REPO, {"README.md": HAND_WRITTEN})
        repo.tags["v1"] = repo.head
        with pytest.raises(HubError, match="is no branch that can be committed to"):
            result.push_to_hub(REPO, revision=revision)
        assert list(repo.branches) == ["main"]

    def test_nothing_is_made_if_the_files_cannot_be(
        self, hub: HubServer, result: MergeResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("esnera_hf.hub.push.write_report", fail)
        with pytest.raises(OSError, match="disk full"):
            result.push_to_hub(REPO)
        assert hub.repos == {}

    @pytest.mark.parametrize(
        ("readme", "message"),
        [
            (b"---\na: [1\n---\nmine\n", r"its README\.md has metadata that is no YAML"),
            (
                "é".encode("latin-1"),
                r"its README\.md is no UTF-8 text\. Nothing was published\. Mend or delete it",
            ),
        ],
    )
    def test_a_readme_that_cannot_be_read_is_not_overwritten(
        self, hub: HubServer, result: MergeResult, readme: bytes, message: str
    ) -> None:
        hub.add_repo("dataset", REPO, {"README.md": readme})
        with pytest.raises(HubError, match=message):
            result.push_to_hub(REPO)
        assert hub.repo("dataset", REPO).files() == {"README.md": readme}

    def test_no_place_of_this_machine_and_no_token_is_in_any_file(
        self, hub: HubServer, result: MergeResult
    ) -> None:
        sources = (
            *("/home/somebody/alpha", "beta=/home/somebody/b.txt", "somebody/c.txt", "me/d"),
            "somebody/lang=zh/e",
        )
        settings = {"schema": {"locked": "/home/somebody/mapping.yaml"}}
        call = CallFacts("align", sources, encoder="somebodys/tiny", settings=settings)
        places = ("somebody/c.txt", "somebodys/tiny", "somebody/lang=zh/e")
        shown = replace(result, report=replace(result.report, call=call, local_paths=places))
        shown.push_to_hub(REPO, token=hub.tokens["write"])
        for name, content in hub.repo("dataset", REPO).files().items():
            assert b"somebody" not in content, name
            assert b"secret" not in content, name
        report = json.loads(hub.repo("dataset", REPO).files()["report.json"])
        assert report["call"]["sources"] == ["alpha", "beta", "c.txt", "me/d", "e"]
        assert report["call"]["encoder"] == "tiny"


class TestSavedForTheHub:
    @pytest.mark.parametrize("options", [{}, {"text": False}, {"by_source": True}], ids=str)
    def test_the_same_files_as_a_push(
        self, hub: HubServer, result: MergeResult, options: dict[str, bool], tmp_path: Path
    ) -> None:
        result.push_to_hub(REPO, **options)  # type: ignore[arg-type]
        result.save_for_hub(tmp_path / "out", repo_id=REPO, **options)  # type: ignore[arg-type]
        files = {
            file.relative_to(tmp_path / "out").as_posix(): file.read_bytes()
            for file in (tmp_path / "out").rglob("*")
            if file.is_file()
        }
        assert files == hub.repo("dataset", REPO).files()

    def test_by_the_command(
        self, result: MergeResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        result.save(tmp_path / "merged")
        folder = tmp_path / "look"
        push = ["push", str(tmp_path / "merged"), "--no-text", "--to-folder", str(folder)]
        assert main(push) == 0
        assert capsys.readouterr().out == f"written to {folder}, nothing was published\n"
        assert "look" in (folder / "README.md").read_text()
        for command, message in (
            (push, "exists already; nothing was written"),
            (push[:2], "expected REPO, owner/name on the Hub. Or write the files with --to-folder"),
            ([*push, "--pr", "--private"], "--private or --public, --pr: --to-folder calls no Hub"),
        ):
            assert main(command) == 1
            assert message in capsys.readouterr().err

    def test_terms_are_heeded(self, tmp_path: Path) -> None:
        with pytest.raises(LicenseError):
            make_result(licenses=("unknown", "mit")).save_for_hub(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestTerms:
    def test_text_that_may_not_be_passed_on_is_not_sent(self, hub: HubServer) -> None:
        result = make_result(licenses=("cc-by-nd-4.0", "unknown"))
        with pytest.raises(LicenseError, match=r"alpha: cc-by-nd-4\.0 forbids.*beta: no terms are known"):
            result.push_to_hub(REPO)
        with pytest.raises(LicenseError, match="beta: no terms are known"):
            result.push_to_hub(REPO, may_share=["alpha"])
        assert hub.log == []
        result.push_to_hub(REPO, may_share=["alpha", "beta"])
        assert (metadata(hub)["license"], metadata(hub)["license_name"]) == ("other", "terms-of-the-sources")

    def test_a_recipe_holds_no_text(self, hub: HubServer) -> None:
        result = make_result(licenses=("cc-by-nd-4.0", "unknown"))
        result.push_to_hub(REPO, text=False)
        files = hub.repo("dataset", REPO).files()
        assert "recipe.json" in files
        assert not [name for name in files if name.startswith("data/")]
        for name, content in files.items():
            for word in (b"oslo", b"in-train", b"anna", b"lima"):
                assert word not in content, name
        assert [config["config_name"] for config in metadata(hub)["configs"]] == ["recipe"]
        assert "dataset_info" not in metadata(hub)

    def test_a_wish_that_makes_no_sense(self, hub: HubServer, result: MergeResult) -> None:
        with pytest.raises(ConfigurationError, match="may_share names typo"):
            result.push_to_hub(REPO, text=False, may_share=["typo"])
        with pytest.raises(ConfigurationError, match="by_source=True adds data"):
            result.push_to_hub(REPO, text=False, by_source=True)

    def test_a_recipe_takes_the_data_away_and_says_what_stays(
        self, hub: HubServer, result: MergeResult, capfd: pytest.CaptureFixture[str]
    ) -> None:
        result.push_to_hub(REPO)
        result.push_to_hub(REPO, text=False)
        files = hub.repo("dataset", REPO).files()
        assert not [name for name in files if name.startswith("data/")]
        assert "text published before stays in the history" in capfd.readouterr().err


class TestRights:
    @pytest.mark.parametrize(
        ("token", "repo_id", "message"),
        [
            ("invalid", REPO, "the Hub does not accept the token"),
            ("read", REPO, "the token of me can only read"),
            ("write", "nobody/merged", "'nobody' is neither you nor an organisation of yours"),
            ("write", "other/merged", r"may publish under me, acme, lab\. Nothing was sent"),
            ("fine", "acme/merged", "the token has no right to do this"),
            ("write", "lab/merged", "the token has no right to do this"),
            ("write", "me/..merged", "expected|must|Repo id|refuses"),
        ],
    )
    def test_who_may_not(
        self, hub: HubServer, result: MergeResult, token: str, repo_id: str, message: str
    ) -> None:
        with pytest.raises(HubError, match=message) as error:
            result.push_to_hub(repo_id, token=hub.tokens[token])
        assert "Nothing was" in str(error.value)
        assert "\n" not in str(error.value)
        assert not hub.requests("/preupload/")
        assert not hub.repos

    def test_no_token(
        self, hub: HubServer, result: MergeResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
        with pytest.raises(
            HubError, match=r"there is no token\. Nothing was published\. Log in with `hf auth login`"
        ):
            result.push_to_hub(REPO)

    def test_an_organisation_and_a_fine_grained_token(self, hub: HubServer, result: MergeResult) -> None:
        result.push_to_hub("acme/merged")
        result.push_to_hub(REPO, token=hub.tokens["fine"])
        assert {repo_id for _, repo_id in hub.repos} == {"acme/merged", REPO}

    def test_visibility_is_not_changed_behind_ones_back(self, hub: HubServer, result: MergeResult) -> None:
        hub.add_repo("dataset", REPO)
        with pytest.raises(HubError, match=r"exists and is public; private was asked for\. Nothing was sent"):
            result.push_to_hub(REPO, private=True)
        assert not hub.requests("/preupload/")


class TestFaults:
    """Each is explained; then the same call finishes and sends nothing again."""

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ({"path": "/whoami", "status": 503}, "asking who you are: the Hub failed"),
            ({"path": "/repos/create", "status": 403}, "making the repository: the token has no right"),
            (
                {"path": "/repos/create", "status": 429},
                "making the repository: the Hub asks to be called less",
            ),
            ({"path": "/preupload/", "status": 503}, "committing: the Hub failed"),
            ({"method": "PUT", "status": 500}, "committing: the Hub failed"),
            ({"method": "PUT", "drop_after": 1}, "committing: the connection broke"),
            (
                {"path": COMMIT, "method": "POST", "status": 412},
                "committing: it was changed by another writer",
            ),
            ({"path": COMMIT, "method": "POST", "status": 429}, "committing: the Hub asks to be called less"),
            ({"path": COMMIT, "method": "POST", "status": 503, "after": True}, "committing: the Hub failed"),
        ],
        ids=str,
    )
    def test_what_goes_wrong_is_explained_and_gone_on_with(
        self, hub: HubServer, result: MergeResult, fault: dict[str, Any], message: str
    ) -> None:
        hub.fail(times=-1, **fault)
        with pytest.raises(HubError) as error:
            result.push_to_hub(REPO)
        text = str(error.value)
        assert text.startswith(f"{REPO}: {message}")
        applied = "Either all of it was published or nothing: " in text
        assert ("Nothing was published." in text) != applied
        assert "run the same again: what has arrived is not sent again" in text
        assert "\n" not in text
        assert "hf_" not in text
        hub.faults.clear()
        again = result.push_to_hub(REPO)
        assert len(commits(hub)) == 2
        assert again.changed != fault.get("after", False)
        arrived = [r.path for r in hub.requests(method="PUT", origin="cdn") if r.status == 200]
        assert len(arrived) == len(set(arrived)) > 0

    def test_a_pull_request_is_not_opened_twice(self, hub: HubServer, result: MergeResult) -> None:
        hub.add_repo("dataset", REPO)
        hub.fail(COMMIT, status=500, after=True, method="POST")
        with pytest.raises(HubError, match=rf"Either .* nothing: .*{REPO}/discussions tells"):
            result.push_to_hub(REPO, create_pr=True)
        assert len(hub.requests(COMMIT, "POST")) == 1

    def test_another_writer_loses_nothing(
        self, hub: HubServer, result: MergeResult, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody edits the README between our reading it and our commit."""
        repo = hub.add_repo("dataset", REPO, {"README.md": HAND_WRITTEN})
        upload = HfApi.upload_folder
        edits = iter([HAND_WRITTEN.replace("My own words", "Newer words")])

        def raced(self: HfApi, **options: Any) -> Any:
            for edit in edits:
                repo.commit({"README.md": edit})
            return upload(self, **options)

        monkeypatch.setattr(HfApi, "upload_folder", raced)
        with pytest.raises(HubError, match=r"changed by another writer .* Nothing was published"):
            result.push_to_hub(REPO)
        result.push_to_hub(REPO)
        text = hub.repo("dataset", REPO).files()["README.md"].decode()
        assert "# Newer words" in text
        assert START in text

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            (
                "ENDPOINT",
                "http://127.0.0.1:9",
                r"cannot be reached\. Nothing was published\. Check the connection",
            ),
            ("HF_HUB_OFFLINE", True, "HF_HUB_OFFLINE is set"),
        ],
    )
    def test_no_network(
        self, hub: HubServer, result: MergeResult, name: str, value: object, message: str
    ) -> None:
        with patch.object(constants, name, value), pytest.raises(HubError, match=message):
            result.push_to_hub(REPO)

    def test_metadata_the_hub_refuses(self, hub: HubServer, result: MergeResult) -> None:
        hub.add_repo("dataset", REPO).commit({"README.md": "---\nlanguage: 7\n---\nmine\n"})
        with pytest.raises(HubError, match="committing: the Hub refuses"):
            result.push_to_hub(REPO)
        assert "mapping.yaml" not in hub.repo("dataset", REPO).files()

    @pytest.mark.parametrize(
        ("target", "doubt"),
        [
            ("huggingface_hub.HfApi.whoami", "Nothing was published"),
            ("huggingface_hub.HfApi.upload_folder", "Either all of it was published or nothing"),
        ],
    )
    def test_interrupted(
        self,
        hub: HubServer,
        result: MergeResult,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        target: str,
        doubt: str,
    ) -> None:
        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(target, interrupt)
            with pytest.raises(KeyboardInterrupt):
                result.push_to_hub(REPO)
        said = capfd.readouterr().err
        assert re.search(rf"{REPO}: interrupted while .*\. {doubt}", said)
        assert "what has arrived is not sent again" in said
        result.push_to_hub(REPO)
        assert len(commits(hub)) == 2
