"""The simulator runs what the bodies define: every kind, any tiling, any size of the on-chip memory, any batch."""

from __future__ import annotations

import numpy as np
import pytest
from bodies import LEVELS, run_body, session
from kind_cases import CASES, Case
from nets import Body, mobilenet_v2
from npu_world import Chain, chip, compiled, random_tiling, run
from oracle import oracle

from axbuild.toolchain.kinds.arithmetic import multiplier_of, softmax_table
from axbuild.toolchain.kinds.mac import FullyConnected
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.table import Softmax
from axbuild.toolchain.npu.compile import compile_batch, compile_net
from axbuild.toolchain.npu.layout.batch import can_unroll, unrolled
from axbuild.toolchain.npu.net import at_batch, net_of
from axbuild.toolchain.npu.simulator.machine import simulate

SMALL = 26 << 10


def one_kind(case: Case):
    chain = Chain()
    names = [chain.input(f"x{i}", shape, case.dtype) for i, shape in enumerate(case.shapes)]
    return chain.model(chain.add(case.kind, *names, name="y"))


def feeds(case: Case) -> dict[str, np.ndarray]:
    return {f"x{i}": x for i, x in enumerate(case.inputs())}


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_simulator_body_and_oracle_agree_to_the_last_bit(case):
    found = run(one_kind(case), feeds(case))["y"]
    same(found, oracle(case.kind, *case.inputs()))
    for level in LEVELS:
        same(found, run_body(case.kind, *case.inputs(), level=level))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_tiling_changes_a_bit(case):
    model = one_kind(case)
    expected = run(model, feeds(case))["y"]
    for seed in range(4):
        same(run(model, feeds(case), tiling=random_tiling(net_of(model), seed))["y"], expected)


def small_net(seed: int):
    """A random net with a branch, a join, both poolings, padding, a flattening, and a softmax at the end."""
    rng = np.random.default_rng(seed)
    body = Body(seed)
    size = int(rng.integers(9, 15))
    x = body._made(body.input("input_0", (1, 3, size, size)), 0)
    x = body.conv(x, int(rng.choice([33, 40])), 3, int(rng.integers(1, 3)))
    channels = body.shapes[x][1]
    y = body.conv(body.conv(x, channels, 3, group=channels), channels, linear=True)
    x = body.plus(x, y, zero=0)
    x = body._made(body.add(Pad((0, 0, 1, 0, 0, 0, 0, 2), "constant", 7, "uint8"), x), 0)
    p = body._made(body.add(MaxPool((3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 0, 255), x), 0)
    q = body.conv(x, 64, 3, 2)
    x = body._made(body.add(Concat(1, 2, "uint8"), p, q), 0)
    x = body._made(body.add(Transpose((0, 1, 3, 2), "uint8"), x), 0)
    x = body.conv(x, 20)
    _, c, h, w = body.shapes[x]
    h, w = (h - 2) // 3 + 1, (w - 2) // 3 + 1
    kind = AveragePool(np.full((h, w), multiplier_of(0.3)), 0, 5, 0, 255, (2, 2), (3, 3), (0, 0, 0, 0))
    x = body.add(kind, x)
    flat = body.add(Reshape((-1, c * h * w), "uint8"), x)
    weight = rng.integers(-127, 128, (70, c * h * w)).astype(np.int8)
    codes = body.add(FullyConnected(weight, *body._bias(70, weight.shape[1]), 5, 120, 0, 255), flat)
    soft = body.add(Softmax(softmax_table(0.05), 1), codes, name="output_0")
    return body.model(soft, flat), body.shapes["input_0"]


def by_bodies(model, feeds):
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session(model, "optimisation off").run(None, feeds), strict=True))


def stacked(rows):
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("seed", range(6))
def test_random_nets_equal_their_bodies_at_any_memory_size_tiling_and_batch(seed):
    model, shape = small_net(seed)
    rng = np.random.default_rng(seed + 100)
    samples = [{"input_0": rng.integers(0, 256, shape).astype(np.uint8)} for _ in range(3)]
    expected = [by_bodies(model, sample) for sample in samples]
    for batch in (1, 3):
        want = stacked(expected[:batch])
        for ocm_bytes in (0, SMALL, 2 * SMALL):
            for tiling in (None, random_tiling(net_of(model, batch), seed)):
                found = run(model, stacked(samples[:batch]), chip(ocm_bytes), batch, tiling)
                for name in want:
                    same(found[name], want[name])


@pytest.mark.parametrize("mode", ["NPU1", "NPU2", "NPU3"])
def test_the_number_of_cores_changes_no_bit(mode):
    model, shape = small_net(11)
    feed = {"input_0": np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)}
    want = by_bodies(model, feed)
    found = run(model, feed, chip(mode=mode))
    for name in want:
        same(found[name], want[name])


def test_maps_that_do_not_fit_are_swapped_and_come_back_unchanged():
    model, _ = small_net(3)
    program, _ = compiled(model, chip(SMALL))
    names = {job.cname for job in program.jobs}
    assert {"st:ddr_swap", "ld:ddr_swap"} <= names
    assert program.region("ddr_swap").size > 0
    roomy, _ = compiled(model)
    assert roomy.region("ddr_swap").size == 0


@pytest.mark.parametrize("ocm_bytes", [0, SMALL])
def test_running_early_operators_sample_by_sample_changes_no_bit(ocm_bytes):
    model, shape = small_net(21)
    rng = np.random.default_rng(3)
    samples = [{"input_0": rng.integers(0, 256, shape).astype(np.uint8)} for _ in range(2)]
    want = stacked([by_bodies(model, sample) for sample in samples])
    one = net_of(model)
    many = at_batch(one, 2)
    last = next(i for i, op in enumerate(many.ops) if op.output in many.outputs)
    for cut in range(1, last + 1):
        assert can_unroll(one, many, cut, 2)
        program, params = compile_net(unrolled(one, many, cut, 2), chip(ocm_bytes), 2)
        found = simulate(program, params, stacked(samples))
        for name in want:
            same(found[name], want[name])


def test_a_batch_takes_fewer_cycles_a_sample_than_its_samples_one_by_one():
    one = net_of(mobilenet_v2())
    single = compile_batch(one, one, chip(), 1)[0].max_cycle
    several = compile_batch(one, at_batch(one, 4), chip(), 4)[0].max_cycle
    assert several < 0.9 * 4 * single


def test_an_operator_that_moves_the_batch_axis_is_not_unrolled():
    chain = Chain()
    x = chain.input("x", (1, 1, 4))
    y = chain.add(Transpose((1, 0, 2), "uint8"), x)
    one = net_of(chain.model(chain.add(Transpose((1, 0, 2), "uint8"), y)))
    assert not can_unroll(one, at_batch(one, 3), 1, 3)
