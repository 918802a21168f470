"""Forty mutants of publishing, licensing, recipes, the cache, archives, and what is read of strangers.

    python benchmarks/mutants_safety.py [--only TEXT]

See mutants.py beside it, which runs them.
"""

from __future__ import annotations

import sys

from mutants import Mutant, main

_PUSH = "hub/test_push.py"
_FREE = "hub/test_text_free.py"
_RECIPE = "hub/test_recipe.py"
_CACHE = "_internal/test_cache.py"
_FILES = "_internal/test_files.py"
_LICENSES = "sources/test_licenses.py"
_ARCHIVES = "sources/test_files.py"
#: Of the attack suite those kinds that a place is about: all of it takes minutes.
_ATTACK_RECIPE = f"{_RECIPE} test_attack.py -k recipe or rows"
_ATTACK_ARCHIVE = f"{_ARCHIVES} test_attack.py -k archive or test_files"
_TRUST = "test_trust.py"

MUTANTS: tuple[Mutant, ...] = (
    # What is published without its text, and without places of a machine.
    ("hub/push.py", "examples=(), dropped={}, questions", "examples=(), questions", _FREE),
    ("hub/push.py", "examples=(), dropped={}, questions", "dropped={}, questions", _FREE),
    ("hub/push.py", "dropped={}, questions=questions)", "dropped={})", _FREE),
    ("hub/push.py", "call=call, local_paths=()", "call=report.call, local_paths=()", f"{_FREE} {_PUSH}"),
    (
        "hub/push.py",
        "settings.check(_licenses_of_text(result.report))\n    report",
        "report",
        f"hub/test_cards_dataset.py {_PUSH}",
    ),
    (
        "hub/push.py",
        "        if self.text:\n            check_text",
        "        if not self.text:\n            check_text",
        _PUSH,
    ),
    ("hub/push.py", "if value in places or _looks_like_a_place(value)", "if value in places", _PUSH),
    ("hub/push.py", '("data", "default", "recipe")', '("data", "default")', "hub"),
    ("hub/repository.py", "if _OURS.fullmatch(path))", ")", _PUSH),
    ("hub/repository.py", "parent_commit=None if self.create_pr else head", "parent_commit=None", _PUSH),
    ("hub/repository.py", 'if role == "read":', "if False:", _PUSH),
    ("hub/repository.py", "bool(info.private) != private", "bool(info.private) == private", _PUSH),
    # Terms of licenses.
    (
        "sources/licenses.py",
        "text_may_be_shared is not True and name",
        "text_may_be_shared is False and name",
        _LICENSES,
    ),
    (
        "sources/licenses.py",
        "key=KNOWN_LICENSES.__getitem__)",
        "key=KNOWN_LICENSES.__getitem__, reverse=True)",
        _LICENSES,
    ),
    ("sources/licenses.py", "strict_version >= version", "strict_version > version", _LICENSES),
    ("sources/licenses.py", "entry[0] is not Kind.NO_DERIVATIVES", "True", _LICENSES),
    ("sources/licenses.py", "strange = sorted(set(may_share) - set(licenses))", "strange = []", _LICENSES),
    ("sources/source.py", "(False, None, True).index", "(True, None, False).index", "sources"),
    # Recipes.
    ("hub/recipe.py", "if not same and not differences", "if not same and differences", _RECIPE),
    ("hub/recipe.py", "if lacking or strange", "if lacking", _RECIPE),
    ("hub/recipe.py", "digest_size=16, key=salt)", "digest_size=16)", _RECIPE),
    ("hub/recipe.py", "place = None if first in taken else first", "place = first", _RECIPE),
    ("hub/recipe.py", "or label not in labels:", ":", _ATTACK_RECIPE),
    (
        "hub/recipe.py",
        "if any(column.null_count for column in",
        "if any(False for column in",
        _ATTACK_RECIPE,
    ),
    ("hub/recipe.py", 'if head["version"] != VERSION', "if False", _ATTACK_RECIPE),
    # The cache, and folders that appear when all is written.
    ("_internal/cache.py", "if sizes.get(name) != listed.get(name)", "if name not in sizes", _CACHE),
    (
        "_internal/cache.py",
        "there = self.folder.is_dir() and not self._damage()",
        "there = self.folder.is_dir()",
        _CACHE,
    ),
    (
        "_internal/cache.py",
        "            shutil.rmtree(staging, ignore_errors=True)\n            record",
        "            record",
        _CACHE,
    ),
    ("_internal/files.py", "file.chmod(rights)", "pass", _FILES),
    (
        "_internal/files.py",
        "    if not os.path.lexists(target):\n        try:",
        "    if True:\n        try:",
        _FILES,
    ),
    ("sources/hub.py", "and _digest(file) != digest", "and not digest", "sources/test_hub.py"),
    # Archives.
    (
        "sources/archives.py",
        'inside.is_absolute() or ".." in inside.parts',
        "inside.is_absolute()",
        _ATTACK_ARCHIVE,
    ),
    ("sources/archives.py", "if str(inside) in self.names:", "if False:", _ATTACK_ARCHIVE),
    ("sources/archives.py", "if len(self.names) > _MOST_MEMBERS:", "if False:", _ATTACK_ARCHIVE),
    ("sources/archives.py", "if self.bytes > _LARGEST:", "if False:", _ARCHIVES),
    ("sources/archives.py", ' filter="data"', ' filter="fully_trusted"', _ARCHIVES),
    # Settings, configurations and files that strangers give.
    ("modeling/arguments.py", "if name not in _ALLOWED:", "if name in ():", "modeling/test_arguments.py"),
    ("modeling/encoders.py", "config._attn_implementation = None", "pass", _TRUST),
    (
        "sources/options.py",
        "if outside := outside_repository(self.data_files):",
        "if outside := []:",
        "sources/test_hub.py",
    ),
    ("_internal/json.py", "if len(data) < len(pairs):", "if False:", _TRUST),
)

if __name__ == "__main__":
    sys.exit(main(MUTANTS))
