"""Stage: a QDQ model -> the float model that it stands for, and the grids that its nodes gave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy as copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel, lift_constants
from axbuild.toolchain.frontend.load import only_model, read
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.nested import reads_of
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.frontend.support import counted
from axbuild.toolchain.frontend.wiring import require_wired, shown
from axbuild.toolchain.graph import KEPT, Names
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.qdq.channels import join_channels
from axbuild.toolchain.qdq.constants import ModelConstants
from axbuild.toolchain.qdq.given import GivenGrids, GivenWeight
from axbuild.toolchain.qdq.linear import BIAS, DEQUANTISE, QUANTISE, Linear, QdqError, is_linear, linear

WITH_CODES = ("QLinear", "QGemm", "QAttention")
INTEGER = ("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
"""how the names of operators begin that compute on codes themselves, and those that find scales while they run"""
MOVED = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten", "Cast")
"""operators behind which a constant is still the weight of whoever reads it"""
SIGNED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "BatchNormalization")
"""operators whose results may be negative: in front of codes that hold nothing below 0, a Relu was left out"""


Use = tuple[str, str, tuple[Grid, ...]]
"""a tensor of the float model, the node that reads it or "" for an output, and the grids on the way"""


@dataclass(frozen=True)
class SeparateParams:
    """Nothing to choose: the model says everything."""


def separate(model: Path, out: Path, *, params: SeparateParams) -> None:
    """`model`: a folder with one .onnx and its external data. Writes separated/, as `save` does, and given.msgpack.

    Raises QdqError where the model is no QDQ model, or its quantisation cannot be kept.
    """
    whole = read(only_model(model))
    lift_constants(whole.proto)
    name_nodes(whole.proto.graph.node)
    require_wired(whole)
    require_qdq(whole)
    join_channels(whole)
    given = _Separation(whole).run()
    whole.proto.metadata_props.add(key=KEPT, value=json.dumps([*given.writes, *given.reads]))
    save(whole, out / "separated")
    given.write(out / "given.msgpack")


def require_qdq(model: LightModel) -> None:
    """Raise QdqError for a float model, and for one whose operators compute on codes."""
    nodes = list(model.proto.graph.node)
    if coded := [node for node in nodes if node.op_type.startswith(WITH_CODES)]:
        raise QdqError(
            f"the model computes on codes itself: {counted(coded)}",
            hint="write QuantizeLinear and DequantizeLinear around float operators: quant_format=QuantFormat.QDQ",
        )
    if dynamic := [node for node in nodes if node.op_type in INTEGER]:
        raise QdqError(
            f"the model finds scales while it runs: {counted(dynamic)}", hint="quantise it with calibration data"
        )
    if not any(is_linear(node) for node in nodes):
        raise QdqError(
            "the model has no QuantizeLinear and no DequantizeLinear",
            hint='a float model has model_type = "ONNX", which is the default',
        )


@dataclass
class _Separation:
    """chains: tensor behind DequantizeLinear -> (the tensor before it all, the grids on the way); constants: the same
    of constants -> how they were stored; final: tensor -> the name it has in the float model, where that is another."""

    model: LightModel
    chains: dict[str, tuple[str, tuple[Grid, ...]]] = field(default_factory=dict)
    constants: dict[str, Linear] = field(default_factory=dict)
    final: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.proto.graph
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.held = ModelConstants(self.model)
        self.names = Names([*self.makers, *self.held.small, *(value.name for value in graph.input)])
        self.ranks = _ranks(self.model)
        self.interface = {value.name: value for value in self.model.inputs}

    def run(self) -> GivenGrids:
        graph = self.model.proto.graph
        for node in graph.node:
            if is_linear(node, DEQUANTISE):
                self._dequantised(node)
        self._require_pairs()
        self.final = self._final_names()
        uses = list(self._uses())
        self._rewire()
        given = GivenGrids(*_settled(uses), tuple(self._weights()))
        self._clamp(given.writes)
        self._tidy()
        return given

    # Reading ------------------------------------------------------------------------------------------------

    def _dequantised(self, node: NodeProto) -> None:
        """One DequantizeLinear: a constant, or the end of a pair."""
        source, target = node.input[0], node.output[0]
        codes, maker = self.held.read(source), self.makers.get(source)
        if codes is not None:
            kind = onnx.helper.np_dtype_to_tensor_dtype(codes.dtype)
            found = linear(node, self.held.read, codes.ndim, kind)
            self.held.put(target, found.reals(codes))
            if kind != BIAS:
                self.constants[target] = found
        elif maker is not None and is_linear(maker, QUANTISE):
            self._pair(maker, node)
        else:
            what = f"of {shown(maker)}" if maker is not None else "of an input of the model"
            raise QdqError(
                f"node {shown(node)} reads the codes '{source}' {what}",
                hint="a DequantizeLinear reads a constant, or what a QuantizeLinear writes",
            )

    def _pair(self, quantise: NodeProto, dequantise: NodeProto) -> None:
        source, target = quantise.input[0], dequantise.output[0]
        rank = self.ranks.get(source)
        first = linear(quantise, self.held.read, rank, None)
        second = linear(dequantise, self.held.read, rank, first.kind)
        if not (np.array_equal(first.scale, second.scale) and np.array_equal(first.zero, second.zero)):
            raise QdqError(
                f"node {shown(quantise)} and node {shown(dequantise)} behind it have different scales or zero points",
                hint="the codes of a tensor are read on the grid on which they were written",
            )
        reals = self.held.read(source)
        if reals is not None:
            self.held.put(target, first.reals(first.codes(reals)))
            self.constants[target] = first
            return
        before, grids = self.chains.get(source, (source, ()))
        self.chains[target] = before, (*grids, first.grid())

    def _require_pairs(self) -> None:
        """Codes go from QuantizeLinear to DequantizeLinear and nowhere else."""
        graph = self.model.proto.graph
        coded = {node.output[0]: node for node in graph.node if is_linear(node, QUANTISE)}
        for node in graph.node:
            for name in reads_of(node):
                if name in coded and not is_linear(node, DEQUANTISE):
                    raise QdqError(
                        f"node {shown(node)} reads the codes of {shown(coded[name])}",
                        hint="put a DequantizeLinear between them",
                    )
        for value in graph.output:
            if value.name in coded:
                raise QdqError(
                    f"the output '{value.name}' of the model is the codes of {shown(coded[value.name])}",
                    hint="put a DequantizeLinear behind it",
                )

    # The float model ------------------------------------------------------------------------------------------

    def _uses(self) -> Iterator[Use]:
        graph = self.model.proto.graph
        for node in graph.node:
            if not is_linear(node):
                for name in dict.fromkeys(reads_of(node)):
                    yield self._before(name, node.name)
        for value in graph.output:
            yield self._before(value.name, "")

    def _before(self, name: str, reader: str) -> Use:
        tensor, grids = self.chains.get(name, (name, ()))
        return self.final.get(tensor, tensor), reader, grids

    def _final_names(self) -> dict[str, str]:
        """Tensor -> the output of the model that it is behind its grid, whose name it takes."""
        outputs = {value.name for value in self.model.proto.graph.output}
        found: dict[str, str] = {}
        for name in sorted(outputs & self.chains.keys()):
            tensor = self.chains[name][0]
            if tensor in self.makers and tensor not in outputs:
                found.setdefault(tensor, name)
        return found

    def _rewire(self) -> None:
        """Without the pairs: whoever read what they gave reads the tensor before them."""
        graph = self.model.proto.graph
        kept = [node for node in graph.node if not is_linear(node)]
        for node in kept:
            for index, name in enumerate(node.input):
                node.input[index] = self._before(name, node.name)[0]
            for index, name in enumerate(node.output):
                node.output[index] = self.final.get(name, name)
        made = {name for node in kept for name in node.output}
        for value in graph.output:
            if value.name in self.chains and value.name not in made:
                source, name = self._before(value.name, "")[0], self.names.free(f"{value.name}/identity")
                kept.append(onnx.helper.make_node("Identity", [source], [value.name], name))
        _replace(graph.node, kept)
        del graph.value_info[:]

    def _clamp(self, writes: Mapping[str, Grid]) -> None:
        """What saturating codes did in the place of a Relu or a Clip is a Clip again."""
        graph = self.model.proto.graph
        bounded: list[NodeProto] = []
        for node in graph.node:
            bounded.append(node)
            grid = writes.get(node.output[0]) if node.op_type in SIGNED and not node.domain else None
            if grid is not None and grid.zero == grid.type.lo:
                bounded.append(self._bounds(node, grid))
        _replace(graph.node, bounded)

    def _bounds(self, node: NodeProto, grid: Grid) -> NodeProto:
        """A Clip that takes the name of what the node wrote."""
        name = node.output[0]
        inner = node.output[0] = self.names.free(f"{name}/unbounded")
        ends = {f"{name}/{end}": grid.real(code) for end, code in (("lo", grid.type.lo), ("hi", grid.type.hi))}
        tensors = [
            onnx.numpy_helper.from_array(np.array(real, np.float32), self.names.free(end)) for end, real in ends.items()
        ]
        self.model.proto.graph.initializer.extend(tensors)
        inputs = [inner, *(tensor.name for tensor in tensors)]
        return onnx.helper.make_node("Clip", inputs, [name], self.names.free(f"{node.name}/bounds"))

    def _weights(self) -> Iterator[GivenWeight]:
        readers: dict[str, list[str]] = {}
        for node in self.model.proto.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node.name)
        ends = {node.name: node for node in self.model.proto.graph.node}
        for name, found in self.constants.items():
            kind, shift = found.weight_type()
            zero = (found.zero - shift).astype(np.int32).reshape(-1)
            yield GivenWeight(name, tuple(_through(name, readers, ends)), kind, found.scale.reshape(-1), zero)

    def _tidy(self) -> None:
        """Codes and scales that nobody reads any more."""
        graph = self.model.proto.graph
        used = {name for node in graph.node for name in reads_of(node)} | {value.name for value in graph.output}
        for name in self.model.weights.keys() - used:
            del self.model.weights[name]
        _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])
        _replace(graph.input, [value for value in graph.input if value.name in self.model.weights | self.interface])


def _replace(field_: Any, kept: Iterable[Any]) -> None:
    """Of a message's repeated field, whose items are gone once it is emptied."""
    copies = [copy(item) for item in kept]
    del field_[:]
    field_.extend(copies)


def _through(name: str, readers: dict[str, list[str]], nodes: dict[str, NodeProto]) -> Iterator[str]:
    """The nodes that read a constant, be it through others that only move it."""
    for reader in readers.get(name, ()):
        node = nodes[reader]
        if node.op_type in MOVED:
            for output in node.output:
                yield from _through(output, readers, nodes)
        else:
            yield reader


def _settled(
    uses: list[Use],
) -> tuple[dict[str, Grid], dict[str, dict[str, Grid]]]:
    """writes and reads, as `GivenGrids` has them."""
    by_tensor: dict[str, list[tuple[str, tuple[Grid, ...]]]] = {}
    for tensor, reader, grids in uses:
        by_tensor.setdefault(tensor, []).append((reader, grids))
    writes: dict[str, Grid] = {}
    reads: dict[str, dict[str, Grid]] = {}
    for tensor, own in by_tensor.items():
        firsts = {grids[0] if grids else None for _, grids in own}
        first = next(iter(firsts)) if len(firsts) == 1 else None
        if first is not None:
            writes[tensor] = first
        different = {reader: grids[-1] for reader, grids in own if grids and grids[-1] != first and reader}
        if different:
            reads[tensor] = different
    return writes, reads


def _ranks(model: LightModel) -> dict[str, int]:
    """Of tensors whose shape the model or inference states."""
    inferred = onnx.ModelProto()
    inferred.CopyFrom(model.proto)
    with door(lambda said: QdqError(f"the shapes of the model do not fit: {said}")):
        inferred = onnx.shape_inference.infer_shapes(inferred)
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    return {v.name: len(v.type.tensor_type.shape.dim) for v in values if v.type.tensor_type.HasField("shape")}
