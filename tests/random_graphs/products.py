"""Multiply-accumulates, norms and softmax."""

from __future__ import annotations

import numpy as np

from random_graphs.growers import grows
from random_graphs.pool import Pool, UnfitError


@grows("Conv")
def convolution(pool: Pool, op: str) -> None:
    x = pool.image(5)
    _, ci, *size = pool.shape(x)
    group = ci if pool.chance(0.3) else 2 if ci % 2 == 0 and pool.chance(0.2) else 1
    co = group * pool.between(1, max(1, 8 // group))
    kernel = [pool.between(1, 3) for _ in size]
    w = pool.weights(co, ci // group, *kernel)
    pool.put(op, [x, w, *([pool.drawn(co)] if pool.chance(0.7) else [])], group=group, **window(pool, kernel))


def window(pool: Pool, kernel: list[int], dilate: bool = True) -> dict[str, object]:
    """Strides, dilations, and pads below the kernel's size."""
    dilations = [pool.between(1, 2) if dilate and pool.chance(0.3) else 1 for _ in kernel]
    strides = [pool.between(1, 2) for _ in kernel]
    own: dict[str, object] = {"kernel_shape": kernel, "strides": strides}
    if dilate:
        own["dilations"] = dilations
    covers = all(size >= stride for size, stride in zip(kernel, strides, strict=True))
    if pool.chance(0.2) and set(dilations) == {1} and covers:  # onnxruntime takes no other windows so
        return own | {"auto_pad": pool.one_of(("SAME_UPPER", "SAME_LOWER", "VALID"))}
    return own | {"pads": [pool.between(0, size - 1) for size in kernel * 2]}


@grows("ConvTranspose")
def transposed_convolution(pool: Pool, op: str) -> None:
    x = pool.image(2)
    _, ci, *size = pool.shape(x)
    group = ci if pool.chance(0.3) else 1
    kernel, strides = [pool.between(1, 3) for _ in size], [pool.between(1, 2) for _ in size]
    own = {
        "kernel_shape": kernel,
        "strides": strides,
        "pads": [pool.between(0, (length - 1) // 2) for length in kernel * 2],
        "output_padding": [pool.between(0, stride - 1) for stride in strides],
    }
    co = pool.between(1, 4)
    parts = [pool.codes(ci // group, co, *kernel, channel=1) for _ in range(group)]
    w = pool.held(np.concatenate(parts) * np.float32(0.01))
    bias = [pool.drawn(group * co)] if pool.chance(0.5) else []
    pool.put(op, [x, w, *bias], group=group, **own)


@grows("Gemm")
def fully_connected(pool: Pool, op: str) -> None:
    x = pool.pick(lambda shape: len(shape) == 2)
    if x is None:
        (x,) = pool.put("Flatten", [pool.any(3)], axis=1)
    _, k = pool.shape(x)
    m, turned = pool.between(1, 8), pool.between(0, 1)
    w = pool.weights(m, k) if turned else pool.weights(k, m, channel=1)
    c = [pool.drawn(*pool.one_of([(m,), (1, m), (1,), ()]))] if pool.chance(0.7) else []
    scales = {"alpha": 0.5, "beta": 2.0} if pool.chance(0.2) else {}
    pool.put(op, [x, w, *c], transB=turned, **scales)


@grows("MatMul")
def matrix_product(pool: Pool, op: str) -> None:
    a = pool.any(2, 4)
    *rows, k = pool.shape(a)
    if pool.chance(0.5):
        pool.put(op, [a, pool.weights(k, pool.between(1, 6), channel=1)])
        return
    if len(rows) < 2:
        raise UnfitError(op)
    others = list(range(len(rows) + 1))
    others[-2:] = others[:-3:-1]
    b = pool.pick(lambda shape: shape == (*rows, k)) or a
    (turned,) = pool.put("Transpose", [b], perm=others)
    pool.put(op, [a, turned])


@grows("Softmax", "LogSoftmax")
def softmax(pool: Pool, op: str) -> None:
    x = pool.any()
    pool.put(op, [x], axis=pool.between(1, len(pool.shape(x)) - 1))


@grows("LayerNormalization", "RMSNormalization")
def norm(pool: Pool, op: str) -> None:
    x = pool.pick(lambda shape: len(shape) >= 2 and shape[-1] >= 5)
    if x is None:
        x = pool.fresh(1, pool.between(2, 4), pool.between(5, 9))
    size = pool.shape(x)[-1]
    bias = [pool.drawn(size)] if op == "LayerNormalization" and pool.chance(0.7) else []
    pool.put(op, [x, pool.drawn(size), *bias], axis=-1, epsilon=pool.one_of((1e-5, 1e-3)))


@grows("LpNormalization")
def unit_length(pool: Pool, op: str) -> None:
    x = pool.any()
    pool.put(op, [x], axis=pool.between(1, len(pool.shape(x)) - 1), p=2)


@grows("BatchNormalization")
def settled_norm(pool: Pool, op: str) -> None:
    x = pool.any(2, 4)
    channels = pool.shape(x)[1]
    spread = pool.held(pool.rng.uniform(0.3, 2, channels))
    pool.put(op, [x, pool.drawn(channels), pool.drawn(channels), pool.drawn(channels), spread])


@grows("InstanceNormalization", "GroupNormalization")
def map_norm(pool: Pool, op: str) -> None:
    x = pool.image()
    channels = pool.shape(x)[1]
    groups = {"num_groups": channels} if op == "GroupNormalization" else {}
    pool.put(op, [x, pool.drawn(channels), pool.drawn(channels)], **groups)
