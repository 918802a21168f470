"""When a kill strikes: at any moment of a run, or at one of a stage that is drawn first."""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

#: Of the time that is left by the undisturbed run; a kill strikes at a random moment of this share of it.
SHARE = 0.3
#: Of the kills, those that are aimed at a stage.
AIMED = 0.5


@dataclass
class Moments:
    """When kills strike.

    Attributes:
        chance: draws them.
        stages: strike in these alone; if not given, some kills are aimed at any
            stage and the others at none.
        lasting: seconds that each artifact takes itself, and ``rest``.
        spans: the longest that an artifact of each kind takes with all that it
            is made of, and ``saving``.
    """

    chance: random.Random
    stages: list[str] | None = None
    lasting: dict[str, float] = field(default_factory=dict)
    spans: dict[str, float] = field(default_factory=dict)

    def learn(self, run: Path) -> None:
        """Take the times from an undisturbed run.

        Raises:
            SystemExit: it has not got the stages that are to be struck in.
        """
        self.lasting, self.spans = times(events(run))
        unknown = sorted(set(self.stages or ()) - self.spans.keys())
        if unknown:
            sys.exit(f"no such stage: {', '.join(unknown)}. There are {', '.join(sorted(self.spans))}.")

    def stage(self, finished: set[str]) -> str | None:
        """Draw the stage to strike in, of those that are to come; ``None`` for any."""
        if self.stages is None and self.chance.random() >= AIMED:
            return None
        ahead = {what.split("/")[0] for what in self.lasting.keys() - finished} | {"saving"}
        left = sorted(ahead & self.spans.keys() & set(self.stages or self.spans))
        return self.chance.choice(left) if left else None

    def wait(self, process: int, run: Path, finished: set[str], idle: int) -> int | None:
        """Wait until the kill is to strike; return the exit status if the process ends before.

        Args:
            process: what is killed.
            run: its folder.
            finished: the artifacts that are there.
            idle: how many kills in a row have left nothing new behind; moments
                come later then, so that it ends.
        """
        aim = self.stage(finished)
        patience = 1 + idle / 4
        if aim is None:
            left = sum(seconds for what, seconds in self.lasting.items() if what not in finished)
            return wait(process, self.chance.uniform(0, left * SHARE * patience))
        logged = len(events(run))
        while not any(begun == aim for begun in map(beginning, events(run)[logged:])):
            status = wait(process, 0.005)
            if status is not None:
                return status
        return wait(process, self.chance.uniform(0, self.spans[aim] * patience))


def beginning(event: tuple[float, str, str]) -> str:
    """Return the stage that begins with an event; ``""`` if none does."""
    _, name, what = event
    return {"begin": what.split("/")[0], "saving": name}.get(name, "")


def times(log: list[tuple[float, str, str]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return seconds of what an undisturbed run did: ``lasting`` and ``spans`` of :class:`Moments`."""
    lasting: dict[str, float] = {}
    spans: dict[str, float] = {}
    began: list[float] = []
    within = [0.0]
    for when, event, what in log:
        if event in ("begin", "saving"):
            began.append(when)
            within.append(0.0)
        elif event in ("made", "saved"):
            took = when - began.pop()
            lasting[what] = took - within.pop()
            within[-1] += took
            kind = "saving" if event == "saved" else what.split("/")[0]
            spans[kind] = max(took, spans.get(kind, 0.0))
    saving = lasting.pop("result")
    return {**lasting, "rest": log[-1][0] - log[0][0] - within[0] + saving}, spans


def events(run: Path) -> list[tuple[float, str, str]]:
    """Read the log of a run."""
    lines = (run / "log").read_text().splitlines() if (run / "log").exists() else []
    return [(float(when), event, what) for when, event, what in (line.split(" ", 2) for line in lines)]


def wait(process: int, seconds: float) -> int | None:
    """Wait for a process; return its exit status, negative for a signal, ``None`` if it still runs."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.01)
