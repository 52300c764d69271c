"""Elements picked and put at positions that are constants or come in."""

from __future__ import annotations

import numpy as np

from random_graphs.growers import grows
from random_graphs.pool import Pool


@grows("GatherElements")
def picked_elements(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    shape = pool.shape(x)
    axis = pool.between(1, len(shape) - 1)
    size = [pool.between(1, length) for length in shape]
    size[axis] = pool.between(1, 4)
    pool.put(op, [x, pool.index(pool.rng.integers(-shape[axis], shape[axis], size))], axis=axis)


@grows("GatherND")
def picked_parts(pool: Pool, op: str) -> None:
    x = pool.any(3, 4)
    shape = pool.shape(x)
    samples = pool.between(0, 1)
    depth = pool.between(1, len(shape) - samples)
    columns = [pool.rng.integers(0, size, (1, 3)) for size in shape[samples : samples + depth]]
    pool.put(op, [x, pool.index(np.stack(columns, axis=-1))], batch_dims=samples)


@grows("ScatterElements")
def put_elements(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    shape = pool.shape(x)
    axis = pool.between(1, len(shape) - 1)
    order = np.argsort(pool.rng.random(shape), axis=axis)
    part = np.take(order, range(pool.between(1, shape[axis])), axis=axis)  # no element is put twice
    pool.put(op, [x, pool.index(part), pool.fresh(*part.shape)], axis=axis)


@grows("ScatterND")
def put_parts(pool: Pool, op: str) -> None:
    x = pool.any(3, 4)
    shape = pool.shape(x)
    rows = pool.rng.permutation(shape[1])[: pool.between(1, shape[1])]
    where = np.stack([np.zeros_like(rows), rows], axis=-1)[None]
    pool.put(op, [x, pool.index(where), pool.fresh(1, len(rows), *shape[2:])])
