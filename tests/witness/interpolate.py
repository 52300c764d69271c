"""Linear interpolation, for the three witnesses."""

from axbuild.toolchain.kinds.codes import CODES
from axbuild.toolchain.kinds.interpolate import FloatInterpolate, Interpolate, Spread
from witness.base import Case, each, grid, oracle, pairs, requantised
from witness.float_function import Ordinary, narrowed

IMAGE = (2, 3, 5, 6)


@oracle.register
def _(kind: Interpolate, x):
    def value(at):
        n, c, row, column = at
        acc = 0
        for down, row_weight in ((0, 2048 - kind.row_weights[row]), (1, kind.row_weights[row])):
            for right, weight in ((0, 2048 - kind.column_weights[column]), (1, kind.column_weights[column])):
                h = min(kind.rows[row] + down, x.shape[2] - 1)
                w = min(kind.columns[column] + right, x.shape[3] - 1)
                acc += row_weight * weight * (int(x[n, c, h, w]) - kind.x.zero)
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, True)

    return each(kind, value, x)


@oracle.register
def _(kind: FloatInterpolate, x):
    one = 2**24

    def value(at):
        n, c, row, column = at
        lines = []
        for w in (kind.columns[column], min(kind.columns[column] + 1, x.shape[3] - 1)):
            near, far = (float(x[n, c, min(kind.rows[row] + down, x.shape[2] - 1), w]) for down in (0, 1))
            lines.append(near * float(one - kind.row_weights[row]) + far * float(kind.row_weights[row]))
        weight = kind.column_weights[column]
        return narrowed((lines[0] * float(one - weight) + lines[1] * float(weight)) / 2.0**48)

    return each(kind, value, x)


def spread(size: int, out: int, one: int = 2048) -> Spread:
    """Elements at even distances from the first one on."""
    places = [one * i * size // out for i in range(out)]
    return Spread(tuple(place // one for place in places), tuple(place % one for place in places))


def interpolated(x, y, rows=9, columns=13, cut=0) -> Interpolate:
    return Interpolate.of(x, y, spread(5, rows), spread(6, columns), y.type.lo + cut, y.type.hi - cut)


def of_reals(rows, columns):
    return FloatInterpolate.of(spread(5, rows, 2**24), spread(6, columns, 2**24))


CASES = [
    *(Ordinary("reals", of_reals(*sizes), (IMAGE,)) for sizes in ((9, 13), (2, 3), (5, 6))),
    *(
        Case("larger", interpolated(grid(0.1, kind=x), grid(0.1 * x.span / y.span, kind=y)), (IMAGE,))
        for x, y in pairs()
    ),
    *(Case("clamped", interpolated(grid(0.1, t.hi, t), grid(0.1, t.hi, t), cut=9), (IMAGE,)) for t in CODES),
    *(Case("smaller", interpolated(grid(0.1, kind=t), grid(0.07, kind=t), 2, 3), (IMAGE,)) for t in CODES),
    *(Case("as it was", interpolated(grid(0.1, t.lo, t), grid(0.1, t.lo, t), 5, 6), (IMAGE,)) for t in CODES),
]
