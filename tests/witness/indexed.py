"""Elements by positions that are computed, for the three witnesses."""

import operator

import numpy as np

from axbuild.toolchain.kinds.codes import BOOL, FP32, INT32, INT64, S8, S16, TYPES, U8, U16
from axbuild.toolchain.kinds.indexed import Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.kinds.integer import INTEGERS
from witness.base import Case, each, oracle, positions


@oracle.register
def _(kind: Pick, x, index):
    inner = kind.axis + index.ndim
    return each(kind, lambda at: x[(*at[: kind.axis], int(index[at[kind.axis : inner]]), *at[inner:])], x, index)


@oracle.register
def _(kind: PickElements, x, index):
    return each(kind, lambda at: x[(*at[: kind.axis], int(index[at]), *at[kind.axis + 1 :])], x, index)


@oracle.register
def _(kind: PickParts, x, index):
    found = index.ndim - 1

    def value(at):
        return x[(*at[: kind.lead], *index[at[:found]].tolist(), *at[found:])]

    return each(kind, value, x, index)


CHOICES = {"none": lambda old, new: new, "max": max, "min": min, "add": operator.add, "mul": operator.mul}


@oracle.register
def _(kind: PutElements, x, index, updates):
    y = x.copy()
    for at in positions(index.shape):
        place = (*at[: kind.axis], int(index[at]), *at[kind.axis + 1 :])
        y[place] = CHOICES[kind.reduction](y[place], updates[at])
    return y


@oracle.register
def _(kind: PutParts, x, index, updates):
    y = x.copy()
    for at in positions(updates.shape):
        place = (*index[at[: index.ndim - 1]].tolist(), *at[index.ndim - 1 :])
        y[place] = CHOICES[kind.reduction](y[place], updates[at])
    return y


class Placed(Case):
    """A case whose indices are given: of all that the axes have, some from the end, none twice."""

    def __init__(self, name, kind, shapes):
        super().__init__(name, kind, shapes)
        object.__setattr__(self, "top", min(self.sizes()))

    def sizes(self):
        """Of the axes that are indexed."""
        data, index = self.shapes[:2]
        if isinstance(self.kind, PutElements | PickElements | Pick):
            return data[self.kind.axis : self.kind.axis + 1]
        lead = getattr(self.kind, "lead", 0)
        return data[lead : lead + index[-1]]

    def inputs(self):
        x, index, *updates = super().inputs()
        return [x, self.kind_index(index.shape, x.shape), *updates]

    def kind_index(self, shape, data):
        rng = np.random.default_rng(len(self.name))
        if isinstance(self.kind, PutElements | PickElements | Pick):
            return _along(rng, shape, data, self.kind.axis).astype(self.kind.index.dtype)
        sizes = self.sizes()
        flat = rng.permutation(int(np.prod(sizes)))
        chosen = np.stack(np.unravel_index(np.resize(flat, shape[:-1]), sizes), -1)
        return _some_from_the_end(chosen, np.array(sizes)).astype(self.kind.index.dtype)


def _along(rng, shape, data, axis):
    """Positions along the axis, in another order for each line."""
    size = data[axis]
    if len(shape) != len(data):
        return _some_from_the_end(rng.integers(0, size, shape), size)
    lines = [rng.permutation(size)[: shape[axis]] for _ in range(int(np.prod(shape)) // shape[axis])]
    rest = tuple(s for place, s in enumerate(shape) if place != axis)
    laid = np.moveaxis(np.resize(np.array(lines), (*rest, shape[axis])), -1, axis)
    return _some_from_the_end(laid, size)


def _some_from_the_end(index, size):
    return np.where(np.indices(index.shape).sum(0) % 3 == 0, index - size, index)


IMAGE = (2, 3, 5, 6)
CASES = (
    [
        case
        for t in TYPES
        for index in (INT32, INT64)
        for case in (
            Placed("rows", Pick(t, index, 1), ((2, 5, 3), (4,))),
            Placed("elements", PickElements(t, index, 1), ((2, 5, 3), (2, 4, 3))),
            Placed("parts", PickParts(t, index, 0), ((3, 5, 2), (4, 2))),
            Placed("put", PutElements(t, index, 1, "none"), ((2, 5, 3), (2, 4, 3), (2, 4, 3))),
            Placed("put parts", PutParts(t, index, "none"), ((3, 5, 2), (4, 2), (4, 2))),
        )
    ]
    + [
        case
        for t in (U8, S8, U16, S16, INT32, INT64)
        for how in ("max", "min", *(("add", "mul") if t in INTEGERS else ()))
        for case in (
            Case("twice at one place", PutElements(t, INT64, 1, how), ((2, 3, 4), (2, 7, 4), (2, 7, 4)), top=3),
            Case("parts twice at one place", PutParts(t, INT64, how), ((3, 4), (7, 1), (7, 4)), top=3),
        )
    ]
    + [
        Placed("channels of an image", Pick(U8, INT32, 1), (IMAGE, (4,))),
        Placed("rows of an image", Pick(S16, INT64, 2), (IMAGE, (7,))),
        Placed("by a matrix", Pick(U8, INT32, 1), ((2, 6, 3), (4, 2))),
        Placed("by a matrix from an image", Pick(U8, INT32, 3), (IMAGE, (2, 2))),
        Placed("columns of an image", PickElements(U16, INT32, 3), (IMAGE, (2, 3, 5, 4))),
        Placed("a corner of an image", PickElements(U8, INT32, 2), (IMAGE, (1, 2, 5, 3))),
        Placed("samples", PickElements(FP32, INT64, 0), (IMAGE, (1, 3, 5, 6))),
        Placed("pixels", PickParts(U8, INT64, 2), (IMAGE, (2, 3, 4, 2))),
        Placed("parts of each sample", PickParts(U8, INT64, 1), (IMAGE, (2, 4, 1))),
        Placed("all axes", PickParts(S8, INT32, 0), (IMAGE, (7, 4))),
        Placed("parts by a matrix", PickParts(BOOL, INT32, 1), ((2, 6, 3), (2, 2, 3, 1))),
        Placed("columns put", PutElements(U16, INT32, 3, "none"), (IMAGE, (2, 3, 5, 4), (2, 3, 5, 4))),
        Placed("a corner put", PutElements(U8, INT32, 2, "none"), (IMAGE, (1, 2, 4, 3), (1, 2, 4, 3))),
        Placed("channels put", PutParts(U8, INT64, "none"), (IMAGE, (3, 2), (3, 5, 6))),
        Placed("points put", PutParts(FP32, INT32, "none"), (IMAGE, (2, 2, 4), (2, 2))),
    ]
)
