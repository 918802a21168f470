"""Do the parsers give a sound dataset or a useful error, whatever they are fed?

Feeds every reader, the tag schemes, character offsets, mapping.yaml, recipe.json,
esnera.json and report.json with files spoiled at random and with sound files whose content
is known. An input passes if what was read is sound (spans in range, nothing
lost, equal to what was written where that is known) or if the error is one of
this package that names the file. Every other outcome is a failure: its input is
kept in a folder to be run again. Prints a Markdown table by parser, and the
kinds of messages that name no line.

    python benchmarks/fuzz --inputs 1000000 --seed 0
    python benchmarks/fuzz --replay fuzz-failures/columns-1a2b3c4d
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from datasets import disable_progress_bars
from targets import SHARES, Case, make, run

from esnera_hf._internal.console import quiet_libraries
from esnera_hf.errors import ConservationError, EsneraError

_LONGEST = 10.0
_IN_MEMORY = Path("/dev/shm")
#: These say themselves where they are wrong: their callers name the file.
_UNNAMED = ("tags", "offsets", "manifest")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=10_000, help="how many in total")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs")
    parser.add_argument("--only", choices=sorted(SHARES), help="one parser alone")
    parser.add_argument(
        "--failures", type=Path, default=Path("fuzz-failures"), help="where failures are kept"
    )
    parser.add_argument("--replay", type=Path, help="run one failure again")
    options = parser.parse_args()
    disable_progress_bars()
    signal.signal(signal.SIGALRM, _too_slow)
    with quiet_libraries():
        if options.replay:
            _replay(options.replay)
            return
        sys.exit(1 if _fuzz(options) else 0)


def _fuzz(options: argparse.Namespace) -> int:
    targets = (
        [options.only] if options.only else [name for name, share in SHARES.items() for _ in range(share)]
    )
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in SHARES if name in targets}
    unplaced: Counter[str] = Counter()
    started = time.perf_counter()
    with TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        for number in range(options.inputs):
            if time.perf_counter() - started > options.seconds:
                break
            choose = random.Random(f"{options.seed}/{number}")
            case = make(choose.choice(targets), choose)
            place = Path(folder) / case.target
            place.mkdir(exist_ok=True)
            outcome = _outcome(case, place, unplaced)
            outcomes[case.target][outcome] += 1
            if outcome == "failed":
                _keep(case, options.failures)
    failed = _print(outcomes, time.perf_counter() - started)
    for message, count in unplaced.most_common(40):
        print(f"no line: {count:,} × {message}")
    return failed


def _outcome(case: Case, folder: Path, unplaced: Counter[str]) -> str:
    """Run one input and say what became of it; tracebacks of failures are appended to a list."""
    signal.setitimer(signal.ITIMER_REAL, _LONGEST)
    try:
        run(case, folder)
    except EsneraError as error:
        message = str(error)
        named = case.target in _UNNAMED or any(name.partition(".")[0] in message for name in case.files)
        # What was written as a sound file is to be read.
        sound = case.truth is not None
        if isinstance(error, ConservationError) or not named or len(message) > 3000 or sound:
            _failures.append(traceback.format_exc())
            return "failed"
        if not re.search(r"(line|record) \d", message):
            unplaced[re.sub(r"'[^']*'|\d+|\S*data\.\w+", "…", message)[:100]] += 1
        return "refused"
    except Exception:  # noqa: BLE001  whatever else comes out of a parser is what is looked for
        _failures.append(traceback.format_exc())
        return "failed"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "read"


_failures: list[str] = []


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no answer after {_LONGEST:.0f} s")


def _keep(case: Case, folder: Path) -> None:
    content = b"".join(case.files.values()) + repr(case.options).encode()
    home = folder / f"{case.target}-{hashlib.sha256(content).hexdigest()[:8]}"
    home.mkdir(parents=True, exist_ok=True)
    for name, data in case.files.items():
        (home / name).write_bytes(data)
    record = {
        "target": case.target,
        "files": list(case.files),
        "options": dict(case.options),
        "truth": case.truth,
    }
    (home / "case.json").write_text(json.dumps(record), encoding="utf-8")
    (home / "traceback.txt").write_text(_failures.pop(), encoding="utf-8", errors="replace")


def _replay(home: Path) -> None:
    record = json.loads((home / "case.json").read_text(encoding="utf-8"))
    files = {name: (home / name).read_bytes() for name in record["files"]}
    with TemporaryDirectory() as folder:
        run(Case(record["target"], files, record["options"], record["truth"]), Path(folder))
    print("passed")


def _print(outcomes: dict[str, Counter[str]], seconds: float) -> int:
    print("| parser | inputs | read | refused | failed |\n| --- | ---: | ---: | ---: | ---: |")
    total = sum(outcomes.values(), Counter[str]())
    for name, counts in [*outcomes.items(), ("together", total)]:
        cells = [counts.total(), *(counts[kind] for kind in ("read", "refused", "failed"))]
        print(f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    print(f"{seconds:.0f} s, {total.total() / max(seconds, 1e-9):,.0f} inputs a second")
    return total["failed"]


if __name__ == "__main__":
    main()
