"""Stage: channels between a convolution and a depthwise one brought to one size, and observed again.

Nagel et al., Data-Free Quantization (2019), section 4.1: what a channel is multiplied with in front of a depthwise
convolution, its one weight there takes back. Each gets the factor with which it reaches an end of its tensor's grid.
So the grid stays, codes of weights stay but for float32's rounding, and the steps of a quiet channel are that much
finer. A convolution that sums over channels would get coarser weights for it, and is left alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import Array, model_file, tensor_names
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.statistics import Statistics, TensorStatistics
from axbuild.toolchain.quant.watch import watched
from axbuild.toolchain.quant.watched import FORMAT
from axbuild.toolchain.smooth.pairs import way_up
from axbuild.toolchain.smooth.reach import reach_of
from axbuild.toolchain.smooth.scale import ScaledPair, divide, touched
from axbuild.toolchain.smooth.smooth import write_model

LARGEST = 2.0**16
"""A factor is at most that: a channel that is quieter says nothing beside the others"""


@dataclass(frozen=True)
class EqualizeParams:
    """inputs: as observation has them."""

    inputs: tuple[InputData, ...]


def equalize(model: Path, statistics: Path, samples: list[Path], out: Path, *, params: EqualizeParams) -> None:
    """Write `optimized/`, the float model with even channels, and its `statistics.msgpack`; copies where none changes.

    Only what stands in front of a changed tensor is run again.
    """
    whole, known = ir.load(model_file(model)), Statistics.read(statistics)
    changed = touched(even(whole.graph, known))
    if not changed:
        shutil.copytree(model, out / "optimized")
        shutil.copyfile(statistics, out / "statistics.msgpack")
        return
    write_model(whole, out / "optimized")
    again = _observed(out / "optimized", changed, samples, params)
    Statistics(known.samples, dict(known.tensors) | dict(again.tensors)).write(out / "statistics.msgpack")


def even(graph: ir.Graph, statistics: Statistics) -> list[ScaledPair]:
    """Change the graph, which computes the same but in the tensors of these pairs; they are in its order."""
    names = tensor_names(graph)
    values = {value.name: value for node in graph for value in node.outputs}
    found = []
    for row in watched(graph):
        value, tensor = values.get(row.name), statistics.tensors.get(row.name)
        pair = None if value is None else _between(value, row.axis)
        if pair is None or tensor is None:
            continue
        room = rooms(tensor)
        if (room > 1.0).any():
            divide(graph, pair, 1.0 / room, names)
            found.append(pair)
    return found


def _between(value: ir.Value, axis: int) -> ScaledPair | None:
    """The tensor with the weights that take its channels' factors and those that take them back, where each of those
    meets one channel alone."""
    way = None if value.is_graph_output() else way_up(value, axis)
    if way is None or not all(_weighs(node) for node, gain in way.steps if gain.constants):
        return None
    reach = reach_of(value, axis, [use.node for use in value.uses()])
    if reach is None or not all(_one_to_one(node, axis) for node in reach.takers):
        return None
    return ScaledPair(value, way, reach)


def _weighs(node: ir.Node) -> bool:
    """Whether the node has weights. Another's constant may be one number, which costs nothing behind a table, where a
    number a channel is an operator that rounds once more."""
    op = op_of(node)
    return op is not None and op.weight(node) is not None


def _one_to_one(node: ir.Node, axis: int) -> bool:
    """Whether a factor of an output's channel would go where that of its input's does."""
    op = op_of(node)
    before, behind = (op.takes_back(node, axis), op.gain(node, axis)) if op is not None else (None, None)
    if before is None or behind is None:
        return False
    return all(behind.constants.get(index) == place for index, place in before.constants.items())


def rooms(tensor: TensorStatistics) -> Array:
    """float64 [c]: what each channel can be multiplied with between the ends of the grid; 1 for a silent one."""
    low, high = tensor.channel_minimum.astype(np.float64), tensor.channel_maximum.astype(np.float64)
    found = np.full(len(low), np.inf)
    for end, ends in ((min(low.min(), 0.0), low), (max(high.max(), 0.0), high)):
        reaching = ends * end > 0.0
        found[reaching] = np.minimum(found[reaching], end / ends[reaching])
    return np.where(np.isfinite(found), np.minimum(found, LARGEST), 1.0)


def _observed(model: Path, changed: Collection[str], samples: list[Path], params: EqualizeParams) -> Statistics:
    """The statistics of the changed tensors."""
    part = ir.load(model_file(model))
    rows = [row for row in watched(part.graph) if row.name in changed]
    values = {value.name: value for node in part.graph for value in node.outputs}
    part.graph.outputs.clear()
    part.graph.outputs.extend(values[row.name] for row in rows)
    RemoveUnusedNodesPass()(part)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(part, folder / "optimized")
        watch = json.dumps({"format": FORMAT, "tensors": [asdict(row) for row in rows]})
        (folder / "watch.json").write_text(watch, encoding="utf-8")
        observe(folder / "optimized", folder / "watch.json", samples, folder, params=ObserveParams(params.inputs))
        return Statistics.read(folder / "statistics.msgpack")
