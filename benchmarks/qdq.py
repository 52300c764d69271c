"""How other tools' QDQ models answer here: python benchmarks/qdq.py FOLDER [--models NAMES] [--nncf PYTHON]

FOLDER as benchmarks/quant.py takes it. onnxruntime's static quantisation, and NNCF in the Python given, each write a
QDQ model from the 32 calibration samples; each is built here and run as exact integers. SQNR is of the first output
against the float model's, over the samples that benchmarks/quant.py judges by, of three: the QDQ model in onnxruntime
as it comes, the same without any optimisation, and ours. `steps`: each fused node alone, on the codes that the QDQ
model itself has there, against the codes that it makes of them, the largest difference. `scales`: of the grids of our
scheme, those that `qdq.onnx`, written from it and read back, has equal. --write FILE puts the table between FILE's
marks `<!-- qdq.py -->` and `<!-- end of qdq.py -->`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from quant import input_of, judged_of
from tables import markdown, put_into

from axbuild.toolchain import ort
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.arithmetic import quantise
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.qdq.adopt import AdoptParams, adopt
from axbuild.toolchain.qdq.export import exported
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.qdq.separate import SeparateParams, separate
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Scheme

MODELS = ("mnv2_mnist", "pp_cls", "effnet_lite0")
WAYS: dict[str, dict[str, Any]] = {
    "onnxruntime, a scale a tensor": {"per_channel": False},
    "onnxruntime, a scale a channel": {"per_channel": True},
    "onnxruntime, U8 weights with zero points": {"weight_type": QuantType.QUInt8, "symmetric": False},
    "onnxruntime, 4-bit weights (4w8f)": {"weight_type": QuantType.QInt4, "per_channel": True},
}
NNCF = "NNCF, its defaults"
ALONE = 2
"""samples on which each node is looked at by itself"""
HEADS = ("network", "written by", "onnxruntime dB", "plain dB", "ours dB", "steps", "elements", "scales")
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Built:
    """A QDQ model and what became of it. work: where optimized/, scheme.msgpack and quant_axmodel.onnx stand."""

    qdq: Path
    work: Path

    @property
    def scheme(self) -> Scheme:
        return Scheme.read(self.work / "scheme.msgpack")


class Samples(CalibrationDataReader):
    def __init__(self, port: str, samples: Array) -> None:
        self.left = [{port: sample[np.newaxis]} for sample in samples]

    def get_next(self) -> dict[str, Array] | None:
        return self.left.pop(0) if self.left else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--nncf", type=Path, help="the python of an environment that has nncf")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in options.models.split(","):
        for way in (*WAYS, *([NNCF] if options.nncf else [])):
            with tempfile.TemporaryDirectory() as work:
                rows.append((name, way, *figures(options, name, way, Path(work))))
            print(*rows[-1], sep=" | ", flush=True)
    if options.write:
        put_into(options.write, "qdq.py", markdown(HEADS, rows))
    return 0


def figures(options: argparse.Namespace, name: str, way: str, work: Path) -> tuple[object, ...]:
    """The cells of one row behind its names."""
    source = options.folder / "models" / f"{name}.onnx"
    with np.load(options.folder / "data" / f"{name}.npz", allow_pickle=False) as data:
        calibration, judged = data["calib"], judged_of(name, data["eval"])
    written = by_nncf if way == NNCF else by_onnxruntime
    found = built(written(options, source, calibration, way, work), calibration.shape[1:], work)
    real = answers(source, judged)
    sides = [
        answers(found.qdq, judged),
        answers(found.qdq, judged, "off"),
        answers(work / "quant_axmodel.onnx", judged, "off"),
    ]
    apart = alone(found, judged[:ALONE])
    return *(f"{sqnr(real, side):.2f}" for side in sides), apart.largest, f"{apart.elements:,}", read_back(found, work)


# Written by others ------------------------------------------------------------------------------------------------


def by_onnxruntime(_: argparse.Namespace, source: Path, samples: Array, way: str, work: Path) -> Path:
    settings = {"weight_type": QuantType.QInt8} | WAYS[way]
    symmetric = settings.pop("symmetric", True)
    ready, target = work / "ready.onnx", work / "qdq.onnx"
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready),
        str(target),
        Samples(input_of(ready), samples),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": symmetric},
        **settings,
    )
    return target


def by_nncf(options: argparse.Namespace, source: Path, samples: Array, _: str, work: Path) -> Path:
    np.save(work / "samples.npy", samples)
    script, target = Path(__file__).with_name("nncf_model.py"), work / "qdq.onnx"
    files = [str(path) for path in (source, work / "samples.npy", target)]
    subprocess.run([options.nncf, script, *files], check=True, stdout=subprocess.DEVNULL)
    return target


# Built and run ----------------------------------------------------------------------------------------------------


def built(qdq: Path, shape: tuple[int, ...], work: Path) -> Built:
    """As a build does it: taken apart, simplified, its grids adopted, lowered."""
    (work / "source").mkdir()
    (work / "source" / "model.onnx").write_bytes(qdq.read_bytes())
    separate(work / "source", work, params=SeparateParams())
    optimize(work / "separated", work, params=OptimizeParams(input_shapes={input_of(qdq): (1, *shape)}))
    adopt(work / "optimized", work / "given.msgpack", work, params=AdoptParams())
    quantize(work / "optimized", work / "scheme.msgpack", work, params=QuantizeParams())
    return Built(qdq, work)


def answers(model: Path, samples: Array, level: str = "all") -> Array:
    session = ort.open_session(model, level=level)
    port = session.get_inputs()[0].name
    return np.stack([session.run(None, {port: sample[np.newaxis]})[0] for sample in samples])


def sqnr(real: Array, found: Array) -> float:
    exact, other = real.astype(np.float64), found.astype(np.float64)
    return 10 * float(np.log10((exact**2).sum() / ((other - exact) ** 2).sum()))


# Each node alone --------------------------------------------------------------------------------------------------


@dataclass
class Apart:
    """largest: in steps; sites: fused nodes that were compared."""

    largest: int = 0
    elements: int = 0
    sites: set[str] = field(default_factory=set)


def alone(found: Built, samples: Array) -> Apart:
    """Of the nodes that read and write what the QDQ model has codes of."""
    models = ExposedModels(found.work / "optimized", onnx.load(found.work / "quant_axmodel.onnx"))
    places, ports = models.places, {port.name: port for port in models.alone.model.graph.input}
    apart = Apart()
    for sample in samples:
        theirs = reals_of(found.qdq, sample[np.newaxis])
        unknown = {tensor: blank(ports[name]) for name, tensor in models.alone.inputs.items() if tensor not in theirs}
        for edge, codes in models.alone_values(unknown | theirs).items():
            site, tensor, grid = places.writers[edge], places.tensors[edge], places.edges[edge]
            told = {places.tensors[name] for name in places.reads.get(site, ())} | {tensor}
            if isinstance(grid, Grid) and edge in places.passed.get(site, ()) and told <= theirs.keys():
                steps = np.abs(codes.astype(np.int64) - quantise(theirs[tensor], grid))
                apart.largest = max(apart.largest, int(steps.max(initial=0)))
                apart.elements += steps.size
                apart.sites.add(site)
    return apart


def blank(port: onnx.ValueInfoProto) -> Array:
    shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
    return np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type))


def reals_of(qdq: Path, sample: Array) -> dict[str, Array]:
    """Tensor -> what the QDQ model's own codes of it stand for, on one grid where it has one a channel."""
    model = onnx.load(qdq)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    behind: dict[str, tuple[str, Array]] = {}
    for node in model.graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if maker is not None and maker.op_type == "QuantizeLinear" and maker.input[0] not in constants:
            scale = numpy_helper.to_array(constants[node.input[1]])
            for name in (maker.input[0], node.output[0]):
                behind[name] = node.output[0], scale
        elif node.op_type == "Identity" and node.input[0] in behind:
            behind[node.output[0]] = behind[node.input[0]]
    own = {output.name for output in model.graph.output}
    read = sorted({name for name, _ in behind.values()})
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in read if name not in own)
    session = ort.open_session(model.SerializeToString(), level="off")
    values = dict(zip(read, session.run(read, {session.get_inputs()[0].name: sample}), strict=True))
    return {name: on_one_grid(values[real], scale) for name, (real, scale) in behind.items()}


def on_one_grid(reals: Array, scale: Array) -> Array:
    if scale.size == 1:
        return reals
    found: Array = reals * (scale.max() / scale).reshape(-1, *[1] * (reals.ndim - 2))
    return found


# Written by us and read back --------------------------------------------------------------------------------------


def read_back(found: Built, work: Path) -> str:
    """Grids of the scheme that our own QDQ model gives again, of all."""
    graph = ir.load(model_file(found.work / "optimized")).graph
    (work / "again").mkdir()
    onnx.save(exported(graph, found.scheme), work / "again" / "model.onnx")
    separate(work / "again", work / "again", params=SeparateParams())
    again = GivenGrids.read(work / "again" / "given.msgpack").writes
    own = {name: edge for site in found.scheme.sites for name, edge in site.writes.items() if isinstance(edge, Grid)}
    # What the model gives is written under another name, in front of the pair whose result has its own.
    equal = sum(grid in (again.get(name), again.get(f"{name}/written")) for name, grid in own.items())
    return f"{equal} of {len(own)}"


if __name__ == "__main__":
    sys.exit(main())
