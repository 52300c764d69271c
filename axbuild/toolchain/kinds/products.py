"""Exact sums of products in ONNX text, by the kernels of onnxruntime that have float32 only.

A float32 sum of integers is exact, in any order, while it stays below 2^24. So factors of 16 bits are cut into
digits, x = 256 x1 + x0, and weights into narrower ones where one input channel alone would pass 2^24 (kernels of
23 x 23); the input channels are cut into ranges that are proved from the real weights. Each pair of digits over each
range is one float32 product, and float64 joins them. ConvInteger and MatMulInteger are no alternative: they saturate
on processors without VNNI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import FLOAT32_EXACT, float32_chunks, magnitudes
from axbuild.toolchain.kinds.codes import ElementType, Grid
from axbuild.toolchain.kinds.text import DOUBLE

DIGIT_BITS = 8
NARROWER_BITS = (4, 2, 1)
"""of a weight's digits where 8 are too many"""

Named = tuple[list[str], str]
"""names of tensors, and the lines that define them"""
Apart = Callable[[str, list[str]], str]
"""(name of a tensor, names of the ranges of its channels) -> the lines that cut it"""


@dataclass(frozen=True)
class Cut:
    """How a sum of products is cut: digits of a code and of a weight, bits of a weight's digit, ranges of the input
    channels of a group."""

    x_digits: int
    w_digits: int
    w_bits: int
    ranges: int

    @classmethod
    def of(cls, weight: Array, x: Grid, w: ElementType, what: str) -> Cut:
        """The fewest parts that are exact; weight: codes [co, ci, ...]. Raises ReductionError where none are."""
        x_digits = x.type.bits // DIGIT_BITS
        peak = x.reach if x_digits == 1 else max(1 << (DIGIT_BITS - 1), round(x.reach / (1 << DIGIT_BITS)))
        for bits in (DIGIT_BITS, *NARROWER_BITS):
            count = max(1, w.bits // bits)
            digits = _largest_digit(weight, count, bits)
            if max(int(part.sum(axis=2).max()) for part in magnitudes(digits)) * peak < FLOAT32_EXACT:
                break
        return cls(x_digits, count, bits, len(float32_chunks(digits, peak, what)))

    @property
    def names(self) -> list[str]:
        """What the text depends on beside the digits of either type."""
        narrower = [f"digits{self.w_bits}"] if self.w_bits != DIGIT_BITS else []
        return narrower + ([f"split{self.ranges}"] if self.ranges > 1 else [])

    def text(self, x: str, weight: str, product: str, apart: Apart) -> str:
        """Lines from the float32 tensors `x` and `weight` to the float64 `sum`.

        product: lines from {x} and {w} to the float32 {f}; apart: cuts x. The weight is cut along its axis 1.
        """
        if self.x_digits == self.w_digits == 1:
            return self._cut(x, apart) + self._cut(weight, along_axis(1)) + self._summed("sum", x, weight, product)
        codes, code_lines = _digits(x, self.x_digits, DIGIT_BITS)
        weights, weight_lines = _digits(weight, self.w_digits, self.w_bits)
        cuts = [self._cut(name, apart) for name in codes] + [self._cut(name, along_axis(1)) for name in weights]
        terms, products = [], []
        for i, code in enumerate(codes):
            for j, factor in enumerate(weights):
                terms.append((DIGIT_BITS * i + self.w_bits * j, f"digits{i}_{j}"))
                products.append(self._summed(terms[-1][1], code, factor, product))
        return "".join((code_lines, weight_lines, *cuts, *products, _joined(terms)))

    def _parts(self, name: str) -> list[str]:
        return [name] if self.ranges == 1 else [f"{name}_{i}" for i in range(self.ranges)]

    def _cut(self, name: str, apart: Apart) -> str:
        return "" if self.ranges == 1 else apart(name, self._parts(name))

    def _summed(self, name: str, x: str, weight: str, product: str) -> str:
        """Lines that define the float64 `name`: the products of two digits over all ranges."""
        lines, sums = "", self._parts(name)
        for total, left, right in zip(sums, self._parts(x), self._parts(weight), strict=True):
            lines += product.format(x=left, w=right, f=f"{total}_f")
            lines += f"\n  {total} = Cast <to = {DOUBLE}> ({total}_f)"
        return lines if self.ranges == 1 else f"{lines}\n  {name} = Sum ({', '.join(sums)})"


def along_axis(axis: int) -> Apart:
    """Ranges along one axis."""

    def apart(whole: str, parts: list[str]) -> str:
        return f"\n  {', '.join(parts)} = Split <axis = {axis}, num_outputs = {len(parts)}> ({whole})"

    return apart


def digits_of(values: Array, count: int, bits: int) -> list[Array]:
    """int32 digits, lowest first: values = sum digit_i 2^(bits i), all but the last within +- 2^(bits - 1).

    Balanced digits are half as large as those of a floor, so that twice as many products are exact.
    """
    rest, digits = values.astype(np.int32), []
    for _ in range(count - 1):
        high = np.rint(rest / (1 << bits)).astype(np.int32)
        digits.append(rest - (high << bits))
        rest = high
    return [*digits, rest]


def _digits(source: str, count: int, bits: int) -> Named:
    """The same of a float32 tensor."""
    names, lines, rest = [], "", source
    for i in range(count - 1):
        low, high = f"{source}_low{i}", f"{source}_high{i}"
        lines += f"""
  {high}_base = Constant <value = float {{{float(1 << bits)}}}> ()
  {high}_ratio = Div ({rest}, {high}_base)
  {high} = Round ({high}_ratio)
  {high}_multiple = Mul ({high}, {high}_base)
  {low} = Sub ({rest}, {high}_multiple)"""
        names.append(low)
        rest = high
    return [*names, rest], lines


def _joined(terms: list[tuple[int, str]]) -> str:
    """Lines that define `sum`, of terms (power of two, name).

    Highest power first no addition rounds: the sum of the terms down to 2^n is a multiple of 2^n, and differs from
    the accumulator, which is below 2^52, by the lower terms, each below 2^(n + 24) for every range of channels.
    """
    names = [name for _, name in sorted(terms, reverse=True)]
    lines = "".join(
        f"""
  {name}_factor = Constant <value = double {{{float(1 << power)}}}> ()
  {name}_raised = Mul ({name}, {name}_factor)"""
        for power, name in terms
    )
    total = f"{names[0]}_raised"
    for name in names[1:]:
        following = "sum" if name == names[-1] else f"{name}_total"
        lines += f"\n  {following} = Add ({total}, {name}_raised)"
        total = following
    return lines


def _largest_digit(weight: Array, count: int, bits: int) -> Array:
    """Of every weight, in magnitude or as it is."""
    if count == 1:
        return weight
    return reduce(np.maximum, (np.abs(digit) for digit in digits_of(weight, count, bits)))
