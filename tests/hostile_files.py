"""Thirteen kinds of file that a stranger can give, and twenty hostile edits of each."""

from __future__ import annotations

import copy
import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy

#: Where an edit would have something written or removed, and where it would have something requested.
VICTIM = "/esnera-victim"
ADDRESS = "http://127.0.0.1:9/esnera"
DEEP = 20_000

Edit = tuple[str, bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        folder: what it is given in, of those that the suite makes.
        file: its place there.
        edits: makes hostile contents out of a sound one, by what is done.
    """

    folder: str
    file: str
    edits: Callable[[bytes], Iterator[Edit]]


class _Runs:
    """Makes a folder where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (Path(VICTIM),)


PICKLE = pickle.dumps(_Runs())


def _raw(content: bytes) -> Iterator[Edit]:
    yield "empty", b""
    yield "cut", content[: len(content) // 2]
    yield "pickle", PICKLE


def _text(content: bytes) -> Iterator[Edit]:
    yield from _raw(content)
    yield "not UTF-8", b"\xff" + content
    yield "NUL", content.replace(b"\n", b"\0", 1) if b"\n" in content else b"\0" + content
    yield "deep list", b"[" * DEEP + b"]" * DEEP


def json_edits(
    *changes: tuple[tuple[str | int, ...], Any], once: bool = True
) -> Callable[[bytes], Iterator[Edit]]:
    """Return edits of JSON: of any, and values that are put at a place of this kind.

    Args:
        changes: places and values.
        once: whether a key may stand only once; tokenizers, whose reader takes the last one, hold no settings.
    """

    def edits(content: bytes) -> Iterator[Edit]:
        yield from _text(content)
        data = json.loads(content)
        key = next(iter(data))
        yield "a list", json.dumps([data]).encode()
        if once:
            yield "a key twice", b'{"%s": null,' % key.encode() + content.strip()[1:]
        yield "a deep object", b'{"%s":' % key.encode() * DEEP + b"1" + b"}" * DEEP
        yield "half a surrogate pair", json.dumps({**data, key: "\ud800"}).encode()
        for place, value in changes:
            edited = copy.deepcopy(data)
            holder = edited
            for name in place[:-1]:
                holder = holder[name]
            holder[place[-1]] = value
            yield f"{'.'.join(map(str, place))}={json.dumps(value)[:60]}", json.dumps(edited).encode()

    return edits


def _training(**settings: Any) -> tuple[tuple[str | int, ...], Any]:
    return ("call", "settings", "taggers", "training"), settings


def _reading(data_file: str) -> tuple[tuple[str | int, ...], Any]:
    return ("call", "reading"), [{"data_files": {"train": data_file}}] * 2


REPORT = json_edits(
    _training(output_dir=VICTIM),
    _training(push_to_hub=True, hub_model_id="stranger/x"),
    _training(learning_rate="1e-3"),
    _reading(ADDRESS),
    _reading(VICTIM),
    (("call", "settings", "schema", "strange"), 1),
    (("call", "settings", "evidence", "kind"), "kernel"),
    (("call", "seed"), 1 << 40),
    (("call", "function"), "system"),
    (("sources", 0, "sentences"), {"train": "many"}),
)
RECIPE = json_edits(
    (("version",), 99),
    (("salt",), "zz" * 16),
    (("salt",), VICTIM),
    (("dataset",), "../../x"),
    (("dataset",), None),
    (("splits",), ["../../x", "validation", "test"]),
    (("splits",), 3),
    (("sources",), {"alpha": 1}),
    (("sources",), [ADDRESS]),
    (("strange",), 1),
)
SIMILARITY = json_edits(
    (("labels",), [["alpha", "per"]]),
    (("labels", 0), ["alpha", 1]),
    (("labels", 0), {}),
    (("support",), ["1"]),
    (("semantic", 0, 1), 1e300),
    (("semantic", 0), [0.5]),
    (("matched", 0, 1), -1),
    (("predicted",), None),
    (("matched", 0, 1), 10**30),
    (("strange",), ADDRESS),
)
ENCODER = json_edits(
    (("model_type",), "timm_wrapper"),
    (("model_type",), ["bert"]),
    (("num_hidden_layers",), 10**9),
    (("num_labels",), 10**12),
    (("hidden_size",), 48),
    (("vocab_size",), 5),
    (("num_attention_heads",), 0),
    (("hidden_act",), "system"),
    (("quantization_config",), {"quant_method": "stranger/x"}),
    (("layer_norm_eps",), VICTIM),
)
TAGGER = json_edits(
    (("model_type",), "bert"),
    (("encoder_config",), ADDRESS),
    (("encoder_config", "model_type"), "timm_wrapper"),
    (("encoder_config", "hidden_size"), 48),
    (("encoder_config", "num_hidden_layers"), 10**9),
    (("id2label",), {"0": "O", "1": "B-x", "2": 5}),
    (("id2label",), {"0": "B-x", "1": "I-x", "2": "I-y"}),
    (("window_length",), -1),
    (("special_ids",), VICTIM),
    (("classifier_dropout",), 5),
)
TOKENIZER = json_edits(
    (("model",), None),
    (("model", "type"), "Stranger"),
    (("model", "vocab"), {"a": -1}),
    (("model", "vocab"), ADDRESS),
    (("model", "vocab", "[PAD]"), 10**9),
    (("normalizer",), {"type": "Stranger"}),
    (("pre_tokenizer",), VICTIM),
    (("post_processor",), {"type": "TemplateProcessing", "single": VICTIM}),
    (("model", "vocab", "[UNK]"), VICTIM),
    (("decoder",), 3),
    (("model", "unk_token"), ["[UNK]"]),
    once=False,
)
DATASET_INFO = json_edits(
    (("features",), None),
    (("features", "tokens"), {"_type": "system"}),
    (("features", "tokens"), {"dtype": "stranger", "_type": "Value"}),
    (("features", "tokens"), VICTIM),
    (("features",), {"tokens": {"dtype": "string", "_type": "Value"}}),
    (("features", "ner_tags"), {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}),
    (("features", "ner_tags"), {"feature": {"names": 3, "_type": "ClassLabel"}, "_type": "List"}),
    (("features", "strange"), {"dtype": "string", "_type": "Value"}),
    (("features",), []),
    (("features",), ADDRESS),
)


def _mapping(content: bytes) -> Iterator[Edit]:
    yield from _text(content)
    text = content.decode()
    for done, old, new in (
        ("a tag that runs", "version: 2", "version: !!python/object/apply:os.mkdir ['/esnera-victim']"),
        ("another version", "version: 2", "version: 3"),
        ("an alias", "unified_labels:", "x: &a [1]\ny: *a\nunified_labels:"),
        ("a key twice", "version: 2", "version: 2\nversion: 2"),
        ("an unknown key", "version: 2", f"version: 2\nfile: {VICTIM}"),
        ("a label of nobody", "\n  unified: ", "\n  unified: strange-"),
        ("a number for a name", "source: alpha", "source: 12"),
        ("mentions below zero", "mentions: ", "mentions: -"),
        ("mentions in words", "mentions: ", "mentions: many"),
        ("an endless number", "mentions: ", f"mentions: {'9' * 5000}"),
        ("an unknown method", "method: ", "method: system-"),
        ("an entry twice", "labels:\n", "labels:\n- {source: a, label: b, unified: null}\n" * 2 + "x:\n"),
        ("no labels", "\nlabels:", "\nlables:"),
        ("an address for the labels", "\nlabels:", f"\nlabels: {ADDRESS}\nx:"),
    ):
        yield done, text.replace(old, new, 1).encode()


def _rows(content: bytes) -> Iterator[Edit]:
    yield from _parquet_bytes(content)
    table = pq.read_table(io.BytesIO(content))
    rows = table.to_pylist()

    def changed(**values: Any) -> bytes:
        return _written(pa.Table.from_pylist([{**rows[0], **values}, *rows[1:]]))

    yield "another schema", _written(pa.table({"id": ["a"]}))
    yield "a number for an id", changed_column(table, "id", [1.5] * len(rows))
    yield "an empty digest", changed_column(table, "text", [None] * len(rows))
    yield "a short digest", changed_column(table, "text", [b"x"] * len(rows))
    yield "a digest of text", changed_column(table, "annotation", [ADDRESS] * len(rows))
    yield "sources of another type", changed_column(table, "source", [["alpha"]] * len(rows))
    yield "pseudo-labels of text", changed_column(table, "pseudo", [VICTIM] * len(rows))
    for start, end, label in ((-1, 1, "per"), (0, 10**6, "per"), (0, 1, "strange"), (3, 1, "per")):
        added = [{"start": start, "end": end, "label": label, "confidence": 0.9}]
        yield f"a pseudo-label {label} at {start} to {end}", _with_pseudo(table, added)


def changed_column(table: pa.Table, name: str, values: list[Any]) -> bytes:
    """Write a table with other values in one of its columns."""
    return _written(table.set_column(table.column_names.index(name), name, pa.array(values)))


def _with_pseudo(table: pa.Table, added: list[dict[str, Any]]) -> bytes:
    column = pa.array([added] * len(table), table.schema.field("pseudo").type)
    return _written(table.set_column(table.column_names.index("pseudo"), "pseudo", column))


def _written(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _parquet_bytes(content: bytes) -> Iterator[Edit]:
    yield from _raw(content)
    yield "another magic number", content[:-4] + b"XXXX"
    yield "a footer of 4 GiB", content[:-8] + b"\xff\xff\xff\xff" + content[-4:]
    yield "a footer of nothing", content[:-8] + b"\0\0\0\0" + content[-4:]
    size = struct.unpack("<I", content[-8:-4])[0]
    yield "noise in the footer", content[: -8 - size] + b"\x5a" * size + content[-8:]
    yield "text", b"anna\tB-PER\n" * 3
    yield "JSON", b'{"tokens": ["a"], "ner_tags": ["B-x"]}\n'


def _corpus(content: bytes) -> Iterator[Edit]:
    yield from _parquet_bytes(content)
    table = pq.read_table(io.BytesIO(content))
    for done, name, value in (
        ("tokens that are numbers", "tokens", [[1, 2]]),
        ("tags that are fractions", "ner_tags", [[0.5, 0.1]]),
        ("no tokens", "tokens", [None]),
        ("more tags than tokens", "ner_tags", [["O"] * 5000]),
        ("tags that are objects", "ner_tags", [[{"a": 1}]]),
        ("a tag without a label", "ner_tags", [["B-"] * 2]),
    ):
        yield done, changed_column(table, name, value * len(table))
    deep = b'{"info":{"features":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}}"
    features = b'{"info":{"features":{"tokens":{"_type":"system"}}}}'
    for done, metadata in (
        ("deep metadata", deep),
        ("metadata that are no JSON", b"{"),
        ("a feature that runs", features),
        ("features of nothing", b'{"info":{"features":3}}'),
    ):
        yield done, _written(table.replace_schema_metadata({b"huggingface": metadata}))
    yield "other columns", _written(pa.table({"x": [1]}))


def _arrow(content: bytes) -> Iterator[Edit]:
    yield from _raw(content)
    yield "text", b"anna\tB-PER\n" * 3
    table = pa.ipc.open_stream(content).read_all().combine_chunks()

    def written(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return bytes(sink.getvalue())

    # Bytes of buffers, which Arrow follows unchecked.
    offsets = np.arange(0, 2 * 40, 2, dtype=np.int32)
    for done, name, value in (
        ("offsets of text beyond the file", "id", (1, np.int32(1 << 30))),
        ("offsets of text below zero", "id", (1, np.int32(-5))),
        ("offsets that go back", "id", (2, np.int32(1))),
        ("text that is no UTF-8", "source", None),
        ("offsets of lists beyond the file", "tokens", (1, np.int32(1 << 29))),
        ("offsets of lists below zero", "ner_tags", (1, np.int32(-1))),
        ("offsets of lists that go back", "origin", (3, offsets[1])),
    ):
        yield done, written(_with_buffer(table, name, value))
    for done, name, value in (
        ("an id of no label", "ner_tags", 99),
        ("an id below zero", "ner_tags", -2),
        ("an origin of no name", "origin", 2),
    ):
        column = [[value] * len(row) for row in table[name].to_pylist()]
        yield done, written(_replaced(table, name, column))
    for name in ("id", "tokens", "source_tags"):
        yield f"nothing in {name}", written(_replaced(table, name, [None] * len(table)))
    short = [row[:-1] for row in table["confidence"].to_pylist()]
    yield "fewer confidences than tokens", written(_replaced(table, "confidence", short))
    yield "another column", written(table.rename_columns(["other", *table.column_names[1:]]))
    yield "no columns", written(pa.table({}))


def _replaced(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(
        place, table.schema.field(place), pa.array(values, table.schema.field(place).type)
    )


def _with_buffer(table: pa.Table, name: str, entry: tuple[int, Any] | None) -> pa.Table:
    """Change an offset of a column, or without one a byte of its text."""
    column = table[name].chunk(0)
    buffers = [buffer and bytearray(buffer.to_pybytes()) for buffer in column.buffers()]
    if entry is None:
        buffers[2][0] = 0xFF
    else:
        buffers[1][4 * entry[0] : 4 * entry[0] + 4] = entry[1].tobytes()
    changed = [buffer and pa.py_buffer(bytes(buffer)) for buffer in buffers]
    children = [column.values] if pa.types.is_list(column.type) else []
    parts = changed[: 2 if children else 3]
    made = pa.Array.from_buffers(column.type, len(column), parts, children=children)
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(place), pa.chunked_array([made]))


def _weights(content: bytes) -> Iterator[Edit]:
    yield from _raw(content)
    size = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]

    def headed(head: bytes) -> bytes:
        return struct.pack("<Q", len(head)) + head + body

    def changed(**values: Any) -> bytes:
        name = sorted(header.keys() - {"__metadata__"})[0]
        return headed(json.dumps({**header, name: {**header[name], **values}}).encode())

    for done, length in (
        ("a header of 2^63", 1 << 63),
        ("a header of nothing", 0),
        ("a short header", size - 9),
    ):
        yield done, struct.pack("<Q", length) + content[8:]
    yield "a header that is no JSON", headed(b"{" + b"x" * 40)
    yield "a deep header", headed(b'{"a":' * DEEP + b"1" + b"}" * DEEP)
    yield "an unknown type", changed(dtype="X99")
    yield "a type of another size", changed(dtype="F16")
    yield "offsets that overlap", changed(data_offsets=[0, 1 << 40])
    yield "offsets below zero", changed(data_offsets=[-8, 8])
    yield "another shape", changed(shape=[10**6, 10**6])
    yield "more than there is", content + b"\0" * 64
    yield "another archive", _zip({"model": b"x"})
    tensors = safetensors.numpy.load(content)
    name = next(name for name in sorted(tensors) if name.startswith("encoder"))
    for done, value in (("NaN", np.nan), ("infinity", np.inf)):
        spoiled = np.array(tensors[name])
        spoiled.flat[0] = value
        yield done, _saved({**tensors, name: spoiled})
    yield "one that is missing", _saved({key: value for key, value in tensors.items() if key != name})
    yield "one of another size", _saved({**tensors, name: np.zeros((3, 3), np.float32)})
    yield "no CRF", _saved({key: value for key, value in tensors.items() if "crf" not in key})


def _saved(tensors: dict[str, np.ndarray[Any, Any]]) -> bytes:
    saved: bytes = safetensors.numpy.save(tensors, metadata={"format": "pt"})
    return saved


def _zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _archive(content: bytes) -> Iterator[Edit]:
    yield from _raw(content)
    yield "noise inside", content[:40] + b"\x5a" * 40 + content[80:]
    corpus = b"anna\tB-PER\n\n" * 3
    for done, name in (
        ("an absolute name", f"{VICTIM}/x.train"),
        ("a name that leads up", "../../esnera-victim"),
        ("a name of Windows", "a\\..\\..\\..\\esnera-victim"),
        ("a name of 300 bytes", "x" * 300 + ".train"),
        ("no name", "."),
    ):
        yield done, _tar((name, tarfile.REGTYPE, "", corpus))
    for done, kind, target in (
        ("a link that leads outside", tarfile.SYMTYPE, "../../../etc/passwd"),
        ("an absolute link", tarfile.SYMTYPE, VICTIM),
        ("a hard link that leads outside", tarfile.LNKTYPE, "/etc/passwd"),
        ("a device", tarfile.CHRTYPE, ""),
        ("a pipe", tarfile.FIFOTYPE, ""),
    ):
        yield done, _tar(("x.train", kind, target, b""))
    yield "a member twice", _tar(*[("x.train", tarfile.REGTYPE, "", corpus)] * 2)
    through = ("x", tarfile.SYMTYPE, "..", b""), ("x/esnera-victim", tarfile.REGTYPE, "", corpus)
    yield "a member through a link", _tar(*through)
    yield "20,001 members", gzip.compress(b"".join(_header(str(n)) for n in range(20_001)) + bytes(1024))
    yield "a member of 40 GiB", gzip.compress(_header("x.train", size=40 << 30) + bytes(1 << 16))
    yield "a name of 40 GiB", gzip.compress(_header("x", tarfile.GNUTYPE_LONGNAME, 40 << 30) + bytes(1 << 16))
    yield "40 MiB of nothing", gzip.compress(bytes(40 << 20))


def _tar(*members: tuple[str, bytes, str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, kind, target, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


KINDS: dict[str, Kind] = {
    "report": Kind("result", "report.json", REPORT),
    "similarities": Kind("result", "similarity.json", SIMILARITY),
    "features": Kind("result", "dataset/train/dataset_info.json", DATASET_INFO),
    "arrow": Kind("result", "dataset/train/data-00000-of-00001.arrow", _arrow),
    "mapping": Kind("result", "mapping.yaml", _mapping),
    "recipe": Kind("recipe", "recipe.json", RECIPE),
    "rows": Kind("recipe", "recipe/train.parquet", _rows),
    "encoder": Kind("encoder", "config.json", ENCODER),
    "tokenizer": Kind("encoder", "tokenizer.json", TOKENIZER),
    "tagger": Kind("tagger", "config.json", TAGGER),
    "weights": Kind("tagger", "model.safetensors", _weights),
    "corpus": Kind("corpora", "corpus.parquet", _corpus),
    "archive": Kind("corpora", "archive.tar.gz", _archive),
}
EDITS = 20
