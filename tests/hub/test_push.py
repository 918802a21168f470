"""A merged dataset goes to the Hub, whatever goes wrong on the way."""

from __future__ import annotations

import json
import os
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
from esnera_hf.report.call import CallFacts
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


def files(hub: HubServer, revision: str = "main") -> dict[str, bytes]:
    return hub.repo("dataset", REPO).files(revision)


def configurations(hub: HubServer) -> tuple[list[str], set[str]]:
    """Return the configurations that the README names, and those that hold data."""
    names = [config["config_name"] for config in metadata(hub)["configs"]]
    return names, {file.split("/")[1] for file in files(hub) if file.startswith("data/")}


def metadata(hub: HubServer) -> dict[str, Any]:
    return split_readme(files(hub)["README.md"].decode())[0]


class TestWhatIsPublished:
    def test_all_of_it_in_one_commit_and_nothing_the_second_time(self, hub, result):
        published = result.push_to_hub("merged", private=True)
        repo = hub.repo("dataset", REPO)
        data = [f"data/merged/{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]
        reports = ["flow.svg", "mapping.yaml", "report.html", "report.json", "similarity.json"]
        assert (repo.private, sorted(repo.files())) == (True, ["README.md", *data, "esnera.json", *reports])
        first, initial = repo.commits  # the Hub makes the initial one with the repository
        assert first.title == "Publish the merged dataset: 3 labels of 2 sources, 2 unified labels"
        assert (published.commit, initial.title) == (first.sha, "initial commit")
        assert str(published) == f"published: {hub.url}/datasets/{REPO} (commit {published.commit[:7]})"
        assert metadata(hub)["license"] == "cc-by-4.0"
        sent = len(hub.requests(method="PUT", origin="cdn"))
        second = result.push_to_hub(REPO)
        assert (second.changed, second.commit) == (False, first.sha)
        assert len(hub.requests(method="PUT", origin="cdn")) == sent > 0
        assert "holds all of it already" in str(second)

    def test_a_branch(self, hub, result):
        result.push_to_hub(REPO, revision="v2")
        assert ["mapping.yaml" in files(hub, revision) for revision in ("v2", "main")] == [True, False]

    def test_a_pull_request(self, hub, result):
        repo = hub.add_repo("dataset", "other/theirs", {"README.md": HAND_WRITTEN})
        published = result.push_to_hub("other/theirs", create_pr=True)
        assert published.pull_request == f"{hub.url}/datasets/other/theirs/discussions/1"
        assert "mapping.yaml" in repo.files("refs/pr/1")
        assert sorted(repo.files()) == ["README.md"]
        with pytest.raises(HubError, match="either create_pr or revision"):
            result.push_to_hub(REPO, create_pr=True, revision="v2")
        with pytest.raises(HubError, match="a pull request needs a repository"):
            result.push_to_hub("other/none", create_pr=True)

    def test_a_configuration_a_source(self, hub):
        result = make_result("data", "b c/d")
        result.push_to_hub(REPO, by_source=True)
        names, folders = configurations(hub)
        assert (names[0], set(names)) == ("merged", folders)
        assert folders == {"merged", "source_data", "b_c_d"}
        result.push_to_hub(REPO)
        assert configurations(hub) == (["merged"], {"merged"})

    def test_what_is_there_is_kept(self, hub, result):
        """Words of others, and files that are not ours, whatever a manifest claims."""
        theirs = {
            "files": ["precious.bin", ".gitattributes", "data/x.csv", "README.md"],
            "metadata": {"a": 5},
        }
        kept = {"precious.bin": b"1", "notes.txt": b"mine", "data/x.csv": b"a"}
        manifest = {"esnera.json": json.dumps(theirs)}
        hub.add_repo("dataset", REPO, {"README.md": HAND_WRITTEN, **kept, **manifest})
        result.push_to_hub(REPO)
        assert {name: files(hub)[name] for name in kept} == kept
        text = split_readme(files(hub)["README.md"].decode())[1]
        assert text.startswith(f"# My own words\n\nStay as they are.\n\n{START}\n")
        assert text.endswith(f"{END}\n")
        assert (metadata(hub)["license"], metadata(hub)["tags"][0]) == ("cc-by-4.0", "mine")

    @pytest.mark.parametrize(
        ("manifest", "problem"),
        [
            ("{", "found JSON that is damaged: Expecting property name"),
            ("[]", "expected dict"),
            ("[" * 5000 + "]" * 5000, "is damaged"),
            ('{"files": [], "metadata": {}, "files": ["data/x.csv"]}', "the key 'files' stands twice"),
            ('{"files": [], "metadata": {"a": NaN}}', "NaN is no finite number"),
            ('{"files": []}', "unknown or missing: metadata"),
            ('{"files": [], "metadata": {}, "delete": ["notes.txt"]}', "unknown or missing: delete"),
            ('{"files": "notes.txt", "metadata": {}}', "files='notes.txt': expected list"),
            ('{"files": [["notes.txt"]], "metadata": {}}', r"files\[0\]=\['notes.txt'\]: expected str"),
            ('{"files": [], "metadata": [1]}', r"metadata=\[1\]: expected dict"),
            ("\xff", "is no UTF-8 text"),
        ],
    )
    def test_a_manifest_that_makes_no_sense(self, hub, result, manifest, problem):
        content = {"esnera.json": manifest.encode("latin-1"), "notes.txt": b"mine"}
        hub.add_repo("dataset", REPO, content)
        with pytest.raises(HubError, match=rf"{REPO}: .*esnera\.json.*{problem}.* Nothing was published"):
            result.push_to_hub(REPO)
        assert files(hub) == content

    def test_beside_what_datasets_itself_published(self, hub, result):
        Dataset.from_dict({"text": ["a", "b"]}).push_to_hub(REPO)
        result.push_to_hub(REPO)
        assert load_dataset(REPO, split="train")["text"][:] == ["a", "b"]
        assert load_dataset(REPO, "merged", split="test").to_list() == result.dataset["test"].to_list()

    @pytest.mark.parametrize("revision", ["v1", "refs/pr/1", "", "0123456789" * 4])
    def test_what_is_no_branch(self, hub, result, revision):
        repo = hub.add_repo("dataset", REPO, {"README.md": HAND_WRITTEN})
        repo.tags["v1"] = repo.head
        with pytest.raises(HubError, match="is no branch that can be committed to"):
            result.push_to_hub(REPO, revision=revision)
        assert list(repo.branches) == ["main"]

    def test_nothing_is_made_if_the_files_cannot_be(self, hub, result, monkeypatch):
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
            (b"\xe9", r"its README\.md is no UTF-8 text\. Nothing was published\. Mend or delete it"),
            (b"---\nlanguage: 7\n---\nmine\n", "committing: the Hub refuses"),
        ],
    )
    def test_a_readme_that_cannot_be_read_is_not_overwritten(self, hub, result, readme, message):
        hub.add_repo("dataset", REPO, {"README.md": readme})
        with pytest.raises(HubError, match=message):
            result.push_to_hub(REPO)
        assert files(hub) == {"README.md": readme}

    def test_no_place_of_this_machine_and_no_token_is_in_any_file(self, hub, result):
        sources = ("/home/somebody/alpha", "beta=/home/somebody/b.txt", "somebody/c.txt", "me/d")
        settings = {"schema": {"locked": "/home/somebody/mapping.yaml"}}
        lang = "somebody/lang=zh/e"
        call = CallFacts("align", (*sources, lang), encoder="somebodys/tiny", settings=settings)
        places = ("somebody/c.txt", "somebodys/tiny", lang)
        shown = replace(result, report=replace(result.report, call=call, local_paths=places))
        shown.push_to_hub(REPO, token=hub.tokens["write"])
        assert [name for name, text in files(hub).items() if b"somebody" in text or b"secret" in text] == []
        report = json.loads(files(hub)["report.json"])
        assert report["call"]["sources"] == ["alpha", "beta", "c.txt", "me/d", "e"]
        assert report["call"]["encoder"] == "tiny"


class TestSavedForTheHub:
    @pytest.mark.parametrize("options", [{}, {"text": False}, {"by_source": True}], ids=str)
    def test_the_same_files_as_a_push(self, hub, result, options, tmp_path):
        result.push_to_hub(REPO, **options)
        result.save_for_hub(tmp_path / "out", repo_id=REPO, **options)
        written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
        contents = {file.relative_to(tmp_path / "out").as_posix(): file.read_bytes() for file in written}
        assert contents == files(hub)

    def test_by_the_command(self, result, tmp_path, capsys):
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


class TestTerms:
    def test_text_that_may_not_be_passed_on_is_not_sent(self, hub, tmp_path):
        result = make_result(licenses=("cc-by-nd-4.0", "unknown"))
        with pytest.raises(LicenseError, match=r"alpha: cc-by-nd-4\.0 forbids.*beta: no terms are known"):
            result.push_to_hub(REPO)
        with pytest.raises(LicenseError, match="beta: no terms are known"):
            result.push_to_hub(REPO, may_share=["alpha"])
        with pytest.raises(LicenseError):
            result.save_for_hub(tmp_path / "out")
        assert (hub.log, (tmp_path / "out").exists()) == ([], False)
        result.push_to_hub(REPO, may_share=["alpha", "beta"])
        assert (metadata(hub)["license"], metadata(hub)["license_name"]) == ("other", "terms-of-the-sources")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"may_share": ["typo"]}, "may_share names typo"),
            ({"by_source": True}, "by_source=True adds data"),
        ],
    )
    def test_a_wish_that_makes_no_sense(self, hub, result, options, message):
        with pytest.raises(ConfigurationError, match=message):
            result.push_to_hub(REPO, text=False, **options)

    @pytest.mark.parametrize("before", [False, True])
    def test_a_recipe_holds_no_text_and_takes_the_data_away(self, hub, before, capfd):
        """What such files hold of words is looked at in test_text_free."""
        result = make_result(licenses=("cc-by-nd-4.0", "unknown"))
        if before:
            result.push_to_hub(REPO, may_share=["alpha", "beta"])
        result.push_to_hub(REPO, text=False)
        assert "recipe.json" in files(hub)
        assert configurations(hub) == (["recipe"], set())
        assert "dataset_info" not in metadata(hub)
        assert ("text published before stays in the history" in capfd.readouterr().err) == before

    @pytest.mark.parametrize("by_source", [False, True])
    def test_no_text_is_claimed_beside_text_whose_origin_is_lost(self, hub, result, by_source):
        result.push_to_hub(REPO, by_source=by_source)
        hub.repo("dataset", REPO).commit({}, deleted=["esnera.json"])
        before = files(hub)
        with pytest.raises(HubError, match=r"lies where a push puts text, and no esnera\.json tells whose"):
            result.push_to_hub(REPO, text=False)
        assert files(hub) == before


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
    def test_who_may_not(self, hub, result, token, repo_id, message):
        with pytest.raises(HubError, match=message) as error:
            result.push_to_hub(repo_id, token=hub.tokens[token])
        assert "Nothing was" in str(error.value)
        assert "\n" not in str(error.value)
        assert not hub.requests("/preupload/")
        assert not hub.repos

    def test_an_organisation_and_a_fine_grained_token(self, hub, result):
        result.push_to_hub("acme/merged")
        result.push_to_hub(REPO, token=hub.tokens["fine"])
        assert {repo_id for _, repo_id in hub.repos} == {"acme/merged", REPO}

    def test_visibility_is_not_changed_behind_ones_back(self, hub, result):
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
            ({"path": "/repos/create", "status": 429}, "making the repository: the Hub asks to be called less"),
            ({"path": "/preupload/", "status": 503}, "committing: the Hub failed"),
            ({"method": "PUT", "drop_after": 1}, "committing: the connection broke"),
            ({"path": COMMIT, "method": "POST", "status": 412}, "committing: it was changed by another writer"),
            ({"path": COMMIT, "method": "POST", "status": 503, "after": True}, "committing: the Hub failed"),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_goes_wrong_is_explained_and_gone_on_with(self, hub, result, fault, message):
        hub.fail(times=-1, **fault)
        with pytest.raises(HubError) as error:
            result.push_to_hub(REPO)
        text = str(error.value)
        assert text.startswith(f"{REPO}: {message}")
        applied = "Either all of it was published or nothing: " in text
        assert ("Nothing was published." in text) != applied
        assert "run the same again: what has arrived is not sent again" in text
        assert not re.search("\n|hf_", text)
        hub.faults.clear()
        again = result.push_to_hub(REPO)
        assert len(hub.repo("dataset", REPO).commits) == 2
        assert again.changed != fault.get("after", False)
        arrived = [r.path for r in hub.requests(method="PUT", origin="cdn") if r.status == 200]
        assert len(arrived) == len(set(arrived)) > 0

    def test_a_pull_request_is_not_opened_twice(self, hub, result):
        hub.add_repo("dataset", REPO)
        hub.fail(COMMIT, status=500, after=True, method="POST")
        with pytest.raises(HubError, match=rf"Either .* nothing: .*{REPO}/discussions tells"):
            result.push_to_hub(REPO, create_pr=True)
        assert len(hub.requests(COMMIT, "POST")) == 1

    def test_another_writer_loses_nothing(self, hub, result, monkeypatch):
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
        text = files(hub)["README.md"].decode()
        assert "# Newer words" in text
        assert START in text

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("ENDPOINT", "http://127.0.0.1:9", r"the Hub cannot be reached\. Nothing was published\. Check the"),
            ("HF_HUB_OFFLINE", True, "HF_HUB_OFFLINE is set"),
            ("HF_TOKEN_PATH", "none", r"there is no token\. Nothing was published\. Log in with `hf auth login`"),
        ],
    )  # fmt: skip
    def test_no_network_and_no_token(self, hub, result, name, value, message):
        with patch.object(constants, name, value), patch.dict(os.environ):
            if name == "HF_TOKEN_PATH":
                del os.environ["HF_TOKEN"]
            with pytest.raises(HubError, match=message):
                result.push_to_hub(REPO)

    @pytest.mark.parametrize(
        ("target", "doubt"),
        [("whoami", "Nothing was published"), ("upload_folder", "Either all of it was published or nothing")],
    )
    def test_interrupted(self, hub, result, capfd, target, doubt):
        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with patch.object(HfApi, target, interrupt), pytest.raises(KeyboardInterrupt):
            result.push_to_hub(REPO)
        said = capfd.readouterr().err
        assert re.search(rf"{REPO}: interrupted while .*\. {doubt}", said)
        assert "what has arrived is not sent again" in said
        result.push_to_hub(REPO)
        assert len(hub.repo("dataset", REPO).commits) == 2
