"""Small sound files of every format, and what is spliced into them."""

from __future__ import annotations

import json
from typing import Any

SPLICED: tuple[bytes, ...] = (
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b"\n\n", b"\t", b" "),
    *(b"{", b"}", b"{{", b"}}", b"[", b"]", b"(", b")", b"*", b'"', b"'", b":", b",", b";", b"|", b"/", b"#"),
    *(b"O", b"B-", b"I-", b"E-", b"S-", b"-", b"_", b"o", b"0", b"-1", b"9" * 30, b"1e999", b"NaN", b"null"),
    *(
        b"true",
        b"-DOCSTART-",
        b"T1\t",
        b"*A",
        b"&A ",
        b"!!python/object:os.system ",
        b"---\n",
        b"...\n",
        b"%",
    ),
    *(b"\\ud800", b"\\u0000", b"\x85", b"\x1b[31m", b"9" * 5000, b"[" * 2000, b'{"a":' * 2000),
    *(
        c.encode()
        for c in "\u200b\u200d\u202e\u2066\u2028\u0085\u0301\ufeff\U0001f468\u200d\U0001f469北Ｏ４²\u3000"
    ),
)

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        10**30,
        1.5,
        float("nan"),
        float("inf"),
        "",
        " ",
        "O",
        "B-x",
        "ab",
        "x/../y",
    ),
    *(
        [],
        {},
        [[]],
        [{}],
        {"": {}},
        [None],
        [1, 2],
        [0, 1, "x"],
        ["a", "b"],
        {"start": 0, "end": 1, "label": "x"},
    ),
    *("\u200b", "e\u0301", "\U0001f468\u200d\U0001f469", "\u202eab", "a\nb", "\0", "北京"),
)

TEXTS: dict[str, tuple[str, ...]] = {
    "columns": (
        "a\tB-x\nb\tI-x\nc\tO\n\n# note\nd\tB-y\ne\tO\n",
        "-DOCSTART- -X- O O\n\nA NNP B-NP B-x\nb VB I-VP O\n\nc NN B-NP S-y\n",
        "a,O\nb,B-x\n\nc,E-x\n",
        "1\ta\tB-x\tO\n2\tb\tO\tB-xpart\n\n1\tc\tI-y\tO\n",
        "北0 B-x\n京1 I-x\n\n人0 O\n",
    ),
    "json": (
        '{"text": "ab cd", "label": [[0, 2, "x"], [3, 5, "y"]]}\n{"text": "ef", "label": []}\n',
        '{"text": "ab cd", "entities": [{"start": 0, "end": 2, "label": "x", "text": "ab"}]}\n',
        '{"tokens": ["a", "b"], "spans": [[0, 1, "x"], [0, 2, "y"]]}\n',
        '{"tokens": ["a", "b"], "ner_tags": ["B-x", "O"]}\n{"tokens": ["c"], "ner_tags": ["I-x"]}\n',
        '["ab cd", {"entities": [[0, 2, "x"]]}]\n',
        '[{"data": {"text": "ab cd"}, "annotations": [{"result": '
        '[{"value": {"start": 0, "end": 2, "labels": ["x"]}}]}]}]',
        '{"content": "ab cd", "events": [{"mentions": [{"role": "trigger", "span": [0, 2]}, '
        '{"role": "x", "span": [3, 5]}, {"role": "y"}]}]}\n',
    ),
    "cluener": (
        '{"text": "ab", "label": {"x": {"b": [[1, 1]], "ab": [[0, 1]]}}}\n{"text": "ba", "label": {}}\n',
        '{"text": "北京人", "label": {"y": {"北京": [[0, 1]]}, "x": {"人": [[2, 2]]}}}\n',
    ),
    "boson": ("a{{x:b}}c\n{{x:a{{y:b}}}}\n\n{{z:1:2}}\n", "{{ x：北京}}人{{y: a }}\n"),
    "brackets": (
        "#begin document (d); part 000\nd 0 0 a NN (S * - - - (PER) -\nd 0 1 b NN (S * - - - (ORG(LOC* -\n"
        "d 0 2 c NN *) * - - - *)) -\n\nd 0 3 d NN * * - - - * -\n#end document\n",
    ),
    "slashed": ("中国/ns 人/o\nab/nr a/o\n", "中/B-LOC 国/I-LOC a/O\n", "a/b/S-x c/O\n"),
    "webanno": (
        "#FORMAT=WebAnno TSV 3.3\n#T_SP=a.NamedEntity|identifier|value\n\n\n#Text=ab c\n1-1\t0-2\tab\t_\tx[1]|y[2]\t\n"
        "1-1.1\t1-2\tb\t_\tz\t\n1-2\t3-4\tc\t*\tx[1]\t\n\n#Text=d\n2-1\t5-6\td\t_\t*\t\n2-2\t6-8\te\\_\t_\t_\t\n",
        "#FORMAT=WebAnno TSV 3.2\n#T_SP=a.Own|kind\n#T_CH=c|referenceType|referenceRelation\n#T_RL=r|BT_a.Own\n\n"
        "#Text=a b\n1-1\t0-1\ta\tx\tpr[1]\tcoref->1-1\t1-2\t\n1-2\t2-3\tb\t_\t_\t_\t_\t\n",
    ),
    "conllu": (
        "# text = ab c\n1-2\tabc\t_\t_\t_\t_\t_\t_\t_\t_\n1\tab\t_\t_\t_\t_\t_\t_\t_\tNER=B-x\n"
        "2\tc\t_\t_\t_\t_\t_\t_\t_\tNER=I-x|SpaceAfter=No\n\n1\td\t_\t_\t_\t_\t_\t_\t_\tNER=O\n",
        "# global.Entity = eid-etype-head-other\n1\ta\t_\t_\t_\t_\t_\t_\t_\tEntity=(e1-x-1-(e2-y-1-)\n"
        "2\tb\t_\t_\t_\t_\t_\t_\t_\tEntity=e1)\n",
    ),
    "wikiner": ("a|N|I-LOC b|N|I-LOC c|N|B-LOC .|.|O\n\nd|V|O\n", "a|B-x b|I-x c|O\n"),
    "pubtator": (
        "1|t|a bc\n1|a|d e\n1\t0\t1\ta\tx\tD1\n1\t5\t6\td\tT001,T002\n1\tCID\tD1\tD2\n\n2|t|f\n2\t0\t1\tf\ty\n",
    ),
    "bioc": (
        '{"documents": [{"id": "1", "passages": [{"offset": 0, "text": "a b", "annotations": [{"infons": {"type": '
        '"x"}, "text": "b", "locations": [{"offset": 2, "length": 1}, {"offset": 0, "length": 1}]}]}]}]}\n',
        "<?xml version='1.0'?><!DOCTYPE collection SYSTEM 'BioC.dtd'><collection><document><id>1</id><passage><offset>3"
        "</offset><text>a &amp; b</text><annotation><infon key='type'>x</infon><location offset='7' length='1'/><text>b"
        "</text></annotation></passage></document></collection>",
    ),
    "brat": ("T1\tx 0 2\tab\nT2\ty 3 5;9 11\tcd kl\nR1\tr Arg1:T1\n#1\tnote\n", "T1\tx 0 5\tab cd\n"),
}
BRAT_TEXT = "ab cd\nef gh kl\n\u200b北京 e\u0301\n"

MAPPINGS = (
    "version: 2\nunified_labels: [PER, LOC]\nlabels:\n- {source: a, label: PER, unified: PER}\n"
    "- {source: b, label: person, unified: PER}\n"
    "- {source: b, label: place, unified: LOC, locked: true, mentions: 3}\n"
    "- {source: a, label: MISC, unified: null}\n",
    "version: 2\nmethod: greedy\nlambda: 0.5\nunified_labels:\n- PER\n\nparents: {}\n"
    "labels:\n- source: a\n  label: PER\n  unified: PER\n  mentions: 12\n"
    "  compared_with: {source: b, label: 'NO', "
    "similarity: 0.5}\n- source: b\n  label: 'NO'\n  unified: PER\n",
)  # fmt: skip

RECIPE: dict[str, Any] = {
    "version": 2,
    "salt": "00" * 16,
    "dataset": "11" * 16,
    "splits": ["train", "validation", "test"],
    "sources": {"a": "https://example.org/a", "b": ""},
}
MANIFEST: dict[str, Any] = {
    "files": ["data/merged/train-00000-of-00001.parquet", "mapping.yaml", "flow.svg"],
    "metadata": {"configs": [{"config_name": "merged"}], "license": "other"},
}
REPORT: dict[str, Any] = {
    "settings": {"call": "apply", "mapping": None, "sources": ["a"]},
    "sources": [{"name": "a"}],
}
SIMILARITY: dict[str, Any] = {
    "labels": [["a", "x"], ["b", "y"]],
    "support": [1, 2],
    "matched": [[0, 1], [1, 0]],
    "predicted": [[0, 1], [2, 0]],
    "semantic": [[1.0, 0.5], [0.5, 1.0]],
    **{name: [[None, 0.5], [0.5, None]] for name in ("overlap", "siblings")},
    **{name: [[0, 1], [1, 0]] for name in ("occurring", "shared", "shared_same")},
    "read": [1, 2],
    "recall": [0.5, None],
    "reliability": [1.0, 0.5],
}


def json_values(target: str) -> list[list[Any]]:
    """Return the records of the JSON seeds of a format, parsed."""
    values = []
    for text in TEXTS[target]:
        lines = text.splitlines()
        values.append([json.loads(line) for line in lines])
    return values
