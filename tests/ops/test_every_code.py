"""Element-wise kinds over everything they can meet: all codes, all pairs of 8-bit codes, the hard float32 values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import witness.all  # noqa: F401 - registers every oracle
from bodies import EVERY_LEVEL, LEVELS, run_body, run_chain
from npu_world import one_kind, preset_of, run
from witness.base import grid, oracle, pairs
from witness.binary import binary

from axbuild.toolchain.kinds.arithmetic import every_code
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.codes import CODES, FP32, S8, S16, U8, U16, ElementType, Grid
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip
from axbuild.toolchain.kinds.registry import write_node
from axbuild.toolchain.kinds.softmax import Softmax
from axbuild.toolchain.kinds.table import ChannelTable, normalise_table
from axbuild.toolchain.npu.lower.packing import Standing, packed, shortage


def agree(kind: Kind, *inputs: np.ndarray) -> np.ndarray:
    """The output in which body and simulator agree."""
    found = run(one_kind(kind, [x.shape for x in inputs]), {f"x{i}": x for i, x in enumerate(inputs)})["y"]
    for level in LEVELS:
        assert same_bits(run_body(kind, *inputs, level=level), found), level
    return found


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether dtypes, shapes and all bits are equal, but for what a NaN carries beside being one."""
    if a.dtype == np.float32:
        a, b = (np.where(np.isnan(x), np.float32(np.nan), x) for x in (a, b))
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def codes(kind: ElementType) -> np.ndarray:
    return every_code(kind).astype(kind.dtype)


def operands(a: ElementType, b: ElementType) -> list[np.ndarray]:
    """Every pair of codes."""
    left, right = np.meshgrid(codes(a), codes(b), indexing="ij")
    return [left.ravel(), right.ravel()]


ENDS = (0, U8.hi, 0)
VANISHING = {"add": (1e-9, 0.7, 0.6), "sub": (0.7, 1e-9, 0.6), "mul": (1e-5, 1e-4, 0.6), "div": (1e-9, 0.7, 0.6)}
HALVES = {"add": (0.5, 0.25, 1.0), "sub": (0.5, 0.25, 1.0), "mul": (0.5, 1.0, 1.0), "div": (1.0, 2.0, 1.0)}


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zeros": ENDS},
        {"halves": True, "zeros": (U8.hi, 0, U8.hi), "lo": 9, "hi": 250},
        {"vanishing": True},
        {"a": S8, "b": S8, "y": S8, "halves": True, "zeros": (S8.lo, S8.hi, 0)},
        {"a": S8, "y": U16},
        {"b": S8, "y": S16},
    ],
    ids=["ordinary", "extreme zeros", "ties", "an input vanishes", "signed ties", "to U16", "to S16"],
)
def test_all_operand_pairs_of_8_bits(op, options):
    known = {key: value for key, value in options.items() if key not in ("halves", "vanishing")}
    scales = HALVES[op] if "halves" in options else VANISHING[op] if "vanishing" in options else None
    kind = binary(op, scales=scales, **known)
    a, b = operands(kind.a.type, kind.b.type)
    assert len(a) == 65536
    assert same_bits(agree(kind, a, b), oracle(kind, a, b))


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize("kind", [U16, S16], ids=str)
def test_every_wide_code_beside_the_ends_and_the_middle(op, kind):
    made = binary(op, kind, kind, kind)
    every, few = codes(kind), np.array([kind.lo, kind.lo + 1, made.b.zero, made.b.zero + 1, kind.hi], kind.dtype)
    a, b = (x.ravel() for x in np.meshgrid(every, few, indexing="ij"))
    assert same_bits(agree(made, a, b), oracle(made, a, b))


@pytest.mark.parametrize(("x", "y"), pairs(), ids=str)
@pytest.mark.parametrize(
    ("scales", "ends"),
    [((0.035, 0.013), False), ((0.5, 1.0), True), ((1.0, 1.0), True), ((1e-4, 3.0), False), ((3.0, 1e-4), False)],
    ids=["finer", "ties", "same scale", "to almost nothing", "saturating"],
)
def test_every_code_requantised_between_any_two_types(x, y, scales, ends):
    source, target = (grid(s, t.hi if ends else None, t) for s, t in zip(scales, (x, y), strict=True))
    kind = Requantize.of(source, target)
    assert same_bits(agree(kind, codes(x)), oracle(kind, codes(x)))


@pytest.mark.parametrize("kind", CODES, ids=str)
@pytest.mark.parametrize("scale", [0.0173, 1e-20, 3.7e15, float(np.finfo(np.float32).tiny)])
def test_dequantised_and_quantised_every_code_comes_back(kind, scale):
    for zero in (kind.lo, 1, kind.hi):
        own = grid(scale, zero, kind)
        reals = agree(Dequantize(own), codes(kind))
        assert np.array_equal(agree(Quantize(own), reals), codes(kind))


@pytest.mark.parametrize("y", CODES, ids=str)
def test_a_channel_table_is_normalising_then_quantising_of_every_code(y):
    mean, std = np.array([103.939, 116.779], np.float32), np.array([58.0, 1.75], np.float32)
    raw, target = Grid(1.0, 0, U8), grid(0.031, kind=y)
    x = np.stack([codes(U8), codes(U8)])
    normalised = agree(Normalize(raw, mean, std, 0), x)
    table = ChannelTable(raw, target, normalise_table(mean, std, raw, target), 0)
    assert np.array_equal(agree(table, x), agree(Quantize(target), normalised))


@pytest.mark.parametrize(("x", "y"), [(x, y) for x, y in pairs() if not x.wide or y in (U8, S16)], ids=str)
def test_every_distance_of_a_softmax(x, y):
    """Each code in a line with the highest one, in both forms."""
    lines = np.stack([codes(x), np.full(x.span + 1, x.hi, x.dtype)], axis=1)
    steps = 20.0 / x.span
    for scale in (1 / y.span, 0.9 / y.span):
        kind = Softmax.of(grid(steps, kind=x), grid(scale, y.lo, y), 1)
        assert kind.whole == (scale == 1 / y.span)
        assert same_bits(agree(kind, lines), oracle(kind, lines))


def test_a_softmax_of_16_bits_packs_its_powers_down_to_the_first_that_is_0():
    kind = Softmax.of(grid(40 / U16.span, kind=U16), grid(1 / U16.span, 0, U16), 1)
    at, memory = Standing(kind, ((1, 8),), (1, 8)), preset_of("AX615").memory
    pack = packed(at, memory).pack
    assert pack.data.size == math.floor(math.log(2**25) / 40 * U16.span) + 2
    assert pack.data[-2:].tolist() == [1, 0]
    assert shortage(at, memory) == ""


TINY, SMALLEST = np.finfo(np.float32).tiny, np.float32(1e-45)
HUGE = np.finfo(np.float32).max
HARD = np.array([0, SMALLEST, 2 * SMALLEST, 3 * SMALLEST, TINY / 2, TINY - SMALLEST, TINY, 2**-63, 1 / 3, 0.5, 1,
                 1 + 2**-23, 1.5, 3, 16777215, 16777217, 2**63, HUGE / 2, HUGE, np.inf], np.float32)  # fmt: skip
REALS = np.concatenate([HARD, -HARD, np.array([np.nan], np.float32)])


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_float_operations_on_every_pair_of_hard_values(op):
    a, b = (x.ravel() for x in np.meshgrid(REALS, REALS, indexing="ij"))
    found = agree(FloatBinary(op), a, b)
    assert same_bits(found, oracle(FloatBinary(op), a, b))
    assert np.any((np.abs(found) < TINY) & (found != 0)), "no subnormal result was met"


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_float_operations_on_random_bit_patterns(op):
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 1 << 32, (2, 100_000), dtype=np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        near = a * rng.normal(1, 1e-3, b.size).astype(np.float32)
    b = np.where(rng.random(b.size) < 0.5, near, b)
    agree(FloatBinary(op), a, b)


@pytest.mark.parametrize("ends", [(0.0, 6.0), (-0.0, 0.0), (-np.inf, np.inf), (-3.0, -3.0)], ids=str)
def test_a_clip_keeps_nan_and_the_sign_of_zero(ends):
    kind = FloatClip(*ends)
    found = agree(kind, REALS)
    assert same_bits(found, oracle(kind, REALS))
    assert np.isnan(found[-1])


@pytest.mark.parametrize("level", EVERY_LEVEL)
def test_reals_side_by_side_are_not_fused(level):
    """Multiply then add, divide then subtract, scale and clip: what an optimiser would like to make one operation."""
    rng = np.random.default_rng(3)
    feeds = {name: rng.normal(0, 3, (4, 8192)).astype(np.float32) for name in "abd"}
    feeds["c"] = rng.integers(U8.lo, U8.hi + 1, (4, 8192)).astype(np.uint8)
    mean, std = np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([1.1, 0.7, 1.3, 0.9], np.float32)
    steps = [
        (Dequantize(grid(0.0173)), ("c",), "real"),
        (FloatBinary("mul"), ("a", "b"), "ab"),
        (FloatBinary("add"), ("ab", "real"), "sum"),
        (FloatBinary("div"), ("sum", "d"), "ratio"),
        (FloatBinary("sub"), ("ratio", "ab"), "rest"),
        (FloatBinary("mul"), ("rest", "rest"), "square"),
        (FloatClip(-100.0, 1e4), ("square",), "inside"),
        (Normalize(FP32, mean, std, 0), ("inside",), "y"),
    ]
    values = dict(feeds)
    for kind, names, output in steps:
        inputs = [values[name] for name in names]
        values[output] = run(one_kind(kind, [x.shape for x in inputs]), {f"x{i}": x for i, x in enumerate(inputs)})["y"]
    written = [write_node(kind, names, [output], output) for kind, names, output in steps]
    assert same_bits(run_chain(written, feeds, "y", 2, FP32.dtype, level), values["y"])
