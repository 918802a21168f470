"""``cache``: where the cache is, what it holds, and how to make it smaller."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence

from esnera_hf._internal.cache_contents import (
    BOUND_VARIABLE,
    CacheEntry,
    cache_entries,
    cache_folder,
    choose_entries,
    parse_age,
    parse_size,
    size_text,
)
from esnera_hf._internal.console import duration
from esnera_hf._internal.text import in_columns
from esnera_hf.cli.options import Commands, add_command
from esnera_hf.errors import ConfigurationError

_HELP = """\
The cache lies in ESNERA_CACHE_DIR, else in ~/.cache/esnera_hf, and holds nothing
that cannot be made again: corpora as they were read, light heads, taggers, their
predictions, and what interrupted trainings go on from. Age counts from the last use.
Beside it lies noise.key, the secret of the noise in evidence bundles; it is not pruned.

examples:
  esnera-hf cache
  esnera-hf cache prune --older-than 30d
  esnera-hf cache prune --max-size 20GB --dry-run
  esnera-hf cache prune --other-versions

ESNERA_CACHE_MAX_SIZE=50GB keeps the cache to a size by itself: whenever something
is added, what was not used for longest goes, but nothing that was used within a day.
Datasets of the Hub lie in the cache of Hugging Face: see `hf cache`.
"""


def add_commands(commands: Commands) -> None:
    """Add the command that shows and prunes the cache."""
    cache = add_command(
        commands,
        "cache [show | prune]",
        _cache,
        "show what the cache holds, or make it smaller",
        "Show where the cache is and what it holds, by age and size, or remove some of it.",
        epilog=_HELP,
    )
    cache.add_argument("action", nargs="?", choices=("show", "prune"), default="show", help="default: show")
    which = cache.add_argument_group("what prune removes (one or more)")
    which.add_argument("--older-than", metavar="AGE", help="what was not used for 30d, 12h, 2w, …")
    which.add_argument(
        "--max-size", metavar="SIZE", help="what was not used for longest, until 20GB, 500MB, … are left"
    )
    which.add_argument("--other-versions", action="store_true", help="what only other versions can use")
    cache.add_argument(
        "--dry-run", action="store_true", help="say what prune would remove, and remove nothing"
    )


def _cache(options: argparse.Namespace) -> None:
    asked = bool(options.older_than or options.max_size or options.other_versions)
    if asked != (options.action == "prune") or (options.dry_run and not asked):
        raise ConfigurationError(
            "expected `esnera-hf cache`, or `esnera-hf cache prune` with --older-than AGE, --max-size SIZE or "
            "--other-versions. Say which of them you mean; nothing was removed."
        )
    older = None if options.older_than is None else parse_age(options.older_than)
    most = None if options.max_size is None else parse_size(options.max_size)
    entries = cache_entries()
    if options.action == "show":
        print(f"{cache_folder()}: {size_text(sum(entry.size for entry in entries))}")
        print(_table(entries) if entries else "It is empty.")
        bound = os.environ.get(BOUND_VARIABLE)
        print(f"{BOUND_VARIABLE}: {bound or 'not set, the cache grows until you prune it'}")
        return
    chosen = choose_entries(entries, older_than=older, max_size=most, other_versions=options.other_versions)
    removed = [entry for entry in chosen if options.dry_run or entry.remove()]
    for entry in removed:
        print(f"{entry.path}  {size_text(entry.size)}, {_age(entry.used)}")
    left = sum(entry.size for entry in entries) - sum(entry.size for entry in removed)
    done = "would be removed" if options.dry_run else "removed"
    print(f"{done}: {len(removed):,} of {len(entries):,}; {size_text(left)} left in {cache_folder()}")


def _table(entries: Sequence[CacheEntry]) -> str:
    rows = [("kind", "number", "size", "last used", "first to go", "of other versions")]
    for kind in dict.fromkeys(entry.kind for entry in entries):
        own = [entry for entry in entries if entry.kind == kind]
        used = [entry.used for entry in own]
        other = [entry.size for entry in own if not entry.current]
        old = f"{len(other):,}, {size_text(sum(other))}" if other else "-"
        size = size_text(sum(entry.size for entry in own))
        rows.append((kind, f"{len(own):,}", size, _age(max(used)), _age(min(used)), old))
    return in_columns(rows)


def _age(used: float) -> str:
    seconds = max(time.time() - used, 0)
    return f"{seconds / 86_400:.0f} d ago" if seconds > 2 * 86_400 else f"{duration(seconds)} ago"
