"""``evidence`` and ``answer``: what others may know of a source whose text they may not have."""

from __future__ import annotations

import argparse
from pathlib import Path

from esnera_hf._internal.text import visible
from esnera_hf.cli.options import SALT, Commands, add_command, add_reading_options, read_salt, read_source


def add_commands(commands: Commands) -> None:
    """Add the commands that make evidence bundles and answer those of others."""
    evidence = add_command(
        commands,
        "evidence",
        "write what an alignment needs of a source, without its text",
        "Write an evidence bundle: light heads, centroids and counts of the labels of a source, no token and no "
        "mention. `esnera-hf align` takes it in the place of the text.",
        operands="SOURCE --output FILE.evidence",
    )
    answer = add_command(
        commands,
        "answer",
        "count what a bundle of others finds on a source, for them",
        "Write an answer to an evidence bundle: what its heads predict on a source of yours, as counts. Give it to "
        "`esnera-hf align` beside the bundles of both.",
        operands="BUNDLE SOURCE --output FILE.answer",
    )
    answer.add_argument(
        "bundle", metavar="BUNDLE", help="a file that `esnera-hf evidence` wrote, or owner/name"
    )
    for command, run in ((evidence, _evidence), (answer, _answer)):
        command.add_argument("source", metavar="SOURCE", help="see below")
        command.add_argument("--output", type=Path, required=True, metavar="FILE", help="must not exist")
        command.add_argument(
            "--encoder",
            help="folder or Hub id, the same on all sides (default: by language, or the bundle's)",
        )
        command.add_argument("--seed", type=int, default=42, help="of the sentences read (default: 42)")
        command.add_argument(
            "--min-support", type=int, default=3, metavar="N", help="say nothing of rarer labels (default: 3)"
        )
        command.add_argument("--salt", **SALT)
        add_reading_options(command)
        command.set_defaults(run=run)
    evidence.add_argument(
        "--strength", type=float, metavar="C", help="inverse regularization of the heads; less reveals less"
    )
    evidence.add_argument(
        "--noise", type=float, default=0.0, metavar="S", help="noise on the heads, as a share (default: 0)"
    )


def _evidence(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf._internal.files import check_free
    from esnera_hf.hub.evidence import Evidence

    check_free(options.output)  # before minutes of reading
    strength = {} if options.strength is None else {"strength": options.strength}
    with quiet_libraries():
        made = Evidence.from_source(
            read_source(options.source, options),
            encoder=options.encoder,
            seed=options.seed,
            min_support=options.min_support,
            noise=options.noise,
            salt=read_salt(options.salt),
            **strength,
        )
        made.save(options.output)
    print("\n".join(map(visible, str(made).split("\n"))))
    print(f"saved to {options.output}")


def _answer(options: argparse.Namespace) -> None:
    from esnera_hf._internal.console import quiet_libraries
    from esnera_hf._internal.files import check_free
    from esnera_hf.hub.answer import Answer
    from esnera_hf.hub.evidence import Evidence

    check_free(options.output)
    with quiet_libraries():
        made = Answer.from_source(
            Evidence.load(options.bundle),
            read_source(options.source, options),
            encoder=options.encoder,
            seed=options.seed,
            min_support=options.min_support,
            salt=read_salt(options.salt),
        )
        made.save(options.output)
    print(visible(str(made)))
    print(f"saved to {options.output}")
