"""Bytes of an `.axmodel` file -> Container; follows the names in the JSON, and believes nothing unchecked."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from onnx import ModelProto, NodeProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import wire
from axbuild.toolchain.axmodel.compression import opened
from axbuild.toolchain.axmodel.container import (
    BACKEND,
    COLORS,
    LAYOUTS,
    META_BACKEND,
    META_CHIP,
    META_COMPRESSED,
    META_EXTRA,
    META_LAYERS,
    META_MODE,
    META_NAMES,
    META_SAMPLES,
    META_SHOWN_BATCH,
    META_SOURCES,
    PARAMS,
    PARAMS_APART,
    VERSION,
    Container,
    CpuSubgraph,
    NpuSubgraph,
    Subgraph,
)
from axbuild.toolchain.axmodel.write import metadata, outputs_info
from axbuild.toolchain.frontend.parsed import NotOnnxError
from axbuild.toolchain.frontend.parsed import parsed as onnx_in
from axbuild.toolchain.kinds.codes import border_type_numbered
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor
from axbuild.toolchain.quant.tensors import shape_in

MAX_BATCH = 1 << 16
MAX_RANK = 8
MAX_DIMENSION = 1 << 31
MAX_GROUPS = 1 << 10


class MalformedError(AxError):
    """A file that is no container, or one that contradicts itself: damaged, cut off or changed by another tool."""

    code = "AX480"


class ForeignError(AxError):
    """A container of the vendor's toolchain, or of another version of this one."""

    code = "AX481"


def read(content: bytes, name: str = "the file") -> Container:
    """The container in `content`; `name` stands for it in errors. Raises MalformedError or ForeignError."""
    return container_of(parsed(content, name), name)


def parsed(content: bytes, name: str) -> ModelProto:
    """The ONNX model in `content`, of whatever toolchain; raises MalformedError."""
    try:
        return onnx_in(content)
    except NotOnnxError as error:
        raise MalformedError(error.sentence(name, "not an axmodel"), hint=error.hint) from None


def container_of(model: ModelProto, name: str) -> Container:
    """The container that a model is; raises MalformedError or ForeignError."""
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
    if backend is None and any(node.op_type == NpuSubgraph.node_type for node in model.graph.node):
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
    stored = {tensor.name: tensor.raw_data for tensor in model.graph.initializer}
    _require(PARAMS in stored, f"it has no {PARAMS}")
    sizes = _parsed(meta.get(META_COMPRESSED, "{}"), META_COMPRESSED)
    blobs = opened(stored, sizes)
    layers = _layers(meta.get(META_LAYERS, ""))
    subgraphs = tuple(_subgraph(node, blobs, layers) for node in model.graph.node)
    (layouts, chip_number), places = _extra(meta.get(META_EXTRA, "")), _places(meta.get(META_SAMPLES, ""))
    sources = _parsed(meta.get(META_SOURCES, ""), META_SOURCES)
    _require(isinstance(sources, dict), f"{META_SOURCES} is not a map")
    bare = Container(
        target_hardware=meta.get(META_CHIP, ""),
        chip_number=chip_number,
        npu_mode=meta.get(META_MODE, ""),
        inputs=(),
        outputs=(),
        inner=(),
        subgraphs=subgraphs,
        params=blobs[PARAMS],
        sources=sources,
        shown_batch=_number(meta.get(META_SHOWN_BATCH, "")),
        compressed=frozenset(sizes),
        stored={name: len(stored[name]) for name in sizes},
        names=_names(_parsed(meta.get(META_NAMES, "{}"), META_NAMES), META_NAMES),
        params_apart=blobs.get(PARAMS_APART, b""),
    )
    sound = max(bare.batches()) <= bare.shown_batch <= MAX_BATCH
    _require(sound, f"{META_SHOWN_BATCH} is {bare.shown_batch}")
    reader = _Tensors(bare.shown_batch, layouts, places)
    return replace(
        bare,
        inputs=reader.tensors(model.graph.input),
        outputs=reader.tensors(model.graph.output),
        inner=reader.tensors(value for value in model.graph.value_info if value.name not in blobs),
    )


def _subgraph(node: NodeProto, blobs: dict[str, bytes], layers: dict[str, dict[str, str]]) -> Subgraph:
    kinds: dict[str, type[Subgraph]] = {kind.node_type: kind for kind in (NpuSubgraph, CpuSubgraph)}
    if node.op_type not in kinds:
        raise _Fault(f"node '{node.name}' is a {node.op_type}, which is no subgraph")
    kind = kinds[node.op_type]
    attributes = {attribute.name: attribute for attribute in node.attribute}
    _require({*kind.attributes, "version", "shape_group"} <= set(attributes), f"node '{node.name}' lacks attributes")
    _require(attributes["version"].i == VERSION, f"node '{node.name}' has version {attributes['version'].i}")
    group = attributes["shape_group"].i
    _require(0 <= group < MAX_GROUPS, f"node '{node.name}' is of shape group {group}")
    key = kind.attributes[1]
    info = _parsed(attributes[key].s.decode(errors="replace"), key)
    sound = isinstance(info, dict) and info.get("type") == kind.graph_type
    _require(sound, f"node '{node.name}' is not for {kind.graph_type}")
    about = (node.name, tuple(node.input), tuple(node.output))
    if kind is CpuSubgraph:
        return CpuSubgraph(*about, _blob(node, info.get("onnx_key"), blobs), group)
    units = info.get("dotneus")
    programs = _programs(node, units, blobs)
    return NpuSubgraph(*about, programs, group, layers.get(node.name, {}), PARAMS_APART in blobs and _apart(units))


def _apart(units: list[dict[str, Any]]) -> bool:
    """Whether programs name the second parameter constant; what else they name is held against the whole later."""
    named = units[0].get("extra_inputs")
    return isinstance(named, list) and any(isinstance(one, dict) and PARAMS_APART in one.values() for one in named)


def _programs(node: NodeProto, units: Any, blobs: dict[str, bytes]) -> dict[int, bytes]:
    _require(isinstance(units, list) and bool(units), f"node '{node.name}' has no program")
    programs: dict[int, bytes] = {}
    for unit in units:
        _require(isinstance(unit, dict), f"node '{node.name}' has a program that is not a record")
        batch = unit.get("batch")
        whole = isinstance(batch, int) and not isinstance(batch, bool) and 0 < batch <= MAX_BATCH
        _require(whole and batch not in programs, f"node '{node.name}' has batch {batch!r}")
        programs[batch] = _blob(node, unit.get("neu_key"), blobs)
    return programs


def _blob(node: NodeProto, key: Any, blobs: dict[str, bytes]) -> bytes:
    found = blobs.get(key) if isinstance(key, str) else None
    if found is None:
        raise _Fault(f"node '{node.name}' names a program {key!r} that is not there")
    return found


def _check_nodes(model: ModelProto, container: Container) -> None:
    """What the nodes say beyond the names of their programs is what the rest of the file says."""
    known = {tensor.name for tensor in container.inputs}
    for node, subgraph in zip(model.graph.node, container.subgraphs, strict=True):
        attributes = {attribute.name: attribute.s.decode(errors="replace") for attribute in node.attribute}
        stray = set(subgraph.inputs + subgraph.outputs) - set(container.tensors())
        _require(not stray, f"'{node.name}' has a stray tensor")
        _require(known.issuperset(subgraph.inputs), f"'{node.name}' reads what no subgraph before it makes")
        _require(known.isdisjoint(subgraph.outputs), f"'{node.name}' makes what is there already")
        known.update(subgraph.outputs)
        name, info = subgraph.attributes
        found = [_parsed(attributes.get(key, ""), key) for key in (info, "outputs_info")]
        expected = [subgraph.info(), outputs_info(subgraph, container, container.shown_batch)]
        _require(found == expected and attributes[name] == node.name, f"node '{node.name}' contradicts its graph")
    missing = [tensor.name for tensor in container.outputs if tensor.name not in known]
    _require(not missing, f"no subgraph makes the output '{''.join(missing[:1])}'")


class _Tensors:
    """Reads boundary tensors; batch: the one whose shapes the file shows."""

    def __init__(self, batch: int, layouts: dict[str, tuple[str, str]], places: dict[str, tuple[int | None, int]]):
        self.batch = batch
        self.layouts = layouts
        self.places = places

    def tensors(self, values: Iterable[ValueInfoProto]) -> tuple[BoundaryTensor, ...]:
        return tuple(self._tensor(value) for value in values)

    def _tensor(self, value: ValueInfoProto) -> BoundaryTensor:
        kind = border_type_numbered(value.type.tensor_type.elem_type)
        if kind is None:
            raise _Fault(f"tensor '{value.name}' has an unknown type")
        shown = shape_in(value)
        axis, step = self.places.get(value.name, (0, 0))
        sound = len(shown) <= MAX_RANK and all(0 < item <= MAX_DIMENSION or item == FROM_DATA for item in shown)
        joined = 1 if axis is None else shown[axis] if axis < len(shown) else 0
        sound = sound and (axis is None or joined == FROM_DATA or (joined > 0 and joined % self.batch == 0))
        _require(sound, f"tensor '{value.name}' has the shape {list(shown)}")
        shape = tuple(n // self.batch if i == axis and n != FROM_DATA else n for i, n in enumerate(shown))
        return BoundaryTensor(value.name, kind.dtype, shape, axis, step, *self.layouts.get(value.name, ("", "")))


def _places(text: str) -> dict[str, tuple[int | None, int]]:
    """Tensor -> (batch axis, step of column 0), of those where it is not (0, 0)."""
    places = _parsed(text, META_SAMPLES)
    _require(isinstance(places, dict), f"{META_SAMPLES} is not a map")
    found: dict[str, tuple[int | None, int]] = {}
    for name, place in places.items():
        sound = isinstance(place, list) and len(place) == 2 and all(type(item) is int for item in place[1:])
        _require(sound and (place[0] is None or type(place[0]) is int), f"{META_SAMPLES} of '{name}' is no place")
        axis, step = place
        _require((axis is None or 0 <= axis < MAX_RANK) and 0 <= step <= MAX_BATCH, f"{META_SAMPLES} of '{name}'")
        found[name] = (axis, step)
    return found


def _layers(text: str) -> dict[str, dict[str, str]]:
    """NPU subgraph -> tensor inside its programs -> name in the quantised model."""
    found = _parsed(text, META_LAYERS)
    _require(isinstance(found, dict), f"{META_LAYERS} is no map of names")
    return {subgraph: _names(names, META_LAYERS) for subgraph, names in found.items()}


def _names(found: Any, what: str) -> dict[str, str]:
    sound = isinstance(found, dict) and all(isinstance(name, str) for name in found.values())
    _require(sound, f"{what} is no map of names")
    names: dict[str, str] = found
    return names


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


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Fault(f"{what} is not JSON") from None
