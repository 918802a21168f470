"""``evidence`` and ``answer``: what others may know of a source whose text they may not have."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf._internal.console import quiet_libraries
from esnera_hf._internal.files import check_new_file
from esnera_hf._internal.text import visible
from esnera_hf.cli.options import SEED, Commands, add_command, given
from esnera_hf.cli.reading import READING, read_salt, read_source

#: Recall of a head on its own text below which its predictions are too few to count.
_WEAK = 0.05


def add_commands(commands: Commands) -> None:
    """Add the commands that make evidence bundles and answer those of others."""
    evidence = add_command(
        commands,
        "evidence SOURCE --output FILE.evidence",
        _evidence,
        "write what an alignment needs of a source, without its text",
        "Write an evidence bundle: light heads and counts of the labels of a source, no token and no "
        "mention. `esnera-hf align` takes it in the place of the text.",
        parents=[READING],
    )
    answer = add_command(
        commands,
        "answer BUNDLE SOURCE --output FILE.answer",
        _answer,
        "count what a bundle of others finds on a source, for them",
        "Write an answer to an evidence bundle: what its heads predict on a source of yours, as counts. Give it to "
        "`esnera-hf align` beside the bundles of both.",
        parents=[READING],
    )
    answer.add_argument(
        "bundle", metavar="BUNDLE", help="a file that `esnera-hf evidence` wrote, or owner/name"
    )
    for command in (evidence, answer):
        command.add_argument("source", metavar="SOURCE", help="see below")
        command.add_argument("--output", type=Path, required=True, metavar="FILE", help="must not exist")
        command.add_argument(
            "--encoder",
            help="folder or Hub id, the same on all sides (default: by language, or the bundle's)",
        )
        command.add_argument("--seed", **SEED)
        command.add_argument(
            "--min-support",
            type=int,
            metavar="N",
            help="say nothing of rarer labels (default: 20, of answer 3)",
        )
        command.add_argument(
            "--salt",
            metavar="NAME",
            help="environment variable or file with the secret that forms are hashed with",
        )
    held_back = evidence.add_mutually_exclusive_group()
    held_back.add_argument(
        "--reveal",
        type=float,
        metavar="A",
        help="how well an attack may tell that a mention was read: 0.5 is guessing (default: 0.54)",
    )
    held_back.add_argument(
        "--exact",
        dest="reveal",
        action="store_const",
        const=1.0,
        help="hold nothing back: for text that is public, or a trusted partner",
    )


def _evidence(options: argparse.Namespace) -> None:
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.sources.load import EVIDENCE_SUFFIX

    check_new_file(options.output, EVIDENCE_SUFFIX)  # before minutes of reading
    with quiet_libraries():
        made = Evidence.from_source(
            read_source(options.source, options),
            encoder=options.encoder,
            seed=options.seed,
            salt=read_salt(options.salt),
            **given(options, "reveal", "min_support"),
        )
        made.save(options.output)
    print(made)
    weak = [label for label in made.labels if made.head.recall.get(label, 1.0) < _WEAK]
    if weak:
        print(
            f"The heads find (recall) less than {_WEAK:.0%} of the mentions of {len(weak):,} of {len(made.labels):,} "
            "labels: others compare these by names alone. More mentions help, or a higher --reveal, which tells more."
        )
    print(f"saved to {options.output}")


def _answer(options: argparse.Namespace) -> None:
    from esnera_hf.hub.answer import Answer
    from esnera_hf.hub.evidence import Evidence
    from esnera_hf.sources.load import ANSWER_SUFFIX

    check_new_file(options.output, ANSWER_SUFFIX)
    with quiet_libraries():
        made = Answer.from_source(
            Evidence.load(options.bundle),
            read_source(options.source, options),
            encoder=options.encoder,
            seed=options.seed,
            **given(options, "min_support"),
            salt=read_salt(options.salt),
        )
        made.save(options.output)
    print(visible(str(made)))
    print(f"saved to {options.output}")
