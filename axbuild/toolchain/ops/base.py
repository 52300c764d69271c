"""What every op says about itself: limits of its integer form, quantisation policy, lowering to kinds.

The quantiser sees the float graph as *fused nodes*: a head with the nodes that its kind swallows (a constant Add that
becomes bias, Relu and Clip that become the clamp of the output codes, an activation that becomes a table behind the
accumulator). Ops are asked for properties; nothing outside this package knows an op by its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, Shape, activations_of, constant_of, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.arithmetic import quantise
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import FP32, Edge, ElementType, Grid, type_numbered
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.ops.gain import Gain

MOVED = (ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64, ir.DataType.BOOL)
"""element types of the float graph that ops which only move elements take"""


@dataclass(frozen=True)
class Finding:
    """One reason why a node has no integer form."""

    node: str
    op_type: str
    sentence: str

    def __str__(self) -> str:
        return f"node '{self.node}' ({self.op_type}): {self.sentence}"


@dataclass(frozen=True)
class Limit:
    """A sentence that holds of every node that has an integer form, the check of it, and what a node has instead.

    The sentence goes into what a user reads and into the table of operators alike. of_codes: in float32 it need not
    hold.
    """

    sentence: str
    holds: Callable[[ir.Node], bool]
    found: Callable[[ir.Node], object] | None = None
    of_codes: bool = False

    def finding(self, node: ir.Node) -> Finding:
        found = f", got {self.found(node)}" if self.found else ""
        return Finding(node.name or "", node.op_type, self.sentence + found)


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
class Function:
    """An activation of one tensor, element by element. name: what viewers show; real: float64 -> float64."""

    name: str
    real: Callable[[Array], Array]

    def then(self, outer: Callable[[Array], Array]) -> Function:
        """This one, and `outer` behind it."""
        return Function(self.name, lambda x: outer(self.real(x)))


@dataclass(frozen=True)
class Follow:
    """What a node does to the one activation it reads, as far as a head before it can do it instead.

    bounds: it keeps a range (Bounds.FREE: nothing at all). addend, factor: it adds this constant, or multiplies by it,
    in its own shape. function: it is that function, which a table behind the head's accumulator computes.
    """

    bounds: Bounds | None = None
    addend: Array | None = None
    factor: Array | None = None
    function: Function | None = None

    @property
    def alike(self) -> Callable[[Array], Array] | None:
        """What it makes of float64 reals; None where not of all elements the same."""
        if self.function is not None:
            return self.function.real
        if self.bounds is not None:
            lo, hi = self.bounds.lo, self.bounds.hi
            return lambda x: np.clip(x, lo, hi)
        constant = self.addend if self.factor is None else self.factor
        if constant is None or constant.size != 1:
            return None
        value = float(constant.reshape(-1)[0])
        return (lambda x: x + value) if self.factor is None else (lambda x: x * value)


@dataclass(frozen=True)
class FusedNode:
    """A head node and, in order, the nodes that its kind swallows; before: nodes in front of it that it takes along.

    addend: float64 [c], the sum of the swallowed constants a channel; None where there is none. factor: what the head
    multiplies by in the place of the node it swallowed, as its `factor_of` says it. bounds: of what the
    head accumulates. table: the swallowed node that becomes a table behind it; the tensor it reads has a grid of its
    own. function: of that table, or of a head that is one, and of all that is swallowed behind it.
    """

    node: ir.Node
    swallowed: tuple[ir.Node, ...] = ()
    addend: Array | None = None
    factor: Array | None = None
    bounds: Bounds = Bounds.FREE
    table: ir.Node | None = None
    function: Function | None = None
    before: tuple[ir.Node, ...] = ()

    @property
    def name(self) -> str:
        return self.node.name or ""

    @property
    def nodes(self) -> tuple[ir.Node, ...]:
        """Head first."""
        return (self.node, *self.swallowed, *self.before)

    @property
    def last(self) -> ir.Node:
        return (self.node, *self.swallowed)[-1]

    @property
    def outputs(self) -> tuple[ir.Value, ...]:
        """The tensors that others read; a head that swallows has one output."""
        return tuple(self.last.outputs)

    @property
    def output(self) -> ir.Value:
        return self.last.outputs[0]

    @property
    def inner(self) -> tuple[ir.Value, ...]:
        """Tensors between its nodes."""
        return tuple(node.outputs[0] for node in self.nodes if node is not self.last)

    @property
    def accumulated(self) -> ir.Value:
        """What the head's own kind writes: the output, or the tensor that the table reads."""
        return self.output if self.table is None else activations_of(self.table)[0]

    @property
    def bare(self) -> bool:
        """Whether what the head swallows does nothing at all."""
        return self.table is None and self.addend is None and self.factor is None and self.bounds == Bounds.FREE

    @property
    def inputs(self) -> tuple[ir.Value, ...]:
        """Activations of the head, in its order, or of what it takes along."""
        made = {node.outputs[0]: node for node in self.before}
        found: list[ir.Value] = []
        for value in activations_of(self.node):
            found += activations_of(made[value]) if value in made else (value,)
        return tuple(found)


@dataclass(frozen=True)
class BakedWeight:
    """Constants of a multiply-accumulate as the scheme fixed them.

    codes: [co, ...] of `type`, as the op's `weight` lays them out; scale: float32 [co]; bias: [co], int32 (int64 with
    a 16-bit operand), float32 where the output is FP32; raised: channels whose scale the floor lifted; zero: of each
    channel's codes, () where all are 0, as they are unless a model brought them.
    """

    codes: Array
    scale: Array
    type: ElementType
    bias: Array
    raised: tuple[int, ...] = ()
    zero: tuple[int, ...] = ()


@dataclass(frozen=True)
class Between:
    """A tensor inside a fused node that the float graph does not have; suffix: told apart by it."""

    suffix: str


Ref = str | Between
"""A tensor that a step reads or writes: a float tensor's name, whose codes are meant, or one of its own"""


@dataclass(frozen=True)
class Step:
    """One quantised node."""

    kind: Kind
    inputs: tuple[Ref, ...]
    output: Ref
    name: str
    shape: Shape
    """ONNX shape of the output"""


@dataclass(frozen=True)
class SettledNode:
    """A fused node with what every tensor it touches is.

    reads: tensor -> what the head reads it as; writes: of the outputs and the accumulated tensor; weight: where the
    op has one; gain: what the scale of a normalisation is stored as.
    """

    fused: FusedNode
    reads: Mapping[str, Edge]
    writes: Mapping[str, Edge]
    weight: BakedWeight | None = None
    gain: str = "FP32"

    @property
    def node(self) -> ir.Node:
        return self.fused.node

    @property
    def name(self) -> str:
        return self.fused.name

    def input(self, index: int) -> ir.Value:
        return needed_input(self.node, index)

    def edge(self, index: int = 0) -> Edge:
        return self.edge_of(self.input(index))

    def edge_of(self, value: ir.Value) -> Edge:
        """What a tensor that the fused node reads is read as; a constant is on no grid."""
        name = value.name or ""
        plain = type_numbered(int(value.dtype)) if name not in self.reads and value.dtype is not None else None
        return plain or self.reads[name]

    def x(self, index: int = 0) -> Grid:
        """The grid on which input `index` is read."""
        return _grid(self.edge(index))

    def chosen(self, index: int) -> Grid:
        """The grid of an operand that may become the output as it is: its own, for a constant the output's."""
        return self.x(index) if is_activation(self.input(index)) else self.y

    def grid_of(self, value: ir.Value) -> Grid:
        """The grid on which a tensor is read."""
        return _grid(self.edge_of(value))

    @property
    def target(self) -> Edge:
        """What the head's kind writes."""
        return self.writes[self.fused.accumulated.name or ""]

    @property
    def y(self) -> Grid:
        return _grid(self.target)

    @property
    def whole(self) -> ElementType | None:
        """The element type of what the head's kind writes where that is no reals: integers or truth values."""
        return self.target if isinstance(self.target, ElementType) and not self.real else None

    @property
    def real(self) -> bool:
        """Whether the head's kind writes float32."""
        return self.target is FP32

    @property
    def lo(self) -> int:
        """Lowest code of the output; 0 where it is no codes."""
        return self.target.code(self.fused.bounds.lo) if isinstance(self.target, Grid) else 0

    @property
    def hi(self) -> int:
        return self.target.code(self.fused.bounds.hi) if isinstance(self.target, Grid) else 0

    def step(self, kind: Kind, *inputs: Ref) -> Step:
        """The step that writes what the head accumulates, named as the head."""
        value = self.fused.accumulated
        return Step(kind, inputs, value.name or "", self.name, shape_of(value))

    def given(self, value: ir.Value, edge: Edge) -> tuple[list[Step], Ref]:
        """An operand for a kind that reads `edge`: the tensor itself, or behind a step of its own where it is constant.

        A constant on a grid is quantised to that grid, one among codes that only move to the output's.
        """
        array = constant_of(value)
        if array is None:
            return [], value.name or ""
        edge = self.y if isinstance(edge, ElementType) and edge.coded else edge
        codes = quantise(array, edge) if isinstance(edge, Grid) else array.astype(edge.dtype)
        place = Between(value.name or "constant")
        held = codes.reshape(codes.shape or (1,))
        return [Step(Given(edge, held), (), place, f"{self.name}/{place.suffix}", held.shape)], place

    def joined(self, kind: Kind, *values: ir.Value) -> list[Step]:
        """The head as a kind of these operands, any of them constant."""
        steps: list[Step] = []
        refs: list[Ref] = []
        for value, edge in zip(values, kind.reads, strict=True):
            more, ref = self.given(value, edge)
            steps, refs = [*steps, *more], [*refs, ref]
        return [*steps, self.step(kind, *refs)]

    def single(self, kind: Kind, *inputs: ir.Value) -> list[Step]:
        return [self.step(kind, *(value.name or "" for value in inputs or self.fused.inputs))]

    def chain(self, kinds: list[tuple[str, Kind]], value: ir.Value) -> list[Step]:
        """Kinds one after the other from `value` to the output; each but the last one needs its own suffix."""
        steps: list[Step] = []
        source: Ref = value.name or ""
        shape = shape_of(value)
        for suffix, kind in kinds[:-1]:
            shape = kind.output_shape(shape)
            steps.append(Step(kind, (source,), Between(suffix), f"{self.name}/{suffix}", shape))
            source = Between(suffix)
        return [*steps, self.step(kinds[-1][1], source)]


def _grid(edge: Edge) -> Grid:
    if not isinstance(edge, Grid):
        raise ValueError(f"{edge} has no grid")
    return edge


class Op:
    """Base of all ops: stateless; every method takes the ONNX node."""

    onnx: ClassVar[str]
    """op_type in ONNX's default domain"""
    limits: ClassVar[tuple[Limit, ...]] = ()
    """of its integer form; a node outside one stays a float operator, which runs on the CPU"""
    clamps: ClassVar[bool] = False
    """its kind can clamp the output codes, so that a Relu or Clip after it costs nothing"""
    accumulates: ClassVar[bool] = False
    """its kind can hand its exact sums on as 16-bit codes to a table behind it"""
    moves: ClassVar[bool] = False
    """it only moves elements: any element type will do, and its output is what its input is; of a node: `only_moves`"""
    reals_too: ClassVar[bool] = False
    """the NPU computes it in float32 too: `island` says how or, where that is None, `lower`, which then takes reals as
    it takes codes"""
    steep: ClassVar[bool] = False
    """a step of its input is a factor in its output: 8 bits are coarse for what it reads"""
    typed_output: ClassVar[bool] = False
    """a layer rule says of its output apart what element type that has, and asks for no FP32 that it has not"""
    levels: ClassVar[bool] = False
    """it brings a layer's whole input to one size, whatever size that has"""
    sums: ClassVar[bool] = False
    """it adds what it reads, element by element"""
    weight_input: ClassVar[int | None] = None
    """the input that is a constant weight"""
    bias_inputs: ClassVar[tuple[int, ...]] = ()
    """constant inputs that go into the bias"""
    cases: ClassVar[tuple[str, ...]] = ()
    """ONNX's own backend node cases that it must pass"""
    steps: ClassVar[int] = 1
    """largest distance, in steps of the output's scale, between float and quantised result of those cases"""
    soi: ClassVar[tuple[int, ...]] = ()
    """inputs that are shapes or constants of the operator, never quantised"""

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        """What an activation or output of the node may be where the node has an integer form."""
        return MOVED if self.only_moves(node) else (ir.DataType.FLOAT,)

    def only_moves(self, node: ir.Node) -> bool:
        """Whether this node only moves elements: most ops do so in every form, or in none."""
        return self.moves

    def refusals(self, node: ir.Node, real: bool = False) -> Iterator[Finding]:
        """The first limit the node violates, if any; real: in float32."""
        for limit in self.limits:
            if not (real and limit.of_codes) and not limit.holds(node):
                yield limit.finding(node)
                return

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Inputs that must have the outputs' grid: the op only moves bits."""
        return ()

    def reals(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Float inputs that it reads in float32, not as codes, such as coordinates."""
        return ()

    def joined(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Inputs that take the output's grid where their range allows it, and are requantised elsewhere."""
        return ()

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        """Reals beside the measured values that the output's grid must hold, such as a padding value."""
        return ()

    def fixed(self, node: ir.Node, kind: ElementType, largest: float) -> Grid | None:
        """The output's grid where the arithmetic fixes it. largest: the highest value that was observed."""
        return None

    def before(self, node: ir.Node) -> tuple[ir.Node, ...]:
        """Nodes right in front of it that its kind takes along, the one it reads first."""
        return ()

    def shown(self, node: ir.Node) -> tuple[ir.Value, ...]:
        """Inputs whose values its output shows, beside others that stand for nothing and are not measured; codes of
        these are the outermost. () where all of its values count."""
        return ()

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        """The output's channel axis; axis: that of its first activation."""
        return axis

    def follows(self, node: ir.Node) -> Follow | None:
        """What a head before it can do in its place; None where nothing can."""
        return None

    def bias_of(self, node: ir.Node, addend: Array) -> Array | None:
        """float64 [c]: what a constant added behind this node would be as its bias; None where it cannot be one."""
        return None

    def factor_of(self, node: ir.Node, factor: Array) -> Array | None:
        """What a constant multiplied behind this node would be in its own product; None where it has none."""
        return None

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        """Where a positive factor for each channel of its output along `axis` goes; None where it goes nowhere."""
        return None

    def takes_back(self, node: ir.Node, axis: int) -> Gain | None:
        """Where the inverse of a factor for each channel of its first input along `axis` goes."""
        return None

    def weight(self, node: ir.Node) -> Array | None:
        """float64 [co, ...]: the constant weight as the kind lays it out; None where the node has none."""
        return None

    def means(self, node: ir.Node, means: Array, axis: int) -> Array | None:
        """float64 that broadcasts to `weight`: what each of its elements is multiplied with on average over the output.

        means: float64 [c] of the input along `axis`; padding counts as zeros. None where that does not say it.
        """
        return None

    def columns(self, node: ir.Node, x: Array, places: Array) -> Array | None:
        """[groups, places, n]: of the input's values x, what the weight's rows meet at these places (flat indices) of
        an output's channel; padding counts as zeros. None where the node has no weight."""
        return None

    def bias(self, node: ir.Node) -> Array | None:
        """float64 [co], or of one element: the node's own bias; None where it has none."""
        return None

    def lower(self, q: SettledNode) -> list[Step]:
        """The head as steps of kinds on codes."""
        raise NotImplementedError

    def island(self, node: ir.Node) -> Kind | None:
        """The one kind that computes the node in float32; None where `lower` says it."""
        return None

    def in_float32(self, node: ir.Node) -> bool:
        """Whether the NPU computes the node in float32: what only moves elements lowers to what it always is."""
        return self.only_moves(node) or self.reals_too


def per_channel(addend: Array, shape: Shape, axis: int) -> Array | None:
    """A constant that broadcasts to `shape` and varies along `axis` only, as float64 [shape[axis]]; else None."""
    if addend.ndim > len(shape):
        return None
    padded = addend.reshape((1,) * (len(shape) - addend.ndim) + addend.shape)
    if any(size not in (1, shape[axis]) if index == axis else size != 1 for index, size in enumerate(padded.shape)):
        return None
    return np.broadcast_to(padded.reshape(-1).astype(np.float64), (shape[axis],)).copy()


def computed_reals(*values: ir.Value | None) -> tuple[ir.Value, ...]:
    """Those of reals, which have grids, that are no constants."""
    return tuple(value for value in values if is_activation(value) and value and value.dtype == ir.DataType.FLOAT)


def extremes(*values: ir.Value | None) -> tuple[float, ...]:
    """The lowest and the highest of each constant of reals among them, which an output made of them must hold."""
    arrays = [constant_of(value) for value in values if value is not None and value.dtype == ir.DataType.FLOAT]
    return tuple(float(end) for array in arrays if array is not None for end in (array.min(), array.max()))
