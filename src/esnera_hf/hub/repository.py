"""One repository of the Hub: what is checked before a push, one commit of a folder, and files fetched from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError

from esnera_hf._internal.checks import from_plain
from esnera_hf._internal.console import quiet_libraries, say
from esnera_hf._internal.hub_errors import explained
from esnera_hf._internal.json import parse_json
from esnera_hf.errors import ConfigurationError, HubError
from esnera_hf.hub.readme import join_readme

RepoKind = Literal["dataset", "model"]

README = "README.md"
#: What a push writes, for the next one: the files and the README's metadata.
MANIFEST = "esnera.json"

_TEXT = re.compile(r"data/\w+/(?:train|validation|test)-\d{5}-of-\d{5}\.parquet", re.ASCII)
#: No other file is ever deleted, whatever a manifest lists: anybody may have edited it.
_OURS = re.compile(
    _TEXT.pattern + r"|recipe\.json|recipe/(?:train|validation|test)\.parquet|flow\.svg|mapping\.yaml"
    r"|report\.json|report\.html|similarity\.json|atlas\.json|index\.html|bundles/[0-9]{4}\.evidence",
    re.ASCII,
)
#: References and hashes of commits: the Hub commits to names of branches alone.
_NO_BRANCH = re.compile(r"\Z|refs/|[0-9a-f]{40}\Z")
_AGAIN = "run the same again: what has arrived is not sent again"


@dataclass(frozen=True)
class Published:
    """Where it was published; ``pull_request`` is its address, ``changed`` whether there was anything to change."""

    repo_id: str
    url: str
    commit: str
    commit_url: str
    pull_request: str = ""
    changed: bool = True

    def __str__(self) -> str:
        if self.pull_request:
            return f"opened a pull request: {self.pull_request}"
        if not self.changed:
            return f"{self.url} holds all of it already (commit {self.commit[:7]})"
        return f"published: {self.url} (commit {self.commit[:7]})"


class HubRepository:
    """A repository to publish to; the arguments are those of ``push_to_hub``.

    Raises:
        HubError: a branch and a pull request are asked for at once.
    """

    def __init__(
        self,
        repo_id: str,
        kind: RepoKind,
        *,
        token: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> None:
        if create_pr and revision not in (None, "main"):
            raise HubError(
                f"{repo_id}: a pull request goes to main: expected either create_pr or revision, not both."
            )
        self.repo_id = repo_id
        self.kind = kind
        self.revision = revision
        self.create_pr = create_pr
        self._api = HfApi(token=token)
        self._missing = False
        self._private: bool | None = None

    @property
    def url(self) -> str:
        """Where people look at it."""
        folder = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{self._api.endpoint}/{folder}{self.repo_id}"

    def prepare(self, private: bool | None = None) -> None:
        """Check that it may be written to, before the hours that a result takes; nothing is made or changed yet.

        Raises:
            HubError: no token, or one without the right; no such owner; it is there and not private though
                ``private`` asks for it, or the reverse; the revision is no branch.
        """
        with self._explained("asking who you are"):
            user = self._api.whoami(cache=True)  # whoami has a low rate limit of its own
        if "/" not in self.repo_id:
            self.repo_id = f"{user['name']}/{self.repo_id}"
        with self._explained("looking at the repository"):
            try:
                info = self._api.repo_info(self.repo_id, repo_type=self.kind)
            except RepositoryNotFoundError:
                info = None
        self._missing, self._private = info is None, private
        if info is not None and private is not None and bool(info.private) != private:
            wanted, actual = ("private", "public") if private else ("public", "private")
            raise HubError(
                f"{self.repo_id} exists and is {actual}; {wanted} was asked for. Nothing was sent. Change its "
                f"visibility in its settings ({self.url}/settings), or choose another name."
            )
        if self.create_pr:
            # Whoever may read may propose: rights of writing are not asked for.
            if info is None:
                raise HubError(
                    f"{self.repo_id}: a pull request needs a repository, and you may see none. Check the name, and "
                    "that your token may see it."
                )
            return
        self._check_rights(user)
        tags: list[str] = []
        if self.revision is not None and info is not None:
            with self._explained("looking at its branches"):
                refs = self._api.list_repo_refs(self.repo_id, repo_type=self.kind)
            tags = [tag.name for tag in refs.tags]
        if self.revision is not None and (_NO_BRANCH.match(self.revision) or self.revision in tags):
            raise HubError(
                f"{self.repo_id}: revision={self.revision!r} is no branch that can be committed to. Nothing was "
                "sent. Give the name of a branch, new or there already, or leave it out."
            )

    def _check_rights(self, user: Mapping[str, Any]) -> None:
        owner = self.repo_id.partition("/")[0]
        role = user.get("auth", {}).get("accessToken", {}).get("role")
        if role == "read":
            raise HubError(
                f"{self.repo_id}: the token of {user['name']} can only read. Nothing was sent. "
                "Make a token with write access in your settings on the Hub, log in with it, run the same again."
            )
        owners = [user["name"], *(org["name"] for org in user.get("orgs", ()))]
        if owner.lower() not in [name.lower() for name in owners]:
            raise HubError(
                f"{self.repo_id}: {owner!r} is neither you nor an organisation of yours; you may publish under "
                f"{', '.join(owners)}. Nothing was sent. Correct the name, or use create_pr (--pr) to propose "
                "it to the owner of an existing repository."
            )

    def publish(self, folder: Path, message: str) -> Published:
        """Make the files of a folder, ``README.md`` and the manifest among them, appear in one commit.

        The README that is there keeps its own metadata and text; files that the manifest of an earlier push lists and
        this one does not write go; all else stays.

        Raises:
            HubError: the Hub refuses it or cannot be reached, or text would stay beside what is to hold none.
        """
        self._make()
        with self._explained("looking at the repository"):
            info = self._api.repo_info(self.repo_id, repo_type=self.kind, revision=self.revision)
            head = str(info.sha)
            files = {file.rfilename for file in getattr(info, "siblings", None) or ()}
            readme, manifest = (
                self._read(name, head) if name in files else "" for name in (README, MANIFEST)
            )
        try:
            metadata, listed = read_manifest(manifest)
        except ConfigurationError as error:
            raise HubError(
                f"{self.repo_id}: {error} Nothing was published. Mend or delete it there; without it, what an earlier "
                "push wrote and this one does not stays."
            ) from None
        written = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        # What an earlier push wrote and this one does not, such as the text of what is now a recipe.
        stale = sorted(path for path in listed & files - written if _OURS.fullmatch(path))
        if self.kind == "dataset" and not any(map(_TEXT.fullmatch, written)):
            self._check_no_text_stays(files - set(stale), stale)
        try:
            joined = join_readme(readme, (folder / README).read_text(encoding="utf-8"), metadata)
        except HubError as error:
            raise HubError(f"{self.repo_id}: nothing was published: {error}") from None
        (folder / README).write_bytes(joined.encode("utf-8", "replace"))
        history = "discussions" if self.create_pr else f"commits/{self.revision or 'main'}"
        doubt = f"Either all of it was published or nothing: {self.url}/{history} tells."
        with self._explained("committing", doubt), quiet_libraries():
            commit = self._api.upload_folder(
                repo_id=self.repo_id,
                repo_type=self.kind,
                folder_path=folder,
                commit_message=message,
                revision=self.revision,
                create_pr=self.create_pr,
                # Somebody else's commit since the README was read would be lost.
                parent_commit=None if self.create_pr else head,
                delete_patterns=stale,
            )
        changed = commit.oid != head
        return Published(self.repo_id, self.url, commit.oid, commit.commit_url, commit.pr_url or "", changed)

    def _make(self) -> None:
        """Make repository and branch if they are not there."""
        where: dict[str, Any] = {"repo_id": self.repo_id, "repo_type": self.kind, "exist_ok": True}
        with self._explained("making the repository"):
            if self._missing:
                self._api.create_repo(private=self._private, **where)
            if self.revision not in (None, "main"):
                self._api.create_branch(branch=self.revision, **where)

    def _read(self, path: str, revision: str) -> str:
        local = self._api.hf_hub_download(self.repo_id, path, repo_type=self.kind, revision=revision)
        try:
            return Path(local).read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise HubError(
                f"{self.repo_id}: its {path} is no UTF-8 text. Nothing was published. Mend or delete it there."
            ) from None

    def _check_no_text_stays(self, staying: set[str], stale: Sequence[str]) -> None:
        """Refuse to publish without text where text may stay; warn where it stays in the history."""
        text = sorted(filter(_TEXT.fullmatch, staying))
        if text:
            raise HubError(
                f"{self.repo_id}: {', '.join(text[:3])} lies where a push puts text, and no {MANIFEST} tells whose it "
                "is: what is published now is to hold no text. Nothing was published. Delete it there, or publish to a "
                "repository of its own."
            )
        if any(map(_TEXT.fullmatch, stale)):
            say(
                f"{self.repo_id}: text published before stays in the history of the repository. To take it away, "
                "delete the repository or rewrite its history on the Hub."
            )

    def _explained(self, doing: str, doubt: str = "") -> AbstractContextManager[None]:
        return explained(self.repo_id, doing, _AGAIN, "Nothing was published.", doubt)


def fetch(published: str, files: Sequence[str], token: str | None = None) -> Path:
    """Return a folder with files of a dataset repository, ``owner/name`` or ``owner/name@revision``, by their patterns.

    Raises:
        HubError: there is no such repository, or it cannot be reached.
    """
    name, _, revision = published.partition("@")
    where: dict[str, Any] = {"repo_type": "dataset", "revision": revision or None, "token": token}
    with explained(name, "fetching it", "run the same again"), quiet_libraries():
        return Path(snapshot_download(name, allow_patterns=list(files), **where))


def read_manifest(text: str) -> tuple[dict[str, Any], set[str]]:
    """Return the metadata and the files that an earlier push wrote; nothing where there was none.

    Raises:
        ConfigurationError: it is no manifest. What it says decides what is deleted, so it is not guessed at.
    """
    if not text.strip():
        return {}, set()
    try:
        manifest = from_plain(dict[str, Any], parse_json(text), MANIFEST)
    except (ValueError, RecursionError) as error:
        problem = str(error)[:200]
        raise ConfigurationError(
            f"{MANIFEST}: expected what a push wrote, found JSON that is damaged: {problem}."
        ) from None
    if wrong := manifest.keys() ^ {"metadata", "files"}:
        raise ConfigurationError(
            f"{MANIFEST}: unknown or missing: {', '.join(sorted(wrong))[:200]}; expected files and metadata."
        )
    metadata = from_plain(dict[str, Any], manifest["metadata"], f"{MANIFEST}: metadata")
    return metadata, set(from_plain(list[str], manifest["files"], f"{MANIFEST}: files"))
