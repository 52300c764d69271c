"""EfficientNet-Lite0: the network around its weights, written with onnx.helper.

Tan and Le 2019, as the TPU team lightened it in 2020: no squeeze-and-excite, ReLU6 for swish, stem and head not scaled.
BatchNormalization stays a node of its own, for the front end to fold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .torch_file_stages import UnreadableTorchFile, read_tensors

OPSET, IR_VERSION = 17, 8
EPSILON = 1e-3
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""of each block's depthwise convolution"""


@dataclass(frozen=True)
class ConvertParams:
    side: int = 224


@dataclass
class Writer:
    """The ONNX graph while it grows. x: the tensor that comes next; side: its height and width."""

    weights: dict[str, np.ndarray]
    side: int
    x: str = "image"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.x = name

    def weight(self, name: str) -> str:
        if name not in self.weights:
            raise UnreadableTorchFile(f"the file has no '{name}': it is not EfficientNet-Lite0")
        self.constants[name] = self.weights[name]
        return name

    def conv(self, name: str, norm: str, stride: int = 1, *, clamped: bool = True) -> None:
        """Convolution without bias, BatchNormalization, and ReLU6 where `clamped`."""
        weight = self.weight(f"{name}.weight")
        count, depth, kernel = self.constants[weight].shape[:3]
        pads = same_padding(self.side, kernel, stride)
        group = count if depth == 1 and kernel > 1 else 1
        self.node("Conv", name, [self.x, weight], strides=[stride] * 2, pads=pads, group=group)
        self.side = -(-self.side // stride)
        held = [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        self.node("BatchNormalization", norm, [self.x, *held], epsilon=EPSILON)
        if clamped:
            self.node("Clip", f"{norm}.relu6", [self.x, "zero", "six"])

    def block(self, index: int, stride: int) -> None:
        """Expand, filter each channel, project; around it the input, where shapes allow."""
        entry, at = self.x, f"_blocks.{index}"
        if index:
            self.conv(f"{at}._expand_conv", f"{at}._bn0")
        self.conv(f"{at}._depthwise_conv", f"{at}._bn1", stride)
        self.conv(f"{at}._project_conv", f"{at}._bn2", clamped=False)
        narrow = self.weights[f"{at}._project_conv.weight"].shape[0]
        if index and stride == 1 and narrow == self.weights[f"{at}._expand_conv.weight"].shape[1]:
            self.node("Add", f"{at}.add", [self.x, entry])


def same_padding(side: int, kernel: int, stride: int) -> list[int]:
    """TensorFlow's SAME: as little padding as gives ceil(side / stride) outputs, the odd one at the end."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return [total // 2] * 2 + [total - total // 2] * 2


def convert(weights: Path, out: Path, *, params: ConvertParams) -> None:
    """Write model.onnx: f32 [1, 3, side, side] -> logits f32 [1, 1000]."""
    model = to_onnx(read_tensors(weights), params.side)
    (out / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def to_onnx(weights: dict[str, np.ndarray], side: int) -> onnx.ModelProto:
    writer = Writer(weights, side)
    writer.constants |= {"zero": np.float32(0), "six": np.float32(6)}
    writer.conv("_conv_stem", "_bn0", 2)
    for index, stride in enumerate(STRIDES):
        writer.block(index, stride)
    writer.conv("_conv_head", "_bn1")
    writer.node("GlobalAveragePool", "pool", [writer.x])
    writer.node("Flatten", "features", [writer.x], axis=1)
    held = [writer.weight(f"_fc.{part}") for part in ("weight", "bias")]
    writer.node("Gemm", "logits", [writer.x, *held], transB=1)
    shapes = {"image": [1, 3, side, side], "logits": [1, 1000]}
    image, logits = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items())
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in writer.constants.items()]
    graph = helper.make_graph(writer.nodes, "efficientnet_lite0", [image], [logits], constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="efficientnet_lite0")
    onnx.checker.check_model(model, full_check=True)
    return model
