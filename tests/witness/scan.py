"""Running sums, for the three witnesses."""

from axbuild.toolchain.kinds.codes import INT32, INT64, S16, U8, Grid, wide
from axbuild.toolchain.kinds.scan import FloatRunningSum, IntegerRunningSum, Running, RunningSum
from witness.base import Case, each, grid, oracle, pairs, requantised
from witness.float_function import Ordinary, narrowed


@oracle.register
def _(kind: FloatRunningSum, x):
    def value(at):
        line = x[(*at[: kind.axis], slice(None), *at[kind.axis + 1 :])].tolist()
        place = at[kind.axis]
        line, place = (line[::-1], len(line) - 1 - place) if kind.reverse else (line, place)
        total = 0.0
        for real in line[: place + 1 - kind.exclusive]:
            total += real
        return narrowed(total)

    return each(kind, value, x)


def summed(kind: Running, x, at, zero: int = 0) -> int:
    line = [int(v) - zero for v in x[(*at[: kind.axis], slice(None), *at[kind.axis + 1 :])].tolist()]
    place = at[kind.axis]
    part = line[place + kind.exclusive :] if kind.reverse else line[: place + 1 - kind.exclusive]
    return sum(part)


@oracle.register
def _(kind: RunningSum, x):
    def value(at):
        acc = summed(kind, x, at, kind.x.zero)
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, wide(kind.x, kind.y))

    return each(kind, value, x)


@oracle.register
def _(kind: IntegerRunningSum, x):
    return each(kind, lambda at: summed(kind, x, at), x)


def running(x: Grid, y: Grid, axis: int, exclusive: int = 0, reverse: int = 0, cut: int = 0) -> RunningSum:
    return RunningSum.of(x, y, axis, exclusive, reverse, y.type.lo + cut, y.type.hi - cut)


WAYS = [(exclusive, reverse) for exclusive in (0, 1) for reverse in (0, 1)]
CASES = [
    *(Case("rows", running(grid(0.02, kind=x), grid(0.1, kind=y), 1), ((3, 9),)) for x, y in pairs()),
    *(Case("every way", running(grid(0.02), grid(0.2), 2, *way, cut=9), ((1, 2, 7, 3),)) for way in WAYS),
    *(Case("every way", IntegerRunningSum(t, 1, *way), ((2, 7),), top=99) for way in WAYS for t in (INT32, INT64)),
    *(Ordinary("every way", FloatRunningSum(1, *way), ((2, 70),)) for way in WAYS),
    Ordinary("channels", FloatRunningSum(1, 0, 0), ((1, 5, 3, 4),)),
    Case("channels", running(grid(0.02, kind=S16), grid(0.2, kind=U8), 1), ((1, 5, 3, 4),)),
    Case("a vector", IntegerRunningSum(INT64, 0, 0, 0), ((30,),), top=2),
]
