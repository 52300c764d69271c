"""Functions of one real, float64 -> float64, for tables: by fixed sequences of IEEE operations.

A library's own (numpy's, libm's) change their last bits with the instruction set, and tables are data in a model: the
same model must have the same bytes wherever it is made. The absolute error is below 1e-12, far below half a step.
"""

from __future__ import annotations

import math

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import LN2_HI, LN2_LO, exp

LARGEST_POWER = 700.0
"""of e; `exp` is not defined beyond"""
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
"""pi / 2 in parts of 33 bits, so that small multiples of the first two are exact (fdlibm)"""


def power_of_e(x: Array) -> Array:
    """e^x for any x; saturates where float64 ends."""
    return exp(np.clip(x, -LARGEST_POWER, LARGEST_POWER))


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)"""
    small = power_of_e(-np.abs(x))
    y: Array = np.where(x < 0.0, small, 1.0) / (1.0 + small)
    return y


def tanh(x: Array) -> Array:
    """(1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x"""
    small = power_of_e(-2.0 * np.abs(x))
    y: Array = np.copysign((1.0 - small) / (1.0 + small), x)
    return y


def log(x: Array) -> Array:
    """ln x of a positive x: k ln 2 + 2 atanh((m - 1) / (m + 1)) with x = m 2^k, m in [0.7, 1.4]; -inf at 0."""
    mantissa, exponent = np.frexp(np.maximum(x, 0.0))
    low = mantissa < math.sqrt(0.5)
    m, k = np.where(low, 2.0 * mantissa, mantissa), np.where(low, exponent - 1, exponent)
    y: Array = np.where(mantissa > 0.0, (k * LN2_HI + _twice_atanh((m - 1.0) / (m + 1.0))) + k * LN2_LO, -np.inf)
    return y


def log1p(x: Array) -> Array:
    """ln(1 + x) for x in [0, 1]"""
    return _twice_atanh(x / (2.0 + x))


def _twice_atanh(z: Array) -> Array:
    """2 atanh z for |z| up to 1/3: the sum of 2 z^(2n+1) / (2n + 1), by Horner's rule."""
    square = z * z
    total: Array = np.zeros_like(z)
    for n in reversed(range(20)):
        total = total * square + 1.0 / (2 * n + 1)
    return 2.0 * z * total


def softplus(x: Array) -> Array:
    """ln(1 + e^x)"""
    y: Array = np.maximum(x, 0.0) + log1p(power_of_e(-np.abs(x)))
    return y


def mish(x: Array) -> Array:
    """x tanh(ln(1 + e^x)); the tanh is (u^2 + 2 u) / (u^2 + 2 u + 2) with u = e^x."""
    u = power_of_e(np.minimum(x, 40.0))
    part = u * (u + 2.0)
    return x * (part / (part + 2.0))


def inverse_sigmoid(x: Array, eps: float) -> Array:
    """ln(max(c, eps) / max(1 - c, eps)), c = x between 0 and 1"""
    inside = np.clip(x, 0.0, 1.0)
    return log(np.maximum(inside, eps) / np.maximum(1.0 - inside, eps))


def erf(x: Array) -> Array:
    """2 / sqrt(pi) e^-x^2 times the sum of 2^n x^(2n+1) / (2n + 1)!!, whose terms have one sign; 1 from 6 on."""
    inner = np.clip(x, -6.0, 6.0)
    square = inner * inner
    term, total = inner, inner
    for n in range(1, 200):
        term = term * (2.0 * square) / (2 * n + 1)
        total = total + term
    y: Array = np.where(np.abs(x) < 6.0, 2.0 / math.sqrt(math.pi) * exp(-square) * total, np.sign(x))
    return y


def gelu(x: Array) -> Array:
    """x / 2 (1 + erf(x / sqrt 2))"""
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def gelu_by_tanh(x: Array) -> Array:
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))"""
    return 0.5 * x * (1.0 + tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def sin(x: Array) -> Array:
    """By the quarter of the circle in which x lies, and Taylor's polynomials within it; |x| up to 2^30."""
    quarter, r = _quarter(x)
    odd = quarter % 2 == 1
    y: Array = np.where(odd, _cosine(r), _sine(r)) * np.where(quarter % 4 < 2, 1.0, -1.0)
    return y


def cos(x: Array) -> Array:
    """As `sin`, a quarter further."""
    quarter, r = _quarter(x)
    odd = quarter % 2 == 1
    y: Array = np.where(odd, _sine(r), _cosine(r)) * np.where((quarter + 1) % 4 < 2, 1.0, -1.0)
    return y


def _quarter(x: Array) -> tuple[Array, Array]:
    """(int64 k, x - k pi / 2) with a rest of at most pi / 4."""
    k = np.rint(x * (2.0 / math.pi))
    r = x
    for part in HALF_PI:
        r = r - k * part
    return k.astype(np.int64), r


def _sine(r: Array) -> Array:
    return r * _alternating(r * r, [1.0 / math.factorial(2 * n + 1) for n in range(10)])


def _cosine(r: Array) -> Array:
    return _alternating(r * r, [1.0 / math.factorial(2 * n) for n in range(10)])


def _alternating(square: Array, coefficients: list[float]) -> Array:
    total: Array = np.zeros_like(square)
    for coefficient in reversed(coefficients):
        total = coefficient - total * square
    return total


def power(x: Array, exponent: float) -> Array:
    """x^exponent: products for whole numbers up to 16, square roots for halves of them, else e^(exponent ln x).

    A negative x under an exponent that is not whole is taken as 0; 0 under a negative one gives infinity.
    """
    twice = abs(2.0 * exponent)
    if twice != int(twice) or twice > 32.0:
        positive = np.maximum(x, 0.0)
        nothing = math.inf if exponent < 0.0 else 0.0
        with np.errstate(invalid="ignore"):
            found: Array = np.where(positive > 0.0, power_of_e(exponent * log(positive)), nothing)
        return found
    whole, half = divmod(int(twice), 2)
    result: Array = np.sqrt(np.maximum(x, 0.0)) if half else np.ones_like(x)
    for _ in range(whole):
        result = result * x
    with np.errstate(divide="ignore"):
        return 1.0 / result if exponent < 0 else result
