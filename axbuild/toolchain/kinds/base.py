"""What every kind of arithmetic offers: an ONNX node with an exact body, tile geometry, and cost.

A kind instance is one operator with all its constants settled. It goes to and from an ONNX node of the
domain `axbuild` without loss: activations are the node's first inputs, the constants of `constants()` follow
in that order as initialisers, everything else is in `attributes()`. Both come from the fields of the
dataclass: a field annotated with `Constant` travels as an initialiser, every other one as attributes (a grid as
three of them). What an operator reads and writes, its element types and grids, it says itself: `reads`, `writes`.

Shapes at this interface are ONNX's (NCHW). Boxes are in memory layout: rank-4 tensors lie in memory as NHWC,
all others in ONNX order. Inside the package geometry is written once, in ONNX order, by `needs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast, get_args, get_origin, get_type_hints

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import OPSET, Array, Shape
from axbuild.toolchain.kinds.codes import FP32, Edge, ElementType, Grid, type_named, type_of, wide

if TYPE_CHECKING:
    import onnx

DOMAIN = "axbuild"
Ranges = tuple[tuple[int, int], ...]
"""one (start, stop) an axis, in ONNX order"""


class NodeError(AxError):
    """A node of the domain `axbuild` whose attributes or constants are not those of its op type."""

    code = "AX450"


class ConstantError(AxError):
    """A constant of a kind that lies outside what the integer semantics allow."""

    code = "AX451"


class ShapeError(AxError):
    """Activations whose shapes the operator cannot take."""

    code = "AX455"


@dataclass(frozen=True)
class Box:
    """A half-open region of a tensor in memory layout: one (start, stop) an axis."""

    ranges: tuple[tuple[int, int], ...]

    @cached_property
    def shape(self) -> Shape:
        return tuple([stop - start for start, stop in self.ranges])

    @cached_property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(start, stop) for start, stop in self.ranges)

    def along(self, axis: int, start: int, stop: int) -> Box:
        """The same along the other axes."""
        return Box((*self.ranges[:axis], (start, stop), *self.ranges[axis + 1 :]))


@dataclass(frozen=True)
class Rates:
    """What one core group of a chip does in a cycle; kinds turn boxes into cycles with it (npu-reference 4.3)."""

    convs: int
    mac_ci: int
    mac_co: int
    mac_px: int
    dw_channels: int
    dw_pixels: int
    efficiency: float
    teng_elements: int
    ocm_port_bytes: int
    ddr_bytes: float
    mover_bytes: float
    """bytes a cycle of one mover (cv or sdma); together they get no more than `ddr_bytes` to and from the DDR"""
    conv_wide: float
    teng_wide: float
    teng_float: float
    """how many times slower 16-bit activations are (conv, teng), and float32 on teng"""


def memory_shape(shape: Shape) -> Shape:
    """ONNX shape -> shape in memory: NCHW becomes NHWC, other ranks stay."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


def onnx_ranges(box: Box) -> Ranges:
    """Ranges of a box in ONNX order; the inverse of `memory_box`."""
    r = box.ranges
    return (r[0], r[3], r[1], r[2]) if len(r) == 4 else r


def memory_box(ranges: Ranges) -> Box:
    """Box in memory layout from ranges in ONNX order."""
    r = ranges
    return Box((r[0], r[2], r[3], r[1]) if len(r) == 4 else r)


def memory_axis(axis: int, rank: int) -> int:
    """Where ONNX axis `axis` (not negative) of a tensor of that rank lies in memory."""
    return (0, 3, 1, 2)[axis] if rank == 4 else axis


def whole(shape: Shape) -> Ranges:
    """The ranges of a whole tensor."""
    return tuple((0, size) for size in shape)


def whole_box(shape: Shape) -> Box:
    """The box (memory layout) of a whole tensor of an ONNX shape."""
    return memory_box(whole(shape))


def aligned(out: Ranges, shape: Shape) -> Ranges:
    """Ranges of an operand that ONNX broadcasts: axes aligned at the right, whole where its size is 1."""
    own = out[len(out) - len(shape) :]
    return tuple((0, 1) if size == 1 else r for r, size in zip(own, shape, strict=True))


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


ANY_RANK = -1


@dataclass(frozen=True)
class Constant:
    """Annotation of a kind's field that travels as an initialiser; a field of rank 0 is a Python float.

    dtypes: those the array may have; rank: may be ANY_RANK.
    """

    dtypes: tuple[str, ...]
    rank: int


@cache
def parse_body(text: str, overload: str) -> onnx.FunctionProto:
    """A function of domain `axbuild` from ONNX's text form, without its header line."""
    from onnx import parser

    header = f'<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>'
    function = parser.parse_function(f"{header}\n{text}")
    function.overload = overload
    return function


class Kind:
    """Base of all kinds; subclasses are frozen dataclasses whose fields are the operator's constants."""

    spellings: ClassVar[Mapping[str, Mapping[str, Any]]]
    """op_type of the node in `quant_axmodel.onnx`, such as AxQuantizedAdd -> the fields that it fixes ("op": "add");
    a kind with one spelling fixes none"""
    job: ClassVar[str]
    """name of the job in a program (npu-reference 4.6)"""
    engine: ClassVar[str]
    """engine class that runs it: "conv", "teng", "cv" or "sdma\""""

    # The node ---------------------------------------------------------------------------------------------------

    @property
    def op_type(self) -> str:
        return next(name for name, own in self.spellings.items() if all(getattr(self, k) == v for k, v in own.items()))

    @property
    def reads(self) -> tuple[Edge, ...]:
        """What each activation must be."""
        raise NotImplementedError

    @property
    def writes(self) -> Edge:
        """What the output is. A kind has one output; an op with several lowers to a kind for each."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the activations in the body."""
        count = len(self.reads)
        return {1: ("x",), 2: ("a", "b")}.get(count) or tuple(f"x{i}" for i in range(count))

    @property
    def variant(self) -> str:
        """What the body's text depends on beside the op type and the element types; "" in the common case."""
        return ""

    @property
    def overload(self) -> str:
        """Names the body among those of the op type: nodes with the same overload have the same text."""
        types = "_".join(type_of(edge).name.lower() for edge in (*dict.fromkeys(self.reads), self.writes))
        return f"{types}_{self.variant}" if self.variant else types

    def attributes(self) -> dict[str, Any]:
        """Scalars and integer lists that the node carries as ONNX attributes; an empty list is left out."""
        found: dict[str, Any] = {}
        for name, expected in attribute_types(type(self)).items():
            found |= _written(name, expected, getattr(self, name))
        return {name: value for name, value in found.items() if value != []}

    def constants(self) -> dict[str, Array]:
        """Name -> array, in the order of the node's inputs after the activations."""
        return {name: np.asarray(getattr(self, name)) for name in constant_types(type(self))}

    @classmethod
    def read(cls, op_type: str, attributes: dict[str, Any], constants: list[Array]) -> Self:
        """The inverse of `attributes` and `constants`; raises AxError on a node that is not well formed."""
        own = cls.spellings[op_type]
        return cls(**own, **_read_attributes(cls, attributes), **_read_constants(cls, constants))

    def body(self) -> onnx.FunctionProto:
        """The definition of the arithmetic: a function of domain `axbuild`, run as it stands by stock onnxruntime."""
        attributes = ", ".join(self.attributes())
        listed = f" <{attributes}>" if attributes else ""
        inputs = ", ".join((*self.names, *constant_types(type(self))))
        return parse_body(f"{self.op_type}{listed} ({inputs}) => (y) {{{self.text()}\n}}", self.overload)

    def text(self) -> str:
        """The lines of the body, from the activations `names`, the constants and the attributes to `y`."""
        raise NotImplementedError

    @property
    def weight_type(self) -> ElementType | None:
        """Of its constant weights; None where it has none."""
        return None

    # Geometry ---------------------------------------------------------------------------------------------------

    def output_shape(self, *inputs: Shape) -> Shape:
        """ONNX shape of the output from the ONNX shapes of the activations; raises AxError where they do not fit."""
        raise NotImplementedError

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        """As `input_boxes`, all in ONNX order."""
        raise NotImplementedError

    def input_boxes(self, out: Box, *inputs: Shape) -> tuple[Box, ...]:
        """What part of each activation (memory layout, clipped to the tensor) the part `out` of the output needs."""
        return tuple(memory_box(ranges) for ranges in self.needs(onnx_ranges(out), *inputs))

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        """Axes of the output in memory layout along which a tile may be cut, best first; empty: one job only."""
        return ()

    def grain(self, axis: int, block: int, *inputs: Shape) -> int:
        """The output may be cut along that memory axis at multiples of this only; block: output channels whose
        constants are packed together."""
        return 1

    def view(self, *inputs: Shape) -> bool:
        """Whether the output's bytes are the input's, in the same order in memory, so that nothing need move."""
        return False

    def permutes(self, *inputs: Shape) -> tuple[int, ...] | None:
        """The input's memory axes in the order of the output's, where that is all the kind does: a copy can do it."""
        return None

    # Cost -------------------------------------------------------------------------------------------------------

    def macs(self, out: Box, *inputs: Shape) -> int:
        """Multiply-accumulates that produce the part `out`; 0 where the kind has none."""
        return 0

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Engine cycles for the part `out` in 8 bits, without operator overhead and without DDR time."""
        raise NotImplementedError

    def slowdown(self, rates: Rates) -> float:
        """How many times longer the engine takes for these element types than for 8 bits."""
        edges = (*self.reads, self.writes)
        if self.engine == "conv":
            return rates.conv_wide if wide(*self.reads) else 1.0
        if self.engine == "teng":
            return rates.teng_float if FP32 in edges else rates.teng_wide if wide(*edges) else 1.0
        return 1.0

    def job_cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Cycles of the part `out` on one engine: its arithmetic, or its traffic through the on-chip ports."""
        boxes = (*self.input_boxes(out, *inputs), out)
        edges = (*self.reads, self.writes)
        traffic = sum(box.elements * type_of(edge).bytes for box, edge in zip(boxes, edges, strict=True))
        return max(self.cycles(out, rates, *inputs) * self.slowdown(rates), traffic / rates.ocm_port_bytes)


@cache
def _field_types(kind: Any) -> dict[str, Any]:
    """Name -> type of the fields in order, annotations kept."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def constant_types(kind: type[Kind]) -> dict[str, Constant]:
    """Name -> dtypes and rank of the fields that travel as initialisers, in order."""
    types = _field_types(cast(Any, kind))
    return {name: get_args(t)[1] for name, t in types.items() if get_origin(t) is Annotated}


def attribute_types(kind: type[Kind]) -> dict[str, Any]:
    """Name -> type (int, float, str, a tuple of int, ElementType, Grid, Edge) of the fields that are attributes."""
    fixed = {name for own in kind.spellings.values() for name in own}
    types = _field_types(cast(Any, kind))
    return {name: t for name, t in types.items() if get_origin(t) is not Annotated and name not in fixed}


def _written(name: str, expected: Any, value: Any) -> dict[str, Any]:
    """One field as ONNX attributes; an edge that is no grid has scale 1 and zero 0."""
    if expected in (Grid, Edge):
        grid = value if isinstance(value, Grid) else Grid(1.0, 0, value)
        return {f"{name}_scale": grid.scale, f"{name}_zero": grid.zero, f"{name}_type": grid.type.name}
    if isinstance(value, ElementType):
        return {name: value.name}
    return {name: list(value) if isinstance(value, tuple) else value}


def _read_attributes(kind: type[Kind], attributes: dict[str, Any]) -> dict[str, Any]:
    left = dict(attributes)
    found = {name: _field(kind, name, expected, left) for name, expected in attribute_types(kind).items()}
    for name in sorted(left):
        raise NodeError(f"{kind.__name__} has no attribute '{name}'.")
    return found


def _field(kind: type[Kind], name: str, expected: Any, left: dict[str, Any]) -> Any:
    """A field's value, its attributes taken out of `left`."""
    if expected in (Grid, Edge):
        parts = ((f"{name}_scale", float), (f"{name}_zero", int), (f"{name}_type", ElementType))
        grid = Grid(*(_field(kind, part, t, left) for part, t in parts))
        if expected == Edge and not grid.type.coded and (grid.scale, grid.zero) == (1.0, 0):
            return grid.type
        require_grids(f"'{name}' of {kind.__name__}", grid)
        return grid
    if name not in left and Ellipsis in get_args(expected):
        return ()
    if name not in left:
        raise NodeError(f"{kind.__name__} lacks the attribute '{name}'.")
    return _attribute(kind, name, expected, left.pop(name))


def _attribute(kind: type[Kind], name: str, expected: Any, value: Any) -> Any:
    if get_origin(expected) is tuple:
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            items = tuple(value)
            fits = Ellipsis in get_args(expected) or len(items) == len(get_args(expected))
            if fits and all(isinstance(v, int | np.integer) for v in items):
                return tuple(int(v) for v in items)
    elif expected is int and isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    elif expected is float and isinstance(value, float | np.floating):
        return float(value)
    elif expected is str and isinstance(value, str):
        return value
    elif expected is ElementType and isinstance(value, str):
        return type_named(value)
    wanted = str(expected) if get_origin(expected) else expected.__name__
    raise NodeError(f"Attribute '{name}' of {kind.__name__} must be {wanted}, not {repr(value)[:60]}.")


def _read_constants(kind: type[Kind], constants: list[Array]) -> dict[str, Any]:
    expected = constant_types(kind)
    if len(constants) != len(expected):
        names = ", ".join(expected) or "none"
        raise NodeError(f"{kind.__name__} takes {len(expected)} constants ({names}), not {len(constants)}.")
    values: dict[str, Any] = {}
    for (name, t), array in zip(expected.items(), constants, strict=True):
        if array.dtype.name not in t.dtypes or t.rank not in (ANY_RANK, array.ndim):
            raise NodeError(
                f"Constant '{name}' of {kind.__name__} must be {' or '.join(t.dtypes)} of rank {t.rank}, "
                f"not {array.dtype} of rank {array.ndim}."
            )
        values[name] = float(array) if t.rank == 0 else array
    return values


def require_grids(what: str, *grids: Grid) -> None:
    """Raises ConstantError unless each is a grid."""
    for grid in grids:
        if not grid.sound:
            raise ConstantError(f"{what} stands on something that is no grid: {grid}.")


def require_clamp(what: str, lo: int, hi: int, y: Grid) -> None:
    """Raises ConstantError unless lo..hi is a range of the output's codes."""
    if not y.type.lo <= lo <= hi <= y.type.hi:
        raise ConstantError(f"The clamp {lo}..{hi} of {what} is no range of {y.type} codes.")


def require_multiplier(what: str, multiplier: float) -> None:
    """Raises ConstantError unless it is a number above 0."""
    if not (math.isfinite(multiplier) and multiplier > 0.0):
        raise ConstantError(f"The multiplier {multiplier!r} of {what} is not a positive number.")
