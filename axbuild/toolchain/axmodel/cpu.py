"""The ONNX file of a CPU subgraph: believed only where it is bounded and plain, and run in one way everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import onnx

from axbuild.errors import AxError
from axbuild.toolchain import ort
from axbuild.toolchain.door import in_words
from axbuild.toolchain.frontend.parsed import NotOnnxError, parsed
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import type_numbered
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.quant.tensors import shape_in

MAX_NODES = 1 << 16


class CpuFileError(AxError):
    """AX486: the ONNX file of a CPU subgraph is not one that may run."""

    code = "AX486"


class CpuRunError(AxError):
    """AX487: onnxruntime does not run a CPU subgraph."""

    code = "AX487"


class CpuFile:
    """A checked file: default-domain operators on tensors that are all in it. inputs, outputs: what it must have."""

    def __init__(
        self, content: bytes, inputs: Sequence[BoundaryTensor], outputs: Sequence[BoundaryTensor], name: str
    ) -> None:
        """Raises CpuFileError."""
        try:
            model = parsed(content)
        except NotOnnxError as error:
            raise CpuFileError(error.sentence(name, "no ONNX file"), hint=error.hint) from None
        graph = model.graph
        _require(not model.functions and len(graph.node) <= MAX_NODES, f"{name} is no plain graph")
        _require(all(entry.domain in ("", "ai.onnx") for entry in model.opset_import), f"{name} imports other domains")
        for node in graph.node:
            _require(node.domain in ("", "ai.onnx"), f"{name}: '{node.name}' is {node.domain}.{node.op_type}")
            inner = any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
            _require(not inner, f"{name}: '{node.name}' ({node.op_type}) holds a graph of its own")
        for held in _tensors(graph):
            inside = not held.external_data and held.data_location == onnx.TensorProto.DEFAULT
            _require(inside, f"{name}: the data of '{held.name}' lies outside the file")
        for port, tensor in zip(graph.input, _same_count(graph.input, inputs, name), strict=True):
            _require(_fits(port, tensor), f"{name}: its input '{port.name}' is not '{tensor.name}'")
        for port, tensor in zip(graph.output, _same_count(graph.output, outputs, name), strict=True):
            _require(_fits(port, tensor), f"{name}: its output '{port.name}' is not '{tensor.name}'")
        self.name = name
        self._content = content
        self._names = [port.name for port in graph.input]
        self._outputs = tuple(outputs)
        self._session: Any = None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for one sample, in the file's order; raises CpuRunError."""
        try:
            if self._session is None:
                self._session = ort.bare_session(self._content, level="basic")
            found = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        except ort.FAILURES as error:
            raise CpuRunError(f"onnxruntime does not run {self.name}: {in_words(str(error))}") from None
        for array, tensor in zip(found, self._outputs, strict=True):
            if not tensor.fits(array):
                raise CpuRunError(f"{self.name} gives '{tensor.name}' as {array.dtype} {list(array.shape)}")
        return list(found)


def _require(sound: bool, sentence: str) -> None:
    if not sound:
        raise CpuFileError(sentence)


def _same_count(ports: Sequence[Any], tensors: Sequence[BoundaryTensor], name: str) -> Sequence[BoundaryTensor]:
    _require(len(ports) == len(tensors), f"{name} has {len(ports)} inputs or outputs where {len(tensors)} belong")
    return tensors


def _fits(port: onnx.ValueInfoProto, tensor: BoundaryTensor) -> bool:
    kind = type_numbered(port.type.tensor_type.elem_type)
    return kind is not None and kind.dtype == tensor.dtype and shape_in(port) == tensor.shape


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor in a graph without inner ones."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    sparse = [*graph.sparse_initializer]
    for attribute in attributes:
        sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
        yield from (attribute.t, *attribute.tensors)
    yield from graph.initializer
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)
