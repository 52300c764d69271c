"""Element types by layer rules, on the models of the example zoo: what is compiled is the quantised model to the last
bit, and 16 bits bring the logits beyond 60 dB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from PIL import Image
from quantised import sqnr

import axbuild
from axbuild.toolchain.kinds.codes import S16, U8, type_of
from axbuild.toolchain.quant.verify import verify
from zoo_workspace import Outcome, Zoo, copy_package, copy_zoo

WHOLE = 'start_tensor_names = ["DEFAULT"], end_tensor_names = ["DEFAULT"]'
RULES = {
    "u16": f'{WHOLE}, data_type = "U16", weight_data_type = "S16"',
    "s16": f'{WHOLE}, data_type = "S16", weight_data_type = "S16"',
    "narrow_weights": f'{WHOLE}, data_type = "U16"',
    "float_add": 'op_type = "Add", data_type = "FP32"',
}
MODELS = {"digits": ("GRAY", "//:digits"), "mobilenet": ("RGB", "//:other_photographs")}
EVERY = [(model, rule) for model in MODELS for rule in RULES]

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
    for model, (color, pictures) in MODELS.items():
        mean = [127.5] * (1 if color == "GRAY" else 3)
        parts.append(FEW.format(model=model, pictures=pictures, color=color, mean=mean))
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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    room = tmp_path_factory.mktemp("precision")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache", copy_package(room / "package"))
    (zoo.root / "mixed").mkdir()
    (zoo.root / "mixed/BUILD.toml").write_text(build_file())
    (zoo.root / "mixed/swish.onnx").write_bytes(with_hard_swish(zoo.root / "digits/digits.onnx"))
    return zoo, zoo.build("//mixed:all")


def test_what_is_compiled_is_the_quantised_model_to_the_last_bit(built: tuple[Zoo, Outcome]) -> None:
    judged = {e["label"]: e["passed"] for e in built[1].events if e["event"] == "test_result"}
    assert judged == {f"//mixed:{model}_{rule}_equal": True for model, rule in EVERY} | {"//mixed:swish_equal": True}


def test_layer_rules_share_one_observation(built: tuple[Zoo, Outcome]) -> None:
    observed = {e["label"] for e in built[1].finished("executed") if e["stage"] == "observe"}
    assert len(observed) == len([*MODELS, "swish"])


FROM_SCALES_ON = {
    *("calibrate", "quantize", "partition", "split", "compile_subgraph", "fuse"),
    *("answers", "simulate", "reference", "compare"),
}
CHANGED = 'name = "digits_float_add_quant"\n'


def test_another_layer_rule_runs_from_the_scales_on_and_observes_nothing(built: tuple[Zoo, Outcome]) -> None:
    before = f'{CHANGED}model = "//digits:float"\ncalibration = "//digits:calib"\nlayer_configs = [{{ op_type = "Add", '
    with built[0].edited("mixed/BUILD.toml", f'{before}data_type = "FP32"', f'{before}data_type = "S16"'):
        executed = built[0].build("//mixed:digits_float_add_equal").executed
    assert sorted(executed) == sorted(FROM_SCALES_ON)


def test_another_method_runs_from_the_scales_on_and_gives_other_scales(built: tuple[Zoo, Outcome]) -> None:
    zoo, targets = built[0], ("//mixed:digits_float_add_equal", "//mixed:digits_float_add_quant")
    records = zoo.root / "axbuild-out/mixed/digits_float_add_quant/quant/quant_axmodel.json"
    zoo.build(*targets)
    widest = scales(records)
    with zoo.edited("mixed/BUILD.toml", CHANGED, f'{CHANGED}method = "MSE"\n'):
        assert sorted(zoo.build(*targets).executed) == sorted(FROM_SCALES_ON)
    narrower = scales(records)
    assert narrower.keys() == widest.keys()
    assert all(narrower[name] <= widest[name] for name in widest)
    assert narrower != widest


def scales(records: Path) -> dict[tuple[str, str], float]:
    """(operator, tensor) -> the step of its codes."""
    content = json.loads(records.read_text())
    return {
        (node, tensor): np.max(record["scale"])
        for node, tensors in content.items()
        for tensor, record in tensors.items()
        if record.get("scale")
    }


def samples(zoo: Zoo, model: str) -> Iterator[np.ndarray]:
    """Pictures of the calibration set, which saturate nowhere, as the compiled model takes them."""
    place, side = {"digits": ("digits/calibration", 28), "mobilenet": ("photographs/calibration", 160)}[model]
    for file in sorted((zoo.root / "fetched" / place).iterdir())[:4]:
        yield np.asarray(Image.open(file).resize((side, side))).reshape(1, side, side, -1)


def float_logits(model: onnx.ModelProto, pictures: list[np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    reals = [((x.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2) for x in pictures]
    return np.concatenate([session.run(None, {name: x})[0] for x in reals])


def float_and_compiled(zoo: Zoo, model: str, rule: str) -> tuple[onnx.ModelProto, list[np.ndarray], np.ndarray]:
    """The float model, pictures, and what the compiled model answers to them."""
    folder = zoo.root / f"axbuild-out/mixed/{model}_{rule}"
    pictures = list(samples(zoo, model))
    session = axbuild.InferenceSession(folder / "compiled.axmodel")
    name = session.get_inputs()[0].name
    answers = np.concatenate([session.run(None, {name: picture})[0] for picture in pictures])
    return onnx.load(folder / "frontend/optimized.onnx"), pictures, answers


@pytest.mark.parametrize("rule", ["u16", "s16"])
@pytest.mark.parametrize("model", MODELS)
def test_16_bits_bring_the_logits_beyond_60_decibels(built: tuple[Zoo, Outcome], model: str, rule: str) -> None:
    floats, pictures, answers = float_and_compiled(built[0], model, rule)
    assert sqnr(float_logits(floats, pictures), answers) > 60


@pytest.mark.parametrize("model", MODELS)
def test_weights_of_8_bits_are_all_that_u16_leaves_of_the_noise(built: tuple[Zoo, Outcome], model: str) -> None:
    floats, pictures, answers = float_and_compiled(built[0], model, "narrow_weights")
    exact = float_logits(floats, pictures)
    rounded = float_logits(with_rounded_weights(floats), pictures)
    assert abs(sqnr(exact, answers) - sqnr(exact, rounded)) < 0.5


def with_rounded_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every weight on the nearest of 255 symmetric steps of its output channel."""
    weights = {node.input[1]: node for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    for tensor in model.graph.initializer:
        if node := weights.get(tensor.name):
            turned = node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute)
            array = numpy_helper.to_array(tensor)
            axes = tuple(axis for axis in range(array.ndim) if axis != int(turned))
            step = np.abs(array).max(axis=axes, keepdims=True) / 127
            tensor.CopyFrom(numpy_helper.from_array((np.rint(array / step) * step).astype(np.float32), tensor.name))
    return model


def test_an_activation_behind_a_convolution_reads_its_sums_in_16_bits(built: tuple[Zoo, Outcome]) -> None:
    model = onnx.load(built[0].root / "axbuild-out/mixed/swish/quant/quant_axmodel.onnx")
    edges, written = verify(model).edges, {node.output[0]: node for node in model.graph.node}
    tables = [node for node in model.graph.node if node.op_type == "AxTable"]
    assert len(tables) == 12
    assert {written[node.input[0]].op_type for node in tables} == {"AxQuantizedConv"}
    assert {(type_of(edges[node.input[0]]), type_of(edges[node.output[0]])) for node in tables} == {(S16, U8)}
