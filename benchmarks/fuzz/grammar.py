"""Sound files written from corpora drawn at random: what must be read from them is known."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from esnera_hf.tagging import Entity, tags_from_entities

#: Tokens and the spans of tokens over them, a sentence each.
Truth = list[tuple[list[str], list[tuple[int, int, str]]]]

_TOKENS = (
    *(
        "a",
        "bc",
        "Ünder",
        "e\u0301",
        "北",
        "京",
        "で",
        "\U0001f468\u200d\U0001f469",
        "\u200b",
        "\u202eab",
        "ab\ufeff",
    ),
    *(
        "x\u2028y",
        "x\x85y",
        "\ufeffz",
        "=1+1",
        "../x",
        "<b>",
        "{{a",
        "*",
        "O",
        "B-x",
        "I-y",
        '"',
        "'",
        "\\",
        "-",
        "&",
    ),
)
_LETTERS = "abcxyz北京人でÜ\u0301\u200b\u202e\U0001f600"
_LABELS = ("x", "y", "PER", "a-b", "人名", "../etc", "<script>", "=cmd", "X", "NO", "null")


class Written(NamedTuple):
    """Files of a format, the options they are read with, and the truth."""

    files: dict[str, bytes]
    options: dict[str, object]
    truth: Truth


def written(target: str, choose: random.Random) -> Written:
    """Draw a corpus and write it in a format."""
    return _WRITERS[target](choose)


def _corpus(choose: random.Random, *, flat: bool, letters: bool) -> Truth:
    """Draw one to four sentences, one entity at least among them; flat ones have an outside token, too."""
    corpus: Truth = []
    for _ in range(choose.randint(1, 4)):
        tokens = choose.choices(_LETTERS if letters else _TOKENS, k=choose.randint(1, 7))
        spans = set()
        end = 0
        for _ in range(choose.randint(0, 3)):
            start = choose.randint(end if flat else 0, len(tokens) - 1) if end < len(tokens) else len(tokens)
            if start < len(tokens):
                last = choose.randint(start + 1, len(tokens))
                spans.add((start, last, choose.choice(_LABELS)))
                end = last if flat else 0
        corpus.append((tokens, sorted(spans)))
    return [*corpus, (["q", "r"], [(0, 1, "x")])]


def _lines(lines: list[str], choose: random.Random) -> bytes:
    end = choose.choice(("\n", "\r\n"))
    mark = choose.choice(("", "\ufeff"))
    return (mark + end.join(lines) + choose.choice(("", end, end + end))).encode()


def _tags(tokens: list[str], spans: list[tuple[int, int, str]], scheme: str) -> list[str]:
    tags = tags_from_entities(len(tokens), [Entity(*span) for span in spans])
    if scheme == "IOB2":
        return tags
    inside, end, single = {"BIOES": "IES", "BMES": "MES", "BMEWO": "MEW", "BILOU": "ILU"}[scheme]
    for start, stop, label in spans:
        for place in range(start + 1, stop):
            tags[place] = f"{inside}-{label}"
        tags[stop - 1] = f"{single if stop == start + 1 else end}-{label}"
    return tags


def _columns(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=True, letters=False)
    scheme = choose.choice(("IOB2", "IOB2", "BIOES", "BMES", "BMEWO", "BILOU"))
    extra = choose.choice(((), ("NN",)))
    lines = []
    for tokens, spans in truth:
        lines += [
            "\t".join((token, *extra, tag))
            for token, tag in zip(tokens, _tags(tokens, spans, scheme), strict=True)
        ]
        lines += [""] * choose.randint(1, 2)
        if choose.random() < 0.2:
            lines += choose.choice((["# a comment"], ["-DOCSTART-\tO", ""]))
    options: dict[str, object] = {
        "scheme": scheme,
        "token_column": 0,
        "tag_column": choose.choice((-1, None)),
    }
    if scheme == "IOB2" and choose.random() < 0.5:
        options["scheme"] = None
    # A mark before a first token that begins with one would leave two.
    return Written({"data.conll": _lines(["", *lines], choose)}, options, truth)


def _json(choose: random.Random) -> Written:
    offsets = choose.choice(("tokens", "characters"))
    if offsets == "tokens":
        truth = _corpus(choose, flat=False, letters=False)
        records: list[object] = [{"tokens": tokens, "spans": spans} for tokens, spans in truth]
    else:
        truth = _corpus(choose, flat=False, letters=True)
        key = choose.choice(("label", "entities", "spans"))
        records = [{"text": "".join(tokens), key: spans} for tokens, spans in truth]
    lines = [json.dumps(record, ensure_ascii=choose.random() < 0.3) for record in records]
    if choose.random() < 0.2:
        lines = ["[", *(f"{line}," for line in lines[:-1]), lines[-1], "]"]
    # Letters drawn at random have spans that end inside words, as if offsets counted otherwise.
    return Written({"data.json": _lines(lines, choose)}, {"characters": True, "offsets": offsets}, truth)


def _cluener(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=False, letters=True)
    lines = []
    for tokens, spans in truth:
        text = "".join(tokens)
        annotation: dict[str, dict[str, list[list[int]]]] = {}
        for start, end, label in spans:
            annotation.setdefault(label, {}).setdefault(text[start:end], []).append([start, end - 1])
        lines.append(json.dumps({"text": text, "label": annotation}, ensure_ascii=choose.random() < 0.3))
    return Written({"data.json": _lines(lines, choose)}, {}, truth)


def _boson(choose: random.Random) -> Written:
    truth = [
        (tokens, [span for span in spans if span[2] != "NO"])
        for tokens, spans in _corpus(choose, flat=True, letters=True)
    ]
    lines = []
    for tokens, spans in truth:
        parts = list(tokens)
        for start, end, label in spans:
            parts[start] = f"{{{{{label}{choose.choice(':：')}{parts[start]}"
            parts[end - 1] += "}}"
        lines.append("".join(parts))
    return Written({"data.txt": _lines(["", *lines], choose)}, {}, truth)


def _brackets(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=True, letters=False)
    lines = []
    for tokens, spans in truth:
        opened = {start: label for start, _, label in spans}
        closed = {end - 1 for _, end, _ in spans}
        for index, token in enumerate(tokens):
            cell = (f"({opened[index]}" if index in opened else "") + "*" + (")" if index in closed else "")
            word = token.replace("\u2028", "_").replace("\x85", "_")
            tokens[index] = word
            lines.append(f"d 0 {index} {word} NN * - - - - {cell} -")
        lines.append("")
    return Written({"data.gold_conll": _lines(["", *lines], choose)}, {}, truth)


def _slashed(choose: random.Random) -> Written:
    truth = []
    lines = []
    for tokens, spans in _corpus(choose, flat=True, letters=True):
        tags = _tags(tokens, spans, "IOB2")
        lines.append(" ".join(f"{token}/{tag}" for token, tag in zip(tokens, tags, strict=True)))
        truth.append((tokens, spans))
    safe = [line.replace("../etc", "etc") for line in lines]
    known = [([*t], [(s, e, label.replace("../etc", "etc")) for s, e, label in spans]) for t, spans in truth]
    safe = [line.replace("<script>", "script") for line in safe]
    known = [
        (t, [(s, e, label.replace("<script>", "script")) for s, e, label in spans]) for t, spans in known
    ]
    return Written({"data.txt": _lines(["", *safe], choose)}, {"scheme": "IOB2"}, known)


def _brat(choose: random.Random) -> Written:
    truth: Truth = []
    text = ""
    entities = []
    end_of_line = choose.choice(("\n", "\r\n"))
    for _ in range(choose.randint(1, 3)):
        tokens = choose.choices("abcxyz", k=choose.randint(1, 6))
        spans = []
        for _ in range(choose.randint(0, 2)):
            start = choose.randrange(len(tokens))
            spans.append((start, choose.randint(start + 1, len(tokens)), choose.choice(_LABELS)))
        for start, end, label in spans:
            first, last = len(text) + 2 * start, len(text) + 2 * end - 1
            entities.append(f"T{len(entities) + 1}\t{label} {first} {last}\t{' '.join(tokens[start:end])}")
        text += " ".join(tokens) + end_of_line
        truth.append((tokens, sorted(spans)))
    entities.append("R1\trel Arg1:T1 Arg2:T2")
    return Written({"data.ann": _lines(entities, choose), "data.txt": text.encode()}, {}, truth)


def _escaped(text: str) -> str:
    return re.sub(r"([\\\[\]|_;*]|->)", r"\\\1", text)


def _webanno(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=False, letters=False)
    lines = ["#FORMAT=WebAnno TSV 3.3", "#T_SP=custom.NamedEntity|identifier|value", "", ""]
    at = numbers = 0
    for sentence, (tokens, spans) in enumerate(truth, 1):
        numbered = {span: numbers + place for place, span in enumerate(spans, 1)}
        numbers += len(spans)
        lines.append(f"#Text={' '.join(tokens)}")
        for index, token in enumerate(tokens):
            end = at + len(token.encode("utf-16-le")) // 2
            own = [span for span in spans if span[0] <= index < span[1]]
            cell = "|".join(f"{_escaped(span[2])}[{numbered[span]}]" for span in own) or "_"
            lines.append(f"{sentence}-{index + 1}\t{at}-{end}\t{_escaped(token)}\t_\t{cell}\t")
            at = end + 1
        lines.append("")
    return Written({"data.tsv": _lines(lines, choose)}, {}, truth)


def _conllu(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=True, letters=False)
    lines = []
    for tokens, spans in truth:
        lines.append("# text = some")
        for index, (token, tag) in enumerate(zip(tokens, _tags(tokens, spans, "IOB2"), strict=True), 1):
            misc = choose.choice(("NER={}", "Gloss=x|NER={}|SpaceAfter=No"))
            lines.append("\t".join([str(index), token, *"_" * 7, misc.format(tag)]))
        lines.append("")
    options = {"scheme": "IOB2", "tag_column": "NER"}
    return Written({"data.conllu": _lines(lines, choose)}, options, truth)


def _wikiner(choose: random.Random) -> Written:
    truth = _corpus(choose, flat=True, letters=False)
    lines = []
    for tokens, spans in truth:
        tags = _tags(tokens, spans, "IOB2")
        lines.append(" ".join(f"{token}|N|{tag}" for token, tag in zip(tokens, tags, strict=True)))
    return Written({"data.txt": _lines(["", *lines], choose)}, {"scheme": "IOB2"}, truth)


def _documents(choose: random.Random, letters: str) -> list[Truth]:
    """Draw documents of one or two sentences of letters each."""
    documents: list[Truth] = [[(["x", "y"], [(0, 1, "PER")])]]
    for _ in range(choose.randint(1, 2)):
        sentences: Truth = []
        for _ in range(choose.randint(1, 2)):
            tokens = choose.choices(letters, k=choose.randint(1, 8))
            drawn = sorted(choose.sample(range(len(tokens) + 1), 2)) if len(tokens) > 1 else [0, 1]
            sentences.append((tokens, [(drawn[0], drawn[1], choose.choice(_LABELS))]))
        documents.append(sentences)
    return documents


def _pubtator(choose: random.Random) -> Written:
    documents = _documents(choose, "abcxyz")
    lines = []
    for number, sentences in enumerate(documents):
        start = 0
        spans = []
        for kind, (tokens, own) in zip("ta", sentences, strict=False):
            lines.append(f"{number}|{kind}|{''.join(tokens)}")
            spans += [(start + s, start + e, "".join(tokens[s:e]), label) for s, e, label in own]
            start += len(tokens) + 1
        lines += ["\t".join(map(str, (number, *span, "D1"))) for span in spans]
        lines += choose.choice(([""], [f"{number}\tCID\tD1\tD2", ""]))
    truth = [sentence for sentences in documents for sentence in sentences]
    return Written({"data.txt": _lines(lines, choose)}, {"characters": True}, truth)


def _bioc(choose: random.Random) -> Written:
    documents = _documents(choose, _LETTERS)
    anew = choose.random() < 0.3
    plain = []
    for number, sentences in enumerate(documents):
        passages, start = [], 0
        for tokens, own in sentences:
            base = 0 if anew else start
            annotations = [
                {
                    "infons": {"type": label},
                    "text": "".join(tokens[s:e]),
                    "locations": [{"offset": base + s, "length": e - s}],
                }
                for s, e, label in own
            ]
            passages.append({"offset": start, "text": "".join(tokens), "annotations": annotations})
            start += len(tokens) + 1
        plain.append({"id": str(number), "passages": passages})
    if choose.random() < 0.5:
        content = json.dumps({"source": "", "documents": plain}, ensure_ascii=choose.random() < 0.3).encode()
    else:
        content = f"<?xml version='1.0'?>\n<collection>{''.join(map(_bioc_xml, plain))}</collection>".encode()
    truth = [sentence for sentences in documents for sentence in sentences]
    return Written({"data.xml": content}, {"characters": True}, truth)


def _bioc_xml(document: dict[str, Any]) -> str:
    passages = []
    for passage in document["passages"]:
        annotations = [
            f"<annotation><infon key='type'>{escape(one['infons']['type'])}</infon>"
            f"<location offset='{one['locations'][0]['offset']}' length='{one['locations'][0]['length']}'/>"
            f"<text>{escape(one['text'])}</text></annotation>"
            for one in passage["annotations"]
        ]
        passages.append(
            f"<passage><offset>{passage['offset']}</offset><text>{escape(passage['text'])}</text>"
            f"{''.join(annotations)}</passage>"
        )
    return f"<document><id>{document['id']}</id>{''.join(passages)}</document>"


_WRITERS: dict[str, Callable[[random.Random], Written]] = {
    "columns": _columns,
    "json": _json,
    "cluener": _cluener,
    "boson": _boson,
    "brackets": _brackets,
    "slashed": _slashed,
    "brat": _brat,
    "webanno": _webanno,
    "conllu": _conllu,
    "wikiner": _wikiner,
    "pubtator": _pubtator,
    "bioc": _bioc,
}
