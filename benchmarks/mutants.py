"""Break the core on purpose, one place at a time, and see whether a test notices.

    python benchmarks/mutants.py [--only TEXT]

Each mutant replaces one text of one file in a copy of the package and runs the tests of that room. A mutant dies if a
test fails. Prints a line per mutant and how many survived; exits with 1 if more than two did.
"""

from __future__ import annotations

import argparse
import os

# As in tests/conftest.py: read when the libraries are imported.
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ |= {f"HF_{name}_DISABLE_PROGRESS_BARS": "1" for name in ("HUB", "DATASETS")}

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import datasets  # noqa: F401
import pytest
import transformers  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]

#: File of the package, text, what replaces it, tests that must notice.
Mutant: TypeAlias = tuple[str, str, str, str]
MUTANTS: tuple[Mutant, ...] = (
    # Leakage: which sentence of a pair is left out, and of whose.
    (
        "sources/leakage.py",
        "2 * order.max(axis=1) + exact",
        "-2 * order.max(axis=1) + exact",
        "sources/test_leakage.py",
    ),
    (
        "sources/leakage.py",
        "order[:, 1] < order[:, 0]",
        "order[:, 1] > order[:, 0]",
        "sources/test_leakage.py",
    ),
    (
        "sources/duplicates.py",
        "self.first.source != self.second.source",
        "self.first.source == self.second.source",
        "sources/test_leakage.py merging",
    ),
    # Shared sentences, parts and questions.
    ("sources/shared_sentences.py", "elif exact:", "elif False:", "sources/test_shared_sentences.py"),
    ("sources/shared_sentences.py", "nearest[:2] == place", "True", "sources/test_shared_sentences.py"),
    (
        "sources/shared_sentences.py",
        "self.mentions - self.overlapping @",
        "self.mentions - 0 * self.overlapping @",
        "sources/test_shared_sentences.py",
    ),
    (
        "sources/shared_sentences.py",
        "_common(place, nearest) <= 0",
        "_common(place, nearest) < 0",
        "sources/test_shared_sentences.py",
    ),
    (
        "alignment/parts.py",
        "if here != there and here not in",
        "if False and here not in",
        "alignment/test_parts.py",
    ),
    ("alignment/parts.py", "in self._constraints.unrelated:", "in ():", "alignment/test_parts.py"),
    (
        "alignment/parts.py",
        "            if end == group:",
        "            if False:",
        "alignment/test_parts.py",
    ),
    ("alignment/equivalence_merge.py", "weakest = min(free", "weakest = max(free", "alignment/test_parts.py"),
    (
        "alignment/questions.py",
        "settled | open_groups[",
        "settled | False & open_groups[",
        "alignment/test_questions.py",
    ),
    (
        "alignment/questions.py",
        "wrong * np.log1p(mentions)",
        "wrong * mentions",
        "alignment/test_questions.py",
    ),
    (
        "alignment/questions.py",
        "decisions == _ONE, 1 - equal",
        "decisions == _ONE, equal",
        "alignment/test_questions.py",
    ),
    # Pseudo-labels.
    (
        "merging/merge.py",
        'unified.str2int(f"I-{entity.label}")',
        'unified.str2int(f"B-{entity.label}")',
        "merging",
    ),
    (
        "merging/merge.py",
        "confidence[own][span] = entity.score",
        "confidence[own][entity.start] = entity.score",
        "merging",
    ),
    ("merging/merge.py", "origin[own][span] =", "origin[own][entity.start] =", "merging"),
    ("merging/merge.py", "+= count - labels[label]", "+= count", "merging"),
    ("merging/merge.py", "if sentences != len(rows)", "if sentences > len(rows)", "merging"),
    ("merging/pseudo_labels.py", "entity.score < threshold", "entity.score <= threshold", "merging"),
    ("merging/pseudo_labels.py", "key=lambda o: (-o[0].score", "key=lambda o: (o[0].score", "merging"),
    ("merging/pseudo_labels.py", "and not mapping.tree.covered(entry.unified, annotated)", "", "merging"),
    # Similarity.
    ("similarity/empirical.py", "if a is not b", "if True", "similarity"),
    (
        "similarity/empirical.py",
        "predicted[row, columns] += 1",
        "predicted[row, columns[:1]] += 1",
        "similarity",
    ),
    ("similarity/features.py", "share = np.minimum(share, share.T)\n", "share = share + 0\n", "similarity"),
    (
        "similarity/features.py",
        "np.minimum(share, share.T) >= SHARED",
        "np.maximum(share, share.T) >= SHARED",
        "similarity",
    ),
    ("similarity/features.py", "share / recall[None, :]", "share / recall[:, None]", "similarity"),
    ("similarity/features.py", "(np.fmin(margin, margin.T))", "(np.fmax(margin, margin.T))", "similarity"),
    (
        "similarity/features.py",
        "(matrix.occurring + PRIOR_FORMS)",
        "(matrix.occurring + PRIOR_OVERLAP)",
        "similarity",
    ),
    ("similarity/probability.py", "rates = (rates + rates[INVERSE]) / 2", "", "similarity"),
    (
        "similarity/probability.py",
        "(matrix.shared > 0) & (matrix.shared.T > 0)",
        "matrix.shared > 0",
        "similarity",
    ),
    ("similarity/probability.py", "[np.prod(1 - ordered)]", "[0.0]", "similarity"),
    (
        "taggers/light_heads.py",
        "_regression(vectors[seen], names[seen], **fit)",
        "_regression(vectors, names, **fit)",
        "taggers/test_light_heads.py",
    ),
    (
        "taggers/light_heads.py",
        "counts[name] >= min_support",
        "counts[name] >= 1",
        "taggers/test_light_heads.py",
    ),
    (
        "taggers/light_heads.py",
        "in sources[process_index() :: process_count()] if",
        "in sources if",
        "taggers/test_light_heads.py",
    ),
    # Alignment.
    ("alignment/greedy_path.py", "open_values[best] > tau", "open_values[best] >= tau", "alignment"),
    ("alignment/greedy_path.py", "key=lambda r: -np.max", "key=lambda r: np.max", "alignment"),
    ("alignment/search.py", "-(step.tau or 0.0), lam", "(step.tau or 0.0), lam", "alignment"),
    ("alignment/equivalence_merge.py", ") * ~matrix.same_source", ")", "alignment/test_equivalence_merge.py"),
    (
        "alignment/equivalence_merge.py",
        "best = np.argmax(means, axis=0) == 0",
        "best = means[0] > 0",
        "alignment/test_equivalence_merge.py",
    ),
    (
        "alignment/equivalence_merge.py",
        "unequal = unequal / np.max",
        "_ = unequal / np.max",
        "alignment/test_equivalence_merge.py",
    ),
    ("alignment/equivalence_merge.py", "return part not in above and", "return", "alignment"),
    # Umbrellas, and the tree cut at a grain.
    ("alignment/umbrellas.py", "not constraints.unrelated.isdisjoint(pairs)", "False", "alignment"),
    ("alignment/umbrellas.py", "apart[i] |= apart[j]", "apart[i] &= apart[j]", "alignment"),
    ("alignment/umbrellas.py", "if mean[i, j] < BELONGS:", "if mean[i, j] < BELONGS / 2:", "alignment"),
    ("alignment/umbrellas.py", "if root not in constraints.parents or", "if True or", "alignment"),
    ("alignment/hierarchy.py", "(cost / saved, -saved, place)", "(cost, -saved, place)", "alignment"),
    (
        "alignment/hierarchy.py",
        "saved = len(gone) - (label not in cut.labels)",
        "saved = len(gone)",
        "alignment",
    ),
    ("merging/label_levels.py", "if name == OUTSIDE or name[2:] in cut.labels", "if True", "merging"),
    # Tags, CRF, partial likelihood.
    ("tagging.py", 'OUTSIDE = "O"', 'OUTSIDE = "o"', "test_tagging.py"),
    (
        "metrics.py",
        'if start >= 0 and not (role == "I" and name == label)',
        'if start >= 0 and not (role == "I")',
        "test_metrics.py",
    ),
    ("modeling/hub_code/crf.py", "inside & ~same_label", "inside & same_label", "modeling/test_crf.py"),
    (
        "modeling/hub_code/crf.py",
        "scores.append((scores[-1].unsqueeze(1) + moves).amax(dim=0) + here)",
        "scores.append((scores[-1].unsqueeze(1) + moves).mean(dim=0) + here)",
        "modeling/test_crf.py",
    ),
    (
        "modeling/hub_code/crf.py",
        "return everything - allowed",
        "return everything",
        "modeling/test_partial.py",
    ),
    ("modeling/partial.py", "overrun[index] = FORBIDDEN", "overrun[index] = 0.0", "modeling/test_partial.py"),
    ("modeling/partial.py", "ended = ~self.inside", "ended = self.inside", "modeling/test_partial.py"),
    # Scores through a mapping.
    (
        "evaluation/projection.py",
        "key=lambda label: (support.get(label, 0), label)",
        "key=lambda label: (-support.get(label, 0), label)",
        "evaluation",
    ),
    (
        "evaluation/projection.py",
        "names, mapping.projection(source.name)",
        "names, names",
        "evaluation",
    ),
)


def killed(file: str, text: str, replacement: str, tests: str) -> bool:
    """Tell whether a test fails where one text of one file is replaced."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        mutated = source / "esnera_hf" / file
        before = mutated.read_text(encoding="utf-8")
        if before.count(text) < 1:
            raise SystemExit(f"{file}: {text!r} is not there any more. Update the list.")
        mutated.write_text(before.replace(text, replacement, 1), encoding="utf-8")
        # A child of a process that has imported the libraries already: importing takes longer than most tests.
        child = os.fork()
        if child == 0:
            os._exit(_run_tests(source, tests))
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 1


def _run_tests(source: Path, tests: str) -> int:
    """Run tests on the package in a folder, in silence; return the exit code of pytest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(source)
    sys.path.insert(0, str(source))
    sys.dont_write_bytecode = True
    options = ["-q", "-x", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    places = [str(ROOT / "tests" / test) for test in tests.split()]
    return int(pytest.main([*options, "-m", "not real and not slow", *places]))


def main(mutants: Sequence[Mutant]) -> int:
    """Try all mutants, or those whose file or text holds ``--only``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    chosen = [mutant for mutant in mutants if only in f"{mutant[0]} {mutant[1]}"]
    survived = 0
    for mutant in chosen:
        dies = killed(*mutant)
        survived += not dies
        print(f"{'killed  ' if dies else 'SURVIVED'} {mutant[0]}: {mutant[1]!r} → {mutant[2]!r}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants die")
    return int(survived > 2)


if __name__ == "__main__":
    sys.exit(main(MUTANTS))
