"""Small QDQ models, and their way through the stages that read and write them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from quantised import Feeds, Net, ort_session

from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import MODEL_FILE
from axbuild.toolchain.qdq.adopt import AdoptParams, adopt
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.qdq.separate import SeparateParams, separate
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme


class QdqNet(Net):
    """A net with pairs of QuantizeLinear and DequantizeLinear, put in by hand."""

    def linear(self, op: str, x: str, output: str, scale: object, zero: object = None, **attributes: int) -> str:
        """zero: an array whose dtype is that of the codes; without one there is no zero point."""
        inputs = [x, self.constant(f"{output}_scale", np.asarray(scale, np.float32))]
        if zero is not None:
            inputs.append(self.constant(f"{output}_zero", np.asarray(zero)))
        return self.add(op, inputs, output, **attributes)

    def pair(self, x: str, scale: float = 0.05, zero: object = np.uint8(128), name: str = "") -> str:
        """The tensor behind QuantizeLinear and DequantizeLinear."""
        name = name or f"{x}_dq"
        self.linear("QuantizeLinear", x, f"{name}_q", scale, zero)
        return self.linear("DequantizeLinear", f"{name}_q", name, scale, zero)

    def coded(self, name: str, codes: np.ndarray, scale: object, zero: object = None, **attributes: int) -> str:
        """A constant behind DequantizeLinear."""
        return self.linear("DequantizeLinear", self.constant(f"{name}_q", codes), name, scale, zero, **attributes)

    def codes(self, *shape: int, lo: int = -127, hi: int = 127, dtype: str = "int8") -> np.ndarray:
        return self.rng.integers(lo, hi + 1, shape).astype(dtype)

    def packed(self, name: str, codes: np.ndarray, kind: int) -> str:
        """A constant of 4-bit codes."""
        self.initialisers.append(helper.make_tensor(name, kind, codes.shape, codes.ravel().tolist()))
        return name


@dataclass(frozen=True)
class Adopted:
    """What became of a QDQ model."""

    given: GivenGrids
    optimised: onnx.ModelProto
    scheme: Scheme
    model: onnx.ModelProto

    def site(self, name: str) -> SiteScheme:
        """Of the node of that name."""
        return next(site for site in self.scheme.sites if name in site.nodes)

    def run(self, feeds: Feeds) -> list[np.ndarray]:
        return ort_session(self.model.SerializeToString()).run(None, feeds)


def placed(model: onnx.ModelProto, folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder


def adopted(model: onnx.ModelProto) -> Adopted:
    """Separated, optimised, adopted and lowered."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        separate(placed(model, work / "source"), work, params=SeparateParams())
        optimize(work / "separated", work, params=OptimizeParams())
        adopt(work / "optimized", work / "given.msgpack", work, params=AdoptParams())
        quantize(work / "optimized", work / "scheme.msgpack", work, params=QuantizeParams())
        optimised = onnx.load(work / "optimized" / MODEL_FILE)
        scheme, given = Scheme.read(work / "scheme.msgpack"), GivenGrids.read(work / "given.msgpack")
        return Adopted(given, optimised, scheme, onnx.load(work / "quant_axmodel.onnx"))


def plain_run(model: onnx.ModelProto, feeds: Feeds) -> list[np.ndarray]:
    """onnxruntime without any fusion."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


class _Samples(CalibrationDataReader):
    def __init__(self, samples: Sequence[Feeds]) -> None:
        self.left = list(samples)

    def get_next(self) -> Feeds | None:
        return self.left.pop(0) if self.left else None


WRITTEN = {
    "per tensor": {"per_channel": False},
    "per channel": {"per_channel": True},
    "U8 weights": {"weight_type": QuantType.QUInt8, "per_channel": False, "symmetric": False},
    "U8 weights a channel": {"weight_type": QuantType.QUInt8, "per_channel": True, "symmetric": False},
    "S8 activations": {"activation_type": QuantType.QInt8, "per_channel": True},
    "16-bit activations": {"activation_type": QuantType.QUInt16, "per_channel": True},
    "16-bit weights": {
        "activation_type": QuantType.QInt16,
        "weight_type": QuantType.QInt16,
        "per_channel": False,
    },
    "4-bit weights": {"weight_type": QuantType.QInt4, "per_channel": True},
}
"""how onnxruntime is asked to quantise -> its settings"""


def written_by_onnxruntime(
    model: onnx.ModelProto, samples: Sequence[Feeds], how: str, **more: object
) -> onnx.ModelProto:
    """The QDQ model that onnxruntime's static quantisation makes; more: settings of its own."""
    settings = WRITTEN[how] | more
    symmetric = settings.pop("symmetric", True)
    with tempfile.TemporaryDirectory() as name:
        settings.setdefault("activation_type", QuantType.QUInt8)
        source, target = Path(name) / "float.onnx", Path(name) / "qdq.onnx"
        onnx.save(model, source)
        quantize_static(
            str(source),
            str(target),
            _Samples(samples),
            quant_format=QuantFormat.QDQ,
            extra_options={"WeightSymmetric": symmetric, "ActivationSymmetric": False},
            **settings,
        )
        return onnx.load(target)


def weight_of(model: onnx.ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


INT4, UINT4 = TensorProto.INT4, TensorProto.UINT4
