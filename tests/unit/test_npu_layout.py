"""Addresses and tiles: arenas, even grids, streaming steps, packed constants."""

from __future__ import annotations

import numpy as np
import pytest
from kind_cases import conv
from npu_world import Chain, chip, compiled

from axbuild.toolchain.kinds.base import Box, whole_box
from axbuild.toolchain.npu.layout.allocate import Arena, OcmError
from axbuild.toolchain.npu.layout.tile import Cutter, grid, tiles
from axbuild.toolchain.npu.lower.jobs import Site
from axbuild.toolchain.npu.lower.pack import pack_of
from axbuild.toolchain.npu.simulator.kernels_mac import unpack


def test_an_arena_takes_the_lowest_gap_that_fits():
    arena = Arena(0, 1024)
    a, b, c = arena.take(100), arena.take(300), arena.take(128)
    assert (a, b, c) == (0, 128, 512)
    arena.give_back(b)
    assert arena.largest_gap() == 384
    assert arena.take(385) is None
    assert arena.take(384) == 128
    assert arena.take(385) is None
    assert (arena.peak, arena.largest_gap()) == (640, 384)


def test_equal_addresses_never_belong_to_two():
    arena = Arena(0, 1 << 16)
    rng = np.random.default_rng(0)
    held: dict[int, int] = {}
    for _ in range(500):
        size = int(rng.integers(1, 4000))
        address = arena.take(size)
        if address is None or rng.random() < 0.4:
            for key in list(held)[:2]:
                arena.give_back(key)
                del held[key]
        if address is not None:
            assert all(address + size <= begin or begin + n <= address for begin, n in held.items())
            held[address] = size


def test_a_grid_is_even_and_covers_everything_once():
    box = Box(((0, 1), (0, 32), (0, 7), (0, 500)))
    parts = grid(box, {1: 6, 3: 4}, {3: 32})
    assert [p.ranges[1] for p in parts[::4]] == [(0, 5), (5, 10), (10, 16), (16, 21), (21, 26), (26, 32)]
    assert [p.ranges[3] for p in parts[:4]] == [(0, 128), (128, 256), (256, 384), (384, 500)]
    assert sum(p.elements for p in parts) == box.elements
    assert len(grid(box, {2: 100}, {})) == 7


def test_tiles_end_at_the_border():
    assert [t.ranges[0] for t in tiles(Box(((3, 10),)), {0: 3})] == [(3, 6), (6, 9), (9, 10)]


def cutter(engines: int = 2) -> Cutter:
    kind = conv((64, 32, 3, 3), pads=(1, 1, 1, 1))
    site = Site(((1, 32, 40, 40),), (1, 64, 40, 40), 32)
    return Cutter(kind, site, chip().job_rates("conv"), engines, (1, 1))


@pytest.mark.parametrize("engines", [1, 2, 3, 6])
def test_spreading_keeps_the_engines_evenly_busy(engines):
    one = cutter(engines)
    whole = whole_box(one.site.output)
    parts = one.spread(whole)
    assert sum(part.elements for part in parts) == whole.elements
    assert len(parts) in (engines, 2 * engines)
    assert one._cost(parts) < 1.15 * one.cycles(whole) / engines + 50 * len(parts)


def test_streaming_tiles_are_the_largest_that_fit():
    one = cutter()
    whole = whole_box(one.site.output)
    steps = one.streamed(whole, 30_000, [0, 1])
    assert steps is not None
    rows = steps[1]
    assert max(one.bytes(tile, [0, 1]) for tile in tiles(whole, steps)) <= 30_000
    more = {**steps, 1: rows + 1}
    assert max(one.bytes(tile, [0, 1]) for tile in tiles(whole, more)) > 30_000
    assert one.streamed(whole, 100, [0, 1]) is None


def test_packed_weights_come_back_and_are_the_same_for_every_tiling():
    kind = conv((40, 6, 3, 3))
    pack = pack_of(kind, 32, 4)
    assert pack.data.shape == (2, 32 * 54 + 8 * 32)
    weights = unpack(pack.data, 40, 32)
    assert np.array_equal(weights.values.reshape(40, 3, 3, 6), kind.weight.transpose(0, 2, 3, 1))
    assert np.array_equal(weights.bias, kind.bias)
    assert np.array_equal(weights.multiplier, kind.multiplier)
    assert pack.part(Box(((0, 1), (0, 4), (0, 4), (32, 40)))) == ((1, 2), (0, pack.data.shape[1]))


def test_an_operator_that_fits_no_tile_is_named():
    chain = Chain()
    wide = conv((32, 64, 1, 1))
    x = chain.input("x", (1, 64, 2, 4000))
    with pytest.raises(OcmError, match="Operator 'op_0' does not fit the 16384 bytes"):
        compiled(chain.model(chain.add(wide, x)), chip(16 << 10))


def test_constants_larger_than_the_memory_are_named():
    chain = Chain()
    deep = conv((32, 600, 1, 1))
    x = chain.input("x", (1, 600, 1, 1))
    with pytest.raises(OcmError, match="The constants of 'op_0' come in pieces of 19456 bytes or more; AX650 NPU1"):
        compiled(chain.model(chain.add(deep, x)), chip(16 << 10))
