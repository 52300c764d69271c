"""Functions of one real, for the three witnesses: Python's float is float64, and every line below is one operation."""

import math
import sys

import numpy as np

from axbuild.toolchain.kinds.float_function import ERF_LARGE, ERF_SMALL, FORMULAS, FloatFunction
from witness.base import Case, each, float32, oracle

LN2_HI, LN2_LO = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")


def exp(x):
    if math.isnan(x):
        return x
    x = min(max(x, -700.0), 700.0)
    k = round(x * 1.4426950408889634)
    rest = (x - k * LN2_HI) - k * LN2_LO
    power = 0.0
    for n in range(11, -1, -1):
        power = power * rest + 1.0 / math.factorial(n)
    return math.ldexp(power, k)


def horner(x, coefficients):
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


def sigmoid(x):
    small = exp(-abs(x))
    return (small if x < 0 else 1.0) / (1.0 + small)


def tanh(x):
    small = exp(-2.0 * abs(x))
    size = (1.0 - small) / (1.0 + small)
    return -size if x < 0 else size


def erf(x):
    if abs(x) < 1:
        return x * (horner(x * x, ERF_SMALL[0]) / horner(x * x, ERF_SMALL[1]))
    if math.isnan(x):
        return x
    size = min(abs(x), 6.0)
    far = 1.0 - exp(-(size * size)) * (horner(size, ERF_LARGE[0]) / horner(size, ERF_LARGE[1]))
    return -far if x < 0 else far


def log(x):
    if math.isnan(x):
        return x
    if x <= 0 or math.isinf(x):
        return math.copysign(sys.float_info.max, x - 1)
    half, exponent = math.frexp(x)
    m, k = (2.0 * half, exponent - 1) if half < math.sqrt(0.5) else (half, exponent)
    z = (m - 1.0) / (m + 1.0)
    series = horner(z * z, [1.0 / (2 * n + 1) for n in range(19, -1, -1)])
    return (k * LN2_HI + 2.0 * z * series) + k * LN2_LO


def circle(x, ahead):
    if math.isnan(x):
        return x
    x = between(x, -(2.0**30), 2.0**30)
    k = round(x * (2.0 / math.pi))
    for part in (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21):
        x = x - float(k) * part
    first = 1 - (k + ahead) % 2
    total = 0.0
    for n in range(9, -1, -1):
        total = 1.0 / math.factorial(2 * n + first) - total * (x * x)
    found = x * total if first else total
    return found if (k + ahead) % 4 < 2 else -found


def inverse_sigmoid(x, least):
    c = between(x, 0.0, 1.0)
    shares = [least if share < least else share for share in (c, 1.0 - c)]
    return log(shares[0] / shares[1])


def power(x, c):
    if not c.is_integer():
        return exp(c * log(0.0 if x < 0 else x))
    grown = exp(c * log(abs(x)))
    return -grown if x < 0 and c % 2 else grown


def softplus(x):
    small = exp(-abs(x))
    z = small / (small + 2.0)
    return (0.0 if x < 0 else x) + 2.0 * z * horner(z * z, [1.0 / (2 * n + 1) for n in range(19, -1, -1)])


def mish(x):
    u = exp(40.0 if x > 40 else x)
    part = u * (u + 2.0)
    return x * (part / (part + 2.0))


def between(x, lo, hi):
    return lo if x < lo else hi if x > hi else x


def whole(function):
    """Of finite numbers; others are themselves."""
    return lambda x, a, b: math.copysign(float(function(x)), x) if math.isfinite(x) else x


EXACT = {
    "Abs": lambda x, a, b: abs(x),
    "Ceil": whole(math.ceil),
    "Cos": lambda x, a, b: circle(x, 1),
    "Elu": lambda x, a, b: (exp(x) - 1.0) * a if x < 0 else x,
    "Erf": lambda x, a, b: erf(x),
    "Exp": lambda x, a, b: exp(x),
    "Floor": whole(math.floor),
    "Gelu": lambda x, a, b: x * 0.5 * (erf(x / math.sqrt(2.0)) + 1.0),
    "GeluByTanh": lambda x, a, b: x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0),
    "HardSigmoid": lambda x, a, b: between(x * a + b, 0.0, 1.0),
    "HardSwish": lambda x, a, b: x * between(x + 3.0, 0.0, 6.0) / 6.0,
    "InverseSigmoid": lambda x, a, b: inverse_sigmoid(x, a),
    "LeakyRelu": lambda x, a, b: x * a if x < 0 else x,
    "Mish": lambda x, a, b: mish(x),
    "Neg": lambda x, a, b: -x,
    "Pow": lambda x, a, b: power(x, a),
    "Round": whole(round),
    "Sigmoid": lambda x, a, b: sigmoid(x),
    "Sin": lambda x, a, b: circle(x, 0),
    "Softplus": lambda x, a, b: softplus(x),
    "Sqrt": lambda x, a, b: x if math.isnan(x) else math.sqrt(0.0 if x < 0 else x),
    "Swish": lambda x, a, b: x * sigmoid(x * a),
    "Tanh": lambda x, a, b: tanh(x),
}


def narrowed(value):
    try:
        return float32(value)
    except OverflowError:
        return math.copysign(math.inf, value)


@oracle.register
def _(kind: FloatFunction, x):
    return each(kind, lambda at: narrowed(EXACT[kind.function](float(x[at]), kind.alpha, kind.beta)), x)


class Ordinary(Case):
    """A case of numbers around 0, beside the hard ones."""

    def inputs(self):
        (x,) = super().inputs()
        flat = x.reshape(-1)
        flat[12:] = np.random.default_rng(1).normal(0, 2.5, flat.size - 12).astype(np.float32)
        return [x]


CASES = (
    [Ordinary("an image", FloatFunction.of(name, 0.3, 0.4), ((2, 3, 5, 6),)) for name in FORMULAS]
    + [Ordinary("a matrix", FloatFunction.of(name, 1.0), ((3, 40),)) for name in ("Gelu", "Sigmoid", "Swish", "Elu")]
    + [
        Ordinary("a power", FloatFunction.of("Pow", exponent), ((3, 40),))
        for exponent in (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -1.5)
    ]
)
