"""Multipliers, requantisation, scales, bounds of exactness, and the fixed exp."""

import decimal
import math

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from quantised import ort_session

from axbuild.errors import AxError
from axbuild.toolchain.kinds import arithmetic as a
from axbuild.toolchain.kinds.base import ConstantError
from axbuild.toolchain.kinds.codes import CODES, FP32, S8, S16, U8, U16, Grid

RATIOS = st.floats(2.0**-60, 2.0**21, exclude_max=True, allow_nan=False)
WIDE = [(U16,), (S16,), (U8, U16), (S8, U8, S16)]


def codes(acc, multiplier: float, y: Grid) -> list[int]:
    """Requantised without a clamp."""
    return a.requantise(np.array(acc), multiplier, y, y.type.lo, y.type.hi).tolist()


@given(RATIOS)
@example(2.0**21 - 2**-32)
@example(1.0)
@example(2.0**-30)
@example(math.nextafter(2.0**-30, 0))
def test_a_multiplier_is_22_bits_within_half_a_unit_of_the_ratio(ratio):
    m, t = a.derive(ratio)
    assert 1 <= t <= 52
    assert 0 <= m <= 2**22
    if ratio >= 2.0**-30:
        assert m >= 2**21
    assert abs(math.ldexp(m, -t) - ratio) <= math.ldexp(0.5, -t)


@given(RATIOS)
def test_a_stored_multiplier_gives_its_integers_back(ratio):
    m, t = a.derive(ratio)
    stored = a.multiplier_of(ratio, U8, S8)
    m2, t2 = a.split(stored)
    assert 1 <= t2 <= 52
    assert 0 <= m2 <= 2**22
    assert math.ldexp(m2, -t2) == stored == math.ldexp(m, -t)


@given(
    st.integers(-(2**31) + 1, 2**31 - 1),
    st.integers(2**21, 2**22) | st.integers(2**22 - 3, 2**22),
    st.integers(1, 52),
    st.sampled_from([Grid(1.0, zero, kind) for kind in CODES for zero in (kind.lo, 0, kind.hi)]),
)
@example(2**31 - 1, 2**22 - 1, 52, Grid(1.0, 0, U8))
@example(2**31 - 1, 2**22, 52, Grid(1.0, U8.hi, U8))
@example(-(2**31) + 1, 2**22, 51, Grid(1.0, 128, U8))
@example(-(2**31) + 1, 2**21 + 1, 52, Grid(1.0, S8.lo, S8))
@example(2**31 - 1, 2**22 - 1, 50, Grid(1.0, 0, U16))
def test_float64_requantisation_is_the_integer_recipe(acc, m, t, y):
    expected = max(y.type.lo, min(y.type.hi, y.zero + ((acc * m + (1 << (t - 1))) >> t)))
    assert codes([acc], math.ldexp(m, -t), y) == [expected]


@pytest.mark.parametrize("t", [50, 51, 52])
def test_requantisation_is_exact_where_the_raised_product_passes_2_53(t):
    """acc m + 2^(t-1) beyond 2^53 is rounded to an even integer there, which must cross no multiple of 2^t."""
    for m in (2**22, 2**22 - 1, 2**22 - 2, 2**21 + 1):
        nearest = [k * 2**t // m + d for k in range(1, 9) for d in (-2, -1, 0, 1, 2)]
        half = [(k * 2**t + 2 ** (t - 1)) // m + d for k in range(8) for d in (-2, -1, 0, 1, 2)]
        acc = np.array([v for v in nearest + half + [2**31 - 1, 2**31 - 2] if abs(v) < 2**31])
        assert acc.max() > 2**30
        expected = [max(0, min(255, (int(v) * m + (1 << (t - 1))) >> t)) for v in acc]
        assert codes(acc, math.ldexp(m, -t), Grid(1.0, 0, U8)) == expected


def test_ratios_that_cannot_be_requantised_are_errors():
    for ratio in (2.0**21, math.inf, math.nan, 0.0, -1.0):
        with pytest.raises(AxError) as error:
            a.multiplier_of(ratio, U8)
        assert error.value.code == "AX452"


@pytest.mark.parametrize("edges", WIDE, ids=str)
def test_with_a_wide_code_the_multiplier_is_the_ratio_itself(edges):
    for ratio in (0.1, 2.0**21, 3e-300):
        assert a.multiplier_of(ratio, *edges) == ratio
        a.require_multipliers(ratio, *edges)
    for ratio in (math.inf, math.nan, 0.0, -1.0, 1e-310):
        with pytest.raises(AxError) as error:
            a.multiplier_of(ratio, *edges)
        assert error.value.code == "AX452"
    for ratio in (math.nan, 0.0, -1.0):
        with pytest.raises(ConstantError):
            a.require_multipliers(ratio, *edges)


def test_multipliers_keep_the_shape_of_their_ratios():
    ratios = np.array([[0.1, 0.2], [0.3, 0.4]])
    assert a.multipliers_of(ratios, U8).tolist() == [[a.multiplier_of(r, U8) for r in row] for row in ratios.tolist()]
    assert a.multipliers_of(ratios, U8, FP32).tolist() == ratios.tolist()


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 1 + 2**-22, 2.0**21 + 1, 2.0**22, 2.0**-53, 3 * 2.0**-53])
def test_a_multiplier_of_more_than_22_bits_is_refused(value):
    with pytest.raises(ConstantError):
        a.split(value)


def test_the_larger_multiplier_of_an_add_has_22_bits_and_both_share_the_shift():
    ma, mb, shift = a.add_multipliers(0.03, 0.011, 0.035)
    assert 2**21 <= ma <= 2**22
    assert ma == round(0.03 / 0.035 * 2**shift)
    assert mb == round(0.011 / 0.035 * 2**shift)
    assert a.add_multipliers(0.011, 0.03, 0.035) == (mb, ma, shift)


def test_an_add_whose_inputs_hardly_count_keeps_a_shift_of_52():
    assert a.add_multipliers(1e-30, 1e-12, 1.0) == (0, round(1e-12 * 2**52), 52)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_scales_of_weights_keep_every_shift_and_bias_in_range(seed, sx, sy):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (6, 4, 3, 3)) * 10.0 ** rng.integers(-25, 4, (6, 1, 1, 1))
    weight[0] = 0
    bias = rng.normal(0, 1, 6) * 10.0 ** rng.integers(-6, 4, 6)
    sx, sy = float(np.float32(sx)), float(np.float32(sy))
    scale, raised = a.weight_scales(weight, bias, Grid(sx, 0, U8), sy, S8)
    assert scale.dtype == np.float32
    assert np.all(scale >= np.finfo(np.float32).tiny)
    assert raised[0]
    weights, steps = a.quantise_weight(weight, scale, S8), a.quantise_bias(bias, sx, scale, U8, S8)
    assert np.abs(weights.astype(int)).max() <= S8.hi
    assert steps.dtype == np.int32
    assert np.abs(steps.astype(np.int64)).max() <= 2**30 + 2**7
    for ratio in a.requantise_ratio(sx, scale, sy):
        if ratio < 2**21:
            assert a.derive(float(ratio))[1] <= 52


def test_a_channel_above_the_floor_keeps_its_own_scale():
    weight = np.array([[0.5, -1.27], [1e-20, 0.0], [0.0, -1e-20]])
    scale, raised = a.weight_scales(weight, np.array([0.1, 0.5, 1e-9]), Grid(0.02, 0, U8), 0.05, S8)
    assert raised.tolist() == [False, True, True]
    assert scale[0] == np.float32(1.27 / 127)
    assert scale[1] == np.float32(0.5 / (0.02 * 2.0**30))
    assert scale[2] == np.float32(2.0**-30 * 0.05 / 0.02)
    assert a.quantise_weight(weight, scale, S8).tolist() == [[50, -127], [0, 0], [0, 0]]


@pytest.mark.parametrize(("x", "w"), [(U16, S8), (U8, S16), (S16, S16)], ids=str)
def test_beside_a_wide_operand_only_the_bias_raises_a_scale(x, w):
    weight, bias = np.array([[0.5, -1.27], [1e-20, 0.0], [1e-20, 0.0]]), np.array([0.1, 0.5, 1e-12])
    scale, raised = a.weight_scales(weight, bias, Grid(0.02, 0, x), 0.05, w)
    assert raised.tolist() == [False, True, False]
    assert scale.tolist() == np.array([1.27 / w.hi, 0.5 / (0.02 * 2.0**51), 1e-20 / w.hi], np.float32).tolist()
    steps = a.quantise_bias(bias, 0.02, scale, x, w)
    assert steps.dtype == np.int64
    assert steps[1] == pytest.approx(2**51, rel=1e-6)


@pytest.mark.parametrize("w", [S8, S16], ids=str)
def test_weights_round_half_to_even_and_saturate_symmetrically(w):
    codes = a.quantise_weight(np.array([[0.5, 1.5, 2.5, -0.5, 1e6, -1e6]]), np.ones(1, np.float32), w)
    assert codes.dtype == w.dtype
    assert codes.tolist() == [[0, 2, 2, 0, w.hi, -w.hi]]


@pytest.mark.parametrize(("edges", "scale", "bits"), [((U8, S8), 1e-9, 32), ((U16, S8), 1e-16, 53)])
def test_a_bias_beyond_its_bits_names_its_channel(edges, scale, bits):
    with pytest.raises(AxError, match=f"channel 1 does not fit {bits} bits") as error:
        a.quantise_bias(np.array([0.0, 3.0]), 1.0, np.array([1.0, scale], np.float32), *edges)
    assert error.value.code == "AX453"


@pytest.mark.parametrize("kind", CODES, ids=str)
def test_quantise_rounds_half_to_even_saturates_and_maps_nan_to_zero_code(kind):
    x = np.array([-0.75, -0.25, 0.25, 0.75, 3e38, -3e38, np.nan, np.inf, -np.inf], np.float32)
    found = a.quantise(x, Grid(0.5, 10, kind))
    assert found.dtype == kind.dtype
    assert found.tolist() == [8, 10, 10, 12, kind.hi, kind.lo, 10, kind.hi, kind.lo]


@pytest.mark.parametrize("kind", CODES, ids=str)
def test_quantise_gives_what_quantize_linear_of_onnxruntime_gives(kind):
    pixels = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    x = np.concatenate([pixels, np.random.default_rng(0).normal(0, 300, 5000).astype(np.float32)])
    for scale in (2 / 255, 0.0173, 1e-3):
        grid = Grid(float(np.float32(scale)), kind.lo + 128, kind)
        (found,) = quantize_linear(grid, x.size).run(None, {"x": x})
        assert np.array_equal(a.quantise(x, grid), found)
    steps = pixels / np.float32(2 / 255)
    assert np.count_nonzero(np.abs(steps) % 1 == 0.5) > 50, "pictures lie half way between codes, in float32"


def quantize_linear(grid: Grid, size: int) -> ort.InferenceSession:
    """ONNX's operator on x [size]."""
    constants = {"scale": np.array(grid.scale, np.float32), "zero": np.array(grid.zero, grid.type.dtype)}
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", *constants], ["y"])],
        "quantise",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size])],
        [helper.make_tensor_value_info("y", grid.type.onnx, [size])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return ort_session(model.SerializeToString())


@pytest.mark.parametrize("kind", CODES, ids=str)
def test_every_code_comes_back_from_its_real(kind):
    every = a.every_code(kind)
    assert every.size == kind.span + 1
    for scale in (1e-20, 0.0173, 3.7e15):
        for zero in (kind.lo, 1, kind.hi):
            grid = Grid(float(np.float32(scale)), zero, kind)
            reals = a.dequantise(every.astype(kind.dtype), grid)
            assert reals.dtype == np.float32
            assert np.array_equal(a.quantise(reals, grid), every)


def test_float32_chunks_are_proved_from_the_real_weights():
    weight = np.full((2, 1036), 127, np.int8)
    assert a.float32_chunks(weight[:, :518], U8.hi) == ((0, 518),)
    assert a.float32_chunks(weight[:, :519], U8.hi) == ((0, 260), (260, 519))
    assert a.float32_chunks(weight, U8.hi) == ((0, 518), (518, 1036))
    assert a.float32_chunks(weight[:, :1030], 128) == ((0, 1030),)
    weight[1] = 1
    weight[0, 200:] = 0
    assert a.float32_chunks(weight, U8.hi) == ((0, 1036),)


def test_chunks_bound_every_channel_below_2_24():
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (3, 700, 3, 3)).astype(np.int8)
    x = Grid(1.0, 3, U8)
    chunks = a.float32_chunks(weight, x.reach)
    assert len(chunks) > 1
    assert [start for start, _ in chunks[1:]] == [stop for _, stop in chunks[:-1]]
    assert max(max(a.reach(weight[:, i:j], x)) for i, j in chunks) < 2**24


def test_a_kernel_too_large_for_float32_is_an_error():
    with pytest.raises(AxError) as error:
        a.float32_chunks(np.full((1, 2, 23, 23), 127, np.int8), U8.hi, "AxQuantizedConv")
    assert error.value.code == "AX454"


@pytest.mark.parametrize(
    ("x", "w", "depth", "bits"),
    [(Grid(1.0, 0, U8), S8, 100, 31), (Grid(1.0, -1, S8), S8, 100, 31), (Grid(1.0, 0, U16), S16, 100, 52)],
    ids=str,
)
def test_accumulators_are_proved_to_stay_below_their_bound(x, w, depth, bits):
    weight = np.full((1, depth), w.hi, w.dtype)
    largest = 2**bits - 1 - w.hi * x.reach * depth
    for bias in (largest, -largest):
        a.require_accumulator(weight, np.array([bias]), x, w, "fc")
    sentence = f"Output channel 0 of fc can reach {2**bits}; its accumulator must stay below 2\\^{bits}"
    with pytest.raises(AxError, match=sentence) as error:
        a.require_accumulator(weight, np.array([largest + 1]), x, w, "fc")
    assert error.value.code == "AX453"


def test_exp_is_within_1e_14_of_the_true_value():
    x = np.concatenate([np.linspace(-700, 700, 2801), np.linspace(-1, 1, 401)])
    with decimal.localcontext(prec=40):
        for value, result in zip(x.tolist(), a.exp(x).tolist(), strict=True):
            true = decimal.Decimal(value).exp()
            assert abs(decimal.Decimal(result) - true) < true * decimal.Decimal("1e-14")


EXP_BITS = [
    "0x1.0000000000000p+0",
    "0x1.5bf0a8b145763p+1",
    "0x1.78b56362cef2bp-2",
    "0x1.599058c8c1a90p+0",
    "0x1.57a3afeed00a8p-30",
    "0x1.d945df4f8ec8ep+1009",
]


def test_exp_has_fixed_bits():
    values = a.exp(np.array([0.0, 1.0, -1.0, 0.3, -20.5, 700.0]))
    assert [v.hex() for v in values.tolist()] == EXP_BITS


@pytest.mark.parametrize("rare", [[], [0.0], [2.0**21], [2.0**-52]], ids=["usual", "zero", "carried", "tiny"])
def test_multipliers_split_all_at_once_as_one_by_one(rare):
    ratios = np.exp(np.random.default_rng(3).uniform(-20, 14, 200))
    stored = np.concatenate([a.multipliers_of(ratios), rare]).reshape(1, -1)
    m, t = a.splits(stored)
    assert m.shape == t.shape == stored.shape
    assert list(zip(m[0], t[0], strict=True)) == [a.split(value) for value in stored[0].tolist()]
