"""Functions of one real: float32 in and out, float64 in a fixed order between, rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from axbuild.toolchain.kinds.base import ConstantError
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.formula import LOG_TERMS, Formula
from axbuild.toolchain.kinds.functions import HALF_PI

ERF_SMALL = (
    (
        9.60497373987051638749,
        90.0260197203842689217,
        2232.00534594684319226,
        7003.32514112805075473,
        55592.3013010394962768,
    ),
    (
        1.0,
        33.5617141647503099647,
        521.357949780152679795,
        4594.32382970980127987,
        22629.0000613890934246,
        49267.3942608635921086,
    ),
)
"""numerator and denominator in x^2 of erf(x) / x for |x| < 1 (Cephes), the highest power first"""
ERF_LARGE = (
    (
        2.46196981473530512524e-10,
        0.564189564831068821977,
        7.46321056442269912687,
        48.6371970985681366614,
        196.520832956077098242,
        526.445194995477358631,
        934.528527171957607540,
        1027.55188689515710272,
        557.535335369399327526,
    ),
    (
        1.0,
        13.2281951154744992508,
        86.7072140885989742329,
        354.937778887819891062,
        975.708501743205489753,
        1823.90916687909736289,
        2246.33760818710981792,
        1656.66309194161350182,
        557.535340817727675546,
    ),
)
"""of e^(x^2) (1 - erf(x)) for x of 1 and more"""
ERF_END = 6.0
"""from there erf is 1"""
CIRCLE_TERMS = 10
FARTHEST = 2.0**30
"""what lies beyond it on either side counts as that in front of a sine or cosine"""
TANH_CUBIC = 0.044715
TANH_GAIN = math.sqrt(2.0 / math.pi)

Composed = Callable[[Formula], str]


def _negative_size(f: Formula) -> str:
    return f.op("Neg", f.op("Abs", "x_d"))


def _sigmoid_of(f: Formula, v: str) -> str:
    small, one = f.exp(f.op("Neg", f.op("Abs", v))), f.number(1.0)
    share = f.where("Less", v, f.number(0.0), small, one)
    return f.op("Div", share, f.op("Add", one, small))


def _tanh_of(f: Formula, v: str) -> str:
    small, one = f.exp(f.op("Mul", f.op("Abs", v), f.number(-2.0))), f.number(1.0)
    size = f.op("Div", f.op("Sub", one, small), f.op("Add", one, small))
    return f.where("Less", v, f.number(0.0), f.op("Neg", size), size)


def _erf_of(f: Formula, v: str) -> str:
    one, none, size = f.number(1.0), f.number(0.0), f.op("Abs", v)
    inner = f.where("Less", size, one, v, none)
    square = f.op("Mul", inner, inner)
    ratio = f.op("Div", f.polynomial(square, ERF_SMALL[0]), f.polynomial(square, ERF_SMALL[1]))
    near = f.op("Mul", inner, ratio)
    outer = f.clamped(size, 1.0, ERF_END)
    power = f.exp(f.op("Neg", f.op("Mul", outer, outer)))
    rest = f.op("Div", f.polynomial(outer, ERF_LARGE[0]), f.polynomial(outer, ERF_LARGE[1]))
    far = f.op("Sub", one, f.op("Mul", power, rest))
    signed = f.where("Less", v, none, f.op("Neg", far), far)
    return f.where("Less", size, one, near, signed)


def _half_bent(f: Formula, bent: str) -> str:
    """x / 2 (1 + bent)"""
    return f.op("Mul", f.op("Mul", "x_d", f.number(0.5)), f.op("Add", bent, f.number(1.0)))


def _gelu(f: Formula) -> str:
    return _half_bent(f, _erf_of(f, f.op("Div", "x_d", f.number(math.sqrt(2.0)))))


def _gelu_by_tanh(f: Formula) -> str:
    cube = f.op("Mul", f.op("Mul", "x_d", "x_d"), "x_d")
    inner = f.op("Add", "x_d", f.op("Mul", cube, f.number(TANH_CUBIC)))
    return _half_bent(f, _tanh_of(f, f.op("Mul", inner, f.number(TANH_GAIN))))


def _elu(f: Formula) -> str:
    none = f.number(0.0)
    power = f.exp(f.where("Greater", "x_d", none, none, "x_d"))
    below = f.op("Mul", f.op("Sub", power, f.number(1.0)), f.attribute("alpha"))
    return f.where("Less", "x_d", none, below, "x_d")


def _softplus(f: Formula) -> str:
    small, none = f.exp(_negative_size(f)), f.number(0.0)
    z = f.op("Div", small, f.op("Add", small, f.number(2.0)))
    series = f.polynomial(f.op("Mul", z, z), [1.0 / (2 * n + 1) for n in reversed(range(LOG_TERMS))])
    above = f.where("Less", "x_d", none, none, "x_d")
    return f.op("Add", above, f.op("Mul", f.op("Add", z, z), series))


def _mish(f: Formula) -> str:
    most, two = f.number(40.0), f.number(2.0)
    u = f.exp(f.where("Greater", "x_d", most, most, "x_d"))
    part = f.op("Mul", u, f.op("Add", u, two))
    return f.op("Mul", "x_d", f.op("Div", part, f.op("Add", part, two)))


def _swish(f: Formula) -> str:
    return f.op("Mul", "x_d", _sigmoid_of(f, f.op("Mul", "x_d", f.attribute("alpha"))))


def _leaky(f: Formula) -> str:
    return f.where("Less", "x_d", f.number(0.0), f.op("Mul", "x_d", f.attribute("alpha")), "x_d")


def _hard_sigmoid(f: Formula) -> str:
    return f.clamped(f.op("Add", f.op("Mul", "x_d", f.attribute("alpha")), f.attribute("beta")), 0.0, 1.0)


def _hard_swish(f: Formula) -> str:
    gate = f.clamped(f.op("Add", "x_d", f.number(3.0)), 0.0, 6.0)
    return f.op("Div", f.op("Mul", "x_d", gate), f.number(6.0))


def _sqrt(f: Formula) -> str:
    none = f.number(0.0)
    return f.op("Sqrt", f.where("Less", "x_d", none, none, "x_d"))


def _circle(f: Formula, ahead: float) -> str:
    """sin(x + ahead pi / 2)"""
    x = f.clamped("x_d", -FARTHEST, FARTHEST)
    k = f.op("Round", f.op("Mul", x, f.number(2.0 / math.pi)))
    r = x
    for part in HALF_PI:
        r = f.op("Sub", r, f.op("Mul", k, f.number(part)))
    square, moved, four = f.op("Mul", r, r), f.op("Add", k, f.number(ahead)), f.number(4.0)
    quarter = f.op("Sub", moved, f.op("Mul", f.op("Floor", f.op("Div", moved, four)), four))
    sine = f.op("Mul", r, _alternating(f, square, [1.0 / math.factorial(2 * n + 1) for n in range(CIRCLE_TERMS)]))
    cosine = _alternating(f, square, [1.0 / math.factorial(2 * n) for n in range(CIRCLE_TERMS)])
    first = f.where("Equal", quarter, f.number(0.0), sine, cosine)
    found = f.where("Equal", quarter, f.number(2.0), sine, first)
    return f.where("Less", quarter, f.number(2.0), found, f.op("Neg", found))


def _alternating(f: Formula, square: str, coefficients: list[float]) -> str:
    total = f.number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = f.op("Sub", f.number(coefficient), f.op("Mul", total, square))
    return total


def _inverse_sigmoid(f: Formula) -> str:
    inside, least = f.clamped("x_d", 0.0, 1.0), f.attribute("alpha")
    rest = f.op("Sub", f.number(1.0), inside)
    shares = (f.where("Less", share, least, least, share) for share in (inside, rest))
    return f.log(f.op("Div", *shares))


def _pow(f: Formula) -> str:
    c, none = f.attribute("alpha"), f.number(0.0)
    half = f.op("Mul", c, f.number(0.5))
    is_whole, is_even = (f.op("Equal", f.op("Floor", v), v) for v in (c, half))
    size = f.op("Where", is_whole, f.op("Abs", "x_d"), f.where("Less", "x_d", none, none, "x_d"))
    grown = f.exp(f.op("Mul", c, f.log(size)))
    signed = f.op("Where", is_even, grown, f.op("Neg", grown))
    return f.where("Less", "x_d", none, f.op("Where", is_whole, signed, grown), grown)


FORMULAS: dict[str, Composed] = {
    "Abs": lambda f: f.op("Abs", "x_d"),
    "Ceil": lambda f: f.op("Ceil", "x_d"),
    "Cos": lambda f: _circle(f, 1.0),
    "Elu": _elu,
    "Erf": lambda f: _erf_of(f, "x_d"),
    "Exp": lambda f: f.exp("x_d"),
    "Floor": lambda f: f.op("Floor", "x_d"),
    "Gelu": _gelu,
    "GeluByTanh": _gelu_by_tanh,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "InverseSigmoid": _inverse_sigmoid,
    "LeakyRelu": _leaky,
    "Mish": _mish,
    "Neg": lambda f: f.op("Neg", "x_d"),
    "Pow": _pow,
    "Round": lambda f: f.op("Round", "x_d"),
    "Sigmoid": lambda f: _sigmoid_of(f, "x_d"),
    "Sin": lambda f: _circle(f, 0.0),
    "Softplus": _softplus,
    "Sqrt": _sqrt,
    "Swish": _swish,
    "Tanh": lambda f: _tanh_of(f, "x_d"),
}
"""name -> the formula from `x_d`"""


@dataclass(frozen=True, eq=False)
class FloatFunction(Elementwise):
    """y = f32(f(f64(x))), f a fixed sequence of float64 operations on the fixed exp. alpha, beta: float32 values of
    those that have them, 0 elsewhere."""

    spellings: ClassVar = {f"Ax{name}": {"function": name} for name in FORMULAS}
    job: ClassVar[str] = "eltwise"

    function: str
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if any(float(np.float32(number)) != number for number in (self.alpha, self.beta)):
            raise ConstantError(f"{self.op_type} takes float32 numbers, not {self.alpha!r} and {self.beta!r}.")

    @classmethod
    def of(cls, function: str, alpha: float = 0.0, beta: float = 0.0) -> FloatFunction:
        return cls(function, float(np.float32(alpha)), float(np.float32(beta)))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return Formula().text(FORMULAS[self.function])
