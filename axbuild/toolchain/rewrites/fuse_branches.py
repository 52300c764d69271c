"""Convolutions of one tensor whose results are added, as one: the branches of RepVGG, MobileOne and their like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, integer, integers, needed_input, shape_of, text
from axbuild.toolchain.rewrites.affine import weighted_producer, weights_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class Branch:
    """A convolution without dilation. weight: float64 [out, in a group, *kernel]; bias: float64 [out].

    begin: how far each window reaches before its place, an axis; the pads there.
    """

    node: ir.Node
    weight: Array
    bias: Array
    group: int
    strides: tuple[int, ...]
    begin: tuple[int, ...]

    @property
    def end(self) -> tuple[int, ...]:
        """How far each window reaches behind its place."""
        return tuple(size - 1 - before for size, before in zip(self.weight.shape[2:], self.begin, strict=True))


@dataclass(frozen=True)
class Joined:
    """weight, bias: of the one convolution, float64; pads: before and behind."""

    branches: tuple[Branch, Branch]
    weight: Array
    bias: Array
    group: int
    pads: tuple[int, ...]


class FuseBranches(Rewrite[Joined]):
    """Add(Conv(x, v, a), Conv(x, w, b)) -> Conv(x, v + w, a + b)

    Kernels of another size are padded with zeros, finer groups spread into coarser ones, where that makes no more
    multiplications than both had. Sub likewise.
    """

    op = ("Add", "Sub")
    is_needed = False

    def match(self, node: ir.Node) -> Joined | NoMatch:
        found = [_branch(node.inputs[side], node.op_type) for side in (0, 1)]
        for branch in found:
            if isinstance(branch, NoMatch):
                return branch
        first, second = (branch for branch in found if isinstance(branch, Branch))
        if first.node is second.node or first.node.inputs[0] is not second.node.inputs[0]:
            return NoMatch("the convolutions do not read the same tensor")
        if first.strides != second.strides or shape_of(first.node.outputs[0]) != shape_of(second.node.outputs[0]):
            return NoMatch("the convolutions have other strides or results")
        return _joined(first, second, -1.0 if node.op_type == "Sub" else 1.0)

    def replace(self, node: ir.Node, found: Joined, steps: Steps) -> ir.Value:
        first, second = (branch.node for branch in found.branches)
        weight = steps.constant(found.weight.astype(np.float32), "weight", of=first)
        bias = steps.constant(found.bias.astype(np.float32), "bias", of=first)
        settings = {
            "group": found.group,
            "kernel_shape": list(found.weight.shape[2:]),
            "pads": list(found.pads),
            "strides": list(found.branches[0].strides),
        }
        return steps.insert("Conv", [first.inputs[0], weight, bias], settings, origins=(first, second, node))

    def rounding(self, node: ir.Node, found: Joined) -> Rounding:
        gain = sum(np.abs(branch.weight).reshape(len(branch.bias), -1).sum(axis=1) for branch in found.branches)
        added = sum(np.abs(branch.bias) for branch in found.branches)
        source = needed_input(found.branches[0].node, 0)
        return Rounding(2 * math.prod(found.weight.shape[1:]), ((source, np.asarray(gain)),), np.asarray(added))


def _branch(value: ir.Value | None, reader: str) -> Branch | NoMatch:
    node = weighted_producer(value, reader)
    if isinstance(node, NoMatch):
        return node
    if node.op_type != "Conv":
        return NoMatch(f"input of {reader} is not a Conv")
    weight, bias = weights_of(node)
    space = weight.ndim - 2
    if set(integers(node, "dilations", (1,))) != {1} or text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return NoMatch("a convolution has dilations or auto_pad")
    strides = integers(node, "strides", (1,) * space)
    begin = integers(node, "pads", (0,) * (2 * space))[:space]
    return Branch(node, weight.astype(np.float64), bias, integer(node, "group", 1), strides, begin)


def _joined(first: Branch, second: Branch, sign: float) -> Joined | NoMatch:
    group = min(first.group, second.group)
    if max(first.group, second.group) % group:
        return NoMatch("the groups of one convolution do not lie within those of the other")
    begin = tuple(map(max, first.begin, second.begin))
    end = tuple(map(max, first.end, second.end))
    v, w = (_spread(branch, group, begin, end) for branch in (first, second))
    if v.size > first.weight.size + second.weight.size:
        return NoMatch("one convolution would multiply more than both")
    behind = _pads_behind(first, end)
    if behind is None:
        return NoMatch("one convolution would have a result of another size")
    return Joined((first, second), v + sign * w, first.bias + sign * second.bias, group, (*begin, *behind))


def _pads_behind(branch: Branch, end: tuple[int, ...]) -> tuple[int, ...] | None:
    """What windows that reach so far behind their places need there for the branch's result; None where its size would
    be another."""
    shape, out = (shape_of(value)[2:] for value in (needed_input(branch.node, 0), branch.node.outputs[0]))
    axes = list(zip(shape, out, end, branch.strides, strict=True))
    pads = [max((last - 1) * stride + after + 1 - size, 0) for size, last, after, stride in axes]
    made = [(size + pad - after - 1) // stride + 1 for (size, _, after, stride), pad in zip(axes, pads, strict=True)]
    return tuple(pads) if made == list(out) else None


def _spread(branch: Branch, group: int, begin: tuple[int, ...], end: tuple[int, ...]) -> Array:
    """The weights for windows that reach so far, in so many groups."""
    before = (have - own for have, own in zip(begin, branch.begin, strict=True))
    behind = (have - own for have, own in zip(end, branch.end, strict=True))
    padded = np.pad(branch.weight, [(0, 0), (0, 0), *zip(before, behind, strict=True)])
    if branch.group == group:
        return padded
    out, share = padded.shape[:2]
    inner = branch.group // group
    spread = np.zeros((out, share * inner, *padded.shape[2:]))
    for channel in range(out):
        at = channel * branch.group // out % inner * share
        spread[channel, at : at + share] = padded[channel]
    return spread
