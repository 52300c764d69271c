"""Functions of one real, in float64 between a float32 and another."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import LN2_HI, LN2_LO, LOG2_E
from axbuild.toolchain.kinds.float_function import (
    CIRCLE_TERMS,
    ERF_END,
    ERF_LARGE,
    ERF_SMALL,
    FARTHEST,
    TANH_CUBIC,
    TANH_GAIN,
)
from axbuild.toolchain.kinds.float_softmax import SHARE_BITS
from axbuild.toolchain.kinds.formula import LARGEST, LARGEST_DOUBLE, LARGEST_POWER, LOG_TERMS
from axbuild.toolchain.kinds.functions import HALF_PI
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.island import FloatFunctionAttr, FloatSoftmaxAttr
from axbuild.toolchain.npu.program.form import ProgramError
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import BLOCK


def float_function(sources: list[Array], targets: list[Array], attr: FloatFunctionAttr) -> None:
    """y = f(x), in blocks."""
    if attr.function not in _FUNCTIONS:
        raise ProgramError(f"there is no function '{attr.function}'")
    alpha, beta = (float(bits_float32(bits)) for bits in (attr.alpha_bits, attr.beta_bits))
    x = sources[0].reshape(-1)
    y = np.empty(x.shape, np.float32)
    with np.errstate(all="ignore"):
        for start in range(0, x.size, BLOCK):
            part = slice(start, start + BLOCK)
            y[part] = _FUNCTIONS[attr.function](x[part].astype(np.float64), alpha, beta) + 0.0
    targets[0][...] = y.reshape(targets[0].shape)


def _softmax(found: Callable[[Array, Array, Array], Array]) -> Kernel:
    """found: from d = x - max, E = floor(exp(d) 2^40) and S, its exact sum along the axis."""

    def run(sources: list[Array], targets: list[Array], attr: FloatSoftmaxAttr) -> None:
        x = np.moveaxis(sources[0], attr.axis, -1).astype(np.float64)
        x = np.clip(np.nan_to_num(x, nan=-LARGEST, posinf=np.inf, neginf=-np.inf), -LARGEST, LARGEST)
        distance = x - x.max(axis=-1, keepdims=True)
        power = np.floor(_exp(distance) * 2.0**SHARE_BITS)
        total = power.astype(np.int64).sum(axis=-1, keepdims=True).astype(np.float64)
        with np.errstate(over="ignore"):
            np.moveaxis(targets[0], attr.axis, -1)[...] = found(distance, power, total) + 0.0

    return Kernel(run, 1, FloatSoftmaxAttr)


def _exp(x: Array) -> Array:
    held = np.clip(x, -LARGEST_POWER, LARGEST_POWER)
    k = np.rint(held * LOG2_E)
    rest = (held - k * LN2_HI) - k * LN2_LO
    power = np.full_like(rest, 1.0 / math.factorial(11))
    for n in range(10, -1, -1):
        power = power * rest + 1.0 / math.factorial(n)
    grown: Array = np.ldexp(power, np.nan_to_num(k).astype(np.int32))
    return grown


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _sigmoid(x: Array) -> Array:
    small = _exp(-np.abs(x))
    found: Array = np.where(x < 0, small, 1.0) / (1.0 + small)
    return found


def _tanh(x: Array) -> Array:
    small = _exp(np.abs(x) * -2.0)
    size = (1.0 - small) / (1.0 + small)
    return np.where(x < 0, -size, size)


def _erf(x: Array) -> Array:
    size = np.abs(x)
    inner = np.where(size < 1, x, 0.0)
    near = inner * (_polynomial(inner * inner, ERF_SMALL[0]) / _polynomial(inner * inner, ERF_SMALL[1]))
    outer = np.clip(size, 1.0, ERF_END)
    far = 1.0 - _exp(-(outer * outer)) * (_polynomial(outer, ERF_LARGE[0]) / _polynomial(outer, ERF_LARGE[1]))
    return np.where(size < 1, near, np.where(x < 0, -far, far))


def _softplus(x: Array) -> Array:
    small = _exp(-np.abs(x))
    z = small / (small + 2.0)
    series = _polynomial(z * z, tuple(1.0 / (2 * n + 1) for n in range(LOG_TERMS - 1, -1, -1)))
    found: Array = np.where(x < 0, 0.0, x) + (z + z) * series
    return found


def _mish(x: Array) -> Array:
    u = _exp(np.where(x > 40, 40.0, x))
    part = u * (u + 2.0)
    return x * (part / (part + 2.0))


def _gelu(x: Array) -> Array:
    return (x * 0.5) * (_erf(x / math.sqrt(2.0)) + 1.0)


def _gelu_by_tanh(x: Array) -> Array:
    return (x * 0.5) * (_tanh((x + x * x * x * TANH_CUBIC) * TANH_GAIN) + 1.0)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x < 0, (_exp(np.where(x > 0, 0.0, x)) - 1.0) * alpha, x)


def _log(x: Array) -> Array:
    half, exponent = np.frexp(x)
    low = half < math.sqrt(0.5)
    m, k = np.where(low, half + half, half), (exponent - low).astype(np.float64)
    z = (m - 1.0) / (m + 1.0)
    series = _polynomial(z * z, tuple(1.0 / (2 * n + 1) for n in range(LOG_TERMS - 1, -1, -1)))
    found = (k * LN2_HI + (z + z) * series) + k * LN2_LO
    found = np.where(x > 0, found, np.where(np.isnan(x), x, -LARGEST_DOUBLE))
    return np.where(x > LARGEST, LARGEST_DOUBLE, found)


def _circle(x: Array, ahead: int) -> Array:
    """sin(x + ahead pi / 2)"""
    r = np.clip(x, -FARTHEST, FARTHEST)
    k = np.rint(r * (2.0 / math.pi))
    for part in HALF_PI:
        r = r - k * part
    quarter = np.nan_to_num(k).astype(np.int64) + ahead & 3
    sine = r * _alternating(r * r, 1)
    found = np.where(quarter & 1, _alternating(r * r, 0), sine)
    return np.where(quarter & 2, -found, found)


def _alternating(square: Array, first: int) -> Array:
    """1 / first! - square / (first + 2)! + .."""
    total = np.full_like(square, 1.0 / math.factorial(2 * CIRCLE_TERMS - 2 + first))
    for n in range(CIRCLE_TERMS - 2, -1, -1):
        total = 1.0 / math.factorial(2 * n + first) - total * square
    return total


def _inverse_sigmoid(x: Array, least: float) -> Array:
    inside = np.clip(x, 0.0, 1.0)
    return _log(np.maximum(inside, least) / np.maximum(1.0 - inside, least))


def _pow(x: Array, c: float) -> Array:
    whole = c == math.floor(c)
    grown = _exp(c * _log(np.abs(x) if whole else np.maximum(x, 0.0)))
    return np.where(x < 0, -grown, grown) if whole and c % 2 else grown


_FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "Abs": lambda x, a, b: np.abs(x),
    "Ceil": lambda x, a, b: np.ceil(x),
    "Cos": lambda x, a, b: _circle(x, 1),
    "Elu": lambda x, a, b: _elu(x, a),
    "Erf": lambda x, a, b: _erf(x),
    "Exp": lambda x, a, b: _exp(x),
    "Floor": lambda x, a, b: np.floor(x),
    "Gelu": lambda x, a, b: _gelu(x),
    "GeluByTanh": lambda x, a, b: _gelu_by_tanh(x),
    "HardSigmoid": lambda x, a, b: np.clip(x * a + b, 0.0, 1.0),
    "HardSwish": lambda x, a, b: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
    "InverseSigmoid": lambda x, a, b: _inverse_sigmoid(x, a),
    "LeakyRelu": lambda x, a, b: np.where(x < 0, x * a, x),
    "Mish": lambda x, a, b: _mish(x),
    "Neg": lambda x, a, b: np.negative(x),
    "Pow": lambda x, a, b: _pow(x, a),
    "Round": lambda x, a, b: np.rint(x),
    "Sigmoid": lambda x, a, b: _sigmoid(x),
    "Sin": lambda x, a, b: _circle(x, 0),
    "Softplus": lambda x, a, b: _softplus(x),
    "Sqrt": lambda x, a, b: np.sqrt(np.where(x < 0, 0.0, x)),
    "Swish": lambda x, a, b: x * _sigmoid(x * a),
    "Tanh": lambda x, a, b: _tanh(x),
}

FLOAT_SOFTMAX = _softmax(lambda distance, power, total: power / total)
FLOAT_LOG_SOFTMAX = _softmax(lambda distance, power, total: distance - _log(total * 2.0**-SHARE_BITS))
FLOAT_FUNCTION = Kernel(float_function, 1, FloatFunctionAttr)
