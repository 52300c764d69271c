"""The cost model against published cycle counts, by the compiler's own schedule and no factor of its own."""

from __future__ import annotations

import numpy as np
import pytest
from nets import mobilenet_v2, resnet18d, stack
from npu_world import chip, chip_of, compiled

from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.simulator.machine import simulate

# model, chip, mode, multiply-accumulates, published cycles: the vendor's documentation
# (MobileNetV2), and a third party's measurements (the others).
PUBLISHED = {
    "MobileNetV2": (mobilenet_v2, (224, 1000), "AX650", "NPU1", 300_774_272, 450_182),
    "MobileNetV2 on M57": (mobilenet_v2, (224, 1000), "M57", "NPU1", 300_774_272, 684_124),
    "MobileNetV2 on AX615": (mobilenet_v2, (224, 1000), "AX615", "NPU1", 300_774_272, 3_275_853),
    "MobileNetV2 on AX620E": (mobilenet_v2, (224, 1000), "AX620E", "NPU1", 300_774_272, 782_940),
    "ResNet-18-D": (resnet18d, (224, 1000), "AX650", "NPU1", 2_053_713_920, 1_318_764),
    "8 x conv 3x3, 256 at 64": (stack, (256, 64), "AX650", "NPU3", 19_327_352_832, 3_831_460),
    "8 x conv 3x3, 512 at 32": (stack, (512, 32), "AX650", "NPU3", 19_327_352_832, 3_704_778),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_estimates_are_as_near_the_published_cycles_as_the_preset_says(name):
    build, sizes, target, mode, macs, cycles = PUBLISHED[name]
    preset = chip_of(target, mode)
    program, _ = compiled(build(*sizes), preset)
    assert program.macs == macs
    assert abs(program.max_cycle / cycles - 1) * 100 <= preset.error_percent


def test_mobilenet_is_within_two_percent():
    program, _ = compiled(mobilenet_v2())
    assert abs(program.max_cycle / 450_182 - 1) < 0.02


def test_a_bandwidth_limit_costs_cycles_and_changes_no_bit():
    model = mobilenet_v2(32, 40)
    x = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    fast, params = compiled(model)
    slow, same_params = compiled(model, chip_of("AX650", "NPU1", ddr_bw_limit=2.0))
    assert slow.max_cycle > 2 * fast.max_cycle
    assert params == same_params
    outputs = [simulate(p, params, {"input_0": x})["output_0"].tobytes() for p in (fast, slow)]
    assert outputs[0] == outputs[1]


def test_constants_are_the_same_for_every_batch_and_memory_size():
    model = mobilenet_v2(32, 40)
    packed = {compiled(model, chip(ocm), batch)[1] for ocm, batch in ((0, 1), (0, 4), (200 << 10, 1))}
    assert len(packed) == 1


def test_mobilenet_compiles_to_the_same_bytes_twice():
    first, second = (compiled(mobilenet_v2(64, 100)) for _ in range(2))
    assert encode(first[0]) == encode(second[0])
    assert first[1] == second[1]


@pytest.mark.parametrize(("target", "mode"), [("AX620E", "NPU1"), ("AX615", "NPU1"), ("M57", "NPU1")])
def test_every_chip_runs_the_same_bits(target, mode):
    model = mobilenet_v2(64, 40)
    x = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    outputs = []
    for preset in (chip(), chip_of(target, mode)):
        program, params = compiled(model, preset)
        outputs.append(simulate(program, params, {"input_0": x})["output_0"].tobytes())
    assert outputs[0] == outputs[1]
