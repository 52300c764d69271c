"""Sums of products that lose no bit: splits, random geometry and types, batches, reals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from bodies import LEVELS, kind_model, run_body, session
from npu_world import chip, one_kind, random_tiling, run
from witness import mac
from witness.base import grid, oracle

from axbuild.toolchain.kinds.arithmetic import multipliers_of
from axbuild.toolchain.kinds.base import Box, ShapeError
from axbuild.toolchain.kinds.codes import CODES, FP32, S4, S8, S16, U8, U16, WEIGHTS, Grid
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.npu.layout.constants import ConstantPieces
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.lower.base import Geometry
from axbuild.toolchain.npu.lower.registry import works_of
from axbuild.toolchain.npu.net import net_of

UNIT = Grid(1.0, 0, U8)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def random_codes(rng: np.random.Generator, kind, shape) -> np.ndarray:
    return rng.integers(kind.lo, kind.hi + 1, shape).astype(kind.dtype)


SPLITS = {
    "split in two": "u8_u8_split2",
    "split unevenly": "u8_u8_split3",
    "split inside groups": "u8_u8_groups_split2",
    "split, 16 bits": "u16_s16_s16_split2",
    "split inside groups, 16 bits": "u16_s16_s16_groups_split2",
    "kernel of 23 x 23": "u8_u8_digits4",
    "kernel of 24 x 24": "u8_u8_digits4",
    "large and split": "u8_u8_split17",
    "kernel of 100 x 100": "u8_u8_digits2",
    "large, 16 bits": "u16_s16_s16_digits4",
    "fully connected": "u8_u8_split3",
    "fully connected, 16 bits": "u16_s16_s16",
    "sum just below 2^24": "u8_u8",
    "sum just above 2^24": "u8_u8_split2",
}


def test_the_cases_of_split_reductions_are_split():
    assert {case.name: case.kind.overload for case in mac.CASES if case.name in SPLITS} == SPLITS


def test_an_unsplit_float32_sum_would_have_been_wrong():
    """What the split is for: the same codes summed by one float32 product lose bits."""
    x = np.full((1, 1200), 255, np.uint8)
    x[0, 0] = 254
    exact = int((x.astype(np.int64) * 127).sum())
    assert exact % 2 == 1
    assert exact > 2**24
    assert float(np.float32(exact)) != exact
    weight, bias = np.full((1, 1200), 127, np.int8), -np.array([exact - 1], np.int32)
    kind = FullyConnected(UNIT, S8, Grid(1.0, 100, U8), weight, bias, np.array([1.0]), 0, 255)
    assert run_body(kind, x)[0, 0] == 101


@pytest.mark.parametrize("seed", range(20))
def test_random_convolutions_of_random_types_agree(seed):
    rng = np.random.default_rng(seed)
    group = int(rng.choice([1, 1, 2, 3]))
    depth, per_group = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    x, y = (CODES[i] for i in rng.integers(0, 4, 2))
    kind = mac.conv(
        (group * per_group, depth, *map(int, rng.integers(1, 4, 2))),
        group=group,
        strides=tuple(map(int, rng.integers(1, 4, 2))),
        pads=tuple(map(int, rng.integers(0, 3, 4))),
        dilations=tuple(map(int, rng.integers(1, 3, 2))),
        x=Grid(1.0, int(rng.integers(x.lo, x.hi + 1)), x),
        w=WEIGHTS[seed % 3],
        zeros=seed % 5 == 0 and not WEIGHTS[seed % 3].wide,
        y=Grid(1.0, int(rng.integers(y.lo, y.hi + 1)), y),
    )
    codes = random_codes(rng, x, (int(rng.integers(1, 4)), group * depth, 7, 8))
    expected = oracle(kind, codes)
    for level in LEVELS:
        assert same_bits(run_body(kind, codes, level=level), expected)


@pytest.mark.parametrize("seed", range(30))
def test_random_convolutions_equal_their_bodies_however_they_are_cut(seed):
    """Strides, dilations, uneven pads, groups and depth multipliers, near-dead channels, deep reductions."""
    rng = np.random.default_rng(seed)
    group, per_in, per_out = ((1, 700, 40), (1, 5, 70), (40, 1, 1), (3, 7, 32), (20, 1, 2), (2, 16, 48))[seed % 6]
    x, w, y = ((U8, S8, U8), (S8, S8, S16), (U16, S16, S8), (U8, S4, U8), (S8, S8, U8))[seed // 6]
    kind = mac.conv(
        (group * per_out, per_in, *map(int, rng.integers(1, 4, 2))),
        group=group,
        strides=tuple(map(int, rng.integers(1, 3, 2))),
        pads=tuple(map(int, rng.integers(0, 2, 4))),
        dilations=tuple(map(int, rng.integers(1, 3, 2))),
        x=Grid(1.0, int(rng.integers(x.lo, x.hi + 1)), x),
        w=w,
        y=Grid(1.0, int(rng.integers(y.lo, y.hi + 1)), y),
        zeros=seed >= 24,
        clamp=(y.lo + int(rng.integers(0, 40)), y.hi - int(rng.integers(0, 40))),
    )
    near_dead = rng.random(group * per_out) < 0.1
    kind = replace(kind, multiplier=np.where(near_dead, 2.0**-30, kind.multiplier))
    codes = random_codes(rng, x, (1, group * per_in, 11, 11))
    want = run_body(kind, codes)
    assert len(np.unique(want)) > 20
    model = one_kind(kind, (codes.shape,))
    for tiling in (None, random_tiling(net_of(model), seed), random_tiling(net_of(model), seed + 50)):
        assert same_bits(run(model, {"x0": codes}, tiling=tiling)["y"], want)


@pytest.mark.parametrize(("group", "per_group"), [(1, 330), (2, 160), (2, 224), (12, 24), (9, 32)])
def test_constants_that_come_on_chip_piece_by_piece_keep_each_group_with_its_channels(group, per_group):
    kind = mac.conv((group * per_group, 16, 3, 3), group=group, pads=(1, 1, 1, 1))
    codes = random_codes(np.random.default_rng(group), U8, (1, group * kind.weight.shape[1], 6, 6))
    model, want = one_kind(kind, (codes.shape,)), run_body(kind, codes)
    for ocm_bytes in (48 << 10, 80 << 10, 112 << 10):
        constants = ConstantPieces(net_of(model), Material(chip(ocm_bytes)))
        assert len(constants.in_order()) > 1
        assert max(piece.bytes for piece in constants.in_order()) <= chip(ocm_bytes).param_bytes
        for tiling in (None, random_tiling(net_of(model), ocm_bytes)):
            assert same_bits(run(model, {"x0": codes}, chip(ocm_bytes), tiling=tiling)["y"], want)


@pytest.mark.parametrize("kind", [mac.fully_connected(70, 3000), mac.conv((70, 120, 5, 5))], ids=["fc", "conv"])
def test_reductions_so_deep_that_a_block_of_channels_does_not_fit_are_packed_in_narrower_ones(kind):
    shape = (2, 3000) if kind.weight.ndim == 2 else (2, 120, 6, 6)
    codes, model = random_codes(np.random.default_rng(3), U8, shape), one_kind(kind, (shape,))
    tight = chip(80 << 10)
    assert tight.rates.mac_co * 3000 > tight.ocm_bytes
    net = net_of(model)
    assert {Material(tight).packed(net, op).block for op in net.ops} < {2, 4, 8, 16}
    assert same_bits(run(model, {"x0": codes}, tight)["y"], run_body(kind, codes))


def test_a_part_that_begins_inside_a_block_of_packed_channels_is_refused():
    kind = mac.conv((48, 4, 1, 1), group=2)
    geometry = Geometry(((1, 8, 2, 2),), (1, 48, 2, 2), 16)
    with pytest.raises(ShapeError, match="cannot be cut at channels"):
        works_of(kind, geometry, Box(((0, 1), (0, 2), (0, 2), (16, 48))))


@pytest.mark.parametrize("level", LEVELS)
def test_one_session_serves_every_batch(level):
    kind = mac.conv((4, 3, 3, 3), pads=(1, 1, 1, 1))
    x = np.random.default_rng(1).integers(0, 256, (4, 3, 5, 5)).astype(np.uint8)
    bound = session(kind_model(kind, x[:1]), level)
    whole = bound.run(None, {"x0": x})[0]
    for i in range(4):
        assert np.array_equal(bound.run(None, {"x0": x[i : i + 1]})[0][0], whole[i])


def test_multiplier_of_one_half_rounds_ties_up():
    x = np.array([[125], [126], [127], [128], [129], [130], [131]], np.uint8)
    half = multipliers_of(np.array([0.5]))
    one, none = np.ones((1, 1), np.int8), np.zeros(1, np.int32)
    kind = FullyConnected(Grid(1.0, 128, U8), S8, Grid(1.0, 100, U8), one, none, half, 0, 255)
    assert run_body(kind, x).ravel().tolist() == [99, 99, 100, 100, 101, 101, 102]
    kind = FullyConnected(Grid(1.0, 128, U8), S8, Grid(1.0, 0, S16), one, none, half, -32768, 32767)
    assert run_body(kind, x).ravel().tolist() == [-1, -1, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("bias", [0.0, -0.0])
def test_a_sum_of_nothing_is_a_positive_zero_whatever_its_products_were(bias):
    """-1 times a centred 0.0 is -0.0, which a real output beside a bias of -0.0 would show."""
    weight, biases = np.full((6, 1, 1, 1), -1, np.int8), np.full(6, bias, np.float32)
    kind = Conv(UNIT, S8, FP32, weight, biases, np.full(6, 0.5), 0, 0, (1, 1), (0, 0, 0, 0), (1, 1), 6)
    x = np.zeros((1, 6, 4, 4), np.uint8)
    expected = np.zeros((1, 6, 4, 4), np.float32)
    for level in LEVELS:
        assert same_bits(run_body(kind, x, level=level), expected)
    assert same_bits(run(one_kind(kind, (x.shape,)), {"x0": x})["y"], expected)


def test_two_activations_of_16_bits_multiply_at_every_pair_of_extremes():
    ends = [(kind.lo, -1 % (kind.hi + 1), kind.hi) for kind in CODES]
    for (a, codes_a), (b, codes_b) in itertools.product(zip(CODES, ends, strict=True), repeat=2):
        left, right = np.array([codes_a], a.dtype).T, np.array([codes_b], b.dtype)
        kind = MatMul.of(grid(0.01, a.lo, a), grid(0.02, b.hi, b), grid(3.0, 0, S16), -32768, 32767)
        expected = oracle(kind, left, right)
        for level in LEVELS:
            assert same_bits(run_body(kind, left, right, level=level), expected)
