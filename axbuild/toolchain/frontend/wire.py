"""The bytes of an ONNX file, cut open and put together around its weights, which protobuf never sees.

A model is a protocol-buffers message: fields of a tag (number and kind), where of varying size a length, and bytes.
Only what leads to an initialiser's `raw_data` is looked at (onnx.proto: ModelProto.graph = 7, GraphProto.initializer
= 5, TensorProto.raw_data = 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from onnx import ModelProto, TensorProto

from axbuild.toolchain.graph import Array

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class NoMessageError(ValueError):
    """The bytes are no protocol-buffers message."""


@dataclass(frozen=True)
class RawData:
    """An initialiser whose elements stand at `start` of the file. stub: the tensor without them."""

    stub: TensorProto
    start: int
    length: int


@dataclass(frozen=True)
class _Field:
    number: int
    kind: int
    begin: int
    start: int
    end: int


def cut(content: Sequence[int], smallest: int) -> tuple[bytes, list[RawData]]:
    """(the model without its initialisers of at least `smallest` bytes of raw data, these). Raises NoMessageError."""
    cuts: list[RawData] = []
    pieces: list[bytes] = []
    for field in _fields(content, 0, len(content)):
        if field.number == _GRAPH and field.kind == _BYTES:
            graph = b"".join(_graph_pieces(content, field, smallest, cuts))
            pieces += [_tag(_GRAPH), _varint(len(graph)), graph]
        else:
            pieces.append(bytes(content[field.begin : field.end]))
    return b"".join(pieces), cuts


def _graph_pieces(content: Sequence[int], graph: _Field, smallest: int, cuts: list[RawData]) -> Iterator[bytes]:
    kept = graph.start
    for field in _fields(content, graph.start, graph.end):
        if field.number != _INITIALIZER or field.kind != _BYTES or field.end - field.start < smallest:
            continue
        raw = [inner for inner in _fields(content, field.start, field.end) if inner.number == _RAW_DATA]
        if len(raw) != 1 or raw[0].kind != _BYTES or raw[0].end - raw[0].start < smallest:
            continue
        stub = bytes(content[field.start : raw[0].begin]) + bytes(content[raw[0].end : field.end])
        cuts.append(RawData(TensorProto.FromString(stub), raw[0].start, raw[0].end - raw[0].start))
        yield bytes(content[kept : field.begin])
        kept = field.end
    yield bytes(content[kept : graph.end])


def write(file: BinaryIO, light: ModelProto, weights: Iterable[tuple[TensorProto, Array]]) -> None:
    """The model with those initialisers behind its own; each a tensor without elements, and its array."""
    tensors = [(stub.SerializeToString(deterministic=True), array) for stub, array in weights]
    graph = light.graph.SerializeToString(deterministic=True)
    heads = [_tag(_RAW_DATA) + _varint(array.nbytes) for _, array in tensors]
    lengths = [len(stub) + len(head) + array.nbytes for (stub, array), head in zip(tensors, heads, strict=True)]
    total = len(graph) + sum(length + len(_tag(_INITIALIZER) + _varint(length)) for length in lengths)
    around = ModelProto()
    around.CopyFrom(light)
    around.ClearField("graph")
    file.write(around.SerializeToString(deterministic=True))
    file.write(_tag(_GRAPH) + _varint(total) + graph)
    for (stub, array), head, length in zip(tensors, heads, lengths, strict=True):
        file.write(_tag(_INITIALIZER) + _varint(length) + stub + head)
        file.write(elements(array))


def elements(array: Array) -> bytes | memoryview:
    """The array's bytes in ONNX's order, not copied where they stand in it."""
    ordered = array if array.flags.c_contiguous else array.copy()
    return ordered.reshape(-1).view(np.uint8).data


def _fields(content: Sequence[int], position: int, end: int) -> Iterator[_Field]:
    while position < end:
        begin = position
        tag, position = _read_varint(content, position, end)
        kind, length = tag & 7, 0
        if kind == _VARINT:
            start = position
            _, position = _read_varint(content, position, end)
            yield _Field(tag >> 3, kind, begin, start, position)
            continue
        if kind == _BYTES:
            length, position = _read_varint(content, position, end)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise NoMessageError(f"byte {begin} begins no field")
        if length > end - position:
            raise NoMessageError("it ends too early")
        yield _Field(tag >> 3, kind, begin, position, position + length)
        position += length


def _read_varint(content: Sequence[int], position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise NoMessageError("it ends too early")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _BYTES)
