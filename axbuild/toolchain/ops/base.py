"""What every op says about itself: limits, quantisation policy, lowering to kinds.

The quantiser sees the float graph as *sites*: a head node with the nodes its kind swallows (a constant Add that
becomes bias, Relu and Clip that become the clamp of the output codes). Ops are asked for properties; nothing
outside this package knows an op by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array, Shape, activations_of, needed_input, shape_of
from axbuild.toolchain.kinds.base import Kind

CODE_MAX = 255


class UnsupportedError(AxError):
    """An operator, or a form of one, that cannot be quantised; the sentence names node, op and limit."""

    code = "AX350"


@dataclass(frozen=True)
class Finding:
    """One reason why a node cannot be quantised or compiled."""

    node: str
    op_type: str
    sentence: str

    def __str__(self) -> str:
        return f"node '{self.node}' ({self.op_type}): {self.sentence}"


@dataclass(frozen=True)
class Limit:
    """A sentence that holds of every node that is accepted, the check of it, and what a node has instead.

    The sentence goes into the error a user reads and into the table of operators alike.
    """

    sentence: str
    holds: Callable[[ir.Node], bool]
    found: Callable[[ir.Node], object] | None = None

    def finding(self, node: ir.Node) -> Finding:
        found = f", got {self.found(node)}" if self.found else ""
        return Finding(node.name or "", node.op_type, self.sentence + found)


@dataclass(frozen=True)
class Grid:
    """real = scale (code - zero), codes 0..255. scale: a float32 value, positive and normal."""

    scale: float
    zero: int

    def code(self, real: float) -> int:
        """floor(real / scale + 0.5) + zero, saturating; infinities give the ends."""
        if math.isinf(real):
            return CODE_MAX if real > 0 else 0
        return min(CODE_MAX, max(0, math.floor(real / self.scale + 0.5) + self.zero))


@dataclass(frozen=True)
class Bounds:
    """Range in reals that an activation keeps: Relu is (0, inf)."""

    lo: float
    hi: float

    FREE: ClassVar[Bounds]
    """no bounds at all"""

    def then(self, outer: Bounds) -> Bounds:
        """This clamp, and `outer` behind it."""
        return Bounds(min(max(self.lo, outer.lo), outer.hi), min(max(self.hi, outer.lo), outer.hi))


Bounds.FREE = Bounds(-math.inf, math.inf)


@dataclass(frozen=True)
class Site:
    """A head node and, in order, the nodes that its kind swallows.

    addend: float64 [c], the sum of the swallowed constants a channel; None where there is none.
    """

    node: ir.Node
    swallowed: tuple[ir.Node, ...] = ()
    addend: Array | None = None
    bounds: Bounds = Bounds.FREE

    @property
    def name(self) -> str:
        return self.node.name or ""

    @property
    def nodes(self) -> tuple[ir.Node, ...]:
        return (self.node, *self.swallowed)

    @property
    def output(self) -> ir.Value:
        return self.nodes[-1].outputs[0]

    @property
    def inner(self) -> tuple[ir.Value, ...]:
        """Tensors between head and last node: they exist in the float graph only."""
        return tuple(node.outputs[0] for node in self.nodes[:-1])

    @property
    def inputs(self) -> tuple[ir.Value, ...]:
        return activations_of(self.node)


@dataclass(frozen=True)
class Step:
    """One quantised node. inputs, output: names of float tensors, whose codes it reads and writes."""

    kind: Kind
    inputs: tuple[str, ...]
    output: str
    name: str
    shape: Shape
    """ONNX shape of the output"""


@dataclass(frozen=True)
class Baked:
    """A constant as it was quantised. scale: float64 [c] of float32 values, or [1]; raised: channels at the floor."""

    tensor: str
    scale: Array
    quant_min: int
    quant_max: int
    bit_width: int
    passive: bool = False
    raised: tuple[int, ...] = ()


@dataclass(frozen=True)
class Lowered:
    steps: tuple[Step, ...]
    baked: tuple[Baked, ...] = ()


@dataclass(frozen=True)
class Settled:
    """A site with the grid of every tensor it touches."""

    site: Site
    grids: Mapping[str, Grid]

    @property
    def node(self) -> ir.Node:
        return self.site.node

    @property
    def name(self) -> str:
        return self.site.name

    def input(self, index: int) -> ir.Value:
        return needed_input(self.node, index)

    def x(self, index: int = 0) -> Grid:
        return self.grids[self.input(index).name or ""]

    @property
    def y(self) -> Grid:
        return self.grids[self.site.output.name or ""]

    @property
    def lo(self) -> int:
        return self.y.code(self.site.bounds.lo)

    @property
    def hi(self) -> int:
        return self.y.code(self.site.bounds.hi)

    def step(self, kind: Kind, *inputs: ir.Value) -> Step:
        """The step that writes the site's output, named as the head node."""
        output = self.site.output
        return Step(kind, tuple(value.name or "" for value in inputs), output.name or "", self.name, shape_of(output))

    def single(self, kind: Kind, *inputs: ir.Value) -> Lowered:
        return Lowered((self.step(kind, *(inputs or self.site.inputs)),))

    def chain(self, kinds: list[tuple[str, Kind]], value: ir.Value) -> Lowered:
        """Kinds one after the other from `value` to the output; each but the last one needs its own suffix."""
        steps, name, shape = [], value.name or "", shape_of(value)
        for suffix, kind in kinds[:-1]:
            shape = kind.output_shape(shape)
            output = f"{self.site.output.name}/{suffix}"
            steps.append(Step(kind, (name,), output, f"{self.name}/{suffix}", shape))
            name = output
        last = self.step(kinds[-1][1])
        return Lowered((*steps, Step(last.kind, (name,), last.output, last.name, last.shape)))


class Op:
    """Base of all ops: stateless; every method takes the ONNX node."""

    onnx: ClassVar[str]
    """op_type in ONNX's default domain"""
    limits: ClassVar[tuple[Limit, ...]] = ()
    clamps: ClassVar[bool] = False
    """its kind can clamp the output codes, so that a Relu or Clip after it costs nothing"""
    cases: ClassVar[tuple[str, ...]] = ()
    """ONNX's own backend node cases that it must pass"""
    steps: ClassVar[int] = 1
    """largest distance, in steps of the output's scale, between float and quantised result of those cases"""
    soi: ClassVar[tuple[int, ...]] = ()
    """inputs that are shapes or indices, never quantised"""

    def refusals(self, node: ir.Node) -> Iterator[Finding]:
        """Every limit the node violates."""
        for limit in self.limits:
            if not limit.holds(node):
                yield limit.finding(node)
                return

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Inputs that must have the output's grid: the op only moves bits."""
        return ()

    def joined(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Inputs that take the output's grid where their range allows it, and are requantised elsewhere."""
        return ()

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        """Reals beside the measured values that the output's grid must hold, such as a padding value."""
        return ()

    def fixed(self, node: ir.Node) -> Grid | None:
        """The output's grid where the arithmetic fixes it."""
        return None

    def bounds(self, node: ir.Node) -> Bounds | None:
        """What the node clamps its one activation to; None where it does anything else."""
        return None

    def addend(self, node: ir.Node) -> Array | None:
        """The constant the node adds to its one activation, in its own shape; None where it does anything else."""
        return None

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        """float64 [c]: what the constant would be as bias of this node; None where it cannot be one."""
        return None

    def lower(self, q: Settled) -> Lowered:
        """The site as steps of kinds; raises UnsupportedError where a number does not fit."""
        raise NotImplementedError


def per_channel(addend: Array, shape: Shape, axis: int) -> Array | None:
    """A constant that broadcasts to `shape` and varies along `axis` only, as float64 [shape[axis]]; else None."""
    if addend.ndim > len(shape):
        return None
    padded = addend.reshape((1,) * (len(shape) - addend.ndim) + addend.shape)
    if any(size not in (1, shape[axis]) if index == axis else size != 1 for index, size in enumerate(padded.shape)):
        return None
    return np.broadcast_to(padded.reshape(-1).astype(np.float64), (shape[axis],)).copy()
