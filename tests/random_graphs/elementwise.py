"""Activations, and operations on two or three tensors of any rank."""

from __future__ import annotations

from collections.abc import Callable

from random_graphs.growers import grows
from random_graphs.pool import Pool

PLAIN = ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Mish", "Neg", "Relu", "Round")
ATTRIBUTES: dict[str, Callable[[Pool], dict[str, object]]] = {
    **dict.fromkeys((*PLAIN, "Sigmoid", "Sin", "Softplus", "Tanh", "Softsign"), lambda pool: {}),
    "Dropout": lambda pool: {},
    "Elu": lambda pool: {"alpha": float(pool.rng.uniform(0.2, 2))},
    "Gelu": lambda pool: {"approximate": pool.one_of(("none", "tanh"))},
    "HardSigmoid": lambda pool: {"alpha": float(pool.rng.uniform(0.1, 0.4)), "beta": float(pool.rng.uniform(0, 1))},
    "LeakyRelu": lambda pool: {"alpha": float(pool.rng.uniform(-0.1, 0.6))},
    "Swish": lambda pool: {"alpha": float(pool.rng.uniform(0.5, 2))},
}


@grows(*(op for op in ATTRIBUTES if op != "Softsign"))
def activation(pool: Pool, op: str) -> None:
    pool.put(op, [pool.any()], **ATTRIBUTES[op](pool))


@grows("Sqrt")
def square_root(pool: Pool, op: str) -> None:
    (positive,) = pool.put("Abs", [pool.any()])
    pool.put(op, [positive])


@grows("Pow")
def power(pool: Pool, op: str) -> None:
    exponent = pool.one_of((2.0, 3.0, 0.5, -1.0, 1.5))
    base = pool.any()
    if exponent not in (2.0, 3.0):
        (base,) = pool.put("Abs", [base])
        (base,) = pool.put("Add", [base, pool.held(0.3)])
    pool.put(op, [base, pool.held(exponent)])


@grows("Clip")
def clip(pool: Pool, op: str) -> None:
    lo, hi = pool.held(float(pool.rng.uniform(-2, 0))), pool.held(float(pool.rng.uniform(0.2, 3)))
    pool.put(op, pool.one_of(([pool.any(), lo, hi], [pool.any(), lo], [pool.any(), "", hi])))


@grows("Add", "Sub", "Mul", "Max", "Min")
def pairwise(pool: Pool, op: str) -> None:
    a = pool.any()
    shape = pool.shape(a)
    if pool.chance(0.5):
        pool.put(op, [a, pool.like(shape)])
        return
    constant = pool.drawn(*_part(pool, shape))
    pool.put(op, [a, constant] if pool.chance(0.6) else [constant, a])


def _part(pool: Pool, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a constant beside `shape` may look like: some axes 1, the first ones left out, or one number."""
    if pool.chance(0.2):
        return ()
    kept = tuple(size if pool.chance(0.6) else 1 for size in shape[pool.between(0, len(shape) - 1) :])
    return kept if len(kept) < len(shape) else (1, *kept[1:])


@grows("Div")
def quotient(pool: Pool, op: str) -> None:
    a = pool.any()
    if pool.chance(0.4):
        signs = 1 - 2 * pool.rng.integers(0, 2, _part(pool, pool.shape(a)))
        pool.put(op, [a, pool.held(signs * pool.rng.uniform(0.3, 3, signs.shape))])
        return
    (size,) = pool.put("Abs", [pool.like(pool.shape(a))])
    (away,) = pool.put("Add", [size, pool.held(0.5)])
    pool.put(op, [a if pool.chance(0.7) else pool.held(1.7), away])


@grows("PRelu")
def sloped(pool: Pool, op: str) -> None:
    x = pool.any(3)
    channels = pool.shape(x)[1]
    pool.put(op, [x, pool.drawn(*pool.one_of([(channels, *(1,) * (len(pool.shape(x)) - 2)), (1,)]), scale=0.4)])


@grows("InverseSigmoid")
def inverse_sigmoid(pool: Pool, op: str) -> None:
    """As exporters spell it: ONNX has no such operator."""
    bounds, least = [pool.held(0.0), pool.held(1.0)], pool.held(1e-3)
    (kept,) = pool.put("Clip", [pool.any(), *bounds])
    (rest,) = pool.put("Sub", [bounds[1], kept])
    ends = [pool.put("Max", [side, least])[0] for side in (kept, rest)]
    (ratio,) = pool.put("Div", ends)
    pool.put("Log", [ratio])
