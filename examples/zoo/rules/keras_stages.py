"""Keras .h5 -> ONNX by h5py and onnx.helper: the layers that MobileNets are made of, weights copied bit by bit.

Tensors turn from NHWC into NCHW by turning the weights; the network's input is f32 [1, C, H, W]. BatchNormalization
stays a node of its own, for the front end to fold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from onnx import helper, numpy_helper

from axbuild.errors import AxError

OPSET = 18
IR_VERSION = 10


class UnreadableKerasModel(AxError):
    """The file is not a Keras model, or holds something this converter does not know."""

    code = "AX303"


@dataclass(frozen=True)
class ConvertParams:
    logits: bool = True
    side: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer: its Keras class, name, settings, and the names of the layers it reads."""

    kind: str
    name: str
    config: dict[str, Any]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """Layers in reading order, nested models opened; weights by layer name, then by weight name."""

    layers: tuple[Layer, ...]
    weights: dict[str, dict[str, np.ndarray]]


def convert(model: Path, out: Path, *, params: ConvertParams) -> None:
    """Write model.onnx for the .h5 file `model`."""
    result = to_onnx(read(model), logits=params.logits, side=params.side)
    (out / "model.onnx").write_bytes(result.SerializeToString(deterministic=True))


def read(file: Path) -> Network:
    """Open a Keras 3 .h5 file; nothing in it is executed."""
    try:
        with h5py.File(file, "r") as opened:
            config = json.loads(opened.attrs["model_config"])
            weights: dict[str, dict[str, np.ndarray]] = {}

            def collect(path: str, value: object) -> None:
                if isinstance(value, h5py.Dataset):
                    layer, name = path.split("/")[-2:]
                    weights.setdefault(layer, {})[name] = value[()]

            opened["model_weights"].visititems(collect)
    except (OSError, KeyError, ValueError) as error:
        raise UnreadableKerasModel(f"{file.name} is not a Keras .h5 model: {error}") from error
    return Network(tuple(opened_layers(config["config"], {})), weights)


def opened_layers(model: dict[str, Any], feeds: dict[str, str]) -> Iterator[Layer]:
    """The layers of a functional model; a model used as a layer is replaced by its own layers.

    `feeds` maps an input layer of a nested model to the layer outside that it stands for.
    """
    renamed = dict(feeds)
    for entry in model["layers"]:
        sources = tuple(renamed.get(name, name) for name in source_names(entry["inbound_nodes"]))
        kind, config = entry["class_name"], entry["config"]
        name = config["name"]
        if kind == "InputLayer" and name in feeds:
            continue
        if kind == "Functional":
            yield from opened_layers(config, {config["input_layers"][0]: sources[0]})
            renamed[name] = config["output_layers"][0]
        else:
            yield Layer(kind, name, config, sources)


def source_names(inbound: list[dict[str, Any]]) -> Iterator[str]:
    """Names of the layers whose tensors a layer takes, in order, lists of tensors opened."""
    if len(inbound) > 1:
        raise UnreadableKerasModel("a layer that is used twice cannot be converted")
    waiting = list(inbound[0]["args"]) if inbound else []
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, list):
            waiting = value + waiting
        else:
            yield value["config"]["keras_history"][0]


@dataclass(frozen=True)
class Tensor:
    """An ONNX value f32 [1, C, H, W] (or [1, C] with an empty `spatial`) and zero padding not yet applied to it."""

    name: str
    channels: int
    spatial: tuple[int, ...]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """rows above, columns left, rows below, columns right: the order of ONNX's `pads`"""


@dataclass
class Writer:
    """The ONNX graph while it grows."""

    weights: dict[str, dict[str, np.ndarray]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, layer: str, weight: str, value: np.ndarray) -> str:
        name = f"{layer}/{weight}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def to_onnx(network: Network, *, logits: bool = True, side: int = 0) -> onnx.ModelProto:
    """The network as ONNX; `side` replaces the spatial size of the input, `logits` leaves a last softmax out."""
    writer = Writer(network.weights)
    values: dict[str, Tensor] = {}
    entry = network.layers[0]
    if entry.kind != "InputLayer":
        raise UnreadableKerasModel(f"the first layer is {entry.kind} {entry.name!r}, expected an InputLayer")
    _, height, width, channels = entry.config["batch_shape"]
    source = Tensor("input", channels, (side or height, side or width))
    values[entry.name] = source
    for layer in network.layers[1:]:
        write = LAYERS.get(layer.kind)
        if write is None:
            raise UnreadableKerasModel(
                f"layer {layer.name!r} is a {layer.kind}, which cannot be converted", hint=f"known: {', '.join(LAYERS)}"
            )
        values[layer.name] = write(writer, layer, [values[name] for name in layer.sources])
    last = network.layers[-1]
    result = values[last.name]
    if last.config.get("activation") == "softmax" and not logits:
        result = Tensor(writer.node("Softmax", "probabilities", [result.name], axis=1), result.channels, ())
    graph = helper.make_graph(
        writer.nodes,
        "keras",
        [value_info(source)],
        [value_info(result)],
        writer.initializers,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="keras_model")
    onnx.checker.check_model(model, full_check=True)
    return model


def value_info(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, onnx.TensorProto.FLOAT, [1, tensor.channels, *tensor.spatial])


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: as little padding as gives ceil(size / stride) outputs, the odd one at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def window_padding(layer: Layer, x: Tensor, kernel: list[int], strides: list[int]) -> tuple[int, int, int, int]:
    if layer.config["padding"] == "valid":
        return x.padding
    if any(x.padding):
        raise UnreadableKerasModel(f"layer {layer.name!r} pads a tensor that a ZeroPadding2D has already padded")
    (top, bottom), (left, right) = (same_padding(*sizes) for sizes in zip(x.spatial, kernel, strides, strict=True))
    return top, left, bottom, right


def write_window(writer: Writer, layer: Layer, x: Tensor, weight: np.ndarray, group: int) -> Tensor:
    """A convolution with `weight` f32 [C_out, C_in / group, kh, kw]."""
    config = layer.config
    plain = config["data_format"] == "channels_last" and config["dilation_rate"] == [1, 1] and not config["use_bias"]
    if not plain or config["activation"] != "linear" or config.get("groups", 1) != 1:
        raise UnreadableKerasModel(f"convolution {layer.name!r} has a bias, an activation, groups or a dilation")
    kernel, strides = list(weight.shape[2:]), config["strides"]
    pads = window_padding(layer, x, kernel, strides)
    spatial = tuple(
        (size + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis] + 1 for axis, size in enumerate(x.spatial)
    )
    inputs = [x.name, writer.constant(layer.name, "kernel", weight)]
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": list(pads), "group": group}
    return Tensor(writer.node("Conv", layer.name, inputs, **attributes), weight.shape[0], spatial)


def write_conv(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    weight = writer.weights[layer.name]["kernel"].transpose(3, 2, 0, 1)
    return write_window(writer, layer, inputs[0], weight, group=1)


def write_depthwise(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    weight = writer.weights[layer.name]["kernel"]
    if weight.shape[3] != 1:
        raise UnreadableKerasModel(f"layer {layer.name!r} has depth_multiplier {weight.shape[3]}, expected 1")
    return write_window(writer, layer, inputs[0], weight.transpose(2, 3, 0, 1), group=inputs[0].channels)


def write_batch_norm(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    (x,) = inputs
    held = writer.weights[layer.name]
    names = [
        writer.constant(layer.name, name, held[name]) for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    node = writer.node("BatchNormalization", layer.name, [x.name, *names], epsilon=layer.config["epsilon"])
    return Tensor(node, x.channels, x.spatial)


def write_relu(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    (x,) = inputs
    config = layer.config
    if config.get("negative_slope") or config.get("threshold"):
        raise UnreadableKerasModel(f"layer {layer.name!r} has a slope or a threshold")
    if config["max_value"] is None:
        return Tensor(writer.node("Relu", layer.name, [x.name]), x.channels, x.spatial)
    limits = [
        writer.constant(layer.name, name, np.float32(value))
        for name, value in (("min", 0), ("max", config["max_value"]))
    ]
    return Tensor(writer.node("Clip", layer.name, [x.name, *limits]), x.channels, x.spatial)


def write_zero_padding(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Held back for the convolution that follows, whose `pads` then say the same."""
    (x,) = inputs
    (top, bottom), (left, right) = layer.config["padding"]
    return Tensor(x.name, x.channels, x.spatial, (top, left, bottom, right))


def write_add(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    x, y = inputs
    return Tensor(writer.node("Add", layer.name, [x.name, y.name]), x.channels, x.spatial)


def write_global_average(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    (x,) = inputs
    if layer.config["keepdims"]:
        raise UnreadableKerasModel(f"layer {layer.name!r} keeps its dimensions")
    pooled = writer.node("GlobalAveragePool", layer.name, [x.name])
    return Tensor(writer.node("Flatten", f"{layer.name}_flat", [pooled], axis=1), x.channels, ())


def write_dropout(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Inference drops nothing."""
    return inputs[0]


def write_dense(writer: Writer, layer: Layer, inputs: list[Tensor]) -> Tensor:
    (x,) = inputs
    held = writer.weights[layer.name]
    if layer.config["activation"] not in ("linear", "softmax") or not layer.config["use_bias"]:
        raise UnreadableKerasModel(f"layer {layer.name!r} has activation {layer.config['activation']} or no bias")
    names = [writer.constant(layer.name, name, held[name]) for name in ("kernel", "bias")]
    return Tensor(writer.node("Gemm", "logits", [x.name, *names]), held["kernel"].shape[1], ())


LAYERS: dict[str, Callable[[Writer, Layer, list[Tensor]], Tensor]] = {
    "Add": write_add,
    "BatchNormalization": write_batch_norm,
    "Conv2D": write_conv,
    "Dense": write_dense,
    "DepthwiseConv2D": write_depthwise,
    "Dropout": write_dropout,
    "GlobalAveragePooling2D": write_global_average,
    "ReLU": write_relu,
    "ZeroPadding2D": write_zero_padding,
}
