"""Break the core on purpose, one place at a time, and see whether a test notices.

    python benchmarks/mutants.py [--only TEXT]

Each mutant replaces one text of one file in a copy of the package and runs the tests of that room. A mutant dies if a
test fails. Prints a line per mutant and how many survived; exits with 1 if more than two did.
"""

from __future__ import annotations

import os

from command_line import benchmark_parser

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

#: File of the package, text, what replaces it, tests that must notice, with pytest's ``-k`` behind them or not.
Mutant: TypeAlias = tuple[str, str, str, str]
#: By file and tests: texts, and what replaces them.
MUTANTS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    # Leakage: which sentence of a pair is left out, and of whose.
    ("sources/leakage.py", "sources/test_leakage.py"): (
        ("2 * order.max(axis=1) + exact", "-2 * order.max(axis=1) + exact"),
        ("order[:, 1] < order[:, 0]", "order[:, 1] > order[:, 0]"),
    ),
    ("sources/duplicates.py", "sources/test_leakage.py merging"): (
        ("self.first.source != self.second.source", "self.first.source == self.second.source"),
    ),
    # Shared sentences, parts and questions.
    ("sources/shared_sentences.py", "sources/test_shared_sentences.py"): (
        ("elif exact:", "elif False:"),
        ("nearest[:2] == place", "True"),
        ("self.mentions - self.overlapping @", "self.mentions - 0 * self.overlapping @"),
        ("_common(place, nearest) <= 0", "_common(place, nearest) < 0"),
    ),
    ("alignment/parts.py", "alignment/test_parts.py"): (
        ("if here != there and here not in", "if False and here not in"),
        ("in self._constraints.unrelated:", "in ():"),
        ("            if end == group:", "            if False:"),
    ),
    ("alignment/equivalence_merge.py", "alignment/test_parts.py"): (
        ("weakest = min(free", "weakest = max(free"),
    ),
    ("alignment/questions.py", "alignment/test_questions.py"): (
        ("settled | open_groups[", "settled | False & open_groups["),
        ("wrong * np.log1p(mentions)", "wrong * mentions"),
        ("decisions == _ONE, 1 - equal", "decisions == _ONE, equal"),
    ),
    # Pseudo-labels.
    ("merging/merge.py", "merging"): (
        ('unified.str2int(f"I-{entity.label}")', 'unified.str2int(f"B-{entity.label}")'),
        ("confidence[own][span] = entity.score", "confidence[own][entity.start] = entity.score"),
        ("origin[own][span] =", "origin[own][entity.start] ="),
        ("+= count - labels[label]", "+= count"),
        ("if sentences != len(rows)", "if sentences > len(rows)"),
    ),
    ("merging/pseudo_labels.py", "merging"): (
        ("entity.score < threshold", "entity.score <= threshold"),
        ("key=lambda o: (-o[0].score", "key=lambda o: (o[0].score"),
        ("and not mapping.tree.covered(entry.unified, annotated)", ""),
    ),
    # Similarity.
    ("similarity/empirical.py", "similarity"): (
        ("if a is not b", "if True"),
        ("predicted[row, columns] += 1", "predicted[row, columns[:1]] += 1"),
    ),
    ("similarity/features.py", "similarity"): (
        ("share = np.minimum(share, share.T)\n", "share = share + 0\n"),
        ("np.minimum(share, share.T) >= SHARED", "np.maximum(share, share.T) >= SHARED"),
        ("share / recall[None, :]", "share / recall[:, None]"),
        ("(np.fmin(margin, margin.T))", "(np.fmax(margin, margin.T))"),
        ("(matrix.occurring + PRIOR_FORMS)", "(matrix.occurring + PRIOR_OVERLAP)"),
        ('"share": measured * _logit(share)', '"share": _logit(share)'),
        ("apart * (1.0 - apart.T)", "apart"),
    ),
    ("similarity/names.py", "similarity"): (
        ("concepts_of(name) - _QUALIFIERS", "concepts_of(name)"),
        ("frozenset(concepts) - {broader", "frozenset(concepts) | {broader"),
        ("bool(mine - theirs)", "bool(mine)"),
    ),
    ("similarity/probability.py", "similarity"): (
        ("rates = (rates + rates[INVERSE]) / 2", ""),
        ("(matrix.shared > 0) & (matrix.shared.T > 0)", "matrix.shared > 0"),
        ("[np.prod(1 - ordered)]", "[0.0]"),
        (" ** _PARTNER_POWER", ""),
        ("1.0 + across @ partner", "1.0 + partner"),
    ),
    ("sources/readers/sentence_rows.py", "sources/readers/test_sentence_rows.py"): (
        ("strict=True)\n    for cells in iter", "strict=False)\n    for cells in iter"),
        ("            return []\n", "            return list(cell.split())\n"),
        ("return are_words, not are_words", "return False, True"),
        ("one == other > 1 for", "other > 1 for"),
        ("    if table.role(column) not in fitting:", "    if False:"),
    ),
    ("alignment/definitions.py", "alignment/test_definitions.py"): (
        ("if label not in labels:", "if False:"),
        (" or len(text) > LONGEST_DEFINITION", ""),
    ),
    ("taggers/light_heads.py", "taggers/test_light_heads.py"): (
        ("rest.sort(key=lambda sentence: min(", "rest.sort(key=lambda sentence: -min("),
        ("if number >= LEAST_SENTENCES and all(", "if number >= LEAST_SENTENCES and any("),
        ("_regression(vectors[seen], names[seen])", "_regression(vectors, names)"),
        ("counts[name] >= FEWEST", "counts[name] >= 1"),
        ("in sources[process_index() :: process_count()] if", "in sources if"),
    ),
    # Alignment.
    ("alignment/greedy_path.py", "alignment"): (
        ("initial=-np.inf) > tau", "initial=-np.inf) >= tau"),
        ("key=lambda r: -np.max", "key=lambda r: np.max"),
    ),
    ("alignment/search.py", "alignment"): (("-(step.tau or 0.0), lam", "(step.tau or 0.0), lam"),),
    ("alignment/equivalence_merge.py", "alignment/test_equivalence_merge.py"): (
        (") * ~matrix.same_source", ")"),
        ("best = np.argmax(means, axis=0) == 0", "best = means[0] > 0"),
        ("unequal = unequal / np.max", "_ = unequal / np.max"),
    ),
    ("alignment/equivalence_merge.py", "alignment"): (("return part not in above and", "return"),),
    # Umbrellas, and the tree cut at a grain.
    ("alignment/umbrellas.py", "alignment"): (
        ("not constraints.unrelated.isdisjoint(pairs)", "False"),
        ("apart[i] |= apart[j]", "apart[i] &= apart[j]"),
        ("if mean[i, j] < BELONGS:", "if mean[i, j] < BELONGS / 2:"),
        ("if root not in constraints.parents or", "if True or"),
    ),
    ("alignment/hierarchy.py", "alignment"): (
        ("(cost / saved, -saved, place)", "(cost, -saved, place)"),
        ("saved = len(gone) - (label not in cut.labels)", "saved = len(gone)"),
    ),
    ("merging/label_levels.py", "merging"): (("if name == OUTSIDE or name[2:] in cut.labels", "if True"),),
    # Tags, CRF, partial likelihood.
    ("tagging.py", "test_tagging.py"): (('OUTSIDE = "O"', 'OUTSIDE = "o"'),),
    ("metrics.py", "test_metrics.py"): (
        ('if start >= 0 and not (role == "I" and name == label)', 'if start >= 0 and not (role == "I")'),
    ),
    ("modeling/hub_code/crf.py", "modeling/test_crf.py"): (
        ("inside & ~same_label", "inside & same_label"),
        (
            "scores.append((scores[-1].unsqueeze(1) + moves).amax(dim=0) + here)",
            "scores.append((scores[-1].unsqueeze(1) + moves).mean(dim=0) + here)",
        ),
    ),
    ("modeling/hub_code/crf.py", "modeling/test_partial.py"): (
        ("return everything - allowed", "return everything"),
    ),
    ("modeling/partial.py", "modeling/test_partial.py"): (
        ("overrun[index] = FORBIDDEN", "overrun[index] = 0.0"),
        ("* ~going_on[:, 1:]", "* going_on[:, 1:]"),
    ),
    # Scores through a mapping.
    ("evaluation/projection.py", "evaluation"): (
        (
            "key=lambda label: (support.get(label, 0), label)",
            "key=lambda label: (-support.get(label, 0), label)",
        ),
        ("else mapping.projection(source.name)", "else own_names"),
    ),
}


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
    files, _, keyword = tests.partition(" -k ")
    places = [str(ROOT / "tests" / test) for test in files.split()]
    return int(pytest.main([*options, "-m", "not real and not slow", "-k", keyword, *places]))


def main(mutants: Sequence[Mutant]) -> int:
    """Try all mutants, or those whose file or text holds ``--only``."""
    parser = benchmark_parser(__doc__)
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
    sys.exit(main([(file, *pair, tests) for (file, tests), pairs in MUTANTS.items() for pair in pairs]))
