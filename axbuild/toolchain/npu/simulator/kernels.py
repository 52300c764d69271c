"""What each job kernel computes: numpy on one thread, independent of the ONNX bodies it must equal to the last bit.

A kernel takes the job's source views, target views and attributes; maps are NHWC. `m`, `t` stand for m 2^-t;
`scale_bits` is the bit pattern of a float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.simulator.kernels_mac import Attr, conv, dwconv, fc, matmul, requantise, windows


@dataclass(frozen=True)
class Kernel:
    """run: the function; sources: number of operands read; attr: names the attributes must have."""

    run: Callable[[list[Array], list[Array], Attr], None]
    sources: int
    attr: tuple[str, ...] = ()


def move(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """Elements in C order of the source's axes to C order of the target's; the strides do the transposing."""
    targets[0][...] = sources[0].reshape(targets[0].shape)


def pad(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """pads: begins of every axis, then ends; mode: constant, reflect or edge; value: a code."""
    rank = sources[0].ndim
    widths = list(zip(attr["pads"][:rank], attr["pads"][rank:], strict=True))
    if attr["mode"] == "constant":
        targets[0][...] = np.pad(sources[0], widths, constant_values=attr["value"])
    else:
        targets[0][...] = np.pad(sources[0], widths, mode=attr["mode"])


def add(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """clamp(y_zero + (((a - a_zero) ma + (b - b_zero) mb + 2^(shift-1)) >> shift)) in int64, by two tables of 256."""
    codes = np.arange(256, dtype=np.int64)
    half = 1 << attr["shift"] >> 1
    a = ((codes - attr["a_zero"]) * attr["a_multiplier"] + half)[sources[0]]
    total = a + ((codes - attr["b_zero"]) * attr["b_multiplier"])[sources[1]]
    total >>= attr["shift"]
    total += attr["y_zero"]
    targets[0][...] = np.clip(total, attr["lo"], attr["hi"])


def max_pool(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """Largest code of each window, then clamp; padding is code 0, which no code is below."""
    y = targets[0]
    top, left, bottom, right = attr["pads"]
    x = np.pad(sources[0], ((0, 0), (top, bottom), (left, right), (0, 0)))
    for n in range(y.shape[0]):
        best = np.zeros(y.shape[1:], np.uint8)
        for window in windows(x[n], 0, y.shape[1], y.shape[2], attr):
            np.maximum(best, window, out=best)
        y[n] = np.clip(best, attr["lo"], attr["hi"])


def average_pool(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """Sum of centred codes times m 2^-t of its position; sources[1]: uint32 [ho, wo] = m + t 2^24."""
    y = targets[0]
    top, left, bottom, right = attr["pads"]
    scale = sources[1]
    multiplier = np.ldexp((scale & 0xFFFFFF).astype(np.float64), -(scale >> 24).astype(np.int64))[..., None]
    x = np.pad(sources[0].astype(np.float64) - attr["x_zero"], ((0, 0), (top, bottom), (left, right), (0, 0)))
    for n in range(y.shape[0]):
        acc = sum(windows(x[n], 0, y.shape[1], y.shape[2], attr))
        y[n] = np.clip(np.floor(acc * multiplier + 0.5) + attr["y_zero"], attr["lo"], attr["hi"])


def global_average(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """Sum of centred codes over height and width of [n, h, w, c], times m 2^-t."""
    acc = sources[0].sum(axis=(1, 2), keepdims=True, dtype=np.int64)
    acc -= attr["x_zero"] * sources[0].shape[1] * sources[0].shape[2]
    targets[0][...] = requantise(acc.astype(np.float64), attr["m"], attr["t"], attr)


def channel_table(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """y = table[channel, x] along `axis`; sources[1]: uint8 [c, 256]."""
    x, table = np.moveaxis(sources[0], attr["axis"], 0), sources[1]
    y = np.moveaxis(targets[0], attr["axis"], 0)
    for channel in range(x.shape[0]):
        y[channel] = table[channel][x[channel]]


def softmax(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """y = (510 E + S) // (2 S), E = table[max - x] over `axis`, S = sum E; sources[1]: int32 [256]."""
    x, table = sources[0], sources[1].astype(np.int64)
    distance = x.max(axis=attr["axis"], keepdims=True) - x
    powers = table[distance]
    total = powers.sum(axis=attr["axis"], keepdims=True)
    targets[0][...] = (510 * powers + total) // (2 * total)


def quantize(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """floor(f64(x) / f64(scale) + 0.5) + zero, saturating; NaN gives zero."""
    real = np.floor(sources[0].astype(np.float64) / float(_float32(attr["scale_bits"])) + 0.5) + attr["zero"]
    real[np.isnan(real)] = attr["zero"]
    targets[0][...] = np.clip(real, 0, 255)


def dequantize(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """f32(q - zero) * scale."""
    targets[0][...] = (sources[0].astype(np.int32) - attr["zero"]).astype(np.float32) * _float32(attr["scale_bits"])


def requantize(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """clamp(y_zero + floor((x - x_zero) m 2^-t + 0.5)), by a table of 256."""
    codes = np.arange(256, dtype=np.float64) - attr["x_zero"]
    targets[0][...] = requantise(codes, attr["m"], attr["t"], attr)[sources[0]]


def normalize(sources: list[Array], targets: list[Array], attr: Attr) -> None:
    """(f32(x) - mean) / std along `axis`, each one float32 operation; sources[1]: float32 [2, c] = mean, std."""
    shape = [1] * sources[0].ndim
    shape[attr["axis"]] = -1
    mean, std = (row.reshape(shape) for row in sources[1])
    targets[0][...] = (sources[0].astype(np.float32) - mean) / std


def _float32(bits: int) -> np.float32:
    value: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return value


_CLAMP = ("y_zero", "lo", "hi")
_WINDOW = ("kernel", "strides", "pads", "dilations")

KERNELS: dict[str, Kernel] = {
    "move": Kernel(move, 1),
    "pad": Kernel(pad, 1, ("pads", "mode", "value")),
    "conv": Kernel(conv, 2, (*_WINDOW, *_CLAMP, "x_zero", "block", "groups")),
    "dwconv": Kernel(dwconv, 2, (*_WINDOW, *_CLAMP, "x_zero", "block")),
    "fc": Kernel(fc, 2, (*_CLAMP, "x_zero", "block")),
    "matmul": Kernel(matmul, 2, (*_CLAMP, "a_zero", "b_zero", "m", "t")),
    "add": Kernel(add, 2, (*_CLAMP, "a_zero", "b_zero", "a_multiplier", "b_multiplier", "shift")),
    "max_pool": Kernel(max_pool, 1, (*_WINDOW, "lo", "hi")),
    "average_pool": Kernel(average_pool, 2, (*_WINDOW, *_CLAMP, "x_zero")),
    "global_average": Kernel(global_average, 1, (*_CLAMP, "x_zero", "m", "t")),
    "channel_table": Kernel(channel_table, 2, ("axis",)),
    "softmax": Kernel(softmax, 2, ("axis",)),
    "quantize": Kernel(quantize, 1, ("scale_bits", "zero")),
    "dequantize": Kernel(dequantize, 1, ("scale_bits", "zero")),
    "requantize": Kernel(requantize, 1, (*_CLAMP, "x_zero", "m", "t")),
    "normalize": Kernel(normalize, 2, ("axis",)),
}
