"""Linear interpolation as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.interpolate import FloatInterpolate, Interpolate, Interpolating
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, sources


@dataclass(frozen=True)
class InterpolateAttr(KernelAttr):
    """rows, columns: positions in the part that is read; weights: of the position after each, in 1 / 2048; m 2^-t: the
    multiplier; x_zero, y_zero: codes of 0.0; lo, hi: the clamp."""

    rows: tuple[int, ...]
    row_weights: tuple[int, ...]
    columns: tuple[int, ...]
    column_weights: tuple[int, ...]
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True)
class FloatInterpolateAttr(KernelAttr):
    """As above, in 1 / 2^24."""

    rows: tuple[int, ...]
    row_weights: tuple[int, ...]
    columns: tuple[int, ...]
    column_weights: tuple[int, ...]


Cut = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def _cut(kind: Interpolating, part: Part, out: Box) -> Cut:
    """Positions in the part that is read, and weights, of both axes of a part of the output."""
    own = [slice(*out.ranges[axis]) for axis in (1, 2)]
    first = [part.box.ranges[axis][0] for axis in (1, 2)]
    return (
        tuple(position - first[0] for position in kind.rows[own[0]]),
        kind.row_weights[own[0]],
        tuple(position - first[1] for position in kind.columns[own[1]]),
        kind.column_weights[own[1]],
    )


def _floats(kind: FloatInterpolate, geometry: Geometry, out: Box) -> list[Work]:
    ((number, part),) = sources(kind, geometry, out)
    attr = FloatInterpolateAttr(*_cut(kind, part, out))
    return [Work("float_interpolate", kind.job, ((number, part),), Part(out), False, attr)]


def _works(kind: Interpolate, geometry: Geometry, out: Box) -> list[Work]:
    ((number, part),) = sources(kind, geometry, out)
    m, t = mantissa(kind.multiplier)
    attr = InterpolateAttr(*_cut(kind, part, out), m, t, kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    return [Work("interpolate", kind.job, ((number, part),), Part(out), False, attr)]


FLOAT_INTERPOLATE = Lowering(_floats)
INTERPOLATE = Lowering(_works)
