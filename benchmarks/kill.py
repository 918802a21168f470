"""Does an alignment that is killed again and again end with the same bytes as one that is left alone?

Aligns the three generated corpora of the demo, with taggers, a search, pseudo-labels,
a final tagger and everything saved: once undisturbed, then from an empty cache while its
process group is killed (SIGKILL) and started again, until as many kills as asked for have
struck in one run after the other: some at random moments, some at a random moment of a
stage that is drawn first, so that short ones, such as saving, are struck too. Checked are: every file of each result
against the undisturbed one, byte by byte (of the two reports, the times are left out); that
no artifact which was finished is made again; and that a training goes on from the last
checkpoint it had written. In the end two runs share a cache at once: both must end
alike, with each artifact made once. Prints a Markdown table.

    python benchmarks/kill.py --kills 50 --seed 1
    python benchmarks/kill.py --kills 10 --stages saving leaks
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import benchmark_parser
from kill_moments import Moments, events, wait

from esnera_hf import (
    AlignSettings,
    GreedySettings,
    OutputSettings,
    TaggerSettings,
    align,
)
from esnera_hf._internal.cache import Artifact
from esnera_hf.modeling import training
from esnera_hf.sources import files as archives

SENTENCES = 60
TRAINING = {"num_train_epochs": 3, "learning_rate": 2e-3}
#: What tells how long something took, which no two runs share.
TIMED = ("report.json", "report.html")


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--kills", type=int, default=50, help="at least so many (default: 50)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="strike in these stages alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ok = disturb(Path(folder), options.kills, Moments(random.Random(options.seed), options.stages))
    sys.exit(0 if ok else 1)


# What is killed


def align_and_save(encoder: Path, run: Path) -> None:
    """Align the demo's corpora and save the result, noting what begins and what is done."""
    make, last = Artifact.make, training.last_whole_checkpoint

    def noted_make(self: Artifact, fill: Any) -> bool:
        def noted_fill(folder: Path) -> None:
            note(run, "begin", f"{self.kind}/{self.key}")
            fill(folder)

        made = make(self, noted_fill)
        if made:
            note(run, "made", f"{self.kind}/{self.key}")
        return made

    def noted_last(folder: Path) -> str | None:
        found = last(folder)
        note(run, "resume", f"{folder.parent.name}/{Path(found).name if found else 'start'}")
        return found

    Artifact.make, training.last_whole_checkpoint = noted_make, noted_last  # type: ignore[method-assign]
    note(run, "ready", "reading")
    archives._WORTH_CACHING = 0  # small as they are
    sources = [f"{folder.name}={folder}" for folder in sorted((encoder.parent / "corpora").iterdir())]
    settings = AlignSettings(
        taggers=TaggerSettings("separate", TRAINING),
        greedy=GreedySettings(lam=(0.4,), tau=(0.2,), max_f1_drop=0.5),
        output=OutputSettings(pseudo_label_threshold=0.5, train_merged=True),
    )
    result = align(sources, encoder=encoder, method="greedy", max_samples=SENTENCES, settings=settings)
    note(run, "saving", "result")
    result.save(run / "result")
    note(run, "saved", "result")


def note(run: Path, event: str, what: str) -> None:
    """Append a line to the log, in one write."""
    with (run / "log").open("ab", buffering=0) as stream:
        stream.write(f"{time.time():.3f} {event} {what}\n".encode())


# Who kills


@dataclass
class Found:
    """What the kills met, and what was wrong after them."""

    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    runs: int = 0
    resumed: int = 0
    made: Counter[str] = field(default_factory=Counter)


def disturb(folder: Path, kills: int, moments: Moments) -> bool:
    """Run undisturbed, then with kills, and print what came of it."""
    encoder = folder / "encoder"
    make_data(encoder)
    still = folder / "undisturbed"
    if wait(start(encoder, still), 3600) != 0:
        sys.exit(f"the undisturbed run failed:\n{(still / 'stderr').read_text()}")
    expected = result_files(still / "result")
    moments.learn(still)
    total, artifacts = sum(moments.lasting.values()), len(moments.lasting) - 1
    print(f"undisturbed: {len(expected)} files, {artifacts} artifacts, {total:.0f} s", file=sys.stderr)
    found = Found()
    while found.kills.total() < kills:
        run = folder / f"disturbed-{found.runs}"
        killed_run(encoder, run, moments, found)
        found.runs += 1
        files = result_files(run / "result")
        found.wrong += [
            f"{name} differs" for name in sorted(expected | files) if expected.get(name) != files.get(name)
        ]
        left = [
            path for path in run.glob("cache/*/*/*") if path.name not in ("made", "lock", "artifact.json")
        ]
        found.wrong += [f"{path.relative_to(run)} was left behind" for path in left]
        found.wrong += [f"{path.name} was left behind" for path in run.glob(".esnera-*")]
        print(
            f"run {found.runs}: {found.kills.total()} kills, {len(found.wrong)} wrong",
            *found.wrong[-9:],
            sep="\n  ",
            file=sys.stderr,
        )
        shutil.rmtree(run)
    if found.runs:
        print_table(found, len(expected), total)
    wrong = list(side_by_side(encoder, folder, expected, artifacts))
    print(f"\nTwo runs at once on one cache: wrong {len(wrong)}.", *wrong[:20], sep="\n- ")
    return not found.wrong and not wrong


def side_by_side(encoder: Path, folder: Path, expected: dict[str, str], artifacts: int) -> Iterator[str]:
    """Start two runs at once that share a cache, and yield what is wrong with them."""
    runs = [folder / "one", folder / "other"]
    processes = [start(encoder, run, folder / "shared") for run in runs]
    for run, process in zip(runs, processes, strict=True):
        status = wait(process, 3600)
        if status != 0:
            yield f"{run.name}: exit status {status}: {(run / 'stderr').read_text()[-2000:]}"
        files = result_files(run / "result")
        yield from (f"{run.name}: {name} differs" for name in expected if files.get(name) != expected[name])
    begun = Counter(what for run in runs for _, event, what in events(run) if event == "begin")
    yield from (f"{what} was made {count} times" for what, count in begun.items() if count > 1)
    if len(begun) != artifacts:
        yield f"{len(begun)} artifacts were made instead of {artifacts}"


def make_data(encoder: Path) -> None:
    """Make the demo's small encoder, and its corpora beside it, in a process of its own."""
    code = (
        "from esnera_hf.modeling.encoders import make_encoder; "
        "from esnera_hf.sources.synthetic import generate_corpora; "
        "corpora = generate_corpora(1); "
        "texts = [row for splits in corpora.values() for row in splits['train']['tokens']]; "
        f"make_encoder(texts, {str(encoder)!r}, 1); "
        f"[d.save_to_disk({str(encoder.parent / 'corpora')!r} + '/' + n) for n, d in corpora.items()]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def start(encoder: Path, run: Path, cache: Path | None = None) -> int:
    """Start the alignment in a process group of its own and return its id.

    It is a fork of this process, which has imported all it needs and computed
    nothing, so that the time goes into what is to be killed.
    """
    run.mkdir(exist_ok=True)
    process = os.fork()
    if process:
        os.setpgid(process, process)  # before any kill, whoever of the two comes first
        return process
    status = 1
    try:
        os.setpgid(0, 0)
        errors = os.open(run / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        os.environ["ESNERA_CACHE_DIR"] = str(cache or run / "cache")
        align_and_save(encoder, run)
        status = 0
    finally:
        if status:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(status)


def finished(run: Path) -> set[str]:
    """Return the artifacts that are there."""
    return {f"{path.parts[-3]}/{path.parts[-2]}" for path in run.glob("cache/*/*/made")}


def checkpoints(run: Path) -> dict[str, str]:
    """Return the last checkpoint, by key of the artifact that is being trained, that was written to its end."""
    last: dict[str, int] = {}
    for state in run.glob("cache/*/*/unfinished/checkpoint-*/trainer_state.json"):
        step = int(state.parent.name.removeprefix("checkpoint-"))
        if readable(state):
            last[state.parts[-4]] = max(step, last.get(state.parts[-4], 0))
    return {key: f"checkpoint-{step}" for key, step in last.items()}


def readable(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except ValueError:
        return False
    return True


def killed_run(encoder: Path, run: Path, moments: Moments, found: Found) -> None:
    """Kill and start again until the result is saved."""
    idle = 0
    while True:
        before, kept, logged = finished(run), checkpoints(run), len(events(run))
        process = start(encoder, run)
        status = moments.wait(process, run, before, idle)
        if status is None:
            os.killpg(process, signal.SIGKILL)
            _, ended = os.waitpid(process, 0)
            status = os.waitstatus_to_exitcode(ended)
        log = events(run)
        found.wrong += list(redone(log[logged:], before, kept))
        found.resumed += sum(
            event == "resume" and not what.endswith("/start") for _, event, what in log[logged:]
        )
        if status == 0:
            found.made.update(what.split("/")[0] for _, event, what in log if event == "made")
            return
        if status != -signal.SIGKILL:
            found.wrong.append(f"exit status {status}: {(run / 'stderr').read_text()[-2000:]}")
            return
        found.kills[stage(log)] += 1
        idle = 0 if finished(run) > before else idle + 1


def redone(log: list[tuple[float, str, str]], before: set[str], kept: dict[str, str]) -> Iterator[str]:
    """Yield what was done again though it had been finished."""
    for _, event, what in log:
        if event == "begin" and what in before:
            yield f"{what} was made again"
        if event == "resume":
            key, _, place = what.partition("/")
            if place != kept.get(key, "start"):
                yield f"the training of {key} went on from {place} instead of {kept.get(key, 'start')}"


def stage(log: list[tuple[float, str, str]]) -> str:
    """Name what was going on when the log ended."""
    last = ""
    making: list[str] = []
    for _, event, what in log:
        kind = what.split("/")[0]
        if event == "ready":
            making, last = [], "reading, or checking what is there"
        elif event == "begin":
            making.append(kind)
        elif event == "made":
            making.remove(kind)
            last = f"after {kind}, before the next artifact"
        elif event != "resume":
            last = event
    return f"making {making[-1]}" if making else last


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's data without the times and without what the cache held already."""
    timed = {"seconds", "trained"}
    plain: dict[str, Any] = {key: value for key, value in report.items() if key not in timed}
    for part in ("taggers", "systems"):
        plain[part] = {
            name: {key: value for key, value in facts.items() if key not in timed}
            for name, facts in report.get(part, {}).items()
        }
    plain["trials"] = [
        {key: value for key, value in trial.items() if key not in timed} for trial in report.get("trials", [])
    ]
    return plain


def result_files(folder: Path) -> dict[str, str]:
    """Return a digest of each file of a result, hidden ones too; of the report, without its times."""
    if not folder.is_dir():
        return {}
    files = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in TIMED
    }
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return {**files, "report.json": json.dumps(without_times(report), sort_keys=True)}


def print_table(found: Found, files: int, seconds: float) -> None:
    print("| killed while | kills |\n| --- | ---: |")
    for what, count in sorted(found.kills.items()):
        print(f"| {what} | {count} |")
    print(f"| all | {found.kills.total()} |\n")
    made = ", ".join(f"{kind} {count}" for kind, count in sorted(found.made.items()))
    print(
        f"{found.runs} runs of {seconds:.0f} s (undisturbed) were killed {found.kills.total()} times; {found.resumed} "
        f"trainings went on from a checkpoint. Artifacts made in all runs: {made}. Compared: {files} files a run, "
        f"byte by byte. Wrong: {len(found.wrong)}."
    )
    for what in found.wrong[:20]:
        print(f"- {what}")


if __name__ == "__main__":
    main()
