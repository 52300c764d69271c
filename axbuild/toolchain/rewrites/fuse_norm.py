"""Normalisations that an exporter spelled out, as one operator, whatever the spelling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, Shape, constant_input, constant_of, integer, real, shape_of
from axbuild.toolchain.kinds import functions
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps
from axbuild.toolchain.rewrites.spelled import POINTWISE, Spelled, Step, spellings

LARGEST = 2**18
"""elements that are normalised together, at most"""
SCALES = np.array([1.0, 3.0, 0.5, 2.0, 0.1, 1e-2, 1e-3, 1e-4])
"""of the rows that a spelling is tried on; in small ones epsilon shows"""
ORDINARY = 4
"""rows in which an epsilon beside the root does not show"""
TOLERANCE = 1e-6
LARGEST_FLOOR = 1e-5
"""below which no deviation of ordinary values lies: a floor under it, or an epsilon beside it, does nothing"""
NONE = 1e-12
"""the epsilon of a LayerNormalization that has none"""


def _axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes that the node takes together, which stay with one element; None where it does so in another way."""
    rank = len(shape_of(node.outputs[0]))
    if node.op_type == "LpNormalization":
        return (integer(node, "axis", -1) % rank,) if integer(node, "p", 2) == 2 else None
    if node.op_type in NORMS:
        return tuple(range(integer(node, "axis", -1) % rank, rank))
    given = constant_input(node, 1)
    if given is None or not integer(node, "keepdims", 1):
        return None
    return tuple(sorted(int(axis) % rank for axis in given.reshape(-1)))


def _normalised(node: ir.Node, x: Array, scale: Array, bias: Array | float = 0.0) -> Array:
    axes = _axes(node)
    centred = x - x.mean(axis=axes, keepdims=True) if node.op_type == "LayerNormalization" else x
    spread = (centred * centred).mean(axis=axes, keepdims=True) + real(node, "epsilon", 1e-5)
    y: Array = centred / np.sqrt(spread) * scale + bias
    return y


NORMS: dict[str, Step] = {
    "LayerNormalization": _normalised,
    "LpNormalization": lambda node, x: x / np.sqrt((x * x).sum(axis=_axes(node), keepdims=True)),
    "RMSNormalization": _normalised,
}
REDUCTIONS: dict[str, Step] = {
    "ReduceL1": lambda node, x, axes: np.abs(x).sum(axis=_axes(node), keepdims=True),
    "ReduceL2": lambda node, x, axes: np.sqrt((x * x).sum(axis=_axes(node), keepdims=True)),
    "ReduceMax": lambda node, x, axes: x.max(axis=_axes(node), keepdims=True),
    "ReduceMean": lambda node, x, axes: x.mean(axis=_axes(node), keepdims=True),
    "ReduceSum": lambda node, x, axes: x.sum(axis=_axes(node), keepdims=True),
    "ReduceSumSquare": lambda node, x, axes: (x * x).sum(axis=_axes(node), keepdims=True),
}
STEPS: dict[str, Step] = {
    **POINTWISE,
    **REDUCTIONS,
    **NORMS,
    # What the axes with one element are repeated for, broadcasts by itself.
    "Expand": lambda node, x, shape: x,
}


@dataclass(frozen=True)
class Norm:
    """op_type: LayerNormalization, RMSNormalization, LpNormalization or Softmax; axes: that are taken together.

    gain, bias: float64 of these axes' sizes. epsilon: 0 where nothing keeps the spread from being 0.
    """

    spelled: Spelled
    op_type: str
    axes: tuple[int, ...]
    gain: Array
    bias: Array
    epsilon: float


class FuseNorm(Rewrite[Norm]):
    """f(x) of several operators -> LayerNormalization, RMSNormalization, LpNormalization or Softmax, where f is that

    What is computed from one tensor by sums, means and maxima along some axes is evaluated on a few rows and compared
    with each of them; constants that vary along these axes become scale and bias. Axes that are not the last ones are
    transposed there and back.
    """

    op = ("Add", "Div", "Mul", "Sub")
    is_needed = False
    last_first = True

    def match(self, node: ir.Node) -> Norm | NoMatch:
        found = [norm for spelled in spellings(node, _is_step) if (norm := _recognised(spelled)) is not None]
        if not found:
            return NoMatch(f"what {node.op_type} ends is no normalisation of one tensor")
        readers = [reader for reader, _ in node.outputs[0].uses()]
        if len(readers) == 1 and readers[0].op_type in self.op and isinstance(self.match(readers[0]), Norm):
            return NoMatch(f"what {node.op_type} ends goes on with {readers[0].op_type}")
        # The most of it: what is centred by steps of its own has a root mean square as well.
        return found[-1]

    def replace(self, node: ir.Node, found: Norm, steps: Steps) -> ir.Value:
        x, origins = found.spelled.x, found.spelled.nodes
        if found.op_type == "Softmax":
            return steps.insert("Softmax", [x], {"axis": found.axes[0]}, origins=origins, spelled=True)
        shape = shape_of(x)
        kept = [axis for axis in range(len(shape)) if axis not in found.axes]
        order = kept + list(found.axes)
        value = steps.turned(x, order, "turned")
        turned = shape_of(value)
        # Chips normalise the last axis alone.
        rows = (*turned[: len(kept)], found.gain.size)
        value = steps.reshaped(value, rows, "rows")
        inputs, settings = _operands(found, steps)
        value = steps.insert(found.op_type, [value, *inputs], settings, shape=rows, origins=origins, spelled=True)
        value = steps.reshaped(value, turned, "apart")
        return steps.turned(value, [order.index(axis) for axis in range(len(shape))], "back")

    def rounding(self, node: ir.Node, found: Norm) -> Rounding:
        """No deviation is below the root of epsilon."""
        gain, bias = (float(np.abs(array).max()) for array in (found.gain, found.bias))
        steepest = gain / math.sqrt(found.epsilon) if found.epsilon else 1.0
        return Rounding(found.gain.size + len(found.spelled.nodes), ((found.spelled.x, steepest),), gain + bias)


def _operands(found: Norm, steps: Steps) -> tuple[list[ir.Value], dict[str, float | int]]:
    """Inputs behind the tensor, and attributes."""
    if found.op_type == "LpNormalization":
        return [], {"axis": -1, "p": 2}
    constants = [(found.gain, "scale")] + ([(found.bias, "bias")] if np.any(found.bias) else [])
    rows = ((array.reshape(-1).astype(np.float32), name) for array, name in constants)
    inputs = [steps.constant(array, name) for array, name in rows]
    return inputs, {"axis": -1, "epsilon": found.epsilon or NONE}


def _is_step(node: ir.Node) -> bool:
    return node.op_type in STEPS and not node.domain and not any(output.uses() for output in node.outputs[1:])


def _recognised(spelled: Spelled) -> Norm | None:
    """The normalisation that the nodes make of x."""
    x = spelled.x
    shape = shape_of(x)
    if x.dtype != ir.DataType.FLOAT or shape != shape_of(spelled.nodes[0].outputs[0]):
        return None
    taken = {_axes(node) for node in spelled.nodes if node.op_type in REDUCTIONS or node.op_type in NORMS}
    axes = taken.pop() if len(taken) == 1 else None
    if not axes or 0 in axes or not _stays_apart(spelled, shape, axes):
        return None
    if not 1 < math.prod(shape[axis] for axis in axes) <= LARGEST:
        return None
    rows = _rows(shape, axes)
    made = spelled.made_of(rows, STEPS)
    if made.shape != rows.shape or not np.isfinite(made).all():
        return None
    return next(_candidates(spelled, axes, rows, made), None)


def _stays_apart(spelled: Spelled, shape: Shape, axes: tuple[int, ...]) -> bool:
    """Whether no tensor has another rank, and no constant differs along the other axes."""
    rank = len(shape)
    for node in spelled.nodes:
        if len(shape_of(node.outputs[0])) != rank:
            return False
        pointwise = node.op_type in POINTWISE
        for array in (constant_of(value) for value in node.inputs if pointwise):
            if array is not None and array.size > 1:
                padded = (1,) * (rank - array.ndim) + array.shape
                if any(size != 1 for axis, size in enumerate(padded) if axis not in axes):
                    return False
    return True


def _rows(shape: Shape, axes: tuple[int, ...]) -> Array:
    """float64 [rows, 1, ..]: the sizes of the axes that are taken together, and along axis 0 rows of each scale."""
    sizes = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
    column = (-1, *(1,) * (len(shape) - 1))
    rng = np.random.default_rng(0)
    scales = SCALES.reshape(column)
    means = rng.normal(0.0, 1.0, scales.shape) * scales
    rows: Array = means + scales * rng.normal(0.0, 1.0, (len(SCALES), *sizes[1:]))
    return rows


def _candidates(spelled: Spelled, axes: tuple[int, ...], rows: Array, made: Array) -> Iterator[Norm]:
    sizes = tuple(rows.shape[axis] for axis in axes)
    x, y = rows.reshape(len(rows), -1), made.reshape(len(rows), -1)
    ones, zeros = np.ones(sizes), np.zeros(sizes)
    if len(axes) == 1 and _agree(y, _softmax(x), 1.0, len(rows)):
        yield Norm(spelled, "Softmax", axes, ones, zeros, 0.0)
    none = [0.0] if all(floor <= LARGEST_FLOOR for floor in _numbers(spelled, "Clip", "Max")) else []
    for epsilon in _epsilons(spelled, x.shape[1]) + none:
        seen = len(rows) if epsilon else ORDINARY
        for op_type, centred in (("LayerNormalization", x - x.mean(axis=1, keepdims=True)), ("RMSNormalization", x)):
            unit = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + epsilon)
            gain, bias = _line(unit[:seen], y[:seen], through_zero=centred is x)
            if np.all(gain == 0.0) or not _agree(y, unit * gain + bias, np.abs(gain).max(), seen):
                continue
            if not epsilon and centred is x and np.allclose(gain * math.sqrt(gain.size), 1.0, atol=TOLERANCE):
                op_type = "LpNormalization"
            yield Norm(spelled, op_type, axes, gain.reshape(sizes), bias.reshape(sizes), epsilon)


def _epsilons(spelled: Spelled, count: int) -> list[float]:
    """What may be added to the mean of squares: a constant as it stands, to their sum, or to the unbiased variance."""
    found = _numbers(spelled, "Add")
    found += [real(node, "epsilon", 1e-5) for node in spelled.nodes if node.op_type in NORMS]
    small = dict.fromkeys(value for value in found if 0.0 < value <= 0.1)
    return [value * share for value in small for share in (1.0, 1.0 / count, (count - 1.0) / count)]


def _numbers(spelled: Spelled, *op_types: str) -> list[float]:
    """The constants of one element that nodes of these operators read."""
    arrays = [constant_of(value) for node in spelled.nodes if node.op_type in op_types for value in node.inputs]
    return [float(array.reshape(())) for array in arrays if array is not None and array.size == 1]


def _line(unit: Array, y: Array, *, through_zero: bool) -> tuple[Array, Array]:
    """float64 [count] each: gain and bias of every element, fitted over the rows."""
    middle = np.zeros_like(unit[:1]) if through_zero else unit.mean(axis=0, keepdims=True)
    level = np.zeros_like(y[:1]) if through_zero else y.mean(axis=0, keepdims=True)
    across = unit - middle
    gain = (across * (y - level)).sum(axis=0) / (across * across).sum(axis=0)
    bias = (level - gain * middle)[0]
    return gain, np.where(np.abs(bias) > TOLERANCE * np.abs(gain).max(), bias, 0.0)


def _softmax(x: Array) -> Array:
    powers = functions.power_of_e(x - x.max(axis=1, keepdims=True))
    y: Array = powers / powers.sum(axis=1, keepdims=True)
    return y


def _agree(made: Array, wanted: Array, size: float, rows: int) -> bool:
    """Whether the rows of all scales agree, or of ordinary ones as far as a floor under them does not show."""
    allowed = TOLERANCE if rows == len(made) else LARGEST_FLOOR
    return bool(np.all(np.abs(made - wanted)[:rows] <= allowed * size))
