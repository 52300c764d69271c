"""Lower bounds beside an estimate: what no schedule of the cost model can take less than."""

from __future__ import annotations

import pytest
from nets import branchy, grid, mobilenet_v2, resnet18d, stack
from npu_world import PLACES, chip_of, one_kind

from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.compile import compile_net, report
from axbuild.toolchain.npu.layout.bounds import bounds_of
from axbuild.toolchain.npu.net import at_batch, net_of

NETS = {"mobilenet": mobilenet_v2(32, 10), "branchy": branchy(3)[0], "resnet": resnet18d(32, 10)}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(place))
@pytest.mark.parametrize("name", NETS)
def test_no_schedule_is_below_its_bounds(name, place):
    chip = chip_of(*place)
    net = net_of(NETS[name])
    tilings = (None, lambda op, cutter: {0: 1, 1: max(1, cutter.grain(1))} if 1 in cutter.axes else {})
    for batch, tiling in ((1, tilings[0]), (1, tilings[1]), (2, tilings[0])):
        many = at_batch(net, batch)
        program, _ = compile_net(many, chip, batch, tiling)
        bounds = bounds_of(program, many, chip)
        assert 0 < bounds.least <= program.max_cycle
        assert bounds.path <= program.max_cycle


def test_a_table_is_bounded_by_its_elements_and_by_what_moves():
    """AX650 NPU1: one vector engine of 64 elements a cycle behind 256-byte ports that 5 engines share; 1000 cycles to
    set an operator up; 21.33 bytes a cycle from the DDR, 10.67 a mover."""
    own = grid(0.1, 0)
    net = net_of(one_kind(Table.of("Square", lambda x: x * x, own, own), ((1, 8, 64, 64),)))
    chip = chip_of("AX650", "NPU1")
    program, _ = compile_net(net, chip)
    bounds = bounds_of(program, net, chip)
    assert bounds.compute == 8 * 64 * 64 // 64 + 1000
    assert bounds.ddr == int((2 * 8 * 64 * 64 + 256) / 21.33)
    assert bounds.least == bounds.ddr
    assert bounds.by == "DDR"


def test_more_cores_lower_the_bound_of_arithmetic_and_not_that_of_the_ddr():
    net = net_of(stack(256, 16, 4))
    found = {}
    for mode in ("NPU1", "NPU2", "NPU3"):
        chip = chip_of("AX650", mode)
        found[mode] = bounds_of(compile_net(net, chip)[0], net, chip)
    assert found["NPU1"].ddr == found["NPU3"].ddr
    assert found["NPU1"].compute > 1.9 * found["NPU2"].compute * 0.99
    assert found["NPU1"].compute > 2.8 * found["NPU3"].compute


def test_a_report_holds_them_beside_traffic_and_memory():
    net, chip = net_of(branchy(3)[0]), chip_of("AX650", "NPU1")
    program, blobs = compile_net(net, chip)
    found = report(program, net, chip)
    bounds = bounds_of(program, net, chip)
    assert (found["least_cycles"], found["least_by"]) == (bounds.least, bounds.by)
    assert found["bounds"] == {"compute": bounds.compute, "ddr": bounds.ddr, "path": bounds.path}
    assert found["ddr_bytes"]["ld:param"] == len(blobs)
    assert found["ddr_bytes"]["st:output"] == sum(port.bytes for port in program.outputs)
    assert 0 < found["ocm_peak"] <= chip.ocm_bytes
