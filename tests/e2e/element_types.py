"""The models of the example zoo under layer rules: their packages, their pictures, and their float models' answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from PIL import Image

from axbuild.toolchain.data.resize import resized
from zoo_workspace import Outcome, Zoo, copy_package, copy_zoo

WHOLE = 'start_tensor_names = ["DEFAULT"], end_tensor_names = ["DEFAULT"]'
RULES = {
    "u16": f'{WHOLE}, data_type = "U16", weight_data_type = "S16"',
    "s16": f'{WHOLE}, data_type = "S16", weight_data_type = "S16"',
    "narrow_weights": f'{WHOLE}, data_type = "U16"',
    "float_add": 'op_type = "Add", data_type = "FP32"',
    "float_gemm": 'op_type = "Gemm", data_type = "FP32"',
}
MODELS = {"digits": ("GRAY", "//:digits"), "mobilenet": ("RGB", "//:other_photographs")}

FEW = """
[[calibration_set]]
name = "{model}_few"
src = "{pictures}"
format = "Image"
size = 4
tensor_format = "{color}"
mean = {mean}
std = {mean}
"""
TARGETS = """
[[quant_model]]
name = "{name}_quant"
model = "{float_model}"
calibration = "//{model}:calib"
layer_configs = [{rules}]

[[axmodel]]
name = "{name}"
quant = ":{name}_quant"
input_processors = [{{ src_dtype = "U8", src_layout = "NHWC" }}]

[[check]]
name = "{name}_equal"
axmodel = ":{name}"
level = "equal"
samples = ":{model}_few"
"""
SWISH = """
[[float_model]]
name = "swish_float"
src = "swish.onnx"
"""


def build_file() -> str:
    parts = [SWISH, TARGETS.format(name="swish", float_model=":swish_float", model="digits", rules="")]
    for model, (color, source) in MODELS.items():
        mean = [127.5] * (1 if color == "GRAY" else 3)
        parts.append(FEW.format(model=model, pictures=source, color=color, mean=mean))
        for rule, text in RULES.items():
            of = {"name": f"{model}_{rule}", "float_model": f"//{model}:float", "model": model}
            parts.append(TARGETS.format(**of, rules=f"{{ {text} }}"))
    return "".join(parts)


def with_hard_swish(path: Path) -> bytes:
    """The model with HardSwish in place of every Clip."""
    model = onnx.load(path)
    for node in model.graph.node:
        if node.op_type == "Clip":
            node.op_type = "HardSwish"
            del node.input[1:]
    return model.SerializeToString()


def build_element_types(room: Path) -> tuple[Zoo, Outcome]:
    """A copy of the zoo in `room` with all of its package `mixed` built: every model under every rule."""
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache", copy_package(room / "package"))
    (zoo.root / "mixed").mkdir()
    (zoo.root / "mixed/BUILD.toml").write_text(build_file())
    (zoo.root / "mixed/swish.onnx").write_bytes(with_hard_swish(zoo.root / "digits/digits.onnx"))
    return zoo, zoo.build("//mixed:all")


def pictures(root: Path, model: str, which: str) -> np.ndarray:
    """uint8[N, height, width, channels] as a compiled model takes them, made as calibration makes them.

    which: "calibration", or "evaluation": those that calibrated nothing.
    """
    if model == "digits" and which == "evaluation":
        return np.load(root / "fetched/digits/test_images.npy")[:32].reshape(-1, 28, 28, 1)
    place, side = {"digits": ("digits", 28), "mobilenet": ("photographs", 160)}[model]
    files = sorted((root / "fetched" / place / which).iterdir())
    opened = [np.asarray(Image.open(file)) for file in files]
    return np.stack([resized(pixels.reshape(*pixels.shape[:2], -1), side, side) for pixels in opened])


def reals(shown: np.ndarray) -> np.ndarray:
    """Pictures as the float models take them."""
    return ((shown.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2)


def float_logits(model: onnx.ModelProto, shown: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x[None]})[0] for x in reals(shown)])


def with_rounded_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with every weight on the nearest of 255 symmetric steps of its output channel."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    weights = {node.input[1]: node for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    for tensor in model.graph.initializer:
        if node := weights.get(tensor.name):
            turned = node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute)
            array = numpy_helper.to_array(tensor)
            axes = tuple(axis for axis in range(array.ndim) if axis != int(turned))
            step = np.abs(array).max(axis=axes, keepdims=True) / 127
            tensor.CopyFrom(numpy_helper.from_array((np.rint(array / step) * step).astype(np.float32), tensor.name))
    return model
