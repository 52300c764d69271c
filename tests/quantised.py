"""Float models through watch, observe, merge, calibrate and quantise in one call, and their quantised form run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from bodies import LEVELS, run_body, session
from onnx import TensorProto, helper, numpy_helper
from witness import all as _witnesses  # noqa: F401  # importing it registers every oracle
from witness.base import oracle

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import IR_VERSION, OPSET
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import Edge
from axbuild.toolchain.kinds.registry import read_node
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.verify import verify
from axbuild.toolchain.quant.watch import WatchParams, watch

Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Quantised:
    model: onnx.ModelProto
    records: dict
    statistics: Statistics
    scheme: Scheme
    content: bytes

    def edges(self) -> dict[str, Edge]:
        """Tensor of the quantised model -> its grid or element type."""
        return verify(self.model).edges

    def float_ops(self) -> list[str]:
        """op types of what stayed a float operator, in order"""
        return [node.op_type for node in self.model.graph.node if node.domain != DOMAIN]

    def run(self, feeds: Feeds, level: str = "optimisation on") -> list[np.ndarray]:
        return session(self.model, level).run(None, feeds)

    def run_oracle(self, feeds: Feeds) -> list[np.ndarray]:
        """The outputs in plain Python integers; tiny tensors only."""
        values = oracle_values(self.model, feeds)
        return [values[output.name] for output in self.model.graph.output]

    def nodes(self, op_type: str) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.op_type == op_type]

    def kinds(self) -> list[str]:
        """op types between the borders, in order"""
        return [n.op_type for n in self.model.graph.node if n.op_type not in ("AxQuantizeLinear", "AxDequantizeLinear")]

    def kind(self, name: str):
        """The kind of the node called `name`."""
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        return read_node(next(node for node in self.model.graph.node if node.name == name), constants)[0]

    def scale(self, tensor: str) -> float:
        return next(r[tensor]["scale"] for r in self.records.values() if tensor in r)


def oracle_values(model: onnx.ModelProto, feeds: Feeds) -> dict[str, np.ndarray]:
    """What each node of a quantised model writes, in plain Python integers: some ten microseconds a product."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    values: dict[str, np.ndarray] = {}
    for node in model.graph.node:
        kind, inputs = read_node(node, constants)
        values[node.output[0]] = oracle(kind, *((feeds | values)[name] for name in inputs))
    return values


def snapped(result: Quantised, feeds: Feeds) -> Feeds:
    """The feeds rounded to the grids on which the quantised model reads them."""
    grids = {node.input[0]: result.kind(node.name).y for node in result.nodes("AxQuantizeLinear")}
    return {
        name: run_body(Dequantize(grids[name]), run_body(Quantize(grids[name]), array)) if name in grids else array
        for name, array in feeds.items()
    }


def float_run(model: onnx.ModelProto, feeds: Feeds) -> list[np.ndarray]:
    return session(model, next(iter(LEVELS))).run(None, feeds)


def write_samples(folder: Path, arrays: Sequence[np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for index, array in enumerate(arrays):
        np.save(folder / f"s{index:03}.npy", array)
    return folder


def quantised(
    model: onnx.ModelProto,
    samples: Sequence[Feeds],
    method: str = "MinMax",
    rules: Sequence[LayerConfig] = (),
    *,
    corrected: bool | None = None,
    check: int = 0,
    **options: Any,
) -> Quantised:
    """Observe on `samples`, merge, calibrate, quantise; options: of CalibrateParams."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        path = work / "optimized.onnx"
        onnx.save(model, path)
        inputs = [value.name for value in model.graph.input]
        folders = [write_samples(work / f"in{i}", [feeds[key] for feeds in samples]) for i, key in enumerate(inputs)]
        watch(path, work, params=WatchParams())
        data = ObserveParams(tuple(InputData(key, "Numpy") for key in inputs))
        observe(path, work / "watch.json", folders, work, params=data)
        merge([work / "statistics.msgpack"], work, params=MergeParams())
        chosen = CalibrateParams(method, tuple(rules), corrected, **options)
        calibrate(path, work / "statistics.msgpack", work, params=chosen)
        settings = QuantizeParams(check, tuple(rules), chosen.highest_mix_precision)
        quantize(path, work / "scheme.msgpack", work, params=settings)
        content = (work / "quant_axmodel.onnx").read_bytes()
        records = json.loads((work / "quant_axmodel.json").read_text())
        statistics, scheme = Statistics.read(work / "statistics.msgpack"), Scheme.read(work / "scheme.msgpack")
        return Quantised(onnx.load_from_string(content), records, statistics, scheme, content)


class Net:
    """A float model put together node by node; every node is called as its output."""

    def __init__(self, *shape: int, seed: int = 0, name: str = "x") -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))]

    def input(self, name: str, *shape: int, kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        self.initialisers.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name: str, *shape: int, scale: float = 1.0) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant(name, (self.rng.normal(0, scale / fan**0.5, shape)).astype(np.float32))

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def conv(self, x: str, output: str, co: int, ci: int, k: int = 1, **attributes: object) -> str:
        group = int(attributes.get("group", 1))  # type: ignore[call-overload]  # an int wherever given
        w, b = self.weight(f"{output}_w", co, ci // group, k, k), self.weight(f"{output}_b", co)
        return self.add("Conv", [x, w, b], output, kernel_shape=[k, k], **attributes)

    def model(self, *outputs: str, opset: int = OPSET, **kinds: int) -> onnx.ModelProto:
        """kinds: element types of outputs that are not float32, by name."""
        ends = [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, ends, initializer=self.initialisers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)

    def samples(self, count: int = 4) -> list[Feeds]:
        return [
            {i.name: self.rng.normal(0, 1, _shape(i)).astype(np.float32) for i in self.inputs} for _ in range(count)
        ]


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [item.dim_value for item in value.type.tensor_type.shape.dim]


def loaded(model: onnx.ModelProto) -> ir.Model:
    return ir.from_proto(model)


def sqnr(reference: np.ndarray, value: np.ndarray) -> float:
    """10 log10(signal / noise) in dB"""
    noise = float(((reference - value) ** 2).sum())
    return 10 * float(np.log10(float((reference**2).sum()) / max(noise, 1e-30)))


def ort_session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
