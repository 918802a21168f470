"""The command line: parse, call, print."""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from io import TextIOWrapper
from typing import Any

from esnera_hf._internal.console import LEVELS, configure_output, write_event
from esnera_hf._internal.processes import process_count
from esnera_hf._internal.text import visible
from esnera_hf.cli import align, atlas, cache, check, data, demo, evidence, hub, review, taggers
from esnera_hf.cli.options import SOURCES_HELP
from esnera_hf.errors import ConfigurationError, EsneraError

_EXAMPLES = """\

examples:
  esnera-hf demo
  esnera-hf sources
  esnera-hf inspect cluener weibo
  esnera-hf check cluener --output errors.csv
  esnera-hf align cluener weibo --encoder hfl/chinese-bert-wwm-ext --output merged
  esnera-hf align a=data/a b=data/b --max-samples 500 --method greedy --lambda 0.4 --tau 0.4
  esnera-hf review merged
  esnera-hf export merged --format conll --output merged-conll
  esnera-hf push merged me/zh-ner --no-text
  esnera-hf atlas build cluener weibo --encoder hfl/chinese-bert-wwm-ext --output atlas
  esnera-hf locate mine=path/to/mine --atlas atlas
  esnera-hf apply me/zh-ner cluener boson=path/to/boson.txt --output rebuilt
  esnera-hf train cluener --encoder hfl/chinese-bert-wwm-ext --output cluener-tagger
  echo 浙商银行的叶老桂博士 | esnera-hf predict cluener-tagger
"""
_HIDDEN: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
#: By convention the exit code of what a signal ended is this and the number of the signal.
_SIGNALLED = 128
_INTERRUPTED = (
    "No output was written; finished trainings are kept, and the same command goes on where it stopped."
)
#: The commands whose work several processes of a launcher share; any other would do all of it in each.
_SHARED = ("align", "apply", "train")
#: Of an error of a stream: its disk is full, or it is gone.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)
#: What messages call the values of options that are called otherwise.
_SPELT = {"source_format": "format", "tag_name": "tag_names"}
#: What else of messages is called otherwise on the command line.
_OTHERWISE = {
    "λ = ": "--lambda ",
    "τ = ": "--tau ",
    "train_merged=True": "--train-merged",
    "create_pr": "--pr",
    "text=False": "--no-text",
    r'may_share=\["NAME"\]': "--may-share NAME",
    r"tag_names=\{'([^']*)': \"O\"\}": r"--tag-name='\1=O'",
    r"tag_names=\{'B': 'B-TERM', 'I': 'I-TERM'\}": "--tag-name=B=B-TERM --tag-name=I=I-TERM",
    r"tag_names=\{…\}": "--tag-name",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (bad input), 130 (Ctrl-C) or 143 (SIGTERM)."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what its encoding lacks is written as an escape
            stream.reconfigure(errors="backslashreplace")
    options = make_parser().parse_args(arguments)
    status, message = 0, ""
    with _output_of(options), _terminating():
        status, message = _run(options)
        if options.json:
            write_event("end", "error" if status else "info", status=status, message=message)
        elif message:
            shown = "\n".join(map(visible, f"esnera-hf: {message}".split("\n")))
            # After Ctrl-C the cursor stands behind what the terminal shows of it.
            _complain(f"\n{shown}" if status > _SIGNALLED else shown)
    return status


def _run(options: argparse.Namespace) -> tuple[int, str]:
    """Run a command; return its exit code and, if it failed, why."""
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
    except EsneraError as error:
        if options.log_level == "debug":
            traceback.print_exc()
        return 1, _with_option_names(str(error), options)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        # Nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1, f"standard output cannot be written: {error.strerror}. {_INTERRUPTED}"
    except KeyboardInterrupt as error:
        why, number = ("terminated", signal.SIGTERM) if str(error) else ("interrupted", signal.SIGINT)
        return _SIGNALLED + number, f"{why}. {getattr(options, 'interrupted', _INTERRUPTED)}"
    return 0, ""


def _replace_closed_streams() -> None:
    """Put something in the place of standard streams that are closed, where files would be opened otherwise."""
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    if "stdout" in closed:
        _complain("esnera-hf: standard output is closed: nothing is printed there")


def _complain(message: str) -> None:
    with suppress(OSError):  # of a full disk behind standard error, too
        print(message, file=sys.stderr, flush=True)


@contextmanager
def _terminating() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: nothing half-written stays, and the same command goes on where it stopped."""

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the clearing away
        raise KeyboardInterrupt("SIGTERM")

    # Signals are handled in the main thread alone; whoever calls main from another one handles them there.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _output_of(options: argparse.Namespace) -> Iterator[None]:
    if options.log_level == "info" and not options.json:
        yield
        return

    configure_output(options.log_level, options.json)
    try:
        yield
    finally:
        configure_output("info", False)


def _with_option_names(message: str, options: argparse.Namespace) -> str:
    """Say ``--max-samples 0: …`` where a message says ``max_samples=0: …``."""
    names = dict(_OTHERWISE)
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    # Of several options for one value the first counts.
    for action in reversed(commands.choices[options.command]._actions):
        # What is given by its place has no name there, and these two are no one's argument.
        if action.option_strings and action.dest not in ("json", "log_level"):
            name = _SPELT.get(action.dest, action.dest)
            option = action.option_strings[0]
            # 'name=PATH' is how a source is named, on the command line, too.
            names |= {rf"{name}=(?=[\s.,;)]|$)": option, rf"{name}=(?!PATH\b|path\b)": f"{option} "}
            names |= {rf"{name}:(?=\s)": f"{option}:"}
    for name, option in names.items():
        # Neither a part of a word nor of the name of a file, such as report.json.
        message = re.sub(rf"(?<![\w./-]){name}", option, message)
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
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default="info",
        metavar="LEVEL",
        help="debug (with the libraries' messages), info (default), warning or error (both without bars)",
    )
    parser.add_argument(
        "--json", action="store_true", help="write messages and progress as JSON lines to standard error"
    )
    for room in (align, review, evidence, atlas, data, check, taggers, hub, demo, cache):
        room.add_commands(commands)
    # After the command, too, where most people write them; their help stands once, in that of esnera-hf.
    for command in commands.choices.values():
        command.add_argument("--log-level", choices=LEVELS, **_HIDDEN)
        command.add_argument("--json", action="store_true", **_HIDDEN)
    return parser
