"""What a folder holds, by size and digest: damage is found before anything of it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20
#: What tells that a file has been written to, without reading it: size and times, and which file it is.
_Traces = tuple[int, int, int, int]
#: Files whose digests this process has found right, with their traces at that time.
_checked: dict[tuple[Path, str], _Traces] = {}


@dataclass(frozen=True)
class Manifest:
    """The files of a folder.

    Attributes:
        files: size in bytes and SHA-256 of each file, by its path in the folder.
    """

    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """List what lies in a folder."""
        found = {}
        for name, file in sorted(_files(folder).items()):
            found[name] = (file.stat().st_size, _digest(file))
        return cls(found)

    @classmethod
    def from_dict(cls, data: Mapping[str, tuple[int, str]]) -> Manifest:
        """Rebuild a manifest from :meth:`to_dict`.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls({str(name): (int(size), str(digest)) for name, (size, digest) in data.items()})
        except (AttributeError, TypeError) as error:
            raise ValueError(f"no list of files: {error}") from error

    def to_dict(self) -> dict[str, tuple[int, str]]:
        """Return the manifest as plain data."""
        return dict(self.files)

    def damage(self, folder: Path, *, whole: bool = True) -> str:
        """Say what of a folder is not as it was; ``""`` if all is.

        Each file is read once a process, and again where it has been written to since.

        Args:
            folder: the folder.
            whole: whether nothing else may be in it.
        """
        found = _files(folder)
        missing = sorted(self.files.keys() - found.keys())
        if missing:
            return f"missing: {', '.join(missing)}"
        strange = sorted(found.keys() - self.files.keys())
        if strange and whole:
            return f"not part of it: {', '.join(strange)}"
        for name, (size, digest) in self.files.items():
            file = found[name]
            if file.stat().st_size != size:
                return f"{name} holds {file.stat().st_size:,} bytes instead of {size:,}"
            traces = _traces(file)
            if _checked.get((file, digest)) != traces:
                if _digest(file) != digest:
                    return f"{name} holds other bytes than were written"
                _checked[file, digest] = traces
        return ""


def _files(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their path in it, but for hidden ones: file managers leave those."""
    return {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


def _traces(file: Path) -> _Traces:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
