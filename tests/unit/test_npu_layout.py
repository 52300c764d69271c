"""Addresses and tiles: arenas, even grids, streaming steps, packed constants."""

from __future__ import annotations

import numpy as np
import pytest
from nets import Body
from npu_world import chip, compiled, one_kind, run

from axbuild.toolchain.kinds.base import Box, whole_box
from axbuild.toolchain.kinds.codes import INT32, U8
from axbuild.toolchain.kinds.integer import IntegerReduce
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.npu.layout.allocate import Arena, OcmError
from axbuild.toolchain.npu.layout.constants import ConstantPieces
from axbuild.toolchain.npu.layout.draft import Access, Storage, packed_strides
from axbuild.toolchain.npu.layout.hazards import Hazards
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.spans import Spans
from axbuild.toolchain.npu.layout.tile import Cutter, grid, tiles
from axbuild.toolchain.npu.lower.base import Geometry, Part
from axbuild.toolchain.npu.lower.packing import aligned
from axbuild.toolchain.npu.net import net_of


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
    body = Body()
    body.conv(body.codes("x", (1, 32, 40, 40)), 64, 3)
    (op,) = net_of(body.model("t0")).ops
    return Cutter(op.kind, Geometry(((1, 32, 40, 40),), (1, 64, 40, 40), 32), chip().job_rates("conv"), engines)


@pytest.mark.parametrize("engines", [1, 2, 3, 6])
def test_spreading_keeps_the_engines_evenly_busy(engines):
    one = cutter(engines)
    whole = whole_box(one.geometry.output)
    parts = one.spread(whole)
    assert sum(part.elements for part in parts) == whole.elements
    assert len(parts) in (engines, 2 * engines)
    assert one._cost(parts) < 1.15 * one.cycles(whole) / engines + 50 * len(parts)


def test_streaming_tiles_are_the_largest_that_fit():
    one = cutter()
    whole = whole_box(one.geometry.output)
    steps = one.streamed(whole, 30_000, [0, 1])
    assert steps is not None
    rows = steps[1]
    assert max(one.bytes(tile, [0, 1]) for tile in tiles(whole, steps)) <= 30_000
    more = {**steps, 1: rows + 1}
    assert max(one.bytes(tile, [0, 1]) for tile in tiles(whole, more)) > 30_000
    assert one.streamed(whole, 100, [0, 1]) is None


def test_an_operator_that_fits_no_tile_is_named():
    model = one_kind(IntegerReduce("max", INT32, (1,)), [(1, 5000)])
    with pytest.raises(OcmError, match="Operator 'op_0' does not fit the 16384 bytes"):
        compiled(model, chip(16 << 10))


def test_rows_too_long_for_the_memory_are_cut():
    body = Body()
    x = body.codes("x", (1, 64, 2, 4000))
    model = body.model(body.conv(x, 32))
    feeds = {"x": np.random.default_rng(0).integers(0, 256, (1, 64, 2, 4000)).astype(np.uint8)}
    (small,), (whole,) = (run(model, feeds, on).values() for on in (chip(16 << 10), chip()))
    assert np.array_equal(small, whole)


@pytest.mark.parametrize(
    ("given", "shape", "axes"),
    [
        ((1, 6, 4, 5), (1, 120), {1: 20}),
        ((1, 120), (1, 6, 4, 5), {3: 1}),
        ((1, 12, 4, 5), (1, 3, 4, 20), {3: 1, 2: 5}),
        ((4, 6), (6, 4), {0: 3}),
        ((2, 3), (3, 2), {}),
    ],
)
def test_a_reshape_is_cut_where_its_parts_are_parts_of_the_input(given, shape, axes):
    kind = Reshape(U8, shape)
    assert {axis: kind.grain(axis, 32, given) for axis in kind.tile_axes(given)} == axes


def test_a_map_larger_than_the_memory_is_flattened_channel_by_channel():
    x = np.random.default_rng(0).integers(0, 256, (1, 40, 30, 20)).astype(np.uint8)
    model = one_kind(Reshape(U8, (1, 24000)), [x.shape])
    assert np.array_equal(run(model, {"x0": x}, chip(8 << 10))["y"], x.reshape(1, 24000))


def test_constants_larger_than_the_memory_are_named():
    body = Body()
    x = body.codes("x", (1, 20_000, 1, 1))
    with pytest.raises(
        OcmError, match="The constants of 'op_0' come in pieces of 20008 bytes or more; AX650 NPU1 has 6528"
    ):
        compiled(body.model(body.conv(x, 32)), chip(16 << 10))


def test_memory_that_no_constants_need_is_room_for_maps():
    body = Body()
    x = body.codes("x", (1, 32, 4, 4))
    held = ConstantPieces(net_of(body.model(body.conv(x, 32))), Material(chip(1 << 20)))
    assert held.room() == sum(aligned(piece.bytes) for piece in held.in_order())
    assert 0 < held.room() < chip(1 << 20).param_bytes


def test_spans_find_what_a_plain_search_finds():
    rng = np.random.default_rng(0)
    spans: Spans[int] = Spans()
    held: dict[int, tuple[int, int]] = {}
    for number in range(600):
        start = int(rng.integers(0, 500))
        held[number] = (start, start + int(2 ** rng.uniform(0, 8)))
        spans.put(held[number], number)
        if number % 3 == 0:
            gone = int(rng.choice(list(held)))
            spans.take(held.pop(gone), gone)
        low, high = sorted(int(n) for n in rng.integers(0, 700, 2))
        assert sorted(spans.meeting(low, high + 1)) == [n for n, (a, b) in held.items() if a <= high and low < b]


def random_access(rng: np.random.Generator, storages: list[Storage]) -> Access:
    storage = storages[int(rng.integers(len(storages)))]
    edges = [sorted(rng.choice(np.arange(0, 13, 3), 2, replace=False)) for _ in storage.strides]
    return Access(storage, Part(Box(tuple((int(a), int(b)) for a, b in edges))))


def bytes_of(access: Access) -> set[int]:
    operand = access.operand
    index = np.indices(operand.shape).reshape(len(operand.shape), -1)
    return set((operand.begin + np.array(operand.strides) @ index).tolist())


@pytest.mark.parametrize("seed", range(6))
def test_jobs_wait_for_all_that_shared_a_byte_with_them_and_for_nobody_twice(seed):
    """Against every pair of jobs: storages that overlap, parts whose extents interleave, parts that cover others."""
    rng = np.random.default_rng(seed)
    strides = packed_strides((12, 12), "uint8")
    storages = [Storage(f"s{i}", "ocm_base", at, strides, "uint8", (0, 0)) for i, at in enumerate((0, 0, 70, 200, 330))]
    hazards, jobs = Hazards(), []
    for job in range(150):
        reads = [random_access(rng, storages) for _ in range(int(rng.integers(0, 3)))]
        write = random_access(rng, storages)
        deps = hazards.add(reads, [write])
        touched = set().union(*map(bytes_of, reads)), bytes_of(write)
        for earlier, (read, written) in enumerate(jobs):
            if touched[1] & (read | written) or touched[0] & written:
                assert hazards.ancestors[job] >> earlier & 1
        jobs.append(touched)
        assert not any(hazards.ancestors[b] >> a & 1 for a in deps for b in deps)


def test_a_job_is_compared_with_its_neighbours_only():
    """10,000 stores side by side, rows and columns: no job waits, and what is kept does not slow the next one down."""
    hazards = Hazards()
    target = Storage("y", "y", 0, packed_strides((1000, 1000), "uint8"), "uint8", (0, 0))
    parts = [Part(Box(((i * 10, i * 10 + 10), (j * 10, j * 10 + 10)))) for i in range(100) for j in range(100)]
    looked = 0
    for part in parts:
        looked += len(list(hazards._meeting(Access(target, part))))
        assert hazards.add([], [Access(target, part)]) == ()
    assert looked == 0
