"""The functions behind tables: as exact as the mathematics asks, and the same bits everywhere."""

import hashlib
import math

import numpy as np
import pytest

from axbuild.toolchain.kinds import functions

REALS = np.concatenate([np.linspace(-40.0, 40.0, 8001), np.linspace(-1e-3, 1e-3, 801), [0.0, -0.0, 700.0, -700.0]])


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


WANTED = {
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": softplus,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "erf": math.erf,
    "gelu": lambda x: x / 2.0 * math.erfc(-x / math.sqrt(2.0)),
    "gelu_by_tanh": lambda x: x / 2.0 * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))),
    "sin": math.sin,
    "cos": math.cos,
}


@pytest.mark.parametrize("name", WANTED)
def test_a_function_is_the_libms_to_a_part_in_a_million_million(name):
    wanted = np.array([WANTED[name](x) for x in REALS.tolist()])
    np.testing.assert_allclose(getattr(functions, name)(REALS), wanted, rtol=1e-12, atol=1e-12)


def test_the_logarithm_is_the_libms_and_minus_infinity_at_zero():
    positive = np.exp(np.linspace(-700.0, 700.0, 5001))
    wanted = [math.log(x) for x in positive.tolist()]
    np.testing.assert_allclose(functions.log(positive), wanted, rtol=1e-13, atol=1e-13)
    assert functions.log(np.array([0.0])).tolist() == [-math.inf]


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 16.0, -1.0, -0.5, -2.0, 0.25, 1.7, -0.3])
def test_a_power_is_the_libms(exponent):
    base = np.linspace(0.01, 30.0, 3001)
    np.testing.assert_allclose(functions.power(base, exponent), [x**exponent for x in base.tolist()], rtol=1e-12)


def test_a_power_of_what_is_not_positive():
    base = np.array([-2.0, 0.0])
    assert functions.power(base, 3.0).tolist() == [-8.0, 0.0]
    assert functions.power(base, 0.5).tolist() == [0.0, 0.0]
    assert functions.power(base, 0.3).tolist() == [0.0, 0.0]
    assert functions.power(base, -1.0).tolist() == [-0.5, math.inf]


def test_circles_are_reduced_exactly_far_from_zero():
    far = np.linspace(-1e6, 1e6, 4001)
    np.testing.assert_allclose(functions.sin(far), [math.sin(x) for x in far.tolist()], rtol=0, atol=1e-15)


def test_the_bits_are_the_same_on_every_machine():
    made = b"".join(getattr(functions, name)(REALS).tobytes() for name in WANTED)
    assert hashlib.sha256(made).hexdigest() == "5b1f15b09a35a052bc807f09bf11348b3dc187d69438540325ca45097a8cf2cc"
