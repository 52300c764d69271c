"""Windows, borders and sizes of maps."""

from __future__ import annotations

import numpy as np

from random_graphs.growers import grows
from random_graphs.pool import Pool, UnfitError
from random_graphs.products import window


@grows("AveragePool")
def average(pool: Pool, op: str) -> None:
    counted = {"count_include_pad": pool.between(0, 1), "ceil_mode": pool.between(0, 1)}
    pool.put(op, [pool.image()], **window(pool, [pool.between(1, 3), pool.between(2, 3)], dilate=False), **counted)


@grows("MaxPool")
def largest(pool: Pool, op: str) -> None:
    pool.put(
        op, [pool.image(5)], **window(pool, [pool.between(1, 3), pool.between(2, 3)]), ceil_mode=pool.between(0, 1)
    )


@grows("GlobalAveragePool", "GlobalMaxPool")
def whole_map(pool: Pool, op: str) -> None:
    pool.put(op, [pool.image(1)])


@grows("Pad")
def border(pool: Pool, op: str) -> None:
    x = pool.any()
    rank, mode = len(pool.shape(x)), pool.one_of(("constant", "constant", "reflect", "edge"))
    most = [0, *(min(2, size - 1) if mode == "reflect" else 2 for size in pool.shape(x)[1:])]
    pads = pool.integers(*(pool.between(0, m) for m in most * 2))
    value = [pool.held(float(pool.one_of((0.0, 0.0, -0.5, 1.0))))] if mode == "constant" else []
    if rank < 2:
        raise UnfitError(op)
    pool.put(op, [x, pads, *value], mode=mode)


@grows("Resize")
def resized(pool: Pool, op: str) -> None:
    x = pool.image(2)
    mode = pool.one_of(("nearest", "linear"))
    scales = pool.held([1, 1, *(pool.one_of((1.0, 2.0, 3.0)) for _ in range(2))])
    corners = pool.one_of(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"))
    rounding = {"nearest_mode": pool.one_of(("floor", "round_prefer_floor", "ceil"))} if mode == "nearest" else {}
    pool.put(op, [x, "", scales], mode=mode, coordinate_transformation_mode=corners, **rounding)


@grows("DepthToSpace")
def to_space(pool: Pool, op: str) -> None:
    x = pool.pick(lambda shape: len(shape) == 4 and shape[1] % 4 == 0) or pool.fresh(1, 4 * pool.between(1, 2), 2, 3)
    pool.put(op, [x], blocksize=2, mode=pool.one_of(("DCR", "CRD")))


@grows("SpaceToDepth")
def to_depth(pool: Pool, op: str) -> None:
    x = pool.pick(lambda shape: len(shape) == 4 and shape[2] % 2 == shape[3] % 2 == 0) or pool.fresh(1, 2, 4, 6)
    pool.put(op, [x], blocksize=2)


@grows("GridSample")
def sampled(pool: Pool, op: str) -> None:
    x = pool.image(2)
    held = pool.one_of(("", "", "map", "grid"))
    shape = pool.shape(x)
    x = pool.drawn(*shape) if held == "map" else x
    where = (pool.drawn if held == "grid" else pool.fresh)(shape[0], pool.between(1, 4), pool.between(1, 4), 2)
    modes = {"mode": pool.one_of(("linear", "nearest")), "padding_mode": pool.one_of(("zeros", "border"))}
    pool.put(op, [x, where], align_corners=pool.between(0, 1), **modes)


@grows("RoiAlign")
def cut_out(pool: Pool, op: str) -> None:
    x = pool.image(3)
    count = pool.between(1, 4)
    ends, first = pool.fresh(count, 4), pool.fresh_index(np.zeros(count))
    settings = {"output_height": pool.between(1, 3), "output_width": pool.between(1, 3)}
    mode = pool.one_of(("half_pixel", "output_half_pixel"))
    settings |= {"sampling_ratio": pool.between(1, 3), "spatial_scale": pool.one_of((1.0, 0.5, 3.0))}
    pool.put(op, [x, ends, first], coordinate_transformation_mode=mode, **settings)
