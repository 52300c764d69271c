"""Rotary position embedding that an exporter spelled out, as one operator, whatever the spelling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    constant_operand,
    integer,
    is_static,
    shape_of,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps
from axbuild.toolchain.rewrites.spelled import POINTWISE, Spelled, Step, spellings

LARGEST = 2**22
"""elements of a tensor that is looked at"""
TOLERANCE = 1e-6


def _reshaped(node: ir.Node, x: Array, *_: Array) -> Array:
    return x.reshape(shape_of(node.outputs[0]))


def _sliced(node: ir.Node, x: Array, *_: Array) -> Array:
    starts, ends, axes, steps = (constant_input(node, index) for index in range(1, 5))
    if starts is None or ends is None:
        return np.full(shape_of(node.outputs[0]), np.nan)
    count = starts.size
    axes = np.arange(count) if axes is None else axes.reshape(-1)
    steps = np.ones(count, np.int64) if steps is None else steps.reshape(-1)
    for axis, start, end, step in zip(axes, starts.reshape(-1), ends.reshape(-1), steps, strict=True):
        part = slice(int(start), None if step < 0 and end < -x.shape[axis] else int(end), int(step))
        x = x[(slice(None),) * (int(axis) % x.ndim) + (part,)]
    return x


def _split(node: ir.Node, x: Array, *_: Array) -> list[Array]:
    axis = integer(node, "axis", 0)
    sizes = [shape_of(output)[axis % x.ndim] for output in node.outputs]
    return np.split(x, np.cumsum(sizes)[:-1], axis)


STEPS: dict[str, Step] = {
    **{op_type: POINTWISE[op_type] for op_type in ("Add", "Mul", "Neg", "Sub")},
    "Concat": lambda node, *values: np.concatenate(values, integer(node, "axis", 0)),
    "Flatten": _reshaped,
    "Reshape": _reshaped,
    "Slice": _sliced,
    "Split": _split,
    "Squeeze": _reshaped,
    "Unsqueeze": _reshaped,
}


@dataclass(frozen=True)
class Rotation:
    """cosine, sine: float64 [positions, pairs]; heads_last: of x [batch, positions, heads, size]."""

    spelled: Spelled
    cosine: Array
    sine: Array
    interleaved: bool
    heads_last: bool


class FuseRotary(Rewrite[Rotation]):
    """x cos + x' sin -> RotaryEmbedding(x, cos, sin), x' = the other elements of the pairs along the last axis

    cos and sin constant, one of each a pair and a position. Halves that are joined or neighbours that are stacked, one
    sum or two: what is computed from x is evaluated.
    """

    op = ("Add", "Concat", "Flatten", "Reshape", "Sub")
    is_needed = False

    def match(self, node: ir.Node) -> Rotation | NoMatch:
        found = (_recognised(spelled) for spelled in spellings(node, _is_step))
        rotation = next((item for item in found if item is not None), None)
        return rotation or NoMatch(f"what {node.op_type} ends turns no pairs of elements")

    def replace(self, node: ir.Node, found: Rotation, steps: Steps) -> ir.Value:
        x, origins = found.spelled.x, found.spelled.nodes
        shape = shape_of(x)
        caches = [
            steps.constant(np.broadcast_to(angles, (shape[0], *angles.shape)).astype(np.float32), name)
            for angles, name in ((found.cosine, "cos"), (found.sine, "sin"))
        ]
        settings: dict[str, int] = {"interleaved": int(found.interleaved)}
        if len(shape) == 4 and not found.heads_last:
            return steps.insert("RotaryEmbedding", [x, *caches], settings, origins=origins, spelled=True)
        settings["num_heads"] = math.prod(shape[2:-1])
        joined = (*shape[:2], math.prod(shape[2:]))
        value = steps.reshaped(x, joined, "joined")
        value = steps.insert("RotaryEmbedding", [value, *caches], settings, shape=joined, origins=origins, spelled=True)
        return steps.reshaped(value, shape, "apart")

    def rounding(self, node: ir.Node, found: Rotation) -> Rounding:
        largest = float(max(np.abs(found.cosine).max(), np.abs(found.sine).max()))
        return Rounding(3, ((found.spelled.x, 2.0 * largest),))


def _is_step(node: ir.Node) -> bool:
    return node.op_type in STEPS and not node.domain and all(is_static(output) for output in node.outputs)


def _recognised(spelled: Spelled) -> Rotation | None:
    """The rotation that the nodes make of x."""
    x = spelled.x
    shape = shape_of(x)
    if x.dtype != ir.DataType.FLOAT or shape != shape_of(spelled.nodes[0].outputs[0]) or not _may_rotate(spelled):
        return None
    if len(shape) not in (3, 4) or shape[-1] % 2 or math.prod(shape) > LARGEST:
        return None
    places = np.arange(shape[-1]).reshape(2, -1)
    for interleaved, (first, second) in ((False, places), (True, places.reshape(-1, 2).T)):
        if (angles := _angles(spelled, shape, first, second)) is not None:
            cosine, sine, heads_last = angles
            return Rotation(spelled, cosine, sine, interleaved, heads_last)
    return None


def _may_rotate(spelled: Spelled) -> bool:
    """Whether something is joined, and multiplied by two constants or more."""
    products = [node for node in spelled.nodes if node.op_type == "Mul" and constant_operand(node) is not None]
    return len(products) > 1 and any(node.op_type == "Concat" for node in spelled.nodes)


def _angles(spelled: Spelled, shape: Shape, first: Array, second: Array) -> tuple[Array, Array, bool] | None:
    """(cosines, sines, whether heads are behind positions) where pairs of these elements turn."""

    def made(a: float, b: float) -> tuple[Array, Array]:
        given = np.zeros(shape)
        given[..., first], given[..., second] = a, b
        turned = spelled.made_of(given, STEPS)
        return turned[..., first], turned[..., second]

    (cosine, sine), (other_sine, other_cosine) = made(1.0, 0.0), made(0.0, 1.0)
    if not (np.allclose(cosine, other_cosine, atol=TOLERANCE) and np.allclose(sine, -other_sine, atol=TOLERANCE)):
        return None
    given = np.random.default_rng(0).normal(0.0, 1.0, shape)
    a, b = given[..., first], given[..., second]
    turned = spelled.made_of(given, STEPS)
    wanted = (turned[..., first], a * cosine - b * sine), (turned[..., second], b * cosine + a * sine)
    if not all(np.allclose(made_, should, atol=TOLERANCE) for made_, should in wanted):
        return None
    heads_last = len(shape) == 4 and not _same_along(1, cosine, sine)
    positions = 1 if heads_last or len(shape) == 3 else 2
    if not all(_same_along(axis, cosine, sine) for axis in range(len(shape) - 1) if axis != positions):
        return None
    at = tuple(slice(None) if axis in (positions, len(shape) - 1) else 0 for axis in range(len(shape)))
    return cosine[at], sine[at], heads_last


def _same_along(axis: int, *arrays: Array) -> bool:
    return all(bool(np.all(array == np.take(array, [0], axis))) for array in arrays)
