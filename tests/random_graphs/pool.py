"""Random float graphs: a pool of tensors with their values, from which each new node draws its operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import onnx
from bodies import runnable, session
from onnx import TensorProto, helper
from quantised import Feeds, Net

from axbuild.toolchain.graph import IR_VERSION, OPSET, Shape

Array = np.ndarray
T = TypeVar("T")
SAMPLES = 3
LARGEST = 1200
"""elements of a tensor, so that the oracle gets through a graph in a moment"""
BEYOND = 1e4
"""magnitude from which on a tensor is not worth a grid"""


class UnfitError(Exception):
    """This operator finds nothing that it could read just now."""


class Pool(Net):
    """A graph that grows node by node, and what its tensors hold for a few samples.

    Every input has the samples along axis 0. A node that onnxruntime refuses, or whose values are not finite, is not
    added. seed: decides everything.
    """

    def __init__(self, seed: int) -> None:
        rank = int(np.random.default_rng(seed).integers(2, 5))
        shape = (1, *(int(size) for size in np.random.default_rng([seed, 1]).integers(3, 7, rank - 1)))
        super().__init__(*shape, seed=seed)
        self.arrays: dict[str, list[Array]] = {"x": self._drawn(shape)}
        self.constants: dict[str, Array] = {}
        self.hidden: set[str] = set()
        """tensors with values far out, which the next node alone reads"""

    def _drawn(self, shape: Shape) -> list[Array]:
        scale, shift = float(self.one_of((0.2, 1.0, 6.0))), float(self.one_of((0.0, 0.0, 0.7)))
        return [(scale * self.rng.normal(shift, 1, shape)).astype(np.float32) for _ in range(SAMPLES)]

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def shape(self, name: str) -> Shape:
        return tuple(self.arrays[name][0].shape)

    def fresh(self, *shape: int) -> str:
        """A new input of the graph."""
        name = self.input(f"x{len(self.inputs)}", *shape)
        self.arrays[name] = self._drawn(shape)
        return name

    def fresh_mask(self, *shape: int) -> str:
        """A new input of truth values."""
        name = self.input(f"x{len(self.inputs)}", *shape, kind=TensorProto.BOOL)
        self.arrays[name] = [self.rng.integers(0, 2, shape).astype(bool) for _ in range(SAMPLES)]
        return name

    def fresh_index(self, indices: Array) -> str:
        """A new input of whole numbers; indices: int64, the same in every sample."""
        name = self.input(f"x{len(self.inputs)}", *indices.shape, kind=TensorProto.INT64)
        self.arrays[name] = [indices.astype(np.int64)] * SAMPLES
        return name

    def index(self, indices: Array) -> str:
        """The same, or a constant."""
        return self.fresh_index(indices) if self.chance(0.5) else self.held(indices, "int64")

    def pick(self, fits: Callable[[Shape], bool], dtype: str = "float32") -> str | None:
        """One of the newest tensors that fit; None where there is none."""
        found = [
            name
            for name, (first, *_) in self.arrays.items()
            if first.dtype == dtype and fits(first.shape) and name not in self.hidden
        ]
        return found[-1 - self.between(0, min(len(found), 5) - 1)] if found else None

    def any(self, low: int = 2, high: int = 6) -> str:
        """A float tensor of a rank from low to high."""
        name = self.pick(lambda shape: low <= len(shape) <= high)
        if name is None or self.chance(0.05):
            rank = self.between(low, min(high, max(low, 4)))
            return self.fresh(1, *(self.between(2, 5) for _ in range(rank - 1)))
        return name

    def image(self, least: int = 3, spatial: int = 2) -> str:
        """A tensor [n, c, ...] of `spatial` more axes, each of at least `least`."""
        name = self.pick(lambda shape: len(shape) == 2 + spatial and min(shape[2:], default=least) >= least)
        if name is None:
            return self.fresh(1, self.between(1, 6), *(self.between(least, least + 4) for _ in range(spatial)))
        return name

    def like(self, shape: Shape) -> str:
        """A tensor that may stand beside one of `shape` in an operation that broadcasts."""
        name = self.pick(lambda other: _broadcasts(shape, other))
        return name if name is not None and self.chance(0.8) else self.fresh(1, *shape[1:])

    def held(self, values: object, dtype: str = "float32") -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, dtype)
        return self.constant(name, self.constants[name])

    def drawn(self, *shape: int, scale: float = 1.0) -> str:
        """A constant of random reals."""
        return self.held(self.rng.normal(0, scale, shape))

    def weights(self, *shape: int, channel: int = 0) -> str:
        """A constant weight of such codes."""
        fan = math.prod(shape) // shape[channel]
        return self.held(self.codes(*shape, channel=channel) * np.float32(2.0 ** -round(6 + math.log2(fan) / 2)))

    def codes(self, *shape: int, channel: int = 0) -> Array:
        """What 8 bits hold exactly, so that only the arithmetic rounds: whole numbers, the last code in each channel.

        channel: the axis of the output channels.
        """
        codes = self.rng.integers(-127, 128, shape).astype(np.float32)
        np.moveaxis(codes, channel, -1)[(0,) * (len(shape) - 1)] = self.one_of((-127, 127))
        return codes

    def integers(self, *values: int) -> str:
        return self.held(values, "int64")

    def put(
        self, op: str, inputs: Sequence[str], count: int = 1, beyond: bool = False, **attributes: object
    ) -> list[str]:
        """The outputs of a new node; raises UnfitError where it is not worth having. beyond: values may be far out."""
        names = [f"t{len(self.nodes)}" + (f"_{index}" if index else "") for index in range(count)]
        node = helper.make_node(op, list(inputs), names, name=names[0], **attributes)
        rows = self._run(node)
        if not all(_worth(array, math.inf if beyond else BEYOND) for row in rows for array in row):
            raise UnfitError(op)
        self.nodes.append(node)
        self.hidden.update(names if beyond else ())
        self.arrays |= dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        return names

    def _run(self, node: onnx.NodeProto) -> list[list[Array]]:
        """What the node makes of each sample."""
        model, feeds = self.alone(node)
        one = session(model, "optimisation off")
        return [one.run(None, feed) for feed in feeds]

    def cut(self, count: int) -> None:
        """Leave the first `count` nodes."""
        for node in self.nodes[count:]:
            for name in node.output:
                del self.arrays[name]
        del self.nodes[count:]

    def alone(self, node: onnx.NodeProto) -> tuple[onnx.ModelProto, list[Feeds]]:
        """A model of the one node, and what it reads in each sample."""
        computed = [name for name in dict.fromkeys(node.input) if name in self.arrays]
        feeds = [{name: self.arrays[name][index] for name in computed} for index in range(SAMPLES)]
        model = self._model([node], [self._port(name) for name in computed], list(node.output))
        return runnable(model), feeds

    def feeds(self) -> list[Feeds]:
        """The samples: input -> its array."""
        names = [value.name for value in self.used()]
        return [{name: self.arrays[name][index] for name in names} for index in range(SAMPLES)]

    def used(self) -> list[onnx.ValueInfoProto]:
        """The inputs that a node reads."""
        read = {name for node in self.nodes for name in node.input}
        return [value for value in self.inputs if value.name in read]

    def ends(self) -> list[str]:
        """What nobody reads, and now and then something that is read too."""
        read = {name for node in self.nodes for name in node.input}
        made = [name for node in self.nodes for name in node.output if name not in self.hidden]
        return [name for name in made if name not in read or self.chance(0.1)]

    def graph(self) -> onnx.ModelProto:
        """The model whose outputs are `ends`."""
        return self._model(self.nodes, self.used(), self.ends())

    def _model(
        self, nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[str]
    ) -> onnx.ModelProto:
        read = {name for node in nodes for name in node.input}
        made = [name for node in nodes for name in node.output if name in self.arrays and name not in outputs]
        held = [tensor for tensor in self.initialisers if tensor.name in read]
        infos = [self._port(name) for name in made]
        graph = helper.make_graph(nodes, "net", inputs, [self._port(name) for name in outputs], held, value_info=infos)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def _port(self, name: str) -> onnx.ValueInfoProto:
        """Element type and shape of a tensor, as far as they are known."""
        if name not in self.arrays:
            return onnx.ValueInfoProto(name=name)
        first = self.arrays[name][0]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(first.dtype), first.shape)


def _broadcasts(shape: Shape, other: Shape) -> bool:
    pairs = zip(shape[::-1], other[::-1], strict=False)
    size = math.prod(max(a, b) for a, b in pairs)
    return size <= LARGEST and all(a == b or 1 in (a, b) for a, b in zip(shape[::-1], other[::-1], strict=False))


def _worth(array: Array, beyond: float) -> bool:
    """Whether a tensor has elements, not too many, and none that is no number or far out."""
    return 0 < array.size <= LARGEST and bool(np.all(np.abs(array.astype(np.float64)) < beyond))
