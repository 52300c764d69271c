"""Truth values, whole numbers and masks."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from random_graphs.growers import grows
from random_graphs.pool import Pool

HIDDEN = -1e9
"""what a mask puts in the place of a score"""
LAST_BIT = 64
"""of HIDDEN in float32: scores under half of it vanish in a line that is hidden whole, and greater ones do not"""


@grows("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
def comparison(pool: Pool, op: str) -> None:
    a = pool.any()
    b = pool.like(pool.shape(a)) if pool.chance(0.5) else pool.drawn(*pool.shape(a)[-1:])
    pool.put(op, [a, b] if pool.chance(0.7) else [b, a])


def truth(pool: Pool, shape: tuple[int, ...] | None = None) -> str:
    """A tensor of truth values, of one shape where it is named."""
    found = pool.pick(lambda other: len(other) >= 2 if shape is None else other == shape, "bool")
    if found is None:
        x = pool.any() if shape is None else pool.like(shape)
        level = pool.held(0.1)
        (found,) = pool.put("Greater", [x, level])
        if shape is not None and pool.shape(found) != shape:
            return pool.fresh_mask(1, *shape[1:])
    return found


@grows("And", "Or", "Xor")
def connective(pool: Pool, op: str) -> None:
    a = truth(pool)
    shape = pool.shape(a)
    constant = pool.held(pool.rng.integers(0, 2, shape[-1:]), "bool")
    pool.put(op, [a, truth(pool, shape) if pool.chance(0.6) else constant])


@grows("Not")
def opposite(pool: Pool, op: str) -> None:
    pool.put(op, [truth(pool)])


@grows("Cast")
def cast(pool: Pool, op: str) -> None:
    """There and back, with arithmetic on whole numbers between."""
    x = truth(pool) if pool.chance(0.5) else pool.any()
    (number,) = pool.put(op, [x], to=pool.one_of((TensorProto.INT32, TensorProto.INT64)))
    for _ in range(pool.between(0, 2)):
        number = whole_step(pool, number)
    pool.put(op, [number], to=pool.one_of((TensorProto.FLOAT, TensorProto.BOOL)))


def whole_step(pool: Pool, x: str) -> str:
    """One operation on whole numbers."""
    kind = str(pool.arrays[x][0].dtype)
    (x,) = pool.put("Clip", [x, pool.held(-99, kind), pool.held(99, kind)])
    op = pool.one_of(("Abs", "Add", "Clip", "Concat", "Div", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "Sign", "Sub"))
    step = pool.held(pool.between(1, 3) * (1 if op == "Pow" else pool.one_of((1, 1, -1))), kind)
    match op:
        case "Abs" | "Neg" | "Sign":
            inputs = [x]
        case "Concat":
            inputs = [x, pool.held(pool.rng.integers(-9, 9, pool.shape(x)), kind)]
        case "Max" | "Min":
            inputs = [x, step, pool.held(0, kind)][: pool.between(1, 3)]
        case _:
            inputs = [x, step]
    attributes = {"axis": len(pool.shape(x)) - 1} if op == "Concat" else {}
    return pool.put(op, inputs, **attributes)[0]


@grows("ArgMax", "ArgMin")
def place(pool: Pool, op: str) -> None:
    x = pool.any()
    pool.put(op, [x], axis=pool.between(1, len(pool.shape(x)) - 1), keepdims=1, select_last_index=pool.between(0, 1))


@grows("TopK")
def first_ones(pool: Pool, op: str) -> None:
    x = pool.any()
    axis = pool.between(1, len(pool.shape(x)) - 1)
    count = pool.integers(pool.between(1, pool.shape(x)[axis]))
    pool.put(op, [x, count], count=2, axis=axis, largest=pool.between(0, 1))


@grows("CumSum")
def running_sum(pool: Pool, op: str) -> None:
    x = pool.any()
    axis = pool.held(pool.between(1, len(pool.shape(x)) - 1), "int64")
    pool.put(op, [x, axis], exclusive=pool.between(0, 1), reverse=pool.between(0, 1))


@grows("Where")
def choice(pool: Pool, op: str) -> None:
    a = pool.any()
    shape = pool.shape(a)
    other = pool.like(shape) if pool.chance(0.6) else pool.drawn(*shape[-1:])
    pool.put(op, [truth(pool, shape), a, other] if pool.chance(0.5) else [truth(pool, shape), other, a])


@grows("masked Softmax")
def masked(pool: Pool, op: str) -> None:
    """A mask that is a constant or comes in, chosen or added; a line may be hidden whole."""
    x = pool.any(3)
    shape = pool.shape(x)
    if pool.chance(0.5):
        mask = pool.fresh_mask(1, *shape[1:]) if pool.chance(0.5) else pool.held(_shown(pool, shape[-2:]), "bool")
        low = pool.held(HIDDEN)
        (shown,) = pool.put("Where", pool.one_of([[mask, x, low], [mask, low, x]]), beyond=True)
    else:
        spared = _shown(pool, shape[-2:])
        if max(np.abs(array).max() for array in pool.arrays[x]) >= LAST_BIT / 2:
            spared[:, 0] = True  # else float32 adds the mask of a line that is hidden whole in steps of its last bit
        (shown,) = pool.put("Add", [x, pool.held(np.where(spared, 0, HIDDEN))], beyond=True)
    pool.put("Softmax", [shown], axis=-1)


def _shown(pool: Pool, shape: tuple[int, ...]) -> np.ndarray:
    return pool.rng.random(shape) < 0.6


@grows("RotaryEmbedding")
def rotary(pool: Pool, op: str) -> None:
    x = pool.pick(lambda shape: len(shape) == 4 and shape[3] % 2 == 0) or pool.fresh(1, 2, pool.between(2, 5), 6)
    samples, _, length, size = pool.shape(x)
    angles = pool.rng.uniform(0, 6, (samples, length, size // 2))
    pool.put(op, [x, pool.held(np.cos(angles)), pool.held(np.sin(angles))], interleaved=pool.between(0, 1))
