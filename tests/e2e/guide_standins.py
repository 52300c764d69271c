"""A small net and data for each configuration of the vendor's guide, with the names that the configuration uses.

What the guide shows as a part of a file gets what a build needs beside it; nothing that it says is changed but where
data lies that only its author can reach.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from PIL import Image
from qdq_world import written_by_onnxruntime
from quantised import Net

from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.write import written
from test_guide_commands import SEED, archive, mobile_net
from test_transformer import SIZE, TOKENS, attention_block

CONFIGS = SEED / "configs"
SUFFIX = {"Image": "png", "Numpy": "npy", "NumpyObject": "npy", "Binary": "bin"}
CONV_OUT = "AxQuantizedConv_out"


@dataclass(frozen=True)
class StandIn:
    """net: what is built; form: of the samples of every input; flags: what the machine of a test asks for."""

    net: Callable[[], onnx.ModelProto]
    form: str = "Image"
    flags: tuple[str, ...] = ()


def straight(name: str = "input", size: int = 32) -> onnx.ModelProto:
    net = Net(1, 3, size, size, name=name)
    net.conv(name, "first", 4, 3, 3, pads=[1] * 4, strides=[4, 4])
    net.add("Relu", ["first"], "seen")
    net.conv("seen", "second", 4, 4, 3, pads=[1] * 4)
    net.add("Add", ["second", "seen"], "sum")
    net.conv("sum", "y", 5, 4)
    return net.model("y")


def small_mobile_net() -> onnx.ModelProto:
    return mobile_net(64)


def two_inputs() -> onnx.ModelProto:
    net = Net(1, 3, 32, 32, name="input1")
    net.input("input2", 1, 3, 32, 32)
    for number in (1, 2):
        net.conv(f"input{number}", f"seen{number}", 4, 3, 3, strides=[4, 4])
    return net_end(net, "Add", ["seen1", "seen2"])


def net_end(net: Net, op: str, inputs: list[str], **attributes: object) -> onnx.ModelProto:
    net.add(op, inputs, "y", **attributes)
    return net.model("y")


def pooled() -> onnx.ModelProto:
    """pool6 of 7 rows by 2: 3 where it rounds down, 4 where it rounds up."""
    net = Net(1, 3, 28, 28, name="data")
    net.conv("data", "seen", 4, 3, 4, strides=[4, 4])
    net.add("MaxPool", ["seen"], "pool6", kernel_shape=[2, 2], strides=[2, 2])
    return net_end(net, "Relu", ["pool6"])


def reshaped() -> onnx.ModelProto:
    net = Net(1, 3, 32, 48, name="data")
    net.conv("data", "seen", 3, 3)
    net.constant("reshape_0_shape", np.array([1, 48, 96]))
    net.add("Reshape", ["seen", "reshape_0_shape"], "laid")
    return net_end(net, "Relu", ["laid"])


def named_parts() -> onnx.ModelProto:
    """The two tensors that the guide's part lies between."""
    net = Net(1, 3, 32, 32, name="data")
    net.conv("data", f"op_37:{CONV_OUT}", 4, 3, 3, strides=[4, 4])
    net.add("MaxPool", [f"op_37:{CONV_OUT}"], "seen", kernel_shape=[2, 2], strides=[2, 2])
    net.conv("seen", f"op_5:{CONV_OUT}", 4, 4, 3, pads=[1] * 4)
    return net_end(net, "MaxPool", [f"op_5:{CONV_OUT}"], kernel_shape=[2, 2])


def attentive() -> onnx.ModelProto:
    """A picture as tokens, and a block of a transformer behind."""
    net = Net(1, 3, 32, 32, name="picture")
    net.conv("picture", "patches", SIZE, 3, 8, strides=[16, 8])
    net.constant("tokens", np.array([1, SIZE, TOKENS]))
    net.add("Reshape", ["patches", "tokens"], "laid")
    net.add("Transpose", ["laid"], "turned", perm=[0, 2, 1])
    return net_end(net, "Identity", [attention_block(net, "turned", "block")])


def qdq(activation: bool) -> onnx.ModelProto:
    """What onnxruntime's quantiser makes; activation: with the operator that YOLOv5 has behind each Conv."""
    net = Net(1, 3, 32, 32, name="data")
    net.conv("data", "first", 4, 3, 3, strides=[4, 4])
    if activation:
        net.add("Sigmoid", ["first"], "gate")
    net.add("Mul" if activation else "Relu", ["first", "gate"] if activation else ["first"], "seen")
    net.conv("seen", "y", 5, 4)
    return written_by_onnxruntime(net.model("y"), net.samples(8), "per channel", op_types_to_quantize=["Conv"])


STANDINS = {
    "0606_two_cores": StandIn(small_mobile_net),
    "0732_precision_analysis": StandIn(small_mobile_net),
    "0961_numpy_data": StandIn(small_mobile_net, "Numpy"),
    "1012_two_inputs": StandIn(two_inputs),
    "1059_numpy_objects": StandIn(two_inputs, "NumpyObject"),
    "1113_mixed_precision": StandIn(small_mobile_net),
    "1181_whole_model_u16": StandIn(straight),
    "1195_conv_output_fp32": StandIn(straight),
    "1209_fp32_but_conv": StandIn(straight),
    "1312_input_shapes": StandIn(lambda: straight("data", 64)),
    "1344_extra_sizes": StandIn(lambda: straight("data", 64)),
    "1394_op_processors": StandIn(pooled),
    "1421_const_processors": StandIn(reshaped),
    "1460_sub_configs": StandIn(named_parts),
    "1520_transformer": StandIn(attentive),
    "1568_qdq_resnet50": StandIn(lambda: qdq(activation=False)),
    "1610_qdq_yolov5s": StandIn(lambda: qdq(activation=True)),
    "1652_yuv": StandIn(straight),
    "1683_adaround": StandIn(straight, "Binary", ("--quant.device", "cpu")),
}


def text_of(name: str) -> str:
    return (CONFIGS / f"{name}.json").read_text(encoding="utf-8")


def place(name: str, root: Path) -> tuple[str, ...]:
    """Put net, data and configuration into a folder; the words that build it."""
    standin = STANDINS[name]
    net = standin.net()
    onnx.save(net, root / "net.onnx")
    said = json.loads(written(parse_config(text_of(name), "config.json")))
    whole, as_it_stands = said, True
    if not said.get("quant", {}).get("input_configs"):
        data = {"tensor_name": "DEFAULT", "calibration_dataset": "dataset.tar", "calibration_format": standin.form}
        whole = said | {"quant": {"input_configs": [data], **said.get("quant", {})}}
        as_it_stands = False
    for entry in whole["quant"]["input_configs"]:
        if "://" in entry["calibration_dataset"]:  # its author's own
            entry["calibration_dataset"], as_it_stands = "dataset.tar", False
        (root / entry["calibration_dataset"]).parent.mkdir(exist_ok=True)
        archive(root / entry["calibration_dataset"], samples(net, standin.form, entry["tensor_name"]))
    (root / "config.json").write_text(text_of(name) if as_it_stands else json.dumps(whole), encoding="utf-8")
    return ("pulsar2", "build", "--input", "net.onnx", "--config", "config.json", "--output_dir", "out", *standin.flags)


def samples(net: onnx.ModelProto, form: str, tensor: str) -> dict[str, bytes]:
    """Four samples for an input, of that format."""
    rng = np.random.default_rng(3)
    inputs = {one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in net.graph.input}
    shape = inputs.get(tensor) or next(iter(inputs.values()))
    found = {}
    for number in range(4):
        stream = io.BytesIO()
        values = {name: rng.normal(size=sizes).astype(np.float32) for name, sizes in inputs.items()}
        if form == "Image":
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(stream, "PNG")
        elif form == "Numpy":
            np.save(stream, rng.normal(size=shape).astype(np.float32))
        elif form == "NumpyObject":
            np.save(stream, np.array(values, dtype=object), allow_pickle=True)
        else:
            stream.write(rng.normal(size=shape).astype(np.float32).tobytes())
        found[f"{number}.{SUFFIX[form]}"] = stream.getvalue()
    return found
