"""The command line of a benchmark: its docstring as the help, and the options that several benchmarks have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_SHARED: dict[str, dict[str, Any]] = {
    "--data": {"type": Path, "required": True, "help": "holds jsonl/NAME.SPLIT.jsonl.gz"},
    "--gold": {"type": Path, "required": True, "help": "relations between labels"},
    "--encoder": {"required": True, "help": "folder or Hub id"},
    "--seed": {"type": int, "default": 42},
}


def benchmark_parser(description: str | None, *shared: str) -> argparse.ArgumentParser:
    """Return a parser with some of the shared options, written as on the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in shared:
        parser.add_argument(name, **_SHARED[name])
    return parser
