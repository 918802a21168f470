"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper

from esnera_hf._internal.processes import process_count
from esnera_hf._internal.text import visible
from esnera_hf.cli import align, data, demo, hub, taggers
from esnera_hf.cli.options import OPTIONS, SOURCES_HELP
from esnera_hf.errors import ConfigurationError, EsneraError

_EXAMPLES = """\

examples:
  esnera-hf demo
  esnera-hf sources
  esnera-hf inspect cluener weibo
  esnera-hf align cluener weibo --encoder hfl/chinese-bert-wwm-ext --output merged
  esnera-hf align a=data/a b=data/b --max-samples 500 --method greedy --lambda 0.4 --tau 0.4
  esnera-hf export merged --format conll --output merged-conll
  esnera-hf push merged me/zh-ner --no-text
  esnera-hf apply me/zh-ner cluener boson=path/to/boson.txt --output rebuilt
  esnera-hf train cluener --encoder hfl/chinese-bert-wwm-ext --output cluener-tagger
  echo 浙商银行的叶老桂博士 | esnera-hf predict cluener-tagger
"""
_INTERRUPTED = (
    "No output was written; finished trainings are kept, and the same command goes on where it stopped."
)
#: The commands whose work several processes of a launcher share; any other would do all of it in each.
_SHARED = ("align", "apply", "train")
#: What else of messages is called otherwise on the command line.
_OTHERWISE = {
    "λ = ": "--lambda ",
    "τ = ": "--tau ",
    "train_merged=True": "--train-merged",
    "create_pr": "--pr",
    "text=False": "--no-text",
    r'may_share=\["NAME"\]': "--may-share NAME",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (bad input), 130 (interrupted)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what its encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    options = make_parser().parse_args(arguments)
    try:
        if process_count() > 1 and options.command not in _SHARED:
            raise ConfigurationError(
                f"{process_count()} processes were launched, and each would do all that `{options.command}` does. "
                f"Run it without a launcher; {', '.join(_SHARED)} share their work."
            )
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough; nothing may be written to the pipe at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EsneraError as error:
        message = _with_option_names(str(error), options)
        print("\n".join(map(visible, f"esnera-hf: {message}".split("\n"))), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nesnera-hf: interrupted. {getattr(options, 'interrupted', _INTERRUPTED)}", file=sys.stderr)
        return 130
    return 0


def _with_option_names(message: str, options: argparse.Namespace) -> str:
    """Say ``--max-samples 0: …`` where a message says ``max_samples=0: …``."""
    names = dict(_OTHERWISE)
    for name in vars(options):
        option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
        names |= {f"{name}=": f"{option} ", f"{name}:": f"{option}:"}
    for name, option in names.items():
        message = re.sub(rf"(?<![\w-]){name}", option, message)
    return message


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="esnera-hf",
        description="Find which labels of several NER datasets mean the same, and merge the datasets.",
        epilog=SOURCES_HELP + _EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"esnera-hf {version('esnera-hf')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for room in (align, data, taggers, hub, demo):
        room.add_commands(commands)
    return parser
