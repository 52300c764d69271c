"""Bytes of an `.axmodel` file -> Container; follows the names in the JSON, and believes nothing unchecked."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import wire
from axbuild.toolchain.axmodel.container import (
    BACKEND,
    COLORS,
    DTYPES,
    GRAPH_TYPE,
    LAYOUTS,
    META_BACKEND,
    META_CHIP,
    META_EXTRA,
    META_MODE,
    META_SOURCES,
    NODE_TYPE,
    PARAMS,
    VERSION,
    Container,
    Subgraph,
    Tensor,
)
from axbuild.toolchain.axmodel.write import graph_info, metadata, outputs_info
from axbuild.toolchain.frontend.text import broken_text

MAX_BATCH = 1 << 16
MAX_RANK = 8
MAX_DIMENSION = 1 << 31
_NAMES = {number: name for name, number in DTYPES.items()}


class MalformedError(AxError):
    """A file that is no container, or one that contradicts itself: damaged, cut off or changed by another tool."""

    code = "AX480"


class ForeignError(AxError):
    """A container of the vendor's toolchain, or of another version of this one."""

    code = "AX481"


def read(content: bytes, name: str = "the file") -> Container:
    """The container in `content`; `name` stands for it in errors. Raises MalformedError or ForeignError."""
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise MalformedError(f"{name} is not an axmodel: its {len(content)} bytes do not parse as ONNX") from None
    if field := broken_text(model):
        raise MalformedError(f"{name} is damaged: a {field} in it is not text")
    meta = {entry.key: entry.value for entry in model.metadata_props}
    _check_backend(model, meta, name)
    try:
        container = _container(model, meta)
        _check_nodes(model, container)
        expected = metadata(container)
    except (_Fault, AxError) as error:
        raise MalformedError(f"{name} is damaged: {error.args[0]}") from None
    for key, value in expected.items():
        if meta.get(key) != value:
            raise MalformedError(
                f"{name} is damaged: {key} does not agree with the rest of the file",
                hint="build it again; tools that rewrite ONNX files destroy compiled models",
            )
    return container


class _Fault(ValueError):
    """What is wrong with the file, in a few words."""


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise _Fault(fault)


def _check_backend(model: ModelProto, meta: dict[str, str], name: str) -> None:
    if not model.graph.node:
        raise MalformedError(f"{name} is not an axmodel: it holds no graph")
    backend = meta.get(META_BACKEND)
    if backend is None and any(node.op_type == NODE_TYPE for node in model.graph.node):
        raise ForeignError(
            f"{name} was compiled by {model.producer_name or 'another toolchain'} for the hardware itself; "
            f"axbuild runs programs of its own reference NPU only",
            hint="build the model with axbuild to simulate it",
        )
    if backend is None:
        raise MalformedError(f"{name} is an ONNX model and not a compiled one")
    if backend != BACKEND:
        raise ForeignError(f"{name} is for the backend {backend}; this axbuild runs {BACKEND}")


def _container(model: ModelProto, meta: dict[str, str]) -> Container:
    blobs = {tensor.name: tensor.raw_data for tensor in model.graph.initializer}
    _require(PARAMS in blobs, f"it has no {PARAMS}")
    subgraphs = tuple(_subgraph(node, blobs) for node in model.graph.node)
    batches = set.intersection(*(set(subgraph.programs) for subgraph in subgraphs))
    _require(bool(batches), "its subgraphs have no batch in common")
    largest = max(batches)
    kinds, chip_number = _extra(meta.get(META_EXTRA, ""))
    sources = _parsed(meta.get(META_SOURCES, ""), META_SOURCES)
    _require(isinstance(sources, dict), f"{META_SOURCES} is not a map")
    return Container(
        target_hardware=meta.get(META_CHIP, ""),
        chip_number=chip_number,
        npu_mode=meta.get(META_MODE, ""),
        inputs=tuple(_tensor(value, largest, kinds) for value in model.graph.input),
        outputs=tuple(_tensor(value, largest, kinds) for value in model.graph.output),
        inner=tuple(_tensor(value, largest, {}) for value in model.graph.value_info if value.name not in blobs),
        subgraphs=subgraphs,
        params=blobs[PARAMS],
        sources=sources,
    )


def _subgraph(node: NodeProto, blobs: dict[str, bytes]) -> Subgraph:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    _require(node.op_type == NODE_TYPE, f"node '{node.name}' is a {node.op_type}, which the NPU does not run")
    _require({"neu_name", "npu_graph_info", "version"} <= set(attributes), f"node '{node.name}' lacks attributes")
    _require(attributes["version"].i == VERSION, f"node '{node.name}' has version {attributes['version'].i}")
    info = _parsed(attributes["npu_graph_info"].s.decode(errors="replace"), "npu_graph_info")
    _require(isinstance(info, dict) and info.get("type") == GRAPH_TYPE, f"node '{node.name}' is not for {GRAPH_TYPE}")
    units = info.get("dotneus")
    _require(isinstance(units, list) and bool(units), f"node '{node.name}' has no program")
    programs: dict[int, bytes] = {}
    for unit in units:
        _require(isinstance(unit, dict), f"node '{node.name}' has a program that is not a record")
        batch, key = unit.get("batch"), unit.get("neu_key")
        whole = isinstance(batch, int) and not isinstance(batch, bool) and 0 < batch <= MAX_BATCH
        _require(whole and batch not in programs, f"node '{node.name}' has batch {batch!r}")
        _require(isinstance(key, str) and key in blobs, f"node '{node.name}' names a program {key!r} that is not there")
        programs[batch] = blobs[key]
    return Subgraph(node.name, tuple(node.input), tuple(node.output), programs)


def _check_nodes(model: ModelProto, container: Container) -> None:
    """What the nodes say beyond the names of their programs is what the rest of the file says."""
    for node, subgraph in zip(model.graph.node, container.subgraphs, strict=True):
        attributes = {attribute.name: attribute.s.decode(errors="replace") for attribute in node.attribute}
        _require(
            set(subgraph.inputs + subgraph.outputs) <= set(container.tensors()), f"'{node.name}' has a stray tensor"
        )
        found = [_parsed(attributes.get(key, ""), key) for key in ("npu_graph_info", "outputs_info")]
        expected = [graph_info(subgraph), outputs_info(subgraph, container, container.batches()[-1])]
        _require(found == expected and attributes["neu_name"] == node.name, f"node '{node.name}' contradicts its graph")


def _tensor(value: ValueInfoProto, batch: int, kinds: dict[str, tuple[str, str]]) -> Tensor:
    kind = value.type.tensor_type.elem_type
    _require(kind in _NAMES, f"tensor '{value.name}' has an unknown type")
    shape = tuple(item.dim_value for item in value.type.tensor_type.shape.dim)
    sound = 0 < len(shape) <= MAX_RANK and all(0 < item <= MAX_DIMENSION for item in shape) and shape[0] % batch == 0
    _require(sound, f"tensor '{value.name}' has the shape {list(shape)}")
    layout, color = kinds.get(value.name, ("", ""))
    return Tensor(value.name, _NAMES[kind], (shape[0] // batch, *shape[1:]), layout, color)


def _extra(extra: str) -> tuple[dict[str, tuple[str, str]], int]:
    """Out of `extra_data`: tensor name -> (layout, colour space), and the chip's number."""
    try:
        message = wire.decode(base64.b64decode(extra, validate=True))
        entries = [dict(wire.decode(value)) for number, value in message if number == 1 and isinstance(value, bytes)]
        kinds = {_text(entry[1]): (LAYOUTS[_int(entry.get(2))], COLORS[_int(entry.get(3))]) for entry in entries}
        return kinds, _int(dict(message).get(5))
    except (binascii.Error, ValueError, KeyError, IndexError):
        raise _Fault(f"{META_EXTRA} cannot be read") from None


def _text(value: wire.Value) -> str:
    if not isinstance(value, bytes):
        raise wire.WireError("a name is not text")
    return value.decode()


def _int(value: wire.Value | None) -> int:
    if value is not None and not isinstance(value, int):
        raise wire.WireError("a number is not one")
    return value or 0


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Fault(f"{what} is not JSON") from None
