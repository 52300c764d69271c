"""A random graph the whole way: optimised, quantised, compiled for a chip, and every witness compared."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from bodies import LEVELS, session
from compiled import compiled
from npu_world import preset_of
from onnx import TensorProto, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort
from quantised import Feeds, Quantised, float_run, loaded, quantised, snapped

from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import MODEL_FILE
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.npu.lower.packing import Standing, shortage
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.ops.registry import all_ops
from axbuild.toolchain.quant.verify import verify
from random_graphs.all import random_graph, random_rules
from random_graphs.pool import Pool

LOST = 1e-3
"""share of an output's largest magnitude that the front end may change it by: a norm behind a norm of channels that
hardly vary makes as much of the last bits of float32; what a rewrite gets wrong is far more"""
SHAKE = 1e-5
"""relative size of the noise that shows how much an output depends on the last bits of an input"""
Rows = list[list[np.ndarray]]
"""outputs of each sample"""


@dataclass(frozen=True)
class Proof:
    """What became of one graph.

    ops: op_type of each node, as the graph came and as the front end left it. floats: 'op_type: why' of each node that
    has no integer form; such a graph is not compiled. lost: largest distance of the optimised graph from the graph, as
    a share of the output's largest magnitude. differing: elements in which a witness is not the oracle, by witness.
    elements: all there are.
    """

    ops: tuple[str, ...]
    floats: tuple[str, ...]
    lost: float
    differing: dict[str, int]
    elements: int


def proven(seed: int, place: tuple[str, str] = ("AX650", "NPU1"), *, mixed: bool = True, nodes: int = 10) -> Proof:
    """place: chip and npu_mode. mixed: half of the nodes in element types and weights of their own."""
    pool = random_graph(seed, nodes)
    given, feeds = pool.graph(), pool.feeds()
    model = optimized(given)
    lost = max(loss(_shaken(given, feed, seed), float_run(model, feed)) for feed in feeds)
    result = quantised(model, feeds, rules=random_rules(model, seed) if mixed else ())
    floats = (*_floats(model, result), *_too_large(result, place))
    expected = [result.run_oracle(feed) for feed in feeds] if not floats else []
    witnesses = witnesses_of(model, result, feeds, place) if not floats else {}
    differing = {
        witness: sum(unlike(*pair) for rows in zip(found, expected, strict=True) for pair in zip(*rows, strict=True))
        for witness, found in witnesses.items()
    }
    elements = sum(array.size for row in expected for array in row)
    ops = tuple(node.op_type for graph in (given.graph, model.graph) for node in graph.node)
    return Proof(ops, floats, lost, differing, elements)


def _floats(model: onnx.ModelProto, result: Quantised) -> tuple[str, ...]:
    left = {node.name for node in result.model.graph.node if node.domain != DOMAIN}
    return tuple(f"{node.op_type}: {without_integer_form(node)}" for node in loaded(model).graph if node.name in left)


def _too_large(result: Quantised, place: tuple[str, str]) -> tuple[str, ...]:
    """What does not fit on the chip in any tile."""
    found, memory = verify(result.model), preset_of(*place).memory
    standing = {
        kind.op_type: Standing(kind, tuple(found.shapes[name] for name in inputs), found.shapes[output])
        for output, (kind, inputs) in found.kinds.items()
    }
    return tuple(f"{op_type}: {short}" for op_type, at in standing.items() if (short := shortage(at, memory)))


def optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """What the front end makes of a model."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "given").mkdir()
        onnx.save(model, work / "given/model.onnx")
        optimize(work / "given", work, params=OptimizeParams())
        return onnx.load(work / "optimized" / MODEL_FILE)


def loss(reference: Sequence[Sequence[np.ndarray]], found: Sequence[np.ndarray]) -> float:
    """Largest distance from the span of the reference's runs, as a share of the largest magnitude of its output."""
    return max(_beyond(np.array(runs, np.float64), array) for *runs, array in zip(*reference, found, strict=True))


def _beyond(runs: np.ndarray, array: np.ndarray) -> float:
    off = np.maximum(runs.min(axis=0) - array, array - runs.max(axis=0)).max()
    return float(off / max(float(np.abs(runs[0]).max()), 1e-6))


def _shaken(model: onnx.ModelProto, feed: Feeds, seed: int) -> list[list[np.ndarray]]:
    """The float outputs at the input, and at some beside it: what rounding makes of a comparison is nobody's loss."""
    rng = np.random.default_rng(seed)
    shaken = [
        {name: _nudged(array, 1 + SHAKE * rng.normal(size=array.shape)) for name, array in feed.items()}
        for _ in range(4)
    ]
    return [float_run(model, near) for near in (feed, *shaken)]


def witnesses_of(
    model: onnx.ModelProto, result: Quantised, feeds: list[Feeds], place: tuple[str, str]
) -> dict[str, Rows]:
    """Who else says what the outputs are: the bodies at both levels, the simulated chip alone and in batches."""
    rows: dict[str, Rows] = {level: [result.run(feed, level) for feed in feeds] for level in LEVELS}
    session = compiled(model, result, *place, batches=(1, 2))
    rows["simulated chip"] = [session.run(None, feed) for feed in feeds]
    together = session.run(None, {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]})
    axes = [tensor.batch_axis or 0 for tensor in session.group(0).outputs]  # behind a Reshape it may be any
    parts = [np.split(array, len(feeds), axis) for array, axis in zip(together, axes, strict=True)]
    rows["simulated chip, in batches"] = [list(row) for row in zip(*parts, strict=True)]
    return rows


def unlike(found: np.ndarray, expected: np.ndarray) -> int:
    """Elements that differ: all of them where type or shape does. NaN, as a quotient of two zeros is, equals NaN."""
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        return max(1, expected.size)
    both_nan = (found != found) & (expected != expected)  # no number, in types without NaN too
    return int(((found != expected) & ~both_nan).sum())


def steps_off(pool: Pool, node: onnx.NodeProto) -> float:
    """Largest distance of one node's integers from float, in steps of its output's grid; 0 where it has no integers, or
    is a mask that only a Softmax behind it reads.

    Its inputs are on their grids, so that only what the node itself does is measured. Where float jumps (Floor, a
    comparison), any value that it has within one millionth of the input will do.
    """
    if pool.hidden.intersection(node.output):
        return 0.0
    model, feeds = pool.alone(node)
    if without_integer_form(loaded(model).graph[0]) != "":
        return 0.0
    result = quantised(model, feeds)
    return max(distance(model, result, feed) for feed in feeds)


def distance(model: onnx.ModelProto, result: Quantised, feed: Feeds) -> float:
    """Largest distance of the quantised model's outputs from float, in steps, on what it reads of the feed."""
    grids = {one.output[0]: result.kind(one.name).x for one in result.nodes("AxDequantizeLinear")}
    feed = snapped(result, feed)
    outputs = zip(model.graph.output, result.run(feed), *_around(model, feed), strict=True)
    return max((_distance(grids[y.name], found, near) for y, found, *near in outputs if y.name in grids), default=0.0)


def steps_allowed(node: onnx.NodeProto) -> float:
    """Half a step for the last rounding, one for each other that the operator says it has, and an eighth for weights of
    11 bits (linear Resize: 2^-12 of 255 codes along each of two axes)."""
    op = all_ops().get(node.op_type)
    return (op.steps if op else 1) - 0.5 + 0.125


def _around(model: onnx.ModelProto, feed: Feeds) -> list[list[np.ndarray]]:
    """The float outputs at the input and a little beside it, in float64 where onnxruntime has the operators in it: its
    float32 Sigmoid is 0.24 % off at 2e-5."""
    nudges = [1 + share for share in (0.0, 1e-6, -1e-6)]
    near = [{name: _nudged(array, nudge) for name, array in feed.items()} for nudge in nudges]
    try:
        one = session(_doubled(model), "optimisation off")
    except (ort.Fail, ort.InvalidGraph, ort.NotImplemented):
        return [float_run(model, feed) for feed in near]
    return [one.run(None, {name: _wide(array) for name, array in feed.items()}) for feed in near]


def _doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model on double tensors."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for value in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for tensor in copy.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(_wide(numpy_helper.to_array(tensor)), tensor.name))
    return copy


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype == np.float32 else array


def _nudged(array: np.ndarray, nudge: np.ndarray | float) -> np.ndarray:
    return (array * nudge).astype(np.float32) if array.dtype == np.float32 else array


def _distance(grid: Grid, found: np.ndarray, near: Sequence[np.ndarray]) -> float:
    """In steps, from the span of `near` as far as the grid reaches."""
    lowest, highest = (grid.scale * (code - grid.zero) for code in (grid.type.lo, grid.type.hi))
    low, high = (np.clip(pick(near, axis=0), lowest, highest) for pick in (np.min, np.max))
    return float(np.maximum(low - found, found - high).max() / grid.scale)
