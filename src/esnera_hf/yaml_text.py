"""Plain data as YAML that people read and that reads back as what it was."""

from __future__ import annotations

import sys
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes texts with characters that cannot be printed in double quotes, as escapes.

    PyYAML's choice of quotes loses some of them, such as U+0085, and lets others
    break the line.
    """

    # A list that is the same object twice is written twice, not as a reference.
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)


def dump_yaml(data: Any, *, flow: bool = False) -> str:
    """Return data as YAML: keys in order, a text never broken across lines.

    Args:
        data: plain data.
        flow: in flow style, in one line.
    """
    return str(
        yaml.dump(
            data,
            Dumper=_Dumper,
            default_flow_style=flow,
            allow_unicode=True,
            sort_keys=False,
            width=sys.maxsize,
        )
    )
