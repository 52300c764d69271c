"""Models that are none, are cut off, keep their weights elsewhere, or are beyond what can be built."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from onnx import ModelProto

from bad_world import Make, Mistake, both, written
from broken_models import REFUSED, REFUSED_BY_THE_CLIENT, content, external, model, node, relu, weight

BY_THE_CLIENT = {
    "empty file": "error AX112: net.onnx is not a readable ONNX model: it has no graph",
    "text": "error AX112: net.onnx is not a readable ONNX model",
    "zip": "hint: it is a zip archive, as PyTorch's .pt files are",
    "pickle": "hint: it is a pickle, as older PyTorch files are",
    "truncated": "net.onnx is not a readable ONNX model: it ends too early",
    "missing data": "error AX118: net.onnx keeps weights in 'w.bin', and there is no such file",
    "data outside": "keeps weights in '../w.bin', which is not a path inside the model's folder",
    "absolute data": "keeps weights in '/etc/passwd', which is not a path inside",
}
BY_THE_FRONT_END = {
    "circle": "error AX302: //:model_float optimize: nodes read each other in a circle: 'one' (Add), 'two' (Relu)",
    "unknown operator": "error AX303: //:model_float optimize: ONNX does not define Reluu x1 ('act')",
    "unknown domain": "ONNX does not define Foo of domain 'acme' x1 ('foo')",
    "open dimension": "error AX304: //:model_float optimize: input 'x' has unknown dimensions: [1, 3, height, 8]",
    "NaN": "a weight holds what is no number: 'w' (nan at [1])",
    "huge tensor": "error AX305: //:model_float optimize: tensor 'y' has the shape [1, 32768, 32768, 32768]",
    "recursive functions": "Cycle detected in model-local function references",
    "external data cut off": "error AX301: //:model_float optimize: the data of tensor 'w' ends at byte 99999",
    "complex input": "input 'x' is complex64; float32, int32, int64 and bool are supported",
}


def given(told: str, proto: bytes | ModelProto, *makes: Make) -> Mistake:
    return Mistake(told, both(written("net.onnx", content(proto)), written("data.bin", bytes(100)), *makes))


def big() -> ModelProto:
    return model([node("Conv", ["x", "w"], ["y"])], {"w": weight(4, 3, 3, 3) * np.float32(3e38)})


def device(root: Path) -> None:
    (root / "w.bin").symlink_to("/dev/zero")


MODELS = {
    **{f"model: {name}": given(told, REFUSED_BY_THE_CLIENT[name][0]) for name, told in BY_THE_CLIENT.items()},
    **{f"model: {name}": given(told, REFUSED[name][0]) for name, told in BY_THE_FRONT_END.items()},
    "model: an opset of yesterday": given(
        "the model has opset 1; opsets 7 to 24 are supported", relu(opset=1, ir_version=3)
    ),
    "model: an opset of tomorrow": given("the model has opset 99; opsets 7 to 24 are supported", relu(opset=99)),
    "model: weights in a pipe": given(
        "keeps weights in 'w.bin', and there is no such file", external("w.bin"), lambda root: os.mkfifo(root / "w.bin")
    ),
    "model: weights in a device": given(
        "keeps weights in 'w.bin', and there is no such file", external("w.bin"), device
    ),
    "model: controls in a path": given(r"keeps weights in 'w\x1b[31m.bin'", external("w\x1b[31m.bin")),
    "model: controls in a name": given(
        r"ONNX does not define Reluu x1 ('a\x1b[31m\nb')", model([node("Reluu", ["x"], ["y"], name="a\x1b[31m\nb")])
    ),
    "model: nothing for the NPU": given(
        "error AX408: //:model partition: Nothing of the model runs on the NPU of AX650",
        model([node("Det", ["x"], ["y"])]),
    ),
    "model: weights beyond floats": given("tensor 'y' of the float model is not finite for sample '0'", big()),
}
