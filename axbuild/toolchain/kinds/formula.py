"""Formulas in float64 as ONNX text: one node an IEEE operation, in the order in which they are written down."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

from axbuild.toolchain.kinds.arithmetic import LN2_HI, LN2_LO, LOG2_E
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, I64

LARGEST, LARGEST_DOUBLE = float(np.finfo(np.float32).max), sys.float_info.max
LEAST_BITS = 150
"""float32 has nothing between 0 and 2^-149"""
LOG_TERMS = 20
LARGEST_POWER = 700.0
"""of e; beyond it the fixed exp counts as that"""
FIRST_STEP, LAST_STEP = 1024, 32
"""2^k is 2^(32 a - 1024) 2^b, both from a list"""


class Formula:
    """Lines that grow; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def op(self, op_type: str, *inputs: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {op_type} ({', '.join(inputs)})")
        return name

    def number(self, value: float) -> str:
        return self.op(f"Constant <value = double {{{value!r}}}>")

    def numbers(self, values: Sequence[float]) -> str:
        return self.op(f"Constant <value = double[{len(values)}] {{{', '.join(map(repr, values))}}}>")

    def attribute(self, name: str) -> str:
        """The float32 value of an attribute of the function."""
        return self.op(f"Cast <to = {DOUBLE}>", self.op(f"Constant <value_float: float = @{name}>"))

    def where(self, relation: str, a: str, b: str, yes: str, no: str) -> str:
        """yes where `a relation b`, else no, also where either is no number."""
        return self.op("Where", self.op(relation, a, b), yes, no)

    def clamped(self, v: str, lo: float, hi: float) -> str:
        """No number stays none."""
        least, most = self.number(lo), self.number(hi)
        raised = self.where("Less", v, least, least, v)
        return self.where("Greater", raised, most, most, raised)

    def polynomial(self, v: str, coefficients: Sequence[float]) -> str:
        """By Horner's rule, the highest power first."""
        total = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.op("Add", self.op("Mul", total, v), self.number(coefficient))
        return total

    def folded(self, v: str, axis: int, size: int, operation: str = "Add") -> str:
        """The one element that is left of an axis of that size when its end is joined to its beginning, element by
        element, again and again: of 2^k < size <= 2^(k+1) elements those from 2^k on."""
        while size > 1:
            half = 1 << (size - 1).bit_length() - 1
            if size == 2 * half:
                first, last = self.split(v, axis, half, half)
                v = self.op(operation, first, last)
            else:
                first, alone, last = self.split(v, axis, size - half, 2 * half - size, size - half)
                v = self.op(f"Concat <axis = {axis}>", self.op(operation, first, last), alone)
            size = half
        return v

    def joined(self, values: Sequence[str], operation: str) -> str:
        """The same of several tensors."""
        left = list(values)
        while len(left) > 1:
            half = 1 << (len(left) - 1).bit_length() - 1
            pairs = zip(left, left[half:], strict=False)
            left = [self.op(operation, first, last) for first, last in pairs] + left[len(left) - half : half]
        return left[0]

    def split(self, v: str, axis: int, *sizes: int) -> tuple[str, ...]:
        """Parts of those sizes along an axis."""
        lengths = self.integers(*sizes)
        names = tuple(f"v{len(self.lines)}_{part}" for part in range(len(sizes)))
        self.lines.append(f"{', '.join(names)} = Split <axis = {axis}> ({v}, {lengths})")
        return names

    def integers(self, *values: int) -> str:
        return self.op(f"Constant <value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>")

    def input(self, name: str) -> str:
        """A float32 input of the function in float64."""
        return self.op(f"Cast <to = {DOUBLE}>", name)

    def known(self, v: str, instead: float) -> str:
        """`instead` where v is no number."""
        return self.op("Where", self.op("IsNaN", v), self.number(instead), v)

    def exp(self, v: str) -> str:
        """The fixed exp."""
        v = self.clamped(v, -LARGEST_POWER, LARGEST_POWER)
        k = self.op("Round", self.op("Mul", v, self.number(LOG2_E)))
        rest = self.op("Sub", v, self.op("Mul", k, self.number(LN2_HI)))
        rest = self.op("Sub", rest, self.op("Mul", k, self.number(LN2_LO)))
        power = self.polynomial(rest, [1.0 / math.factorial(n) for n in reversed(range(12))])
        none = self.number(0.0)
        known = self.op("Where", self.op("IsNaN", k), none, k)
        whole = self.op(f"Cast <to = {I64}>", self.op("Add", known, self.number(float(FIRST_STEP))))
        width = self.op(f"Constant <value = int64 {{{LAST_STEP}}}>")
        high = self.op("Div", whole, width)
        low = self.op("Sub", whole, self.op("Mul", high, width))
        highs = self.numbers([2.0 ** (LAST_STEP * a - FIRST_STEP) for a in range(2 * FIRST_STEP // LAST_STEP)])
        lows = self.numbers([2.0**b for b in range(LAST_STEP)])
        grown = self.op("Mul", power, self.op("Gather", lows, low))
        return self.op("Mul", grown, self.op("Gather", highs, high))

    def log(self, v: str) -> str:
        """ln v of a v between 2^-150 and the largest float32: k ln 2 + 2 atanh((m - 1) / (m + 1)), v = m 2^k, m around
        1. The lower end of float64 where v is not above 0, the upper one where it is larger."""
        one, none, half = self.number(1.0), self.number(0.0), self.number(0.5)
        m = self.op("Mul", v, self.where("Less", v, one, self.number(2.0**LEAST_BITS), one))
        k = self.where("Less", v, one, self.number(-float(LEAST_BITS)), none)
        for bits in (128, 64, 32, 16, 8, 4, 2, 1):
            high = self.op("GreaterOrEqual", m, self.number(2.0**bits))
            m = self.op("Where", high, self.op("Mul", m, self.number(2.0**-bits)), m)
            k = self.op("Where", high, self.op("Add", k, self.number(float(bits))), k)
        low = self.op("Less", m, self.number(2.0 * math.sqrt(0.5)))
        m = self.op("Where", low, m, self.op("Mul", m, half))
        k = self.op("Where", low, k, self.op("Add", k, one))
        z = self.op("Div", self.op("Sub", m, one), self.op("Add", m, one))
        series = self.polynomial(self.op("Mul", z, z), [1.0 / (2 * n + 1) for n in reversed(range(LOG_TERMS))])
        found = self.op("Mul", self.op("Add", z, z), series)
        found = self.op("Add", self.op("Mul", k, self.number(LN2_HI)), found)
        found = self.op("Add", found, self.op("Mul", k, self.number(LN2_LO)))
        found = self.where("LessOrEqual", v, none, self.number(-LARGEST_DOUBLE), found)
        return self.where("Greater", v, self.number(LARGEST), self.number(LARGEST_DOUBLE), found)

    def text(self, function: Callable[[Formula], str]) -> str:
        """The lines of a body whose x and y are float32: y = f32(function), which reads the float64 `x_d`.

        A zero is the positive one: onnxruntime's Where loses the sign of the other.
        """
        end, none = function(self), self.number(0.0)
        end = self.where("Equal", end, none, none, end)
        made = "".join(f"\n  {line}" for line in self.lines)
        return f"\n  x_d = Cast <to = {DOUBLE}> (x){made}\n  y = Cast <to = {FLOAT}> ({end})"
