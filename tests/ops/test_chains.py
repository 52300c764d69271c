"""Operators that run together band by band, and the search of schedules: the same bits, never worse than without."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import onnx
import pytest
from bodies import every_tensor
from nets import Body, branchy
from npu_world import carried, chip, random_tiling

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.compile import assemble, laid_out
from axbuild.toolchain.npu.layout.choices import Choices, OpChain
from axbuild.toolchain.npu.layout.draft import Draft
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.neighbours import Neighbours
from axbuild.toolchain.npu.layout.schedule import Scheduler
from axbuild.toolchain.npu.layout.search import Workbench
from axbuild.toolchain.npu.layout.waits import waits
from axbuild.toolchain.npu.net import Net, at_batch, net_of
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.program.form import Program
from axbuild.toolchain.npu.simulator.machine import Machine

SMALL, MIDDLE = 26 << 10, 36 << 10

Arrays = dict[str, np.ndarray]


def widened(stride: int = 1) -> onnx.ModelProto:
    """A wide map between two narrow ones, as in MobileNetV2, and a sum with what came before."""
    body = Body()
    x = body.conv(body.codes("input_0", (1, 8, 16, 16)), 16, 3)
    y = body.conv(body.conv(x, 96), 96, 3, stride, group=96)
    y = body.conv(y, 16, linear=True)
    return body.model(body.plus(x, y) if stride == 1 else y)


def skipping() -> onnx.ModelProto:
    """A stride that reads every third row and column of a map, and not its last ones."""
    body = Body()
    x = body.conv(body.codes("input_0", (1, 8, 24, 24)), 96)
    return body.model(body.conv(body.conv(x, 16, 1, 3), 24, 3))


def fed(model: onnx.ModelProto, batch: int = 1) -> Arrays:
    rng = np.random.default_rng(batch)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input}
    return {n: rng.integers(0, 256, (s[0] * batch, *s[1:])).astype(np.uint8) for n, s in shapes.items()}


def same(program: Program, params: bytes, feeds: Arrays, expected: Arrays) -> None:
    found = Machine(program, params).run(feeds, watch=sorted(expected))
    for name, value in expected.items():
        assert np.array_equal(found[name], carried(value), equal_nan=value.dtype.kind == "f"), name


@pytest.mark.parametrize("axis", [1, 2, 3], ids=["rows", "columns", "channels"])
@pytest.mark.parametrize("seed", range(3))
def test_any_chain_that_is_allowed_makes_every_tensor_as_without(seed, axis):
    model, _ = branchy(seed)
    net, feeds = net_of(model), fed(model)
    expected = every_tensor(model, feeds)
    for ocm_bytes in (SMALL, 2 * SMALL):
        bench = Workbench(net, Material(chip(ocm_bytes)))
        count = len(net.ops)
        allowed = [OpChain(a, b, axis) for a in range(count) for b in range(a + 2, count + 1)]
        allowed = [chain for chain in allowed if bench.chains.allows(chain)]
        assert allowed
        for tiling in (None, random_tiling(net, seed)):
            chosen = Random(seed).choice(allowed)
            layout = bench.lay(Choices(tiling, (chosen,)))
            same(*assemble(net, layout, chip(ocm_bytes), 1), feeds, expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_between_an_expansion_and_its_window_never_leaves_the_chip(stride):
    model = widened(stride)
    net, small = net_of(model), chip(MIDDLE)
    bench = Workbench(net, Material(small))
    plain, start = bench.lay(Choices()), bench.start()
    longer = bench.sliced(start)
    assert plain.swap_bytes > 2 * start.swap_bytes
    assert longer.swap_bytes == 0
    assert longer.cycles <= start.cycles < plain.cycles
    program, params = assemble(net, longer, small, 1)
    halos = [job for job in program.jobs if job.kind == "copy" and not job.cname]
    assert halos
    assert sum(job.outputs[0].bytes for job in halos) < plain.swap_bytes // 4
    feeds = fed(model)
    same(program, params, feeds, every_tensor(model, feeds))


@pytest.mark.parametrize("axis", [1, 2])
def test_what_a_stride_skips_is_made_too(axis):
    model = skipping()
    net, feeds, small = net_of(model), fed(model), chip(MIDDLE)
    layout = Workbench(net, Material(small)).lay(Choices(chains=(OpChain(0, 3, axis),)))
    same(*assemble(net, layout, small, 1), feeds, every_tensor(model, feeds))


PLAIN, SLICE, TILE = CompileOptions(), CompileOptions(enable_slice_mode=True), CompileOptions(enable_tile_mode=True)
ALL = CompileOptions(enable_slice_mode=True, enable_tile_mode=True, effort="normal")


def laid(net: Net, batch: int, options: CompileOptions, on: Chip) -> tuple[Program, bytes, tuple]:
    found = laid_out(net, at_batch(net, batch), on, batch, options)
    return *assemble(found.net, found.layout, on, batch), found.steps


@pytest.mark.parametrize(("batch", "ways"), [(1, (PLAIN, SLICE, TILE, ALL)), (2, (PLAIN, TILE))])
def test_modes_and_effort_change_no_output_and_are_never_worse(batch, ways):
    model = widened()
    net, feeds = net_of(model), fed(model, batch)
    outputs = set()
    for options in ways:
        program, params, steps = laid(net, batch, options, chip(MIDDLE))
        outputs.add(Machine(program, params).run(feeds)[model.graph.output[0].name].tobytes())
        for before, after in pairwise(steps):
            assert after.cycles <= before.cycles
            assert after.swap_bytes <= before.swap_bytes
        assert program.max_cycle == steps[-1].cycles
    assert len(outputs) == 1


def test_what_is_waited_for_is_where_a_search_begins():
    """A job of teng, which 1,000 cycles set up, between two of the busier class."""
    ran_by = (("conv", 1000.0), ("teng", 500.0), ("conv", 3000.0))
    drafts = [
        Draft(n, "", "", n, (by,), by, "", "", (), (), (n - 1,) * (n > 0), c, 0) for n, (by, c) in enumerate(ran_by)
    ]
    assert waits(drafts, Scheduler(drafts, chip()).run(), chip(), 3) == [0, 0, 1500]


def test_a_search_finds_the_same_each_time_and_says_what_it_tried():
    options = CompileOptions(effort="normal")
    (first, _, steps), (second, _, _) = (laid(net_of(widened()), 1, options, chip()) for _ in range(2))
    assert encode(first) == encode(second)
    assert [step.name for step in steps] == ["start", "slice", "tile", "search"]
    assert steps[-1].trials == 32
    assert steps[-1].cycles < steps[0].cycles


def test_a_walk_proposes_no_layout_twice_and_differs_in_one_choice():
    net = net_of(widened())
    walk = Neighbours(Random(1), Workbench(net, Material(chip(SMALL))).chains)
    here = Choices()
    found = [walk.of(here, [1, 0, 5, 0, 2]) for _ in range(40)]
    assert len(set(found)) == 40
    for choices in found:
        assert choices is not None
        changed = [name for name in vars(here) if getattr(choices, name) != getattr(here, name)]
        assert len(changed) == 1
        assert replace(choices, **{changed[0]: getattr(here, changed[0])}) == here
