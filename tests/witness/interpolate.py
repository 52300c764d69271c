"""Linear interpolation, for the three witnesses."""

from axbuild.toolchain.kinds.codes import CODES
from axbuild.toolchain.kinds.interpolate import Interpolate, Spread
from witness.base import Case, each, grid, oracle, pairs, requantised

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


def spread(size: int, out: int) -> Spread:
    """Elements at even distances from the first one on."""
    places = [2048 * i * size // out for i in range(out)]
    return Spread(tuple(place // 2048 for place in places), tuple(place % 2048 for place in places))


def interpolated(x, y, rows=9, columns=13, cut=0) -> Interpolate:
    return Interpolate.of(x, y, spread(5, rows), spread(6, columns), y.type.lo + cut, y.type.hi - cut)


CASES = [
    *(
        Case("larger", interpolated(grid(0.1, kind=x), grid(0.1 * x.span / y.span, kind=y)), (IMAGE,))
        for x, y in pairs()
    ),
    *(Case("clamped", interpolated(grid(0.1, t.hi, t), grid(0.1, t.hi, t), cut=9), (IMAGE,)) for t in CODES),
    *(Case("smaller", interpolated(grid(0.1, kind=t), grid(0.07, kind=t), 2, 3), (IMAGE,)) for t in CODES),
    *(Case("as it was", interpolated(grid(0.1, t.lo, t), grid(0.1, t.lo, t), 5, 6), (IMAGE,)) for t in CODES),
]
