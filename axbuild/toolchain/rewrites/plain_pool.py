"""Poolings in the form that every chip takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, is_used, needed_input, shape_of, text
from axbuild.toolchain.rewrites.pick import picked
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class PoolAxis:
    """One spatial axis of a pooling. taps: int64 [out, kernel], where each window reads, outside the input too."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def taps(self) -> Array:
        return np.arange(self.out)[:, None] * self.stride - self.begin + np.arange(self.kernel) * self.dilation

    def counts(self, pads: bool) -> Array:
        """int64 [out]: how many taps lie in the input; pads: or in its padding."""
        low, high = (-self.begin, self.size + self.end) if pads else (0, self.size)
        counted: Array = ((self.taps >= low) & (self.taps < high)).sum(axis=1)
        return counted

    @property
    def last_pad(self) -> int:
        """Padding behind the axis with which the windows are as many without ceil_mode."""
        return max(0, int(self.taps[-1, -1]) + 1 - self.size)


def pool_axes(node: ir.Node) -> list[PoolAxis]:
    """The spatial axes of a pooling with explicit pads."""
    kernel = integers(node, "kernel_shape", ())
    ones = (1,) * len(kernel)
    pads = integers(node, "pads", (0,) * 2 * len(kernel))
    parts = (
        shape_of(needed_input(node, 0))[2:],
        shape_of(node.outputs[0])[2:],
        kernel,
        integers(node, "strides", ones),
        integers(node, "dilations", ones),
        pads[: len(kernel)],
        pads[len(kernel) :],
    )
    return [PoolAxis(*axis) for axis in zip(*parts, strict=True)]


def _outer(vectors: list[Array]) -> Array:
    """The product of numbers along axes of their own."""
    return math.prod(np.ix_(*vectors), start=np.ones((1,) * len(vectors)))


@dataclass(frozen=True)
class Averaged:
    """factor: float32 [1, 1, ...], by which the mean with padding counts; None where that is 1."""

    axes: list[PoolAxis]
    factor: Array | None
    dilated: bool


class PlainAverage(Rewrite[Averaged]):
    """AveragePool(x; p, count_include_pad = 0) -> AveragePool(x; p, count_include_pad = 1) * (all / counted)

    With dilations it is a depthwise Conv whose weights are all one over the size of the window.
    """

    op = ("AveragePool",)

    def match(self, node: ir.Node) -> Averaged | NoMatch:
        if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            return NoMatch("AveragePool has auto_pad")
        axes = pool_axes(node)
        includes, dilated = bool(integer(node, "count_include_pad", 0)), any(axis.dilation > 1 for axis in axes)
        if not dilated and (includes or not any(axis.begin or axis.end for axis in axes)):
            return NoMatch("AveragePool has no padding that it leaves out")
        counted = _outer([axis.counts(includes) for axis in axes])
        if not counted.all():
            return NoMatch("AveragePool has a window of padding alone")
        whole = math.prod(axis.kernel for axis in axes) if dilated else _outer([axis.counts(True) for axis in axes])
        factor = (whole / counted).astype(np.float32)[None, None]
        return Averaged(axes, None if np.all(factor == 1) else factor, dilated)

    def replace(self, node: ir.Node, found: Averaged, steps: Steps) -> ir.Value:
        shape = shape_of(node.outputs[0])
        if found.dilated:
            mean = _depthwise(node, found.axes, shape, steps)
        else:
            settings = {**attributes(node), "count_include_pad": 1}
            mean = steps.insert("AveragePool", list(node.inputs), settings, shape=shape)
        if found.factor is None:
            return mean
        factor = steps.constant(found.factor, "counted")
        return steps.insert("Mul", [mean, factor], name="counted")

    def rounding(self, node: ir.Node, found: Averaged) -> Rounding:
        return Rounding(math.prod(axis.kernel for axis in found.axes) + 2, ((needed_input(node, 0), 1.0),))


def _depthwise(node: ir.Node, axes: list[PoolAxis], shape: tuple[int, ...], steps: Steps) -> ir.Value:
    kernel = [axis.kernel for axis in axes]
    weight = np.full((shape[1], 1, *kernel), 1 / math.prod(kernel), np.float32)
    settings = {
        "group": shape[1],
        "kernel_shape": kernel,
        "strides": [axis.stride for axis in axes],
        "dilations": [axis.dilation for axis in axes],
        "pads": [*(axis.begin for axis in axes), *(axis.last_pad for axis in axes)],
    }
    inputs = [node.inputs[0], steps.constant(weight, "weight")]
    return steps.insert("Conv", inputs, settings, shape=shape)


class PlainMaxPool(Rewrite[list[PoolAxis]]):
    """MaxPool(x; dilations) -> MaxPool(Gather(x, taps); strides = kernel), the taps of each window side by side

    A tap in the padding is another one of its window, which changes no maximum.
    """

    op = ("MaxPool",)

    def match(self, node: ir.Node) -> list[PoolAxis] | NoMatch:
        if set(integers(node, "dilations", ())) <= {1}:
            return NoMatch("MaxPool has no dilations")
        if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID") or any(map(is_used, node.outputs[1:])):
            return NoMatch("MaxPool has auto_pad, or says where its maxima are")
        axes = pool_axes(node)
        if any(not axis.counts(pads=False).all() for axis in axes):
            return NoMatch("MaxPool has a window of padding alone")
        return axes

    def replace(self, node: ir.Node, found: list[PoolAxis], steps: Steps) -> ir.Value:
        value = needed_input(node, 0)
        for number, axis in enumerate(found):
            inside = (axis.taps >= 0) & (axis.taps < axis.size)
            first = np.take_along_axis(axis.taps, inside.argmax(axis=1)[:, None], axis=1)
            value = picked(value, number + 2, np.where(inside, axis.taps, first).reshape(-1), steps)
        kernel = [axis.kernel for axis in found]
        return steps.insert("MaxPool", [value], {"kernel_shape": kernel, "strides": kernel})
