"""What only moves elements, and sums along axes."""

from __future__ import annotations

import numpy as np

from random_graphs.growers import grows
from random_graphs.pool import Pool, UnfitError


@grows("Reshape")
def reshape(pool: Pool, op: str) -> None:
    x = pool.any()
    size = int(np.prod(pool.shape(x)[1:]))
    first = pool.one_of([number for number in range(1, size + 1) if size % number == 0])
    targets = [[0, -1], [1, first, -1], [0, first, size // first], [1, first, 1, -1], [1, 1, -1, first]]
    pool.put(op, [x, pool.integers(*pool.one_of(targets))])


@grows("Flatten")
def flatten(pool: Pool, op: str) -> None:
    pool.put(op, [pool.any()], axis=1)


@grows("Transpose")
def transpose(pool: Pool, op: str) -> None:
    x = pool.any(3)
    order = 1 + pool.rng.permutation(len(pool.shape(x)) - 1)
    pool.put(op, [x], perm=[0, *map(int, order)])


@grows("Squeeze", "Unsqueeze")
def ones(pool: Pool, op: str) -> None:
    x = pool.any(2, 5)
    axis = pool.between(1, len(pool.shape(x)))
    (wide,) = pool.put("Unsqueeze", [x, pool.integers(axis)])
    if op == "Squeeze":
        (wide,) = pool.put("Relu", [wide])
        pool.put(op, [wide, pool.integers(axis - len(pool.shape(wide)))])


@grows("Concat")
def concat(pool: Pool, op: str) -> None:
    a = pool.any()
    shape = pool.shape(a)
    axis = pool.between(1, len(shape) - 1)
    rest = [*shape[:axis], *shape[axis + 1 :]]
    b = pool.pick(lambda other: len(other) == len(shape) and [*other[:axis], *other[axis + 1 :]] == rest)
    held = pool.drawn(*shape[:axis], pool.between(1, 3), *shape[axis + 1 :])
    inputs = [a, b or a] if pool.chance(0.7) else [held, a]
    pool.put(op, inputs, axis=pool.one_of((axis, axis - len(shape))))


@grows("Split")
def split(pool: Pool, op: str) -> None:
    x = pool.any()
    axis = pool.between(1, len(pool.shape(x)) - 1)
    size = pool.shape(x)[axis]
    if size < 2:
        raise UnfitError(op)
    first = pool.between(1, size - 1)
    pool.put(op, [x, pool.integers(first, size - first)], count=2, axis=axis)


@grows("Slice")
def part(pool: Pool, op: str) -> None:
    x = pool.any()
    axis = pool.between(1, len(pool.shape(x)) - 1)
    step = pool.one_of((1, 1, 2, -1, -2))
    start, end = (pool.between(-1, 1), -(2**40)) if step < 0 else (pool.between(0, 1), 2**40)
    ends = [pool.integers(value) for value in (start, end, axis, step)]
    pool.put(op, [x, *ends])


@grows("Gather")
def gather(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    axis = pool.between(1, len(pool.shape(x)) - 1)
    size = pool.shape(x)[axis]
    where = pool.rng.integers(-size, size, pool.one_of([(), (1,), (3,), (2, 2)]))
    pool.put(op, [x, pool.held(where, "int64")], axis=axis)


@grows("Expand")
def expand(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    (thin,) = pool.put("ReduceMean", [x, pool.integers(-1)], keepdims=1)
    pool.put(op, [thin, pool.integers(*pool.shape(x)[:-1], pool.between(2, 4))])


@grows("Tile")
def tile(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    pool.put(op, [x, pool.integers(1, *(pool.between(1, 2) for _ in pool.shape(x)[1:]))])


@grows("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2")
def reduction(pool: Pool, op: str) -> None:
    x = pool.any()
    rank = len(pool.shape(x))
    axes = [axis for axis in range(1, rank) if pool.chance(0.5)] or [rank - 1]
    kept = 1 if len(axes) == rank - 1 else pool.between(0, 1)
    pool.put(op, [x, pool.integers(*(axis - rank * pool.between(0, 1) for axis in axes))], keepdims=kept)
