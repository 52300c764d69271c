"""The integer arithmetic that all kinds share: multipliers, requantisation, scales of weights, the fixed exp.

Every derived constant is computed in float64 in the written order, by single IEEE operations: no library
exp, no fused multiply-add, so the same bits come out on every machine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import ConstantError, ceil_div
from axbuild.toolchain.kinds.codes import FP32, Edge, ElementType, Grid, accumulator_bound, wide

MANTISSA_BITS = 22
MAX_SHIFT = 52
FLOAT32_EXACT = 1 << 24
"""float32 holds every integer below this, so sums that stay below it are exact in any order"""


MAGNITUDES = 1 << 18
"""of weights that are looked at together"""


class MultiplierError(AxError):
    """A ratio of scales for which the requantisation has no shift."""

    code = "AX452"


class AccumulatorError(AxError):
    """An accumulator that could leave the range in which it is exact."""

    code = "AX453"


class ReductionError(AxError):
    """A reduction that no split along the input channels makes exact in float32."""

    code = "AX454"


# Multipliers -------------------------------------------------------------------------------------------------


def derive(ratio: float) -> tuple[int, int]:
    """(m, t) with ratio ~ m 2^-t: m the 22-bit integer rint(frac 2^22), 1 <= t <= 52.

    A ratio below 2^-30 keeps t = 52 and fewer bits in m, which moves no product of an accumulator below 2^31 by
    more than 2^-22. Raises MultiplierError for a ratio of 2^21 or more, or one that is not positive and finite.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise MultiplierError(f"The ratio of scales {ratio!r} is not a positive number.")
    fraction, exponent = math.frexp(ratio)
    shift = MANTISSA_BITS - exponent
    if shift < 1:
        raise MultiplierError(f"The ratio of scales {ratio!r} is too large to requantise with; it must be below 2^21.")
    if shift > MAX_SHIFT:
        return round(math.ldexp(ratio, MAX_SHIFT)), MAX_SHIFT
    return round(math.ldexp(fraction, MANTISSA_BITS)), shift


def split(multiplier: float) -> tuple[int, int]:
    """(m, t) of a stored multiplier m 2^-t; raises ConstantError if it is not one that `multiplier_of` makes."""
    if math.isfinite(multiplier) and multiplier >= 0:
        _, exponent = math.frexp(multiplier)
        shift = min(MANTISSA_BITS - exponent, MAX_SHIFT) if multiplier else MAX_SHIFT
        m = math.ldexp(multiplier, max(shift, 0))
        if shift >= 1 and m.is_integer():
            return int(m), shift
        if multiplier == 2.0 ** (MANTISSA_BITS - 1):  # where rint carried into the exponent
            return 1 << MANTISSA_BITS, 1
    raise ConstantError(f"The multiplier {multiplier!r} is not a {MANTISSA_BITS}-bit integer times 2^-1 to 2^-52.")


def splits(multipliers: Array) -> tuple[Array, Array]:
    """`split` of each: m and t, int64 of the same shape."""
    if _usual(multipliers).all():
        fraction, exponent = np.frexp(multipliers)
        m = np.ldexp(fraction, MANTISSA_BITS)
        if (m == np.rint(m)).all():
            return m.astype(np.int64), MANTISSA_BITS - exponent.astype(np.int64)
    pairs = np.array([split(multiplier) for multiplier in multipliers.ravel().tolist()], np.int64).reshape(-1, 2)
    return pairs[:, 0].reshape(multipliers.shape), pairs[:, 1].reshape(multipliers.shape)


def by_ratio(*edges: Edge) -> bool:
    """Whether multipliers between tensors of these types are float64 ratios: where any is wider than 8 bits or real."""
    return wide(*edges) or FP32 in edges


def multiplier_of(ratio: float, *edges: Edge) -> float:
    """The float64 that stands for a ratio of scales between tensors of these types.

    In 8 bits m 2^-t exactly, so that an integer shift gives the same; else the ratio itself (`by_ratio`).
    """
    return (_real if by_ratio(*edges) else _shifted)(ratio)


def multipliers_of(ratios: Array, *edges: Edge) -> Array:
    """`multiplier_of` for an array of float64; same shape."""
    if not by_ratio(*edges) and _usual(ratios).all():
        fraction, exponent = np.frexp(ratios)
        whole: Array = np.ldexp(np.rint(np.ldexp(fraction, MANTISSA_BITS)), exponent - MANTISSA_BITS)
        return whole
    made = [multiplier_of(ratio, *edges) for ratio in ratios.ravel().tolist()]
    return np.array(made, np.float64).reshape(ratios.shape)


def _usual(multipliers: Array) -> Array:
    """Whether each, be it a ratio yet or made, has all bits of m and a shift from 1 to 52."""
    found: Array = (multipliers >= 2.0 ** (MANTISSA_BITS - 1 - MAX_SHIFT)) & (multipliers < 2.0 ** (MANTISSA_BITS - 1))
    return found


def _real(ratio: float) -> float:
    if not (math.isfinite(ratio) and ratio >= sys.float_info.min):
        raise MultiplierError(f"The ratio of scales {ratio!r} is not a positive number.")
    return ratio


def _shifted(ratio: float) -> float:
    m, t = derive(ratio)
    return math.ldexp(m, -t)


def requantise_ratio(sx: float, sw: Array, sy: float) -> Array:
    """f64(sx) f64(sw) / f64(sy), in this order."""
    ratio: Array = np.float64(sx) * sw.astype(np.float64) / np.float64(sy)
    return ratio


def require_multipliers(multiplier: Array | float, *edges: Edge) -> None:
    """Raises ConstantError unless each is one that `multiplier_of` makes for these types."""
    values = np.atleast_1d(np.asarray(multiplier, np.float64)).ravel()
    if by_ratio(*edges):
        for value in values[~(np.isfinite(values) & (values > 0))].tolist():
            raise ConstantError(f"The multiplier {value!r} is not a positive number.")
        return
    # The usual ones at once; `split` has the last word on all others.
    usual = _usual(values)
    fractions = np.ldexp(np.frexp(values)[0], MANTISSA_BITS)
    for value in values[~(usual & (fractions == np.floor(fractions)))].tolist():
        split(value)


def add_multipliers(sa: float, sb: float, sy: float) -> tuple[int, int, int]:
    """(ma, mb, shift) of an Add: a common shift with which the larger multiplier has 22 bits."""
    ratio_a, ratio_b = float(np.float64(sa) / np.float64(sy)), float(np.float64(sb) / np.float64(sy))
    _, shift = derive(max(ratio_a, ratio_b))
    for ratio in (ratio_a, ratio_b):
        if not (math.isfinite(ratio) and ratio > 0):
            raise MultiplierError(f"The ratio of scales {ratio!r} is not a positive number.")
    return round(math.ldexp(ratio_a, shift)), round(math.ldexp(ratio_b, shift)), shift


def requantise(acc: Array, multiplier: Array | float, y: Grid, lo: int, hi: int) -> Array:
    """Codes of y: clamp(zero + floor(f64(acc) M + 0.5)) for exact integers acc; M broadcasts.

    In 8 bits this is the same integer as zero + ((acc m + 2^(t-1)) >> t). Let P = acc m: |P| < 2^31 2^22 = 2^53, so
    the product is exact. S = P + 2^(t-1) is exact too unless it exceeds 2^53, where doubles hold the even integers.
    There S < 2^53 + 2^(t-1), and since t <= 52 the only multiple of 2^t in [2^53, 2^53 + 2^(t-1)] is 2^53 itself:
    rounding an odd S to a neighbour crosses no multiple of 2^t, so the floor stands. In 16 bits it is the definition.
    """
    scaled: Array = np.multiply(acc, multiplier, dtype=np.float64)
    scaled += 0.5
    np.floor(scaled, out=scaled)
    scaled += y.zero
    np.clip(scaled, lo, hi, out=scaled)
    return scaled.astype(y.type.dtype)


# Codes -------------------------------------------------------------------------------------------------------


def quantise(x: Array, y: Grid) -> Array:
    """Codes of float32 reals as ONNX's QuantizeLinear has them: rint(f32(x / scale)) + zero, half to even, saturating;
    NaN gives zero."""
    with np.errstate(over="ignore"):  # beyond float32 it saturates all the same
        steps = np.rint(x.astype(np.float32) / np.float32(y.scale)).astype(np.float64)
    known = np.where(np.isnan(steps), 0.0, steps)
    clipped: Array = np.clip(known + y.zero, y.type.lo, y.type.hi)
    return clipped.astype(y.type.dtype)


def dequantise(codes: Array, x: Grid) -> Array:
    """float32 reals of codes: f32(q - zero) scale, one float32 multiply."""
    reals: Array = (codes.astype(np.int32) - x.zero).astype(np.float32) * np.float32(x.scale)
    return reals


def every_code(kind: ElementType) -> Array:
    """int64: all codes of a type, ascending; entry i of a table is for the i-th of them."""
    return np.arange(kind.lo, kind.hi + 1, dtype=np.int64)


# Weights -----------------------------------------------------------------------------------------------------


def in_parts(weight: Array) -> Iterator[slice]:
    """Some output channels of a weight [co, ...] at a time.

    Copies of a large weight in 64 bits would cost more than all else that is made of it.
    """
    rows = max(1, MAGNITUDES // max(1, math.prod(weight.shape[1:])))
    return (slice(start, start + rows) for start in range(0, weight.shape[0], rows))


def weight_scales(
    weight: Array, bias: Array, x: Grid, y_scale: float, w: ElementType, least: float = 0.0
) -> tuple[Array, Array]:
    """(float32 scales [co], bool [co] raised by the floor) of weights [co, ...] and biases [co] in reals.

    The scale of a channel is max|w| / wmax, wmax the highest code of `w`, or the floor. least: what scales are raised
    to beside, as far as rounding the weights moves no output by more than half a step.
    """
    largest = [np.abs(weight[part]).max(axis=tuple(range(1, weight.ndim)), initial=0.0) for part in in_parts(weight)]
    own = np.concatenate(largest).astype(np.float64) / w.hi
    unseen = np.float64(y_scale) / (np.float64(x.scale) * x.reach * max(1, math.prod(weight.shape[1:])))
    return above_floor(own, bias, x, y_scale, w, min(least, float(unseen)))


def above_floor(
    own: Array, bias: Array, x: Grid, y_scale: float, w: ElementType, least: float = 0.0
) -> tuple[Array, Array]:
    """(float32 scales [co], bool [co] raised) of float64 scales [co] that weights have of their own.

    The floor is max(|b| / (sx bmax), 2^-30 sy / sx, least), the second for 8 bits only, and never below float32's
    smallest normal number: no bias saturates, and the shift of the requantisation stays within 52. bmax: 2^30, with a
    16-bit operand 2^51.
    """
    broad = wide(x, w)
    by_bias = np.abs(bias.astype(np.float64)) / (np.float64(x.scale) * (2.0**51 if broad else 2.0**30))
    by_shift = 0.0 if broad else 2.0**-30 * np.float64(y_scale) / np.float64(x.scale)
    fixed = max(float(by_shift), least, float(np.finfo(np.float32).tiny))
    floor = np.maximum(by_bias, fixed)
    return np.maximum(own, floor).astype(np.float32), floor > own


def quantise_weight(weight: Array, scale: Array, w: ElementType) -> Array:
    """Codes rint(w / scale) of type `w`, saturating to +- its highest; weight [co, ...], scale float32 [co]."""
    divisor = scale.astype(np.float64).reshape((-1,) + (1,) * (weight.ndim - 1))
    codes = np.empty(weight.shape, w.dtype)
    for part in in_parts(weight):
        codes[part] = np.clip(np.rint(weight[part].astype(np.float64) / divisor[part]), -w.hi, w.hi)
    return codes


def quantise_bias(bias: Array, sx: float, sw: Array, *edges: Edge) -> Array:
    """rint(b / (sx sw)): int32, int64 where any operand is wide; raises AccumulatorError where that is out of range."""
    codes = np.rint(bias.astype(np.float64) / (np.float64(sx) * sw.astype(np.float64)))
    if codes.size and np.abs(codes).max() >= accumulator_bound(*edges):
        bits = accumulator_bound(*edges).bit_length()
        raise AccumulatorError(f"The bias of channel {int(np.abs(codes).argmax())} does not fit {bits} bits.")
    return codes.astype(np.int64 if wide(*edges) else np.int32)


# Bounds of exactness -----------------------------------------------------------------------------------------


def magnitudes(weight: Array) -> Iterator[Array]:
    """int64 [rows, ci, elements of a kernel]: |w| of weights [co, ci, ...], some output channels at a time."""
    for rows in in_parts(weight):
        part = weight[rows].astype(np.int64)
        yield np.abs(part).reshape(*part.shape[:2], -1)


def reach(weight: Array, x: Grid) -> list[int]:
    """[co]: bound of |sum w (x - zero)|, and of each partial sum, over all codes x; weight: codes [co, ci, ...]."""
    peak = x.reach
    return [total * peak for part in magnitudes(weight) for total in part.sum(axis=(1, 2)).tolist()]


def require_accumulator(weight: Array, bias: Array, x: Grid, w: ElementType, what: str) -> None:
    """Proves |sum w (x - zero) + bias| < 2^31, 2^52 with a 16-bit operand, for each channel; else AccumulatorError."""
    limit = accumulator_bound(x, w)
    for channel, (bound, offset) in enumerate(zip(reach(weight, x), bias.tolist(), strict=True)):
        if bound + abs(int(offset)) >= limit:
            raise AccumulatorError(
                f"Output channel {channel} of {what} can reach {bound + abs(int(offset))}; its accumulator must stay "
                f"below 2^{limit.bit_length() - 1}."
            )


def float32_chunks(weight: Array, peak: int, what: str = "the weight") -> tuple[tuple[int, int], ...]:
    """Ranges of axis 1 of integers [co, ci, ...] over which a float32 sum of products is exact in any order.

    All ranges have one size, the last may be shorter. They are proved from the weights: in each of them every
    output channel has sum|w| peak < 2^24, peak the largest magnitude of the other factor. Raises ReductionError
    where one input channel alone breaks the bound.
    """
    channels, limit = weight.shape[1], (FLOAT32_EXACT - 1) // peak
    fewest = ceil_div(max(int(part.sum(axis=(1, 2)).max()) for part in magnitudes(weight)), limit)
    for size in _chunk_sizes(channels, fewest):
        starts = range(0, channels, size)
        parts = (np.add.reduceat(part.sum(axis=2), starts, axis=1) for part in magnitudes(weight))
        if max(int(part.max()) for part in parts) <= limit:
            return tuple((start, min(start + size, channels)) for start in starts)
    raise ReductionError(
        f"A single input channel of {what} cannot be summed exactly in float32; its kernel is too large."
    )


def _chunk_sizes(channels: int, fewest: int) -> Iterator[int]:
    """Sizes that cut `channels` into `fewest` ranges and more, each size once."""
    last = 0
    for count in range(max(1, fewest), channels + 1):
        size = ceil_div(channels, count)
        if size != last:
            yield size
        last = size


# exp ---------------------------------------------------------------------------------------------------------

LOG2_E = 1.4426950408889634
LN2_HI = 0.6931471803691238
"""ln 2 with the low 21 bits of its mantissa zero: k LN2_HI is exact for |k| < 2^21"""
LN2_LO = 1.9082149292705877e-10
_TAYLOR = tuple(1.0 / math.factorial(n) for n in range(12))


def exp(x: Array) -> Array:
    """e^x in float64 by one fixed sequence of IEEE operations; relative error below 1e-14; |x| up to 700.

    k = rint(x log2 e), r = (x - k LN2_HI) - k LN2_LO (Cody and Waite), a degree-11 Taylor polynomial of r by
    Horner's rule, times 2^k.
    """
    x = x.astype(np.float64)
    k = np.rint(x * LOG2_E)
    r = (x - k * LN2_HI) - k * LN2_LO
    p: Array = np.full_like(r, _TAYLOR[11])
    for coefficient in reversed(_TAYLOR[:11]):
        p = p * r
        p = p + coefficient
    power: Array = np.ldexp(p, k.astype(np.int32))
    return power
