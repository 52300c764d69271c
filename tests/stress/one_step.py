"""Fake quantisation beside the exact integers, fused node by fused node, on a real network and a real sample.

    python tests/stress/one_step.py FOLDER [--models NAMES] [--method Auto] [--write FILE]

FOLDER as benchmarks/quant.py takes it. The quantised model runs whole; each fused node's own input codes then go
through torch's fake quantisation of that node, with the scheme's codes as weights, and its output is compared with the
node's integers. Then the same by onnxruntime: each fused node's integers on the codes of the exported QDQ model, which
has operators that torch does not compute here. Prints a row for each network, and exits 1 where an element lies more
than a step away or a node is compared by neither. --write puts the table between FILE's marks `<!-- one_step.py -->`
and `<!-- end of one_step.py -->`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import qdq
import quant
from tables import markdown, put_into

from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.ops.base import BakedWeight, FusedNode
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.error_sums import reals
from axbuild.toolchain.qdq.export import exported
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme
from axbuild.toolchain.tune.arrays import to_array, to_tensor
from axbuild.toolchain.tune.evaluations import can_evaluate
from axbuild.toolchain.tune.program import JudgedSites, Numbers, TorchBlock, Values, fake_quantised

HEADS = (
    *("network", "fused nodes, torch", "elements", "equal", "largest, steps"),
    *("fused nodes, onnxruntime", "elements", "largest, steps", "compared by neither"),
)
CPU = torch.device("cpu")
Codes = dict[tuple[str, Grid], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(quant.MODELS))
    parser.add_argument("--method", default="Auto")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            rows.append(compared(name, Path(work), *prepared(options.folder, name, options.method, Path(work))))
        print(" | ".join(map(str, rows[-1])), flush=True)
    if options.write:
        put_into(options.write, "one_step.py", markdown(HEADS, rows))
    return 1 if any(max(row[4], row[7]) > 1 or row[8] != "none" for row in rows) else 0


def prepared(folder: Path, name: str, method: str, work: Path) -> tuple[str, np.ndarray]:
    """Quantise into `work`; the input's name and a sample that calibrated nothing."""
    with np.load(folder / "data" / f"{name}.npz", allow_pickle=False) as data:
        calibration, sample = data["calib"], data["eval"][:1]
    (work / "source").mkdir()
    (work / "samples").mkdir()
    for number, one in enumerate(calibration):
        np.save(work / "samples" / f"{number:03}.npy", one[np.newaxis])
    (work / "source" / "model.onnx").write_bytes((folder / "models" / f"{name}.onnx").read_bytes())
    port = quant.input_of(work / "source" / "model.onnx")
    optimize(work / "source", work, params=OptimizeParams(input_shapes={port: (1, *calibration.shape[1:])}))
    for stage in quant.data_stages(work / "optimized", work / "samples", work, port).values():
        stage()
    calibrate(work / "optimized", work / "statistics.msgpack", work, params=CalibrateParams(method))
    quantize(work / "optimized", work / "scheme.msgpack", work, params=QuantizeParams())
    return port, sample


def compared(name: str, work: Path, port: str, sample: np.ndarray) -> tuple[Any, ...]:
    """The row of a network."""
    graph = ir.load(model_file(work / "optimized")).graph
    models = ExposedModels(work / "optimized", onnx.load(work / "quant_axmodel.onnx"))
    coded = models.coded_values({port: sample})
    edges = models.places.edges
    codes = {
        (models.places.tensors[name], edge): coded[name]
        for name in models.edges
        if isinstance(edge := edges[name], Grid)
    }
    apart: Counter[int] = Counter()
    left: dict[str, str] = {}
    nodes = 0
    for fused, site in placed(graph, Scheme.read(work / "scheme.msgpack")):
        steps = steps_apart(fused, site, codes)
        if steps is None:
            left[fused.name] = fused.node.op_type
        else:
            nodes += 1
            apart.update(steps)
    total = sum(apart.values())
    theirs = by_export(work, graph, sample)
    neither = Counter(kind for site, kind in left.items() if site not in theirs.sites)
    return (
        *(name, nodes, f"{total:,}", f"{apart[0] / total:.4%}", max(apart)),
        *(len(theirs.sites), f"{theirs.elements:,}", theirs.largest),
        ", ".join(f"{count} {kind}" for kind, count in neither.items()) or "none",
    )


def by_export(work: Path, graph: ir.Graph, sample: np.ndarray) -> qdq.Apart:
    """Each node's integers on the codes that the exported QDQ model has under onnxruntime."""
    onnx.save(exported(graph, Scheme.read(work / "scheme.msgpack")), work / "qdq.onnx")
    return qdq.alone(qdq.Built(work / "qdq.onnx", work), sample)


def steps_apart(fused: FusedNode, site: SiteScheme, codes: Codes) -> dict[int, int] | None:
    """Steps -> elements; None where torch does not compute the node, or it stays a float operator."""
    output = fused.output.name or ""
    edge = site.writes.get(output)
    if site.form is not Form.INTEGER or not can_evaluate(fused, site) or not isinstance(edge, Grid):
        return None
    block = TorchBlock(JudgedSites([(fused, site)], (output,), {}), CPU, rounded=True)
    if not all(key in codes for key in block.needs):
        return None
    values: Values = {(name, grid): to_tensor(reals(codes[name, grid], grid), CPU) for name, grid in given(block)}
    with torch.no_grad():
        found = to_array(fake_quantised(block.run(values, numbers_of(site))[output], edge))
    steps = np.rint(found / np.float32(edge.scale)).astype(np.int64) + edge.zero
    apart = np.abs(steps.reshape(-1) - codes[output, edge].reshape(-1).astype(np.int64))
    return dict(zip(*(array.tolist() for array in np.unique(apart, return_counts=True)), strict=True))


def given(block: TorchBlock) -> Iterator[tuple[str, Grid]]:
    for name, edge in block.needs:
        if isinstance(edge, Grid):
            yield name, edge


def numbers_of(site: SiteScheme) -> Numbers:
    """Weight and bias as the codes stand for them."""
    weight: BakedWeight | None = site.weight
    if weight is None:
        return Numbers([], [], {})
    x = next(edge for edge in site.reads.values() if isinstance(edge, Grid))
    scale = weight.scale.astype(np.float64)
    real = weight.codes * scale.reshape(-1, *[1] * (weight.codes.ndim - 1))
    bias = weight.bias * (x.scale * scale if weight.bias.dtype.kind == "i" else 1.0)
    return Numbers([to_tensor(real.astype(np.float32), CPU)], [to_tensor(bias.astype(np.float32), CPU)], {})


if __name__ == "__main__":
    sys.exit(main())
