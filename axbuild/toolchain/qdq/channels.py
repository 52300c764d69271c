"""An activation with a scale a channel, as NNCF writes it in front of depthwise convolutions, on one grid instead.

    DQ(Q(x; s_c); s_c) -> depthwise(w)  =  DQ(Q(x r_c; s); s) -> depthwise(w / r_c),   s = max s_c,  r_c = s / s_c

The codes are the same ones: x r_c / s = x / s_c. The weights' codes stay as well, since it is their scales that are
divided. What makes x takes r_c into its own weights' scales where it is a convolution, be there a Relu or a Clip
between; else the product is an operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.nested import reads_of
from axbuild.toolchain.graph import Array, Names
from axbuild.toolchain.qdq.constants import ModelConstants
from axbuild.toolchain.qdq.linear import ACTIVATIONS, DEQUANTISE, QUANTISE, Linear, is_linear, linear

CHANNELS = 1
"""the axis that they run along"""
CONVOLUTION, RELU, CLIP = "Conv", "Relu", "Clip"
"""what takes factors, and what lets them pass"""


def join_channels(model: LightModel) -> None:
    """Change the model where the equation above holds; elsewhere scales a channel stay, for `Linear.grid` to refuse."""
    joining = _Joining(model)
    for node in list(model.proto.graph.node):
        if is_linear(node, QUANTISE):
            joining.join(node)
    joining.finish()


@dataclass
class _Joining:
    model: LightModel

    def __post_init__(self) -> None:
        graph = self.model.proto.graph
        self.constants = ModelConstants(self.model)
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in reads_of(node):
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}
        self.names = Names([*self.makers, *self.constants.small, *(value.name for value in graph.input)])
        self.before: dict[str, list[NodeProto]] = {}

    def join(self, quantise: NodeProto) -> None:
        if quantise.input[0] in self.constants or len(quantise.input) < 3:
            return
        found = linear(quantise, self.constants.read, None, None)
        if found.per_tensor or np.unique(found.zero).size > 1 or found.kind not in ACTIVATIONS:
            return
        dequantised = self.readers.get(quantise.output[0], [])
        takers = list(self._takers(dequantised, found))
        if not takers:
            return
        scale = found.scale.max()
        factors = (scale.astype(np.float64) / found.scale).reshape(-1)
        for conv in takers:
            self._weigh(conv, 1.0 / factors)
        self._raise(quantise, found, factors)
        self._regrid([quantise, *dequantised], scale, found.zero.reshape(-1)[0])

    def finish(self) -> None:
        """With new nodes in front of their readers."""
        graph = self.model.proto.graph
        nodes = [part for node in graph.node for part in (*self.before.get(node.output[0], ()), node)]
        del graph.node[:]
        graph.node.extend(nodes)

    # Who reads it -----------------------------------------------------------------------------------------------------

    def _takers(self, dequantised: list[NodeProto], found: Linear) -> Iterator[NodeProto]:
        """The depthwise convolutions behind it; none where anything else reads it too."""
        readers = [(node, name) for node in dequantised for name in node.output]
        convs = [(conv, name) for _, name in readers for conv in self.readers.get(name, ())]
        same = all(
            is_linear(node, DEQUANTISE)
            and np.array_equal(linear(node, self.constants.read, None, found.kind).scale, found.scale)
            for node in dequantised
        )
        hidden = not self.outputs & {name for _, name in readers}
        if same and hidden and all(self._is_depthwise(conv, name, found) for conv, name in convs):
            yield from (conv for conv, _ in convs)

    def _is_depthwise(self, conv: NodeProto, name: str, found: Linear) -> bool:
        if conv.op_type != CONVOLUTION or list(conv.input).count(name) != 1 or conv.input[0] != name:
            return False
        weight = self._weight(conv)
        groups = next((item.i for item in conv.attribute if item.name == "group"), 1)
        return weight is not None and groups == found.scale.size and found.axis in (CHANNELS, CHANNELS - weight[0].ndim)

    # Weights ----------------------------------------------------------------------------------------------------------

    def _weight(self, conv: NodeProto) -> tuple[Array, Linear | None] | None:
        """Codes and what they stand for, or reals; None where it is computed."""
        name = conv.input[1]
        maker = self.makers.get(name)
        if maker is None or not is_linear(maker, DEQUANTISE):
            reals = self.constants.read(name)
            return None if reals is None else (reals, None)
        source = maker.input[0]
        quantise = self.makers.get(source)
        if quantise is None or not is_linear(quantise, QUANTISE):
            codes = self.constants.read(source)
            if codes is None:
                return None
            kind = helper.np_dtype_to_tensor_dtype(codes.dtype)
            return codes, linear(maker, self.constants.read, codes.ndim, kind)
        reals = self.constants.read(quantise.input[0])
        if reals is None:
            return None
        found = linear(quantise, self.constants.read, reals.ndim, None)
        return found.codes(reals).astype(helper.tensor_dtype_to_np_dtype(found.kind)), found

    def _weigh(self, conv: NodeProto, factors: Array) -> None:
        """Multiply what the codes of a weight stand for: its output channels, as many for each factor."""
        weight = self._weight(conv)
        if weight is None:
            raise ValueError(f"'{conv.name}' has no constant weight")
        codes, found = weight
        factors = np.repeat(factors, codes.shape[0] // len(factors))
        name = self.names.free(f"{conv.name}/weight")
        if found is None:
            scaled = codes * factors.reshape(-1, *[1] * (codes.ndim - 1))
            conv.input[1] = self.constants.put(name, scaled.astype(codes.dtype))
            return
        scale = (np.broadcast_to(found.scale.reshape(-1), factors.shape) * factors).astype(np.float32)
        zero = np.broadcast_to(found.zero.reshape(-1), factors.shape).astype(codes.dtype)
        inputs = [
            self.constants.put(self.names.free(f"{name}/{part}"), array)
            for part, array in (("codes", codes), ("scale", scale), ("zero", zero))
        ]
        self._insert(conv, helper.make_node(DEQUANTISE, inputs, [name], self.names.free(f"{name}/node"), axis=0))
        conv.input[1] = name

    # What makes it ----------------------------------------------------------------------------------------------------

    def _raise(self, quantise: NodeProto, found: Linear, factors: Array) -> None:
        """Multiply the channels of what is quantised."""
        source = quantise.input[0]
        conv = self._alone(source)
        clamp = conv if conv is not None and conv.op_type in (RELU, CLIP) else None
        if clamp is not None:
            conv = self._alone(clamp.input[0])
        if conv is not None and self._can_weigh(conv) and (clamp is None or self._widen(clamp, found)):
            self._weigh(conv, factors)
            if len(conv.input) > 2 and conv.input[2]:
                self._weigh_bias(conv, factors)
            return
        along = factors.astype(np.float32).reshape(-1, 1, 1)
        name = self.names.free(f"{source}/even")
        inputs = [source, self.constants.put(self.names.free(f"{name}/factors"), along)]
        self._insert(quantise, helper.make_node("Mul", inputs, [name], self.names.free(f"{name}/node")))
        quantise.input[0] = name

    def _alone(self, name: str) -> NodeProto | None:
        """The node that makes a tensor which one other node reads, and no user."""
        return self.makers.get(name) if len(self.readers[name]) == 1 and name not in self.outputs else None

    def _can_weigh(self, conv: NodeProto) -> bool:
        bias = conv.input[2] if len(conv.input) > 2 else ""
        return (
            conv.op_type == CONVOLUTION
            and self._weight(conv) is not None
            and (not bias or self._bias(bias) is not None)
        )

    def _bias(self, name: str) -> Array | None:
        """Reals."""
        maker = self.makers.get(name)
        if maker is None or not is_linear(maker, DEQUANTISE):
            return self.constants.read(name)
        codes = self.constants.read(maker.input[0])
        kind = None if codes is None else helper.np_dtype_to_tensor_dtype(codes.dtype)
        return None if codes is None else linear(maker, self.constants.read, 1, kind).reals(codes)

    def _weigh_bias(self, conv: NodeProto, factors: Array) -> None:
        bias = self._bias(conv.input[2])
        if bias is None:
            raise ValueError(f"'{conv.name}' has no constant bias")
        conv.input[2] = self.constants.put(self.names.free(f"{conv.name}/bias"), (bias * factors).astype(np.float32))

    def _widen(self, clamp: NodeProto, found: Linear) -> bool:
        """Whether factors may pass it: a Relu as it is, a Clip where the codes end no later than it does, which then
        gets their end."""
        if clamp.op_type == RELU:
            return True
        low, high = (self.constants.read(name) if name else None for name in (*clamp.input[1:3], "", "")[:2])
        steps = ACTIVATIONS[found.kind].hi - found.zero.reshape(-1)
        if low is None or high is None or low != 0.0 or (found.scale * (steps - 0.5) > high).any():
            return False
        end = np.asarray(found.scale.max() * steps[0], np.float32)
        clamp.input[2] = self.constants.put(self.names.free(f"{clamp.name}/end"), end)
        return True

    # The pair ---------------------------------------------------------------------------------------------------------

    def _regrid(self, nodes: list[NodeProto], scale: np.float32, zero: np.int64) -> None:
        for node in nodes:
            kind = self.constants.read(node.input[2])
            own = np.asarray(zero, np.int64 if kind is None else kind.dtype)
            for index, part, value in ((1, "scale", np.asarray(scale, np.float32)), (2, "zero", own)):
                node.input[index] = self.constants.put(self.names.free(f"{node.output[0]}/{part}"), value)

    def _insert(self, reader: NodeProto, node: NodeProto) -> None:
        self.before.setdefault(reader.output[0], []).append(node)
        self.makers[node.output[0]] = node
