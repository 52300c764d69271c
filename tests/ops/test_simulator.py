"""The simulator runs what the bodies define, in whole nets: any tiling, any size of the on-chip memory, any batch; and
shows every tensor on the way."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from bodies import every_tensor
from nets import branchy, grid, mobilenet_v2
from npu_world import Chain, carried, chip, compiled, random_tiling, run

from axbuild.toolchain.kinds.arithmetic import multipliers_of
from axbuild.toolchain.kinds.codes import S8, U8, U16
from axbuild.toolchain.kinds.mac import Conv, MatMul
from axbuild.toolchain.kinds.mover import Concat, Reshape, Transpose
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.compile import compile_net, laid_out
from axbuild.toolchain.npu.layout.batch import unrolled
from axbuild.toolchain.npu.net import Net, at_batch, net_of
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.simulator.machine import Machine, simulate

SMALL = 26 << 10
SEEDS = range(6)
BATCH = 3

Arrays = dict[str, np.ndarray]


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def stacked(rows: list[Arrays]) -> Arrays:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@cache
def known(seed: int) -> tuple[onnx.ModelProto, list[Arrays], list[Arrays]]:
    """A random net, samples, and every tensor of each sample by the bodies."""
    model, shape = branchy(seed)
    rng = np.random.default_rng(seed + 100)
    samples = [{"input_0": rng.integers(0, 256, shape).astype(np.uint8)} for _ in range(BATCH)]
    return model, samples, [every_tensor(model, sample) for sample in samples]


def watched(net: Net, program, params: bytes, feeds: Arrays, expected: Arrays) -> None:
    """Every tensor of the net, out of the program as it is read back, is what is expected."""
    names = [name for name in net.tensors if "#" not in name]
    found = Machine(decode(encode(program)), params).run(feeds, watch=sorted(expected))
    assert set(names) <= set(found)
    for name, value in expected.items():
        same(found[name], carried(value))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("batch", [1, BATCH])
@pytest.mark.parametrize("ocm_bytes", [0, SMALL, 2 * SMALL])
def test_every_tensor_of_random_nets_equals_its_body_at_any_memory_size_tiling_and_batch(seed, batch, ocm_bytes):
    model, samples, values = known(seed)
    net, feeds, expected = net_of(model, batch), stacked(samples[:batch]), stacked(values[:batch])
    for tiling in (None, random_tiling(net, seed)):
        watched(net, *compile_net(net, chip(ocm_bytes), batch, tiling), feeds, expected)


@pytest.mark.parametrize("mode", ["NPU1", "NPU2", "NPU3"])
def test_the_number_of_cores_changes_no_bit(mode):
    model, samples, values = known(0)
    found = run(model, samples[0], chip(mode=mode))
    for name, value in found.items():
        same(value, values[0][name])


def test_maps_that_do_not_fit_are_swapped_and_come_back_unchanged():
    model, _ = branchy(3)
    program, _ = compiled(model, chip(SMALL))
    names = {job.cname for job in program.jobs}
    assert {"st:ddr_swap", "ld:ddr_swap"} <= names
    assert program.region("ddr_swap").size > 0
    roomy, _ = compiled(model)
    assert roomy.region("ddr_swap").size == 0


@pytest.mark.parametrize("ocm_bytes", [0, SMALL])
def test_running_early_operators_sample_by_sample_changes_no_tensor(ocm_bytes):
    model, samples, values = known(1)
    one = net_of(model)
    many = at_batch(one, 2)
    last = next(i for i, op in enumerate(many.ops) if op.output in many.outputs)
    for cut in range(1, last + 1):
        net = unrolled(one, many, cut, 2)
        watched(net, *compile_net(net, chip(ocm_bytes), 2), stacked(samples[:2]), stacked(values[:2]))


def test_a_batch_takes_fewer_cycles_a_sample_than_its_samples_one_by_one():
    one = net_of(mobilenet_v2())
    single = laid_out(one, one, chip(), 1, CompileOptions()).layout.cycles
    several = laid_out(one, at_batch(one, 4), chip(), 4, CompileOptions()).layout.cycles
    assert several < 0.9 * 4 * single


def moved(kind=U8) -> tuple[onnx.ModelProto, Arrays]:
    """A picture that is transposed as it is loaded, a view of a view, an input given out, and a Concat of both."""
    chain = Chain()
    x = chain.input("x", (2, 5, 4, 3), kind.dtype)
    planes = chain.add(Transpose(kind, (0, 3, 1, 2)), x, name="planes")
    square = Table.of("Square", lambda v: v * v, grid(0.02, 7, kind), grid(0.05, 9, kind))
    made = chain.add(square, planes, name="made")
    rows = chain.add(Reshape(kind, (-1, 60)), made, name="rows")
    flat = chain.add(Reshape(kind, (-1, 4, 15)), rows, name="view")
    joined = chain.add(Concat(kind, 1, 2), flat, flat, name="joined")
    rng = np.random.default_rng(8)
    return chain.model(joined, rows), {"x": rng.integers(0, kind.hi + 1, (2, 5, 4, 3)).astype(kind.dtype)}


@pytest.mark.parametrize("kind", [U8, U16], ids=str)
@pytest.mark.parametrize("tight", [False, True], ids=["roomy", "tight"])
def test_views_and_transposed_inputs_can_be_watched(kind, tight):
    model, feeds = moved(kind)
    net, table = net_of(model), (kind.span + 1) * kind.bytes
    small = replace(chip(table + 1152), prefetch_share=(table + 128) / (table + 1152))
    watched(net, *compile_net(net, small if tight else chip()), feeds, every_tensor(model, feeds))


def test_watching_changes_no_output_and_leaves_nothing_behind():
    model, samples, values = known(2)
    program, params = compiled(model, chip(SMALL))
    machine = Machine(program, params)
    plain = machine.run(samples[0])
    first = machine.run(samples[0], watch=("t2",))
    second = machine.run(samples[1], watch=("t2",))
    assert set(first) == {*plain, "t2"}
    for name in plain:
        same(first[name], plain[name])
    same(first["t2"], values[0]["t2"])
    same(second["t2"], values[1]["t2"])


def test_what_says_where_tensors_lie_is_a_small_part_of_a_program():
    program, _ = compiled(mobilenet_v2())
    jobs = [replace(job, outputs=tuple(replace(o, dense=None) for o in job.outputs)) for job in program.jobs]
    bare = replace(program, activations=(), jobs=tuple(jobs))
    assert len(encode(program)) < 1.05 * len(encode(bare))


def product(rows: int, depth: int, columns: int) -> tuple[onnx.ModelProto, Arrays]:
    chain = Chain()
    a, b = chain.input("a", (rows, depth), "int8"), chain.input("b", (depth, columns), "int8")
    g = grid(0.01, 3, S8)
    rng = np.random.default_rng(rows)
    feeds = {n: rng.integers(-128, 128, chain.shapes[n]).astype(np.int8) for n in (a, b)}
    return chain.model(chain.add(MatMul.of(g, g, grid(0.2, -5, S8), S8.lo, S8.hi), a, b, name="y")), feeds


@pytest.mark.parametrize(("rows", "ocm_bytes"), [(6, 32 << 10), (300, 64 << 10)])
def test_a_second_matrix_that_does_not_fit_is_not_read_again_for_each_row(rows, ocm_bytes):
    model, feeds = product(rows, 64, 1000)
    program, params = compiled(model, chip(ocm_bytes))
    loaded = sum(j.inputs[0].bytes for j in program.jobs if j.cname == "ld:input" and j.inputs[0].tensor == "b")
    assert loaded <= -(-rows // 100) * feeds["b"].size
    same(simulate(program, params, feeds)["y"], every_tensor(model, feeds)["y"])


@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions_equal_their_bodies_however_they_are_cut(seed):
    """Strides, dilations, uneven pads, groups and depth multipliers, near-dead channels, deep reductions."""
    model, feeds = convolution(seed)
    want = every_tensor(model, feeds)["y"]
    for tiling in (None, random_tiling(net_of(model), seed), random_tiling(net_of(model), seed + 50)):
        same(run(model, feeds, tiling=tiling)["y"], want)


def convolution(seed: int) -> tuple[onnx.ModelProto, Arrays]:
    rng = np.random.default_rng(seed)
    group, per_in, per_out = ((1, 700, 40), (1, 5, 70), (40, 1, 1), (3, 7, 32), (20, 1, 2), (2, 16, 48))[seed % 6]
    kernel = tuple(int(k) for k in rng.integers(1, 4, 2))
    co, size = group * per_out, 11
    shifts = np.where(rng.random(co) < 0.1, 2.0**-30, rng.uniform(0.2, 2.0, co) / (per_in * 40))
    kind = Conv(
        grid(0.03, int(rng.integers(0, 256))),
        S8,
        grid(0.05, int(rng.integers(0, 256))),
        rng.integers(-127, 128, (co, per_in, *kernel)).astype(np.int8),
        rng.integers(-(1 << 20), 1 << 20, co).astype(np.int32),
        multipliers_of(shifts),
        int(rng.integers(0, 40)),
        int(rng.integers(200, 256)),
        tuple(int(s) for s in rng.integers(1, 3, 2)),
        tuple(int(p) for p in rng.integers(0, 2, 4)),
        tuple(int(d) for d in rng.integers(1, 3, 2)),
        group,
    )
    chain = Chain()
    model = chain.model(chain.add(kind, chain.input("x", (1, group * per_in, size, size)), name="y"))
    return model, {"x": rng.integers(0, 256, (1, group * per_in, size, size)).astype(np.uint8)}
