"""Element types by layer rules, on the models of the example zoo: what is compiled is the quantised model to the last
bit, and 16 bits bring the logits beyond 60 dB."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from clamped import clamped
from quantised import sqnr

import axbuild
from axbuild.toolchain.kinds.codes import S16, U8, type_of
from axbuild.toolchain.quant.verify import verify
from element_types import MODELS, RULES, build_element_types, float_logits, pictures, with_rounded_weights
from zoo_workspace import Outcome, Zoo

EVERY = [(model, rule) for model in MODELS for rule in RULES]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    return build_element_types(tmp_path_factory.mktemp("precision"))


def test_what_is_compiled_is_the_quantised_model_to_the_last_bit(built: tuple[Zoo, Outcome]) -> None:
    judged = {e["label"]: e["passed"] for e in built[1].events if e["event"] == "test_result"}
    assert judged == {f"//mixed:{model}_{rule}_equal": True for model, rule in EVERY} | {"//mixed:swish_equal": True}


def test_products_in_fp32_run_on_the_cpu_and_the_build_says_why(built: tuple[Zoo, Outcome]) -> None:
    reason = "(Gemm): FP32 is asked for, which the NPU does not do for Gemm; U16 it does"
    assert built[1].err.count(reason) == len(MODELS)


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
    assert sorted(executed) == sorted({*FROM_SCALES_ON, "select"})


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


@pytest.mark.parametrize("method", ["Percentile", "KL", "Auto"])
def test_every_method_is_computed_from_the_same_observation(built: tuple[Zoo, Outcome], method: str) -> None:
    with built[0].edited("mixed/BUILD.toml", CHANGED, f'{CHANGED}method = "{method}"\n'):
        executed = built[0].build("//mixed:digits_float_add_quant").executed
    scales = ["equalize", "choose_ranges", "round_weights"] if method == "Auto" else ["calibrate"]
    assert executed == [*scales, "quantize"]


def scales(records: Path) -> dict[tuple[str, str], float]:
    """(operator, tensor) -> the step of its codes."""
    content = json.loads(records.read_text())
    return {
        (node, tensor): np.max(record["scale"])
        for node, tensors in content.items()
        for tensor, record in tensors.items()
        if record.get("scale")
    }


@dataclass(frozen=True)
class Compared:
    """The logits of some pictures.

    exact: of the float model; clamped: of the float model whose tensors end where the calibrated ranges do; rounded: of
    that one with its weights rounded to 8 bits; compiled: of the compiled model.
    """

    exact: np.ndarray
    clamped: np.ndarray
    rounded: np.ndarray
    compiled: np.ndarray


@pytest.fixture(scope="module")
def compared(built: tuple[Zoo, Outcome]) -> Callable[[str, str, str], Compared]:
    @cache
    def compare(model: str, rule: str, which: str) -> Compared:
        folder = built[0].root / f"axbuild-out/mixed/{model}_{rule}"
        floats = onnx.load(folder / "frontend/optimized.onnx")
        quantised = onnx.load(folder / "quant/quant_axmodel.onnx")
        shown = pictures(built[0].root, model, which)
        session = axbuild.InferenceSession(folder / "compiled.axmodel")
        return Compared(
            float_logits(floats, shown),
            float_logits(clamped(floats, quantised), shown),
            float_logits(clamped(with_rounded_weights(floats), quantised), shown),
            session.run(None, {session.get_inputs()[0].name: shown})[0],
        )

    return compare


@pytest.mark.parametrize("rule", ["u16", "s16"])
@pytest.mark.parametrize("model", MODELS)
def test_16_bits_bring_the_logits_beyond_60_decibels(compared, model: str, rule: str) -> None:
    seen = compared(model, rule, "calibration")
    assert sqnr(seen.exact, seen.compiled) > 60


@pytest.mark.parametrize("rule", ["u16", "s16"])
@pytest.mark.parametrize("model", MODELS)
def test_on_other_pictures_16_bits_lose_only_what_leaves_the_calibrated_ranges(compared, model: str, rule: str) -> None:
    seen = compared(model, rule, "evaluation")
    assert sqnr(seen.clamped, seen.compiled) > 60
    assert sqnr(seen.exact, seen.compiled) == pytest.approx(sqnr(seen.exact, seen.clamped), abs=0.5)


@pytest.mark.parametrize("which", ["calibration", "evaluation"])
@pytest.mark.parametrize("model", MODELS)
def test_weights_of_8_bits_are_all_that_u16_leaves_of_the_noise(compared, model: str, which: str) -> None:
    seen = compared(model, "narrow_weights", which)
    assert sqnr(seen.rounded, seen.compiled) > 60
    assert sqnr(seen.clamped, seen.compiled) == pytest.approx(sqnr(seen.clamped, seen.rounded), abs=0.5)


def test_an_activation_behind_a_convolution_reads_its_sums_in_16_bits(built: tuple[Zoo, Outcome]) -> None:
    model = onnx.load(built[0].root / "axbuild-out/mixed/swish/quant/quant_axmodel.onnx")
    edges, written = verify(model).edges, {node.output[0]: node for node in model.graph.node}
    tables = [node for node in model.graph.node if node.op_type == "AxTable"]
    assert len(tables) == 12
    assert {written[node.input[0]].op_type for node in tables} == {"AxQuantizedConv"}
    assert {(type_of(edges[node.input[0]]), type_of(edges[node.output[0]])) for node in tables} == {(S16, U8)}
