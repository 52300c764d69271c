"""Elements picked and put at positions that are constants or come in."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from random_graphs.growers import grows
from random_graphs.pool import Pool


def data(pool: Pool, low: int) -> str:
    """A tensor of a rank from low to 4, now and then a constant."""
    x = pool.any(low, 4)
    return x if pool.chance(0.7) else pool.drawn(*pool.shape(x))


def shape_in(pool: Pool, name: str) -> tuple[int, ...]:
    return pool.constants[name].shape if name in pool.constants else pool.shape(name)


@grows("GatherElements")
def picked_elements(pool: Pool, op: str) -> None:
    x = data(pool, 2)
    shape = shape_in(pool, x)
    axis = pool.between(1, len(shape) - 1)
    size = [pool.between(1, length) for length in shape]
    size[axis] = pool.between(1, 4)
    index = pool.index if x in pool.arrays else pool.fresh_index
    pool.put(op, [x, index(pool.rng.integers(-shape[axis], shape[axis], size))], axis=axis)


@grows("GatherND")
def picked_parts(pool: Pool, op: str) -> None:
    x = data(pool, 3)
    shape = shape_in(pool, x)
    samples = pool.between(0, 1)
    depth = pool.between(1, len(shape) - samples)
    places = (shape[0] if samples else 1, 3)
    columns = [pool.rng.integers(0, size, places) for size in shape[samples : samples + depth]]
    index = pool.index if x in pool.arrays else pool.fresh_index
    pool.put(op, [x, index(np.stack(columns, axis=-1))], batch_dims=samples)


@grows("ScatterElements")
def put_elements(pool: Pool, op: str) -> None:
    x = data(pool, 2)
    shape = shape_in(pool, x)
    axis = pool.between(1, len(shape) - 1)
    order = np.argsort(pool.rng.random(shape), axis=axis)
    part = np.take(order, range(pool.between(1, shape[axis])), axis=axis)  # no element is put twice
    updates = pool.drawn if x in pool.arrays and pool.chance(0.3) else pool.fresh
    pool.put(op, [x, pool.index(part), updates(*part.shape)], axis=axis)


@grows("reducing ScatterElements", "reducing ScatterND")
def reduced_elements(pool: Pool, op: str) -> None:
    """Several at one place: of reals the larger or the smaller, of whole numbers their sum or product too."""
    x = pool.any(2, 4)
    how = pool.one_of(("max", "min", "add", "mul"))
    whole = how in ("add", "mul") or pool.chance(0.3)
    if whole:
        bounded = pool.put("Clip", [x, pool.held(-9), pool.held(9)])
        (wide,) = pool.put("Cast", bounded, to=TensorProto.INT32)
        (x,) = pool.put("Mod", [wide, pool.held(5, "int32")])
    shape, axis = pool.shape(x), len(pool.shape(x)) - 1
    many = (*shape[:-1], pool.between(2, 4))
    places = pool.rng.integers(0, shape[axis], many)
    if op.endswith("ND"):
        rest = np.indices(many)[:axis]
        places = np.stack([*rest, places], axis=-1)
    updates = pool.held(pool.rng.integers(-3, 4, many), "int32") if whole else pool.fresh(*many)
    along = {"axis": axis} if op.endswith("Elements") else {}
    pool.put(op.split()[-1], [x, pool.index(places), updates], reduction=how, **along)


@grows("table Gather")
def looked_up(pool: Pool, op: str) -> None:
    """Of a constant table of reals, whole numbers or truth values."""
    kind = pool.one_of(("float32", "int32", "int64", "bool"))
    shape = [pool.between(2, 5) for _ in range(pool.between(1, 3))]
    table = pool.rng.integers(0, 2, shape) if kind == "bool" else pool.rng.normal(0, 5, shape)
    axis = pool.between(0, len(shape) - 1)
    places = pool.rng.integers(-shape[axis], shape[axis], [1, *(pool.between(1, 3) for _ in range(2))])
    (found,) = pool.put("Gather", [pool.held(table, kind), pool.fresh_index(places)], axis=axis)
    if kind != "float32":
        pool.put("Cast", [found], to=TensorProto.FLOAT)


@grows("ScatterND")
def put_parts(pool: Pool, op: str) -> None:
    x = pool.any(3, 4)
    shape = pool.shape(x)
    rows = pool.rng.permutation(shape[1])[: pool.between(1, shape[1])]
    where = np.stack([np.zeros_like(rows), rows], axis=-1)[None]
    pool.put(op, [x, pool.index(where), pool.fresh(1, len(rows), *shape[2:])])
