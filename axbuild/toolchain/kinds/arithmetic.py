"""The integer arithmetic that all kinds share: multipliers, requantisation, scales of weights, the fixed exp.

Every derived constant is computed in float64 in the written order, by single IEEE operations: no library
exp, no fused multiply-add, so the same bits come out on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import ConstantError, ceil_div

MANTISSA_BITS = 22
MAX_SHIFT = 52
ACCUMULATOR_LIMIT = 1 << 31
FLOAT32_EXACT = 1 << 24
"""float32 holds every integer below this, so sums that stay below it are exact in any order"""
U8 = 255
WEIGHT_MAX = 127


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


def multiplier_of(ratio: float) -> float:
    """The float64 m 2^-t that stands for a ratio of scales, exactly."""
    m, t = derive(ratio)
    return math.ldexp(m, -t)


def multipliers_of(ratios: Array) -> Array:
    """`multiplier_of` for an array of float64; same shape."""
    flat = [multiplier_of(float(ratio)) for ratio in ratios.ravel()]
    return np.array(flat, np.float64).reshape(ratios.shape)


def requantise_ratio(sx: float, sw: Array, sy: float) -> Array:
    """f64(sx) f64(sw) / f64(sy), in this order."""
    ratio: Array = np.float64(sx) * sw.astype(np.float64) / np.float64(sy)
    return ratio


def check_multipliers(multiplier: Array | float) -> None:
    """Raises ConstantError unless each is m 2^-t."""
    for value in np.unique(np.asarray(multiplier, np.float64)):
        split(float(value))


def add_multipliers(sa: float, sb: float, sy: float) -> tuple[int, int, int]:
    """(ma, mb, shift) of an Add: a common shift with which the larger multiplier has 22 bits."""
    ratio_a, ratio_b = float(np.float64(sa) / np.float64(sy)), float(np.float64(sb) / np.float64(sy))
    _, shift = derive(max(ratio_a, ratio_b))
    for ratio in (ratio_a, ratio_b):
        if not (math.isfinite(ratio) and ratio > 0):
            raise MultiplierError(f"The ratio of scales {ratio!r} is not a positive number.")
    return round(math.ldexp(ratio_a, shift)), round(math.ldexp(ratio_b, shift)), shift


def requantise(acc: Array, multiplier: Array | float, zero: int, lo: int = 0, hi: int = U8) -> Array:
    """uint8 clamp(zero + ((acc m + 2^(t-1)) >> t)) for integers |acc| < 2^31; multiplier m 2^-t broadcasts.

    Computed as floor(f64(acc) M + 0.5), which is the same integer. Let P = acc m: |P| < 2^31 2^22 = 2^53, so the
    product is exact. S = P + 2^(t-1) is exact too unless it exceeds 2^53, where doubles hold the even integers.
    There S < 2^53 + 2^(t-1), and since t <= 52 the only multiple of 2^t in [2^53, 2^53 + 2^(t-1)] is 2^53 itself:
    rounding an odd S to a neighbour crosses no multiple of 2^t, so the floor stands.
    """
    scaled: Array = np.multiply(acc, multiplier, dtype=np.float64)
    scaled += 0.5
    np.floor(scaled, out=scaled)
    scaled += zero
    np.clip(scaled, lo, hi, out=scaled)
    return scaled.astype(np.uint8)


# Codes -------------------------------------------------------------------------------------------------------


def quantise(x: Array, scale: float, zero: int) -> Array:
    """uint8 codes of float32 reals: floor(f64(x) / f64(scale) + 0.5) + zero, saturating; NaN gives zero."""
    codes = np.floor(x.astype(np.float64) / np.float64(scale) + 0.5) + zero
    known = np.nan_to_num(codes, nan=float(zero), posinf=np.inf, neginf=-np.inf)
    clipped: Array = np.clip(known, 0, U8)
    return clipped.astype(np.uint8)


def dequantise(codes: Array, scale: float, zero: int) -> Array:
    """float32 reals of uint8 codes: f32(q - zero) scale, one float32 multiply."""
    reals: Array = (codes.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
    return reals


def normalise_table(mean: float, std: float, scale: float, zero: int) -> Array:
    """uint8 [256]: each U8 source value through (f32(x) - mean) / std in float32, then `quantise`."""
    source = np.arange(256, dtype=np.float32)
    return quantise((source - np.float32(mean)) / np.float32(std), scale, zero)


# Weights -----------------------------------------------------------------------------------------------------


def weight_scales(weight: Array, bias: Array, sx: float, sy: float) -> tuple[Array, Array]:
    """(float32 scales [co], bool [co] raised by the floor) of weights [co, ...] and biases [co] in reals.

    The scale of a channel is max(max|w| / 127, |b| / (sx 2^30), 2^-30 sy / sx), and never below float32's
    smallest normal number: no bias saturates, and the shift of the requantisation stays within 52.
    """
    w = np.abs(weight.reshape(weight.shape[0], -1).astype(np.float64))
    own = w.max(axis=1, initial=0.0) / WEIGHT_MAX
    by_bias = np.abs(bias.astype(np.float64)) / (np.float64(sx) * 2.0**30)
    by_shift = 2.0**-30 * np.float64(sy) / np.float64(sx)
    floor = np.maximum(np.maximum(by_bias, by_shift), np.float64(np.finfo(np.float32).tiny))
    return np.maximum(own, floor).astype(np.float32), floor > own


def quantise_weight(weight: Array, scale: Array) -> Array:
    """int8 rint(w / scale), saturating to +-127; weight [co, ...], scale float32 [co]."""
    divisor = scale.astype(np.float64).reshape((-1,) + (1,) * (weight.ndim - 1))
    return np.clip(np.rint(weight.astype(np.float64) / divisor), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)


def quantise_bias(bias: Array, sx: float, sw: Array) -> Array:
    """int32 rint(b / (sx sw)); raises AccumulatorError where that leaves +-2^31."""
    codes = np.rint(bias.astype(np.float64) / (np.float64(sx) * sw.astype(np.float64)))
    if codes.size and np.abs(codes).max() >= ACCUMULATOR_LIMIT:
        raise AccumulatorError(f"The bias of channel {int(np.abs(codes).argmax())} does not fit 32 bits.")
    return codes.astype(np.int32)


# Bounds of exactness -----------------------------------------------------------------------------------------


def reach(weight: Array, zero: int) -> Array:
    """int64 [co]: bound of |sum w (x - zero)|, and of each partial sum, over all codes x; weight int8 [co, ...]."""
    bound: Array = np.abs(weight.reshape(weight.shape[0], -1).astype(np.int64)).sum(axis=1)
    return bound * max(zero, U8 - zero)


def check_accumulator(weight: Array, bias: Array, zero: int, what: str) -> None:
    """Proves |sum w (x - zero) + bias| < 2^31 for each channel; else AccumulatorError names the first."""
    bound = reach(weight, zero) + np.abs(bias.astype(np.int64))
    for channel in np.flatnonzero(bound >= ACCUMULATOR_LIMIT):
        raise AccumulatorError(
            f"Output channel {channel} of {what} can reach {bound[channel]}; its accumulator must stay below 2^31."
        )


def float32_chunks(weight: Array, zero: int, what: str = "the weight") -> tuple[tuple[int, int], ...]:
    """Ranges of axis 1 of an int8 weight [co, ci, ...] over which a float32 sum of products is exact in any order.

    All ranges have one size, the last may be shorter. They are proved from the weights: in each of them every
    output channel has sum|w| max(zero, 255 - zero) < 2^24. Raises ReductionError where one input channel alone
    breaks the bound.
    """
    columns = np.abs(weight.astype(np.int64)).reshape(weight.shape[0], weight.shape[1], -1).sum(axis=2)
    limit = (FLOAT32_EXACT - 1) // max(zero, U8 - zero)
    channels = weight.shape[1]
    for size in _chunk_sizes(channels):
        chunks = tuple((start, min(start + size, channels)) for start in range(0, channels, size))
        if np.add.reduceat(columns, [start for start, _ in chunks], axis=1).max() <= limit:
            return chunks
    raise ReductionError(
        f"A single input channel of {what} cannot be summed exactly in float32; its kernel is too large."
    )


def _chunk_sizes(channels: int) -> Iterator[int]:
    """Sizes that cut `channels` into 1, 2, 3, ... ranges, each size once."""
    last = 0
    for count in range(1, channels + 1):
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
    p = np.full_like(r, _TAYLOR[11])
    for coefficient in reversed(_TAYLOR[:11]):
        p = p * r
        p = p + coefficient
    return np.ldexp(p, k.astype(np.int32))


def softmax_table(scale: float) -> Array:
    """int64 [256]: rint(exp(-scale d) 2^24) for the distance d of a code below the largest."""
    d = np.arange(256, dtype=np.float64) * np.float64(scale)
    return np.rint(exp(-np.minimum(d, 700.0)) * 2.0**24).astype(np.int64)
